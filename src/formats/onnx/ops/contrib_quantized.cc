// Quantised operators of com.microsoft that ONNX Runtime's tools write into files, and ONNX's quantised convolution.
#include <fmt/format.h>

#include <functional>

#include "formats/onnx/ops/families.h"
#include "formats/onnx/ops/quantize.h"
#include "formats/onnx/ops/window.h"
#include "ir/numeric.h"

namespace tenon::onnx {
namespace {

constexpr std::string_view kDomain = "com.microsoft";

Ex As(NodeContext& n, int i, DType dtype) { return n.ex(n.b.Cast(n.in(i), dtype)); }

// (x - zero) * scale of quantised input i, whose scale and zero point follow it.
Ex Real(NodeContext& n, int i) {
  Ex x = As(n, i, DType::kI32);
  if (n.has(i + 2)) x = x - As(n, i + 2, DType::kI32);
  return n.ex(n.b.Cast(x, DType::kF32)) * As(n, i + 1, DType::kF32);
}

Value Requantize(NodeContext& n, Ex real, int scale, int zero) {
  const Ex point = n.has(zero) ? As(n, zero, DType::kF32) : n.ex({});
  return Quantize(n, real / As(n, scale, DType::kF32), point, n.has(zero) ? n.dtype(zero) : DType::kU8);
}

// A vector along the output channels of weights [out, in, k…], or of a result [N, out, …].
Ex PerChannel(NodeContext& n, Ex v, int rank, int axis) {
  if (!n.b.ok() || n.b.shape(v).rank() == 0 || n.b.shape(v)[0] == Dim(1)) return n.Reshape(v, {});
  std::vector<Dim> dims(static_cast<std::size_t>(rank), Dim(1));
  dims[static_cast<std::size_t>(axis)] = n.b.shape(v)[0];
  return n.Reshape(v, std::move(dims));
}

// x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, bias (int32). The sum is exact in int32.
Status QLinearConv(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape weights, n.ShapeOf(n.in(3)));
  TENON_ASSIGN_OR_RETURN(const int rank, n.Rank(n.in(0)));
  if (weights.rank() != rank || rank < 3) return n.Fail("weights of another rank than the input");
  Ints kernel;
  for (int i = 2; i < rank; ++i) {
    if (weights[i].is_symbolic()) return n.Unsupported("a kernel of unknown size");
    kernel.push_back(weights[i].value());
  }
  TENON_ASSIGN_OR_RETURN(const Window w, ReadWindow(n, n.in(0), kernel));
  const Ex x = As(n, 0, DType::kI32) - As(n, 2, DType::kI32);
  const Ex k = As(n, 3, DType::kI32) - PerChannel(n, As(n, 5, DType::kI32), rank, 0);
  Ex sum = n.Apply("conv", {x, k},
                   {{"strides", w.strides},
                    {"padding", w.Padding()},
                    {"dilations", w.dilations},
                    {"groups", n.Int("group", 1)},
                    {"auto_pad", w.auto_pad},
                    {"layout", w.layout},
                    {"kernel_layout", w.kernel_layout}});
  if (n.has(8)) sum = sum + ChannelShape(n, n.in(8), rank);
  const Ex scale = As(n, 1, DType::kF32) * PerChannel(n, As(n, 4, DType::kF32), rank, 1) / As(n, 6, DType::kF32);
  n.Out(0, Quantize(n, n.ex(n.b.Cast(sum, DType::kF32)) * scale, As(n, 7, DType::kF32), n.dtype(7)));
  return {};
}

// a, a_scale, a_zero, b, b_scale, b_zero, c (int32), y_scale, y_zero; without y_scale the result is real.
Status QGemm(NodeContext& n) {
  const bool transpose_b = n.Int("transB", 0) != 0;
  const auto column = [&](Ex v) { return PerChannel(n, v, 2, transpose_b ? 0 : 1); };
  const Ex a = As(n, 0, DType::kI32) - As(n, 2, DType::kI32);
  const Ex b = As(n, 3, DType::kI32) - column(As(n, 5, DType::kI32));
  Ex sum = n.Apply("matmul", {a, b}, {{"transpose_x", n.Int("transA", 0) != 0}, {"transpose_y", transpose_b}});
  if (n.has(6)) sum = sum + n.x(6);
  const Ex scale = As(n, 1, DType::kF32) * PerChannel(n, As(n, 4, DType::kF32), 2, 1) * n.Float("alpha", 1.0);
  const Ex real = n.ex(n.b.Cast(sum, DType::kF32)) * scale;
  n.Out(0, n.has(7) ? Requantize(n, real, 7, 8) : real.v);
  return {};
}

Status QLinearBinary(NodeContext& n) {
  n.Out(0, Requantize(n, Op(n.row.ours, Real(n, 0), Real(n, 3)), 6, 7));
  return {};
}

Status QLinearUnary(NodeContext& n) {
  ir::Attrs attrs;
  if (n.row.ours == "leaky_relu") attrs.Set("negative_slope", n.Float("alpha", 0.01));
  n.Out(0, Requantize(n, Op(n.row.ours, Real(n, 0), attrs), 3, 4));
  return {};
}

// Before opset 13 (an attribute) the axes from `axis` on count as one.
Status QLinearSoftmax(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(0)));
  const bool one = n.Int("opset", 13) < 13;
  TENON_ASSIGN_OR_RETURN(const int axis, n.Axis(n.Int("axis", one ? 1 : -1), shape.rank()));
  Ex x = Real(n, 0);
  if (one) {
    Dim rows = 1, columns = 1;
    for (int i = 0; i < shape.rank(); ++i) (i < axis ? rows : columns) = (i < axis ? rows : columns) * shape[i];
    x = n.Reshape(x, {rows, columns});
  }
  const Ex y = n.Apply("softmax", {x}, {{"axis", one ? std::int64_t{-1} : std::int64_t{axis}}});
  n.Out(0, Requantize(n, one ? n.Reshape(y, shape.dims()) : y, 3, 4));
  return {};
}

