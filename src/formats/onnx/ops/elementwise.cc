// Arithmetic, comparisons and choices.
#include <fmt/format.h>

#include "formats/onnx/ops/families.h"
#include "formats/onnx/ops/recognise.h"

namespace tenon::onnx {
namespace {

// Before opset 7 the second input is broadcast only when the attribute says so, from `axis` on.
Result<Value> LegacySecond(NodeContext& n) {
  Value y = n.in(1);
  if (n.opset >= 7 || n.Int("broadcast", 0) == 0 || !n.HasAttr("axis")) return y;
  TENON_ASSIGN_OR_RETURN(const Shape x_shape, n.ShapeOf(n.in(0)));
  TENON_ASSIGN_OR_RETURN(const Shape y_shape, n.ShapeOf(y));
  TENON_ASSIGN_OR_RETURN(const int axis, n.Axis(n.Int("axis", 0), x_shape.rank()));
  std::vector<Dim> dims = y_shape.dims();
  for (int i = axis + y_shape.rank(); i < x_shape.rank(); ++i) dims.emplace_back(1);
  return n.Reshape(y, std::move(dims)).v;
}

Status Binary(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Value y, LegacySecond(n));
  const Value whole = Recognised(n, n.row.ours, n.in(0), y);
  n.Out(0, whole.valid() ? whole : n.Add(n.row.ours, {n.in(0), y}));
  return {};
}

// Pow: the exponent may have another type than the base.
Status Pow(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Value y, LegacySecond(n));
  const DType x_type = n.dtype(0), y_type = n.dtype(y);
  if (!is_float(x_type) && is_float(y_type)) {  // computed in floats, and back
    n.Out(0, n.b.Cast(n.Add("power", {n.b.Cast(n.in(0), y_type), y}), x_type));
  } else {
    n.Out(0, n.Add("power", {n.in(0), n.b.Cast(y, x_type)}));
  }
  return {};
}

// Mod: the sign of the divisor, or of the dividend as C's fmod.
Status Mod(NodeContext& n) {
  const Ex x = n.x(0), y = n.x(1);
  if (n.Int("fmod", 0) == 0) {
    if (is_float(n.dtype(0))) return n.Fail("fmod must be 1 for floats");
    n.Out(0, n.Add("remainder", {x, y}));
    return {};
  }
  if (is_integer(n.dtype(0)) && !is_signed_integer(n.dtype(0))) {
    n.Out(0, n.Add("remainder", {x, y}));
    return {};
  }
  const Ex r = Op("remainder", Op("abs", x), Op("abs", y));
  const Ex zeros = n.ex(n.b.ZerosLike(x));
  n.Out(0, Select(Op("less", x, zeros), -r, r));
  return {};
}

Status Variadic(NodeContext& n) {
  if (n.num_inputs() == 1) n.Out(0, n.Add("identity", {n.in(0)}));
  Value sum = n.in(0);
  for (int i = 1; i < n.num_inputs(); ++i) {
    sum = n.Add(n.row.ours, {sum, n.in(i)});
    n.Out(0, sum);
  }
  return {};
}

Status Mean(NodeContext& n) {
  Ex sum = n.x(0);
  for (int i = 1; i < n.num_inputs(); ++i) sum = sum + n.x(i);
  n.Out(0, sum / static_cast<double>(n.num_inputs()));
  return {};
}

// BitShift of unsigned integers: by powers of two; a shift by all bits and more gives 0.
Status BitShift(NodeContext& n) {
  const std::string direction = n.String("direction", "");
  if (direction != "LEFT" && direction != "RIGHT")
    return n.Fail(fmt::format("direction is \"{}\", expected LEFT or RIGHT", direction));
  const Ex x = n.x(0), shift = n.x(1), two = n.Scalar(2, n.dtype(0));
  const Ex power = Op("power", two, shift);
  const Ex out = direction == "LEFT" ? x * power : Op("divide", x, power);
  const Ex inside = Op("less", shift, n.Scalar(dtype_bits(n.dtype(0)), n.dtype(0)));
  n.Out(0, Select(inside, out, n.Scalar(0, n.dtype(0))));
  return {};
}

