// Ops that answer with positions: argmax, argmin, top_k, nonzero. NaN counts as the largest value (as in NumPy, where
// argmin too gives the first NaN).
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "ops/array_util.h"

namespace tenon::ir::ops {
namespace {

using Longs = std::vector<std::int64_t>;

template <class T>
bool IsNaN(T v) {
  if constexpr (std::same_as<T, double>)
    return std::isnan(v);
  else
    return false;
}

// c1: the axis is in range. c2: it is not empty. c3: the dtype is i32 or i64.
Status InferArg(InferContext& ctx) {
  const DType dtype = ctx.attrs().Dtype("dtype");
  if (dtype != DType::kI32 && dtype != DType::kI64)
    return ctx.Fail(3, "got dtype " + std::string(dtype_name(dtype)) + ", expected i32 or i64");
  if (!ctx.ranked(0)) {
    ctx.SetUnknownRank(0, dtype);
    return {};
  }
  TENON_ASSIGN_OR_RETURN(const int axis, ctx.Axis(ctx.attrs().Int("axis"), ctx.rank(0), 1));
  if (ctx.shape(0)[axis] == Dim(0))
    return ctx.Fail(2, "got the empty axis " + std::to_string(axis) + " of " + ctx.shape(0).to_string());
  std::vector<Dim> dims = ctx.shape(0).dims();
  if (ctx.attrs().Bool("keep_dims"))
    dims[static_cast<std::size_t>(axis)] = 1;
  else
    dims.erase(dims.begin() + axis);
  ctx.Set(0, dtype, Shape(std::move(dims)));
  return {};
}
Status EvalArg(EvalContext& ctx, bool largest) {
  const Literal& x = ctx.in(0);
  const bool last = ctx.attrs().Bool("select_last");
  const Around a = SplitAt(x.dims(), NormalAxis(ctx.attrs().Int("axis"), x.rank()));
  Longs out;
  VisitWide(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if constexpr (!std::same_as<T, std::complex<double>>) {
      const std::vector<T> v = LoadAs<T>(x);
      for (std::int64_t o = 0; o < a.outer; ++o)
        for (std::int64_t i = 0; i < a.inner; ++i) {
          std::int64_t best = 0;
          for (std::int64_t n = 1; n < a.count; ++n) {
            const T top = v[Size((o * a.count + best) * a.inner + i)], next = v[Size((o * a.count + n) * a.inner + i)];
            const bool tie = next == top || (IsNaN(next) && IsNaN(top));
            const bool better = !IsNaN(top) && (IsNaN(next) || (largest ? next > top : next < top));
            if (better || (tie && last)) best = n;
          }
          out.push_back(best);
        }
    }
  });
  ctx.Set(0, FromInts(ctx.out_dtype(), ctx.out_dims(), out));
  return {};
}
Status EvalArgmax(EvalContext& ctx) { return EvalArg(ctx, true); }
Status EvalArgmin(EvalContext& ctx) { return EvalArg(ctx, false); }

// c1: the axis is in range. c2: 0 <= k <= its dim.
Status InferTopK(InferContext& ctx) {
  const std::int64_t k = ctx.attrs().Int("k");
  if (k < -1) return ctx.Fail(2, "got k " + std::to_string(k) + ", expected 0 or more, or -1 for all");
  if (!ctx.ranked(0)) {
    ctx.SetUnknownRank(0, ctx.dtype(0));
    ctx.SetUnknownRank(1, DType::kI64);
    return {};
  }
  TENON_ASSIGN_OR_RETURN(const int axis, ctx.Axis(ctx.attrs().Int("axis"), ctx.rank(0), 1));
  if (k == -1) {
    ctx.Set(0, ctx.dtype(0), ctx.shape(0));
    ctx.Set(1, DType::kI64, ctx.shape(0));
    return {};
  }
  if (KnownLess(ctx.shape(0)[axis], k))
    return ctx.Fail(
        2, "got k " + std::to_string(k) + " for axis " + std::to_string(axis) + " of " + ctx.shape(0).to_string());
  std::vector<Dim> dims = ctx.shape(0).dims();
  dims[static_cast<std::size_t>(axis)] = k;
  ctx.Set(0, ctx.dtype(0), Shape(dims));
  ctx.Set(1, DType::kI64, Shape(std::move(dims)));
  return {};
}
Status EvalTopK(EvalContext& ctx) {
  const Literal& x = ctx.in(0);
  const bool largest = ctx.attrs().Bool("largest");
  const Around a = SplitAt(x.dims(), NormalAxis(ctx.attrs().Int("axis"), x.rank()));
  const std::int64_t k = ctx.attrs().Int("k") < 0 ? a.count : ctx.attrs().Int("k");
  Longs from(Size(a.outer * k * a.inner)), indices(from.size());
  VisitWide(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if constexpr (!std::same_as<T, std::complex<double>>) {
      const std::vector<T> v = LoadAs<T>(x);
      Longs order(Size(a.count));
      for (std::int64_t o = 0; o < a.outer; ++o)
        for (std::int64_t i = 0; i < a.inner; ++i) {
          const auto at = [&](std::int64_t n) { return v[Size((o * a.count + n) * a.inner + i)]; };
          std::iota(order.begin(), order.end(), 0);
          std::stable_sort(order.begin(), order.end(), [&](std::int64_t p, std::int64_t q) {
            const T l = largest ? at(q) : at(p), r = largest ? at(p) : at(q);  // l stands before r
            return IsNaN(r) ? !IsNaN(l) : l < r;
          });
          for (std::int64_t n = 0; n < k; ++n) {
            const std::size_t to = Size((o * k + n) * a.inner + i);
            indices[to] = order[Size(n)];
            from[to] = (o * a.count + order[Size(n)]) * a.inner + i;
          }
        }
    }
  });
  ctx.Set(0, GatherElements(x, ctx.out_dims(0), from));
  ctx.Set(1, FromInts(DType::kI64, ctx.out_dims(1), indices));
  return {};
}
Status GradTopK(GradContext& ctx) {
  if (ctx.has_d(0))
    ctx.Set(0, ctx.b.Add("scatter_add_along_axis", {ctx.b.ZerosLike(ctx.in(0)), ctx.out(1), ctx.d(0)},
                         {{"axis", ctx.attrs().Int("axis")}}));
  return {};
}

