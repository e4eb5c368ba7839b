// Ops that put values together along an axis, and cut them into parts.
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
};

}  // namespace
extern const std::span<const OpDef> joining_ops;
constinit const std::span<const OpDef> joining_ops{kOps};
}  // namespace tenon::ir::ops
