// Reductions over a list of axes.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/array_util.h"

namespace tenon::ir::ops {
namespace {

// c1: each axis in range, once.
Status InferReduce(InferContext& ctx) {
  const std::vector<std::int64_t>& axes = ctx.attrs().Ints("axes");
  const bool keep = ctx.attrs().Bool("keep_dims");
  if (!ctx.ranked(0)) {
    if (axes.empty() && !keep)
      ctx.Set(0, ctx.dtype(0), {});
    else
      ctx.SetUnknownRank(0, ctx.dtype(0));
    return {};
  }
  TENON_ASSIGN_OR_RETURN(const std::vector<int> reduced, ctx.Axes(axes, ctx.rank(0), 1, true));
  std::vector<Dim> dims;
  for (int i = 0; i < ctx.rank(0); ++i) {
    if (std::find(reduced.begin(), reduced.end(), i) == reduced.end())
      dims.push_back(ctx.shape(0)[i]);
    else if (keep)
      dims.emplace_back(1);
  }
  ctx.Set(0, ctx.dtype(0), Shape(std::move(dims)));
  return {};
}

using FoldDims = Dim (*)(const Dim&, const Dim&);
// The same, and the value of a known vector.
Status InferFold(InferContext& ctx, std::int64_t first, FoldDims fold) {
  TENON_RETURN_IF_ERROR(InferReduce(ctx));
  if (!ctx.ranked(0) || ctx.rank(0) != 1 || !ctx.value(0)) return {};
  Dim total = first;
  for (const Dim& d : *ctx.value(0)) total = fold(total, d);
  ctx.SetValue(0, {total});
  return {};
}
Status InferSum(InferContext& ctx) {
  return InferFold(ctx, 0, [](const Dim& a, const Dim& b) { return a + b; });
}
Status InferProd(InferContext& ctx) {
  return InferFold(ctx, 1, [](const Dim& a, const Dim& b) { return a * b; });
}

// out[k] = combine(…combine(first, x)…) over the elements that fall on k.
template <class T, class F>
std::vector<T> Fold(EvalContext& ctx, T first, F combine) {
  const Literal& x = ctx.in(0);
  const std::vector<std::int64_t> kept = Kept(x.dims(), NormalAxes(ctx.attrs().Ints("axes"), x.rank(), true));
  const std::vector<std::int64_t> to = BroadcastIndices(kept, x.dims());
  const std::vector<T> v = LoadAs<T>(x);
  std::vector<T> out(Size(Product(kept)), first);
  for (std::size_t i = 0; i < v.size(); ++i) out[Size(to[i])] = combine(out[Size(to[i])], v[i]);
  return out;
}
template <class T>
void SetOut(EvalContext& ctx, const std::vector<T>& values) {
  ctx.Set(0, StoreAs<T>(ctx.out_dtype(), ctx.out_dims(), values));
}

Status EvalSum(EvalContext& ctx) {
  VisitWide(ctx.out_dtype(), [&](auto zero) { SetOut(ctx, Fold(ctx, zero, Plus<decltype(zero)>)); });
  return {};
}
Status EvalProd(EvalContext& ctx) {
  VisitWide(ctx.out_dtype(), [&](auto zero) { SetOut(ctx, Fold(ctx, decltype(zero)(1), Times<decltype(zero)>)); });
  return {};
}
double MeanCount(const EvalContext& ctx) {
  double n = 1;
  for (const int axis : NormalAxes(ctx.attrs().Ints("axes"), ctx.in(0).rank(), true))
    n *= static_cast<double>(ctx.in(0).dims()[static_cast<std::size_t>(axis)]);
  return n;
}
Status EvalMean(EvalContext& ctx) {
  const double n = MeanCount(ctx);
  VisitWide(ctx.out_dtype(), [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::same_as<T, double> || std::same_as<T, std::complex<double>>) {
      std::vector<T> sums = Fold(ctx, zero, Plus<T>);
      for (T& s : sums) s /= n;
      SetOut(ctx, sums);
    }
  });
  return {};
}
Status EvalVariance(EvalContext& ctx) {
  const Literal& x = ctx.in(0);
  const double n = MeanCount(ctx);
  std::vector<double> mean = Fold(ctx, 0.0, Plus<double>);
  const std::vector<std::int64_t> kept = Kept(x.dims(), NormalAxes(ctx.attrs().Ints("axes"), x.rank(), true));
  const std::vector<std::int64_t> to = BroadcastIndices(kept, x.dims());
  const std::vector<double> v = ToDoubles(x);
  std::vector<double> out(mean.size(), n == 0 ? std::nan("") : 0.0);
  for (double& m : mean) m /= n;
  for (std::size_t i = 0; i < v.size(); ++i)
    out[Size(to[i])] += (v[i] - mean[Size(to[i])]) * (v[i] - mean[Size(to[i])]) / n;
  SetOut(ctx, out);
  return {};
}
// max (sign 1) or min (sign -1); NaN wins; nothing gives the lowest (highest) value of the dtype.
Status EvalExtreme(EvalContext& ctx, bool largest) {
  VisitWide(ctx.out_dtype(), [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::same_as<T, double>) {
      const double inf = std::numeric_limits<double>::infinity();
      SetOut(ctx, Fold(ctx, largest ? -inf : inf, [&](double a, double b) {
               if (std::isnan(a) || std::isnan(b)) return std::nan("");
               return largest ? std::max(a, b) : std::min(a, b);
             }));
    } else if constexpr (!std::same_as<T, std::complex<double>>) {
      const int bits = ctx.out_dtype() == DType::kBool ? 1 : dtype_bits(ctx.out_dtype());
      const bool is_signed = is_signed_integer(ctx.out_dtype());
      const std::uint64_t all = ~std::uint64_t{0} >> (64 - bits);
      const std::uint64_t lowest = is_signed ? ~(all >> 1) : 0, highest = is_signed ? all >> 1 : all;
      SetOut(ctx, Fold(ctx, static_cast<T>(largest ? lowest : highest),
                       [&](T a, T b) { return largest ? std::max(a, b) : std::min(a, b); }));
    }
  });
  return {};
}
Status EvalMax(EvalContext& ctx) { return EvalExtreme(ctx, true); }
Status EvalMin(EvalContext& ctx) { return EvalExtreme(ctx, false); }
Status EvalAny(EvalContext& ctx) {
  SetOut(ctx, Fold(ctx, std::int64_t{0}, [](std::int64_t a, std::int64_t b) { return a | b; }));
  return {};
}
Status EvalAll(EvalContext& ctx) {
  SetOut(ctx, Fold(ctx, std::int64_t{1}, [](std::int64_t a, std::int64_t b) { return a & b; }));
  return {};
}
Status EvalLogSumExp(EvalContext& ctx) {
  const Literal& x = ctx.in(0);
  const std::vector<std::int64_t> kept = Kept(x.dims(), NormalAxes(ctx.attrs().Ints("axes"), x.rank(), true));
  const std::vector<std::int64_t> to = BroadcastIndices(kept, x.dims());
  std::vector<double> top = Fold(ctx, -std::numeric_limits<double>::infinity(),
                                 [](double a, double b) { return std::isnan(a) || a > b ? a : b; });
  const std::vector<double> v = ToDoubles(x);
  std::vector<double> out(top.size(), 0.0);
  for (double& t : top) t = std::isinf(t) ? 0 : t;
  for (std::size_t i = 0; i < v.size(); ++i) out[Size(to[i])] += std::exp(v[i] - top[Size(to[i])]);
  for (std::size_t k = 0; k < out.size(); ++k) out[k] = std::log(out[k]) + top[k];
  SetOut(ctx, out);
  return {};
}

