// Parts of a tensor and what is put around it.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "formats/onnx/ops/families.h"

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

// A slice whose bounds only the run knows, of one axis and step 1: the indices that lie between them.
Result<Value> DynamicSlice(NodeContext& n, Value x, Value start, Value end, int axis) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(x));
  const Ex index = n.Iota(shape[axis], DType::kI64);
  const Ex size = n.Reshape(n.SliceAxis(n.ShapeValue(x), 0, axis, axis + 1), {});
  const auto bound = [&](Value v) {
    const Ex at = n.Reshape(n.b.Cast(v, DType::kI64), {});
    return Select(Op("less", at, n.Scalar(0, DType::kI64)), at + size, at);
  };
  const Ex inside = Op("logical_and", Op("greater_equal", index, bound(start)), Op("less", index, bound(end)));
  const Ex rows = n.Apply("squeeze", {n.Add("nonzero", {inside})}, {{"axes", Ints{0}}});
  return n.Add("gather", {x, rows}, {{"axis", std::int64_t{axis}}});
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
    if (n.has(3)) {
      TENON_ASSIGN_OR_RETURN(axes, n.NeedInts(3, "axes"));
    }
    if (n.has(4)) {
      TENON_ASSIGN_OR_RETURN(bounds.steps, n.NeedInts(4, "steps"));
    }
    const std::optional<std::vector<Dim>> starts = n.Symbolic(n.in(1)), ends = n.Symbolic(n.in(2));
    if (!starts || !ends) {
      const bool single = axes.size() <= 1 && (bounds.steps.empty() || bounds.steps == Ints{1});
      if (!single) return n.Unsupported("several axes or steps with bounds that are computed when the model runs");
      TENON_ASSIGN_OR_RETURN(const int rank, n.Rank(n.in(0)));
      TENON_ASSIGN_OR_RETURN(const int axis, n.Axis(axes.empty() ? 0 : axes[0], rank));
      TENON_ASSIGN_OR_RETURN(const Value out, DynamicSlice(n, n.in(0), n.in(1), n.in(2), axis));
      n.Out(0, out);
      return {};
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
    if (!given) return n.Unsupported("pads that are computed when the model runs");
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
  const std::optional<std::vector<Dim>> target = n.Symbolic(n.in(1));
  if (!target) return n.Unsupported("a size that is computed when the model runs");
  Ints axes;
  for (int i = 0; i < shape.rank(); ++i) axes.push_back(i);
  if (n.HasAttr("axes")) {
    TENON_ASSIGN_OR_RETURN(axes, n.Axes(n.IntList("axes"), shape.rank()));
  }
  if (axes.size() != target->size()) return n.Fail(fmt::format("{} sizes for {} axes", target->size(), axes.size()));
  std::vector<Dim> low(shape.dims().size(), Dim(0)), high = low;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const auto axis = static_cast<std::size_t>(axes[i]);
    const Dim more = (*target)[i] - shape.dims()[axis];
    if (more.is_symbolic()) return n.Unsupported("a size that depends on run-time dims");
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
