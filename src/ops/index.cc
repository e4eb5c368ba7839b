// Reading and adding by index. Indices are i32 or i64; negative ones count from the end; one out of range is a run-time
// error of the op.
#include "ops/index_util.h"

namespace tenon::ir::ops {
namespace {

using Longs = std::vector<std::int64_t>;

// The result dims of gather: x[:axis] + indices[batch:] + x[axis + 1:]. c1: the axis is in range. c2: 0 <= batch_dims
// <= axis and the rank of indices. c3: the batch dims agree. Nothing when a rank is unknown.
Result<std::optional<Shape>> GatherDims(const InferContext& ctx) {
  const std::int64_t batch = ctx.attrs().Int("batch_dims");
  if (batch < 0) return ctx.Fail(2, "got batch_dims " + std::to_string(batch) + ", expected 0 or more");
  int axis = -1;
  if (ctx.ranked(0)) {
    TENON_ASSIGN_OR_RETURN(axis, ctx.Axis(ctx.attrs().Int("axis"), ctx.rank(0), 1));
    if (batch > axis)
      return ctx.Fail(2, "got batch_dims " + std::to_string(batch) + " above axis " + std::to_string(axis));
  }
  if (ctx.ranked(1) && batch > ctx.rank(1))
    return ctx.Fail(2,
                    "got batch_dims " + std::to_string(batch) + " for indices of rank " + std::to_string(ctx.rank(1)));
  if (!ctx.ranked(0) || !ctx.ranked(1)) return std::optional<Shape>();
  const Shape &x = ctx.shape(0), &indices = ctx.shape(1);
  std::vector<Dim> dims;
  for (int i = 0; i < axis; ++i) {
    if (i < batch && Differ(x[i], indices[i]))
      return ctx.Fail(3, "got " + x.to_string() + " and indices " + indices.to_string() + ", whose batch dims differ");
    dims.push_back(i < batch ? Merge(x[i], indices[i]) : x[i]);
  }
  for (int i = static_cast<int>(batch); i < indices.rank(); ++i) dims.push_back(indices[i]);
  for (int i = axis + 1; i < x.rank(); ++i) dims.push_back(x[i]);
  return std::optional<Shape>(Shape(std::move(dims)));
}
Status InferGather(InferContext& ctx) {
  TENON_ASSIGN_OR_RETURN(const std::optional<Shape> dims, GatherDims(ctx));
  if (!dims) {
    ctx.SetUnknownRank(0, ctx.dtype(0));
    return {};
  }
  ctx.Set(0, ctx.dtype(0), *dims);
  const std::optional<Longs> indices = KnownInts(ctx, 1);
  if (!ctx.value(0) || !indices || ctx.rank(0) != 1) return {};
  const auto n = static_cast<std::int64_t>(ctx.value(0)->size());
  std::vector<Dim> elements;
  for (const std::int64_t i : *indices) {
    if (i < -n || i >= n) return {};  // reported when it runs
    elements.push_back((*ctx.value(0))[static_cast<std::size_t>(i < 0 ? i + n : i)]);
  }
  ctx.SetValue(0, std::move(elements));
  return {};
}

// For each element of gather's result, the flat index into x.
Result<Longs> GatherSources(const EvalContext& ctx, std::span<const std::int64_t> x, const Literal& indices) {
  const int axis = NormalAxis(ctx.attrs().Int("axis"), static_cast<int>(x.size()));
  const auto batch_dims = static_cast<std::size_t>(ctx.attrs().Int("batch_dims"));
  const std::int64_t batch = Product(x.first(batch_dims));
  const std::int64_t middle = Product(x.subspan(batch_dims, static_cast<std::size_t>(axis) - batch_dims));
  const Around a = SplitAt(x, axis);
  const std::int64_t picks = Product(std::span(indices.dims()).subspan(batch_dims));
  Longs index = ToInts(indices);
  for (std::int64_t& i : index) {
    if (i < -a.count || i >= a.count) return ctx.Fail(RangeText(i, a.count));
    if (i < 0) i += a.count;
  }
  Longs from;
  from.reserve(Size(batch * middle * picks * a.inner));
  for (std::int64_t b = 0; b < batch; ++b)
    for (std::int64_t m = 0; m < middle; ++m)
      for (std::int64_t p = 0; p < picks; ++p) {
        const std::int64_t row = ((b * middle + m) * a.count + index[Size(b * picks + p)]) * a.inner;
        for (std::int64_t i = 0; i < a.inner; ++i) from.push_back(row + i);
      }
  return from;
}
Status EvalGather(EvalContext& ctx) {
  TENON_ASSIGN_OR_RETURN(const Longs from, GatherSources(ctx, ctx.in(0).dims(), ctx.in(1)));
  ctx.Set(0, GatherElements(ctx.in(0), ctx.out_dims(), from));
  return {};
}
Status GradGather(GradContext& ctx) {
  ctx.Set(0, ctx.b.Add("scatter_add", {ctx.b.ZerosLike(ctx.in(0)), ctx.in(1), ctx.d()}, ctx.attrs()));
  return {};
}

Status InferScatterAdd(InferContext& ctx) {
  TENON_ASSIGN_OR_RETURN(const std::optional<Shape> want, GatherDims(ctx));
  TENON_RETURN_IF_ERROR(CheckUpdates(ctx, want));
  return InferSameAsFirst(ctx);
}
Status EvalScatterAdd(EvalContext& ctx) {
  TENON_ASSIGN_OR_RETURN(const Longs to, GatherSources(ctx, ctx.in(0).dims(), ctx.in(1)));
  return AddAt(ctx, to);
}
Status GradScatterAdd(GradContext& ctx) { return GradScatter(ctx, "gather"); }

// c1: indices have rank 1 or more. c2: their last dim is at most the rank of x.
Result<std::optional<Shape>> GatherNdDims(const InferContext& ctx) {
  if (!ctx.ranked(1)) return std::optional<Shape>();
  const Shape& indices = ctx.shape(1);
  if (indices.rank() == 0)
    return ctx.Fail(1,
                    "got a scalar of indices, expected rank 1 or more (the last axis holds one index per axis of x)");
  if (!ctx.ranked(0)) return std::optional<Shape>();
  if (indices.back().is_symbolic()) return std::optional<Shape>();
  const std::int64_t depth = indices.back().value();
  if (depth > ctx.rank(0))
    return ctx.Fail(2, "got " + std::to_string(depth) + " indices per element for rank " + std::to_string(ctx.rank(0)));
  std::vector<Dim> dims(indices.dims().begin(), indices.dims().end() - 1);
  dims.insert(dims.end(), ctx.shape(0).dims().begin() + depth, ctx.shape(0).dims().end());
  return std::optional<Shape>(Shape(std::move(dims)));
}
Status InferGatherNd(InferContext& ctx) {
  TENON_ASSIGN_OR_RETURN(const std::optional<Shape> dims, GatherNdDims(ctx));
  ctx.Set(0, dims ? Type::Tensor(ctx.dtype(0), *dims) : Type::TensorOfUnknownRank(ctx.dtype(0)));
  return {};
}
Result<Longs> GatherNdSources(const EvalContext& ctx, std::span<const std::int64_t> x, const Literal& indices) {
  const std::int64_t depth = indices.dims().back();
  const Longs steps = Strides(x), index = ToInts(indices);
  const std::int64_t inner = Product(x.subspan(Size(depth)));
  const std::int64_t rows = Product(std::span(indices.dims()).first(indices.dims().size() - 1));
  Longs from;
  for (std::int64_t row = 0; row < rows; ++row) {
    std::int64_t at = 0;
    for (std::int64_t k = 0; k < depth; ++k) {
      std::int64_t i = index[Size(row * depth + k)];
      const std::int64_t n = x[Size(k)];
      if (i < -n || i >= n) return ctx.Fail(RangeText(i, n) + " along axis " + std::to_string(k));
      at += (i < 0 ? i + n : i) * steps[Size(k)];
    }
    for (std::int64_t i = 0; i < inner; ++i) from.push_back(at + i);
  }
  return from;
}
Status EvalGatherNd(EvalContext& ctx) {
  TENON_ASSIGN_OR_RETURN(const Longs from, GatherNdSources(ctx, ctx.in(0).dims(), ctx.in(1)));
  ctx.Set(0, GatherElements(ctx.in(0), ctx.out_dims(), from));
  return {};
}
Status GradGatherNd(GradContext& ctx) {
  ctx.Set(0, ctx.b.Add("scatter_nd_add", {ctx.b.ZerosLike(ctx.in(0)), ctx.in(1), ctx.d()}));
  return {};
}
Status InferScatterNdAdd(InferContext& ctx) {
  TENON_ASSIGN_OR_RETURN(const std::optional<Shape> want, GatherNdDims(ctx));
  TENON_RETURN_IF_ERROR(CheckUpdates(ctx, want));
  return InferSameAsFirst(ctx);
}
Status EvalScatterNdAdd(EvalContext& ctx) {
  TENON_ASSIGN_OR_RETURN(const Longs to, GatherNdSources(ctx, ctx.in(0).dims(), ctx.in(1)));
  return AddAt(ctx, to);
}
Status GradScatterNdAdd(GradContext& ctx) { return GradScatter(ctx, "gather_nd"); }

std::vector<Sample> GatherSamples() {
  return {{.name = "rows", .inputs = {Random({4, 3}, 1), Ints({3}, {2, 0, 2})}},
          {.name = "columns", .inputs = {Random({2, 4}, 2), Ints({2, 2}, {-1, 0, 3, -4})}, .attrs = {Axis(1)}},
          {.name = "one", .inputs = {Random({4, 2}, 3), Ints({}, {1})}},
          {.name = "last", .inputs = {Random({2, 2, 3}, 4), Ints({2}, {1, 1})}, .attrs = {Axis(-1)}},
          {.name = "batch",
           .inputs = {Random({2, 3, 2}, 5), Ints({2, 2}, {0, 2, 1, 1})},
           .attrs = {Axis(1), {"batch_dims", std::int64_t{1}}}},
          {.name = "batch_middle",
           .inputs = {Random({2, 2, 3}, 6), Ints({2, 1}, {2, 0})},
           .attrs = {Axis(2), {"batch_dims", std::int64_t{1}}}},
          {.name = "integers", .inputs = {Ints({3}, {7, 8, 9}), Ints({2}, {2, 0})}},
          {.name = "none", .inputs = {Random({3, 2}, 7), Ints({0}, {})}},
          {.name = "empty", .inputs = {Random({3, 0}, 8), Ints({2}, {1, 2})}},
          {.name = "bad_axis", .inputs = {Random({3}, 9), Ints({1}, {0})}, .attrs = {Axis(1)}, .error = "c1"},
          {.name = "scalar", .inputs = {Random({}, 9), Ints({1}, {0})}, .error = "c1"},
          {.name = "batch_dims",
           .inputs = {Random({3}, 10), Ints({1}, {0})},
           .attrs = {{"batch_dims", std::int64_t{1}}},
           .error = "c2"},
          {.name = "batches",
           .inputs = {Random({2, 3}, 11), Ints({3, 1}, {0, 0, 0})},
           .attrs = {Axis(1), {"batch_dims", std::int64_t{1}}},
           .error = "c3"}};
}
std::vector<Sample> ScatterAddSamples() {
  return {{.name = "rows", .inputs = {Random({4, 2}, 1), Ints({3}, {2, 0, 2}), Random({3, 2}, 2)}},
          {.name = "columns", .inputs = {Random({2, 3}, 3), Ints({2}, {-1, 0}), Random({2, 2}, 4)}, .attrs = {Axis(1)}},
          {.name = "one", .inputs = {Random({3, 2}, 5), Ints({}, {1}), Random({2}, 6)}},
          {.name = "batch",
           .inputs = {Random({2, 3}, 7), Ints({2, 2}, {0, 2, 1, 1}), Random({2, 2}, 8)},
           .attrs = {Axis(1), {"batch_dims", std::int64_t{1}}}},
          {.name = "none", .inputs = {Random({3}, 9), Ints({0}, {}), Random({0}, 10)}},
          {.name = "bad_axis",
           .inputs = {Random({3}, 11), Ints({1}, {0}), Random({1}, 12)},
           .attrs = {Axis(1)},
           .error = "c1"},
          {.name = "updates", .inputs = {Random({3}, 13), Ints({2}, {0, 1}), Random({3}, 14)}, .error = "c4"}};
}
std::vector<Sample> GatherNdSamples() {
  return {{.name = "elements", .inputs = {Random({3, 2}, 1), Ints({2, 2}, {0, 1, -1, 0})}},
          {.name = "rows", .inputs = {Random({3, 2}, 2), Ints({2, 2, 1}, {2, 0, 1, 2})}},
          {.name = "all", .inputs = {Random({2}, 3), Ints({2, 0}, {})}},
          {.name = "one", .inputs = {Random({2, 2}, 4), Ints({2}, {1, 1})}},
          {.name = "none", .inputs = {Random({2, 2}, 5), Ints({0, 1}, {})}},
          {.name = "scalar", .inputs = {Random({2}, 6), Ints({}, {0})}, .error = "c1"},
          {.name = "deep", .inputs = {Random({2}, 7), Ints({1, 2}, {0, 0})}, .error = "c2"}};
}
std::vector<Sample> ScatterNdAddSamples() {
  return {{.name = "elements", .inputs = {Random({3, 2}, 1), Ints({3, 2}, {0, 1, -1, 0, 0, 1}), Random({3}, 2)}},
          {.name = "rows", .inputs = {Random({3, 2}, 3), Ints({2, 1}, {2, 2}), Random({2, 2}, 4)}},
          {.name = "scalar", .inputs = {Random({2}, 5), Ints({}, {0}), Random({}, 6)}, .error = "c1"},
          {.name = "deep", .inputs = {Random({2}, 7), Ints({1, 2}, {0, 0}), Random({1}, 8)}, .error = "c2"},
          {.name = "updates", .inputs = {Random({2}, 9), Ints({1, 1}, {0}), Random({2}, 10)}, .error = "c4"}};
}
constexpr FixedList<AttrSpec, 14> kGatherAttrs = {
    IntAttr("axis", 0, "the axis that is indexed"),
    IntAttr("batch_dims", 0, "how many leading axes x and indices share")};
constinit const OpDef kOps[] = {
    {.name = "gather",
     .summary = "x at indices along an axis (NumPy's take), for each batch index; negative indices count from the end.",
     .inputs = {kRead, Indices("which rows, any rank")},
     .outputs = {kReadOut},
     .attrs = kGatherAttrs,
     .traits = kExact,
     .infer = InferGather,
     .eval = EvalGather,
     .grad = GradGather,
     .samples = GatherSamples,
     .names = {.onnx = "Gather"}},
    {.name = "scatter_add",
     .summary = "x with updates added at indices along an axis, repeats summed: the gradient of gather.",
     .inputs = {{.name = "x"}, Indices("as for gather"), {.name = "updates", .doc = "dims of what gather would read"}},
     .outputs = {{.name = "y"}},
     .attrs = kGatherAttrs,
     .traits = kAccumulates | kInPlace,
     .infer = InferScatterAdd,
     .eval = EvalScatterAdd,
     .grad = GradScatterAdd,
     .samples = ScatterAddSamples},
    {.name = "gather_nd",
     .summary = "x at index tuples: the last axis of indices holds one index for each of the first axes of x.",
     .inputs = {{.name = "x", .dtypes = kAnySet}, Indices("[…, k], k at most the rank of x")},
     .outputs = {kReadOut},
     .traits = kExact,
     .infer = InferGatherNd,
     .eval = EvalGatherNd,
     .grad = GradGatherNd,
     .samples = GatherNdSamples,
     .names = {.tf = "GatherNd"}},
    {.name = "scatter_nd_add",
     .summary = "x with updates added at index tuples, repeats summed.",
     .inputs = {{.name = "x"},
                Indices("as for gather_nd"),
                {.name = "updates", .doc = "dims of what gather_nd would read"}},
     .outputs = {{.name = "y"}},
     .traits = kAccumulates | kInPlace,
     .infer = InferScatterNdAdd,
     .eval = EvalScatterNdAdd,
     .grad = GradScatterNdAdd,
     .samples = ScatterNdAddSamples,
     .names = {.tf = "TensorScatterAdd"}},
};

}  // namespace
extern const std::span<const OpDef> index_ops;
constinit const std::span<const OpDef> index_ops{kOps};
}  // namespace tenon::ir::ops