Status InferNonzero(InferContext& ctx) {
  ctx.Set(0, DType::kI64, {ctx.ranked(0) ? Dim(ctx.rank(0)) : ctx.FreshDim(), ctx.FreshDim()});
  return {};
}
Status EvalNonzero(EvalContext& ctx) {
  const Literal& x = ctx.in(0);
  std::vector<Longs> rows(Size(x.rank()));
  std::int64_t count = 0;
  VisitWide(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::vector<T> v = LoadAs<T>(x);
    std::size_t at = 0;
    ForEachIndex(x.dims(), [&](std::span<const std::int64_t> index) {
      if (v[at++] == zero) return;  // NaN is no zero
      ++count;
      for (std::size_t i = 0; i < index.size(); ++i) rows[i].push_back(index[i]);
    });
  });
  Longs flat;
  for (const Longs& row : rows) flat.insert(flat.end(), row.begin(), row.end());
  ctx.Set(0, FromInts(DType::kI64, {x.rank(), count}, flat));
  return {};
}

std::vector<Sample> ArgSamples() {
  const double inf = std::numeric_limits<double>::infinity();
  return {{.name = "last", .inputs = {Distinct({2, 5}, 1)}},
          {.name = "first_keep",
           .inputs = {Distinct({4, 3}, 2)},
           .attrs = {{"axis", std::int64_t{0}}, {"keep_dims", true}, {"dtype", DType::kI32}}},
          {.name = "ties", .inputs = {Values({2, 4}, {1, 3, 3, 1, 2, 2, 2, 2})}},
          {.name = "ties_last", .inputs = {Values({2, 4}, {1, 3, 3, 1, 2, 2, 2, 2})}, .attrs = {{"select_last", true}}},
          {.name = "nan",
           .inputs = {Values({2, 4}, {1, std::nan(""), inf, std::nan(""), -inf, 0, inf, inf})},
           .only_f32 = true},
          {.name = "empty", .inputs = {Random({0, 2}, 3)}},
          {.name = "scalar", .inputs = {Random({}, 4)}, .error = "c1"},
          {.name = "empty_axis", .inputs = {Random({2, 0}, 5)}, .error = "c2"},
          {.name = "float", .inputs = {Random({2}, 6)}, .attrs = {{"dtype", DType::kF32}}, .error = "c3"}};
}
std::vector<Sample> TopKSamples() {
  const auto k = [](std::int64_t n) { return std::pair<std::string_view, Attr>{"k", n}; };
  return {{.name = "last", .inputs = {Distinct({2, 5}, 1)}, .attrs = {k(3)}},
          {.name = "smallest",
           .inputs = {Distinct({4, 2}, 2)},
           .attrs = {k(2), {"axis", std::int64_t{0}}, {"largest", false}}},
          {.name = "ties", .inputs = {Values({5}, {1, 2, 2, 1, 2})}, .attrs = {k(4)}, .gradient = false},
          {.name = "nan",
           .inputs = {Values({4}, {1, std::nan(""), 2, 0})},
           .attrs = {k(2)},
           .gradient = false,
           .only_f32 = true},
          {.name = "nan_smallest",
           .inputs = {Values({4}, {1, std::nan(""), 2, 0})},
           .attrs = {k(4), {"largest", false}},
           .gradient = false,
           .only_f32 = true},
          {.name = "none", .inputs = {Distinct({3}, 3)}, .attrs = {k(0)}},
          {.name = "empty", .inputs = {Random({0, 3}, 4)}, .attrs = {k(1)}},
          {.name = "scalar", .inputs = {Random({}, 5)}, .attrs = {k(0)}, .error = "c1"},
          {.name = "too_many", .inputs = {Random({2}, 6)}, .attrs = {k(3)}, .error = "c2"},
          {.name = "negative", .inputs = {Random({2}, 6)}, .attrs = {k(-2)}, .error = "c2"},
          {.name = "all", .inputs = {Random({2, 3}, 8)}, .attrs = {k(-1)}}};
}
std::vector<Sample> NonzeroSamples() {
  return {{.name = "matrix", .inputs = {Values({2, 3}, {0, 1, -2, 3, 0, -0.0})}},
          {.name = "all_zero", .inputs = {Values({2}, {0, 0})}},
          {.name = "scalar", .inputs = {Values({}, {2})}},
          {.name = "nan", .inputs = {Values({2}, {std::nan(""), 0})}, .only_f32 = true},
          {.name = "empty", .inputs = {Random({0, 2}, 1)}}};
}

