// Windows and Fourier transforms. A transform of a known length is a product with a matrix of cosines and sines.
#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "formats/onnx/data_type.h"
#include "formats/onnx/ops/families.h"
#include "formats/onnx/ops/fourier.h"
#include "formats/onnx/ops/run_time.h"
#include "ir/numeric.h"

namespace tenon::onnx {
namespace {

constexpr double kPi = std::numbers::pi;
constexpr std::int64_t kMostLength = 8192;

// a0 - a1 cos(2 pi i / N) + a2 cos(4 pi i / N), with N = size, or size - 1 when not periodic.
Status MakeWindow(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Dim size, DimOf(n, n.in(0), "the size"));
  TENON_ASSIGN_OR_RETURN(const DType to, ToDType(static_cast<DataTypeNumber>(n.Int("output_datatype", kFloat))));
  const bool periodic = n.Int("periodic", 1) != 0;
  double a0 = 0.5, a1 = 0.5, a2 = 0;
  if (n.row.ours == "hamming") {
    a0 = 25.0 / 46.0;
    a1 = 21.0 / 46.0;
  } else if (n.row.ours == "blackman") {
    a0 = 0.42;
    a2 = 0.08;
  }
  const Ex at = n.Iota(size, DType::kF64);
  const Ex whole = n.Reshape(n.b.Cast(n.in(0), DType::kF64), {}) - (periodic ? 0.0 : 1.0);
  const Ex angle = at * (2 * kPi) / whole;
  n.Out(0, n.b.Cast(a0 - Op("cos", angle) * a1 + Op("cos", angle * 2.0) * a2, to));
  return {};
}

// [n, bins] of cos and of -sin (sin for the inverse), the angles reduced before they are taken.
struct Waves {
  Value cosine, sine;
};
Waves MakeWaves(NodeContext& n, std::int64_t length, std::int64_t bins, DType dtype, double sign, double scale) {
  std::vector<double> c, s;
  for (std::int64_t i = 0; i < length; ++i)
    for (std::int64_t k = 0; k < bins; ++k) {
      const double angle = 2 * kPi * static_cast<double>(i * k % length) / static_cast<double>(length);
      c.push_back(std::cos(angle) * scale);
      s.push_back(sign * std::sin(angle) * scale);
    }
  return {n.b.Constant(ir::FromDoubles(dtype, {length, bins}, c)),
          n.b.Constant(ir::FromDoubles(dtype, {length, bins}, s))};
}

// [length / 2 + 1, length]: from half the spectrum of a real signal to the signal; what is left out mirrors the rest.
Waves HalfWaves(NodeContext& n, std::int64_t length, DType dtype) {
  const std::int64_t bins = length / 2 + 1;
  std::vector<double> c, s;
  for (std::int64_t k = 0; k < bins; ++k)
    for (std::int64_t i = 0; i < length; ++i) {
      const double angle = 2 * kPi * static_cast<double>(i * k % length) / static_cast<double>(length);
      const double weight = (k == 0 || 2 * k == length ? 1.0 : 2.0) / static_cast<double>(length);
      c.push_back(std::cos(angle) * weight);
      s.push_back(k == 0 || 2 * k == length ? 0.0 : std::sin(angle) * weight);
    }
  return {n.b.Constant(ir::FromDoubles(dtype, {bins, length}, c)),
          n.b.Constant(ir::FromDoubles(dtype, {bins, length}, s))};
}

// Transforms the last axis of a real part and an optional imaginary part; gives [..., bins, 2].
Ex Transform(NodeContext& n, Ex real, Ex imaginary, const Waves& waves) {
  const auto times = [&](Ex x, Value w) { return n.Apply("matmul", {x, w}); };
  Ex re = times(real, waves.cosine), im = times(real, waves.sine);
  if (imaginary.v.valid()) {
    re = re - times(imaginary, waves.sine);
    im = im + times(imaginary, waves.cosine);
  }
  const auto column = [&](Ex x) { return n.Add("expand_dims", {x}, {{"axes", Ints{-1}}}); };
  return n.Apply("concat", {column(re), column(im)}, {{"axis", std::int64_t{-1}}});
}

// x [..., 1 or 2]: the part as [...].
Ex PartOf(NodeContext& n, Ex x, std::int64_t k) {
  const int last = n.b.shape(x).rank() - 1;
  return n.Apply("squeeze", {n.SliceAxis(x, last, k, k + 1)}, {{"axes", Ints{last}}});
}

// A transform whose length only the run knows: the waves are computed there.
Status DftAtRun(NodeContext& n, const Shape& shape, int axis) {
  const bool inverse = n.Int("inverse", 0) != 0, onesided = n.Int("onesided", 0) != 0, half = inverse && onesided;
  if (half && shape[-1] != Dim(2))
    return n.Fail(fmt::format("half a spectrum of {}, expected complex numbers", shape.to_string()));
  TENON_ASSIGN_OR_RETURN(const Dim length, DimOf(n, n.in(1), "dft_length"));
  const Ex count = ScalarOf(n, n.in(1)), zero = n.Scalar(0, DType::kI64), one = n.Scalar(1, DType::kI64);
  const Dim spectrum = Dim::floor_div(length, 2) + 1;
  const Dim in = half ? spectrum : length, out = onesided && !inverse ? spectrum : length;
  // Elements beyond the signal are zeros.
  const Ex from = n.Iota(in, DType::kI64), have = DimValue(n, n.in(0), axis);
  const Ex inside = n.ex(n.b.Cast(Op("less", from, have), n.dtype(0)));
  const Ex safe = Op("maximum", Op("minimum", from, have - one), zero);
  Ints there, back;
  const int rank = shape.rank() - 1;
  for (int i = 0; i < rank; ++i)
    if (i != axis) there.push_back(i);
  there.push_back(axis);
  for (int i = 0; i < rank; ++i) back.push_back(i < axis ? i : i == axis ? rank - 1 : i - 1);
  back.push_back(rank);
  const auto part = [&](std::int64_t k) {
    const Ex moved = n.Transpose(PartOf(n, n.x(0), k), there);
    return n.Apply("gather", {moved, safe}, {{"axis", std::int64_t{rank - 1}}}) * inside;
  };
  const Ex line = n.Reshape(from, {in, 1});
  const Ex angle = n.ex(n.b.Cast(Op("remainder", line * n.Iota(out, DType::kI64), count), DType::kF64)) *
                   ((inverse ? 2 : -2) * kPi) / n.ex(n.b.Cast(count, DType::kF64));
  Ex weight = n.Scalar(1, DType::kF64);
  if (inverse) weight = weight / n.ex(n.b.Cast(count, DType::kF64));
  if (half) {  // what the other half would add
    const Ex alone = Op("logical_or", Op("equal", line, zero), Op("equal", line + line, count));
    weight = weight * Select(alone, n.Scalar(1, DType::kF64), n.Scalar(2, DType::kF64));
  }
  const Waves waves = {n.b.Cast(Op("cos", angle) * weight, n.dtype(0)),
                       n.b.Cast(Op("sin", angle) * weight, n.dtype(0))};
  TENON_RETURN_IF_ERROR(n.b.status());
  if (half) {
    const Ex y = n.Apply("matmul", {part(0), waves.cosine}) - n.Apply("matmul", {part(1), waves.sine});
    n.Out(0, n.Transpose(n.Add("expand_dims", {y}, {{"axes", Ints{-1}}}), back));
  } else {
    n.Out(0, n.Transpose(Transform(n, part(0), shape[-1] == Dim(2) ? part(1) : n.ex({}), waves), back));
  }
  return n.b.status();
}

Status DftAlong(NodeContext& n, int axis) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(0)));
  const bool inverse = n.Int("inverse", 0) != 0, onesided = n.Int("onesided", 0) != 0;
  if (axis == shape.rank() - 1 || shape[-1].is_symbolic() || (shape[-1] != Dim(1) && shape[-1] != Dim(2)))
    return n.Fail(fmt::format("axis {} of {}", axis, shape.to_string()));
  if (n.has(1) && !n.Const(1)) return DftAtRun(n, shape, axis);
  const bool half = inverse && onesided;  // half a spectrum of a real signal
  std::int64_t length = shape[axis].try_value().value_or(0);
  if (half) length = 2 * (length - 1);
  if (n.has(1)) {
    TENON_ASSIGN_OR_RETURN(length, n.NeedInt(1, "dft_length"));
  }
  // Half a spectrum of one element alone is that of nothing.
  if (length < (half && !n.has(1) ? 0 : 1) || length > kMostLength)
    return n.Unsupported(fmt::format("a transform of length {}", length));
  Ex x = n.x(0);
  const std::int64_t needed = half ? length / 2 + 1 : length;
  if (shape[axis] != Dim(needed)) {
    if (shape[axis].is_symbolic()) return n.Unsupported("cutting or padding an axis of unknown size");
    const std::int64_t have = shape[axis].value();
    if (have > needed) x = n.SliceAxis(x, axis, 0, needed);
    if (have < needed) {
      std::vector<Dim> low(shape.dims().size(), Dim(0)), high = low;
      high[static_cast<std::size_t>(axis)] = needed - have;
      x = n.Apply("pad", {x}, {{"low", Shape(low)}, {"high", Shape(high)}});
    }
  }
  const std::int64_t bins = onesided ? length / 2 + 1 : length;
  const Waves waves =
      MakeWaves(n, length, bins, n.dtype(0), inverse ? 1 : -1, inverse ? 1.0 / static_cast<double>(length) : 1.0);
  // The transformed axis last, and back.
  const int rank = shape.rank() - 1;
  Ints there, back;
  for (int i = 0; i < rank; ++i)
    if (i != axis) there.push_back(i);
  there.push_back(axis);
  for (int i = 0; i < rank; ++i) back.push_back(i < axis ? i : i == axis ? rank - 1 : i - 1);
  back.push_back(rank);
  const auto moved = [&](std::int64_t k) { return n.Transpose(PartOf(n, x, k), there); };
  TENON_RETURN_IF_ERROR(n.b.status());
  if (half) {
    if (shape[-1] != Dim(2))
      return n.Fail(fmt::format("half a spectrum of {}, expected complex numbers", shape.to_string()));
    const Waves real = HalfWaves(n, length, n.dtype(0));
    const Ex y = n.Apply("matmul", {moved(0), real.cosine}) - n.Apply("matmul", {moved(1), real.sine});
    n.Out(0, n.Transpose(n.Add("expand_dims", {y}, {{"axes", Ints{-1}}}), back));
    return {};
  }
  if (shape[-1] == Dim(2) && !onesided && WritesOut(length)) {
    const Ex y = WrittenOutTransform(n, moved(0), moved(1), length, inverse ? 1 : -1,
                                     inverse ? 1.0 / static_cast<double>(length) : 1.0);
    n.Out(0, n.Transpose(y, back));
    return {};
  }
  n.Out(0, n.Transpose(Transform(n, moved(0), shape[-1] == Dim(2) ? moved(1) : n.ex({}), waves), back));
  return {};
}

