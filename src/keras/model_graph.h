// The graph of a functional model: Tensors that remember the layers and ops that made them.
#pragma once
#include <memory>
#include <vector>

#include "keras/layer_call.h"

namespace tenon::keras {

/// Computes `outputs` with `inputs` replaced by `values`, calling each layer and op once. Throws kInvalidArgument when
/// an output depends on an Input that is not among `inputs`.
std::vector<Tensor> Replay(std::span<const Tensor> inputs, std::span<const Tensor> outputs,
                           std::span<const Tensor> values, const CallArgs& args);

/// The layers behind `outputs`, each once, producers first.
std::vector<std::shared_ptr<LayerImpl>> LayersOf(std::span<const Tensor> outputs);
/// One row of summary(): a layer (or an input) with the Tensor that it makes and the names of what feeds it.
struct LayerRow {
  std::shared_ptr<LayerImpl> layer;  // null: an input
  Tensor output;
  std::vector<std::string> connected_to;
};
std::vector<LayerRow> RowsOf(std::span<const Tensor> inputs, std::span<const Tensor> outputs);
/// The layer that makes a Tensor, or null (an input, an op).
std::shared_ptr<LayerImpl> LayerOf(const Tensor& t);

}  // namespace tenon::keras
