// Keras's layers: required arguments, then the others as options in Keras's order. Formulas and defaults are Keras 3's.
#pragma once
#include "tenon/keras/layer.h"

namespace tenon::keras::layers {

/// 3 or {3, 5}: height, width.
struct Size2 {
  Size2(std::int64_t n) : h(n), w(n) {}
  Size2(std::int64_t h_, std::int64_t w_) : h(h_), w(w_) {}
  std::int64_t h, w;
};

struct DenseOptions {
  NameOr<Activation> activation = {};
  bool use_bias = true;
  NameOr<Initializer> kernel_initializer = "glorot_uniform";
  NameOr<Initializer> bias_initializer = "zeros";
  std::string name = {};
};
/// activation(x kernel + bias) over the last axis; kernel [in, units].
struct TENON_API Dense : Layer {
  explicit Dense(std::int64_t units, DenseOptions options = {});
};

struct Conv2DOptions {
  Size2 strides = 1;
  std::string padding = "valid";              // valid, same
  std::string data_format = "channels_last";  // or channels_first
  Size2 dilation_rate = 1;
  std::int64_t groups = 1;
  NameOr<Activation> activation = {};
  bool use_bias = true;
  NameOr<Initializer> kernel_initializer = "glorot_uniform";
  NameOr<Initializer> bias_initializer = "zeros";
  std::string name = {};
};
/// Cross-correlation; kernel [h, w, in / groups, filters].
struct TENON_API Conv2D : Layer {
  Conv2D(std::int64_t filters, Size2 kernel_size, Conv2DOptions options = {});
};

struct MaxPooling2DOptions {
  Size2 pool_size = 2;
  std::optional<Size2> strides = {};  // pool_size
  std::string padding = "valid";
  std::string data_format = "channels_last";
  std::string name = {};
};
struct TENON_API MaxPooling2D : Layer {
  explicit MaxPooling2D(MaxPooling2DOptions options = {});
};
struct AveragePooling2DOptions {
  std::optional<Size2> strides = {};
  std::string padding = "valid";
  std::string data_format = "channels_last";
  std::string name = {};
};
/// The mean of the elements inside the image: padding does not count.
struct TENON_API AveragePooling2D : Layer {
  explicit AveragePooling2D(Size2 pool_size, AveragePooling2DOptions options = {});
};
struct GlobalPooling2DOptions {
  std::string data_format = "channels_last";
  bool keepdims = false;
  std::string name = {};
};
struct TENON_API GlobalAveragePooling2D : Layer {
  explicit GlobalAveragePooling2D(GlobalPooling2DOptions options = {});
};

struct NameOptions {
  std::string name = {};
};
struct TENON_API Flatten : Layer {
  explicit Flatten(NameOptions options = {});
};
/// target_shape without the batch; one entry may be -1.
struct TENON_API Reshape : Layer {
  explicit Reshape(std::vector<std::int64_t> target_shape, NameOptions options = {});
};
struct DropoutOptions {
  std::optional<std::uint64_t> seed = {};
  std::string name = {};
};
/// In training each element is 0 with probability rate, else x / (1 - rate). Throws unless 0 <= rate <= 1.
struct TENON_API Dropout : Layer {
  explicit Dropout(double rate, DropoutOptions options = {});
};
struct BatchNormalizationOptions {
  int axis = -1;
  double momentum = 0.99;
  double epsilon = 1e-3;
  bool center = true;
  bool scale = true;
  NameOr<Initializer> beta_initializer = "zeros";
  NameOr<Initializer> gamma_initializer = "ones";
  NameOr<Initializer> moving_mean_initializer = "zeros";
  NameOr<Initializer> moving_variance_initializer = "ones";
  std::string name = {};
};
/// Batch statistics only when training and trainable; moving = moving * momentum + batch * (1 - momentum), with the
/// population variance. Variables: gamma, beta, moving_mean, moving_variance.
struct TENON_API BatchNormalization : Layer {
  explicit BatchNormalization(BatchNormalizationOptions options = {});
};
struct LayerNormalizationOptions {
  int axis = -1;
  double epsilon = 1e-3;
  bool center = true;
  bool scale = true;
  std::string name = {};
};
struct TENON_API LayerNormalization : Layer {
  explicit LayerNormalization(LayerNormalizationOptions options = {});
};
struct TENON_API Activation : Layer {
  explicit Activation(NameOr<keras::Activation> activation, NameOptions options = {});
};
struct ReLUOptions {
  std::optional<double> max_value = {};
  double negative_slope = 0;
  double threshold = 0;
  std::string name = {};
};
struct TENON_API ReLU : Layer {
  explicit ReLU(ReLUOptions options = {});
};
struct SoftmaxOptions {
  int axis = -1;
  std::string name = {};
};
struct TENON_API Softmax : Layer {
  explicit Softmax(SoftmaxOptions options = {});
};
struct TENON_API Add : Layer {
  explicit Add(NameOptions options = {});
};
struct TENON_API Multiply : Layer {
  explicit Multiply(NameOptions options = {});
};
struct ConcatenateOptions {
  int axis = -1;
  std::string name = {};
};
struct TENON_API Concatenate : Layer {
  explicit Concatenate(ConcatenateOptions options = {});
};
struct EmbeddingOptions {
  NameOr<Initializer> embeddings_initializer = "uniform";
  std::string name = {};
};
/// Rows of a table [input_dim, output_dim] by integer index.
struct TENON_API Embedding : Layer {
  Embedding(std::int64_t input_dim, std::int64_t output_dim, EmbeddingOptions options = {});
};
struct NormalizationOptions {
  int axis = -1;
  std::optional<std::vector<double>> mean = {};
  std::optional<std::vector<double>> variance = {};
  bool invert = false;
  std::string name = {};
};
/// (x - mean) / max(sqrt(variance), 1e-7) along axis, with the statistics given or learned by adapt(data).
struct TENON_API Normalization : Layer {
  explicit Normalization(NormalizationOptions options = {});
  void adapt(const Tensor& data) const;
};
struct RescalingOptions {
  double offset = 0;
  std::string name = {};
};
struct TENON_API Rescaling : Layer {
  explicit Rescaling(double scale, RescalingOptions options = {});
};

}  // namespace tenon::keras::layers