// The axis is an attribute before opset 20 and an input since, which only the run may know.
Status Dft(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(0)));
  if (n.opset >= 20 && n.has(2) && !n.Const(2)) {
    const Ex given = ScalarOf(n, n.in(2)), rank = n.Scalar(shape.rank(), DType::kI64);
    const Ex which = Select(Op("less", given, n.Scalar(0, DType::kI64)), given + rank, given);
    std::vector<Value> operands = {n.in(0)};
    const std::optional<Literal> length = n.Const(1);
    if (n.has(1) && !length) operands.push_back(n.in(1));
    const auto along = [&](ir::Builder& b, const std::vector<Value>& in, int axis) -> Value {
      std::vector<Value> inputs = {in[0]};
      if (length) inputs.push_back(b.Constant(*length));
      if (in.size() > 1) inputs.push_back(in[1]);
      NodeContext body(n.translator(), n.scope(), b, n.node, n.row, n.opset, std::move(inputs));
      b.SetStatus(DftAlong(body, axis));
      return b.ok() ? body.outputs()[0] : Value();
    };
    n.Out(0, Switch(n, which, shape.rank() - 1, operands, along));
    return {};
  }
  std::int64_t axis_value = n.opset < 20 ? n.Int("axis", 1) : -2;
  if (n.opset >= 20 && n.has(2)) {
    TENON_ASSIGN_OR_RETURN(axis_value, n.NeedInt(2, "axis"));
  }
  TENON_ASSIGN_OR_RETURN(const int axis, n.Axis(axis_value, shape.rank()));
  return DftAlong(n, axis);
}

