// The reference backend: a graph interpreted node by node with OpDef::eval, in its own dtypes or all in float64.
#pragma once
#include <memory>

#include "ir/graph.h"
#include "runtime/executable.h"

namespace tenon::ref {

/// Slow and exact; the truth that other backends are compared with. options.threads and passes_off mean nothing here.
/// With options.float64, outputs of float dtypes come out as f64.
Result<std::unique_ptr<runtime::CompiledFunction>> Compile(const ir::Graph& graph,
                                                           const runtime::CompileOptions& options);

}  // namespace tenon::ref
