// Ops that take a part of a value or turn it around, along axes.
#include <algorithm>

#include "ops/array_util.h"

namespace tenon::ir::ops {
namespace {

using Longs = std::vector<std::int64_t>;

// c1: one start, limit and stride per axis. c2: 0 <= start <= limit <= dim. c3: strides above 0.
Status InferSlice(InferContext& ctx) {
  const Shape &starts = ctx.attrs().Dims("starts"), &limits = ctx.attrs().Dims("limits");
  const Longs& strides = ctx.attrs().Ints("strides");
  const int rank = starts.rank();
  if (limits.rank() != rank || (!strides.empty() && static_cast<int>(strides.size()) != rank) ||
      (ctx.ranked(0) && ctx.rank(0) != rank))
    return ctx.Fail(1, "got " + std::to_string(rank) + " starts, " + std::to_string(limits.rank()) + " limits, " +
                           std::to_string(strides.size()) + " strides" +
                           (ctx.ranked(0) ? " for rank " + std::to_string(ctx.rank(0)) : "") +
                           ", expected one per axis");
  std::vector<Dim> dims;
  bool known = ctx.ranked(0) && rank == 1 && ctx.value(0);
  for (int i = 0; i < rank; ++i) {
    const std::int64_t stride = strides.empty() ? 1 : strides[static_cast<std::size_t>(i)];
    if (stride <= 0)
      return ctx.Fail(3, "got stride " + std::to_string(stride) +
                             ", expected one above 0 (reverse the axis for the other direction)");
    if (KnownLess(starts[i], 0) || KnownLess(limits[i], starts[i]) ||
        (ctx.ranked(0) && KnownLess(ctx.shape(0)[i], limits[i])))
      return ctx.Fail(2, "got [" + starts[i].to_string() + ", " + limits[i].to_string() + ") at axis " +
                             std::to_string(i) + (ctx.ranked(0) ? " of " + ctx.shape(0).to_string() : "") +
                             ", expected 0 <= start <= limit <= dim");
    dims.push_back(Dim::ceil_div(limits[i] - starts[i], stride));
    known = known && !starts[i].is_symbolic() && !limits[i].is_symbolic();
  }
  ctx.Set(0, ctx.dtype(0), Shape(std::move(dims)));
  if (known) {
    std::vector<Dim> elements;
    const std::int64_t stride = strides.empty() ? 1 : strides[0],
                       limit = std::min(limits[0].value(), static_cast<std::int64_t>(ctx.value(0)->size()));
    for (std::int64_t k = starts[0].value(); k < limit;) {
      elements.push_back((*ctx.value(0))[static_cast<std::size_t>(k)]);
      if (stride >= limit - k) break;  // k + stride need not be a number
      k += stride;
    }
    ctx.SetValue(0, std::move(elements));
  }
  return {};
}
Status EvalSlice(EvalContext& ctx) {
  const Literal& x = ctx.in(0);
  const Longs starts = ctx.attrs().Dims("starts").values(), dims = ctx.out_dims(), steps = Strides(x.dims());
  const Longs& strides = ctx.attrs().Ints("strides");
  Longs from;
  ForEachIndex(dims, [&](std::span<const std::int64_t> index) {
    std::int64_t at = 0;
    for (std::size_t i = 0; i < index.size(); ++i)
      at += (starts[i] + index[i] * (strides.empty() ? 1 : strides[i])) * steps[i];
    from.push_back(at);
  });
  ctx.Set(0, GatherElements(x, dims, from));
  return {};
}
Ex PadZeros(Ex x, std::vector<Dim> low, std::vector<Dim> high) {
  const auto zero = [](const Dim& d) { return d == Dim(0); };
  if (std::all_of(low.begin(), low.end(), zero) && std::all_of(high.begin(), high.end(), zero)) return x;
  return Op("pad", x, {{"low", Shape(std::move(low))}, {"high", Shape(std::move(high))}});
}
// Strided: each element followed by stride - 1 zeros, what is too much at the end cut off.
Status GradSlice(GradContext& ctx) {
  Builder& b = ctx.b;
  if (!b.ranked(ctx.in(0))) return Status(Code::kFailedPrecondition, "slice: the gradient needs the rank of its input");
  const Shape& x = b.shape(ctx.in(0));
  const Shape &starts = ctx.attrs().Dims("starts"), &limits = ctx.attrs().Dims("limits");
  const Longs& strides = ctx.attrs().Ints("strides");
  Ex d = ctx.d();
  const bool strided = std::any_of(strides.begin(), strides.end(), [](std::int64_t s) { return s != 1; });
  if (strided) {
    std::vector<Dim> low, high, split, joined;
    for (int i = 0; i < x.rank(); ++i) {
      const Dim count = b.shape(ctx.out())[i];
      const std::int64_t s = strides[static_cast<std::size_t>(i)];
      split.insert(split.end(), {count, 1});
      low.insert(low.end(), {0, 0});
      high.insert(high.end(), {0, s - 1});
      joined.push_back(count * s);
    }
    d = PadZeros(b(b.Reshape(d, Shape(split))), low, high);
    d = b(b.Reshape(d, Shape(joined)));
  }
  std::vector<Dim> high;
  for (int i = 0; i < x.rank(); ++i) high.push_back(x[i] - limits[i]);
  d = PadZeros(d, starts.dims(), high);
  if (strided)
    d = Op("slice", d,
           {{"starts", Shape(std::vector<Dim>(static_cast<std::size_t>(x.rank()), Dim(0)))}, {"limits", x}});
  ctx.Set(0, d);
  return {};
}

// c1: each axis in range, once.
Status InferReverse(InferContext& ctx) {
  if (ctx.ranked(0)) TENON_RETURN_IF_ERROR(as_status(ctx.Axes(ctx.attrs().Ints("axes"), ctx.rank(0), 1, false)));
  ctx.Set(0, ctx.type(0));
  if (ctx.ranked(0) && ctx.rank(0) == 1 && ctx.value(0) && !ctx.attrs().Ints("axes").empty())
    ctx.SetValue(0, {ctx.value(0)->rbegin(), ctx.value(0)->rend()});
  return {};
}
Status EvalReverse(EvalContext& ctx) {
  const Literal& x = ctx.in(0);
  const Longs steps = Strides(x.dims());
  std::vector<bool> turned(static_cast<std::size_t>(x.rank()), false);
  for (const int axis : NormalAxes(ctx.attrs().Ints("axes"), x.rank(), false))
    turned[static_cast<std::size_t>(axis)] = true;
  Longs from;
  ForEachIndex(x.dims(), [&](std::span<const std::int64_t> index) {
    std::int64_t at = 0;
    for (std::size_t i = 0; i < index.size(); ++i) at += (turned[i] ? x.dims()[i] - 1 - index[i] : index[i]) * steps[i];
    from.push_back(at);
  });
  ctx.Set(0, GatherElements(x, x.dims(), from));
  return {};
}
Status GradReverse(GradContext& ctx) {
  ctx.Set(0, Op("reverse", ctx.d(), ctx.attrs()));
  return {};
}

std::vector<Sample> SliceSamples() {
  return {
      {.name = "plain", .inputs = {Random({4, 5}, 1)}, .attrs = {{"starts", Shape({1, 0})}, {"limits", Shape({3, 5})}}},
      {.name = "strided",
       .inputs = {Random({5, 7}, 2)},
       .attrs = {{"starts", Shape({1, 0})}, {"limits", Shape({4, 7})}, {"strides", Longs{2, 3}}}},
      {.name = "one_stride",
       .inputs = {Random({5, 2}, 3)},
       .attrs = {{"starts", Shape({0, 0})}, {"limits", Shape({4, 2})}, {"strides", Longs{3, 1}}}},
      {.name = "nothing",
       .inputs = {Random({3}, 4)},
       .attrs = {{"starts", Shape({2})}, {"limits", Shape({2})}, {"strides", Longs{2}}}},
      {.name = "integers",
       .inputs = {Ints({4}, {4, 5, 6, 7})},
       .attrs = {{"starts", Shape({1})}, {"limits", Shape({4})}, {"strides", Longs{2}}}},
      {.name = "scalar", .inputs = {Random({}, 5)}, .attrs = {{"starts", Shape()}, {"limits", Shape()}}},
      {.name = "empty", .inputs = {Random({0, 2}, 6)}, .attrs = {{"starts", Shape({0, 1})}, {"limits", Shape({0, 2})}}},
      {.name = "count",
       .inputs = {Random({3, 2}, 7)},
       .attrs = {{"starts", Shape({0})}, {"limits", Shape({1})}},
       .error = "c1"},
      {.name = "far",
       .inputs = {Random({3}, 8)},
       .attrs = {{"starts", Shape({0})}, {"limits", Shape({4})}},
       .error = "c2"},
      {.name = "backwards",
       .inputs = {Random({3}, 9)},
       .attrs = {{"starts", Shape({2})}, {"limits", Shape({1})}},
       .error = "c2"},
      {.name = "negative",
       .inputs = {Random({3}, 9)},
       .attrs = {{"starts", Shape({-1})}, {"limits", Shape({1})}},
       .error = "c2"},
      {.name = "stride",
       .inputs = {Random({3}, 10)},
       .attrs = {{"starts", Shape({0})}, {"limits", Shape({3})}, {"strides", Longs{0}}},
       .error = "c3"}};
}
std::vector<Sample> ReverseSamples() {
  return {{.name = "last", .inputs = {Random({2, 3}, 1)}, .attrs = {{"axes", Longs{-1}}}},
          {.name = "both", .inputs = {Random({2, 3, 2}, 2)}, .attrs = {{"axes", Longs{0, 1}}}},
          {.name = "none", .inputs = {Random({2, 3}, 3)}, .attrs = {{"axes", Longs{}}}},
          {.name = "integers", .inputs = {Ints({3}, {1, 2, 3})}, .attrs = {{"axes", Longs{0}}}},
          {.name = "scalar", .inputs = {Random({}, 4)}, .attrs = {{"axes", Longs{}}}},
          {.name = "empty", .inputs = {Random({0, 3}, 5)}, .attrs = {{"axes", Longs{0}}}},
          {.name = "bad_axis", .inputs = {Random({2}, 6)}, .attrs = {{"axes", Longs{1}}}, .error = "c1"}};
}

constinit const OpDef kOps[] = {
    {.name = "slice",
     .summary = "The elements start, start + stride, … below limit, of every axis.",
     .inputs = {{.name = "x", .dtypes = kAnySet, .flags = kWantsValue}},
     .outputs = {{.name = "y", .dtypes = kAnySet}},
     .attrs = {Required("starts", AttrKind::kDims, "one per axis, 0 <= start <= limit"),
               Required("limits", AttrKind::kDims, "one per axis, not above the dim"),
               IntsAttr("strides", "one per axis, above 0; empty: all 1")},
     .traits = kExact,
     .infer = InferSlice,
     .eval = EvalSlice,
     .grad = GradSlice,
     .samples = SliceSamples},
    {.name = "reverse",
     .summary = "The elements in reverse order along the axes.",
     .inputs = {{.name = "x", .dtypes = kAnySet, .flags = kWantsValue}},
     .outputs = {{.name = "y", .dtypes = kAnySet}},
     .attrs = {Required("axes", AttrKind::kInts, "the axes to reverse; empty: none")},
     .traits = kExact,
     .infer = InferReverse,
     .eval = EvalReverse,
     .grad = GradReverse,
     .samples = ReverseSamples,
     .names = {.torch = "flip dims=axes"}},
};

}  // namespace
extern const std::span<const OpDef> slicing_ops;
constinit const std::span<const OpDef> slicing_ops{kOps};
}  // namespace tenon::ir::ops