// The same for frames whose length only the run knows: the waves are computed there.
Status StftAtRun(NodeContext& n, const Shape& shape) {
  if (shape.rank() != 3 || shape[2] != Dim(1)) return n.Unsupported("complex frames whose length only the run knows");
  TENON_ASSIGN_OR_RETURN(const Dim length, DimOf(n, n.in(3), "frame_length"));
  const Ex count = ScalarOf(n, n.in(3)), step = ScalarOf(n, n.in(1));
  const Ex room = DimValue(n, n.in(0), 1) - count;
  TENON_ASSIGN_OR_RETURN(const Dim frames, DimOf(n, Op("floor_divide", room, step) + 1.0, "the frames"));
  const Ex start = n.Reshape(n.Iota(frames, DType::kI64) * step, {frames, 1});
  const Ex cut = n.Apply("gather", {n.in(0), start + n.Iota(length, DType::kI64)}, {{"axis", std::int64_t{1}}});
  TENON_RETURN_IF_ERROR(n.b.status());
  Ex real = PartOf(n, cut, 0);
  if (n.has(2)) real = real * n.ex(n.b.Cast(n.in(2), n.dtype(0)));
  const Dim bins = n.Int("onesided", 1) != 0 ? Dim::floor_div(length, 2) + 1 : length;
  const Ex turns =
      Op("remainder", n.Reshape(n.Iota(length, DType::kI64), {length, 1}) * n.Iota(bins, DType::kI64), count);
  const Ex angle = n.ex(n.b.Cast(turns, DType::kF64)) * (2 * kPi) / n.ex(n.b.Cast(count, DType::kF64));
  const Waves waves = {n.b.Cast(Op("cos", angle), n.dtype(0)), n.b.Cast(-Op("sin", angle), n.dtype(0))};
  n.Out(0, Transform(n, real, n.ex({}), waves));
  return {};
}