Status QLinearReduceMean(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const int rank, n.Rank(n.in(0)));
  TENON_ASSIGN_OR_RETURN(const Ints axes, n.Axes(n.IntList("axes"), rank));
  n.Out(0, Requantize(n, n.Reduce("reduce_mean", Real(n, 0), axes, n.Int("keepdims", 1) != 0), 3, 4));
  return {};
}

// condition, then value, scale and zero point of both sides, y_scale, y_zero.
Status QLinearWhere(NodeContext& n) {
  n.Out(0, Requantize(n, Select(n.x(0), Real(n, 1), Real(n, 4)), 7, 8));
  return {};
}

Status QLinearGlobalAveragePool(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const int rank, n.Rank(n.in(0)));
  Ints axes;
  const bool last = n.Int("channels_last", 0) != 0;
  for (int i = last ? 1 : 2; i < rank - (last ? 1 : 0); ++i) axes.push_back(i);
  n.Out(0, Requantize(n, n.Reduce("reduce_mean", Real(n, 0), axes, true), 3, 4));
  return {};
}

// y_scale, y_zero, then value, scale and zero point of each part.
Status QLinearConcat(NodeContext& n) {
  if (n.num_inputs() % 3 != 2)
    return n.Fail(fmt::format("{} inputs, expected 2 and three for each part", n.num_inputs()));
  std::vector<Value> parts;
  for (int i = 2; i < n.num_inputs(); i += 3) parts.push_back(Real(n, i));
  TENON_ASSIGN_OR_RETURN(const int rank, n.Rank(n.in(2)));
  TENON_ASSIGN_OR_RETURN(const int axis, n.Axis(n.Int("axis", 0), rank));
  n.Out(0, Requantize(n, n.Apply("concat", std::move(parts), {{"axis", std::int64_t{axis}}}), 0, 1));
  return {};
}

// Channels last: there and back around `pool`.
Result<Ex> ChannelsFirst(NodeContext& n, Ex x, bool last, const std::function<Result<Ex>(Ex)>& pool) {
  if (!last) return pool(x);
  TENON_ASSIGN_OR_RETURN(const int rank, n.Rank(x));
  if (rank < 3) return n.Fail(fmt::format("got rank {}, expected 3 or more", rank));
  Ints there = {0, rank - 1}, back = {0};
  for (int i = 1; i < rank - 1; ++i) there.push_back(i);
  for (int i = 2; i < rank; ++i) back.push_back(i);
  back.push_back(1);
  TENON_ASSIGN_OR_RETURN(const Ex y, pool(n.Transpose(x, there)));
  return n.Transpose(y, back);
}

