// The faults: what goes wrong when a network is carried from one framework to another by hand or by a converter.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "formats/onnx/data_type.h"
#include "verify_faults_plant.h"

namespace tenon::faults {
namespace {

using Floats = std::vector<float>;
using Ints = std::vector<std::int64_t>;

std::string Out(const onnx::Node& n) { return n.outputs[0]; }

// The last two axes of a weight exchanged (they must be equal).
void TurnLastTwo(Floats& v, Ints& dims) {
  const auto n = static_cast<std::size_t>(dims.back());
  for (std::size_t at = 0; at < v.size(); at += n * n)
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t k = 0; k < i; ++k) std::swap(v[at + i * n + k], v[at + k * n + i]);
}
void TurnFirstTwo(Floats& v, Ints& dims) {
  const auto n = static_cast<std::size_t>(dims[0]);
  const std::size_t rest = v.size() / (n * n);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t k = 0; k < i; ++k)
      for (std::size_t r = 0; r < rest; ++r) std::swap(v[(i * n + k) * rest + r], v[(k * n + i) * rest + r]);
}
float RoundToHalf(float x) {
  const float step = std::ldexp(1.0F, std::ilogb(x == 0 ? 1.0F : x) - 10);
  return std::nearbyint(x / step) * step;
}
std::vector<std::string> Outputs(std::string name) { return {std::move(name)}; }
onnx::Attribute Perm(Ints v) {
  onnx::Attribute a;
  a.name = "perm";
  a.type = onnx::AttributeType::kInts;
  a.ints = std::move(v);
  return a;
}

// Blocks of rows of [1, blocks * hidden, …] in another order.
void PermuteBlocks(Floats& v, const std::vector<std::size_t>& order) {
  const Floats old = v;
  const std::size_t block = v.size() / order.size();
  for (std::size_t i = 0; i < order.size(); ++i)
    std::copy_n(old.begin() + static_cast<std::ptrdiff_t>(order[i] * block), block,
                v.begin() + static_cast<std::ptrdiff_t>(i * block));
}

#define FAULT(text, model, ...) {text, model, [](Planter & p) -> std::string __VA_ARGS__}

