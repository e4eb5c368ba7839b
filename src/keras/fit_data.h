// What fit, evaluate and predict are given, as batches in the order of the model's inputs and outputs.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "keras/batches.h"

namespace tenon::keras {

/// The inputs' and outputs' names of a model, in its order.
struct DataNames {
  std::vector<std::string> inputs, outputs;
};

/// The Tensors of `arg`, those given by name in the order of `names`. Throws kInvalidArgument on a name that is missing
/// or that the model does not have; `what` is "input" or "output".
std::vector<Tensor> InOrder(const TensorsArg& arg, const std::vector<std::string>& names, const char* what);

/// Batches of `batch_size` rows; absent: 32, or where `steps` are given the rows / steps, rounded up. A Dataset's come
/// as they are. `sample_weight` may be undefined; the data's own goes first.
Batches MakeBatches(const DataArg& data, const DataNames& names, const Tensor& sample_weight,
                    std::optional<int> batch_size, int steps);

/// `data` with a weight for each row from {class: weight}; y, of one output, holds classes or one-hot rows, and a
/// missing class counts 1. Throws kInvalidArgument where there are weights already or several outputs.
DataArg WithClassWeights(const DataArg& data, const std::map<int, double>& weights, const Tensor& sample_weight);

}  // namespace tenon::keras
