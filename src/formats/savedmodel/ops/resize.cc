// Resizing of images [batch, height, width, channels], one axis after the other; CropAndResize. The coordinates are
// computed in f32, as TensorFlow does, since they decide which neighbours an output looks at.
#include <fmt/format.h>

#include <array>

#include "formats/savedmodel/ops/build.h"

namespace tenon::savedmodel {
namespace {

using ir::Value;

constexpr DType kReal = DType::kF32;

/// One axis to be resized.
struct Axis {
  int axis = 0;
  Dim out;
  ir::Ex in_size, scale;  // f32 scalars
  bool corners = false, half = false;
};

ir::Ex Real(OpContext& c, double value) { return Ex(c, c.b.Scalar(value, kReal)); }

Result<Axis> AxisOf(OpContext& c, Value x, int axis, const std::vector<Dim>& sizes) {
  Axis a{.axis = axis, .out = sizes[static_cast<std::size_t>(axis - 1)], .in_size = {}, .scale = {}};
  a.corners = c.Bool("align_corners", false);
  a.half = c.Bool("half_pixel_centers", false);
  if (a.corners && a.half) return c.Fail("align_corners and half_pixel_centers exclude each other");
  a.in_size = SizeOf(c, x, axis, kReal);
  const ir::Ex out = SizeOf(c, Filled(c, Shape({a.out}), 0, DType::kBool), 0, kReal);
  a.scale = a.in_size / out;
  if (a.corners) {
    const ir::Ex one = Real(c, 1);
    a.scale = Select(Op("greater", out, one), (a.in_size - 1.0) / Op("maximum", out - 1.0, one), a.scale);
  }
  return a;
}

/// Where each output place lies in the input.
ir::Ex Places(OpContext& c, const Axis& a) {
  const ir::Ex at = Iota(c, Shape({a.out}), 0, kReal);
  return a.half ? (at + 0.5) * a.scale - 0.5 : at * a.scale;
}

ir::Ex Inside(OpContext& c, const Axis& a, ir::Ex place) {
  return Ex(c, c.b.Cast(c.b.Add("clip", {place, Real(c, 0), a.in_size - 1.0}), DType::kI64));
}

/// A vector along an axis of a tensor of rank 4.
ir::Ex Along(OpContext& c, const Axis& a, ir::Ex v) {
  std::vector<Dim> dims(4, Dim(1));
  dims[static_cast<std::size_t>(a.axis)] = a.out;
  return Ex(c, c.b.Reshape(v, Shape(std::move(dims))));
}

ir::Ex Linear(OpContext& c, const Axis& a, Value x) {
  const ir::Ex at = Places(c, a), low = Op("floor", at);
  const ir::Ex before = Take(c, x, Inside(c, a, low), a.axis), after = Take(c, x, Inside(c, a, Op("ceil", at)), a.axis);
  return before + (after - before) * Along(c, a, at - low);
}

ir::Ex Nearest(OpContext& c, const Axis& a, Value x) {
  const ir::Ex at = Iota(c, Shape({a.out}), 0, kReal);
  const ir::Ex place = a.half ? (at + 0.5) * a.scale : a.corners ? at * a.scale + 0.5 : at * a.scale;
  return Take(c, x, Inside(c, a, Op("floor", place)), a.axis);
}

/// The cubic kernel with parameter k at distance d in [0, 1] and in [1, 2].
ir::Ex CubicNear(ir::Ex d, double k) { return ((k + 2) * d - (k + 3)) * d * d + 1.0; }
ir::Ex CubicFar(ir::Ex d, double k) { return ((k * d - 5 * k) * d + 8 * k) * d - 4 * k; }

/// Four neighbours. With half pixels those outside count nothing and the others are scaled up; else the edge repeats.
/// The distance is rounded to 1/1024: TensorFlow reads the weights from a table.
ir::Ex Cubic(OpContext& c, const Axis& a, Value x) {
  const ir::Ex at = Places(c, a), low = Op("floor", at);
  const ir::Ex part = Op("round", (at - low) * 1024.0) / 1024.0, rest = 1.0 - part;
  const double k = a.half ? -0.5 : -0.75;
  std::array<ir::Ex, 4> weights{CubicFar(part + 1.0, k), CubicNear(part, k), CubicNear(rest, k),
                                CubicFar(rest + 1.0, k)};
  std::array<ir::Ex, 4> places;
  for (std::size_t i = 0; i < 4; ++i) places[i] = low + (static_cast<double>(i) - 1.0);
  if (a.half) {
    ir::Ex sum;
    for (std::size_t i = 0; i < 4; ++i) {
      const ir::Ex outside =
          Op("logical_or", Op("less", places[i], Real(c, 0)), Op("greater_equal", places[i], a.in_size));
      weights[i] = Select(outside, Real(c, 0), weights[i]);
      sum = i == 0 ? weights[i] : sum + weights[i];
    }
    for (ir::Ex& weight : weights) weight = weight / sum;
  }
  ir::Ex out;
  for (std::size_t i = 0; i < 4; ++i) {
    const ir::Ex term = Take(c, x, Inside(c, a, places[i]), a.axis) * Along(c, a, weights[i]);
    out = i == 0 ? term : out + term;
  }
  return out;
}

Status Resize(OpContext& c) {  // images, [height, width]
  Value x = c.in(0);
  const auto sizes = c.sizes(1);
  if (c.rank(x) != 4 || !sizes || sizes->size() != 2) return c.Fail("expected images [n, h, w, c] and two sizes");
  const bool nearest = c.node.op == "ResizeNearestNeighbor", cubic = c.node.op == "ResizeBicubic";
  if (!nearest) x = c.b.Cast(x, kReal);
  for (const int axis : {2, 1}) {
    const Result<Axis> a = AxisOf(c, x, axis, *sizes);
    if (!a.ok()) return a.status();
    x = nearest ? Nearest(c, *a, x) : cubic ? Cubic(c, *a, x) : Linear(c, *a, x);
  }
  c.Set(x);
  return {};
}

/// The kernels of ScaleAndTranslate at a distance of 0 or more.
Result<ir::Ex> Kernel(OpContext& c, const std::string& type, ir::Ex d) {
  const ir::Ex zero = Real(c, 0);
  const auto until = [&](double end, ir::Ex v, ir::Ex beyond) {
    return Select(Op("less", d, Real(c, end)), v, beyond);
  };
  if (type == "triangle") return Op("maximum", 1.0 - d, zero);
  if (type == "box") return until(0.5, Real(c, 1), Select(Op("equal", d, Real(c, 0.5)), Real(c, 0.5), zero));
  if (type == "gaussian") return until(1.5, Op("exp", -(d * d) * 2.0), zero);
  if (type == "keyscubic") return until(1, CubicNear(d, -0.5), until(2, CubicFar(d, -0.5), zero));
  if (type == "mitchellcubic")
    return until(1, ((7.0 / 6.0 * d - 2.0) * d) * d + 8.0 / 9.0,
                 until(2, ((-7.0 / 18.0 * d + 2.0) * d - 10.0 / 3.0) * d + 16.0 / 9.0, zero));
  if (type.starts_with("lanczos") && type.size() == 8 && type[7] >= '1' && type[7] <= '5') {
    const double radius = type[7] - '0', pi = 3.14159265358979323846;
    const ir::Ex safe = Op("maximum", d, Real(c, 1e-3)) * pi;
    const ir::Ex wave = Op("sin", safe) * Op("sin", safe / radius) * radius / (safe * safe);
    return until(1e-3, Real(c, 1), until(radius, wave, zero));
  }
  return c.Unsupported(fmt::format("with the kernel {:?}", type));
}

/// Output place o looks at (o + 0.5 - translation) / scale; shrinking widens the kernel when antialias is set.
Status ScaleAndTranslate(OpContext& c) {  // images, [height, width], scales, translations
  ir::Ex x = Ex(c, c.b.Cast(c.in(0), kReal));
  const auto sizes = c.sizes(1);
  const Value scales = c.in(2), moves = c.in(3);
  if (c.rank(x) != 4 || !sizes || sizes->size() != 2) return c.Fail("expected images [n, h, w, c] and two sizes");
  const std::string type = c.String("kernel_type", "lanczos3");
  for (const int axis : {1, 2}) {
    const auto number = [&](Value v) { return Ex(c, c.b.Reshape(SliceAxis(c, v, 0, axis - 1, axis), Shape{})); };
    const ir::Ex step = 1.0 / number(scales), zero = Real(c, 0), size = SizeOf(c, x, axis, kReal);
    const Dim in = c.shape(x)[axis], out = (*sizes)[static_cast<std::size_t>(axis - 1)];
    const ir::Ex wide = c.Bool("antialias", true) ? Op("maximum", step, Real(c, 1)) : Real(c, 1);
    const ir::Ex at = (Iota(c, Shape({out, Dim(1)}), 0, kReal) + 0.5 - number(moves)) * step;
    const ir::Ex distance = Op("abs", Iota(c, Shape({Dim(1), in}), 1, kReal) + 0.5 - at) / wide;
    const Result<ir::Ex> weights = Kernel(c, type, distance);
    if (!weights.ok()) return weights.status();
    const ir::Ex sum = Ex(c, c.b.ReduceSum(*weights, {1}, true));
    const ir::Ex seen = Op("logical_and", Op("greater_equal", at, zero), Op("less_equal", at, size));
    const ir::Ex some = Op("logical_and", seen, Op("greater", Op("abs", sum), Real(c, 1e-35)));
    const ir::Ex mix = Select(some, *weights / Select(some, sum, Real(c, 1)), zero);
    // [n, …, c] times [out, in]: the new axis comes last and moves to its place.
    using Ints = std::vector<std::int64_t>;
    const Value mixed = c.b.Add("dot_general", {x, mix}, {{"lhs_contract", Ints{axis}}, {"rhs_contract", Ints{1}}});
    x = Ex(c, c.b.Transpose(mixed, axis == 1 ? Ints{0, 3, 1, 2} : Ints{0, 1, 3, 2}));
  }
  c.Set(x);
  return {};
}

/// Boxes [n, (y1, x1, y2, x2)] in units of the image's last row and column, each resampled to one size; samples outside
/// the image hold extrapolation_value.
Status CropAndResize(OpContext& c) {  // image, boxes, which image, [height, width]
  const Value image = c.b.Cast(c.in(0), kReal), boxes = c.in(1), which = c.b.Cast(c.in(2), DType::kI64);
  const auto sizes = c.sizes(3);
  if (c.rank(image) != 4 || c.rank(boxes) != 2 || c.rank(which) != 1 || !sizes || sizes->size() != 2)
    return c.Fail("expected images [n, h, w, c], boxes [m, 4], m numbers of images and two sizes");
  const bool nearest = c.String("method", "bilinear") == "nearest";
  const Dim n = c.shape(boxes)[0], h = (*sizes)[0], w = (*sizes)[1];
  const ir::Ex zero = Real(c, 0), one = Real(c, 1);
  // Places along an axis, [n, size].
  const auto places = [&](int axis, const Dim& size) {
    const ir::Ex first = SliceAxis(c, boxes, 1, axis - 1, axis), last = SliceAxis(c, boxes, 1, axis + 1, axis + 2);
    const ir::Ex reach = SizeOf(c, image, axis, kReal) - 1.0;
    const ir::Ex count = SizeOf(c, Filled(c, Shape({size}), 0, DType::kBool), 0, kReal);
    const ir::Ex step = (last - first) * reach / Op("maximum", count - 1.0, one);
    const ir::Ex spread = first * reach + Iota(c, Shape({Dim(1), size}), 1, kReal) * step;
    return Select(Op("greater", count, one), spread, (first + last) * 0.5 * reach);
  };
  const ir::Ex y = places(1, h), x = places(2, w);
  const Shape grid{n, h, w};
  const auto spread = [&](ir::Ex v, Shape dims) {
    return Ex(c, c.b.Add("broadcast_to", {c.b.Reshape(v, std::move(dims))}, {{"dims", grid}}));
  };
  const Shape down{n, h, 1}, across{n, 1, w};
  const auto inside = [&](ir::Ex v, int axis) {
    return Op("logical_and", Op("greater_equal", v, zero), Op("less_equal", v, SizeOf(c, image, axis, kReal) - 1.0));
  };
  const auto index = [&](ir::Ex v, int axis) {
    return Ex(c, c.b.Cast(c.b.Add("clip", {v, zero, SizeOf(c, image, axis, kReal) - 1.0}), DType::kI64));
  };
  const auto sample = [&](ir::Ex row, ir::Ex column) {
    const ir::Ex at = Join(c,
                           {Expand(c, spread(Ex(c, which), Shape{n, 1, 1}), -1), Expand(c, spread(row, down), -1),
                            Expand(c, spread(column, across), -1)},
                           -1);
    return Ex(c, c.b.Add("gather_nd", {image, at}));
  };
  ir::Ex out;
  if (nearest) {
    out = sample(index(Op("floor", y + 0.5), 1), index(Op("floor", x + 0.5), 2));
  } else {
    const ir::Ex top = Op("floor", y), left = Op("floor", x);
    const ir::Ex t = index(top, 1), b = index(Op("ceil", y), 1), l = index(left, 2), r = index(Op("ceil", x), 2);
    const ir::Ex dx = Expand(c, spread(x - left, across), -1), dy = Expand(c, spread(y - top, down), -1);
    const auto row = [&](ir::Ex at) {
      const ir::Ex before = sample(at, l);
      return before + (sample(at, r) - before) * dx;
    };
    const ir::Ex above = row(t);
    out = above + (row(b) - above) * dy;
  }
  const ir::Ex seen =
      Op("logical_and", Ex(c, c.b.Reshape(inside(y, 1), down)), Ex(c, c.b.Reshape(inside(x, 2), across)));
  c.Set(Select(Expand(c, seen, -1), out, Real(c, c.Float("extrapolation_value", 0))));
  return {};
}

constexpr Rule kRules[] = {
    {"ResizeBilinear", Resize},       {"ResizeNearestNeighbor", Resize},
    {"ResizeBicubic", Resize},        {"ScaleAndTranslate", ScaleAndTranslate},
    {"CropAndResize", CropAndResize},
};

}  // namespace

std::span<const Rule> ResizeRules() { return kRules; }

}  // namespace tenon::savedmodel
