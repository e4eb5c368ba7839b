// Elementwise ops, activations, softmax -> TensorFlow.
#include <algorithm>

#include "base/status_macros.h"
#include "formats/savedmodel/writer.h"

namespace tenon::savedmodel {
namespace {

struct Name {
  std::string_view ours, tf;
  bool typed = true;  // has the attribute T
};
constexpr Name kPlain[] = {
    {"abs", "Abs"},
    {"acos", "Acos"},
    {"acosh", "Acosh"},
    {"add", "AddV2"},
    {"asin", "Asin"},
    {"asinh", "Asinh"},
    {"atan", "Atan"},
    {"atan2", "Atan2"},
    {"atanh", "Atanh"},
    {"bitwise_and", "BitwiseAnd"},
    {"bitwise_not", "Invert"},
    {"bitwise_or", "BitwiseOr"},
    {"bitwise_xor", "BitwiseXor"},
    {"ceil", "Ceil"},
    {"cos", "Cos"},
    {"cosh", "Cosh"},
    {"divide", "RealDiv"},
    {"equal", "Equal"},
    {"erf", "Erf"},
    {"erfc", "Erfc"},
    {"exp", "Exp"},
    {"expm1", "Expm1"},
    {"floor", "Floor"},
    {"floor_divide", "FloorDiv"},
    {"greater", "Greater"},
    {"greater_equal", "GreaterEqual"},
    {"is_finite", "IsFinite"},
    {"is_inf", "IsInf"},
    {"is_nan", "IsNan"},
    {"less", "Less"},
    {"less_equal", "LessEqual"},
    {"log", "Log"},
    {"log1p", "Log1p"},
    {"logical_and", "LogicalAnd", false},
    {"logical_not", "LogicalNot", false},
    {"logical_or", "LogicalOr", false},
    {"logical_xor", "NotEqual"},
    {"maximum", "Maximum"},
    {"minimum", "Minimum"},
    {"multiply", "Mul"},
    {"neg", "Neg"},
    {"not_equal", "NotEqual"},
    {"ones_like", "OnesLike"},
    {"power", "Pow"},
    {"reciprocal", "Reciprocal"},
    {"relu", "Relu"},
    {"relu6", "Relu6"},
    {"remainder", "FloorMod"},
    {"round", "Round"},
    {"rsqrt", "Rsqrt"},
    {"selu", "Selu"},
    {"sigmoid", "Sigmoid"},
    {"sign", "Sign"},
    {"sin", "Sin"},
    {"sinh", "Sinh"},
    {"softplus", "Softplus"},
    {"softsign", "Softsign"},
    {"sqrt", "Sqrt"},
    {"square", "Square"},
    {"subtract", "Sub"},
    {"tan", "Tan"},
    {"tanh", "Tanh"},
    {"zeros_like", "ZerosLike"},
    {"identity", "Identity"},
    {"stop_gradient", "StopGradient"},
};

Status Plain(WriteContext& c) {
  for (const Name& row : kPlain) {
    if (row.ours != c.node.op->name) continue;
    Attrs attrs;
    if (row.typed) attrs["T"] = TypeAttr(c.dtype());
    c.Set(c.w.Emit(row.tf, c.ins(), std::move(attrs), c.name()));
  }
  return {};
}

Status Constant(WriteContext& c) {
  c.Set(c.w.Const(c.attrs().Lit("value"), c.name()));
  return {};
}

Status Cast(WriteContext& c) {
  c.Set(c.w.Emit("Cast", {c.in(0)}, {{"SrcT", TypeAttr(c.dtype())}, {"DstT", TypeAttr(c.attrs().Dtype("dtype"))}},
                 c.name()));
  return {};
}

Status Select(WriteContext& c) {
  c.Set(c.w.Emit("SelectV2", c.ins(), {{"T", TypeAttr(c.dtype(1))}}, c.name()));
  return {};
}

Status Clip(WriteContext& c) {
  const Attrs attrs{{"T", TypeAttr(c.dtype())}};
  std::string value = c.in(0);
  if (c.has(1)) value = c.w.Emit("Maximum", {value, c.in(1)}, attrs, c.has(2) ? "" : c.name());
  if (c.has(2)) value = c.w.Emit("Minimum", {value, c.in(2)}, attrs, c.name());
  if (!c.has(1) && !c.has(2)) value = c.w.Emit("Identity", {value}, attrs, c.name());
  c.Set(value);
  return {};
}

Status LeakyRelu(WriteContext& c) {
  c.Set(c.w.Emit("LeakyRelu", {c.in(0)},
                 {{"T", TypeAttr(c.dtype())}, {"alpha", FloatAttr(c.attrs().Float("negative_slope"))}}, c.name()));
  return {};
}
/// The attribute is a float: a slope that one cannot hold is computed.
bool CanLeakyRelu(const ir::Graph& graph, const ir::Node& node) {
  return graph.type(node.inputs[0]).dtype() != DType::kF64;
}

Status Elu(WriteContext& c) {
  c.Set(c.w.Emit("Elu", {c.in(0)}, {{"T", TypeAttr(c.dtype())}}, c.name()));
  return {};
}
bool CanElu(const ir::Graph&, const ir::Node& node) { return node.attrs.Float("alpha") == 1; }

/// Over the last axis; another one is moved there and back.
Status Softmax(WriteContext& c) {
  const std::string_view op = c.node.op->name == "softmax" ? "Softmax" : "LogSoftmax";
  const Attrs attrs{{"T", TypeAttr(c.dtype())}};
  const int rank = c.rank();
  std::int64_t axis = c.attrs().Int("axis");
  axis += axis < 0 ? rank : 0;
  if (axis == rank - 1) {
    c.Set(c.w.Emit(op, {c.in(0)}, attrs, c.name()));
    return {};
  }
  std::vector<std::int64_t> swap;
  for (int d = 0; d < rank; ++d) swap.push_back(d);
  std::swap(swap[static_cast<std::size_t>(axis)], swap.back());
  const Attrs transpose{{"T", TypeAttr(c.dtype())}, {"Tperm", TypeAttr(DType::kI32)}};
  const std::string moved = c.w.Emit("Transpose", {c.in(0), c.w.Ints(swap)}, transpose);
  c.Set(c.w.Emit("Transpose", {c.w.Emit(op, {moved}, attrs), c.w.Ints(swap)}, transpose, c.name()));
  return {};
}
bool CanSoftmax(const ir::Graph& graph, const ir::Node& node) {
  const ir::Type& type = graph.type(node.inputs[0]);
  return type.has_rank() && type.rank() >= 1;
}

constexpr WriteRule kRules[] = {
    {"constant", Constant},
    {"cast", Cast},
    {"select", Select},
    {"clip", Clip},
    {"leaky_relu", LeakyRelu, CanLeakyRelu},
    {"elu", Elu, CanElu},
    {"softmax", Softmax, CanSoftmax},
    {"log_softmax", Softmax, CanSoftmax},
};

}  // namespace

std::span<const WriteRule> WriteElementwiseRules() {
  static const std::vector<WriteRule> all = [] {
    std::vector<WriteRule> rules(std::begin(kRules), std::end(kRules));
    for (const Name& row : kPlain) rules.push_back({row.ours, Plain});
    return rules;
  }();
  return all;
}

}  // namespace tenon::savedmodel
