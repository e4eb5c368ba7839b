// ModuleLayer: a signature of a Module (an imported network) as a layer, to train it further or to build upon it.
#pragma once
#include "tenon/keras/layer.h"
#include "tenon/module.h"

namespace tenon::keras::layers {

struct ModuleLayerOptions {
  std::string signature = {};  // "": the default
  double momentum = 0.9;       // of the running statistics of batch normalizations
  std::string name = {};
};
/// Its inputs and outputs are those of the signature, in order. Its weights are the Module's Variables themselves (not
/// copies), trainable as the Module says: load(path, {.trainable_weights = true}) gives ONNX models such Variables.
/// When training, a batch normalization whose statistics are Variables uses those of the batch and moves them:
/// moving = moving * momentum + batch * (1 - momentum), with the unbiased variance, as PyTorch does;
/// set_trainable(false) freezes it again. Throws kNotFound for the signature, kUnimplemented when it writes Variables.
struct TENON_API ModuleLayer : Layer {
  explicit ModuleLayer(const Module& module, ModuleLayerOptions options = {});
};

}  // namespace tenon::keras::layers
