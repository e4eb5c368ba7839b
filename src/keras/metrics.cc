#include "ir/variable.h"
#include "keras/numeric.h"
#include "tenon/keras/training.h"

namespace tenon::keras {

Variable MetricImpl::add_variable(const std::string& variable, const Literal& initial) {
  variables_.emplace_back(std::make_shared<ir::VariableCell>(name_ + "/" + variable, initial, false));
  initial_.push_back(initial);
  return variables_.back();
}

void MetricImpl::reset_state() {
  for (std::size_t i = 0; i < variables_.size(); ++i) {
    // A new storage, so that the initial value is never written over.
    Literal fresh = initial_[i];
    if (fresh.nbytes() > 0) fresh.mutable_raw();
    variables_[i].assign(Tensor(std::move(fresh)));
  }
}

namespace {

// total += sum(values * weights); count += sum(weights), or the number of samples.
class MeanState : public MetricImpl {
 public:
  MeanState(std::string name, Loss::Fn fn, int direction)
      : MetricImpl(std::move(name)),
        fn_(std::move(fn)),
        direction_(direction),
        total_(add_variable("total", Literal::scalar<float>(0))),
        count_(add_variable("count", Literal::scalar<float>(0))) {}
  void update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) override {
    Tensor values = fn_ ? fn_(y_true, y_pred) : y_true;
    values = CastTo(values, DType::kF32);
    Tensor weight;
    if (sample_weight.defined()) {
      weight = CastTo(sample_weight, DType::kF32);
      while (weight.shape().rank() > values.shape().rank()) weight = ReduceMean(weight, {-1});
    }
    // A sample's values (those under one weight) count as one: their mean.
    std::vector<std::int64_t> rest;
    for (std::int64_t i = weight.defined() ? weight.shape().rank() : 1; i < values.shape().rank(); ++i)
      rest.push_back(i);
    if (!rest.empty()) values = ReduceMean(values, std::move(rest));
    if (weight.defined()) {
      weight = Do("broadcast_like", weight, values);
      total_.assign(total_ + ReduceSum(values * weight));
      count_.assign(count_ + ReduceSum(weight));
      return;
    }
    total_.assign(total_ + (values.shape().rank() == 0 ? values : ReduceSum(values)));
    count_.assign(count_ + ElementCount(values));
  }
  Tensor result() const override {
    const Tensor total = total_, count = count_;
    if (!total.symbolic() && !count.symbolic()) {  // read at every batch: no dispatch
      const double n = count.item();
      return Tensor(Literal::scalar(static_cast<float>(n == 0 ? 0 : total.item() / n)));
    }
    return eager::ApplyOne("select", {count == 0.0, Do("zeros_like", total), total / count});
  }
  int direction() const override { return direction_; }

 private:
  Loss::Fn fn_;
  int direction_;
  Variable total_, count_;
};

Tensor Matches(const Tensor& a, const Tensor& b) { return CastTo(a == b, DType::kF32); }

Tensor ArgMax(const Tensor& x) { return Do("argmax", x, {{"axis", std::int64_t{-1}}}); }

std::shared_ptr<MetricImpl> Matching(std::string name, Loss::Fn fn) {
  return std::make_shared<MeanState>(std::move(name), std::move(fn), 1);
}

Tensor SparseMatches(const Tensor& y_true, const Tensor& y_pred) {
  Tensor t = y_true;
  if (t.shape().rank() == y_pred.shape().rank() && Dim::equal(t.shape().back(), Dim(1)) == Truth::kYes)
    t = Do("squeeze", t, {{"axes", std::vector<std::int64_t>{-1}}});
  return Matches(CastTo(t, DType::kI64), ArgMax(y_pred));
}

}  // namespace

Mean::Mean(std::string name) : Metric(std::make_shared<MeanState>(std::move(name), nullptr, -1)) {}
MeanMetricWrapper::MeanMetricWrapper(Loss::Fn fn, std::string name, int direction)
    : Metric(std::make_shared<MeanState>(std::move(name), std::move(fn), direction)) {}
Accuracy::Accuracy(std::string name)
    : Metric(Matching(std::move(name), [](const Tensor& t, const Tensor& p) {
        auto [a, b] = SqueezeOrExpand(CastTo(t, p.dtype()), p);
        return Matches(a, b);
      })) {}
BinaryAccuracy::BinaryAccuracy(double threshold, std::string name)
    : Metric(Matching(std::move(name), [threshold](const Tensor& t, const Tensor& p) {
        auto [a, b] = SqueezeOrExpand(CastTo(t, p.dtype()), p);
        return Matches(a, CastTo(b > threshold, b.dtype()));
      })) {}
CategoricalAccuracy::CategoricalAccuracy(std::string name)
    : Metric(
          Matching(std::move(name), [](const Tensor& t, const Tensor& p) { return Matches(ArgMax(t), ArgMax(p)); })) {}
SparseCategoricalAccuracy::SparseCategoricalAccuracy(std::string name)
    : Metric(Matching(std::move(name), SparseMatches)) {}

Metric get_metric(const NameOr<Metric>& which, const Shape& y_true, const Shape& y_pred) {
  if (which.object()) return *which.object();
  const std::string& name = which.name();
  if (name == "accuracy" || name == "acc") {
    if (y_pred.rank() > 0 && Dim::equal(y_pred.back(), Dim(1)) == Truth::kYes) return BinaryAccuracy(0.5, name);
    const bool sparse =
        y_true.rank() < y_pred.rank() || (y_true.rank() > 0 && Dim::equal(y_true.back(), Dim(1)) == Truth::kYes);
    if (sparse) return SparseCategoricalAccuracy(name);
    return CategoricalAccuracy(name);
  }
  if (name == "binary_accuracy") return BinaryAccuracy();
  if (name == "categorical_accuracy") return CategoricalAccuracy();
  if (name == "sparse_categorical_accuracy") return SparseCategoricalAccuracy();
  if (name == "mean") return Mean();
  static constexpr std::string_view kLosses[] = {"mean_squared_error",
                                                 "mse",
                                                 "MSE",
                                                 "mean_absolute_error",
                                                 "mae",
                                                 "MAE",
                                                 "binary_crossentropy",
                                                 "bce",
                                                 "categorical_crossentropy",
                                                 "sparse_categorical_crossentropy"};
  for (const std::string_view loss : kLosses)
    if (loss == name) {
      const Loss found = Loss::get(name);
      return MeanMetricWrapper([found](const Tensor& t, const Tensor& p) { return found.per_sample(t, p); }, name);
    }
  fail(Code::kNotFound, "metric \"" + name +
                            "\": there is none of that name, expected accuracy, binary_accuracy, categorical_accuracy, "
                            "sparse_categorical_accuracy, mean or the name of a loss");
}

}  // namespace tenon::keras