const std::vector<Fault> kFaults = {
    FAULT("kernel transposed in space", "net_cnn",
          {
            p.Weight("w1", TurnLastTwo);
            return "c1";
          }),
    FAULT("kernel with input and output channels exchanged", "net_cnn",
          {
            p.Weight("w2", TurnFirstTwo);
            return "c2";
          }),
    FAULT("kernel flipped (convolution for correlation)", "net_cnn",
          {
            p.Weight("w2", [](Floats& v, Ints&) {
              for (std::size_t at = 0; at < v.size(); at += 9)
                std::reverse(v.begin() + static_cast<std::ptrdiff_t>(at),
                             v.begin() + static_cast<std::ptrdiff_t>(at + 9));
            });
            return "c2";
          }),
    FAULT("epsilon 1e-3 for 1e-5 in a batch normalization", "net_cnn",
          {
            p.SetFloat(p.Node("BatchNormalization"), "epsilon", 1e-3F);
            return "bn";
          }),
    FAULT("mean and variance exchanged", "net_cnn",
          {
            p.Weight("mean", [](Floats& v, Ints&) {
              for (float& x : v) x = std::fabs(x);
            });
            std::swap(p.Node("BatchNormalization").inputs[3], p.Node("BatchNormalization").inputs[4]);
            return "bn";
          }),
    FAULT("scale and shift exchanged", "net_cnn",
          {
            std::swap(p.Node("BatchNormalization").inputs[1], p.Node("BatchNormalization").inputs[2]);
            return "bn";
          }),
    FAULT("standard deviation where the variance belongs", "net_cnn",
          {
            p.Weight("variance", [](Floats& v, Ints&) {
              for (float& x : v) x = std::sqrt(x);
            });
            return "bn";
          }),
    FAULT("batch normalization left out", "net_cnn",
          {
            p.Remove("bn", "c1");
            return "bn|relu";
          }),
    FAULT("padding on the wrong side", "net_cnn",
          {
            p.SetInts(p.Node("Conv", 0), "pads", {0, 0, 2, 2});
            return "c1";
          }),
    FAULT("padding missing", "net_cnn",
          {
            p.SetInts(p.Node("Conv", 1), "pads", {0, 0, 0, 0});
            return "c2";
          }),
    FAULT("relu for relu6", "net_cnn",
          {
            p.Node("Clip").op_type = "Relu";
            p.Node("Relu", 1).inputs.resize(1);
            return "relu6";
          }),
    FAULT("relu6 for relu", "net_cnn",
          {
            onnx::Node& n = p.Node("Relu");
            n.op_type = "Clip";
            n.inputs.insert(n.inputs.end(), {"low", "high"});
            return "relu";
          }),
    FAULT("leaky relu for relu", "net_cnn",
          {
            p.Node("Relu").op_type = "LeakyRelu";
            return "relu";
          }),
    FAULT("stride of a pooling", "net_cnn",
          {
            p.SetInts(p.Node("MaxPool"), "strides", {1, 1});
            return "pool";
          }),
    FAULT("average for maximum pooling", "net_cnn",
          {
            p.Node("MaxPool").op_type = "AveragePool";
            return "pool";
          }),
    FAULT("dilation of a convolution", "net_cnn",
          {
            p.SetInts(p.Node("Conv", 1), "dilations", {2, 2});
            p.SetInts(p.Node("Conv", 1), "pads", {2, 2, 2, 2});
            return "c2";
          }),
    FAULT("stride of a convolution", "net_cnn",
          {
            p.SetInts(p.Node("Conv", 1), "strides", {2, 2});
            return "c2";
          }),
    FAULT("count_include_pad", "net_cnn",
          {
            p.SetInt(p.Node("AveragePool"), "count_include_pad", 1);
            return "mean_pool";
          }),
    FAULT("ceil_mode", "net_cnn",
          {
            p.SetInts(p.Node("AveragePool"), "pads", {0, 0, 1, 1});
            return "mean_pool";
          }),
    FAULT("bias left out", "net_cnn",
          {
            p.Node("Conv", 1).inputs.resize(2);
            return "c2";
          }),
    FAULT("bias of another layer", "net_cnn",
          {
            p.Node("Conv", 0).inputs[2] = "b2";
            return "c1";
          }),
    FAULT("depthwise kernel with permuted channels", "net_cnn",
          {
            p.Weight("w3", [](Floats& v, Ints&) { PermuteBlocks(v, {1, 0, 2, 3}); });
            return "depthwise";
          }),
    FAULT("residual subtracted", "net_cnn",
          {
            p.Node("Add").op_type = "Sub";
            return "residual";
          }),
    FAULT("residual taken from the wrong place", "net_cnn",
          {
            p.Node("Add").inputs[1] = "depthwise";
            return "residual";
          }),
    FAULT("kernel of a transposed convolution with exchanged channels", "net_cnn",
          {
            p.Weight("w4", TurnFirstTwo);
            return "up";
          }),
    FAULT("global maximum for global average", "net_cnn",
          {
            p.Node("ReduceMean").op_type = "ReduceMax";
            return "features";
          }),
    FAULT("dense weight not transposed", "net_cnn",
          {
            p.SetInt(p.Node("Gemm"), "transB", 0);
            return "logits";
          }),
    FAULT("softmax over the batch", "net_cnn",
          {
            p.SetInt(p.Node("Softmax"), "axis", 0);
            return "y";
          }),
    FAULT("one weight rounded to half precision", "net_cnn",
          {
            p.Weight("w1", [](Floats& v, Ints&) {
              for (float& x : v) x = RoundToHalf(x);
            });
            return "c1";
          }),
    FAULT("one element of one weight 0.1 % off", "net_cnn",
          {
            p.Weight("w2", [](Floats& v, Ints&) { v[17] *= 1.001F; });
            return "c2";
          }),
    FAULT("dense kernel transposed", "net_mlp",
          {
            p.Weight("w1", TurnLastTwo);
            return "h1";
          }),
    FAULT("operands of a matrix product exchanged", "net_mlp",
          {
            std::swap(p.Node("MatMul", 1).inputs[0], p.Node("MatMul", 1).inputs[1]);
            return "mixed";
          }),
    FAULT("slope of a leaky relu", "net_mlp",
          {
            p.SetFloat(p.Node("LeakyRelu"), "alpha", 0.2F);
            return "leaky";
          }),
    FAULT("epsilon of a layer normalization", "net_mlp",
          {
            p.SetFloat(p.Node("LayerNormalization"), "epsilon", 1e-2F);
            return "norm";
          }),
    FAULT("axis of a layer normalization", "net_mlp",
          {
            p.Erase(p.Node("LayerNormalization"), "axis");
            p.SetInt(p.Node("LayerNormalization"), "axis", 0);
            p.Weight("gain", [](Floats& v, Ints& dims) {
              v.resize(64);
              for (std::size_t i = 8; i < 64; ++i) v[i] = v[i % 8];
              dims = {8, 8};
            });
            p.Weight("offset", [](Floats& v, Ints& dims) {
              v.resize(64);
              for (std::size_t i = 8; i < 64; ++i) v[i] = v[i % 8];
              dims = {8, 8};
            });
            return "norm";
          }),
    FAULT("gain of a layer normalization left at one", "net_mlp",
          {
            p.Weight("gain", [](Floats& v, Ints&) { std::fill(v.begin(), v.end(), 1.0F); });
            return "norm";
          }),
    FAULT("approximate gelu", "net_mlp",
          {
            p.SetString(p.Node("Gelu"), "approximate", "tanh");
            return "gelu";
          }),
    FAULT("operands of a subtraction exchanged", "net_mlp",
          {
            std::swap(p.Node("Sub").inputs[0], p.Node("Sub").inputs[1]);
            return "difference";
          }),
    FAULT("operands of a division exchanged", "net_mlp",
          {
            std::swap(p.Node("Div").inputs[0], p.Node("Div").inputs[1]);
            return "quotient";
          }),
    FAULT("alpha of an elu", "net_mlp",
          {
            p.SetFloat(p.Node("Elu"), "alpha", 1.5F);
            return "elu";
          }),
    FAULT("alpha of a gemm", "net_mlp",
          {
            p.SetFloat(p.Node("Gemm"), "alpha", 1);
            return "gemm";
          }),
    FAULT("beta of a gemm", "net_mlp",
          {
            p.SetFloat(p.Node("Gemm"), "beta", 0.5F);
            return "gemm";
          }),
    FAULT("slope of a hard sigmoid", "net_mlp",
          {
            p.SetFloat(p.Node("HardSigmoid"), "alpha", 1.0F / 6);
            return "hard";
          }),
    FAULT("sign", "net_mlp",
          {
            p.Node("Neg").op_type = "Identity";
            return "y";
          }),
    FAULT("sigmoid for tanh", "net_mlp",
          {
            p.Node("Tanh").op_type = "Sigmoid";
            return "tanh";
          }),
    FAULT("order of bias and activation", "net_mlp",
          {
            // leaky(h1) + b1 for leaky(h1 + b1)
            p.Node("LeakyRelu").inputs[0] = "h1";
            p.Node("Add").inputs[0] = "leaky";
            p.Node("LayerNormalization").inputs[0] = "h2";
            return "h2";
          }),
    FAULT("norm of the wrong kind", "net_mlp",
          {
            p.SetInt(p.Node("LpNormalization"), "p", 1);
            return "unit";
          }),
    FAULT("query and key exchanged", "net_attention",
          {
            p.Node("MatMul", 0).inputs[1] = "wk";
            p.Node("MatMul", 1).inputs[1] = "wq";
            return "q_flat|k_turned";
          }),
    FAULT("scale of the scores", "net_attention",
          {
            p.Weight("scale", [](Floats& v, Ints&) { v[0] = 0.35355338F; });
            return "scaled";
          }),
    FAULT("softmax over the queries", "net_attention",
          {
            p.SetInt(p.Node("Softmax"), "axis", -2);
            return "weights";
          }),
    FAULT("heads and steps exchanged", "net_attention",
          {
            p.SetInts(p.Node("Transpose", 0), "perm", {0, 1, 2, 3});
            return "q";
          }),
    FAULT("transpose of the keys missing its turn", "net_attention",
          {
            p.Remove("k", "k_heads");
            return "k|k_turned";
          }),
    FAULT("heads not put together again", "net_attention",
          {
            p.Remove("together", "context");
            return "together|merged";
          }),
    FAULT("a transpose too many", "net_attention",
          {
            p.Insert("projected", 1, "Transpose", {Perm({1, 0})});
            return "projected";
          }),
    FAULT("residual left out", "net_attention",
          {
            p.Node("Add").inputs[1] = "projected";
            return "y";
          }),
    FAULT("order of an LSTM's gates", "net_recurrent",
          {
            p.Weight("w", [](Floats& v, Ints&) { PermuteBlocks(v, {0, 2, 1, 3}); });
            return "lstm";
          }),
    FAULT("recurrent kernel transposed", "net_recurrent",
          {
            p.Weight("r", TurnLastTwo);
            return "lstm";
          }),
    FAULT("direction of an LSTM", "net_recurrent",
          {
            p.SetString(p.Node("LSTM"), "direction", "reverse");
            return "lstm";
          }),
    FAULT("order of a GRU's gates", "net_recurrent",
          {
            p.Weight("gw", [](Floats& v, Ints&) { PermuteBlocks(v, {1, 0, 2}); });
            return "gru";
          }),
    FAULT("linear_before_reset", "net_recurrent",
          {
            p.SetInt(p.Node("GRU"), "linear_before_reset", 0);
            return "gru";
          }),
    FAULT("mode of a padding", "net_shapes",
          {
            p.SetString(p.Node("Pad"), "mode", "edge");
            return "padded";
          }),
    FAULT("slice off by one", "net_shapes",
          {
            p.Integers("starts", [](Ints& v) { ++v[1]; });
            p.Integers("ends", [](Ints& v) { ++v[1]; });
            return "part";
          }),
    FAULT("axes of a slice", "net_shapes",
          {
            p.Integers("axes", [](Ints& v) { std::swap(v[0], v[1]); });
            return "part";
          }),
    FAULT("NHWC taken for NHCW", "net_shapes",
          {
            p.SetInts(p.Node("Transpose", 1), "perm", {0, 3, 2, 1});
            return "nchw";
          }),
    FAULT("align_corners", "net_shapes",
          {
            p.SetString(p.Node("Resize"), "coordinate_transformation_mode", "align_corners");
            return "resized";
          }),
    FAULT("nearest for linear", "net_shapes",
          {
            p.SetString(p.Node("Resize"), "mode", "nearest");
            return "resized";
          }),
    FAULT("indices of a gather", "net_shapes",
          {
            p.Integers("rows", [](Ints& v) { v[1] = 3; });
            return "picked";
          }),
    FAULT("axis of a gather", "net_shapes",
          {
            p.SetInt(p.Node("Gather"), "axis", 3);
            p.Insert("left", 0, "Transpose", {Perm({0, 1, 3, 2})});
            return "picked";
          }),
    FAULT("halves in the other order", "net_shapes",
          {
            std::swap(p.Node("Concat").inputs[0], p.Node("Concat").inputs[1]);
            return "joined";
          }),
    FAULT("exclusive sum", "net_shapes",
          {
            p.SetInt(p.Node("CumSum"), "exclusive", 1);
            return "sums";
          }),
    FAULT("axis of a mean off by one", "net_shapes",
          {
            p.Integers("last", [](Ints& v) { v[0] = 2; });
            return "means";
          }),
    FAULT("a condition negated", "net_shapes",
          {
            std::swap(p.Node("Where").inputs[1], p.Node("Where").inputs[2]);
            return "chosen";
          }),
    FAULT("keepdims and a broadcast along the wrong axis", "net_shapes",
          {
            p.SetInt(p.Node("ReduceMean"), "keepdims", 0);
            onnx::Node add;
            add.op_type = "Unsqueeze";
            add.inputs = Outputs("means");
            add.inputs.push_back(p.AddInts("second", Ints(1, 2)));
            add.outputs = Outputs("planted");
            p.Node("Sub").inputs[1] = "planted";
            p.Node("Unsqueeze").inputs[0] = "planted";
            p.model().graph->nodes.push_back(add);
            return "means";
          }),
    FAULT("scale of a quantization", "net_quantized",
          {
            p.Weight("sp", [](Floats& v, Ints&) { v[0] = 0.12F; });
            return "qp";
          }),
    FAULT("zero point of a quantization", "net_quantized",
          {
            p.Integers("zp", [](Ints& v) { v[0] = 120; });
            return "qp";
          }),
    FAULT("scale of a dequantization", "net_quantized",
          {
            p.Weight("sd", [](Floats& v, Ints&) { v[0] = 0.1F; });
            return "dp";
          }),
    FAULT("zero point of a dequantization", "net_quantized",
          {
            p.Integers("zd", [](Ints& v) { v[0] = 128; });
            return "dp";
          }),
    FAULT("epsilon deep in an unfolded ResNet", "resnet_unfolded",
          {
            onnx::Node& n = p.Node("BatchNormalization", 7);
            p.SetFloat(n, "epsilon", 1e-3F);
            return Out(n);
          }),
    FAULT("a kernel of a ResNet-18 transposed in space", "resnet_op18",
          {
            onnx::Node& n = p.Node("Conv", 9);
            p.Weight(p.WeightOf(n, 1), TurnLastTwo);
            return Out(n);
          }),
    FAULT("a relu of a ResNet-18 left out", "resnet_op18",
          {
            onnx::Node& n = p.Node("Relu", 6);
            n.op_type = "Identity";
            return Out(n);
          }),
    FAULT("a relu6 of a MobileNet left out", "mobilenet_v2_op18",
          {
            onnx::Node& n = p.Node("Clip", 4);
            n.op_type = "Identity";
            n.inputs.resize(1);
            return Out(n);
          }),
    FAULT("a bias of a MobileNet shifted by one", "mobilenet_v2_op18",
          {
            onnx::Node& n = p.Node("Conv", 5);
            p.Weight(p.WeightOf(n, 2), [](Floats& v, Ints&) { std::rotate(v.begin(), v.begin() + 1, v.end()); });
            return Out(n);
          }),
    FAULT("a projection of a transformer rounded to half precision", "encoder_postnorm",
          {
            onnx::Node& n = p.Node("MatMul", 3);
            p.Weight(p.WeightOf(n, 1), [](Floats& v, Ints&) {
              for (float& x : v) x = RoundToHalf(x);
            });
            return Out(n);
          }),
    FAULT("epsilon of a transformer's normalization", "encoder_postnorm",
          {
            onnx::Node& n = p.Node("LayerNormalization", 2);
            p.SetFloat(n, "epsilon", 1e-2F);
            return Out(n);
          }),
    FAULT("kept state of a GRU from PyTorch", "gru",
          {
            onnx::Node& n = p.Node("GRU");
            p.SetInt(n, "linear_before_reset", 0);
            return Out(n);
          }),
    FAULT("exact for approximate in a convnext", "convnext",
          {
            onnx::Node& n = p.Node("Erf");
            n.op_type = "Tanh";
            return Out(n);
          }),
    FAULT("transpose of a convnext", "convnext",
          {
            onnx::Node& n = p.Node("Transpose");
            p.SetInts(n, "perm", {0, 3, 2, 1});
            return Out(n);
          }),
    FAULT("scale of a quantized CNN's activation", "q_cnn_qdq",
          {
            onnx::Node& n = p.Node("QuantizeLinear", 1);
            const std::string name = p.WeightOf(n, 1);
            onnx::Node& back = p.Node("DequantizeLinear", 7);
            if (back.inputs[1] != name) throw std::runtime_error("not its partner");
            p.Weight(name, [](Floats& v, Ints&) { v[0] *= 1.1F; });
            return Out(n);
          }),
};

}  // namespace

const std::vector<Fault>& Faults() { return kFaults; }

}  // namespace tenon::faults
