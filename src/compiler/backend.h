// Backend: turns a graph into a CompiledFunction. The table of backends is defined by the composition root (src/api).
#pragma once
#include <memory>
#include <span>
#include <string_view>

#include "ir/graph.h"
#include "runtime/executable.h"

namespace tenon::compiler {

using CompileFn = Result<std::unique_ptr<runtime::CompiledFunction>> (*)(const ir::Graph& graph,
                                                                         const runtime::CompileOptions& options);

struct Backend {
  std::string_view name;  // "cpu", "ref"
  /// Variables are inputs of the graph and their new values outputs; options.donations says which may share storage.
  /// Graph inputs and outputs are tensors (sequences and the like may stand between). Errors: kInvalidArgument,
  /// kUnimplemented.
  CompileFn compile;
};

/// Every backend; the first is the default.
std::span<const Backend> Backends();
/// Null when there is none of that name. "" is the one that the environment variable TENON_BACKEND names, else the
/// first.
const Backend* FindBackend(std::string_view name);

}  // namespace tenon::compiler
