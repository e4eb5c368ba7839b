// Ops that give one value the shape of another, and back.
#include "ops/array_util.h"

namespace tenon::ir::ops {
namespace {

// c1: x broadcasts to the dims. The result's dims, of which unknown ones come from x where x cannot be 1.
Status CheckBroadcast(const InferContext& ctx, const Shape& from, const Shape& to) {
  if (from.rank() > to.rank())
    return ctx.Fail(1, "got rank " + std::to_string(from.rank()) + " for dims " + to.to_string() +
                           ", expected at most rank " + std::to_string(to.rank()));
  for (int i = 1; i <= from.rank(); ++i)
    if (Differ(from[-i], to[-i]) && Differ(from[-i], Dim(1)))
      return ctx.Fail(1, "got " + from.to_string() + ", which does not broadcast to " + to.to_string());
  return {};
}

// c2: exactly one of dims and shape. c3: the values are not negative.
Status InferBroadcastTo(InferContext& ctx) {
  const bool by_dims = ctx.attrs().Has("dims");
  if (by_dims == ctx.has(1))
    return ctx.Fail(2, "got " + std::string(by_dims ? "both" : "neither") +
                           " of the attribute \"dims\" and the input \"shape\", expected one of them");
  Shape to;
  if (by_dims) {
    to = ctx.attrs().Dims("dims");
  } else if (ctx.ranked(1) && ctx.rank(1) != 1) {
    return ctx.Fail(3, "got a shape input of rank " + std::to_string(ctx.rank(1)) + ", expected a vector");
  } else if (ctx.value(1)) {
    to = Shape(*ctx.value(1));
  } else if (ctx.ranked(1) && !ctx.shape(1)[0].is_symbolic()) {
    const std::int64_t rank = ctx.shape(1)[0].value();
    if (rank > 64)
      return ctx.Fail(3, "got a shape input of " + std::to_string(rank) + " elements, expected at most 64");
    to = FreshShape(ctx, Size(rank));
    if (ctx.ranked(0) && ctx.rank(0) > rank) return CheckBroadcast(ctx, ctx.shape(0), to);
    ctx.Set(0, ctx.dtype(0), std::move(to));
    return {};
  } else {
    ctx.SetUnknownRank(0, ctx.dtype(0));
    return {};
  }
  for (const Dim& d : to.dims())
    if (KnownLess(d, 0)) return ctx.Fail(3, "got dims " + to.to_string() + ", expected none below 0");
  if (ctx.ranked(0)) TENON_RETURN_IF_ERROR(CheckBroadcast(ctx, ctx.shape(0), to));
  ctx.Set(0, ctx.dtype(0), std::move(to));
  return {};
}
Status EvalBroadcastTo(EvalContext& ctx) {
  const std::vector<std::int64_t> dims = ctx.out_dims();
  TENON_RETURN_IF_ERROR(as_status(checked_size(dims)));
  ctx.Set(0, GatherElements(ctx.in(0), dims, BroadcastIndices(ctx.in(0).dims(), dims)));
  return {};
}
Status GradBroadcast(GradContext& ctx) {
  ctx.Set(0, ctx.b.SumLike(ctx.d(), ctx.in(0)));
  return {};
}

Status InferBroadcastLike(InferContext& ctx) {
  if (ctx.ranked(0) && ctx.ranked(1)) TENON_RETURN_IF_ERROR(CheckBroadcast(ctx, ctx.shape(0), ctx.shape(1)));
  ctx.Set(0, ctx.ranked(1) ? Type::Tensor(ctx.dtype(0), ctx.shape(1)) : Type::TensorOfUnknownRank(ctx.dtype(0)));
  return {};
}

Status InferSumLike(InferContext& ctx) {
  if (ctx.ranked(0) && ctx.ranked(1)) TENON_RETURN_IF_ERROR(CheckBroadcast(ctx, ctx.shape(1), ctx.shape(0)));
  ctx.Set(0, ctx.ranked(1) ? Type::Tensor(ctx.dtype(0), ctx.shape(1)) : Type::TensorOfUnknownRank(ctx.dtype(0)));
  return {};
}
Status EvalSumLike(EvalContext& ctx) {
  const Literal& x = ctx.in(0);
  const std::vector<std::int64_t> dims = ctx.out_dims();
  const std::vector<std::int64_t> to = BroadcastIndices(dims, x.dims());
  VisitWide(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::vector<T> v = LoadAs<T>(x);
    std::vector<T> out(Size(Product(dims)), zero);
    for (std::size_t i = 0; i < v.size(); ++i) out[Size(to[i])] = Plus(out[Size(to[i])], v[i]);
    ctx.Set(0, StoreAs<T>(x.dtype(), dims, out));
  });
  return {};
}
Status GradSumLike(GradContext& ctx) {
  ctx.Set(0, ctx.b.BroadcastLike(ctx.d(), ctx.in(0)));
  return {};
}

Status EvalFill(EvalContext& ctx, std::int64_t value) {
  const Literal& x = ctx.in(0);
  ctx.Set(0, FromInts(x.dtype(), x.dims(), std::vector<std::int64_t>(Size(x.size()), value)));
  return {};
}
Status EvalZeros(EvalContext& ctx) { return EvalFill(ctx, 0); }
Status EvalOnes(EvalContext& ctx) { return EvalFill(ctx, 1); }
Status GradNone(GradContext&) { return {}; }  // does not depend on the elements of x

std::vector<Sample> BroadcastToSamples() {
  return {{.name = "rows", .inputs = {Random({3}, 1)}, .attrs = {{"dims", Shape({2, 3})}}},
          {.name = "ones", .inputs = {Random({2, 1, 3}, 2)}, .attrs = {{"dims", Shape({4, 2, 5, 3})}}},
          {.name = "by_input", .inputs = {Random({2, 1}, 3), Ints({2}, {2, 3})}},
          {.name = "scalar", .inputs = {Random({}, 4)}, .attrs = {{"dims", Shape({2, 2})}}},
          {.name = "to_scalar", .inputs = {Random({}, 5)}, .attrs = {{"dims", Shape()}}},
          {.name = "to_empty", .inputs = {Random({1, 3}, 6)}, .attrs = {{"dims", Shape({0, 3})}}},
          {.name = "mismatch", .inputs = {Random({2}, 7)}, .attrs = {{"dims", Shape({2, 3})}}, .error = "c1"},
          {.name = "rank", .inputs = {Random({2, 3}, 8)}, .attrs = {{"dims", Shape({3})}}, .error = "c1"},
          {.name = "neither", .inputs = {Random({2}, 9)}, .error = "c2"},
          {.name = "both", .inputs = {Random({2}, 9), Ints({1}, {2})}, .attrs = {{"dims", Shape({2})}}, .error = "c2"},
          {.name = "negative", .inputs = {Random({1}, 9), Ints({1}, {-1})}, .error = "c3"}};
}
std::vector<Sample> BroadcastLikeSamples() {
  return {{.name = "rows", .inputs = {Random({3}, 1), Random({2, 3}, 2)}},
          {.name = "ones", .inputs = {Random({2, 1}, 3), Random({4, 2, 3}, 4)}},
          {.name = "scalar", .inputs = {Random({}, 5), Random({2}, 6)}},
          {.name = "empty", .inputs = {Random({1, 3}, 7), Random({0, 3}, 8)}},
          {.name = "mismatch", .inputs = {Random({2}, 9), Random({2, 3}, 10)}, .error = "c1"}};
}
std::vector<Sample> SumLikeSamples() {
  return {{.name = "rows", .inputs = {Random({2, 3}, 1), Random({3}, 2)}},
          {.name = "ones", .inputs = {Random({4, 2, 3}, 3), Random({2, 1}, 4)}},
          {.name = "same", .inputs = {Random({2, 3}, 5), Random({2, 3}, 6)}},
          {.name = "scalar", .inputs = {Random({2, 3}, 7), Random({}, 8)}},
          {.name = "empty", .inputs = {Random({0, 3}, 9), Random({1, 3}, 10)}},
          {.name = "mismatch", .inputs = {Random({2, 3}, 11), Random({2}, 12)}, .error = "c1"}};
}
std::vector<Sample> LikeSamples() {
  return {{.name = "matrix", .inputs = {Random({2, 3}, 1)}},
          {.name = "scalar", .inputs = {Random({}, 2)}},
          {.name = "empty", .inputs = {Random({0, 3}, 3)}}};
}

constinit const OpDef kOps[] = {
    {.name = "broadcast_to",
     .summary = "x repeated to the given dims by NumPy's rule. Exactly one of the attribute dims and the input shape.",
     .inputs = {{.name = "x", .dtypes = kAnySet},
                {.name = "shape",
                 .type = "I",
                 .dtypes = kIndexSet,
                 .flags = kOptional | kNotDifferentiable | kWantsValue,
                 .doc = "a vector of dims"}},
     .outputs = {{.name = "y", .dtypes = kAnySet}},
     .attrs = {Absent("dims", AttrKind::kDims, "dims of the result")},
     .traits = kExact,
     .infer = InferBroadcastTo,
     .eval = EvalBroadcastTo,
     .grad = GradBroadcast,
     .samples = BroadcastToSamples,
     .names = {.tf = "BroadcastTo"}},
    {.name = "broadcast_like",
     .summary = "x repeated to the dims of like, by NumPy's rule.",
     .inputs = {{.name = "x", .dtypes = kAnySet},
                {.name = "like",
                 .type = "L",
                 .dtypes = kStorageSet,
                 .flags = kNotDifferentiable,
                 .doc = "only its dims count"}},
     .outputs = {{.name = "y", .dtypes = kAnySet}},
     .traits = kExact,
     .infer = InferBroadcastLike,
     .eval = EvalBroadcastTo,
     .grad = GradBroadcast,
     .samples = BroadcastLikeSamples},
    {.name = "sum_like",
     .summary = "x summed over the axes along which like would be broadcast to x: the gradient of broadcasting.",
     .inputs = {{.name = "x"},
                {.name = "like",
                 .type = "L",
                 .dtypes = kStorageSet,
                 .flags = kNotDifferentiable,
                 .doc = "only its dims count"}},
     .outputs = {{.name = "y"}},
     .traits = kAccumulates,
     .infer = InferSumLike,
     .eval = EvalSumLike,
     .grad = GradSumLike,
     .samples = SumLikeSamples},
    {.name = "zeros_like",
     .summary = "Zeros of the dims and dtype of x.",
     .inputs = {{.name = "x", .dtypes = kFixedSet, .flags = kNotDifferentiable}},
     .outputs = {{.name = "y", .dtypes = kFixedSet}},
     .traits = kExact,
     .infer = InferSameAsFirst,
     .eval = EvalZeros,
     .grad = GradNone,
     .samples = LikeSamples,
     .names = {.tf = "ZerosLike"}},
    {.name = "ones_like",
     .summary = "Ones of the dims and dtype of x.",
     .inputs = {{.name = "x", .dtypes = kFixedSet, .flags = kNotDifferentiable}},
     .outputs = {{.name = "y", .dtypes = kFixedSet}},
     .traits = kExact,
     .infer = InferSameAsFirst,
     .eval = EvalOnes,
     .grad = GradNone,
     .samples = LikeSamples,
     .names = {.tf = "OnesLike"}},
};

}  // namespace
extern const std::span<const OpDef> broadcast_ops;
constinit const std::span<const OpDef> broadcast_ops{kOps};
}  // namespace tenon::ir::ops
