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

Status Dft(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(0)));
  const bool inverse = n.Int("inverse", 0) != 0, onesided = n.Int("onesided", 0) != 0;
  std::int64_t axis_value = n.opset < 20 ? n.Int("axis", 1) : -2;
  if (n.opset >= 20 && n.has(2)) {
    TENON_ASSIGN_OR_RETURN(const double given, n.NeedFloat(2, "axis"));
    axis_value = static_cast<std::int64_t>(given);
  }
  TENON_ASSIGN_OR_RETURN(const int axis, n.Axis(axis_value, shape.rank()));
  if (axis == shape.rank() - 1 || shape[-1].is_symbolic() || (shape[-1] != Dim(1) && shape[-1] != Dim(2)))
    return n.Fail(fmt::format("axis {} of {}", axis, shape.to_string()));
  const bool half = inverse && onesided;  // half a spectrum of a real signal
  std::int64_t length = shape[axis].try_value().value_or(0);
  if (half) length = 2 * (length - 1);
  if (n.has(1)) {
    TENON_ASSIGN_OR_RETURN(const double given, n.NeedFloat(1, "dft_length"));
    length = static_cast<std::int64_t>(given);
  }
  if (length < 1 || length > kMostLength) return n.Unsupported(fmt::format("a transform of length {}", length));
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

// signal [B, L, 1 or 2] -> [B, frames, bins, 2].
Status Stft(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(0)));
  TENON_ASSIGN_OR_RETURN(const double step_value, n.NeedFloat(1, "frame_step"));
  const auto step = static_cast<std::int64_t>(step_value);
  std::int64_t length = 0;
  if (n.has(3)) {
    TENON_ASSIGN_OR_RETURN(const double given, n.NeedFloat(3, "frame_length"));
    length = static_cast<std::int64_t>(given);
  } else if (n.has(2)) {
    TENON_ASSIGN_OR_RETURN(const Shape window, n.ShapeOf(n.in(2)));
    length = window[0].try_value().value_or(0);
  }
  if (length < 1 || length > kMostLength || step < 1 || shape.rank() < 2 || shape.rank() > 3)
    return n.Unsupported(fmt::format("frames of {} every {} of {}", length, step, shape.to_string()));
  const Dim frames = Dim::floor_div(shape[1] - length, step) + 1;
  const Ex start = n.Reshape(n.Iota(frames, DType::kI64) * static_cast<double>(step), {frames, 1});
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

// Triangles in the mel scale, [dft_length / 2 + 1, bins]: made here from constants.
Status MelWeightMatrix(NodeContext& n) {
  double in[5] = {};
  for (int i = 0; i < 5; ++i) {
    TENON_ASSIGN_OR_RETURN(in[i], n.NeedFloat(i, "an input"));
  }
  TENON_ASSIGN_OR_RETURN(const DType to, ToDType(static_cast<DataTypeNumber>(n.Int("output_datatype", kFloat))));
  const auto bins = static_cast<std::int64_t>(in[0]), length = static_cast<std::int64_t>(in[1]);
  if (bins < 1 || length < 1 || bins > kMostLength || length > 8 * kMostLength || in[2] <= 0)
    return n.Fail(fmt::format("{} bins of a transform of {}", bins, length));
  const auto mel = [](double hertz) { return 2595.0 * std::log10(1.0 + hertz / 700.0); };
  const double low = mel(in[3]), step = (mel(in[4]) - low) / static_cast<double>(bins + 2);
  std::vector<std::int64_t> edges;
  for (std::int64_t i = 0; i < bins + 2; ++i) {
    const double hertz = 700.0 * (std::pow(10.0, (static_cast<double>(i) * step + low) / 2595.0) - 1.0);
    edges.push_back(static_cast<std::int64_t>(std::floor((static_cast<double>(length) + 1) * hertz / in[2])));
  }
  const std::int64_t rows = length / 2 + 1;
  std::vector<double> out(static_cast<std::size_t>(rows * bins), 0.0);
  const auto cell = [&](std::int64_t row, std::int64_t bin) -> double& {
    return out[static_cast<std::size_t>(row * bins + bin)];
  };
  for (std::int64_t i = 0; i < bins; ++i) {
    const std::int64_t left = edges[static_cast<std::size_t>(i)], middle = edges[static_cast<std::size_t>(i) + 1],
                       right = edges[static_cast<std::size_t>(i) + 2];
    const auto inside = [&](std::int64_t j) { return j >= 0 && j < rows; };
    if (middle == left && inside(middle)) cell(middle, i) = 1;
    for (std::int64_t j = left; j <= middle && middle != left; ++j)
      if (inside(j)) cell(j, i) = static_cast<double>(j - left) / static_cast<double>(middle - left);
    for (std::int64_t j = middle; j < right; ++j)
      if (inside(j) && right != middle)
        cell(j, i) = static_cast<double>(right - j) / static_cast<double>(right - middle);
  }
  n.Out(0, n.b.Constant(ir::FromDoubles(to, {rows, bins}, out)));
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
