#include "keras/fit_data.h"

#include <algorithm>
#include <cmath>

namespace tenon::keras {
namespace {

// One weight per row.
Tensor ClassWeights(const std::map<int, double>& weights, const Tensor& y) {
  const Literal& l = y.literal();
  const std::int64_t rows = l.dims()[0], per = rows == 0 ? 1 : l.size() / rows;
  Literal out(DType::kF32, {rows});
  const std::span<float> data = out.mutable_data<float>();
  for (std::int64_t r = 0; r < rows; ++r) {
    int cls = 0;
    if (per == 1) {
      cls = static_cast<int>(std::lround(l.at(r)));
    } else {
      for (std::int64_t c = 1; c < per; ++c)
        if (l.at(r * per + c) > l.at(r * per + cls)) cls = static_cast<int>(c);
    }
    const auto it = weights.find(cls);
    data[static_cast<std::size_t>(r)] = it == weights.end() ? 1.0F : static_cast<float>(it->second);
  }
  return Tensor(std::move(out));
}

}  // namespace

std::vector<Tensor> InOrder(const TensorsArg& arg, const std::vector<std::string>& names, const char* what) {
  if (arg.names.empty()) return arg.tensors;
  std::vector<Tensor> out;
  for (const std::string& name : names) {
    const auto it = std::find(arg.names.begin(), arg.names.end(), name);
    if (it == arg.names.end())
      fail(Code::kInvalidArgument, std::string("fit: ") + what + " \"" + name + "\" is missing");
    out.push_back(arg.tensors[static_cast<std::size_t>(it - arg.names.begin())]);
  }
  for (const std::string& name : arg.names)
    if (std::find(names.begin(), names.end(), name) == names.end())
      fail(Code::kInvalidArgument,
           std::string("fit: got ") + what + " \"" + name + "\", which the model does not have");
  return out;
}

Batches MakeBatches(const DataArg& data, const DataNames& names, const Tensor& sample_weight,
                    std::optional<int> batch_size, int steps) {
  if (data.start) return Batches(data.start);
  std::vector<Tensor> x = InOrder(data.x, names.inputs, "input"), y = InOrder(data.y, names.outputs, "output");
  if (!batch_size) {
    const Literal* rows = steps > 0 && !x.empty() ? &x[0].literal() : nullptr;
    batch_size = rows == nullptr || rows->rank() == 0 ? 32 : static_cast<int>((rows->dims()[0] + steps - 1) / steps);
  }
  return Batches(std::move(x), std::move(y), data.sample_weight.defined() ? data.sample_weight : sample_weight,
                 *batch_size);
}

DataArg WithClassWeights(const DataArg& data, const std::map<int, double>& weights, const Tensor& sample_weight) {
  const auto weigh = [weights](const std::vector<Tensor>& y, const Tensor& weight) {
    if (weight.defined()) fail(Code::kInvalidArgument, "fit: give class_weight or sample_weight, not both");
    if (y.size() != 1)
      fail(Code::kInvalidArgument, "fit: class_weight needs one output, got " + std::to_string(y.size()));
    return ClassWeights(weights, y[0]);
  };
  DataArg out = data;
  if (!data.start) {
    out.sample_weight = weigh(data.y.tensors, data.sample_weight.defined() ? data.sample_weight : sample_weight);
    return out;
  }
  out.start = [start = data.start, weigh]() -> DataArg::Next {
    return [next = start(), weigh] {
      std::optional<DataArg::Batch> batch = next();
      if (batch) batch->sample_weight = weigh(batch->y, batch->sample_weight);
      return batch;
    };
  };
  return out;
}

}  // namespace tenon::keras
