// Reductions over a list of axes that lower to others.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/reduce_util.h"

namespace tenon::ir::ops {
namespace {

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

Status GradMean(GradContext& ctx) {
  ctx.Set(0, Spread(ctx, ctx.d() / CountAlong(ctx.in(0), ctx.attrs().Ints("axes"))));
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

std::vector<Sample> MeanSamples() { return AxesSamples(false, false); }
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
constinit const OpDef kOps[] = {
    {.name = "reduce_mean",
     .summary = "Arithmetic mean over axes; NaN over nothing.",
     .inputs = {{.name = "x", .dtypes = kFloatSet | kComplexSet}},
     .outputs = {{.name = "y"}},
     .attrs = kReduceAttrs,
     .traits = kAccumulates,
     .infer = InferReduce,
     .eval = EvalMean,
     .grad = GradMean,
     .lower = LowerMean,
     .samples = MeanSamples,
     .names = {.onnx = "ReduceMean axes=axes keepdims=keep_dims"}},
    {.name = "logsumexp",
     .summary = "log(sum(exp(x))) over axes, shifted by the maximum.",
     .inputs = {{.name = "x", .dtypes = kFloatSet}},
     .outputs = {{.name = "y"}},
     .attrs = kReduceAttrs,
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
     .attrs = kReduceAttrs,
     .traits = kAccumulates,
     .infer = InferReduce,
     .eval = EvalVariance,
     .lower = LowerVariance,
     .samples = MeanSamples},
};

}  // namespace
extern const std::span<const OpDef> reduce_lowered_ops;
constinit const std::span<const OpDef> reduce_lowered_ops{kOps};
}  // namespace tenon::ir::ops
