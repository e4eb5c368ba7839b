// Losses, metrics, optimizers: names, defaults and formulas of Keras 3.
#pragma once
#include <functional>
#include <map>
#include <span>

#include "tenon/keras/layer.h"

namespace tenon::keras {

/// One V for every output, or a V for each output by name.
template <class V>
class PerOutput {
 public:
  PerOutput() = default;
  template <std::convertible_to<V> T>
    requires(!std::derived_from<std::remove_cvref_t<T>, PerOutput>)
  PerOutput(T&& one) : one_(std::forward<T>(one)) {}
  PerOutput(std::initializer_list<std::pair<const std::string, V>> outputs) : outputs_(outputs) {}
  const V& one() const { return one_; }
  const std::map<std::string, V>& outputs() const { return outputs_; }

 private:
  V one_ = {};
  std::map<std::string, V> outputs_;
};

/// "sum_over_batch_size" is the mean over all per-sample losses; sample weights multiply before it, the divisor stays.
enum class Reduction { kSumOverBatchSize, kSum, kMeanWithSampleWeight, kNone };

/// Any function of (y_true, y_pred); what it gives is reduced. Names: mean_squared_error (mse), mean_absolute_error
/// (mae), binary_crossentropy, categorical_crossentropy, sparse_categorical_crossentropy.
class TENON_API Loss {
 public:
  using Fn = std::function<Tensor(const Tensor& y_true, const Tensor& y_pred)>;
  template <class F>
    requires(!std::derived_from<F, Loss> && std::invocable<const F&, const Tensor&, const Tensor&>)
  Loss(F body) : Loss(Fn(std::move(body)), "loss") {}
  /// `valid`, when given, tells from y_true which losses count (as bool, shaped like them): the others weigh nothing,
  /// and the mean is over the valid ones.
  using ValidFn = std::function<Tensor(const Tensor& y_true, const Tensor& y_pred)>;
  Loss(Fn per_sample, std::string name, Reduction reduction = Reduction::kSumOverBatchSize, ValidFn valid = {})
      : per_sample_(std::move(per_sample)), name_(std::move(name)), reduction_(reduction), valid_(std::move(valid)) {}
  /// The reduced loss: a scalar (per sample with kNone).
  Tensor operator()(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight = {}) const;
  const std::string& name() const { return name_; }
  /// Before the reduction.
  Tensor per_sample(const Tensor& y_true, const Tensor& y_pred) const { return per_sample_(y_true, y_pred); }
  static Loss get(const NameOr<Loss>& which);  // throws kNotFound listing the names

 private:
  Fn per_sample_;
  std::string name_;
  Reduction reduction_;
  ValidFn valid_;
};
struct CrossentropyOptions {
  bool from_logits = false;
  double label_smoothing = 0;
  int axis = -1;
  Reduction reduction = Reduction::kSumOverBatchSize;
};
struct TENON_API BinaryCrossentropy : Loss {
  explicit BinaryCrossentropy(CrossentropyOptions options = {});
};
struct TENON_API CategoricalCrossentropy : Loss {
  explicit CategoricalCrossentropy(CrossentropyOptions options = {});
};
struct SparseCrossentropyOptions {
  bool from_logits = false;
  std::optional<std::int64_t> ignore_class = {};
  int axis = -1;
  Reduction reduction = Reduction::kSumOverBatchSize;
};
struct TENON_API SparseCategoricalCrossentropy : Loss {
  explicit SparseCategoricalCrossentropy(SparseCrossentropyOptions options = {});
};
struct ReductionOptions {
  Reduction reduction = Reduction::kSumOverBatchSize;
};
struct TENON_API MeanSquaredError : Loss {
  explicit MeanSquaredError(ReductionOptions options = {});
};
struct TENON_API MeanAbsoluteError : Loss {
  explicit MeanAbsoluteError(ReductionOptions options = {});
};
using LossArg = PerOutput<NameOr<Loss>>;

/// State over batches. update_state works eagerly and inside traced steps.
class TENON_API MetricImpl : public Impl {
 public:
  using Base = struct Metric;
  explicit MetricImpl(std::string name) : name_(std::move(name)) {}
  virtual void update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) = 0;
  virtual Tensor result() const = 0;
  virtual void reset_state();
  /// -1: lower is better, 1: higher is better, 0: unknown.
  virtual int direction() const { return 0; }
  const std::string& name() const { return name_; }
  void set_name(std::string name) { name_ = std::move(name); }
  const std::vector<Variable>& variables() const { return variables_; }

 protected:
  Variable add_variable(const std::string& name, const Literal& initial);

