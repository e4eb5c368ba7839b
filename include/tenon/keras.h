// The one header of the Keras side: layers, losses, metrics, optimizers, callbacks, Model, Sequential.
//
//   keras::Sequential model({keras::Input({784}), layers::Dense(128, {.activation = "relu"}), layers::Dense(10)});
//   model.compile({.optimizer = "adam", .loss = keras::SparseCategoricalCrossentropy({.from_logits = true})});
//   model.fit(x, y, {.epochs = 5});
#pragma once
#include "tenon/function.h"
#include "tenon/keras/model.h"
#include "tenon/keras/module_layer.h"
#include "tenon/ops.h"
