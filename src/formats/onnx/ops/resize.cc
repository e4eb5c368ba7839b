// Resize and Upsample, axis by axis: which places of the input an output place looks at, and with what weights.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "formats/onnx/ops/families.h"
#include "formats/onnx/ops/run_time.h"
#include "ir/numeric.h"

namespace tenon::onnx {
namespace {

constexpr DType kReal = DType::kF64;  // of coordinates

struct Options {
  std::string mode, coordinates, rounding;
  double a = -0.75, outside = 0;
  bool exclude = false, antialias = false;
};

// One axis to be resized.
struct AxisPlan {
  int axis = 0;
  Dim in, out;
  Ex scale, in_size, out_size;         // f64 scalars
  Ex length;                           // in_size * scale where a scale is given: not rounded, unlike out_size
  std::optional<double> static_scale;  // when known
  Ex roi_start, roi_end;               // f64 scalars, of tf_crop_and_resize
};

// A dim as an f64 scalar.
Ex Number(NodeContext& n, Value x, int axis, const Dim& dim) {
  if (const std::optional<std::int64_t> value = dim.try_value()) return n.Scalar(static_cast<double>(*value), kReal);
  return n.ex(n.b.Cast(n.Reshape(n.SliceAxis(n.ShapeValue(x), 0, axis, axis + 1), {}), kReal));
}

// Where each output place lies in the input, f64 [out].
Result<Ex> Coordinates(NodeContext& n, const AxisPlan& p, const Options& o) {
  const Ex at = n.Iota(p.out, kReal), one = n.Scalar(1, kReal), zero = n.Scalar(0, kReal);
  const Ex half = (at + 0.5) / p.scale - 0.5;
  const Ex single = Op("equal", p.length, one);
  if (o.coordinates == "half_pixel") return half;
  if (o.coordinates == "half_pixel_symmetric") {
    const Ex adjustment = p.out_size / (p.in_size * p.scale);
    return half + p.in_size * (1.0 - adjustment) / 2.0;
  }
  if (o.coordinates == "pytorch_half_pixel") return Select(single, zero, half);
  if (o.coordinates == "align_corners")
    return Select(single, zero, at * (p.in_size - 1.0) / Select(single, one, p.length - 1.0));
  if (o.coordinates == "asymmetric") return at / p.scale;
  if (o.coordinates == "tf_half_pixel_for_nn") return (at + 0.5) / p.scale;
  if (o.coordinates == "tf_crop_and_resize") {
    const Ex last = p.in_size - 1.0;
    const Ex step = last * (p.roi_end - p.roi_start) / Select(single, one, p.length - 1.0);
    return Select(single, last * ((p.roi_start + p.roi_end) * 0.5), last * p.roi_start + at * step);
  }
  return n.Fail(fmt::format("coordinate_transformation_mode is \"{}\"", o.coordinates));
}

Ex Clamped(NodeContext& n, Ex index, const AxisPlan& p) {
  const Ex inside = n.Apply("clip", {index, n.Scalar(0, kReal), p.in_size - 1.0});
  return n.ex(n.b.Cast(inside, DType::kI64));
}

// A vector along `axis` that broadcasts against the result.
Ex Along(NodeContext& n, Ex weights, int axis, int rank, DType dtype) {
  std::vector<Dim> dims(static_cast<std::size_t>(rank), Dim(1));
  if (!n.b.ok()) return weights;
  dims[static_cast<std::size_t>(axis)] = n.b.shape(weights)[0];
  return n.Reshape(n.b.Cast(weights, dtype), std::move(dims));
}

Result<Ex> NearestIndex(NodeContext& n, Ex at, const std::string& rounding) {
  if (rounding == "round_prefer_floor") return Op("ceil", at - 0.5);
  if (rounding == "round_prefer_ceil") return Op("floor", at + 0.5);
  if (rounding == "floor") return Op("floor", at);
  if (rounding == "ceil") return Op("ceil", at);
  return n.Fail(fmt::format("nearest_mode is \"{}\"", rounding));
}

// The cubic kernel with parameter a at distance d >= 0.
double CubicAt(double d, double a) {
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}
Ex CubicAt(NodeContext& n, Ex d, double a) {
  const Ex near = ((a + 2) * d - (a + 3)) * d * d + 1.0, far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
  return Select(Op("less_equal", d, n.Scalar(1, kReal)), near,
                Select(Op("less", d, n.Scalar(2, kReal)), far, n.Scalar(0, kReal)));
}

// Sums of neighbours: two for linear, four for cubic.
Ex Neighbours(NodeContext& n, Ex x, Ex at, const AxisPlan& p, const Options& o, int rank) {
  const bool cubic = o.mode == "cubic";
  const Ex base = Op("floor", at);
  std::vector<Ex> weights, indices;
  for (int k = cubic ? -1 : 0; k <= (cubic ? 2 : 1); ++k) {
    const Ex place = base + static_cast<double>(k), distance = Op("abs", at - place);
    Ex weight = cubic ? CubicAt(n, distance, o.a) : 1.0 - distance;
    if (o.exclude) {
      const Ex out = Op("logical_or", Op("less", place, n.Scalar(0, kReal)), Op("greater_equal", place, p.in_size));
      weight = Select(out, n.Scalar(0, kReal), weight);
    }
    weights.push_back(weight);
    indices.push_back(Clamped(n, place, p));
  }
  if (o.exclude) {
    Ex total = weights[0];
    for (std::size_t i = 1; i < weights.size(); ++i) total = total + weights[i];
    for (Ex& weight : weights) weight = weight / total;
  }
  Ex sum;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const Ex part = n.Apply("gather", {x, indices[i]}, {{"axis", std::int64_t{p.axis}}}) *
                    Along(n, weights[i], p.axis, rank, x.dtype());
    sum = i == 0 ? part : sum + part;
  }
  return sum;
}

// Axis `axis` of x multiplied with weights [out, in], in its place.
Ex MixAxis(NodeContext& n, Ex x, Value weights, int axis, int rank) {
  Ints back;  // dot_general puts the new axis last
  for (int i = 0; i < rank; ++i) back.push_back(i < axis ? i : i == axis ? rank - 1 : i - 1);
  const Ex mixed = n.Apply("dot_general", {x, weights}, {{"lhs_contract", Ints{axis}}, {"rhs_contract", Ints{1}}});
  return n.Transpose(mixed, back);
}

// With antialiasing the kernel is as wide as the step when shrinking: a matrix of weights. Here by the run, of sizes or
// a scale that only it knows: the axis is continued by as many places as the kernel reaches.
Result<Ex> AntialiasedRunTime(NodeContext& n, Ex x, Ex at, const AxisPlan& p, const Options& o, int rank) {
  const Ex shrink = Op("minimum", p.scale, n.Scalar(1, kReal));
  const Ex reach = Op("ceil", (o.mode == "cubic" ? 2.0 : 1.0) / shrink) + 1.0;
  TENON_ASSIGN_OR_RETURN(const Dim wide,
                         DimOf(n, n.b.Cast(p.in_size + reach * 2.0, DType::kI64), "the places that a kernel reaches"));
  const Ex place = n.Iota(wide, kReal) - reach;  // [wide], from -reach on
  const Ex distance = Op("abs", place - n.Reshape(at, {p.out, 1})) * shrink;
  Ex weights =
      o.mode == "cubic" ? CubicAt(n, distance, o.a) : n.ex(n.Add("maximum", {1.0 - distance, n.Scalar(0, kReal)}));
  if (o.exclude) {
    const Ex out = Op("logical_or", Op("less", place, n.Scalar(0, kReal)), Op("greater_equal", place, p.in_size));
    weights = Select(out, n.Scalar(0, kReal), weights);
  }
  weights = weights / n.Reduce("reduce_sum", weights, {1}, true);
  const Ex continued = n.Apply("gather", {x, Clamped(n, place, p)}, {{"axis", std::int64_t{p.axis}}});
  return MixAxis(n, continued, n.b.Cast(weights, x.dtype()), p.axis, rank);
}

// The same with a matrix that is made here.
Result<Ex> Antialiased(NodeContext& n, Ex x, Ex at, const AxisPlan& p, const Options& o, int rank) {
  if (p.in.is_symbolic() || p.out.is_symbolic() || !p.static_scale) return AntialiasedRunTime(n, x, at, p, o, rank);
  const std::int64_t in = p.in.value(), out = p.out.value();
  if (in * out > (std::int64_t{1} << 26)) return n.Unsupported("antialiasing of axes this long");
  const double shrink = std::min(*p.static_scale, 1.0), reach = (o.mode == "cubic" ? 2 : 1) / shrink;
  const std::optional<Literal> places = n.FoldNow(at);
  if (!places) return AntialiasedRunTime(n, x, at, p, o, rank);
  if (!(reach * static_cast<double>(out) <= 0x1p26)) return n.Unsupported("antialiasing of a scale this small");
  std::vector<double> matrix(static_cast<std::size_t>(in * out), 0.0);
  for (std::int64_t i = 0; i < out; ++i) {
    const double centre = places->at(i);
    if (!(std::abs(centre) <= 1e15)) return n.Fail(fmt::format("a region at {:g}", centre));
    double total = 0;
    std::vector<std::pair<std::int64_t, double>> taps;
    for (auto k = static_cast<std::int64_t>(std::floor(centre - reach)); static_cast<double>(k) <= centre + reach;
         ++k) {
      const double d = std::abs(static_cast<double>(k) - centre) * shrink;
      const double weight = o.mode == "cubic" ? CubicAt(d, o.a) : std::max(0.0, 1 - d);
      if (o.exclude && (k < 0 || k >= in)) continue;
      taps.push_back({std::clamp<std::int64_t>(k, 0, in - 1), weight});
      total += weight;
    }
    for (const auto& [k, weight] : taps) matrix[static_cast<std::size_t>(i * in + k)] += weight / total;
  }
  const Value weights = n.b.Constant(ir::FromDoubles(x.dtype(), {out, in}, matrix));
  return MixAxis(n, x, weights, p.axis, rank);
}

Result<Ex> ResizeAxis(NodeContext& n, Ex x, const AxisPlan& p, const Options& o, int rank) {
  TENON_ASSIGN_OR_RETURN(const Ex at, Coordinates(n, p, o));
  Ex y;
  if (o.mode == "nearest") {
    TENON_ASSIGN_OR_RETURN(const Ex index, NearestIndex(n, at, o.rounding));
    y = n.Apply("gather", {x, Clamped(n, index, p)}, {{"axis", std::int64_t{p.axis}}});
  } else if (o.antialias) {
    TENON_ASSIGN_OR_RETURN(y, Antialiased(n, x, at, p, o, rank));
  } else {
    y = Neighbours(n, x, at, p, o, rank);
  }
  if (o.coordinates != "tf_crop_and_resize") return y;
  const Ex beyond = Op("logical_or", Op("less", at, n.Scalar(0, kReal)), Op("greater", at, p.in_size - 1.0));
  return Select(Along(n, beyond, p.axis, rank, DType::kBool), n.Scalar(o.outside, x.dtype()), y);
}

// A computed size, rounded down.
Result<std::int64_t> WholeSize(NodeContext& n, double size) {
  if (!(size >= 0 && size < 9e15)) return n.Fail(fmt::format("a size of {:g}", size));
  return static_cast<std::int64_t>(size);
}

// The sizes when the aspect ratio is kept: one scale for all axes, sizes rounded half up.
Status KeepAspect(NodeContext& n, const std::string& policy, std::vector<AxisPlan>* plans) {
  const bool known = std::none_of(plans->begin(), plans->end(),
                                  [](const AxisPlan& p) { return p.in.is_symbolic() || p.out.is_symbolic(); });
  if (!known) {
    Ex scale;
    for (const AxisPlan& p : *plans) {
      const Ex s = p.out_size / p.in_size;
      scale = !scale.v.valid() ? s : Op(policy == "not_larger" ? "minimum" : "maximum", scale, s);
    }
    for (AxisPlan& p : *plans) {
      p.scale = scale;
      p.out_size = Op("floor", scale * p.in_size + 0.5);
      TENON_ASSIGN_OR_RETURN(p.out, DimOf(n, n.b.Cast(p.out_size, DType::kI64), "a size"));
      p.static_scale.reset();
    }
    return {};
  }
  std::optional<double> scale;
  for (const AxisPlan& p : *plans) {
    const double s = static_cast<double>(p.out.value()) / static_cast<double>(p.in.value());
    scale = !scale ? s : policy == "not_larger" ? std::min(*scale, s) : std::max(*scale, s);
  }
  for (AxisPlan& p : *plans) {
    p.static_scale = scale;
    p.scale = n.Scalar(*scale, kReal);
    TENON_ASSIGN_OR_RETURN(p.out, WholeSize(n, *scale * static_cast<double>(p.in.value()) + 0.5));
    p.out_size = Number(n, {}, 0, p.out);
  }
  return {};
}

// The smallest q up to 64 for which scale * q is a whole number; 0 when there is none.
std::int64_t Denominator(double scale) {
  for (std::int64_t q = 1; q <= 64; ++q)
    if (const double whole = scale * static_cast<double>(q); whole == std::floor(whole) && whole < 1e9) return q;
  return 0;
}

Status Resize(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(0)));
  const int rank = shape.rank();
  const bool upsample = n.node.op_type == "Upsample", old = upsample || n.opset < 11;
  Options o;
  o.mode = n.String("mode", "nearest");
  if (o.mode == "bilinear") o.mode = "linear";
  if (o.mode != "nearest" && o.mode != "linear" && o.mode != "cubic")
    return n.Fail(fmt::format("mode is \"{}\"", o.mode));
  o.coordinates = old ? "asymmetric" : n.String("coordinate_transformation_mode", "half_pixel");
  o.rounding = old ? "floor" : n.String("nearest_mode", "round_prefer_floor");
  o.a = n.Float("cubic_coeff_a", -0.75);
  o.exclude = n.Int("exclude_outside", 0) != 0;
  o.outside = n.Float("extrapolation_value", 0);
  o.antialias = n.Int("antialias", 0) != 0;
  Ints axes;
  for (int i = 0; i < rank; ++i) axes.push_back(i);
  if (n.HasAttr("axes")) {
    TENON_ASSIGN_OR_RETURN(axes, n.Axes(n.IntList("axes"), rank));
  }
  const int scales_at = old ? 1 : 2;
  Ex run_time_scales;
  std::vector<double> scales = upsample ? n.FloatList("scales") : std::vector<double>();
  if (upsample && n.HasAttr("height_scale")) {  // opset 1
    if (rank != 4) return n.Fail(fmt::format("got {}, expected [N, C, H, W]", shape.to_string()));
    scales = {1, 1, n.Float("height_scale", 1), n.Float("width_scale", 1)};
  }
  if (n.has(scales_at)) {
    const std::optional<Literal> value = n.Const(scales_at);
    if (value) scales = ir::ToDoubles(*value);
    if (!value) {  // only the run knows them, but how many there are
      TENON_ASSIGN_OR_RETURN(const Shape count, n.ShapeOf(n.in(scales_at)));
      if (count.rank() != 1 || count[0].is_symbolic()) return n.Unsupported("scales of unknown number");
      if (count[0] != Dim(0)) run_time_scales = n.ex(n.b.Cast(n.in(scales_at), kReal));
      scales.assign(static_cast<std::size_t>(count[0].value()), 0.0);
    }
  }
  std::optional<std::vector<Dim>> sizes;
  if (scales.empty()) {
    if (old || !n.has(3)) return n.Fail("neither scales nor sizes are given");
    TENON_ASSIGN_OR_RETURN(sizes, DimsOf(n, n.in(3), "the sizes"));
  }
  if ((sizes ? sizes->size() : scales.size()) != axes.size())
    return n.Fail(fmt::format("{} scales or sizes for {} axes", sizes ? sizes->size() : scales.size(), axes.size()));
  std::optional<Ex> roi;
  std::optional<Literal> known_roi;
  if (o.coordinates == "tf_crop_and_resize") {
    TENON_ASSIGN_OR_RETURN(const Shape places, n.ShapeOf(n.in(1)));
    if (places.rank() != 1 || places[0] != Dim(static_cast<std::int64_t>(2 * axes.size())))
      return n.Fail(fmt::format("roi {} for {} axes", places.to_string(), axes.size()));
    roi = n.ex(n.b.Cast(n.in(1), kReal));
    known_roi = n.Const(1);
  }
  std::vector<AxisPlan> plans;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    AxisPlan p;
    p.axis = static_cast<int>(axes[i]);
    p.in = shape[p.axis];
    p.in_size = Number(n, n.in(0), p.axis, p.in);
    if (roi) {
      p.roi_start = ElementOf(n, *roi, static_cast<int>(i));
      p.roi_end = ElementOf(n, *roi, static_cast<int>(i + axes.size()));
    }
    const auto index = static_cast<std::int64_t>(i), last = static_cast<std::int64_t>(i + axes.size());
    if (run_time_scales.v.valid() || (!sizes && roi && !known_roi)) {
      p.scale =
          run_time_scales.v.valid() ? ElementOf(n, run_time_scales, static_cast<int>(i)) : n.Scalar(scales[i], kReal);
      p.out_size = Op("floor", roi ? p.in_size * (p.roi_end - p.roi_start) * p.scale : p.in_size * p.scale);
      TENON_ASSIGN_OR_RETURN(p.out, DimOf(n, n.b.Cast(p.out_size, DType::kI64), "a size"));
    } else if (!sizes) {
      const double s = scales[i];
      if (!(s > 0) || !std::isfinite(s)) return n.Fail(fmt::format("a scale of {}", s));
      if (s == 1 && !roi) continue;
      const double extent = known_roi ? known_roi->at(last) - known_roi->at(index) : 1.0;
      p.static_scale = s;
      if (!p.in.is_symbolic()) {
        TENON_ASSIGN_OR_RETURN(p.out, WholeSize(n, static_cast<double>(p.in.value()) * extent * s));
      } else if (s == std::floor(s) && s < 1e9 && extent == 1) {
        p.out = p.in * static_cast<std::int64_t>(s);
      } else if (const double inverse = 1 / s; inverse == std::floor(inverse) && inverse < 1e9 && extent == 1) {
        p.out = Dim::floor_div(p.in, static_cast<std::int64_t>(inverse));
      } else if (const std::int64_t q = Denominator(s); q > 0 && extent == 1) {
        p.out = Dim::floor_div(p.in * static_cast<std::int64_t>(std::round(s * static_cast<double>(q))), q);
      } else {
        p.out_size = Op("floor", p.in_size * (extent * s));
        TENON_ASSIGN_OR_RETURN(p.out, DimOf(n, n.b.Cast(p.out_size, DType::kI64), "a size"));
      }
      p.scale = n.Scalar(s, kReal);
    } else {
      p.out = (*sizes)[i];
      if (p.out.try_value().value_or(0) < 0) return n.Fail(fmt::format("a size of {}", p.out.to_string()));
      if (p.out == p.in && !roi && !n.HasAttr("keep_aspect_ratio_policy")) continue;
      if (!p.in.is_symbolic() && !p.out.is_symbolic())
        p.static_scale = static_cast<double>(p.out.value()) / static_cast<double>(p.in.value());
    }
    plans.push_back(std::move(p));
  }
  for (AxisPlan& p : plans) {
    if (p.out_size.v.valid()) continue;
    if (!p.out.is_symbolic()) {
      p.out_size = Number(n, {}, 0, p.out);
    } else {  // its number is the length of a vector of that size
      const Value line = n.Iota(p.out, DType::kI64);
      p.out_size = Number(n, line, 0, p.out);
    }
  }
  for (AxisPlan& p : plans) {
    p.length = p.scale.v.valid() && !roi ? p.in_size * p.scale : p.out_size;
    if (!p.scale.v.valid()) p.scale = p.out_size / p.in_size;
  }
  const std::string policy = n.String("keep_aspect_ratio_policy", "stretch");
  if (sizes && policy != "stretch") TENON_RETURN_IF_ERROR(KeepAspect(n, policy, &plans));
  const DType dtype = n.dtype(0);
  const bool widen = o.mode != "nearest" && !is_float(dtype);
  Ex y = n.ex(widen ? n.b.Cast(n.in(0), DType::kF32) : n.in(0));
  for (const AxisPlan& p : plans) {
    TENON_ASSIGN_OR_RETURN(y, ResizeAxis(n, y, p, o, rank));
  }
  if (widen) y = n.ex(n.b.Cast(o.mode == "cubic" ? Op("round", y) : y, dtype));
  n.Out(0, plans.empty() ? n.Add("identity", {y}) : y.v);
  return {};
}

constexpr std::string_view kAttrs =
    "mode:s coordinate_transformation_mode:s nearest_mode:s cubic_coeff_a:f exclude_outside:i extrapolation_value:f "
    "antialias:i axes:is keep_aspect_ratio_policy:s scales:fs";

const OpRow kRows[] = {
    {"Resize", 1, 4, 1, kAttrs, Resize},
    {"Upsample", 1, 2, 1, "height_scale:f mode:s scales:fs width_scale:f", Resize},
};

}  // namespace
const std::span<const OpRow> kResizeRows = kRows;
}  // namespace tenon::onnx
