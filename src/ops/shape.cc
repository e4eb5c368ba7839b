// Ops that change the dims or the order of axes, not the elements.
#include <algorithm>

#include "ir/op_table.h"
#include "ops/array_util.h"

namespace tenon::ir::ops {
namespace {

using Longs = std::vector<std::int64_t>;

// The dims that a shape vector asks for; its -1 is what the others leave of `size`.
// c2: at most one -1, nothing below it, and it divides.
Result<Shape> ResolveDims(const InferContext& ctx, std::vector<Dim> dims, const std::optional<Dim>& size) {
  int open = -1;
  Dim known = 1;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == Dim(-1)) {
      if (open >= 0) return ctx.Fail(2, "got -1 twice in " + Shape(dims).to_string() + ", expected it at most once");
      open = static_cast<int>(i);
    } else if (KnownLess(dims[i], 0)) {
      return ctx.Fail(2, "got dims " + Shape(dims).to_string() + ", expected none below -1");
    } else {
      known = known * dims[i];
    }
  }
  if (open < 0) return Shape(std::move(dims));
  if (known == Dim(0)) return ctx.Fail(2, "got -1 beside a dim of 0, which leaves it open");
  Dim& rest = dims[static_cast<std::size_t>(open)];
  if (!size) {
    rest = ctx.FreshDim();
    return Shape(std::move(dims));
  }
  if (!size->is_symbolic() && !known.is_symbolic() && size->value() % known.value() != 0)
    return ctx.Fail(2, "got " + size->to_string() + " elements, which " + known.to_string() + " does not divide");
  rest = Dim::floor_div(*size, known);
  return Shape(std::move(dims));
}

// c1: exactly one of dims and shape, shape a vector. c3: the same number of elements.
Status InferReshape(InferContext& ctx) {
  const bool by_dims = ctx.attrs().Has("dims");
  if (by_dims == ctx.has(1))
    return ctx.Fail(1, "got " + std::string(by_dims ? "both" : "neither") +
                           " of the attribute \"dims\" and the input \"shape\", expected one of them");
  std::optional<Dim> size;
  if (ctx.ranked(0)) size = ctx.shape(0).size();
  Shape to;
  if (by_dims) {
    to = ctx.attrs().Dims("dims");
    for (const Dim& d : to.dims())
      if (KnownLess(d, 0))
        return ctx.Fail(2, "got dims " + to.to_string() + ", expected none below 0 (a -1 only in the input \"shape\")");
  } else if (ctx.ranked(1) && ctx.rank(1) != 1) {
    return ctx.Fail(1, "got a shape input of rank " + std::to_string(ctx.rank(1)) + ", expected a vector");
  } else if (ctx.value(1)) {
    TENON_ASSIGN_OR_RETURN(to, ResolveDims(ctx, *ctx.value(1), size));
  } else if (ctx.ranked(1) && !ctx.shape(1)[0].is_symbolic()) {
    const std::int64_t rank = ctx.shape(1)[0].value();
    if (rank > 64)
      return ctx.Fail(1, "got a shape input of " + std::to_string(rank) + " elements, expected at most 64");
    ctx.Set(0, ctx.dtype(0), FreshShape(ctx, Size(rank)));
    return {};
  } else {
    ctx.SetUnknownRank(0, ctx.dtype(0));
    return {};
  }
  if (size && Differ(to.size(), *size))
    return ctx.Fail(3,
                    "got " + ctx.shape(0).to_string() + ", which does not have as many elements as " + to.to_string());
  SetWithValue(ctx, 0, Type::Tensor(ctx.dtype(0), std::move(to)), ctx.value(0));
  return {};
}
Status EvalReshape(EvalContext& ctx) {
  ctx.Set(0, ctx.in(0).reshaped(ctx.out_dims()));
  return {};
}
// Back to the dims of x, whatever they are.
Status GradReshape(GradContext& ctx) {
  Builder& b = ctx.b;
  const Ex x = ctx.in(0);
  ctx.Set(0, b.ranked(x) ? Value(b(b.Reshape(ctx.d(), b.shape(x)))) : Value(Op("reshape", ctx.d(), ShapeOf(x))));
  return {};
}

