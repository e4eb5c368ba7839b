// Reverse-mode differentiation of graphs: graph -> graph with gradient nodes. Reads OpDef::grad (or differentiates the
// lowering), so it knows no op by name.
#pragma once
#include <span>
#include <vector>

#include "ir/builder.h"
#include "ir/graph.h"

namespace tenon::autograd {

struct GradientOptions {
  /// Do not look behind the sources: the gradient with respect to one source holds the others fixed. Without it a
  /// source that depends on another one passes its cotangent on (total derivatives, as GradientTape gives).
  bool stop_at_sources = false;
};

/// Appends to b's graph the gradients of sum_i <targets[i], cotangents[i]> with respect to each source. An invalid
/// cotangent means ones. Gives one value per source, invalid where no target depends on it (integer sources too).
/// kFailedPrecondition "<op>: is not differentiable" when the path crosses an op without a gradient.
Result<std::vector<ir::Value>> Gradients(ir::Builder& b, std::span<const ir::Value> targets,
                                         std::span<const ir::Value> cotangents, std::span<const ir::Value> sources,
                                         const GradientOptions& options = {});

/// The gradient of a closed sub-graph, for control flow: inputs are body's inputs followed by one cotangent for each
/// float output in order; outputs are the gradients of body's float inputs in order (zeros where nothing flows).
/// `input_has_gradient` tells which of body's inputs are among the outputs (the float ones).
Result<ir::GraphPtr> Differentiate(const ir::Graph& body, std::vector<bool>* input_has_gradient);

}  // namespace tenon::autograd
