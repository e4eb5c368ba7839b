// What a node costs.
#pragma once
#include <cstdint>

#include "ir/graph.h"

namespace tenon::tools {

/// Floating point operations of one node with static types: two for each product of a contraction or convolution, one
/// for each element of an elementwise op or term of a reduction, the sum of its nodes for a composite, none for data
/// movement. Sub-graphs are counted once. 0 where a dim is not known.
double Flops(const ir::Graph& graph, const ir::Node& node, int depth = 0);

/// Bytes of a value; 0 when its dims are not known or it is no tensor.
std::int64_t Bytes(const ir::Type& type);

/// Largest sum of the bytes of values that are alive together when the nodes run in order: inputs and results, without
/// constants; a view shares the memory of what it views.
std::int64_t PeakActivations(const ir::Graph& graph);

}  // namespace tenon::tools