// Clip: bounds are attributes before opset 11 and inputs since.
Status Clip(NodeContext& n) {
  const DType dtype = n.dtype(0);
  Value low = n.has(1) ? n.in(1) : Value(), high = n.has(2) ? n.in(2) : Value();
  if (n.opset < 11) {
    if (n.HasAttr("min")) low = n.b.Scalar(n.Float("min", 0), dtype);
    if (n.HasAttr("max")) high = n.b.Scalar(n.Float("max", 0), dtype);
  }
  // Bounds of one element of any rank are scalars.
  for (Value* bound : {&low, &high})
    if (bound->valid() && n.b.ranked(*bound) && n.b.shape(*bound).rank() > 0) *bound = n.Reshape(*bound, {});
  if (!low.valid() && !high.valid()) {
    n.Out(0, n.Add("identity", {n.in(0)}));
  } else if (low.valid() && high.valid() && n.Const(low) && n.Const(high) && n.Const(low)->at(0) == 0 &&
             n.Const(high)->at(0) == 6 && is_float(dtype)) {
    n.Out(0, n.Add("relu6", {n.in(0)}));
  } else {
    n.Out(0, n.Add("clip", {n.in(0), low, high}));
  }
  return {};
}

Status IsInf(NodeContext& n) {
  const Ex x = n.x(0);
  const bool negative = n.Int("detect_negative", 1) != 0, positive = n.Int("detect_positive", 1) != 0;
  const Ex zero = n.Scalar(0, n.dtype(0));
  Ex out = Op("is_inf", x);
  if (!positive) out = Op("logical_and", out, Op("less", x, zero));
  if (!negative) out = Op("logical_and", out, Op("greater", x, zero));
  n.Out(0, out);
  return {};
}

Status Rename(NodeContext& n) {
  const Value whole = Recognised(n, n.row.ours, n.in(0));
  n.Out(0, whole.valid() ? whole : n.Add(n.row.ours, {n.in(0)}));
  return {};
}

constexpr std::string_view kLegacy = "broadcast:i axis:i";

const OpRow kRows[] = {
    {"Add", 2, 2, 1, kLegacy, Binary, "add"},
    {"Sub", 2, 2, 1, kLegacy, Binary, "subtract"},
    {"Mul", 2, 2, 1, kLegacy, Binary, "multiply"},
    {"Div", 2, 2, 1, kLegacy, Binary, "divide"},
    {"Pow", 2, 2, 1, kLegacy, Pow},
    {"Mod", 2, 2, 1, "fmod:i", Mod},
    {"And", 2, 2, 1, kLegacy, Binary, "logical_and"},
    {"Or", 2, 2, 1, kLegacy, Binary, "logical_or"},
    {"Xor", 2, 2, 1, kLegacy, Binary, "logical_xor"},
    {"Equal", 2, 2, 1, kLegacy, Binary, "equal"},
    {"Less", 2, 2, 1, kLegacy, Binary, "less"},
    {"Greater", 2, 2, 1, kLegacy, Binary, "greater"},
    {"Max", 1, -1, 1, "", Variadic, "maximum"},
    {"Min", 1, -1, 1, "", Variadic, "minimum"},
    {"Sum", 1, -1, 1, "", Variadic, "add"},
    {"Mean", 1, -1, 1, "", Mean},
    {"BitShift", 2, 2, 1, "direction:s", BitShift},
    {"Clip", 1, 3, 1, "min:f max:f", Clip},
    {"IsInf", 1, 1, 1, "detect_negative:i detect_positive:i", IsInf},
    {"Identity", 1, 1, 1, "",
     [](NodeContext& n) {
       n.Out(0, n.b.type(n.in(0)).is_tensor() ? n.Add("identity", {n.in(0)}) : n.in(0));
       return Status();
     }},
    {"Not", 1, 1, 1, "", Rename, "logical_not"},
    {"Reciprocal", 1, 1, 1, "", Rename, "reciprocal"},
    {"Log", 1, 1, 1, "", Rename, "log"},
};

}  // namespace
const std::span<const OpRow> kElementwiseRows = kRows;
}  // namespace tenon::onnx
