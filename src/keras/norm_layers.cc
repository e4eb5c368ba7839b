// BatchNormalization, LayerNormalization, Normalization, Rescaling.
#include <cmath>

#include "ir/numeric.h"
#include "keras/layer_call.h"
#include "keras/numeric.h"
#include "tenon/keras/layers.h"

namespace tenon::keras::layers {
namespace {

std::int64_t KnownDim(const std::string& what, const Shape& input, int axis) {
  const Dim& d = input[axis];
  if (d.is_symbolic())
    fail(Code::kInvalidArgument,
         what + ": got input " + input.to_string() + ", expected a known dim at axis " + std::to_string(axis));
  return d.value();
}

class BatchNormalizationImpl : public LayerImpl {
 public:
  explicit BatchNormalizationImpl(BatchNormalizationOptions o) : o_(std::move(o)) {}
  void build(const Shape& input) override {
    const Shape per_channel = {KnownDim("BatchNormalization \"" + name() + "\"", input, o_.axis)};
    if (o_.scale) gamma_ = add_weight("gamma", per_channel, {.initializer = o_.gamma_initializer});
    if (o_.center) beta_ = add_weight("beta", per_channel, {.initializer = o_.beta_initializer});
    mean_ = add_weight("moving_mean", per_channel, {.initializer = o_.moving_mean_initializer, .trainable = false});
    variance_ =
        add_weight("moving_variance", per_channel, {.initializer = o_.moving_variance_initializer, .trainable = false});
  }
  Tensor call(const Tensor& x, const CallArgs& args) override {
    const ir::Attrs attrs{{"axis", std::int64_t{o_.axis}}, {"epsilon", o_.epsilon}};
    const Tensor gamma = o_.scale ? Tensor(gamma_) : Tensor(), beta = o_.center ? Tensor(beta_) : Tensor();
    if (!IsTraining(args) || !trainable())
      return eager::ApplyOne("batch_norm", {x, mean_, variance_, gamma, beta}, attrs);
    const std::vector<Tensor> out = eager::Apply("batch_norm_training", {x, gamma, beta}, attrs);
    mean_.assign(mean_ * o_.momentum + out[1] * (1 - o_.momentum));
    variance_.assign(variance_ * o_.momentum + out[2] * (1 - o_.momentum));
    return out[0];
  }
  Config get_config() const override {
    return {{"axis", o_.axis},
            {"momentum", o_.momentum},
            {"epsilon", o_.epsilon},
            {"center", o_.center},
            {"scale", o_.scale}};
  }

 private:
  BatchNormalizationOptions o_;
  Variable gamma_, beta_, mean_, variance_;
};

class LayerNormalizationImpl : public LayerImpl {
 public:
  explicit LayerNormalizationImpl(LayerNormalizationOptions o) : o_(std::move(o)) {}
  void build(const Shape& input) override {
    if (o_.axis != -1 && o_.axis != input.rank() - 1)
      fail(Code::kUnimplemented, "LayerNormalization: got axis " + std::to_string(o_.axis) + ", expected the last one");
    const Shape last = {KnownDim("LayerNormalization \"" + name() + "\"", input, -1)};
    if (o_.scale) gamma_ = add_weight("gamma", last, {.initializer = "ones"});
    if (o_.center) beta_ = add_weight("beta", last, {.initializer = "zeros"});
  }
  Tensor call(const Tensor& x, const CallArgs&) override {
    return eager::ApplyOne("layer_norm",
                           {x, o_.scale ? Tensor(gamma_) : Tensor(), o_.center ? Tensor(beta_) : Tensor()},
                           {{"axis", std::int64_t{-1}}, {"epsilon", o_.epsilon}});
  }
  Config get_config() const override {
    return {{"axis", o_.axis}, {"epsilon", o_.epsilon}, {"center", o_.center}, {"scale", o_.scale}};
  }

