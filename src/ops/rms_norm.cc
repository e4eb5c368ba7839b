// Normalisation by the root of the mean square: layer_norm without the mean.
#include <cmath>

#include "ops/array_util.h"

namespace tenon::ir::ops {
namespace {

// c1: the axis is in range. c2: scale has the dims of x from the axis on. c3: epsilon is not negative.
Status InferRmsNorm(InferContext& ctx) {
  if (ctx.attrs().Float("epsilon") < 0)
    return ctx.Fail(3, "got epsilon " + std::to_string(ctx.attrs().Float("epsilon")) + ", expected 0 or more");
  if (ctx.ranked(0)) {
    TENON_ASSIGN_OR_RETURN(const int axis, ctx.Axis(ctx.attrs().Int("axis"), ctx.rank(0), 1));
    const Shape want(std::vector<Dim>(ctx.shape(0).dims().begin() + axis, ctx.shape(0).dims().end()));
    if (ctx.has(1) && ctx.ranked(1)) {
      bool same = ctx.rank(1) == want.rank();
      for (int k = 0; same && k < want.rank(); ++k) same = !Differ(ctx.shape(1)[k], want[k]);
      if (!same)
        return ctx.Fail(2, "input \"scale\": got " + ctx.shape(1).to_string() + ", expected " + want.to_string() +
                               ", the dims of x from axis " + std::to_string(axis) + " on");
    }
  }
  return InferSameAsFirst(ctx);
}
Status EvalRmsNorm(EvalContext& ctx) {
  const Literal& x = ctx.in(0);
  const int axis = NormalAxis(ctx.attrs().Int("axis"), x.rank());
  const std::size_t inner = Size(Product(std::span(x.dims()).subspan(Size(axis))));
  std::vector<double> v = ToDoubles(x);
  const std::vector<double> scale = ctx.has(1) ? ToDoubles(ctx.in(1)) : std::vector<double>();
  for (std::size_t row = 0; row < v.size(); row += inner) {
    double square = 0;
    for (std::size_t i = 0; i < inner; ++i) square += v[row + i] * v[row + i] / static_cast<double>(inner);
    const double root = std::sqrt(square + ctx.attrs().Float("epsilon"));
    for (std::size_t i = 0; i < inner; ++i) v[row + i] = v[row + i] / root * (scale.empty() ? 1 : scale[i]);
  }
  ctx.Set(0, FromDoubles(x.dtype(), x.dims(), v));
  return {};
}
Status LowerRmsNorm(LowerContext& ctx) {
  std::int64_t axis = ctx.attrs().Int("axis");
  if (axis >= 0) {
    if (!ctx.b.ranked(ctx.in(0)))
      return Status(Code::kFailedPrecondition,
                    "rms_norm: needs the rank of its input for axis " + std::to_string(axis));
    axis -= ctx.b.shape(ctx.in(0)).rank();
  }
  std::vector<std::int64_t> axes;
  for (; axis < 0; ++axis) axes.push_back(axis);
  const Ex x = AtLeastF32(ctx.in(0));
  Ex y =
      x * Op("rsqrt", Op("reduce_mean", x * x, {{"axes", axes}, {"keep_dims", true}}) + ctx.attrs().Float("epsilon"));
  if (ctx.has(1)) y = y * AtLeastF32(ctx.in(1));
  ctx.Set(0, ctx.b.Cast(y, ctx.in(0).dtype()));
  return {};
}

std::vector<Sample> RmsNormSamples() {
  const Literal scale = Random({3}, 2);
  return {{.name = "plain", .inputs = {Random({2, 3}, 1), scale}},
          {.name = "two_axes",
           .inputs = {Random({2, 2, 3}, 1), Random({2, 3}, 2)},
           .attrs = {{"axis", std::int64_t{1}}, {"epsilon", 0.125}}},
          {.name = "all_axes", .inputs = {Random({2, 3}, 1), Random({2, 3}, 2)}, .attrs = {{"axis", std::int64_t{-2}}}},
          {.name = "bare", .inputs = {Random({2, 2, 3}, 1)}},
          {.name = "zeros", .inputs = {Values({1, 3}, {0, 0, 0}), scale}, .attrs = {{"epsilon", 0.25}}},
          // The squares leave the range of f16.
          {.name = "large", .inputs = {Random({2, 3}, 1, 300, 900), scale}},
          {.name = "empty", .inputs = {Random({0, 3}, 1), scale}},
          {.name = "bad_axis", .inputs = {Random({2, 3}, 1)}, .attrs = {{"axis", std::int64_t{2}}}, .error = "c1"},
          {.name = "scale", .inputs = {Random({3, 2}, 1), scale}, .error = "c2"},
          {.name = "epsilon", .inputs = {Random({2, 3}, 1)}, .attrs = {{"epsilon", -1.0}}, .error = "c3"}};
}

constinit const OpDef kOps[] = {
    {.name = "rms_norm",
     .summary = "x / sqrt(mean(x^2) + epsilon) * scale, with the mean over the axes from axis on, in f32 or more.",
     .inputs =
         {{.name = "x", .dtypes = kFloatSet},
          {.name = "scale", .dtypes = kFloatSet, .flags = kOptional, .doc = "the dims of x from axis on; absent: 1"}},
     .outputs = {{.name = "y", .dtypes = kFloatSet}},
     .attrs = {IntAttr("axis", -1, "the first normalised axis"), FloatAttr("epsilon", 1e-6, "added to the mean")},
     .traits = kAccumulates,
     .infer = InferRmsNorm,
     .eval = EvalRmsNorm,
     .lower = LowerRmsNorm,
     .samples = RmsNormSamples},
};

}  // namespace
extern const std::span<const OpDef> rms_norm_ops;
constinit const std::span<const OpDef> rms_norm_ops{kOps};
}  // namespace tenon::ir::ops
