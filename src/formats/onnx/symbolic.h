// Shape arithmetic while translating.
#pragma once
#include "ir/graph.h"

namespace tenon::onnx {

/// Fills in the symbolic values that an integer node's outputs have, from those of its inputs, where the op's own
/// inference gives none: arithmetic, maxima, concatenation, gathering and slicing of shape vectors, and the like.
void PropagateSymbolic(ir::Graph& graph, std::int32_t id);

}  // namespace tenon::onnx
