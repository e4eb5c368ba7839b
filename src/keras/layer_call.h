// How a Tensor remembers the layer that made it.
#pragma once
#include "eager/node.h"
#include "tenon/keras/layer.h"

namespace tenon::keras {

class LayerProducer : public eager::Producer {
 public:
  LayerProducer(std::shared_ptr<LayerImpl> l, CallArgs a) : layer(std::move(l)), args(std::move(a)) {}
  std::shared_ptr<LayerImpl> layer;
  CallArgs args;
};

/// args.training, else what the calling layer runs under, else false.
bool IsTraining(const CallArgs& args);

}  // namespace tenon::keras