// c1: a permutation of the axes.
Status InferTranspose(InferContext& ctx) {
  const Longs& permutation = ctx.attrs().Ints("permutation");
  const int rank = ctx.ranked(0) ? ctx.rank(0) : static_cast<int>(permutation.size());
  if (!ctx.ranked(0) && permutation.empty()) {
    ctx.SetUnknownRank(0, ctx.dtype(0));
    return {};
  }
  if (!permutation.empty() && static_cast<int>(permutation.size()) != rank)
    return ctx.Fail(
        1, "got a permutation of " + std::to_string(permutation.size()) + " axes for rank " + std::to_string(rank));
  TENON_ASSIGN_OR_RETURN(const std::vector<int> order, ctx.Axes(permutation, rank, 1, false));
  std::vector<Dim> dims;
  for (int i = 0; i < rank; ++i)
    dims.push_back(!ctx.ranked(0) ? ctx.FreshDim()
                                  : ctx.shape(0)[order.empty() ? rank - 1 - i : order[static_cast<std::size_t>(i)]]);
  ctx.Set(0, ctx.dtype(0), Shape(std::move(dims)));
  return {};
}
Status EvalTranspose(EvalContext& ctx) {
  const Literal& x = ctx.in(0);
  std::vector<int> order = NormalAxes(ctx.attrs().Ints("permutation"), x.rank(), true);
  if (ctx.attrs().Ints("permutation").empty()) std::reverse(order.begin(), order.end());
  const Longs strides = Strides(x.dims());
  const Longs dims = ctx.out_dims();
  Longs from;
  from.reserve(Size(x.size()));
  ForEachIndex(dims, [&](std::span<const std::int64_t> index) {
    std::int64_t at = 0;
    for (std::size_t i = 0; i < index.size(); ++i) at += index[i] * strides[static_cast<std::size_t>(order[i])];
    from.push_back(at);
  });
  ctx.Set(0, GatherElements(x, dims, from));
  return {};
}
Status GradTranspose(GradContext& ctx) {
  const Longs& permutation = ctx.attrs().Ints("permutation");
  Longs inverse(permutation.size());
  for (std::size_t i = 0; i < permutation.size(); ++i)
    inverse[static_cast<std::size_t>(NormalAxis(permutation[i], static_cast<int>(permutation.size())))] =
        static_cast<std::int64_t>(i);
  ctx.Set(0, ctx.b.Transpose(ctx.d(), std::move(inverse)));
  return {};
}

// c1: each axis of the result in range, once.
Status InferExpandDims(InferContext& ctx) {
  const Longs& axes = ctx.attrs().Ints("axes");
  if (!ctx.ranked(0)) {
    ctx.SetUnknownRank(0, ctx.dtype(0));
    return {};
  }
  const int rank = ctx.rank(0) + static_cast<int>(axes.size());
  TENON_ASSIGN_OR_RETURN(const std::vector<int> added, ctx.Axes(axes, rank, 1, false));
  std::vector<Dim> dims;
  int from = 0;
  for (int i = 0; i < rank; ++i)
    dims.push_back(std::find(added.begin(), added.end(), i) != added.end() ? Dim(1) : ctx.shape(0)[from++]);
  SetWithValue(ctx, 0, Type::Tensor(ctx.dtype(0), Shape(std::move(dims))), ctx.value(0));
  return {};
}
Status GradExpandDims(GradContext& ctx) {
  ctx.Set(0, Squeeze(ctx.d(), ctx.attrs().Ints("axes")));
  return {};
}
// To the dims that inference finds; they are known when the rank is.
Status LowerToReshape(LowerContext& ctx, std::string_view op) {
  Attrs attrs = ctx.attrs();
  const Output* const input = &ctx.b.graph().output(ctx.in(0));
  TENON_ASSIGN_OR_RETURN(const std::vector<Output> outputs, Infer(GetOp(op), std::span(&input, 1), attrs));
  if (!outputs[0].type.has_rank())
    return Status(Code::kFailedPrecondition,
                  std::string(op) + ": the rank of its input is not known, it cannot be lowered");
  ctx.Set(0, ctx.b.Reshape(ctx.in(0), outputs[0].type.shape()));
  return {};
}
Status LowerExpandDims(LowerContext& ctx) { return LowerToReshape(ctx, "expand_dims"); }
Status LowerSqueeze(LowerContext& ctx) { return LowerToReshape(ctx, "squeeze"); }

// c1: each axis in range, once. c2: it is 1.
Status InferSqueeze(InferContext& ctx) {
  const Longs& axes = ctx.attrs().Ints("axes");
  if (!ctx.ranked(0)) {
    ctx.SetUnknownRank(0, ctx.dtype(0));
    return {};
  }
  TENON_ASSIGN_OR_RETURN(const std::vector<int> removed, ctx.Axes(axes, ctx.rank(0), 1, false));
  std::vector<Dim> dims;
  for (int i = 0; i < ctx.rank(0); ++i) {
    const Dim& d = ctx.shape(0)[i];
    if (axes.empty()) {
      const Truth one = Dim::equal(d, 1);
      if (one == Truth::kUnknown) {  // the rank depends on the dims
        ctx.SetUnknownRank(0, ctx.dtype(0));
        return {};
      }
      if (one == Truth::kNo) dims.push_back(d);
    } else if (std::find(removed.begin(), removed.end(), i) == removed.end()) {
      dims.push_back(d);
    } else if (Differ(d, 1)) {
      return ctx.Fail(2, "got " + ctx.shape(0).to_string() + ", expected 1 at axis " + std::to_string(i));
    }
  }
  SetWithValue(ctx, 0, Type::Tensor(ctx.dtype(0), Shape(std::move(dims))), ctx.value(0));
  return {};
}
Status GradSqueeze(GradContext& ctx) {
  const Longs& axes = ctx.attrs().Ints("axes");
  if (axes.empty()) return GradReshape(ctx);
  ctx.Set(0, ExpandDims(ctx.d(), axes));
  return {};
}