// signal [B, L, 1 or 2] -> [B, frames, bins, 2].
Status Stft(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(0)));
  if (n.has(3) && !n.Const(3)) return StftAtRun(n, shape);
  std::int64_t length = 0;
  if (n.has(3)) {
    TENON_ASSIGN_OR_RETURN(length, n.NeedInt(3, "frame_length"));
  } else if (n.has(2)) {
    TENON_ASSIGN_OR_RETURN(const Shape window, n.ShapeOf(n.in(2)));
    length = window[0].try_value().value_or(0);
  }
  if (length < 1 || length > kMostLength || shape.rank() < 2 || shape.rank() > 3)
    return n.Unsupported(fmt::format("frames of {} of {}", length, shape.to_string()));
  Dim frames;
  if (const std::optional<Literal> step = n.Const(1)) {
    if (step->size() != 1 || !(step->at(0) >= 1)) return n.Fail("frame_step is below 1");
    frames = Dim::floor_div(shape[1] - length, ir::ToInts(*step)[0]) + 1;
  } else {
    const Ex room = DimValue(n, n.in(0), 1) - static_cast<double>(length);
    TENON_ASSIGN_OR_RETURN(frames, DimOf(n, Op("floor_divide", room, ScalarOf(n, n.in(1))) + 1.0, "the frames"));
  }
  const Ex start = n.Reshape(n.Iota(frames, DType::kI64) * ScalarOf(n, n.in(1)), {frames, 1});
  const Ex index = start + n.Iota(length, DType::kI64);
  Ex cut = n.Apply("gather", {n.in(0), index}, {{"axis", std::int64_t{1}}});  // [B, frames, length(, 1 or 2)]
  const bool parts = shape.rank() == 3;
  const bool onesided = n.Int("onesided", 1) != 0;
  const std::int64_t bins = onesided ? length / 2 + 1 : length;
  const Waves waves = MakeWaves(n, length, bins, n.dtype(0), -1, 1);
  TENON_RETURN_IF_ERROR(n.b.status());
  Ex real = parts ? PartOf(n, cut, 0) : cut, imaginary;
  if (parts && shape[2] == Dim(2)) imaginary = PartOf(n, cut, 1);
  if (n.has(2)) {
    const Ex window = n.ex(n.b.Cast(n.in(2), n.dtype(0)));
    real = real * window;
    if (imaginary.v.valid()) imaginary = imaginary * window;
  }
  n.Out(0, Transform(n, real, imaginary, waves));
  return {};
}

