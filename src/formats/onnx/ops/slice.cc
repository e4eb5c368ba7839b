// Parts of a tensor and what is put around it.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "formats/onnx/ops/families.h"
#include "formats/onnx/ops/run_time.h"

namespace tenon::onnx {
namespace {

// Whether a bound counts from the end. Symbols are >= 0; an expression of them counts from the end when it is negative
// for small symbols and for large ones, as in -batch.
bool FromEnd(const Dim& bound) {
  const auto at = [&](std::int64_t symbol) {
    const Result<std::int64_t> value = bound.evaluate([&](std::string_view) { return std::optional(symbol); });
    return value.ok() ? *value : 0;
  };
  return bound.is_symbolic() ? at(1) < 0 && at(1000) < 0 : bound.value() < 0;
}

// A bound of a slice along an axis of `size`, clamped to [0, size].
Dim Clamp(const Dim& bound, const Dim& size) {
  const Dim at = FromEnd(bound) ? size + bound : bound;
  if (!at.is_symbolic() && !size.is_symbolic()) return std::clamp<std::int64_t>(at.value(), 0, size.value());
  if (FromEnd(bound)) return Dim::max(at, 0);
  // 2^31 - 1 and 2^63 - 1 mean "to the end".
  if (!at.is_symbolic() && at.value() >= std::numeric_limits<std::int32_t>::max()) return size;
  return Dim::min(at, size);
}

// A slice whose bounds, steps or axes only the run knows.
Status RunTimeSlice(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const int rank, n.Rank(n.in(0)));
  TENON_ASSIGN_OR_RETURN(const Shape count, n.ShapeOf(n.in(1)));
  Value x = n.in(0);
  const Ex one = n.Scalar(1, DType::kI64);
  const auto number = [&](int input, int i) { return ScalarOf(n, n.SliceAxis(n.in(input), 0, i, i + 1)); };
  if ((!n.has(3) || n.Const(3)) && count.rank() == 1 && !count[0].is_symbolic()) {
    Ints axes;
    for (std::int64_t i = 0; i < count[0].value(); ++i) axes.push_back(i);
    if (n.has(3)) {
      TENON_ASSIGN_OR_RETURN(axes, n.NeedInts(3, "axes"));
    }
    TENON_ASSIGN_OR_RETURN(axes, n.Axes(axes, rank));
    if (static_cast<std::int64_t>(axes.size()) != count[0].value())
      return n.Fail(fmt::format("{} starts for {} axes", count[0].value(), axes.size()));
    for (std::size_t i = 0; i < axes.size(); ++i) {
      const int at = static_cast<int>(i);
      x = SliceRange(n, x, static_cast<int>(axes[i]), number(1, at), number(2, at), n.has(4) ? number(4, at) : one);
    }
    n.Out(0, x);
    return {};
  }
  // Every axis is cut; those that are not named from their beginning to their end.
  const Value axes = n.has(3) ? n.in(3) : n.Iota(count[0], DType::kI64).v;
  const Ex starts = SpreadOverAxes(n, axes, n.in(1), rank, 0);
  const Ex ends = SpreadOverAxes(n, axes, n.in(2), rank, static_cast<double>(std::numeric_limits<std::int32_t>::max()));
  const Ex steps = n.has(4) ? SpreadOverAxes(n, axes, n.in(4), rank, 1) : n.Broadcast(one, {rank});
  for (int axis = 0; axis < rank; ++axis)
    x = SliceRange(n, x, axis, ElementOf(n, starts, axis), ElementOf(n, ends, axis), ElementOf(n, steps, axis));
  n.Out(0, x);
  return {};
}

struct Bounds {
  std::vector<Dim> starts, ends;
  Ints axes, steps;
};

Result<Value> StaticSlice(NodeContext& n, Value x, const Bounds& bounds) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(x));
  TENON_ASSIGN_OR_RETURN(const Ints axes, n.Axes(bounds.axes, shape.rank()));
  const auto rank = static_cast<std::size_t>(shape.rank());
  std::vector<Dim> starts(rank, Dim(0)), limits = shape.dims();
  Ints strides(rank, 1), reversed;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const auto axis = static_cast<std::size_t>(axes[i]);
    const Dim size = shape.dims()[axis];
    const std::int64_t step = bounds.steps[i];
    if (step == 0) return n.Fail("a step of 0");
    if (step > 0) {
      starts[axis] = Clamp(bounds.starts[i], size);
      limits[axis] = Clamp(bounds.ends[i], size);
    } else {
      // Element size - 1 - k of the reversed axis is element k. A start beyond the end begins at the last one; an end
      // before the first runs to it. That end is written as a large negative number.
      const auto flip = [&](const Dim& bound, bool end) -> Dim {
        if (!bound.is_symbolic() && bound.value() <= -std::numeric_limits<std::int32_t>::max()) return size;
        const Dim at = FromEnd(bound) ? size + bound : bound;
        if (!at.is_symbolic() && !size.is_symbolic())
          return std::clamp<std::int64_t>(size.value() - 1 - at.value(), 0, size.value());
        if (!end && !at.is_symbolic() && at.value() >= std::numeric_limits<std::int32_t>::max()) return Dim(0);
        return Dim::min(Dim::max(size - 1 - at, 0), size);
      };
      reversed.push_back(axes[i]);
      starts[axis] = flip(bounds.starts[i], false);
      limits[axis] = flip(bounds.ends[i], true);
    }
    strides[axis] =
        step == std::numeric_limits<std::int64_t>::min() ? std::numeric_limits<std::int64_t>::max() : std::abs(step);
    limits[axis] = !limits[axis].is_symbolic() && !starts[axis].is_symbolic()
                       ? Dim(std::max(limits[axis].value(), starts[axis].value()))
                   : starts[axis] == Dim(0) ? limits[axis]
                                            : Dim::max(limits[axis], starts[axis]);
  }
  if (!reversed.empty()) x = n.Add("reverse", {x}, {{"axes", reversed}});
  ir::Attrs attrs = {{"starts", Shape(std::move(starts))}, {"limits", Shape(std::move(limits))}};
  if (std::any_of(strides.begin(), strides.end(), [](std::int64_t s) { return s != 1; }))
    attrs.Set("strides", std::move(strides));
  return n.Add("slice", {x}, std::move(attrs));
}

