// From a graph and the dims of its inputs to a plan: specialise, passes, steps.
#pragma once
#include <memory>
#include <vector>

#include "ir/graph.h"
#include "runtime/executable.h"
#include "runtime/plan.h"

namespace tenon::cpu {

class PackedConstants;
struct Packing;

/// Null when no plan can be made: shapes that depend on data, sequences, strings.
Result<std::shared_ptr<const runtime::Plan>> CompilePlan(const ir::Graph& graph,
                                                         const std::vector<std::vector<std::int64_t>>& input_dims,
                                                         const runtime::CompileOptions& options,
                                                         PackedConstants* packed = nullptr);

/// Compile() of cpu.h for a piece of a larger program: weights that the pieces have in common are laid out once.
Result<std::unique_ptr<runtime::CompiledFunction>> CompilePiece(const ir::Graph& graph,
                                                                const runtime::CompileOptions& options,
                                                                std::shared_ptr<Packing> packing);

/// Calls become the nodes of their bodies, where these do not change what is known of the results.
Status InlineCalls(ir::Graph& graph);

/// What can be computed once for all dims: nodes whose inputs are constants.
Status FoldOnce(ir::Graph& graph);

}  // namespace tenon::cpu