ir::Attrs PoolAttrs(NodeContext& n, const Window& w) {
  return {{"window", w.kernel},       {"strides", w.strides},   {"padding", w.Padding()},
          {"dilations", w.dilations}, {"auto_pad", w.auto_pad}, {"ceil_mode", n.Int("ceil_mode", 0) != 0},
          {"layout", w.layout}};
}

Status QLinearAveragePool(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Ex y,
                         ChannelsFirst(n, Real(n, 0), n.Int("channels_last", 0) != 0, [&](Ex x) -> Result<Ex> {
                           TENON_ASSIGN_OR_RETURN(const Window w, ReadWindow(n, x, {}));
                           ir::Attrs attrs = PoolAttrs(n, w);
                           attrs.Set("count_include_pad", n.Int("count_include_pad", 0) != 0);
                           return n.Apply("avg_pool", {x}, std::move(attrs));
                         }));
  n.Out(0, Requantize(n, y, 3, 4));
  return {};
}

// Integers with the channels last; a maximum is exact in f32.
Status NhwcMaxPool(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Ex y, ChannelsFirst(n, As(n, 0, DType::kF32), true, [&](Ex x) -> Result<Ex> {
                           TENON_ASSIGN_OR_RETURN(const Window w, ReadWindow(n, x, {}));
                           return n.Apply("max_pool", {x}, PoolAttrs(n, w));
                         }));
  n.Out(0, n.b.Cast(y, n.dtype(0)));
  return {};
}

// (a - a_zero)(b - b_zero) in int32, times both scales, plus a bias; scales and zero points of b may be one a column.
Value IntegerProduct(NodeContext& n, Ex a, Ex a_scale, Ex a_zero, Ex b, Ex b_scale, Ex b_zero, Ex bias) {
  const auto centred = [&](Ex x, Ex zero) {
    const Ex wide = n.ex(n.b.Cast(x, DType::kI32));
    return zero.v.valid() ? wide - n.ex(n.b.Cast(zero, DType::kI32)) : wide;
  };
  const Value sum = n.Add("matmul", {centred(a, a_zero), centred(b, b_zero)});
  Ex y = n.ex(n.b.Cast(sum, DType::kF32)) * (a_scale * b_scale);
  if (bias.v.valid()) y = y + bias;
  return y;
}

// a, b, a_scale, b_scale, a_zero, b_zero, bias.
Status MatMulIntegerToFloat(NodeContext& n) {
  n.Out(0, IntegerProduct(n, n.x(0), n.x(2), n.x(4), n.x(1), n.x(3), n.x(5), n.x(6)));
  return {};
}

// a (float, quantised here to u8), b, b_scale, b_zero, bias.
Status DynamicQuantizeMatMul(NodeContext& n) {
  const DynamicU8 a = QuantizeDynamically(n, n.x(0));
  n.Out(0, IntegerProduct(n, a.value, a.scale, a.zero, n.x(1), n.x(2), n.x(3), n.x(4)));
  return {};
}