// A result or cotangent with the reduced axes back as 1.
Ex WithAxes(GradContext& ctx, Ex v) {
  return ctx.attrs().Bool("keep_dims") ? v : ExpandDims(v, ctx.attrs().Ints("axes"));
}
Ex Spread(GradContext& ctx, Ex v) { return ctx.b(ctx.b.BroadcastLike(WithAxes(ctx, v), ctx.in(0))); }

Status GradSum(GradContext& ctx) {
  ctx.Set(0, Spread(ctx, ctx.d()));
  return {};
}
Status GradMean(GradContext& ctx) {
  ctx.Set(0, Spread(ctx, ctx.d() / CountAlong(ctx.in(0), ctx.attrs().Ints("axes"))));
  return {};
}
// Ties share the gradient equally.
Status GradExtreme(GradContext& ctx) {
  const Ex x = ctx.in(0);
  const Ex hits = ctx.b(ctx.b.Cast(Op("equal", x, Spread(ctx, ctx.out())), x.dtype()));
  const Ex count = ctx.b(ctx.b.ReduceSum(hits, ctx.attrs().Ints("axes"), ctx.attrs().Bool("keep_dims")));
  // An empty maximum has no hits; its cotangent must not be divided by 0, which the second gradient would see.
  ctx.Set(0, hits * Spread(ctx, ctx.d() / Op("maximum", count, ctx.b(ctx.b.Scalar(1, count.dtype())))));
  return {};
}
// Axis by axis, as the product of what stands before and after each element: exact where elements are zero.
Status GradProd(GradContext& ctx) {
  std::vector<std::int64_t> axes = ctx.attrs().Ints("axes");
  Builder& b = ctx.b;
  Ex x = ctx.in(0);
  const bool flat = axes.empty();
  if (flat) {
    x = Op("reshape", x, Vector(b, {-1}));
    axes = {0};
  }
  std::vector<Ex> steps = {x};
  for (const std::int64_t axis : axes)
    steps.push_back(Op("reduce_prod", steps.back(), {{"axes", std::vector<std::int64_t>{axis}}, {"keep_dims", true}}));
  Ex d = flat ? Op("reshape", ctx.d(), Vector(b, {1})) : WithAxes(ctx, ctx.d());
  for (std::size_t i = axes.size(); i-- > 0;) {
    const Ex before = Op("cumprod", steps[i], {{"axis", axes[i]}, {"exclusive", true}});
    const Ex after = Op("cumprod", steps[i], {{"axis", axes[i]}, {"exclusive", true}, {"reverse", true}});
    d = d * before * after;
  }
  ctx.Set(0, flat ? Op("reshape", d, ShapeOf(ctx.in(0))) : d);
  return {};
}
Status GradLogSumExp(GradContext& ctx) {
  ctx.Set(0, Spread(ctx, ctx.d()) * Op("exp", ctx.in(0) - Spread(ctx, ctx.out())));
  return {};
}

