// Reductions over a list of axes: those that others are made of.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/reduce_util.h"

namespace tenon::ir::ops {
namespace {

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

Status EvalSum(EvalContext& ctx) {
  VisitWide(ctx.out_dtype(), [&](auto zero) { SetOut(ctx, Fold(ctx, zero, Plus<decltype(zero)>)); });
  return {};
}
Status EvalProd(EvalContext& ctx) {
  VisitWide(ctx.out_dtype(), [&](auto zero) { SetOut(ctx, Fold(ctx, decltype(zero)(1), Times<decltype(zero)>)); });
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
Status GradSum(GradContext& ctx) {
  ctx.Set(0, Spread(ctx, ctx.d()));
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
std::vector<Sample> SumSamples() { return AxesSamples(false, true); }
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

constinit const OpDef kOps[] = {
    {.name = "reduce_sum",
     .summary = "Sum over axes; 0 over nothing. Integers wrap.",
     .inputs = {{.name = "x"}},
     .outputs = {{.name = "y"}},
     .attrs = kReduceAttrs,
     .traits = kAccumulates,
     .infer = InferSum,
     .eval = EvalSum,
     .grad = GradSum,
     .samples = SumSamples,
     .names = {.onnx = "ReduceSum axes=axes keepdims=keep_dims"}},
    {.name = "reduce_max",
     .summary =
         "Maximum over axes; NaN if one is NaN; the lowest value of the dtype over nothing. Ties share the gradient.",
     .inputs = {{.name = "x", .dtypes = kRealSet}},
     .outputs = {{.name = "y"}},
     .attrs = kReduceAttrs,
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
     .attrs = kReduceAttrs,
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
     .attrs = kReduceAttrs,
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
     .attrs = kReduceAttrs,
     .traits = kExact,
     .infer = InferReduce,
     .eval = EvalAny,
     .samples = BoolSamples},
    {.name = "reduce_all",
     .summary = "Whether every element over the axes is true; true over nothing.",
     .inputs = {{.name = "x", .dtypes = kBoolSet}},
     .outputs = {{.name = "y", .dtypes = kBoolSet}},
     .attrs = kReduceAttrs,
     .traits = kExact,
     .infer = InferReduce,
     .eval = EvalAll,
     .samples = BoolSamples},
};

}  // namespace
extern const std::span<const OpDef> reduce_ops;
constinit const std::span<const OpDef> reduce_ops{kOps};
}  // namespace tenon::ir::ops
