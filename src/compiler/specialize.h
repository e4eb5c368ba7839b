// A copy of a graph for given input dims: symbols replaced by numbers, everything inferred again.
#pragma once
#include <span>
#include <vector>

#include "ir/graph.h"

namespace tenon::compiler {

/// input_dims: by graph input. Types of the copy are static wherever the input dims (and constants) decide them;
/// records are kept. kInvalidArgument when the dims contradict a declared type (the message names the input) or an op.
Result<ir::Graph> Specialize(const ir::Graph& graph, std::span<const std::vector<std::int64_t>> input_dims);

/// Every value is a tensor of static shape.
bool IsStatic(const ir::Graph& graph);

}  // namespace tenon::compiler
