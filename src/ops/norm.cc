// Normalisation. Statistics are population statistics: mean((x - mean)^2).
#include <algorithm>
#include <cmath>

#include "ops/array_util.h"

namespace tenon::ir::ops {
namespace {

using Longs = std::vector<std::int64_t>;

// Every axis but the channel's, and a vector of the channel's dim with the axes that follow it as 1.
Longs OtherAxes(int rank, int axis) {
  Longs axes;
  for (int i = 0; i < rank; ++i)
    if (i != axis) axes.push_back(i);
  return axes;
}
// `axis` negative: needs no rank.
Ex AlongChannel(Ex vector, std::int64_t axis) {
  Longs axes;
  for (std::int64_t i = -1; i > axis; --i) axes.push_back(i);
  return ExpandDims(vector, axes);
}
// The axis counted from the end; an error when that needs a rank that is not known.
Result<std::int64_t> FromEnd(const Builder& b, Value x, std::int64_t axis, std::string_view op) {
  if (axis < 0) return axis;
  if (!b.ranked(x))
    return Status(Code::kFailedPrecondition,
                  std::string(op) + ": needs the rank of its input for axis " + std::to_string(axis));
  return axis - b.shape(x).rank();
}

// c1: the axis is in range. c2: each parameter is a vector of its dim.
Status CheckChannel(InferContext& ctx, int first, Dim* channels) {
  *channels = ctx.FreshDim();
  if (ctx.ranked(0)) {
    TENON_ASSIGN_OR_RETURN(const int axis, ctx.Axis(ctx.attrs().Int("axis"), ctx.rank(0), 1));
    *channels = ctx.shape(0)[axis];
  }
  for (int i = first; i < ctx.num_inputs(); ++i) {
    if (!ctx.has(i) || !ctx.ranked(i)) continue;
    if (ctx.rank(i) != 1 || (ctx.ranked(0) && Differ(ctx.shape(i)[0], *channels)))
      return ctx.Fail(2, "input \"" + std::string(ctx.op().inputs[static_cast<std::size_t>(i)].name) + "\": got " +
                             ctx.shape(i).to_string() + ", expected [" + channels->to_string() +
                             "], the channels of x");
    *channels = Merge(*channels, ctx.shape(i)[0]);
  }
  if (ctx.attrs().Float("epsilon") < 0)
    return ctx.Fail(3, "got epsilon " + std::to_string(ctx.attrs().Float("epsilon")) + ", expected 0 or more");
  return {};
}

Status InferBatchNorm(InferContext& ctx) {
  Dim channels;
  TENON_RETURN_IF_ERROR(CheckChannel(ctx, 1, &channels));
  return InferSameAsFirst(ctx);
}
// y = (x - mean) / sqrt(variance + epsilon) * gamma + beta, the parameters by channel; gamma, beta may be empty
// (absent).
std::vector<double> Normalized(const std::vector<double>& x, const Around& a, const std::vector<double>& mean,
                               const std::vector<double>& variance, const std::vector<double>& gamma,
                               const std::vector<double>& beta, double epsilon) {
  std::vector<double> y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t c = i / Size(a.inner) % Size(a.count);
    y[i] = (x[i] - mean[c]) / std::sqrt(variance[c] + epsilon) * (gamma.empty() ? 1 : gamma[c]) +
           (beta.empty() ? 0 : beta[c]);
  }
  return y;
}
std::vector<double> Optional(const EvalContext& ctx, int i) {
  return ctx.has(i) ? ToDoubles(ctx.in(i)) : std::vector<double>();
}
Status EvalBatchNorm(EvalContext& ctx) {
  const Literal& x = ctx.in(0);
  const Around a = SplitAt(x.dims(), NormalAxis(ctx.attrs().Int("axis"), x.rank()));
  ctx.Set(0, FromDoubles(x.dtype(), x.dims(),
                         Normalized(ToDoubles(x), a, ToDoubles(ctx.in(1)), ToDoubles(ctx.in(2)), Optional(ctx, 3),
                                    Optional(ctx, 4), ctx.attrs().Float("epsilon"))));
  return {};
}
Status LowerBatchNorm(LowerContext& ctx) {
  TENON_ASSIGN_OR_RETURN(const std::int64_t axis, FromEnd(ctx.b, ctx.in(0), ctx.attrs().Int("axis"), "batch_norm"));
  Ex scale = Op("rsqrt", ctx.in(2) + ctx.attrs().Float("epsilon"));
  if (ctx.has(3)) scale = scale * ctx.in(3);
  Ex y = (ctx.in(0) - AlongChannel(ctx.in(1), axis)) * AlongChannel(scale, axis);
  if (ctx.has(4)) y = y + AlongChannel(ctx.in(4), axis);
  ctx.Set(0, y);
  return {};
}

Status InferTraining(InferContext& ctx) {
  Dim channels;
  TENON_RETURN_IF_ERROR(CheckChannel(ctx, 1, &channels));
  ctx.Set(0, ctx.type(0));
  ctx.Set(1, ctx.dtype(0), {channels});
  ctx.Set(2, ctx.dtype(0), {channels});
  return {};
}
Status EvalTraining(EvalContext& ctx) {
  const Literal& x = ctx.in(0);
  const Around a = SplitAt(x.dims(), NormalAxis(ctx.attrs().Int("axis"), x.rank()));
  const std::vector<double> v = ToDoubles(x);
  std::vector<double> mean(Size(a.count), 0.0), variance(Size(a.count), 0.0);
  const double n = static_cast<double>(a.outer * a.inner);
  const auto channel = [&](std::size_t i) { return i / Size(a.inner) % Size(a.count); };
  for (std::size_t i = 0; i < v.size(); ++i) mean[channel(i)] += v[i];
  for (double& m : mean) m /= n;
  for (std::size_t i = 0; i < v.size(); ++i)
    variance[channel(i)] += (v[i] - mean[channel(i)]) * (v[i] - mean[channel(i)]);
  for (double& s : variance) s /= n;
  ctx.Set(0, FromDoubles(
                 x.dtype(), x.dims(),
                 Normalized(v, a, mean, variance, Optional(ctx, 1), Optional(ctx, 2), ctx.attrs().Float("epsilon"))));
  ctx.Set(1, FromDoubles(x.dtype(), {a.count}, mean));
  ctx.Set(2, FromDoubles(x.dtype(), {a.count}, variance));
  return {};
}
Status NeedRank(const Builder& b, Value x, std::string_view op) {
  return b.ranked(x) ? Status() : Status(Code::kFailedPrecondition, std::string(op) + ": needs the rank of its input");
}
Status LowerTraining(LowerContext& ctx) {
  Builder& b = ctx.b;
  const Ex x = ctx.in(0);
  TENON_RETURN_IF_ERROR(NeedRank(b, x, "batch_norm_training"));
  const Longs axes = OtherAxes(b.shape(x).rank(), NormalAxis(ctx.attrs().Int("axis"), b.shape(x).rank()));
  // Over no axes (x is a vector of channels) every element is its own mean.
  const Ex mean = axes.empty() ? x : Op("reduce_mean", x, {{"axes", axes}});
  const Ex variance = axes.empty() ? b(b.ZerosLike(x)) : Op("variance", x, {{"axes", axes}});
  ctx.Set(0, b.Add("batch_norm",
                   {x, mean, variance, ctx.has(1) ? ctx.in(1).v : Value(), ctx.has(2) ? ctx.in(2).v : Value()},
                   ctx.attrs()));
  ctx.Set(1, mean);
  ctx.Set(2, variance);
  return {};
}
// With z = (x - mean) / sqrt(variance + epsilon), g = dy * gamma and E the mean over all axes but the channel's:
// dx = (g - E[g] - z E[g z]) / sqrt(variance + epsilon) + (dmean + 2 (x - mean) dvariance) / n.
Status GradTraining(GradContext& ctx) {
  Builder& b = ctx.b;
  const Ex x = ctx.in(0);
  TENON_RETURN_IF_ERROR(NeedRank(b, x, "batch_norm_training"));
  const int rank = b.shape(x).rank();
  const std::int64_t axis = NormalAxis(ctx.attrs().Int("axis"), rank) - rank;
  const Longs axes = OtherAxes(rank, static_cast<int>(axis) + rank);
  const auto sum = [&](Ex v) { return axes.empty() ? v : b(b.ReduceSum(v, axes, false)); };
  const auto along = [&](Ex v) { return AlongChannel(v, axis); };
  const Ex centred = x - along(ctx.out(1));
  const Ex inverse = Op("rsqrt", ctx.out(2) + ctx.attrs().Float("epsilon"));
  const Ex z = centred * along(inverse);
  const Ex count = axes.empty() ? b(b.Scalar(1, x.dtype())) : CountAlong(x, axes);
  Ex dx;
  if (ctx.has_d(0)) {
    const Ex d = ctx.d(0), sum_d = sum(d), sum_dz = sum(d * z);
    if (ctx.wants(1)) ctx.Set(1, sum_dz);
    if (ctx.wants(2)) ctx.Set(2, sum_d);
    const Ex scale = ctx.has(1) ? inverse * ctx.in(1) : inverse;
    dx = along(scale) * (d - along(sum_d / count) - z * along(sum_dz / count));
  }
  const auto more = [&](Ex term) { dx = dx.b == nullptr ? term : dx + term; };
  if (ctx.has_d(1)) more(b(b.BroadcastLike(along(ctx.d(1) / count), x)));
  if (ctx.has_d(2)) more(centred * along(ctx.d(2) * 2.0 / count));
  if (dx.b != nullptr) ctx.Set(0, dx);
  return {};
}

// c1: the axis is in range. c2: gamma and beta have the dims of x from the axis on.
Status InferLayerNorm(InferContext& ctx) {
  if (ctx.attrs().Float("epsilon") < 0)
    return ctx.Fail(3, "got epsilon " + std::to_string(ctx.attrs().Float("epsilon")) + ", expected 0 or more");
  if (ctx.ranked(0)) {
    TENON_ASSIGN_OR_RETURN(const int axis, ctx.Axis(ctx.attrs().Int("axis"), ctx.rank(0), 1));
    const Shape want(std::vector<Dim>(ctx.shape(0).dims().begin() + axis, ctx.shape(0).dims().end()));
    for (int i = 1; i < ctx.num_inputs(); ++i) {
      if (!ctx.has(i) || !ctx.ranked(i)) continue;
      bool same = ctx.rank(i) == want.rank();
      for (int k = 0; same && k < want.rank(); ++k) same = !Differ(ctx.shape(i)[k], want[k]);
      if (!same)
        return ctx.Fail(2, "input \"" + std::string(ctx.op().inputs[static_cast<std::size_t>(i)].name) + "\": got " +
                               ctx.shape(i).to_string() + ", expected " + want.to_string());
    }
  }
  return InferSameAsFirst(ctx);
}
Status EvalLayerNorm(EvalContext& ctx) {
  const Literal& x = ctx.in(0);
  const int axis = NormalAxis(ctx.attrs().Int("axis"), x.rank());
  const std::size_t inner = Size(Product(std::span(x.dims()).subspan(Size(axis))));
  const std::vector<double> v = ToDoubles(x), gamma = Optional(ctx, 1), beta = Optional(ctx, 2);
  const double epsilon = ctx.attrs().Float("epsilon"), n = static_cast<double>(inner);
  std::vector<double> y(v.size());
  for (std::size_t row = 0; row < v.size(); row += inner) {
    double mean = 0, variance = 0;
    for (std::size_t i = 0; i < inner; ++i) mean += v[row + i] / n;
    for (std::size_t i = 0; i < inner; ++i) variance += (v[row + i] - mean) * (v[row + i] - mean) / n;
    for (std::size_t i = 0; i < inner; ++i)
      y[row + i] = (v[row + i] - mean) / std::sqrt(variance + epsilon) * (gamma.empty() ? 1 : gamma[i]) +
                   (beta.empty() ? 0 : beta[i]);
  }
  ctx.Set(0, FromDoubles(x.dtype(), x.dims(), y));
  return {};
}
Longs TrailingAxes(std::int64_t from_end) {
  Longs axes;
  for (std::int64_t i = from_end; i < 0; ++i) axes.push_back(i);
  return axes;
}
struct Moments {
  Ex z, inverse;  // normalised x, 1 / sqrt(variance + epsilon) with the axes kept
};
Moments Normalize(Ex x, const Longs& axes, double epsilon) {
  const Attrs keep = {{"axes", axes}, {"keep_dims", true}};
  const Ex inverse = Op("rsqrt", Op("variance", x, keep) + epsilon);
  return {(x - Op("reduce_mean", x, keep)) * inverse, inverse};
}
Status LowerLayerNorm(LowerContext& ctx) {
  TENON_ASSIGN_OR_RETURN(const std::int64_t axis, FromEnd(ctx.b, ctx.in(0), ctx.attrs().Int("axis"), "layer_norm"));
  Ex y = Normalize(AtLeastF32(ctx.in(0)), TrailingAxes(axis), ctx.attrs().Float("epsilon")).z;
  if (ctx.has(1)) y = y * AtLeastF32(ctx.in(1));
  if (ctx.has(2)) y = y + AtLeastF32(ctx.in(2));
  ctx.Set(0, ctx.b.Cast(y, ctx.in(0).dtype()));
  return {};
}
// As for batch_norm_training, with E over the normalised axes.
Status GradLayerNorm(GradContext& ctx) {
  Builder& b = ctx.b;
  TENON_ASSIGN_OR_RETURN(const std::int64_t axis, FromEnd(b, ctx.in(0), ctx.attrs().Int("axis"), "layer_norm"));
  const Longs axes = TrailingAxes(axis);
  const Moments m = Normalize(ctx.in(0), axes, ctx.attrs().Float("epsilon"));
  const auto mean = [&](Ex v) { return Op("reduce_mean", v, {{"axes", axes}, {"keep_dims", true}}); };
  const Ex d = ctx.d(), g = ctx.has(1) ? d * ctx.in(1) : d;
  if (ctx.wants(0)) ctx.Set(0, m.inverse * (g - mean(g) - m.z * mean(g * m.z)));
  if (ctx.wants(1)) ctx.Set(1, b.SumLike(d * m.z, ctx.in(1)));
  if (ctx.wants(2)) ctx.Set(2, b.SumLike(d, ctx.in(2)));
  return {};
}

std::vector<Sample> BatchNormSamples() {
  const Literal mean = Random({3}, 2), variance = Random({3}, 3, 0.5, 2), gamma = Random({3}, 4), beta = Random({3}, 5);
  return {
      {.name = "plain", .inputs = {Random({2, 3}, 1), mean, variance, gamma, beta}},
      {.name = "channels_first",
       .inputs = {Random({2, 3, 2}, 1), mean, variance, gamma, beta},
       .attrs = {{"axis", std::int64_t{1}}, {"epsilon", 0.25}}},
      {.name = "no_gamma", .inputs = {Random({2, 3}, 1), mean, variance, std::nullopt, beta}},
      {.name = "bare", .inputs = {Random({2, 2, 3}, 1), mean, variance}},
      {.name = "empty", .inputs = {Random({0, 3}, 1), mean, variance, gamma, beta}},
      {.name = "bad_axis",
       .inputs = {Random({2, 3}, 1), mean, variance},
       .attrs = {{"axis", std::int64_t{2}}},
       .error = "c1"},
      {.name = "channels", .inputs = {Random({3, 2}, 1), mean, variance}, .error = "c2"},
      {.name = "matrix", .inputs = {Random({2, 3}, 1), Random({1, 3}, 2), variance}, .error = "c2"},
      {.name = "epsilon", .inputs = {Random({2, 3}, 1), mean, variance}, .attrs = {{"epsilon", -1.0}}, .error = "c3"}};
}
std::vector<Sample> TrainingSamples() {
  const Literal gamma = Random({3}, 4), beta = Random({3}, 5);
  return {{.name = "plain", .inputs = {Random({4, 3}, 1), gamma, beta}},
          {.name = "channels_first",
           .inputs = {Random({2, 3, 2}, 1), gamma, beta},
           .attrs = {{"axis", std::int64_t{1}}, {"epsilon", 0.25}}},
          {.name = "no_gamma", .inputs = {Random({4, 3}, 1), std::nullopt, beta}},
          {.name = "bare", .inputs = {Random({2, 2, 3}, 1)}},
          {.name = "bad_axis", .inputs = {Random({2, 3}, 1)}, .attrs = {{"axis", std::int64_t{-3}}}, .error = "c1"},
          {.name = "channels", .inputs = {Random({3, 2}, 1), gamma}, .error = "c2"},
          {.name = "epsilon", .inputs = {Random({2, 3}, 1)}, .attrs = {{"epsilon", -1.0}}, .error = "c3"}};
}
std::vector<Sample> LayerNormSamples() {
  const Literal gamma = Random({3}, 2), beta = Random({3}, 3);
  return {{.name = "plain", .inputs = {Random({2, 3}, 1), gamma, beta}},
          {.name = "two_axes",
           .inputs = {Random({2, 2, 3}, 1), Random({2, 3}, 2), Random({2, 3}, 3)},
           .attrs = {{"axis", std::int64_t{1}}, {"epsilon", 0.125}}},
          {.name = "no_gamma", .inputs = {Random({2, 3}, 1), std::nullopt, beta}},
          {.name = "bare", .inputs = {Random({2, 2, 3}, 1)}},
          {.name = "empty", .inputs = {Random({0, 3}, 1), gamma, beta}},
          {.name = "bad_axis", .inputs = {Random({2, 3}, 1)}, .attrs = {{"axis", std::int64_t{2}}}, .error = "c1"},
          {.name = "gamma", .inputs = {Random({3, 2}, 1), gamma}, .error = "c2"},
          {.name = "epsilon", .inputs = {Random({2, 3}, 1)}, .attrs = {{"epsilon", -1.0}}, .error = "c3"}};
}

constexpr AttrSpec kEpsilon = FloatAttr("epsilon", 1e-3, "added to the variance");
constexpr Port kX = {.name = "x", .dtypes = kFloatSet};
constexpr Port kGamma = {.name = "gamma", .dtypes = kFloatSet, .flags = kOptional, .doc = "scale; absent: 1"};
constexpr Port kBeta = {.name = "beta", .dtypes = kFloatSet, .flags = kOptional, .doc = "offset; absent: 0"};

constinit const OpDef kOps[] = {
    {.name = "batch_norm",
     .summary = "(x - mean) / sqrt(variance + epsilon) * gamma + beta, with one parameter per channel.",
     .inputs = {kX, {.name = "mean", .dtypes = kFloatSet}, {.name = "variance", .dtypes = kFloatSet}, kGamma, kBeta},
     .outputs = {{.name = "y", .dtypes = kFloatSet}},
     .attrs = {IntAttr("axis", -1, "the channel axis"), kEpsilon},
     .infer = InferBatchNorm,
     .eval = EvalBatchNorm,
     .lower = LowerBatchNorm,
     .samples = BatchNormSamples},
    {.name = "batch_norm_training",
     .summary = "batch_norm with the mean and population variance of x over all axes but the channel's, which are "
                "results too.",
     .inputs = {kX, kGamma, kBeta},
     .outputs = {{.name = "y", .dtypes = kFloatSet},
                 {.name = "mean", .dtypes = kFloatSet},
                 {.name = "variance", .dtypes = kFloatSet}},
     .attrs = {IntAttr("axis", -1, "the channel axis"), kEpsilon},
     .traits = kAccumulates,
     .infer = InferTraining,
     .eval = EvalTraining,
     .grad = GradTraining,
     .lower = LowerTraining,
     .samples = TrainingSamples},
    {.name = "layer_norm",
     .summary = "(x - mean) / sqrt(variance + epsilon) * gamma + beta, with mean and population variance over the axes "
                "from axis on.",
     .inputs = {kX, kGamma, kBeta},
     .outputs = {{.name = "y", .dtypes = kFloatSet}},
     .attrs = {IntAttr("axis", -1, "the first normalised axis"), kEpsilon},
     .traits = kAccumulates,
     .infer = InferLayerNorm,
     .eval = EvalLayerNorm,
     .grad = GradLayerNorm,
     .lower = LowerLayerNorm,
     .samples = LayerNormSamples},
};

}  // namespace
extern const std::span<const OpDef> norm_ops;
constinit const std::span<const OpDef> norm_ops{kOps};
}  // namespace tenon::ir::ops
