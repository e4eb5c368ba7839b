// Integer arithmetic with scales and zero points, written out: quantised = saturate(round(x / scale) + zero point).
#include "formats/onnx/ops/quantize.h"

#include <fmt/format.h>

#include <cmath>

#include "formats/onnx/data_type.h"
#include "formats/onnx/ops/families.h"

namespace tenon::onnx {
namespace {

struct Range {
  double low, high;
};
Range RangeOf(DType dtype) {
  const int bits = dtype_bits(dtype);
  const double span = std::ldexp(1.0, bits);
  return is_signed_integer(dtype) ? Range{-span / 2, span / 2 - 1} : Range{0, span - 1};
}
bool IsNarrowFloat(DType dtype) { return is_float(dtype) && dtype_bits(dtype) <= 8; }

// A scale or zero point made to broadcast against x: one value, one for each place of `axis`, or one for each block.
Result<Ex> Spread(NodeContext& n, Value v, const Shape& x, std::int64_t axis_attr, std::int64_t block) {
  TENON_ASSIGN_OR_RETURN(const Shape own, n.ShapeOf(v));
  if (own.rank() == 0) return n.ex(v);
  if (own.rank() == 1 && own[0] == Dim(1) && block == 0) return n.Reshape(v, {});
  if (x.rank() == 0) return n.Fail(fmt::format("scales {} for a scalar", own.to_string()));
  TENON_ASSIGN_OR_RETURN(const int axis, n.Axis(axis_attr, x.rank()));
  if (block == 0) {
    if (own.rank() != 1 || Dim::equal(own[0], x[axis]) == Truth::kNo)
      return n.Fail(fmt::format("scales {} for axis {} of {}", own.to_string(), axis, x.to_string()));
    std::vector<Dim> dims(x.dims().size(), Dim(1));
    dims[static_cast<std::size_t>(axis)] = own[0];
    return n.Reshape(v, std::move(dims));
  }
  if (own.rank() != x.rank()) return n.Fail(fmt::format("blocked scales {} for {}", own.to_string(), x.to_string()));
  std::vector<Dim> cut = own.dims(), wide, joined = own.dims();
  cut.insert(cut.begin() + axis + 1, Dim(1));
  wide = cut;
  wide[static_cast<std::size_t>(axis) + 1] = block;
  joined[static_cast<std::size_t>(axis)] = own[axis] * block;
  const Ex repeated = n.Reshape(n.Broadcast(n.Reshape(v, cut), wide), joined);
  return joined[static_cast<std::size_t>(axis)] == x[axis] ? repeated : n.SliceAxis(repeated, axis, 0, x[axis]);
}

Status QuantizeLinear(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(0)));
  const std::int64_t axis = n.Int("axis", 1), block = n.Int("block_size", 0);
  DType to = n.has(2) ? n.dtype(2) : DType::kU8;
  if (n.Int("output_dtype", 0) != 0) {
    TENON_ASSIGN_OR_RETURN(to, ToDType(static_cast<DataTypeNumber>(n.Int("output_dtype", 0))));
  }
  const DType inner = n.dtype(0) == DType::kF64 ? DType::kF64 : DType::kF32;
  TENON_ASSIGN_OR_RETURN(const Ex scale, Spread(n, n.b.Cast(n.in(1), inner), shape, axis, block));
  Ex zero;
  if (n.has(2) && !IsNarrowFloat(to)) {
    TENON_ASSIGN_OR_RETURN(zero, Spread(n, n.b.Cast(n.in(2), inner), shape, axis, block));
  }
  const Ex real = n.ex(n.b.Cast(n.in(0), inner)) / scale;
  if (n.Int("saturate", 1) == 0 && IsNarrowFloat(to) && dtype_bits(to) == 8) {
    n.Out(0, n.Add("cast_narrow", {real}, {{"dtype", to}, {"saturate", false}}));
  } else {
    n.Out(0, Quantize(n, real, zero, to));
  }
  return {};
}

