// Parts of tensors: Slice, StridedSlice, Split, Pad, Reverse.
#include <fmt/format.h>

#include <algorithm>

#include "base/status_macros.h"
#include "formats/savedmodel/ops/context.h"

namespace tenon::savedmodel {
namespace {

using ir::Value;

/// What StridedSlice does to one axis of its input.
struct Axis {
  Dim start = 0, limit = 0;
  std::int64_t stride = 1;
  bool shrink = false;
};

/// An index as NumPy has it, clamped to [0, size].
Dim Clamp(const Dim& index, const Dim& size) {
  if (index == size) return size;
  if (!index.is_symbolic()) {
    if (index.value() == 0) return 0;
    if (index.value() < 0) return Dim::max(size + index, 0);
    return size.is_symbolic() || size.value() < index.value() ? Dim::min(index, size) : index;
  }
  if (!size.is_symbolic() || index.symbols() != size.symbols()) return Dim::min(index, size);
  return Dim::min(Dim::max(index, 0), size);
}

/// The axis of a positive stride.
Axis Forward(const Dim* begin, const Dim* end, std::int64_t stride, const Dim& size) {
  Axis axis;
  axis.stride = stride;
  axis.start = begin == nullptr ? Dim(0) : Clamp(*begin, size);
  axis.limit = end == nullptr ? size : Clamp(*end, size);
  if (axis.start != Dim(0) && axis.limit != size) axis.limit = Dim::max(axis.limit, axis.start);
  return axis;
}

/// The axis of a negative stride, as the forward slice whose reverse it is. The size must be a number unless the whole
/// axis is reversed.
std::optional<Axis> Backward(const Dim* begin, const Dim* end, std::int64_t stride, const Dim& size) {
  Axis axis;
  if (begin == nullptr && end == nullptr && stride == -1) {
    axis.limit = size;
    return axis;
  }
  if (size.is_symbolic() || (begin != nullptr && begin->is_symbolic()) || (end != nullptr && end->is_symbolic()))
    return std::nullopt;
  const std::int64_t n = size.value();
  const auto resolve = [n](const Dim* d, std::int64_t otherwise) {
    if (d == nullptr) return otherwise;
    return std::clamp(d->value() < 0 ? d->value() + n : d->value(), std::int64_t{-1}, n - 1);
  };
  const std::int64_t first = resolve(begin, n - 1), last = resolve(end, -1), step = -stride;
  const std::int64_t count = std::max<std::int64_t>(0, (first - last + step - 1) / step);
  axis.stride = step;
  axis.start = count == 0 ? 0 : first - (count - 1) * step;
  axis.limit = count == 0 ? 0 : first + 1;
  return axis;
}

/// x cut along every axis, axes of negative strides reversed, shrunk axes dropped.
Value Cut(OpContext& c, Value x, const std::vector<Axis>& axes, const std::vector<std::int64_t>& reversed,
          const std::vector<std::int64_t>& inserted) {
  std::vector<Dim> starts, limits;
  std::vector<std::int64_t> strides, shrunk;
  bool whole = true;
  for (std::size_t d = 0; d < axes.size(); ++d) {
    starts.push_back(axes[d].start);
    limits.push_back(axes[d].limit);
    strides.push_back(axes[d].stride);
    if (axes[d].shrink) shrunk.push_back(static_cast<std::int64_t>(d));
    whole = whole && axes[d].start == Dim(0) && axes[d].limit == c.shape(x)[static_cast<int>(d)] && axes[d].stride == 1;
  }
  if (!whole) x = c.b.Add("slice", {x}, {{"starts", Shape(starts)}, {"limits", Shape(limits)}, {"strides", strides}});
  if (!reversed.empty()) x = c.b.Add("reverse", {x}, {{"axes", reversed}});
  if (!shrunk.empty()) x = c.b.Add("squeeze", {x}, {{"axes", shrunk}});
  if (!inserted.empty()) x = c.b.Add("expand_dims", {x}, {{"axes", inserted}});
  return x;
}

/// x[i] along an axis, for an index that is known at run time only.
Value Index(OpContext& c, Value x, Value index, std::int64_t axis) {
  return c.b.Add("gather", {x, index}, {{"axis", axis}});
}

Status StridedSlice(OpContext& c) {
  Value x = c.in(0);
  const int rank = c.rank(x);
  const auto symbolic = c.dims(0);
  const auto begin = c.dims(1), end = c.dims(2);
  const std::vector<std::int64_t> strides = c.ints(3);
  if (!c.b.ok()) return {};
  const std::int64_t begin_mask = c.Int("begin_mask", 0), end_mask = c.Int("end_mask", 0);
  const std::int64_t ellipsis = c.Int("ellipsis_mask", 0), new_axis = c.Int("new_axis_mask", 0);
  const std::int64_t shrink = c.Int("shrink_axis_mask", 0);
  const int entries = static_cast<int>(strides.size());
  if (entries > 32 || (begin && static_cast<int>(begin->size()) != entries) ||
      (end && static_cast<int>(end->size()) != entries))
    return c.Fail("its begin, end and strides differ in length");
  int consumed = 0;
  for (int i = 0; i < entries; ++i)
    if (((ellipsis | new_axis) >> i & 1) == 0) ++consumed;
  if (consumed > rank) return c.Fail(fmt::format("got {} indices for rank {}", consumed, rank));

  std::vector<Axis> axes;
  std::vector<std::int64_t> reversed, inserted;
  std::vector<std::pair<std::int64_t, int>>
      gathered;  // axes shrunk at an index of run time, and the entry that holds it
  std::int64_t out_axis = 0;
  const auto keep = [&] {
    const Dim& size = c.shape(x)[static_cast<int>(axes.size())];
    axes.push_back({0, size, 1, false});
    ++out_axis;
  };
  bool ellipsis_done = false;
  for (int i = 0; i < entries; ++i) {
    if (ellipsis >> i & 1) {
      for (int k = rank - consumed; k > 0 && !ellipsis_done; --k) keep();
      ellipsis_done = true;
      continue;
    }
    if (new_axis >> i & 1) {
      inserted.push_back(out_axis++);
      continue;
    }
    const auto at = static_cast<std::size_t>(i);
    const auto d = static_cast<std::int64_t>(axes.size());
    const Dim size = c.shape(x)[static_cast<int>(d)];
    if (shrink >> i & 1) {
      Axis axis;
      axis.shrink = true;
      if (!begin) {
        gathered.emplace_back(d, i);
        axis.start = 0;
        axis.limit = 1;
      } else {
        const Dim& index = (*begin)[at];
        axis.start = !index.is_symbolic() && index.value() < 0 ? size + index : index;
        axis.limit = axis.start + 1;
      }
      axes.push_back(axis);
      continue;
    }
    const bool no_begin = (begin_mask >> i & 1) != 0, no_end = (end_mask >> i & 1) != 0;
    if ((!no_begin && !begin) || (!no_end && !end)) return c.Unsupported("bounds that are known only at run time");
    const Dim* first = no_begin ? nullptr : &(*begin)[at];
    const Dim* last = no_end ? nullptr : &(*end)[at];
    if (strides[at] == 0) return c.Fail("a stride of 0");
    if (strides[at] > 0) {
      axes.push_back(Forward(first, last, strides[at], size));
    } else {
      const auto axis = Backward(first, last, strides[at], size);
      if (!axis) return c.Unsupported("a negative stride over a dim that is known only at run time");
      axes.push_back(*axis);
      reversed.push_back(d);
    }
    ++out_axis;
  }
  while (static_cast<int>(axes.size()) < rank) keep();

  // Elements of a shape vector stay known.
  std::optional<std::vector<Dim>> elements;
  if (symbolic && rank == 1 && axes[0].start.try_value() && axes[0].limit.try_value()) {
    elements.emplace();
    for (std::int64_t k = axes[0].start.value(); k < axes[0].limit.value(); k += axes[0].stride)
      if (k >= 0 && static_cast<std::size_t>(k) < symbolic->size())
        elements->push_back((*symbolic)[static_cast<std::size_t>(k)]);
    if (!reversed.empty()) std::ranges::reverse(*elements);
  }
  // Indices of run time: gather them first; the axis then has size 1.
  for (const auto& [axis, entry] : gathered) {
    const Value vector = c.in(1);
    const Value index = c.b.Add("slice", {vector}, {{"starts", Shape{entry}}, {"limits", Shape{entry + 1}}});
    x = Index(c, x, index, axis);
  }
  if (!c.b.ok()) return {};
  c.Set(Cut(c, x, axes, reversed, inserted));
  if (elements && gathered.empty() && c.b.ok()) c.SetDims(0, *std::move(elements));
  return {};
}

Status Slice(OpContext& c) {
  const Value x = c.in(0);
  const int rank = c.rank(x);
  const auto begin = c.dims(1), size = c.dims(2), symbolic = c.dims(0);
  if (!c.b.ok()) return {};
  if (!begin || !size) return c.Unsupported("bounds that are known only at run time");
  if (static_cast<int>(begin->size()) != rank || begin->size() != size->size())
    return c.Fail("its begin or size has another rank");
  std::vector<Axis> axes;
  for (std::size_t d = 0; d < begin->size(); ++d) {
    const Dim& start = (*begin)[d];
    const Dim& length = (*size)[d];
    axes.push_back({start, length == Dim(-1) ? c.shape(x)[static_cast<int>(d)] : start + length, 1, false});
  }
  c.Set(Cut(c, x, axes, {}, {}));
  if (symbolic && rank == 1 && c.b.ok() && axes[0].start.try_value() && axes[0].limit.try_value()) {
    std::vector<Dim> elements;
    for (std::int64_t k = axes[0].start.value(); k < axes[0].limit.value(); ++k)
      if (k >= 0 && static_cast<std::size_t>(k) < symbolic->size())
        elements.push_back((*symbolic)[static_cast<std::size_t>(k)]);
    c.SetDims(0, std::move(elements));
  }
  return {};
}

Status SplitInto(OpContext& c, Value x, std::int64_t axis, const std::vector<Dim>& sizes) {
  const std::vector<Value> parts = c.b.AddAll("split", {x}, {{"axis", axis}, {"sizes", Shape(sizes)}});
  for (std::size_t i = 0; i < parts.size(); ++i) c.Set(static_cast<int>(i), parts[i]);
  return {};
}

Status Split(OpContext& c) {
  const std::int64_t axis = c.integer(0), count = c.Int("num_split", 1);
  const Value x = c.in(1);
  const int rank = c.rank(x);
  if (!c.b.ok()) return {};
  if (axis < -rank || axis >= rank || count < 1 || count > 65535) return c.Fail("its axis or number is out of range");
  const Dim size = c.shape(x)[static_cast<int>(axis)];
  const Dim part = size.is_symbolic() ? Dim::floor_div(size, count) : Dim(size.value() / count);
  if (!size.is_symbolic() && size.value() % count != 0)
    return c.Fail(fmt::format("{} does not divide {}", count, size.value()));
  return SplitInto(c, x, axis, std::vector<Dim>(static_cast<std::size_t>(count), part));
}

Status SplitV(OpContext& c) {
  const std::int64_t axis = c.integer(2);
  const Value x = c.in(0);
  const int rank = c.rank(x);
  auto sizes = c.dims(1);
  if (!c.b.ok()) return {};
  if (!sizes) return c.Unsupported("of sizes that are known only at run time");
  if (axis < -rank || axis >= rank) return c.Fail("its axis is out of range");
  Dim rest = c.shape(x)[static_cast<int>(axis)];
  for (const Dim& size : *sizes)
    if (size != Dim(-1)) rest = rest - size;
  for (Dim& size : *sizes)
    if (size == Dim(-1)) size = rest;
  return SplitInto(c, x, axis, *sizes);
}

Status Pad(OpContext& c) {
  const Value x = c.in(0);
  const int rank = c.rank(x);
  const auto amounts = c.dims(1);
  if (!c.b.ok()) return {};
  if (!amounts || static_cast<int>(amounts->size()) != 2 * rank)
    return c.Unsupported("of amounts that are known only at run time");
  std::vector<Dim> low, high;
  for (int d = 0; d < rank; ++d) {
    low.push_back((*amounts)[static_cast<std::size_t>(2 * d)]);
    high.push_back((*amounts)[static_cast<std::size_t>(2 * d + 1)]);
  }
  ir::Attrs attrs{{"low", Shape(low)}, {"high", Shape(high)}};
  if (c.node.op == "MirrorPad")
    attrs.Set("mode", c.String("mode", "REFLECT") == "REFLECT" ? std::string("reflect") : std::string("symmetric"));
  if (c.node.op == "PadV2") {
    const Literal* value = c.constant(2);
    if (value == nullptr || value->size() != 1) return c.Unsupported("with a value that is no constant");
    attrs.Set("value", value->at(0));
  }
  c.Set(c.b.Add("pad", {x}, std::move(attrs)));
  return {};
}

Status Reverse(OpContext& c) {
  c.Set(c.b.Add("reverse", {c.in(0)}, {{"axes", c.ints(1)}}));
  return {};
}

constexpr Rule kRules[] = {
    {"StridedSlice", StridedSlice},
    {"Slice", Slice},
    {"Split", Split},
    {"SplitV", SplitV},
    {"Pad", Pad},
    {"PadV2", Pad},
    {"MirrorPad", Pad},
    {"ReverseV2", Reverse},
};

}  // namespace

std::span<const Rule> SliceRules() { return kRules; }

}  // namespace tenon::savedmodel