constexpr FixedList<AttrSpec, 14> kArgAttrs = {
    IntAttr("axis", -1, "the axis to search"), BoolAttr("keep_dims", false, "keep the axis as 1"),
    BoolAttr("select_last", false, "the last of equal elements instead of the first"),
    DTypeAttr("dtype", DType::kI64, "i32 or i64")};
constinit const OpDef kOps[] = {
    {.name = "argmax",
     .summary = "Position of the largest element along an axis; the first NaN if there is one.",
     .inputs = {{.name = "x", .dtypes = kRealSet, .flags = kNotDifferentiable}},
     .outputs = {{.name = "index", .type = "I", .dtypes = kIndexSet}},
     .attrs = kArgAttrs,
     .traits = kDiscrete | kExact,
     .infer = InferArg,
     .eval = EvalArgmax,
     .samples = ArgSamples},
    {.name = "argmin",
     .summary = "Position of the smallest element along an axis; the first NaN if there is one.",
     .inputs = {{.name = "x", .dtypes = kRealSet, .flags = kNotDifferentiable}},
     .outputs = {{.name = "index", .type = "I", .dtypes = kIndexSet}},
     .attrs = kArgAttrs,
     .traits = kDiscrete | kExact,
     .infer = InferArg,
     .eval = EvalArgmin,
     .samples = ArgSamples},
    {.name = "top_k",
     .summary = "The k largest (smallest) elements along an axis in order, and their positions; of equal ones the "
                "first comes first.",
     .inputs = {{.name = "x", .dtypes = kRealSet}},
     .outputs = {{.name = "values", .dtypes = kRealSet}, {.name = "indices", .type = "I", .dtypes = Only(DType::kI64)}},
     .attrs = {Required("k", AttrKind::kInt, "how many; -1: all"), IntAttr("axis", -1, "the axis to search"),
               BoolAttr("largest", true, "false: the smallest"), BoolAttr("sorted", true, "false: any order will do")},
     .traits = kDiscrete | kExact,
     .infer = InferTopK,
     .eval = EvalTopK,
     .grad = GradTopK,
     .samples = TopKSamples},
    {.name = "nonzero",
     .summary = "Positions of the elements that are not zero, in row-major order: [rank, n], n known only at run time.",
     .inputs = {{.name = "x", .dtypes = kFixedSet, .flags = kNotDifferentiable}},
     .outputs = {{.name = "indices", .type = "I", .dtypes = Only(DType::kI64)}},
     .traits = kDiscrete | kExact,
     .infer = InferNonzero,
     .eval = EvalNonzero,
     .samples = NonzeroSamples,
     .names = {.onnx = "NonZero"}},
};

}  // namespace
extern const std::span<const OpDef> search_ops;
constinit const std::span<const OpDef> search_ops{kOps};
}  // namespace tenon::ir::ops
