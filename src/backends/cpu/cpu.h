// The cpu backend: a graph compiled to plans of kernel steps, one plan for each set of input dims.
#pragma once
#include <memory>

#include "ir/graph.h"
#include "runtime/executable.h"

namespace tenon::cpu {

/// See compiler/backend.h. Compiling for a set of dims happens at the first call with them (or Prepare).
Result<std::unique_ptr<runtime::CompiledFunction>> Compile(const ir::Graph& graph,
                                                           const runtime::CompileOptions& options);

}  // namespace tenon::cpu