// A [.., K] times weights of 2 to 8 bits in blocks along K: B u8 [N, blocks, bytes], scales [N * blocks], zero points
// packed as the weights or in A's type. The weights are spread out here.
Status MatMulNBits(NodeContext& n) {
  const std::int64_t k = n.Int("K", 0), columns = n.Int("N", 0), bits = n.Int("bits", 4),
                     block = n.Int("block_size", 32);
  if (k < 1 || columns < 1 || bits < 2 || bits > 8 || 8 % bits != 0 || block < 1)
    return n.Unsupported(fmt::format("K {}, N {}, bits {}, block_size {}", k, columns, bits, block));
  if (n.has(4)) return n.Unsupported("g_idx");
  if (n.Int("weight_prepacked", 0) != 0) return n.Unsupported("weights packed for one device");
  const std::optional<Literal> packed = n.Const(1), scales = n.Const(2), zeros = n.Const(3);
  if (!packed || !scales || (n.has(3) && !zeros)) return n.Unsupported("weights that only the run knows");
  const std::int64_t blocks = (k + block - 1) / block, bytes = (block * bits + 7) / 8, each = 8 / bits;
  if (packed->dtype() != DType::kU8 || packed->size() != columns * blocks * bytes || scales->size() != columns * blocks)
    return n.Fail(fmt::format("weights {} and scales {} for K {} and N {}", packed->to_string(0), scales->to_string(0),
                              k, columns));
  const std::int64_t zero_bytes = (blocks * bits + 7) / 8;
  if (zeros && zeros->dtype() == DType::kU8 && zeros->size() != columns * zero_bytes)
    return n.Fail(fmt::format("zero points {}", zeros->to_string(0)));
  if (zeros && zeros->dtype() != DType::kU8 && zeros->size() != columns * blocks)
    return n.Fail(fmt::format("zero points {}", zeros->to_string(0)));
  const std::span<const std::uint8_t> data = packed->data<std::uint8_t>();
  const auto unpack = [&](std::span<const std::uint8_t> from, std::int64_t row, std::int64_t i) {
    const unsigned byte = from[static_cast<std::size_t>(row + i / each)];
    return static_cast<double>((byte >> (i % each * bits)) & ((1U << bits) - 1));
  };
  const std::vector<double> scale = ir::ToDoubles(*scales);
  std::vector<double> weights(static_cast<std::size_t>(columns * k));
  for (std::int64_t c = 0; c < columns; ++c)
    for (std::int64_t i = 0; i < k; ++i) {
      const std::int64_t at = i / block, cell = c * blocks + at;
      double zero = static_cast<double>(std::int64_t{1} << (bits - 1));
      if (zeros)
        zero = zeros->dtype() == DType::kU8 ? unpack(zeros->data<std::uint8_t>(), c * zero_bytes, at) : zeros->at(cell);
      weights[static_cast<std::size_t>(c * k + i)] =
          (unpack(data, cell * bytes, i % block) - zero) * scale[static_cast<std::size_t>(cell)];
    }
  const Value w = n.b.Constant(ir::FromDoubles(n.dtype(0), {columns, k}, weights));
  Ex y = n.Apply("matmul", {n.in(0), w}, {{"transpose_y", true}});
  if (n.has(5)) y = y + n.x(5);
  n.Out(0, y);
  return {};
}
const OpRow kRows[] = {
    {"QLinearConv", 8, 9, 1, "auto_pad:s dilations:is group:i kernel_shape:is pads:is strides:is", QLinearConv},
    {"QGemm", 6, 9, 1, "alpha:f transA:i transB:i", QGemm, {}, kDomain},
    {"QLinearAdd", 7, 8, 1, "", QLinearBinary, "add", kDomain},
    {"QLinearMul", 7, 8, 1, "", QLinearBinary, "multiply", kDomain},
    {"QLinearSigmoid", 4, 5, 1, "", QLinearUnary, "sigmoid", kDomain},
    {"QLinearLeakyRelu", 4, 5, 1, "alpha:f", QLinearUnary, "leaky_relu", kDomain},
    {"QLinearSoftmax", 4, 5, 1, "axis:i opset:i", QLinearSoftmax, {}, kDomain},
    {"QLinearReduceMean", 4, 5, 1, "axes:is keepdims:i", QLinearReduceMean, {}, kDomain},
    {"QLinearWhere", 9, 9, 1, "", QLinearWhere, {}, kDomain},
    {"QLinearGlobalAveragePool", 4, 5, 1, "channels_last:i", QLinearGlobalAveragePool, {}, kDomain},
    {"QLinearConcat", 5, -1, 1, "axis:i", QLinearConcat, {}, kDomain},
    {"QLinearAveragePool",
     4,
     5,
     1,
     "auto_pad:s ceil_mode:i channels_last:i count_include_pad:i dilations:is kernel_shape:is pads:is strides:is",
     QLinearAveragePool,
     {},
     kDomain},
    {"NhwcMaxPool",
     1,
     1,
     1,
     "auto_pad:s ceil_mode:i dilations:is kernel_shape:is pads:is strides:is",
     NhwcMaxPool,
     {},
     kDomain},
    {"MatMulIntegerToFloat", 4, 7, 1, "", MatMulIntegerToFloat, {}, kDomain},
    {"DynamicQuantizeMatMul", 3, 5, 1, "", DynamicQuantizeMatMul, {}, kDomain},
    {"MatMulNBits",
     3,
     6,
     1,
     "K:i N:i accuracy_level:i bits:i block_size:i weight_prepacked:i",
     MatMulNBits,
     {},
     kDomain},
};

}  // namespace
const std::span<const OpRow> kContribQuantizedRows = kRows;
}  // namespace tenon::onnx