Status Slice(NodeContext& n) {
  Bounds bounds;
  Ints axes;
  if (n.opset < 10) {
    for (const std::int64_t i : n.IntList("starts")) bounds.starts.emplace_back(i);
    for (const std::int64_t i : n.IntList("ends")) bounds.ends.emplace_back(i);
    axes = n.IntList("axes");
  } else {
    if (n.num_inputs() < 3) return n.Fail("starts or ends are left out");
    const std::optional<std::vector<Dim>> starts = n.Symbolic(n.in(1)), ends = n.Symbolic(n.in(2));
    if (!starts || !ends || (n.has(3) && !n.Const(3)) || (n.has(4) && !n.Const(4))) return RunTimeSlice(n);
    if (n.has(3)) {
      TENON_ASSIGN_OR_RETURN(axes, n.NeedInts(3, "axes"));
    }
    if (n.has(4)) {
      TENON_ASSIGN_OR_RETURN(bounds.steps, n.NeedInts(4, "steps"));
    }
    bounds.starts = *starts;
    bounds.ends = *ends;
  }
  if (axes.empty())
    for (std::size_t i = 0; i < bounds.starts.size(); ++i) axes.push_back(static_cast<std::int64_t>(i));
  bounds.axes = axes;
  if (bounds.steps.empty()) bounds.steps.assign(axes.size(), 1);
  if (bounds.starts.size() != axes.size() || bounds.ends.size() != axes.size() || bounds.steps.size() != axes.size())
    return n.Fail(fmt::format("{} starts, {} ends, {} axes and {} steps", bounds.starts.size(), bounds.ends.size(),
                              axes.size(), bounds.steps.size()));
  TENON_ASSIGN_OR_RETURN(const Value out, StaticSlice(n, n.in(0), bounds));
  n.Out(0, out);
  return {};
}

// Low and high amounts of each axis; negative ones crop.
Result<Value> PadBy(NodeContext& n, Value x, std::vector<Dim> low, std::vector<Dim> high, std::string mode,
                    double value) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(x));
  std::vector<Dim> starts(low.size(), Dim(0)), limits = shape.dims();
  bool crops = false, pads = false;
  for (std::size_t i = 0; i < low.size(); ++i) {
    if (FromEnd(low[i])) {
      starts[i] = 0 - low[i];
      low[i] = 0;
      crops = true;
    }
    if (FromEnd(high[i])) {
      limits[i] = limits[i] + high[i];
      high[i] = 0;
      crops = true;
    }
    if (limits[i].try_value().value_or(0) < 0) return n.Fail("crops more than there is");
    pads = pads || low[i] != Dim(0) || high[i] != Dim(0);
  }
  if (crops) x = n.Add("slice", {x}, {{"starts", Shape(starts)}, {"limits", Shape(limits)}});
  if (!pads) return crops ? x : n.Add("identity", {x});
  return n.Add(
      "pad", {x},
      {{"low", Shape(std::move(low))}, {"high", Shape(std::move(high))}, {"mode", std::move(mode)}, {"value", value}});
}

