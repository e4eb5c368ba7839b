// Conv2D and the poolings.
#include "keras/numeric.h"
#include "tenon/keras/layers.h"

namespace tenon::keras::layers {
namespace {

std::string LayoutOf(const std::string& layer, const std::string& data_format) {
  if (data_format == "channels_last") return "NHWC";
  if (data_format == "channels_first") return "NCHW";
  fail(Code::kInvalidArgument,
       layer + ": got data_format \"" + data_format + "\", expected channels_last or channels_first");
}

std::string PaddingOf(const std::string& layer, const std::string& padding) {
  if (padding == "same") return "same_upper";
  if (padding == "valid") return "valid";
  fail(Code::kInvalidArgument, layer + ": got padding \"" + padding + "\", expected valid or same");
}

std::vector<std::int64_t> Pair(const std::string& layer, const char* what, Size2 s) {
  if (s.h <= 0 || s.w <= 0)
    fail(Code::kInvalidArgument, layer + ": got " + what + " (" + std::to_string(s.h) + ", " + std::to_string(s.w) +
                                     "), expected numbers above 0");
  return {s.h, s.w};
}

class Conv2DImpl : public LayerImpl {
 public:
  Conv2DImpl(std::int64_t filters, Size2 kernel, Conv2DOptions o)
      : filters_(filters),
        size_(Pair("Conv2D", "kernel_size", kernel)),
        o_(std::move(o)),
        activation_(get_activation(o_.activation)),
        attrs_{{"strides", Pair("Conv2D", "strides", o_.strides)},
               {"dilations", Pair("Conv2D", "dilation_rate", o_.dilation_rate)},
               {"groups", o_.groups},
               {"auto_pad", PaddingOf("Conv2D", o_.padding)},
               {"layout", LayoutOf("Conv2D", o_.data_format)},
               {"kernel_layout", std::string("HWIO")}} {
    if (filters <= 0 || o_.groups <= 0 || filters % o_.groups != 0)
      fail(Code::kInvalidArgument, "Conv2D: got filters " + std::to_string(filters) + " and groups " +
                                       std::to_string(o_.groups) + ", expected filters > 0 divisible by groups");
  }
  void build(const Shape& input) override {
    const bool last = o_.data_format == "channels_last";
    if (input.rank() != 4 || input[last ? 3 : 1].is_symbolic())
      fail(Code::kInvalidArgument,
           "Conv2D \"" + name() + "\": got input " + input.to_string() + ", expected rank 4 with known channels");
    const std::int64_t channels = input[last ? 3 : 1].value();
    if (channels % o_.groups != 0)
      fail(Code::kInvalidArgument, "Conv2D \"" + name() + "\": got " + std::to_string(channels) +
                                       " channels, expected a multiple of groups " + std::to_string(o_.groups));
    kernel_ = add_weight("kernel", {size_[0], size_[1], channels / o_.groups, filters_},
                         {.initializer = o_.kernel_initializer});
    if (o_.use_bias) bias_ = add_weight("bias", {filters_}, {.initializer = o_.bias_initializer});
  }
  Tensor call(const Tensor& x, const CallArgs&) override {
    Tensor y = Do("conv", x, kernel_, attrs_);
    if (o_.use_bias) y = y + (o_.data_format == "channels_last" ? Tensor(bias_) : ReshapeTo(bias_, {filters_, 1, 1}));
    return activation_ ? activation_(y) : y;
  }
  Config get_config() const override {
    return {{"filters", filters_},
            {"kernel_size", size_},
            {"padding", o_.padding},
            {"groups", o_.groups},
            {"use_bias", o_.use_bias}};
  }

 private:
  std::int64_t filters_;
  std::vector<std::int64_t> size_;
  Conv2DOptions o_;
  keras::Activation activation_;
  ir::Attrs attrs_;
  Variable kernel_, bias_;
};

class PoolImpl : public LayerImpl {
 public:
  PoolImpl(std::string op, std::string cls, Size2 size, const std::optional<Size2>& strides, const std::string& padding,
           const std::string& format)
      : op_(std::move(op)),
        class_(std::move(cls)),
        attrs_{{"window", Pair(class_, "pool_size", size)},
               {"strides", Pair(class_, "strides", strides.value_or(size))},
               {"auto_pad", PaddingOf(class_, padding)},
               {"layout", LayoutOf(class_, format)}},
        size_(Pair(class_, "pool_size", size)),
        padding_(padding) {}
  std::string class_name() const override { return class_; }
  Tensor call(const Tensor& x, const CallArgs&) override { return Do(op_, x, attrs_); }
  Config get_config() const override { return {{"pool_size", size_}, {"padding", padding_}}; }

 private:
  std::string op_, class_;
  ir::Attrs attrs_;
  std::vector<std::int64_t> size_;
  std::string padding_;
};

class GlobalAverageImpl : public LayerImpl {
 public:
  explicit GlobalAverageImpl(GlobalPooling2DOptions o)
      : o_(std::move(o)), layout_(LayoutOf("GlobalAveragePooling2D", o_.data_format)) {}
  std::string class_name() const override { return "GlobalAveragePooling2D"; }
  Tensor call(const Tensor& x, const CallArgs&) override {
    return Do("global_average_pool", x, {{"layout", layout_}, {"keep_dims", o_.keepdims}});
  }

 private:
  GlobalPooling2DOptions o_;
  std::string layout_;
};

}  // namespace

Conv2D::Conv2D(std::int64_t filters, Size2 kernel_size, Conv2DOptions o)
    : Layer(Named(std::make_shared<Conv2DImpl>(filters, kernel_size, o), o.name)) {}
MaxPooling2D::MaxPooling2D(MaxPooling2DOptions o)
    : Layer(Named(
          std::make_shared<PoolImpl>("max_pool", "MaxPooling2D", o.pool_size, o.strides, o.padding, o.data_format),
          o.name)) {}
AveragePooling2D::AveragePooling2D(Size2 pool_size, AveragePooling2DOptions o)
    : Layer(Named(
          std::make_shared<PoolImpl>("avg_pool", "AveragePooling2D", pool_size, o.strides, o.padding, o.data_format),
          o.name)) {}
GlobalAveragePooling2D::GlobalAveragePooling2D(GlobalPooling2DOptions o)
    : Layer(Named(std::make_shared<GlobalAverageImpl>(o), o.name)) {}

}  // namespace tenon::keras::layers
