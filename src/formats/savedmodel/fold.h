// Folding of shape arithmetic while it is translated.
#pragma once
#include <optional>
#include <vector>

#include "formats/savedmodel/scope.h"
#include "ir/graph.h"

namespace tenon::savedmodel {

/// The value of `v` when it is a constant, or a small integer tensor whose elements inference knows as numbers.
std::optional<Literal> KnownLiteral(const ir::Graph& graph, ir::Value v);

/// Evaluates the nodes from `first` on that depend on known values only and are small (integers, bools and strings up
/// to 4096 elements, floats up to 64), and makes constants of those among `results`. Weights are left alone.
void Fold(ir::Graph& graph, std::int32_t first, std::vector<Slot>& results);

}  // namespace tenon::savedmodel