// Amounts that only the run knows, i64 [rank] each: what is below 0 is cut off first.
Result<Value> PadByRunTime(NodeContext& n, Value x, Ex low, Ex high, std::string mode, Ex value) {
  const Ex zero = n.Scalar(0, DType::kI64);
  const auto positive = [&](Ex v) { return Op("maximum", v, zero); };
  TENON_ASSIGN_OR_RETURN(const std::vector<Dim> starts, DimsOf(n, positive(-low), "what is cut off in front"));
  TENON_ASSIGN_OR_RETURN(const std::vector<Dim> limits,
                         DimsOf(n, n.ex(n.ShapeValue(x)) - positive(-high), "what is left"));
  TENON_ASSIGN_OR_RETURN(const std::vector<Dim> before, DimsOf(n, positive(low), "pads"));
  TENON_ASSIGN_OR_RETURN(const std::vector<Dim> after, DimsOf(n, positive(high), "pads"));
  x = n.Add("slice", {x}, {{"starts", Shape(starts)}, {"limits", Shape(limits)}});
  const auto pad = [&](Value v, double with) {
    return n.Apply("pad", {v}, {{"low", Shape(before)}, {"high", Shape(after)}, {"mode", mode}, {"value", with}});
  };
  if (mode != "constant" || !value.v.valid()) return pad(x, 0).v;
  if (const std::optional<Literal> known = n.Const(value); known && known->size() == 1) return pad(x, known->at(0)).v;
  // A value that only the run knows stands where nothing of x came to stand.
  const Ex outside = Op("greater", pad(n.b.Cast(n.b.ZerosLike(x), DType::kI32), 1), n.Scalar(0, DType::kI32));
  return Select(outside, n.Reshape(value, {}), pad(x, 0)).v;
}

Status PadRunTime(NodeContext& n, int rank, std::string mode) {
  const Value axes = n.has(3) ? n.in(3) : n.Iota(rank, DType::kI64).v;
  TENON_ASSIGN_OR_RETURN(const Shape named, n.ShapeOf(axes));
  TENON_ASSIGN_OR_RETURN(const Shape given, n.ShapeOf(n.in(1)));
  if (named.rank() != 1 || given.rank() != 1 || Dim::equal(named[0] * 2, given[0]) == Truth::kNo)
    return n.Fail(fmt::format("pads {} for axes {}", given.to_string(), named.to_string()));
  const Ex low = SpreadOverAxes(n, axes, n.SliceAxis(n.in(1), 0, 0, named[0]), rank, 0);
  const Ex high = SpreadOverAxes(n, axes, n.SliceAxis(n.in(1), 0, named[0], named[0] * 2), rank, 0);
  TENON_ASSIGN_OR_RETURN(const Value out, PadByRunTime(n, n.in(0), low, high, std::move(mode), n.x(2)));
  n.Out(0, out);
  return {};
}

Status Pad(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const int rank, n.Rank(n.in(0)));
  const std::string mode = n.String("mode", "constant");
  if (mode != "constant" && mode != "reflect" && mode != "edge" && mode != "wrap")
    return n.Fail(fmt::format("mode is \"{}\"", mode));
  std::vector<Dim> pads;
  double value = n.Float("value", 0);
  if (n.opset < 11) {
    for (const std::int64_t i : n.IntList(n.opset < 2 ? "paddings" : "pads")) pads.emplace_back(i);
  } else {
    const std::optional<std::vector<Dim>> given = n.Symbolic(n.in(1));
    if (!given || (n.has(3) && !n.Const(3)) || (n.has(2) && mode == "constant" && !n.Const(2)))
      return PadRunTime(n, rank, mode);
    pads = *given;
    if (n.has(2) && mode == "constant") {
      TENON_ASSIGN_OR_RETURN(value, n.NeedFloat(2, "the pad value"));
    }
  }
  Ints axes;
  for (int i = 0; i < rank; ++i) axes.push_back(i);
  if (n.has(3)) {
    TENON_ASSIGN_OR_RETURN(const Ints given, n.NeedInts(3, "axes"));
    TENON_ASSIGN_OR_RETURN(axes, n.Axes(given, rank));
  }
  if (pads.size() != 2 * axes.size()) return n.Fail(fmt::format("{} pads for {} axes", pads.size(), axes.size()));
  std::vector<Dim> low(static_cast<std::size_t>(rank), Dim(0)), high = low;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    low[static_cast<std::size_t>(axes[i])] = pads[i];
    high[static_cast<std::size_t>(axes[i])] = pads[i + axes.size()];
  }
  TENON_ASSIGN_OR_RETURN(const Value out, PadBy(n, n.in(0), std::move(low), std::move(high), mode, value));
  n.Out(0, out);
  return {};
}