Attrs ReduceAttrs(LowerContext& ctx, bool keep) { return {{"axes", ctx.attrs().Ints("axes")}, {"keep_dims", keep}}; }
Status LowerMean(LowerContext& ctx) {
  ctx.Set(0, Op("reduce_sum", ctx.in(0), ctx.attrs()) / CountAlong(ctx.in(0), ctx.attrs().Ints("axes")));
  return {};
}
Status LowerVariance(LowerContext& ctx) {
  const Ex x = ctx.in(0);
  ctx.Set(0, Op("reduce_mean", Op("square", x - Op("reduce_mean", x, ReduceAttrs(ctx, true))), ctx.attrs()));
  return {};
}
Status LowerLogSumExp(LowerContext& ctx) {
  const Ex x = ctx.in(0);
  const auto shift = [&](bool keep) {  // the largest element, 0 where that is infinite
    const Ex top = Op("stop_gradient", Op("reduce_max", x, ReduceAttrs(ctx, keep)));
    return Select(Op("is_finite", top), top, ctx.b(ctx.b.ZerosLike(top)));
  };
  ctx.Set(0,
          Op("log", Op("reduce_sum", Op("exp", x - shift(true)), ctx.attrs())) + shift(ctx.attrs().Bool("keep_dims")));
  return {};
}

