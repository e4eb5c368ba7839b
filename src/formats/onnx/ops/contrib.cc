// Operators of com.microsoft that ONNX Runtime's optimizer fuses, and its activations.
#include <fmt/format.h>

#include "formats/onnx/ops/families.h"

namespace tenon::onnx {
namespace {

constexpr std::string_view kDomain = "com.microsoft";

// The activation that a fused node ends with.
Result<Ex> Fused(NodeContext& n, Ex y) {
  const std::string name = n.String("activation", "");
  const std::vector<double> params = n.FloatList("activation_params");
  const auto param = [&](std::size_t i, std::string_view attr, double otherwise) {
    return i < params.size() ? params[i] : n.Float(attr, otherwise);
  };
  const auto number = [&](double v) { return n.Scalar(v, y.dtype()); };
  if (name.empty()) return y;
  if (name == "Relu") return Op("relu", y);
  if (name == "Tanh") return Op("tanh", y);
  if (name == "Sigmoid") return Op("sigmoid", y);
  if (name == "LeakyRelu") return Op("leaky_relu", y, {{"negative_slope", param(0, "activation_alpha", 0.01)}});
  if (name == "Clip")
    return n.Apply("clip",
                   {y, number(param(0, "activation_alpha", -3.4e38)), number(param(1, "activation_beta", 3.4e38))});
  if (name == "HardSigmoid")
    return n.Apply("clip",
                   {y * param(0, "activation_alpha", 0.2) + param(1, "activation_beta", 0.5), number(0), number(1)});
  return n.Unsupported(fmt::format("the activation {}", name));
}

Status FusedConv(NodeContext& n) {
  const OpRow* conv = FindRow("", "Conv");
  TENON_RETURN_IF_ERROR(conv->translate(n));
  Ex y = n.ex(n.outputs()[0]);
  if (n.has(3)) y = y + n.x(3);
  TENON_ASSIGN_OR_RETURN(y, Fused(n, y));
  n.Out(0, y);
  return {};
}

Status FusedGemm(NodeContext& n) {
  const OpRow* gemm = FindRow("", "Gemm");
  TENON_RETURN_IF_ERROR(gemm->translate(n));
  TENON_ASSIGN_OR_RETURN(const Ex y, Fused(n, n.ex(n.outputs()[0])));
  n.Out(0, y);
  return {};
}

Status FusedMatMul(NodeContext& n) {
  // A transposed batch has its rows in front of the batch axes.
  const auto side = [&](int i, std::string_view attr) -> Result<Value> {
    if (n.Int(attr, 0) == 0) return n.in(i);
    TENON_ASSIGN_OR_RETURN(const int rank, n.Rank(n.in(i)));
    if (rank < 3) return n.Fail(fmt::format("{} for rank {}", attr, rank));
    Ints order;
    for (int k = 1; k < rank - 1; ++k) order.push_back(k);
    order.push_back(0);
    order.push_back(rank - 1);
    return n.Transpose(n.in(i), order).v;
  };
  TENON_ASSIGN_OR_RETURN(const Value a, side(0, "transBatchA"));
  TENON_ASSIGN_OR_RETURN(const Value b, side(1, "transBatchB"));
  const Ex y =
      n.Apply("matmul", {a, b}, {{"transpose_x", n.Int("transA", 0) != 0}, {"transpose_y", n.Int("transB", 0) != 0}});
  n.Out(0, n.Float("alpha", 1) == 1 ? y : y * n.Float("alpha", 1));
  return {};
}

Status BiasGelu(NodeContext& n) {
  const Ex x = n.has(1) ? n.x(0) + n.x(1) : n.x(0);
  n.Out(0, n.Add("gelu", {x}, {{"approximate", n.row.ours == "tanh"}}));
  return {};
}

Status QuickGelu(NodeContext& n) {
  n.Out(0, n.x(0) * Op("sigmoid", n.x(0) * n.Float("alpha", 1.702)));
  return {};
}

// x + skip (+ bias), normalised over the last axis; the sum is output 3.
Status SkipLayerNormalization(NodeContext& n) {
  const bool simple = n.row.ours == "simple";
  Ex sum = n.x(0) + n.x(1);
  const int bias = simple ? 3 : 4;
  if (n.has(bias)) sum = sum + n.x(bias);
  const double epsilon = n.Float("epsilon", 1e-12);
  if (simple) {
    n.Out(0, n.Add("rms_norm", {sum, n.in(2)}, {{"axis", std::int64_t{-1}}, {"epsilon", epsilon}}));
  } else {
    n.Out(0, n.Add("layer_norm", {sum, n.in(2), n.in(3)}, {{"axis", std::int64_t{-1}}, {"epsilon", epsilon}}));
  }
  n.Out(3, sum);
  return {};
}

constexpr std::string_view kConvAttrs =
    "auto_pad:s dilations:is group:i kernel_shape:is pads:is strides:is activation:s activation_params:fs";

const OpRow kRows[] = {
    {"FusedConv", 2, 4, 1, kConvAttrs, FusedConv, {}, kDomain},
    {"FusedGemm",
     2,
     3,
     1,
     "alpha:f beta:f transA:i transB:i activation:s activation_alpha:f activation_beta:f activation_gamma:f",
     FusedGemm,
     {},
     kDomain},
    {"FusedMatMul", 2, 2, 1, "alpha:f transA:i transB:i transBatchA:i transBatchB:i", FusedMatMul, {}, kDomain},
    {"BiasGelu", 2, 2, 1, "", BiasGelu, "erf", kDomain},
    {"Gelu", 1, 1, 1, "", BiasGelu, "erf", kDomain},
    {"FastGelu", 1, 2, 1, "", BiasGelu, "tanh", kDomain},
    {"Inverse",
     1,
     1,
     1,
     "",
     [](NodeContext& n) {
       n.Out(0, n.Add("matrix_inverse", {n.in(0)}));
       return Status();
     },
     {},
     kDomain},
    {"QuickGelu", 1, 1, 1, "alpha:f", QuickGelu, {}, kDomain},
    {"SkipLayerNormalization", 3, 5, 4, "epsilon:f", SkipLayerNormalization, {}, kDomain},
    {"SkipSimplifiedLayerNormalization", 3, 4, 4, "epsilon:f", SkipLayerNormalization, "simple", kDomain},
};

}  // namespace
const std::span<const OpRow> kContribRows = kRows;
}  // namespace tenon::onnx