// Pads with zeros or crops to a size, the odd element at the end.
Status CenterCropPad(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(0)));
  Ints axes;
  for (int i = 0; i < shape.rank(); ++i) axes.push_back(i);
  if (n.HasAttr("axes")) {
    TENON_ASSIGN_OR_RETURN(axes, n.Axes(n.IntList("axes"), shape.rank()));
  }
  const std::optional<std::vector<Dim>> target = n.Symbolic(n.in(1));
  const bool known = target &&
                     std::none_of(target->begin(), target->end(), [](const Dim& d) { return d.is_symbolic(); }) &&
                     shape.is_static();
  if (!known) {
    const Ex own = n.ex(n.ShapeValue(n.in(0))), zero = n.Scalar(0, DType::kI64), two = n.Scalar(2, DType::kI64);
    const Value places = n.IntVector(axes);
    const Ex wanted =
        Select(AxisMask(n, places, shape.rank()), SpreadOverAxes(n, places, n.in(1), shape.rank(), 0), own);
    const Ex more = wanted - own;
    // Cropping: start = floor(-more / 2).
    const Ex before = Select(Op("less", more, zero), -Op("floor_divide", -more, two), Op("floor_divide", more, two));
    TENON_ASSIGN_OR_RETURN(const Value out, PadByRunTime(n, n.in(0), before, more - before, "constant", n.ex({})));
    n.Out(0, out);
    return {};
  }
  if (axes.size() != target->size()) return n.Fail(fmt::format("{} sizes for {} axes", target->size(), axes.size()));
  std::vector<Dim> low(shape.dims().size(), Dim(0)), high = low;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const auto axis = static_cast<std::size_t>(axes[i]);
    const Dim more = (*target)[i] - shape.dims()[axis];
    // Cropping: start = floor(-more / 2).
    const std::int64_t m = more.value(), before = m >= 0 ? m / 2 : -(-m / 2);
    low[axis] = before;
    high[axis] = m - before;
  }
  TENON_ASSIGN_OR_RETURN(const Value out, PadBy(n, n.in(0), std::move(low), std::move(high), "constant", 0));
  n.Out(0, out);
  return {};
}

Status Trilu(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(0)));
  if (shape.rank() < 2) return n.Fail(fmt::format("got rank {}, expected 2 or more", shape.rank()));
  const Ex row = n.Reshape(n.Iota(shape[-2], DType::kI64), {shape[-2], 1}), column = n.Iota(shape[-1], DType::kI64);
  const Ex k = n.has(1) ? n.Reshape(n.b.Cast(n.in(1), DType::kI64), {}) : n.Scalar(0, DType::kI64);
  const Ex keep = Op(n.Int("upper", 1) != 0 ? "greater_equal" : "less_equal", column - row, k);
  if (n.dtype(0) == DType::kBool) {
    n.Out(0, n.Add("logical_and", {n.in(0), keep}));
  } else {
    n.Out(0, Select(keep, n.x(0), n.Scalar(0, n.dtype(0))));
  }
  return {};
}

const OpRow kRows[] = {
    {"Slice", 1, 5, 1, "starts:is ends:is axes:is", Slice},
    {"Pad", 1, 4, 1, "mode:s pads:is paddings:is value:f", Pad},
    {"CenterCropPad", 2, 2, 1, "axes:is", CenterCropPad},
    {"Trilu", 1, 2, 1, "upper:i", Trilu},
};

}  // namespace
const std::span<const OpRow> kSliceRows = kRows;
}  // namespace tenon::onnx