// c1: dtype is i32 or i64.
Status InferShapeOf(InferContext& ctx) {
  const DType dtype = ctx.attrs().Dtype("dtype");
  if (dtype != DType::kI32 && dtype != DType::kI64)
    return ctx.Fail(1, "got dtype " + std::string(dtype_name(dtype)) + ", expected i32 or i64");
  if (!ctx.ranked(0)) {
    ctx.Set(0, dtype, FreshShape(ctx, 1));
    return {};
  }
  ctx.Set(0, dtype, {ctx.rank(0)});
  ctx.SetValue(0, ctx.shape(0).dims());
  return {};
}
Status EvalShapeOf(EvalContext& ctx) {
  const Literal& x = ctx.in(0);
  ctx.Set(0, FromInts(ctx.attrs().Dtype("dtype"), {x.rank()}, x.dims()));
  return {};
}

std::vector<Sample> ReshapeSamples() {
  return {{.name = "flatten", .inputs = {Random({2, 3}, 1)}, .attrs = {{"dims", Shape({6})}}},
          {.name = "split", .inputs = {Random({4, 3}, 2)}, .attrs = {{"dims", Shape({2, 2, 3, 1})}}},
          {.name = "scalar", .inputs = {Random({1, 1}, 3)}, .attrs = {{"dims", Shape()}}},
          {.name = "empty", .inputs = {Random({0, 3}, 4)}, .attrs = {{"dims", Shape({3, 0, 5})}}},
          {.name = "by_input", .inputs = {Random({4, 3}, 5), Ints({2}, {2, -1})}},
          {.name = "to_scalar_by_input", .inputs = {Random({1}, 5), Ints({0}, {})}},
          {.name = "neither", .inputs = {Random({2}, 6)}, .error = "c1"},
          {.name = "matrix_shape", .inputs = {Random({2}, 6), Ints({1, 1}, {2})}, .error = "c1"},
          {.name = "two_open", .inputs = {Random({4}, 7), Ints({2}, {-1, -1})}, .error = "c2"},
          {.name = "open_in_dims", .inputs = {Random({4}, 7)}, .attrs = {{"dims", Shape({2, -1})}}, .error = "c2"},
          {.name = "undivided", .inputs = {Random({4}, 7), Ints({2}, {3, -1})}, .error = "c2"},
          {.name = "size", .inputs = {Random({4}, 8)}, .attrs = {{"dims", Shape({5})}}, .error = "c3"}};
}
std::vector<Sample> TransposeSamples() {
  return {{.name = "reversed", .inputs = {Random({2, 3, 4}, 1)}},
          {.name = "swap", .inputs = {Random({2, 3, 4}, 2)}, .attrs = {{"permutation", Longs{0, 2, 1}}}},
          {.name = "cycle", .inputs = {Random({2, 3, 4}, 3)}, .attrs = {{"permutation", Longs{-1, 0, 1}}}},
          {.name = "scalar", .inputs = {Random({}, 4)}},
          {.name = "empty", .inputs = {Random({0, 3}, 5)}},
          {.name = "short", .inputs = {Random({2, 3}, 6)}, .attrs = {{"permutation", Longs{0}}}, .error = "c1"},
          {.name = "repeated", .inputs = {Random({2, 3}, 7)}, .attrs = {{"permutation", Longs{1, 1}}}, .error = "c1"}};
}
std::vector<Sample> ExpandDimsSamples() {
  return {{.name = "front", .inputs = {Random({2, 3}, 1)}, .attrs = {{"axes", Longs{0}}}},
          {.name = "several", .inputs = {Random({2, 3}, 2)}, .attrs = {{"axes", Longs{-1, 1}}}},
          {.name = "none", .inputs = {Random({2}, 3)}, .attrs = {{"axes", Longs{}}}},
          {.name = "scalar", .inputs = {Random({}, 4)}, .attrs = {{"axes", Longs{0, 1}}}},
          {.name = "empty", .inputs = {Random({0}, 5)}, .attrs = {{"axes", Longs{1}}}},
          {.name = "far", .inputs = {Random({2}, 6)}, .attrs = {{"axes", Longs{2}}}, .error = "c1"},
          {.name = "no_axes", .inputs = {Random({2}, 6)}, .error = "attr"}};
}
std::vector<Sample> SqueezeSamples() {
  return {{.name = "one", .inputs = {Random({1, 3, 1}, 1)}, .attrs = {{"axes", Longs{0}}}},
          {.name = "several", .inputs = {Random({1, 3, 1}, 2)}, .attrs = {{"axes", Longs{-1, 0}}}},
          {.name = "all", .inputs = {Random({1, 3, 1}, 3)}},
          {.name = "to_scalar", .inputs = {Random({1, 1}, 4)}},
          {.name = "empty", .inputs = {Random({0, 1}, 5)}, .attrs = {{"axes", Longs{1}}}},
          {.name = "far", .inputs = {Random({1}, 6)}, .attrs = {{"axes", Longs{1}}}, .error = "c1"},
          {.name = "not_one", .inputs = {Random({2}, 6)}, .attrs = {{"axes", Longs{0}}}, .error = "c2"}};
}
std::vector<Sample> ShapeOfSamples() {
  return {{.name = "matrix", .inputs = {Random({2, 3}, 1)}},
          {.name = "narrow", .inputs = {Random({2, 0, 3}, 1)}, .attrs = {{"dtype", DType::kI32}}},
          {.name = "scalar", .inputs = {Random({}, 1)}},
          {.name = "float", .inputs = {Random({2}, 1)}, .attrs = {{"dtype", DType::kF32}}, .error = "c1"}};
}