 private:
  LayerNormalizationOptions o_;
  Variable gamma_, beta_;
};

Literal Floats(const std::vector<double>& values) {
  return ir::FromDoubles(DType::kF32, {static_cast<std::int64_t>(values.size())}, values);
}

class NormalizationImpl : public LayerImpl {
 public:
  explicit NormalizationImpl(NormalizationOptions o) : o_(std::move(o)) {
    if (o_.mean.has_value() != o_.variance.has_value())
      fail(Code::kInvalidArgument, "Normalization: give both mean and variance, or neither and call adapt");
  }
  void build(const Shape& input) override {
    const std::int64_t n = KnownDim("Normalization \"" + name() + "\"", input, o_.axis);
    const auto given = [&](const std::optional<std::vector<double>>& v, double otherwise, const char* what) {
      std::vector<double> values = v.value_or(std::vector<double>(static_cast<std::size_t>(n), otherwise));
      if (values.size() == 1) values.resize(static_cast<std::size_t>(n), values[0]);
      if (static_cast<std::int64_t>(values.size()) != n)
        fail(Code::kInvalidArgument, std::string("Normalization: got ") + std::to_string(values.size()) +
                                         " values of " + what + ", expected " + std::to_string(n));
      return Floats(values);
    };
    mean_ = add_state("mean", given(o_.mean, 0, "mean"));
    variance_ = add_state("variance", given(o_.variance, 1, "variance"));
    if (!o_.mean) count_ = add_state("count", Literal::scalar<std::int32_t>(0));
  }
  void Adapt(const Tensor& data) {
    const Shape shape = data.shape();
    const Shape shapes[] = {shape};
    ensure_built(shapes);
    const int axis = o_.axis < 0 ? o_.axis + shape.rank() : o_.axis;
    const std::vector<double> x = ir::ToDoubles(data.literal());
    const std::vector<std::int64_t> dims = shape.values();
    std::int64_t inner = 1;
    for (std::size_t i = static_cast<std::size_t>(axis) + 1; i < dims.size(); ++i) inner *= dims[i];
    const std::int64_t n = dims[static_cast<std::size_t>(axis)];
    std::vector<double> sum(static_cast<std::size_t>(n)), square(static_cast<std::size_t>(n));
    const double rows = static_cast<double>(x.size()) / static_cast<double>(n);
    for (std::size_t i = 0; i < x.size(); ++i)
      sum[static_cast<std::size_t>(static_cast<std::int64_t>(i) / inner % n)] += x[i] / rows;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const auto c = static_cast<std::size_t>(static_cast<std::int64_t>(i) / inner % n);
      square[c] += (x[i] - sum[c]) * (x[i] - sum[c]) / rows;
    }
    mean_.assign(Tensor(Floats(sum)));
    variance_.assign(Tensor(Floats(square)));
    if (count_.defined()) count_.assign(Tensor(Literal::scalar(static_cast<std::int32_t>(rows))));
  }
  Tensor call(const Tensor& x, const CallArgs&) override {
    const Tensor in = CastTo(x, DType::kF32);
    const int axis = o_.axis < 0 ? o_.axis + in.shape().rank() : o_.axis;
    std::vector<Dim> dims(static_cast<std::size_t>(in.shape().rank() - axis), Dim(1));
    dims[0] = mean_.shape()[0];
    const auto aligned = [&](const Tensor& v) { return dims.size() == 1 ? v : ReshapeTo(v, Shape(dims)); };
    const Tensor mean = aligned(mean_);
    const Tensor root = Do("sqrt", aligned(variance_));
    const Tensor deviation = eager::ApplyOne("maximum", {root, eager::Weak(1e-7, root)});
    return o_.invert ? mean + in * deviation : (in - mean) / deviation;
  }
  Config get_config() const override { return {{"axis", o_.axis}, {"invert", o_.invert}}; }

 private:
  NormalizationOptions o_;
  Variable mean_, variance_, count_;
};

class RescalingImpl : public LayerImpl {
 public:
  RescalingImpl(double scale, double offset) : scale_(scale), offset_(offset) {}
  Tensor call(const Tensor& x, const CallArgs&) override {
    const Tensor in = is_float(x.dtype()) ? x : CastTo(x, DType::kF32);
    return in * scale_ + offset_;
  }
  Config get_config() const override { return {{"scale", scale_}, {"offset", offset_}}; }

 private:
  double scale_, offset_;
};

}  // namespace

BatchNormalization::BatchNormalization(BatchNormalizationOptions o)
    : Layer(Named(std::make_shared<BatchNormalizationImpl>(o), o.name)) {}
LayerNormalization::LayerNormalization(LayerNormalizationOptions o)
    : Layer(Named(std::make_shared<LayerNormalizationImpl>(o), o.name)) {}
Normalization::Normalization(NormalizationOptions o) : Layer(Named(std::make_shared<NormalizationImpl>(o), o.name)) {}
void Normalization::adapt(const Tensor& data) const { static_cast<NormalizationImpl&>(*impl()).Adapt(data); }
Rescaling::Rescaling(double scale, RescalingOptions o)
    : Layer(Named(std::make_shared<RescalingImpl>(scale, o.offset), o.name)) {}

}  // namespace tenon::keras::layers