Status DequantizeLinear(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(0)));
  const std::int64_t axis = n.Int("axis", 1), block = n.Int("block_size", 0);
  DType to = n.dtype(1);
  if (n.Int("output_dtype", 0) != 0) {
    TENON_ASSIGN_OR_RETURN(to, ToDType(static_cast<DataTypeNumber>(n.Int("output_dtype", 0))));
  }
  const bool integer = is_integer(n.dtype(0));
  Ex x = n.ex(n.b.Cast(n.in(0), integer ? DType::kI32 : DType::kF32));
  if (n.has(2) && integer) {
    TENON_ASSIGN_OR_RETURN(const Ex zero, Spread(n, n.b.Cast(n.in(2), DType::kI32), shape, axis, block));
    x = x - zero;
  }
  const DType inner = n.dtype(1) == DType::kF64 ? DType::kF64 : DType::kF32;
  TENON_ASSIGN_OR_RETURN(const Ex scale, Spread(n, n.b.Cast(n.in(1), inner), shape, axis, block));
  n.Out(0, n.b.Cast(n.ex(n.b.Cast(x, inner)) * scale, to));
  return {};
}

Status DynamicQuantizeLinear(NodeContext& n) {
  const DynamicU8 y = QuantizeDynamically(n, n.x(0));
  n.Out(0, y.value);
  n.Out(1, y.scale);
  n.Out(2, y.zero);
  return {};
}

Status QLinearMatMul(NodeContext& n) {
  const auto row = [&](int i, DType dtype) -> Result<Ex> {  // of A: for each row
    const Ex v = n.ex(n.b.Cast(n.in(i), dtype));
    TENON_ASSIGN_OR_RETURN(const Shape own, n.ShapeOf(v));
    return own.rank() == 1 && own[0] != Dim(1) ? n.Reshape(v, {own[0], 1}) : v;
  };
  const auto plain = [&](int i, DType dtype) { return n.ex(n.b.Cast(n.in(i), dtype)); };
  TENON_ASSIGN_OR_RETURN(const Ex a_zero, row(2, DType::kI32));
  TENON_ASSIGN_OR_RETURN(const Ex a_scale, row(1, DType::kF32));
  TENON_ASSIGN_OR_RETURN(const Ex y_zero, row(7, DType::kF32));
  TENON_ASSIGN_OR_RETURN(const Ex y_scale, row(6, DType::kF32));
  const Ex a = plain(0, DType::kI32) - a_zero, b = plain(3, DType::kI32) - plain(5, DType::kI32);
  const Ex sum = n.ex(n.b.Cast(n.Add("matmul", {a, b}), DType::kF32));
  n.Out(0, Quantize(n, sum * (a_scale * plain(4, DType::kF32) / y_scale), y_zero, n.dtype(7)));
  return {};
}

constexpr std::string_view kAttrs = "axis:i saturate:i block_size:i output_dtype:i precision:i";

const OpRow kRows[] = {
    {"QuantizeLinear", 2, 3, 1, kAttrs, QuantizeLinear},
    {"DequantizeLinear", 2, 3, 1, kAttrs, DequantizeLinear},
    {"QuantizeLinear", 2, 3, 1, kAttrs, QuantizeLinear, {}, "com.microsoft"},
    {"DequantizeLinear", 2, 3, 1, kAttrs, DequantizeLinear, {}, "com.microsoft"},
    {"DynamicQuantizeLinear", 1, 1, 3, "", DynamicQuantizeLinear},
    {"QLinearMatMul", 8, 8, 1, "", QLinearMatMul},
};

}  // namespace

Value Quantize(NodeContext& n, Ex x, Ex zero, DType to) {
  if (IsNarrowFloat(to)) return n.b.Cast(x, to);
  const DType inner = x.dtype();
  Ex rounded = Op("round", x);
  if (zero.v.valid()) rounded = rounded + zero;
  const Range range = RangeOf(to);
  const Ex clipped = n.Apply("clip", {rounded, n.Scalar(range.low, inner), n.Scalar(range.high, inner)});
  return n.b.Cast(clipped, to);
}

DynamicU8 QuantizeDynamically(NodeContext& n, Ex x) {
  const Ex zero = n.Scalar(0, DType::kF32);
  const Ex high = Op("maximum", n.Reduce("reduce_max", x, {}, false), zero);
  const Ex low = Op("minimum", n.Reduce("reduce_min", x, {}, false), zero);
  const Ex span = (high - low) / 255.0;
  const Ex scale = Select(Op("equal", span, zero), n.Scalar(1, DType::kF32), span);
  const Ex point = n.ex(Quantize(n, -low / scale, n.ex({}), DType::kU8));
  return {n.ex(Quantize(n, x / scale, n.ex(n.b.Cast(point, DType::kF32)), DType::kU8)), scale, point};
}

const std::span<const OpRow> kQuantizeRows = kRows;
}  // namespace tenon::onnx
