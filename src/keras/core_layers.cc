// Dense, Embedding, Dropout and the layers without weights.
#include "eager/random.h"
#include "eager/trace.h"
#include "ir/variable.h"
#include "keras/layer_call.h"
#include "keras/numeric.h"
#include "tenon/keras/layers.h"

namespace tenon::keras::layers {
namespace {

std::string NameOf(const NameOr<keras::Activation>& a) {
  return a.object() ? "function" : a.name().empty() ? "linear" : a.name();
}

class DenseImpl : public LayerImpl {
 public:
  DenseImpl(std::int64_t units, DenseOptions o)
      : units_(units), o_(std::move(o)), activation_(get_activation(o_.activation)) {
    if (units <= 0)
      fail(Code::kInvalidArgument, "Dense: got units " + std::to_string(units) + ", expected more than 0");
  }
  void build(const Shape& input) override {
    if (input.rank() < 2 || input.back().is_symbolic())
      fail(Code::kInvalidArgument, "Dense \"" + name() + "\": got input " + input.to_string() +
                                       ", expected rank 2 or more with a known last dim");
    kernel_ = add_weight("kernel", {input.back(), units_}, {.initializer = o_.kernel_initializer});
    if (o_.use_bias) bias_ = add_weight("bias", {units_}, {.initializer = o_.bias_initializer});
  }
  Tensor call(const Tensor& x, const CallArgs&) override {
    Tensor y = Do("matmul", x, kernel_);
    if (o_.use_bias) y = y + bias_;
    return activation_ ? activation_(y) : y;
  }
  Config get_config() const override {
    return {{"units", units_}, {"activation", NameOf(o_.activation)}, {"use_bias", o_.use_bias}};
  }

 private:
  std::int64_t units_;
  DenseOptions o_;
  keras::Activation activation_;
  Variable kernel_, bias_;
};

class FlattenImpl : public LayerImpl {
 public:
  Tensor call(const Tensor& x, const CallArgs&) override {
    const Shape s = x.shape();
    if (s.rank() == 1) return Do("expand_dims", x, {{"axes", std::vector<std::int64_t>{-1}}});
    Dim n = 1;
    for (int i = 1; i < s.rank(); ++i) n = n * s[i];
    return ReshapeTo(x, Shape({s[0], n}));
  }
};

class ReshapeImpl : public LayerImpl {
 public:
  explicit ReshapeImpl(std::vector<std::int64_t> target) : target_(std::move(target)) {
    int unknown = 0;
    for (const std::int64_t d : target_) {
      unknown += d == -1 ? 1 : 0;
      if (d < -1 || unknown > 1)
        fail(Code::kInvalidArgument, "Reshape: got target " +
                                         Shape(std::span<const std::int64_t>(target_)).to_string() +
                                         ", expected dims >= 0 and at most one -1");
    }
  }
  Tensor call(const Tensor& x, const CallArgs&) override {
    const Shape s = x.shape();
    Dim total = 1, known = 1;
    for (int i = 1; i < s.rank(); ++i) total = total * s[i];
    for (const std::int64_t d : target_)
      if (d != -1) known = known * Dim(d);
    std::vector<Dim> dims = {s[0]};
    for (const std::int64_t d : target_) dims.push_back(d == -1 ? Dim::floor_div(total, known) : Dim(d));
    return ReshapeTo(x, Shape(std::move(dims)));
  }
  Config get_config() const override { return {{"target_shape", target_}}; }

 private:
  std::vector<std::int64_t> target_;
};

class DropoutImpl : public LayerImpl {
 public:
  DropoutImpl(double rate, DropoutOptions o) : rate_(rate), o_(std::move(o)) {
    if (!(rate >= 0 && rate <= 1))
      fail(Code::kInvalidArgument, "Dropout: got rate " + std::to_string(rate) + ", expected one in [0, 1]");
  }
  void build(const Shape&) override {
    std::uint64_t seed = 0;
    if (o_.seed) {
      seed = *o_.seed;
    } else {
      const Tensor state = eager::NextRandomState();
      const std::span<const std::uint64_t> words = state.literal().data<std::uint64_t>();
      seed = words[0] ^ ((words[1] + 1) * 0x9e3779b97f4a7c15ULL);
    }
    state_ = add_state("seed_generator_state", Literal::from<std::uint64_t>({2}, {seed, 0}));
  }
  Tensor call(const Tensor& x, const CallArgs& args) override {
    if (!IsTraining(args) || rate_ == 0) return x;
    return Do("dropout", x, eager::NextRandomState(state_.cell()), {{"rate", rate_}});
  }
  Config get_config() const override { return {{"rate", rate_}}; }

 private:
  double rate_;
  DropoutOptions o_;
  Variable state_;
};

class ActivationImpl : public LayerImpl {
 public:
  explicit ActivationImpl(NameOr<keras::Activation> a) : which_(std::move(a)), activation_(get_activation(which_)) {}
  Tensor call(const Tensor& x, const CallArgs&) override { return activation_ ? activation_(x) : x; }
  Config get_config() const override { return {{"activation", NameOf(which_)}}; }

