// softmax and log_softmax along one axis.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/util.h"

namespace tenon::ir::ops {
namespace {

// Constraint 1: the axis exists.
Status InferSoftmax(InferContext& ctx) {
  if (ctx.ranked(0)) {
    const Result<int> axis = ctx.Axis(ctx.attrs().Int("axis"), ctx.rank(0), 1);
    if (!axis.ok()) return axis.status();
  }
  return InferSameAsFirst(ctx);
}

// Calls f(first element, stride, count) for every line along `axis`.
template <class F>
void ForEachLine(std::span<const std::int64_t> dims, std::int64_t axis, F f) {
  const auto a = static_cast<std::size_t>(axis < 0 ? axis + static_cast<std::int64_t>(dims.size()) : axis);
  std::int64_t outer = 1, inner = 1;
  for (std::size_t i = 0; i < dims.size(); ++i) (i < a ? outer : inner) *= i == a ? 1 : dims[i];
  for (std::int64_t o = 0; o < outer; ++o)
    for (std::int64_t i = 0; i < inner; ++i)
      f(static_cast<std::size_t>(o * dims[a] * inner + i), static_cast<std::size_t>(inner),
        static_cast<std::size_t>(dims[a]));
}

template <bool Log>
Status EvalSoftmax(EvalContext& ctx) {
  std::vector<double> v = ToDoubles(ctx.in(0));
  ForEachLine(ctx.in(0).dims(), ctx.attrs().Int("axis"), [&](std::size_t at, std::size_t stride, std::size_t count) {
    double largest = -std::numeric_limits<double>::infinity(), sum = 0;
    for (std::size_t k = 0; k < count; ++k) {
      const double x = v[at + k * stride];
      largest = std::isnan(x) || x > largest ? x : largest;
    }
    for (std::size_t k = 0; k < count; ++k) sum += std::exp(v[at + k * stride] - largest);
    for (std::size_t k = 0; k < count; ++k) {
      double& x = v[at + k * stride];
      x = Log ? x - largest - std::log(sum) : std::exp(x - largest) / sum;
    }
  });
  ctx.Set(0, FromDoubles(ctx.out_dtype(), ctx.in(0).dims(), v));
  return {};
}

Ex Along(std::string_view op, Ex x, const Attrs& attrs) {
  return Op(op, x, {{"axes", std::vector<std::int64_t>{attrs.Int("axis")}}, {"keep_dims", true}});
}
// x less its largest element: the result does not depend on what is taken off, so no gradient flows through it.
Ex Shifted(Ex x, const Attrs& attrs) { return x - Op("stop_gradient", Along("reduce_max", x, attrs)); }

Status LowerSoftmax(LowerContext& ctx) {
  const Ex e = Op("exp", Shifted(ctx.in(0), ctx.attrs()));
  ctx.Set(0, e / Along("reduce_sum", e, ctx.attrs()));
  return {};
}
Status LowerLogSoftmax(LowerContext& ctx) {
  const Ex x = Shifted(ctx.in(0), ctx.attrs());
  ctx.Set(0, x - Op("log", Along("reduce_sum", Op("exp", x), ctx.attrs())));
  return {};
}
Status GradSoftmax(GradContext& ctx) {
  const Ex d = ctx.d(), y = ctx.out();
  ctx.Set(0, y * (d - Along("reduce_sum", d * y, ctx.attrs())));
  return {};
}
Status GradLogSoftmax(GradContext& ctx) {
  const Ex d = ctx.d();
  ctx.Set(0, d - Op("exp", ctx.out()) * Along("reduce_sum", d, ctx.attrs()));
  return {};
}

std::vector<Sample> SoftmaxSamples() {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  return {{.name = "basic", .inputs = {Random({2, 5}, 1)}},
          {.name = "first_axis", .inputs = {Random({3, 4}, 2)}, .attrs = {{"axis", std::int64_t{0}}}},
          {.name = "middle_axis", .inputs = {Random({2, 3, 4}, 3)}, .attrs = {{"axis", std::int64_t{-2}}}},
          {.name = "vector", .inputs = {Random({7}, 4)}},
          {.name = "one", .inputs = {Random({3, 1}, 5)}},
          {.name = "empty_batch", .inputs = {Random({0, 3}, 6)}},
          {.name = "empty_axis", .inputs = {Random({2, 0}, 6)}},
          {.name = "long", .inputs = {Random({3, 1031}, 7, -8, 8)}, .gradient = false},
          {.name = "large",
           .inputs = {Values({3, 3}, {1e30, 1, -1e30, 1000, 1000, 999, -2000, -2001, -2002})},
           .gradient = false,
           .only_f32 = true},
          {.name = "masked",
           .inputs = {Values({2, 3}, {0, -kInf, 1, -kInf, -kInf, 5})},
           .gradient = false,
           .only_f32 = true},
          {.name = "special",
           .inputs = {Values({3, 2}, {kInf, 1, std::nan(""), 1, -kInf, -kInf})},
           .gradient = false,
           .only_f32 = true},
          {.name = "scalar", .inputs = {Random({}, 8)}, .error = "c1"},
          {.name = "far_axis", .inputs = {Random({2, 3}, 9)}, .attrs = {{"axis", std::int64_t{2}}}, .error = "c1"},
          {.name = "integers", .inputs = {Ints({2}, {1, 2})}, .error = "dtype"}};
}

constinit const OpDef kOps[] = {
    {.name = "softmax",
     .summary = "y = e^x / sum(e^x) along an axis.",
     .inputs = {{.name = "x", .dtypes = kFloatSet}},
     .outputs = {{.name = "y", .dtypes = kFloatSet}},
     .attrs = {IntAttr("axis", -1, "the axis along which y sums to 1")},
     .traits = kAccumulates | kInPlace,
     .infer = InferSoftmax,
     .eval = EvalSoftmax<false>,
     .grad = GradSoftmax,
     .lower = LowerSoftmax,
     .samples = SoftmaxSamples,
     .names = {.keras = "Softmax"}},
    {.name = "log_softmax",
     .summary = "y = x - ln(sum(e^x)) along an axis.",
     .inputs = {{.name = "x", .dtypes = kFloatSet}},
     .outputs = {{.name = "y", .dtypes = kFloatSet}},
     .attrs = {IntAttr("axis", -1, "the axis along which e^y sums to 1")},
     .traits = kAccumulates | kInPlace,
     .infer = InferSoftmax,
     .eval = EvalSoftmax<true>,
     .grad = GradLogSoftmax,
     .lower = LowerLogSoftmax,
     .samples = SoftmaxSamples,
     .names = {.keras = "LogSoftmax"}},
};

}  // namespace
extern const std::span<const OpDef> softmax_ops;
constinit const std::span<const OpDef> softmax_ops{kOps};
}  // namespace tenon::ir::ops