constinit const OpDef kOps[] = {
    {.name = "reshape",
     .summary = "The same elements under other dims. Exactly one of the attribute dims and the input shape, where one "
                "-1 stands for the rest.",
     .inputs = {{.name = "x", .dtypes = kStorageSet},
                {.name = "shape",
                 .type = "I",
                 .dtypes = kIndexSet,
                 .flags = kOptional | kNotDifferentiable | kWantsValue,
                 .doc = "a vector of dims"}},
     .outputs = {{.name = "y", .dtypes = kStorageSet}},
     .attrs = {Absent("dims", AttrKind::kDims, "dims of the result")},
     .traits = kView | kInPlace | kExact,
     .infer = InferReshape,
     .eval = EvalReshape,
     .grad = GradReshape,
     .samples = ReshapeSamples,
     .names = {.tf = "Reshape"}},
    {.name = "transpose",
     .summary = "Axes reordered: axis i of the result is axis permutation[i] of x.",
     .inputs = {{.name = "x", .dtypes = kStorageSet}},
     .outputs = {{.name = "y", .dtypes = kStorageSet}},
     .attrs = {IntsAttr("permutation", "a permutation of the axes; empty: reversed")},
     .traits = kExact,
     .infer = InferTranspose,
     .eval = EvalTranspose,
     .grad = GradTranspose,
     .samples = TransposeSamples,
     .names = {.onnx = "Transpose perm=permutation"}},
    {.name = "expand_dims",
     .summary = "Axes of 1 inserted; axes count in the result.",
     .inputs = {{.name = "x", .dtypes = kStorageSet}},
     .outputs = {{.name = "y", .dtypes = kStorageSet}},
     .attrs = {Required("axes", AttrKind::kInts, "where the new axes stand in the result")},
     .traits = kView | kInPlace | kExact,
     .infer = InferExpandDims,
     .eval = EvalReshape,
     .grad = GradExpandDims,
     .lower = LowerExpandDims,
     .samples = ExpandDimsSamples},
    {.name = "squeeze",
     .summary = "Axes of 1 removed.",
     .inputs = {{.name = "x", .dtypes = kStorageSet}},
     .outputs = {{.name = "y", .dtypes = kStorageSet}},
     .attrs = {IntsAttr("axes", "the axes to remove; empty: every axis of 1")},
     .traits = kView | kInPlace | kExact,
     .infer = InferSqueeze,
     .eval = EvalReshape,
     .grad = GradSqueeze,
     .lower = LowerSqueeze,
     .samples = SqueezeSamples,
     .names = {.tf = "Squeeze squeeze_dims=axes"}},
    {.name = "shape_of",
     .summary = "The dims of x as a vector.",
     .inputs = {{.name = "x", .dtypes = kStorageSet, .flags = kNotDifferentiable}},
     .outputs = {{.name = "dims", .type = "I", .dtypes = kIndexSet}},
     .attrs = {DTypeAttr("dtype", DType::kI64, "i32 or i64")},
     .traits = kExact,
     .infer = InferShapeOf,
     .eval = EvalShapeOf,
     .samples = ShapeOfSamples,
     .names = {.onnx = "Shape"}},
};

}  // namespace
extern const std::span<const OpDef> shape_ops;
constinit const std::span<const OpDef> shape_ops{kOps};
}  // namespace tenon::ir::ops