std::vector<Sample> AxesSamples(bool distinct, bool empty_axis) {
  const auto input = [&](std::vector<std::int64_t> dims, int seed) {
    return distinct ? Distinct(std::move(dims), seed) : Random(std::move(dims), seed);
  };
  using L = std::vector<std::int64_t>;
  std::vector<Sample> s = {
      {.name = "all", .inputs = {input({2, 3}, 1)}},
      {.name = "last", .inputs = {input({2, 3, 4}, 2)}, .attrs = {{"axes", L{-1}}}},
      {.name = "outer_keep", .inputs = {input({2, 3, 4}, 3)}, .attrs = {{"axes", L{0, 2}}, {"keep_dims", true}}},
      {.name = "unordered", .inputs = {input({2, 3, 4}, 4)}, .attrs = {{"axes", L{-1, 0}}}},
      {.name = "scalar", .inputs = {input({}, 5)}},
      {.name = "no_rows", .inputs = {input({0, 3}, 6)}, .attrs = {{"axes", L{1}}}},
      {.name = "long", .inputs = {input({3, 211}, 7)}, .attrs = {{"axes", L{1}}}, .gradient = false},
      {.name = "bad_axis", .inputs = {input({2, 3}, 8)}, .attrs = {{"axes", L{2}}}, .error = "c1"},
      {.name = "repeated_axis", .inputs = {input({2, 3}, 9)}, .attrs = {{"axes", L{1, -1}}}, .error = "c1"}};
  if (empty_axis) s.push_back({.name = "empty_axis", .inputs = {input({0, 3}, 10)}, .attrs = {{"axes", L{0}}}});
  return s;
}
std::vector<Sample> SumSamples() { return AxesSamples(false, true); }
std::vector<Sample> MeanSamples() { return AxesSamples(false, false); }
std::vector<Sample> ProdSamples() {
  std::vector<Sample> s = AxesSamples(false, true);
  s[6] = {
      .name = "long", .inputs = {Random({3, 31}, 7, 0.75, 1.25)}, .attrs = {{"axes", std::vector<std::int64_t>{1}}}};
  s.push_back({.name = "zeros",
               .inputs = {Values({3, 3}, {1, 0, 3, 0, 0, 2, 4, 5, 0.5})},
               .attrs = {{"axes", std::vector<std::int64_t>{1}}}});
  return s;
}
std::vector<Sample> ExtremeSamples() {
  std::vector<Sample> s = AxesSamples(true, true);
  const double inf = std::numeric_limits<double>::infinity();
  s.push_back({.name = "ties",
               .inputs = {Values({2, 3}, {1, 1, 0, 2, 2, 2})},
               .attrs = {{"axes", std::vector<std::int64_t>{1}}},
               .gradient = false});
  s.push_back({.name = "nan",
               .inputs = {Values({2, 3}, {1, std::nan(""), 0, inf, -inf, 2})},
               .attrs = {{"axes", std::vector<std::int64_t>{1}}},
               .gradient = false,
               .only_f32 = true});
  return s;
}
std::vector<Sample> LogSumExpSamples() {
  std::vector<Sample> s = AxesSamples(false, false);
  const double inf = std::numeric_limits<double>::infinity();
  s.push_back({.name = "large",
               .inputs = {Values({3, 2}, {1000, 1001, -1000, -1001, 88, -88})},
               .attrs = {{"axes", std::vector<std::int64_t>{1}}},
               .gradient = false,
               .only_f32 = true});
  s.push_back({.name = "infinite",
               .inputs = {Values({3, 2}, {-inf, -inf, inf, 0, -inf, 1})},
               .attrs = {{"axes", std::vector<std::int64_t>{1}}},
               .gradient = false,
               .only_f32 = true});
  return s;
}
std::vector<Sample> BoolSamples() {
  using L = std::vector<std::int64_t>;
  return {
      {.name = "all", .inputs = {Bools({2, 2}, {true, false, false, false})}},
      {.name = "rows", .inputs = {Bools({3, 2}, {true, true, false, true, false, false})}, .attrs = {{"axes", L{-1}}}},
      {.name = "keep",
       .inputs = {Bools({3, 2}, {true, true, false, true, false, false})},
       .attrs = {{"axes", L{0}}, {"keep_dims", true}}},
      {.name = "empty", .inputs = {Bools({0, 2}, {})}, .attrs = {{"axes", L{0}}}},
      {.name = "scalar", .inputs = {Bools({}, {true})}},
      {.name = "bad_axis", .inputs = {Bools({2}, {true, false})}, .attrs = {{"axes", L{1}}}, .error = "c1"},
      {.name = "numbers", .inputs = {Values({2}, {1, 0})}, .error = "dtype"}};
}

constexpr FixedList<AttrSpec, 14> kAttrs = {IntsAttr("axes", "axes to reduce, negative ones from the end; empty: all"),
                                            BoolAttr("keep_dims", false, "keep the reduced axes as 1")};