// Triangles in the mel scale, [dft_length / 2 + 1, bins]: filter i rises from edge i to edge i + 1 and falls to edge
// i + 2. The edges are equal steps in mel = 2595 log10(1 + hertz / 700), as places of the transform.
Status MelWeightMatrix(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const DType to, ToDType(static_cast<DataTypeNumber>(n.Int("output_datatype", kFloat))));
  const auto number = [&](int i) { return n.Reshape(n.b.Cast(n.in(i), DType::kF64), {}); };
  const double ten = std::log(10.0);
  const auto mel = [&](Ex hertz) { return Op("log", hertz / 700.0 + 1.0) * (2595.0 / ten); };
  TENON_ASSIGN_OR_RETURN(const Dim bins, DimOf(n, n.in(0), "num_mel_bins"));
  const Ex two = n.Scalar(2, DType::kI64), length = ScalarOf(n, n.in(1));
  TENON_ASSIGN_OR_RETURN(const Dim rows, DimOf(n, Op("floor_divide", length, two) + 1.0, "the rows"));
  const Ex low = mel(number(3)), step = (mel(number(4)) - low) / (number(0) + 2.0);
  const auto edge = [&](double first) {
    const Ex hertz = (Op("exp", ((n.Iota(bins, DType::kF64) + first) * step + low) * (ten / 2595.0)) - 1.0) * 700.0;
    return Op("floor", (number(1) + 1.0) * hertz / number(2));
  };
  const Ex left = edge(0), middle = edge(1), right = edge(2);
  const Ex at = n.Reshape(n.Iota(rows, DType::kF64), {rows, 1}), zero = n.Scalar(0, DType::kF64),
           one = n.Scalar(1, DType::kF64);
  const auto both = [](Ex a, Ex b) { return Op("logical_and", a, b); };
  const Ex rises = both(Op("greater_equal", at, left), Op("less", at, middle));
  const Ex falls = both(Op("greater_equal", at, middle), Op("less", at, right));
  const Ex up = (at - left) / Op("maximum", middle - left, one),
           down = (right - at) / Op("maximum", right - middle, one);
  const Ex top = Select(Op("equal", at, middle), one, zero);
  n.Out(0, n.b.Cast(Select(falls, down, Select(rises, up, top)), to));
  return {};
}

const OpRow kRows[] = {
    {"HannWindow", 1, 1, 1, "output_datatype:i periodic:i", MakeWindow, "hann"},
    {"HammingWindow", 1, 1, 1, "output_datatype:i periodic:i", MakeWindow, "hamming"},
    {"BlackmanWindow", 1, 1, 1, "output_datatype:i periodic:i", MakeWindow, "blackman"},
    {"DFT", 1, 3, 1, "axis:i inverse:i onesided:i", Dft},
    {"STFT", 2, 4, 1, "onesided:i", Stft},
    {"MelWeightMatrix", 5, 5, 1, "output_datatype:i", MelWeightMatrix},
};

}  // namespace
const std::span<const OpRow> kMathRows = kRows;
}  // namespace tenon::onnx
