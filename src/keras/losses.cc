// Losses as Keras 3 computes them without a look behind the activation: probabilities are clipped to [1e-7, 1 - 1e-7].
#include <map>

#include "keras/numeric.h"
#include "tenon/keras/training.h"

namespace tenon::keras {
namespace {

constexpr double kEpsilon = 1e-7;

Tensor Float(const Tensor& x) { return is_float(x.dtype()) ? x : CastTo(x, DType::kF32); }

Tensor Log(const Tensor& x) { return Do("log", x); }

Tensor BinaryPerSample(const Tensor& y_true, const Tensor& y_pred, const CrossentropyOptions& o) {
  auto [t, p] = SqueezeOrExpand(CastTo(y_true, y_pred.dtype()), y_pred);
  if (o.label_smoothing != 0) t = t * (1 - o.label_smoothing) + 0.5 * o.label_smoothing;
  Tensor loss;
  if (o.from_logits) {
    loss = Do("sigmoid_cross_entropy", p, t);
  } else {
    p = Clip(p, kEpsilon, 1 - kEpsilon);
    loss = -(t * Log(p) + (1.0 - t) * Log(1.0 - p));
  }
  return ReduceMean(loss, {o.axis});
}

Tensor CategoricalPerSample(const Tensor& y_true, const Tensor& y_pred, const CrossentropyOptions& o) {
  Tensor t = CastTo(y_true, y_pred.dtype());
  if (Dim::equal(t.shape()[o.axis], y_pred.shape()[o.axis]) == Truth::kNo)
    fail(Code::kInvalidArgument, "categorical_crossentropy: got y_true " + t.shape().to_string() +
                                     ", expected the classes of y_pred " + y_pred.shape().to_string());
  if (o.label_smoothing != 0)
    t = t * (1 - o.label_smoothing) +
        eager::Weak(o.label_smoothing, t) /
            CastTo(Tensor(Literal::scalar<float>(static_cast<float>(y_pred.shape()[o.axis].value()))), t.dtype());
  if (o.from_logits) return Do("softmax_cross_entropy", y_pred, t, {{"axis", std::int64_t{o.axis}}});
  Tensor p = y_pred / ReduceSum(y_pred, {o.axis}, true);
  p = Clip(p, kEpsilon, 1 - kEpsilon);
  return -ReduceSum(t * Log(p), {o.axis});
}

// Class indices as integers, one a sample.
Tensor Indices(const Tensor& y_true, const Tensor& y_pred) {
  Tensor t = is_integer(y_true.dtype()) ? y_true : CastTo(y_true, DType::kI64);
  if (t.shape().rank() == y_pred.shape().rank() && Dim::equal(t.shape().back(), Dim(1)) == Truth::kYes)
    t = Do("squeeze", t, {{"axes", std::vector<std::int64_t>{-1}}});
  if (t.shape().rank() != y_pred.shape().rank() - 1)
    fail(Code::kInvalidArgument,
         "sparse_categorical_crossentropy: got y_true " + y_true.shape().to_string() + " and y_pred " +
             y_pred.shape().to_string() +
             ", expected one class index per sample (one-hot labels take categorical_crossentropy)");
  return t;
}

// 0 where the class is ignored.
Tensor SparsePerSample(const Tensor& y_true, const Tensor& y_pred, const SparseCrossentropyOptions& o) {
  const Tensor t = Indices(y_true, y_pred);
  Tensor valid, safe = t;
  if (o.ignore_class) {
    valid = t != static_cast<double>(*o.ignore_class);
    safe = eager::ApplyOne("select", {valid, t, Do("zeros_like", t)});
  }
  Tensor loss;
  if (o.from_logits) {
    loss = Do("sparse_softmax_cross_entropy", y_pred, safe, {{"axis", std::int64_t{o.axis}}});
  } else {
    const Tensor logs = Log(Clip(y_pred / ReduceSum(y_pred, {o.axis}, true), kEpsilon, 1 - kEpsilon));
    const std::int64_t classes = y_pred.shape()[o.axis].value();
    const Tensor hot =
        Do("one_hot", safe, {{"depth", classes}, {"axis", std::int64_t{o.axis}}, {"dtype", y_pred.dtype()}});
    loss = -ReduceSum(hot * logs, {o.axis});
  }
  return o.ignore_class ? loss * CastTo(valid, loss.dtype()) : loss;
}

Tensor Pairwise(const Tensor& y_true, const Tensor& y_pred, const char* op) {
  const Tensor p = Float(y_pred);
  auto [t, q] = SqueezeOrExpand(CastTo(y_true, p.dtype()), p);
  return ReduceMean(Do(op, q - t), {-1});
}

}  // namespace

Tensor Loss::operator()(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) const {
  Tensor loss = per_sample_(y_true, y_pred);
  Tensor weight;
  if (sample_weight.defined()) {
    weight = CastTo(sample_weight, loss.dtype());
    // One weight a sample, whatever follows the batch axis.
    while (weight.shape().rank() > loss.shape().rank() && Dim::equal(weight.shape().back(), Dim(1)) == Truth::kYes)
      weight = Do("squeeze", weight, {{"axes", std::vector<std::int64_t>{-1}}});
    while (weight.shape().rank() < loss.shape().rank())
      weight = Do("expand_dims", weight, {{"axes", std::vector<std::int64_t>{-1}}});
  }
  if (valid_) {
    Tensor mask = CastTo(valid_(y_true, y_pred), loss.dtype());
    // So that the mean over all elements is one over the valid ones.
    if (reduction_ == Reduction::kSumOverBatchSize)
      mask = mask * (CastTo(ElementCount(mask), mask.dtype()) / (ReduceSum(mask) + kEpsilon));
    weight = weight.defined() ? weight * mask : mask;
  }
  if (weight.defined()) loss = loss * weight;
  switch (reduction_) {
    case Reduction::kNone:
      return loss;
    case Reduction::kSum:
      return ReduceSum(loss);
    case Reduction::kMeanWithSampleWeight:
      return weight.defined() ? ReduceSum(loss) / ReduceSum(Do("broadcast_like", weight, loss)) : ReduceMean(loss, {});
    case Reduction::kSumOverBatchSize:
      break;
  }
  return loss.shape().rank() == 0 ? loss : ReduceMean(loss, {});
}

BinaryCrossentropy::BinaryCrossentropy(CrossentropyOptions o)
    : Loss(Fn([o](const Tensor& t, const Tensor& p) { return BinaryPerSample(t, p, o); }), "binary_crossentropy",
           o.reduction) {}
CategoricalCrossentropy::CategoricalCrossentropy(CrossentropyOptions o)
    : Loss(Fn([o](const Tensor& t, const Tensor& p) { return CategoricalPerSample(t, p, o); }),
           "categorical_crossentropy", o.reduction) {}
SparseCategoricalCrossentropy::SparseCategoricalCrossentropy(SparseCrossentropyOptions o)
    : Loss(Fn([o](const Tensor& t, const Tensor& p) { return SparsePerSample(t, p, o); }),
           "sparse_categorical_crossentropy", o.reduction,
           o.ignore_class ? ValidFn([o](const Tensor& t, const Tensor& p) {
             return Indices(t, p) != static_cast<double>(*o.ignore_class);
           })
                          : ValidFn()) {}
MeanSquaredError::MeanSquaredError(ReductionOptions o)
    : Loss(Fn([](const Tensor& t, const Tensor& p) { return Pairwise(t, p, "square"); }), "mean_squared_error",
           o.reduction) {}
MeanAbsoluteError::MeanAbsoluteError(ReductionOptions o)
    : Loss(Fn([](const Tensor& t, const Tensor& p) { return Pairwise(t, p, "abs"); }), "mean_absolute_error",
           o.reduction) {}

Loss Loss::get(const NameOr<Loss>& which) {
  if (which.object()) return *which.object();
  static const std::map<std::string, std::function<Loss()>> kByName = {
      {"mean_squared_error", [] { return MeanSquaredError(); }},
      {"mse", [] { return MeanSquaredError(); }},
      {"MSE", [] { return MeanSquaredError(); }},
      {"mean_absolute_error", [] { return MeanAbsoluteError(); }},
      {"mae", [] { return MeanAbsoluteError(); }},
      {"MAE", [] { return MeanAbsoluteError(); }},
      {"binary_crossentropy", [] { return BinaryCrossentropy(); }},
      {"bce", [] { return BinaryCrossentropy(); }},
      {"categorical_crossentropy", [] { return CategoricalCrossentropy(); }},
      {"sparse_categorical_crossentropy", [] { return SparseCategoricalCrossentropy(); }},
  };
  const auto it = kByName.find(which.name());
  if (it != kByName.end()) return it->second();
  std::string names;
  for (const auto& [name, make] : kByName) names += (names.empty() ? "" : ", ") + name;
  fail(Code::kNotFound, "loss \"" + which.name() + "\": there is none of that name, expected one of: " + names);
}

}  // namespace tenon::keras