constinit const OpDef kOps[] = {
    {.name = "reduce_sum",
     .summary = "Sum over axes; 0 over nothing. Integers wrap.",
     .inputs = {{.name = "x"}},
     .outputs = {{.name = "y"}},
     .attrs = kAttrs,
     .traits = kAccumulates,
     .infer = InferSum,
     .eval = EvalSum,
     .grad = GradSum,
     .samples = SumSamples,
     .names = {.onnx = "ReduceSum axes=axes keepdims=keep_dims"}},
    {.name = "reduce_mean",
     .summary = "Arithmetic mean over axes; NaN over nothing.",
     .inputs = {{.name = "x", .dtypes = kFloatSet | kComplexSet}},
     .outputs = {{.name = "y"}},
     .attrs = kAttrs,
     .traits = kAccumulates,
     .infer = InferReduce,
     .eval = EvalMean,
     .grad = GradMean,
     .lower = LowerMean,
     .samples = MeanSamples,
     .names = {.onnx = "ReduceMean axes=axes keepdims=keep_dims"}},
    {.name = "reduce_max",
     .summary =
         "Maximum over axes; NaN if one is NaN; the lowest value of the dtype over nothing. Ties share the gradient.",
     .inputs = {{.name = "x", .dtypes = kRealSet}},
     .outputs = {{.name = "y"}},
     .attrs = kAttrs,
     .traits = kExact,
     .infer = InferReduce,
     .eval = EvalMax,
     .grad = GradExtreme,
     .samples = ExtremeSamples,
     .names = {.onnx = "ReduceMax axes=axes keepdims=keep_dims"}},
    {.name = "reduce_min",
     .summary =
         "Minimum over axes; NaN if one is NaN; the highest value of the dtype over nothing. Ties share the gradient.",
     .inputs = {{.name = "x", .dtypes = kRealSet}},
     .outputs = {{.name = "y"}},
     .attrs = kAttrs,
     .traits = kExact,
     .infer = InferReduce,
     .eval = EvalMin,
     .grad = GradExtreme,
     .samples = ExtremeSamples,
     .names = {.onnx = "ReduceMin axes=axes keepdims=keep_dims"}},
    {.name = "reduce_prod",
     .summary = "Product over axes; 1 over nothing. Integers wrap.",
     .inputs = {{.name = "x"}},
     .outputs = {{.name = "y"}},
     .attrs = kAttrs,
     .traits = kAccumulates,
     .infer = InferProd,
     .eval = EvalProd,
     .grad = GradProd,
     .samples = ProdSamples,
     .names = {.onnx = "ReduceProd axes=axes keepdims=keep_dims"}},
    {.name = "reduce_any",
     .summary = "Whether any element over the axes is true; false over nothing.",
     .inputs = {{.name = "x", .dtypes = kBoolSet}},
     .outputs = {{.name = "y", .dtypes = kBoolSet}},
     .attrs = kAttrs,
     .traits = kExact,
     .infer = InferReduce,
     .eval = EvalAny,
     .samples = BoolSamples},
    {.name = "reduce_all",
     .summary = "Whether every element over the axes is true; true over nothing.",
     .inputs = {{.name = "x", .dtypes = kBoolSet}},
     .outputs = {{.name = "y", .dtypes = kBoolSet}},
     .attrs = kAttrs,
     .traits = kExact,
     .infer = InferReduce,
     .eval = EvalAll,
     .samples = BoolSamples},
    {.name = "logsumexp",
     .summary = "log(sum(exp(x))) over axes, shifted by the maximum.",
     .inputs = {{.name = "x", .dtypes = kFloatSet}},
     .outputs = {{.name = "y"}},
     .attrs = kAttrs,
     .traits = kAccumulates,
     .infer = InferReduce,
     .eval = EvalLogSumExp,
     .grad = GradLogSumExp,
     .lower = LowerLogSumExp,
     .samples = LogSumExpSamples,
     .names = {.onnx = "ReduceLogSumExp axes=axes keepdims=keep_dims"}},
    {.name = "variance",
     .summary = "Population variance over axes: mean((x - mean(x))^2); NaN over nothing.",
     .inputs = {{.name = "x", .dtypes = kFloatSet}},
     .outputs = {{.name = "y"}},
     .attrs = kAttrs,
     .traits = kAccumulates,
     .infer = InferReduce,
     .eval = EvalVariance,
     .lower = LowerVariance,
     .samples = MeanSamples},
};

}  // namespace
extern const std::span<const OpDef> reduce_ops;
constinit const std::span<const OpDef> reduce_ops{kOps};
}  // namespace tenon::ir::ops