 private:
  std::string name_;
  std::vector<Variable> variables_;
  std::vector<Literal> initial_;
};
struct TENON_API Metric : Shared<MetricImpl> {
  using Shared::Shared;
  void update_state(const Tensor& y_true, const Tensor& y_pred = {}, const Tensor& sample_weight = {}) const {
    impl()->update_state(y_true, y_pred, sample_weight);
  }
  Tensor result() const { return impl()->result(); }
  void reset_state() const { impl()->reset_state(); }
  const std::string& name() const { return impl()->name(); }
};
/// The weighted mean of the values given as y_true. As in every metric that averages, a sample counts once: where it
/// has several values (or a weight covers several), their mean is taken first.
struct TENON_API Mean : Metric {
  explicit Mean(std::string name = "mean");
};
struct TENON_API Accuracy : Metric {
  explicit Accuracy(std::string name = "accuracy");
};
struct TENON_API BinaryAccuracy : Metric {
  explicit BinaryAccuracy(double threshold = 0.5, std::string name = "binary_accuracy");
};
struct TENON_API CategoricalAccuracy : Metric {
  explicit CategoricalAccuracy(std::string name = "categorical_accuracy");
};
struct TENON_API SparseCategoricalAccuracy : Metric {
  explicit SparseCategoricalAccuracy(std::string name = "sparse_categorical_accuracy");
};
/// The mean of any per-sample function of (y_true, y_pred): what a loss used as a metric is.
struct TENON_API MeanMetricWrapper : Metric {
  MeanMetricWrapper(Loss::Fn fn, std::string name, int direction = -1);
};
/// Throws kNotFound listing the names. "accuracy" and "acc" choose by the shapes of the last axes.
TENON_API Metric get_metric(const NameOr<Metric>& which, const Shape& y_true, const Shape& y_pred);
/// A name, a Metric or a list of them.
struct MetricList : std::vector<NameOr<Metric>> {
  MetricList(std::initializer_list<NameOr<Metric>> metrics = {}) : vector(metrics) {}
  template <std::convertible_to<NameOr<Metric>> M>
  MetricList(M&& metric) : vector(1, NameOr<Metric>(std::forward<M>(metric))) {}
};
struct MetricsArg : PerOutput<MetricList> {
  using PerOutput::PerOutput;
  MetricsArg(std::initializer_list<NameOr<Metric>> metrics) : PerOutput(MetricList(metrics)) {}
};

/// A learning rate: a constant, or a function of the step (i64 scalar) that gives an f32 scalar.
class TENON_API Schedule {
 public:
  template <class N>
    requires std::is_arithmetic_v<N>
  Schedule(N constant) : constant_(static_cast<double>(constant)) {}
  explicit Schedule(std::function<Tensor(const Tensor& step)> fn) : fn_(std::move(fn)) {}
  bool is_constant() const { return fn_ == nullptr; }
  double constant() const { return constant_; }
  Tensor operator()(const Tensor& step) const { return fn_(step); }

 private:
  double constant_ = 0;
  std::function<Tensor(const Tensor&)> fn_;
};

/// Common to all optimizers; at most one of the three clips may be given.
struct CommonOptimizerOptions {
  std::optional<double> weight_decay = {};  // decoupled: w -= w * weight_decay * learning_rate, before the update
  std::optional<double> clipnorm = {};
  std::optional<double> clipvalue = {};
  std::optional<double> global_clipnorm = {};
};
class TENON_API OptimizerImpl : public Impl {
 public:
  using Base = struct Optimizer;
  OptimizerImpl(std::string name, Schedule learning_rate, CommonOptimizerOptions common);
  /// Makes the slots; called by the first apply.
  void build(std::span<const Variable> variables);
  void apply(std::span<const Tensor> gradients, std::span<const Variable> variables);
  Tensor learning_rate() const;          // of the present step
  void set_learning_rate(double value);  // throws kFailedPrecondition under a schedule
  Variable iterations() const { return iterations_; }
  const std::string& name() const { return name_; }
  /// iteration, learning_rate (absent under a schedule), then the slots in the order of their making.
  std::vector<Variable> variables() const;
  virtual Config get_config() const;

 protected:
  /// One slot per variable, zero at first, named "<path with _>_<slot>".
  std::vector<Variable> add_slots(std::span<const Variable> variables, const std::string& slot);
  virtual void build_slots(std::span<const Variable> variables) = 0;
  virtual void update(std::size_t index, const Tensor& gradient, const Variable& variable,
                      const Tensor& learning_rate) = 0;

 private:
  std::string name_;
  Schedule schedule_;
  CommonOptimizerOptions common_;
  bool built_ = false;
  Variable iterations_, learning_rate_;
  std::vector<Variable> tracked_, slots_;
};
struct TENON_API Optimizer : Shared<OptimizerImpl> {
  using Shared::Shared;
  /// Undefined gradients are left out with a warning; all undefined throws kInvalidArgument.
  void apply(std::span<const Tensor> gradients, std::span<const Variable> variables) const {
    impl()->apply(gradients, variables);
  }
  Tensor learning_rate() const { return impl()->learning_rate(); }
  void set_learning_rate(double value) const { impl()->set_learning_rate(value); }
  Variable iterations() const { return impl()->iterations(); }
  std::vector<Variable> variables() const { return impl()->variables(); }
  static Optimizer get(const NameOr<Optimizer>& which);  // sgd, adam, adamw, rmsprop; throws kNotFound
};
struct SGDOptions {
  Schedule learning_rate = 0.01;
  double momentum = 0;
  bool nesterov = false;
  CommonOptimizerOptions common = {};
};
struct TENON_API SGD : Optimizer {
  explicit SGD(SGDOptions options = {});
};
struct AdamOptions {
  Schedule learning_rate = 1e-3;
  double beta_1 = 0.9;
  double beta_2 = 0.999;
  double epsilon = 1e-7;
  bool amsgrad = false;
  CommonOptimizerOptions common = {};
};
struct TENON_API Adam : Optimizer {
  explicit Adam(AdamOptions options = {});
};
struct AdamWOptions {
  Schedule learning_rate = 1e-3;
  double weight_decay = 0.004;
  double beta_1 = 0.9;
  double beta_2 = 0.999;
  double epsilon = 1e-7;
  bool amsgrad = false;
  CommonOptimizerOptions common = {};
};
struct TENON_API AdamW : Optimizer {
  explicit AdamW(AdamWOptions options = {});
};
struct RMSpropOptions {
  Schedule learning_rate = 1e-3;
  double rho = 0.9;
  double momentum = 0;
  double epsilon = 1e-7;
  bool centered = false;
  CommonOptimizerOptions common = {};
};
struct TENON_API RMSprop : Optimizer {
  explicit RMSprop(RMSpropOptions options = {});
};
using OptimizerArg = NameOr<Optimizer>;

}  // namespace tenon::keras
