// Elementwise ops and activations.
#include "formats/savedmodel/ops/context.h"
#include "ir/numeric.h"

namespace tenon::savedmodel {
namespace {

using ir::Value;

struct Name {
  std::string_view tf, ours;
};
/// The same meaning under our name, with inputs in the same order and no attributes.
constexpr Name kPlain[] = {
    {"Abs", "abs"},
    {"Acos", "acos"},
    {"Acosh", "acosh"},
    {"Add", "add"},
    {"AddV2", "add"},
    {"Asin", "asin"},
    {"Asinh", "asinh"},
    {"Atan", "atan"},
    {"Atan2", "atan2"},
    {"Atanh", "atanh"},
    {"BitwiseAnd", "bitwise_and"},
    {"BitwiseOr", "bitwise_or"},
    {"BitwiseXor", "bitwise_xor"},
    {"Ceil", "ceil"},
    {"Cos", "cos"},
    {"Cosh", "cosh"},
    {"Equal", "equal"},
    {"Erf", "erf"},
    {"Erfc", "erfc"},
    {"Exp", "exp"},
    {"Expm1", "expm1"},
    {"Floor", "floor"},
    {"FloorMod", "remainder"},
    {"Greater", "greater"},
    {"GreaterEqual", "greater_equal"},
    {"Inv", "reciprocal"},
    {"Invert", "bitwise_not"},
    {"IsFinite", "is_finite"},
    {"IsInf", "is_inf"},
    {"IsNan", "is_nan"},
    {"Less", "less"},
    {"LessEqual", "less_equal"},
    {"Log", "log"},
    {"Log1p", "log1p"},
    {"LogicalAnd", "logical_and"},
    {"LogicalNot", "logical_not"},
    {"LogicalOr", "logical_or"},
    {"Maximum", "maximum"},
    {"Minimum", "minimum"},
    {"Mul", "multiply"},
    {"Neg", "neg"},
    {"NotEqual", "not_equal"},
    {"OnesLike", "ones_like"},
    {"Pow", "power"},
    {"RealDiv", "divide"},
    {"Reciprocal", "reciprocal"},
    {"Relu", "relu"},
    {"Relu6", "relu6"},
    {"Rint", "round"},
    {"Round", "round"},
    {"Rsqrt", "rsqrt"},
    {"SelectV2", "select"},
    {"Selu", "selu"},
    {"Sigmoid", "sigmoid"},
    {"Sign", "sign"},
    {"Sin", "sin"},
    {"Sinh", "sinh"},
    {"Softplus", "softplus"},
    {"Softsign", "softsign"},
    {"Sqrt", "sqrt"},
    {"Square", "square"},
    {"Sub", "subtract"},
    {"Tan", "tan"},
    {"Tanh", "tanh"},
    {"ZerosLike", "zeros_like"},
    {"StopGradient", "stop_gradient"},
};

/// Integer vectors whose elements are dims: arithmetic on shapes.
std::optional<std::vector<Dim>> Arithmetic(OpContext& c, std::string_view op) {
  if (c.size() != 2) return std::nullopt;
  const auto x = c.dims(0), y = c.dims(1);
  if (!x || !y) return std::nullopt;
  if (x->size() != y->size() && x->size() != 1 && y->size() != 1) return std::nullopt;
  std::vector<Dim> out;
  for (std::size_t i = 0; i < std::max(x->size(), y->size()); ++i) {
    if (x->empty() || y->empty()) return std::nullopt;
    const Dim &l = (*x)[x->size() == 1 ? 0 : i], &r = (*y)[y->size() == 1 ? 0 : i];
    const bool positive = !r.is_symbolic() && r.value() > 0;
    if (op == "add")
      out.push_back(l + r);
    else if (op == "subtract")
      out.push_back(l - r);
    else if (op == "multiply")
      out.push_back(l * r);
    else if (op == "maximum")
      out.push_back(Dim::max(l, r));
    else if (op == "minimum")
      out.push_back(Dim::min(l, r));
    else if (op == "floor_divide" && positive)
      out.push_back(Dim::floor_div(l, r));
    else if (op == "remainder" && positive)
      out.push_back(Dim::mod(l, r));
    else
      return std::nullopt;
  }
  return out;
}

Status Named(OpContext& c) {
  std::string_view ours;
  for (const Name& row : kPlain)
    if (row.tf == c.node.op) ours = row.ours;
  if (ours == "add" && c.in(0).valid() && c.b.dtype(c.in(0)) == DType::kString) ours = "string_concat";
  c.Set(c.b.Add(ours, c.ins(0)));
  if (c.b.ok())
    if (auto dims = Arithmetic(c, ours); dims) c.SetDims(0, *std::move(dims));
  return {};
}

Status FloorDiv(OpContext& c) {
  c.Set(c.b.Add("floor_divide", c.ins(0)));
  if (c.b.ok())
    if (auto dims = Arithmetic(c, "floor_divide"); dims) c.SetDims(0, *std::move(dims));
  return {};
}

/// Integers truncate toward zero: the sign of the quotient of magnitudes.
Value TruncateDiv(OpContext& c, Value x, Value y) {
  const Value quotient = c.b.Add("floor_divide", {c.b.Add("abs", {x}), c.b.Add("abs", {y})});
  const Value sign = c.b.Add("multiply", {c.b.Add("sign", {x}), c.b.Add("sign", {y})});
  return c.b.Add("multiply", {sign, quotient});
}

Status Div(OpContext& c) {
  const Value x = c.in(0), y = c.in(1);
  c.Set(is_integer(c.b.dtype(x)) ? TruncateDiv(c, x, y) : c.b.Add("divide", {x, y}));
  return {};
}

Status DivNoNan(OpContext& c) {
  const Value x = c.in(0), y = c.in(1);
  const Value zero = c.b.Scalar(0, c.b.dtype(y));
  const Value bad = c.b.Add("equal", {y, zero});
  const Value safe = c.b.Add("select", {bad, c.b.OnesLike(y), y});
  c.Set(c.b.Add("select", {bad, zero, c.b.Add("divide", {x, safe})}));
  return {};
}

Status MulNoNan(OpContext& c) {  // x * y, and 0 where y is 0 even if x is infinite or NaN
  const Value x = c.in(0), y = c.in(1), zero = c.b.Scalar(0, c.b.dtype(y));
  c.Set(c.b.Add("select", {c.b.Add("equal", {y, zero}), zero, c.b.Add("multiply", {x, y})}));
  return {};
}

/// x log y, x log (1 + y) and x / y; 0 where x is 0.
Status NothingTimes(OpContext& c) {
  const Value x = c.in(0), y = c.in(1), zero = c.b.Scalar(0, c.b.dtype(x));
  const Value none = c.b.Add("equal", {x, zero});
  const Value safe = c.b.Add("select", {none, c.b.OnesLike(y), y});
  Value out;
  if (c.node.op == "Xdivy")
    out = c.b.Add("divide", {x, safe});
  else
    out = c.b.Add("multiply", {x, c.b.Add(c.node.op == "Xlogy" ? "log" : "log1p", {safe})});
  c.Set(c.b.Add("select", {none, zero, out}));
  return {};
}

Status Bitcast(OpContext& c) {
  const std::optional<DType> to = c.Type("type");
  const Value x = c.in(0);
  if (!c.b.ok()) return {};
  if (!to || dtype_bits(*to) != dtype_bits(c.b.dtype(x))) return c.Unsupported("to a type of another width");
  c.Set(c.b.Add("bitcast", {x}, {{"dtype", *to}}));
  return {};
}

Status SquaredDifference(OpContext& c) {
  c.Set(c.b.Add("square", {c.b.Add("subtract", {c.in(0), c.in(1)})}));
  return {};
}

Status AddN(OpContext& c) {
  Value sum = c.in(0);
  for (int i = 1; i < c.size(); ++i) sum = c.b.Add("add", {sum, c.in(i)});
  c.Set(c.size() == 1 ? c.b.Add("identity", {sum}) : sum);
  return {};
}

Status BiasAdd(OpContext& c) {
  const Value x = c.in(0);
  Value bias = c.in(1);
  if (c.String("data_format", "NHWC") == "NCHW") {
    const int rank = c.rank(x);
    std::vector<std::int64_t> axes;
    for (int i = 2; i < rank; ++i) axes.push_back(i - 1);
    if (!axes.empty()) bias = c.b.Add("expand_dims", {bias}, {{"axes", axes}});
  }
  c.Set(c.b.Add("add", {x, bias}));
  return {};
}

Status Cast(OpContext& c) {
  const std::optional<DType> to = c.Type("DstT");
  if (!to) return c.Unsupported("to a type that cannot be held");
  const Value x = c.in(0);
  const auto dims = c.dims(0);
  c.Set(c.b.dtype(x) == *to ? x : c.b.Add("cast", {x}, {{"dtype", *to}}));
  if (dims && c.b.ok() && (*to == DType::kI32 || *to == DType::kI64)) c.SetDims(0, *dims);
  return {};
}

Status ClipByValue(OpContext& c) {
  c.Set(c.b.Add("clip", {c.in(0), c.in(1), c.in(2)}));
  return {};
}

Status LeakyRelu(OpContext& c) {
  c.Set(c.b.Add("leaky_relu", {c.in(0)}, {{"negative_slope", double{c.Float("alpha", 0.2f)}}}));
  return {};
}

Status Elu(OpContext& c) {
  c.Set(c.b.Add("elu", {c.in(0)}, {{"alpha", 1.0}}));
  return {};
}

Status Softmax(OpContext& c) {
  c.Set(c.b.Add(c.node.op == "Softmax" ? "softmax" : "log_softmax", {c.in(0)}, {{"axis", std::int64_t{-1}}}));
  return {};
}

/// Select: the condition may be a vector that chooses rows.
Status Select(OpContext& c) {
  Value condition = c.in(0);
  const Value x = c.in(1), y = c.in(2);
  const int rank = c.rank(x);
  if (!c.b.ok()) return {};
  if (c.rank(condition) == 1 && rank > 1) {
    std::vector<std::int64_t> axes;
    for (int i = 1; i < rank; ++i) axes.push_back(i);
    condition = c.b.Add("expand_dims", {condition}, {{"axes", axes}});
  }
  c.Set(c.b.Add("select", {condition, x, y}));
  return {};
}

constexpr Rule kRules[] = {
    {"FloorDiv", FloorDiv},
    {"Div", Div},
    {"TruncateDiv", Div},
    {"DivNoNan", DivNoNan},
    {"MulNoNan", MulNoNan},
    {"SquaredDifference", SquaredDifference},
    {"AddN", AddN},
    {"AccumulateNV2", AddN},
    {"BiasAdd", BiasAdd},
    {"BiasAddV1", BiasAdd},
    {"Cast", Cast},
    {"ClipByValue", ClipByValue},
    {"LeakyRelu", LeakyRelu},
    {"Elu", Elu},
    {"Softmax", Softmax},
    {"LogSoftmax", Softmax},
    {"Select", Select},
    {"Xlogy", NothingTimes},
    {"Xlog1py", NothingTimes},
    {"Xdivy", NothingTimes},
    {"Bitcast", Bitcast},
};

}  // namespace

std::span<const Rule> ElementwiseRules() {
  static const std::vector<Rule> all = [] {
    std::vector<Rule> rules(std::begin(kRules), std::end(kRules));
    for (const Name& row : kPlain) rules.push_back({row.tf, Named});
    return rules;
  }();
  return all;
}

}  // namespace tenon::savedmodel
