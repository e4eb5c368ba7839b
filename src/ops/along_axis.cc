// Reading and adding along one axis, with an index for each element of the others.
#include "ops/index_util.h"

namespace tenon::ir::ops {
namespace {

using Longs = std::vector<std::int64_t>;

// c1: the axis is in range. c2: indices have the rank of x. c3: and dims not above those of x, but along the axis.
Status CheckAlong(const InferContext& ctx) {
  if (ctx.ranked(0)) TENON_RETURN_IF_ERROR(as_status(ctx.Axis(ctx.attrs().Int("axis"), ctx.rank(0), 1)));
  if (!ctx.ranked(0) || !ctx.ranked(1)) return {};
  const Shape &x = ctx.shape(0), &indices = ctx.shape(1);
  if (x.rank() != indices.rank())
    return ctx.Fail(2, "got " + x.to_string() + " and indices " + indices.to_string() + ", expected one rank");
  const int axis = NormalAxis(ctx.attrs().Int("axis"), x.rank());
  for (int i = 0; i < x.rank(); ++i)
    if (i != axis && KnownLess(x[i], indices[i]))
      return ctx.Fail(3, "got " + x.to_string() + " and indices " + indices.to_string() + ", which go beyond axis " +
                             std::to_string(i));
  return {};
}
Status InferTakeAlongAxis(InferContext& ctx) {
  TENON_RETURN_IF_ERROR(CheckAlong(ctx));
  if (ctx.ranked(1))
    ctx.Set(0, ctx.dtype(0), ctx.shape(1));
  else if (ctx.ranked(0))
    ctx.Set(0, ctx.dtype(0), FreshShape(ctx, Size(ctx.rank(0))));
  else
    ctx.SetUnknownRank(0, ctx.dtype(0));
  return {};
}
Result<Longs> AlongSources(const EvalContext& ctx, std::span<const std::int64_t> x, const Literal& indices) {
  const auto axis = static_cast<std::size_t>(NormalAxis(ctx.attrs().Int("axis"), static_cast<int>(x.size())));
  const Longs steps = Strides(x), index = ToInts(indices);
  for (const std::int64_t i : index)
    if (i < -x[axis] || i >= x[axis]) return ctx.Fail(RangeText(i, x[axis]));
  Longs from;
  ForEachIndex(indices.dims(), [&](std::span<const std::int64_t> at) {
    const std::int64_t i = index[from.size()];
    std::int64_t flat = (i < 0 ? i + x[axis] : i) * steps[axis];
    for (std::size_t k = 0; k < at.size(); ++k)
      if (k != axis) flat += at[k] * steps[k];
    from.push_back(flat);
  });
  return from;
}
Status EvalTakeAlongAxis(EvalContext& ctx) {
  TENON_ASSIGN_OR_RETURN(const Longs from, AlongSources(ctx, ctx.in(0).dims(), ctx.in(1)));
  ctx.Set(0, GatherElements(ctx.in(0), ctx.out_dims(), from));
  return {};
}
Status GradTakeAlongAxis(GradContext& ctx) {
  ctx.Set(0, ctx.b.Add("scatter_add_along_axis", {ctx.b.ZerosLike(ctx.in(0)), ctx.in(1), ctx.d()}, ctx.attrs()));
  return {};
}
Status InferScatterAlong(InferContext& ctx) {
  TENON_RETURN_IF_ERROR(CheckAlong(ctx));
  TENON_RETURN_IF_ERROR(CheckUpdates(ctx, ctx.ranked(1) ? std::optional<Shape>(ctx.shape(1)) : std::nullopt));
  return InferSameAsFirst(ctx);
}
Status EvalScatterAlong(EvalContext& ctx) {
  TENON_ASSIGN_OR_RETURN(const Longs to, AlongSources(ctx, ctx.in(0).dims(), ctx.in(1)));
  return AddAt(ctx, to);
}
Status GradScatterAlong(GradContext& ctx) { return GradScatter(ctx, "take_along_axis"); }

std::vector<Sample> TakeAlongAxisSamples() {
  return {
      {.name = "rows", .inputs = {Random({3, 2}, 1), Ints({2, 2}, {2, 0, -1, 1})}, .attrs = {Axis(0)}},
      {.name = "columns",
       .inputs = {Random({2, 3}, 2), Ints({2, 4}, {0, 1, 2, 0, -1, -1, -3, 1})},
       .attrs = {Axis(-1)}},
      {.name = "fewer", .inputs = {Random({3, 3}, 3), Ints({2, 1}, {2, 1})}, .attrs = {Axis(1)}},
      {.name = "empty", .inputs = {Random({2, 0}, 4), Ints({2, 0}, {})}, .attrs = {Axis(1)}},
      {.name = "bad_axis", .inputs = {Random({2}, 5), Ints({1}, {0})}, .attrs = {Axis(1)}, .error = "c1"},
      {.name = "ranks", .inputs = {Random({2, 2}, 6), Ints({1}, {0})}, .attrs = {Axis(0)}, .error = "c2"},
      {.name = "beyond", .inputs = {Random({2, 2}, 7), Ints({1, 3}, {0, 0, 0})}, .attrs = {Axis(0)}, .error = "c3"}};
}
std::vector<Sample> ScatterAlongSamples() {
  return {
      {.name = "rows",
       .inputs = {Random({3, 2}, 1), Ints({2, 2}, {2, 0, 2, 1}), Random({2, 2}, 2)},
       .attrs = {Axis(0)}},
      {.name = "columns", .inputs = {Random({2, 3}, 3), Ints({1, 2}, {0, -1}), Random({1, 2}, 4)}, .attrs = {Axis(1)}},
      {.name = "bad_axis",
       .inputs = {Random({2}, 5), Ints({1}, {0}), Random({1}, 6)},
       .attrs = {Axis(1)},
       .error = "c1"},
      {.name = "ranks",
       .inputs = {Random({2, 2}, 7), Ints({1}, {0}), Random({1}, 8)},
       .attrs = {Axis(0)},
       .error = "c2"},
      {.name = "updates",
       .inputs = {Random({2}, 9), Ints({1}, {0}), Random({2}, 10)},
       .attrs = {Axis(0)},
       .error = "c4"}};
}

constexpr FixedList<AttrSpec, 14> kAlongAttrs = {Required("axis", AttrKind::kInt, "the axis that is indexed")};

constinit const OpDef kOps[] = {
    {.name = "take_along_axis",
     .summary = "y[i, j, …] = x[indices[i, j, …], j, …] for axis 0; the dims of indices may stay below those of x on "
                "the other axes.",
     .inputs = {{.name = "x", .dtypes = kAnySet}, Indices("of the rank of x")},
     .outputs = {kReadOut},
     .attrs = kAlongAttrs,
     .traits = kExact,
     .infer = InferTakeAlongAxis,
     .eval = EvalTakeAlongAxis,
     .grad = GradTakeAlongAxis,
     .samples = TakeAlongAxisSamples,
     .names = {.torch = "gather dim=axis"}},
    {.name = "scatter_add_along_axis",
     .summary =
         "x with updates[i, j, …] added at [indices[i, j, …], j, …] for axis 0: the gradient of take_along_axis.",
     .inputs = {{.name = "x"}, Indices("of the rank of x"), {.name = "updates", .doc = "dims of indices"}},
     .outputs = {{.name = "y"}},
     .attrs = kAlongAttrs,
     .traits = kAccumulates | kInPlace,
     .infer = InferScatterAlong,
     .eval = EvalScatterAlong,
     .grad = GradScatterAlong,
     .samples = ScatterAlongSamples},
};

}  // namespace
extern const std::span<const OpDef> along_axis_ops;
constinit const std::span<const OpDef> along_axis_ops{kOps};
}  // namespace tenon::ir::ops
