// Ops that join, cut, repeat and reorder along axes.
#include <algorithm>
#include <cstring>

#include "ops/array_util.h"

namespace tenon::ir::ops {
namespace {

using Longs = std::vector<std::int64_t>;

// c1: at least one input. c2: the axis is in range. c3: equal ranks, and equal dims but along the axis.
Status InferConcat(InferContext& ctx) {
  if (ctx.num_inputs() == 0) return ctx.Fail(1, "got no inputs, expected at least one");
  std::optional<int> rank;
  bool all_ranked = true;
  for (int i = 0; i < ctx.num_inputs(); ++i) {
    if (!ctx.has(i)) return ctx.Fail(1, "input " + std::to_string(i) + " is absent");
    all_ranked = all_ranked && ctx.ranked(i);
    if (!ctx.ranked(i)) continue;
    if (rank && *rank != ctx.rank(i))
      return ctx.Fail(
          3, "got ranks " + std::to_string(*rank) + " and " + std::to_string(ctx.rank(i)) + ", expected one rank");
    rank = ctx.rank(i);
  }
  const DType dtype = ctx.dtype(0);
  if (!rank) {
    ctx.SetUnknownRank(0, dtype);
    return {};
  }
  TENON_ASSIGN_OR_RETURN(const int axis, ctx.Axis(ctx.attrs().Int("axis"), *rank, 2));
  std::vector<Dim> dims(static_cast<std::size_t>(*rank));
  bool first = true;
  SymbolicValue value = std::vector<Dim>();
  for (int i = 0; i < ctx.num_inputs(); ++i) {
    if (!ctx.ranked(i)) continue;
    const Shape& s = ctx.shape(i);
    for (int k = 0; k < *rank; ++k) {
      Dim& d = dims[static_cast<std::size_t>(k)];
      if (first)
        d = s[k];
      else if (k == axis)
        d = d + s[k];
      else if (Differ(d, s[k]))
        return ctx.Fail(3, "got " + s.to_string() + " beside " + Shape(dims).to_string() +
                               ", expected dims that agree but at axis " + std::to_string(axis));
      else
        d = Merge(d, s[k]);
    }
    first = false;
    if (ctx.value(i) && value)
      value->insert(value->end(), ctx.value(i)->begin(), ctx.value(i)->end());
    else if (*rank != 1 || s[0] != Dim(0))
      value.reset();
  }
  if (!all_ranked) {
    dims[static_cast<std::size_t>(axis)] = ctx.FreshDim();
    value.reset();
  }
  if (*rank != 1 || !is_integer(dtype)) value.reset();
  SetWithValue(ctx, 0, Type::Tensor(dtype, Shape(std::move(dims))), std::move(value));
  return {};
}
Status EvalConcat(EvalContext& ctx) {
  const Longs dims = ctx.out_dims();
  const int axis = NormalAxis(ctx.attrs().Int("axis"), static_cast<int>(dims.size()));
  const Around whole = SplitAt(dims, axis);
  Literal out(ctx.out_dtype(), dims);
  const bool strings = out.dtype() == DType::kString;
  const std::size_t bytes = strings ? 1 : Size(dtype_bits(out.dtype()) / 8);
  std::int64_t from = 0;
  for (int i = 0; i < ctx.num_inputs(); ++i) {
    const Literal& x = ctx.in(i);
    const std::int64_t block = x.dims()[static_cast<std::size_t>(axis)] * whole.inner;
    for (std::int64_t o = 0; o < whole.outer && block > 0; ++o) {
      const std::int64_t to = o * whole.count * whole.inner + from;
      if (strings)
        std::copy_n(x.strings().begin() + o * block, block, out.mutable_strings().begin() + to);
      else
        std::memcpy(out.mutable_raw().data() + Size(to) * bytes, x.raw().data() + Size(o * block) * bytes,
                    Size(block) * bytes);
    }
    from += block;
  }
  ctx.Set(0, std::move(out));
  return {};
}
// d cut at [from, from + count) of one axis.
Ex Cut(Ex d, int axis, const Dim& from, const Dim& count) {
  std::vector<Dim> limits = d.b->shape(d).dims();
  std::vector<Dim> starts(limits.size(), Dim(0));
  starts[static_cast<std::size_t>(axis)] = from;
  limits[static_cast<std::size_t>(axis)] = from + count;
  return Op("slice", d, {{"starts", Shape(std::move(starts))}, {"limits", Shape(std::move(limits))}});
}
Status GradConcat(GradContext& ctx) {
  Builder& b = ctx.b;
  Dim from = 0;
  for (int i = 0; i < ctx.num_inputs(); ++i) {
    if (!b.ranked(ctx.in(i)))
      return Status(Code::kFailedPrecondition, "concat: the gradient needs the rank of every input");
    const int axis = NormalAxis(ctx.attrs().Int("axis"), b.shape(ctx.in(i)).rank());
    const Dim count = b.shape(ctx.in(i))[axis];
    if (ctx.wants(i)) ctx.Set(i, Cut(ctx.d(), axis, from, count));
    from = from + count;
  }
  return {};
}

// c1: the axis is in range. c2: the sizes are not negative and add up to the dim.
Status InferSplit(InferContext& ctx) {
  const Shape& sizes = ctx.attrs().Dims("sizes");
  for (const Dim& d : sizes.dims())
    if (KnownLess(d, 0)) return ctx.Fail(2, "got sizes " + sizes.to_string() + ", expected none below 0");
  if (!ctx.ranked(0)) {
    for (int i = 0; i < sizes.rank(); ++i) ctx.SetUnknownRank(i, ctx.dtype(0));
    return {};
  }
  TENON_ASSIGN_OR_RETURN(const int axis, ctx.Axis(ctx.attrs().Int("axis"), ctx.rank(0), 1));
  Dim total = 0;
  for (const Dim& d : sizes.dims()) total = total + d;
  if (Differ(total, ctx.shape(0)[axis]))
    return ctx.Fail(2, "got sizes " + sizes.to_string() + " of axis " + std::to_string(axis) + " of " +
                           ctx.shape(0).to_string() + ", expected them to add up to its dim");
  Dim from = 0;
  for (int i = 0; i < sizes.rank(); ++i) {
    std::vector<Dim> dims = ctx.shape(0).dims();
    dims[static_cast<std::size_t>(axis)] = sizes[i];
    ctx.Set(i, ctx.dtype(0), Shape(std::move(dims)));
    if (ctx.value(0) && ctx.rank(0) == 1 && sizes.is_static()) {
      const auto begin = ctx.value(0)->begin() + from.value();
      ctx.SetValue(i, {begin, begin + sizes[i].value()});
      from = from + sizes[i];
    }
  }
  return {};
}
Status EvalSplit(EvalContext& ctx) {
  const Literal& x = ctx.in(0);
  const int axis = NormalAxis(ctx.attrs().Int("axis"), x.rank());
  const Around a = SplitAt(x.dims(), axis);
  std::int64_t from = 0;
  for (int i = 0; i < ctx.num_outputs(); ++i) {
    const Longs dims = ctx.out_dims(i);
    const std::int64_t count = dims[static_cast<std::size_t>(axis)];
    Longs indices;
    for (std::int64_t o = 0; o < a.outer; ++o)
      for (std::int64_t k = 0; k < count * a.inner; ++k) indices.push_back((o * a.count + from) * a.inner + k);
    ctx.Set(i, GatherElements(x, dims, indices));
    from += count;
  }
  return {};
}
Status GradSplit(GradContext& ctx) {
  std::vector<Value> parts;
  for (int i = 0; i < ctx.num_outputs(); ++i) parts.push_back(ctx.d(i));
  ctx.Set(0, ctx.b.Add("concat", std::move(parts), {{"axis", ctx.attrs().Int("axis")}}));
  return {};
}

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
    for (std::int64_t k = starts[0].value();
         k < limits[0].value() && k < static_cast<std::int64_t>(ctx.value(0)->size());
         k += strides.empty() ? 1 : strides[0])
      elements.push_back((*ctx.value(0))[static_cast<std::size_t>(k)]);
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

std::vector<Sample> ConcatSamples() {
  return {
      {.name = "last", .inputs = {Random({2, 3}, 1), Random({2, 1}, 2)}},
      {.name = "first",
       .inputs = {Random({1, 3}, 3), Random({2, 3}, 4), Random({0, 3}, 5)},
       .attrs = {{"axis", std::int64_t{0}}}},
      {.name = "middle", .inputs = {Random({2, 1, 2}, 6), Random({2, 2, 2}, 7)}, .attrs = {{"axis", std::int64_t{-2}}}},
      {.name = "one", .inputs = {Random({2}, 8)}},
      {.name = "integers", .inputs = {Ints({2}, {1, 2}), Ints({1}, {3})}},
      {.name = "none", .error = "c1"},
      {.name = "scalars", .inputs = {Random({}, 9), Random({}, 10)}, .error = "c2"},
      {.name = "bad_axis", .inputs = {Random({2}, 9)}, .attrs = {{"axis", std::int64_t{1}}}, .error = "c2"},
      {.name = "ranks", .inputs = {Random({2}, 11), Random({2, 1}, 12)}, .error = "c3"},
      {.name = "dims", .inputs = {Random({2, 3}, 13), Random({3, 3}, 14)}, .error = "c3"}};
}
std::vector<Sample> SplitSamples() {
  return {{.name = "last", .inputs = {Random({2, 4}, 1)}, .attrs = {{"sizes", Shape({1, 3})}}},
          {.name = "first",
           .inputs = {Random({4, 2}, 2)},
           .attrs = {{"axis", std::int64_t{0}}, {"sizes", Shape({2, 0, 2})}}},
          {.name = "one", .inputs = {Random({3}, 3)}, .attrs = {{"sizes", Shape({3})}}},
          {.name = "integers", .inputs = {Ints({3}, {4, 5, 6})}, .attrs = {{"sizes", Shape({2, 1})}}},
          {.name = "empty", .inputs = {Random({0, 2}, 4)}, .attrs = {{"sizes", Shape({1, 1})}}},
          {.name = "scalar", .inputs = {Random({}, 5)}, .attrs = {{"sizes", Shape({1})}}, .error = "c1"},
          {.name = "sum", .inputs = {Random({4}, 6)}, .attrs = {{"sizes", Shape({1, 2})}}, .error = "c2"},
          {.name = "negative", .inputs = {Random({1}, 7)}, .attrs = {{"sizes", Shape({2, -1})}}, .error = "c2"}};
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
    {.name = "concat",
     .summary = "The inputs one after the other along an axis.",
     .inputs = {{.name = "xs", .dtypes = kAnySet, .flags = kVariadic | kWantsValue}},
     .outputs = {{.name = "y", .dtypes = kAnySet}},
     .attrs = {IntAttr("axis", -1, "the axis to join along")},
     .traits = kExact,
     .infer = InferConcat,
     .eval = EvalConcat,
     .grad = GradConcat,
     .samples = ConcatSamples,
     .names = {.onnx = "Concat"}},
    {.name = "split",
     .summary = "x cut along an axis into consecutive parts of the given sizes.",
     .inputs = {{.name = "x", .dtypes = kAnySet, .flags = kWantsValue}},
     .outputs = {{.name = "ys", .dtypes = kAnySet, .flags = kVariadic}},
     .attrs = {IntAttr("axis", -1, "the axis to cut"),
               Required("sizes", AttrKind::kDims, "the dim of each part along the axis")},
     .traits = kExact,
     .infer = InferSplit,
     .eval = EvalSplit,
     .grad = GradSplit,
     .samples = SplitSamples},
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