 private:
  NameOr<keras::Activation> which_;
  keras::Activation activation_;
};

class ReLUImpl : public LayerImpl {
 public:
  explicit ReLUImpl(ReLUOptions o) : o_(std::move(o)) {
    if ((o_.max_value && *o_.max_value < 0) || o_.negative_slope < 0 || o_.threshold < 0)
      fail(Code::kInvalidArgument, "ReLU: max_value, negative_slope and threshold must not be negative");
  }
  // min(x, max_value) above the threshold, negative_slope * (x - threshold) below, 0 where x is the threshold.
  Tensor call(const Tensor& x, const CallArgs&) override {
    const bool plain = o_.threshold == 0 && o_.negative_slope == 0;
    if (plain && o_.max_value && *o_.max_value == 6) return Do("relu6", x);
    if (o_.threshold == 0 && !o_.max_value)
      return plain ? Do("relu", x) : Do("leaky_relu", x, {{"negative_slope", o_.negative_slope}});
    Tensor y =
        o_.threshold == 0 ? Do("relu", x) : eager::ApplyOne("select", {x > o_.threshold, x, Do("zeros_like", x)});
    if (o_.max_value) y = Clip(y, 0, *o_.max_value);
    return o_.negative_slope == 0 ? y : y - Do("relu", o_.threshold - x) * o_.negative_slope;
  }
  Config get_config() const override { return {{"negative_slope", o_.negative_slope}, {"threshold", o_.threshold}}; }

 private:
  ReLUOptions o_;
};

class SoftmaxImpl : public LayerImpl {
 public:
  explicit SoftmaxImpl(int axis) : axis_(axis) {}
  Tensor call(const Tensor& x, const CallArgs&) override { return Do("softmax", x, {{"axis", std::int64_t{axis_}}}); }
  Config get_config() const override { return {{"axis", axis_}}; }

 private:
  int axis_;
};

class MergeImpl : public LayerImpl {
 public:
  explicit MergeImpl(std::string op, std::string cls) : op_(std::move(op)), class_(std::move(cls)) {}
  std::string class_name() const override { return class_; }
  void build_all(std::span<const Shape> inputs) override {
    if (inputs.size() < 2)
      fail(Code::kInvalidArgument, class_ + ": got " + std::to_string(inputs.size()) + " inputs, expected 2 or more");
  }
  std::vector<Tensor> call_all(std::span<const Tensor> inputs, const CallArgs&) override {
    Tensor sum = inputs[0];
    for (std::size_t i = 1; i < inputs.size(); ++i) sum = Do(op_, sum, inputs[i]);
    return {sum};
  }

 private:
  std::string op_, class_;
};

class ConcatenateImpl : public LayerImpl {
 public:
  explicit ConcatenateImpl(int axis) : axis_(axis) {}
  std::vector<Tensor> call_all(std::span<const Tensor> inputs, const CallArgs&) override {
    return eager::Apply(ir::GetOp("concat"), inputs, {{"axis", std::int64_t{axis_}}});
  }
  Config get_config() const override { return {{"axis", axis_}}; }

 private:
  int axis_;
};

class EmbeddingImpl : public LayerImpl {
 public:
  EmbeddingImpl(std::int64_t in, std::int64_t out, EmbeddingOptions o) : in_(in), out_(out), o_(std::move(o)) {
    if (in <= 0 || out <= 0)
      fail(Code::kInvalidArgument, "Embedding: got input_dim " + std::to_string(in) + " and output_dim " +
                                       std::to_string(out) + ", expected more than 0");
  }
  void build(const Shape&) override {
    table_ = add_weight("embeddings", {in_, out_}, {.initializer = o_.embeddings_initializer});
  }
  Tensor call(const Tensor& x, const CallArgs&) override {
    const Tensor index = is_integer(x.dtype()) ? x : CastTo(x, DType::kI32);
    return Do("gather", table_, index, {{"axis", std::int64_t{0}}});
  }
  Config get_config() const override { return {{"input_dim", in_}, {"output_dim", out_}}; }

 private:
  std::int64_t in_, out_;
  EmbeddingOptions o_;
  Variable table_;
};

}  // namespace

Dense::Dense(std::int64_t units, DenseOptions o) : Layer(Named(std::make_shared<DenseImpl>(units, o), o.name)) {}
Flatten::Flatten(NameOptions o) : Layer(Named(std::make_shared<FlattenImpl>(), o.name)) {}
Reshape::Reshape(std::vector<std::int64_t> target, NameOptions o)
    : Layer(Named(std::make_shared<ReshapeImpl>(std::move(target)), o.name)) {}
Dropout::Dropout(double rate, DropoutOptions o) : Layer(Named(std::make_shared<DropoutImpl>(rate, o), o.name)) {}
Activation::Activation(NameOr<keras::Activation> a, NameOptions o)
    : Layer(Named(std::make_shared<ActivationImpl>(std::move(a)), o.name)) {}
ReLU::ReLU(ReLUOptions o) : Layer(Named(std::make_shared<ReLUImpl>(o), o.name)) {}
Softmax::Softmax(SoftmaxOptions o) : Layer(Named(std::make_shared<SoftmaxImpl>(o.axis), o.name)) {}
Add::Add(NameOptions o) : Layer(Named(std::make_shared<MergeImpl>("add", "Add"), o.name)) {}
Multiply::Multiply(NameOptions o) : Layer(Named(std::make_shared<MergeImpl>("multiply", "Multiply"), o.name)) {}
Concatenate::Concatenate(ConcatenateOptions o) : Layer(Named(std::make_shared<ConcatenateImpl>(o.axis), o.name)) {}
Embedding::Embedding(std::int64_t in, std::int64_t out, EmbeddingOptions o)
    : Layer(Named(std::make_shared<EmbeddingImpl>(in, out, o), o.name)) {}

}  // namespace tenon::keras::layers
