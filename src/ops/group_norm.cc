// Normalisation of each example over groups of channels. One channel a group: instance normalisation.
#include <cmath>

#include "ops/array_util.h"

namespace tenon::ir::ops {
namespace {

// c1: the axis is in range and not the batch's. c2: gamma and beta are vectors of the channels. c3: epsilon is not
// negative. c4: the groups divide the channels.
Status InferGroupNorm(InferContext& ctx) {
  const std::int64_t groups = ctx.attrs().Int("groups");
  if (ctx.attrs().Float("epsilon") < 0)
    return ctx.Fail(3, "got epsilon " + std::to_string(ctx.attrs().Float("epsilon")) + ", expected 0 or more");
  if (groups < 1 && groups != -1)
    return ctx.Fail(4, "got groups " + std::to_string(groups) + ", expected 1 or more, or -1 for one a channel");
  Dim channels = ctx.FreshDim();
  if (ctx.ranked(0)) {
    TENON_ASSIGN_OR_RETURN(const int axis, ctx.Axis(ctx.attrs().Int("axis"), ctx.rank(0), 1));
    if (axis == 0) return ctx.Fail(1, "got axis 0, the batch's, expected another one for the channels");
    channels = ctx.shape(0)[axis];
  }
  for (int i = 1; i < ctx.num_inputs(); ++i) {
    if (!ctx.has(i) || !ctx.ranked(i)) continue;
    if (ctx.rank(i) != 1 || (ctx.ranked(0) && Differ(ctx.shape(i)[0], channels)))
      return ctx.Fail(2, "input \"" + std::string(ctx.op().inputs[Size(i)].name) + "\": got " +
                             ctx.shape(i).to_string() + ", expected [" + channels.to_string() + "], the channels of x");
    channels = Merge(channels, ctx.shape(i)[0]);
  }
  if (groups > 0 && !channels.is_symbolic() && channels.value() % groups != 0)
    return ctx.Fail(4, "got groups " + std::to_string(groups) + " for " + channels.to_string() +
                           " channels, expected a divisor of them");
  return InferSameAsFirst(ctx);
}

Status EvalGroupNorm(EvalContext& ctx) {
  const Literal& x = ctx.in(0);
  const Around at = SplitAt(x.dims(), NormalAxis(ctx.attrs().Int("axis"), x.rank()));
  std::vector<double> v = ToDoubles(x);
  if (v.empty()) {
    ctx.Set(0, x);
    return {};
  }
  const auto optional = [&](int i) { return ctx.has(i) ? ToDoubles(ctx.in(i)) : std::vector<double>(); };
  const std::vector<double> gamma = optional(1), beta = optional(2);
  const std::int64_t wanted = ctx.attrs().Int("groups"), groups = wanted < 0 ? at.count : wanted,
                     example = x.size() / x.dims()[0];
  const auto channel = [&](std::size_t i) { return i / Size(at.inner) % Size(at.count); };
  const auto cell = [&](std::size_t i) {  // the group of an element, counted through the examples
    return i / Size(example) * Size(groups) + channel(i) / Size(at.count / groups);
  };
  const std::int64_t each = example / groups;  // elements of a group
  const auto n = static_cast<double>(each);
  std::vector<double> mean(Size(x.dims()[0] * groups), 0.0), variance(mean.size(), 0.0);
  for (std::size_t i = 0; i < v.size(); ++i) mean[cell(i)] += v[i] / n;
  for (std::size_t i = 0; i < v.size(); ++i) variance[cell(i)] += (v[i] - mean[cell(i)]) * (v[i] - mean[cell(i)]) / n;
  for (std::size_t i = 0; i < v.size(); ++i)
    v[i] = (v[i] - mean[cell(i)]) / std::sqrt(variance[cell(i)] + ctx.attrs().Float("epsilon")) *
               (gamma.empty() ? 1 : gamma[channel(i)]) +
           (beta.empty() ? 0 : beta[channel(i)]);
  ctx.Set(0, FromDoubles(x.dtype(), x.dims(), v));
  return {};
}

Status LowerGroupNorm(LowerContext& ctx) {
  Builder& b = ctx.b;
  if (!b.ranked(ctx.in(0))) return Status(Code::kFailedPrecondition, "group_norm: needs the rank of its input");
  const Shape shape = b.shape(ctx.in(0));
  const int axis = NormalAxis(ctx.attrs().Int("axis"), shape.rank());
  const Dim channels = shape[axis];
  const std::int64_t groups = ctx.attrs().Int("groups");
  const bool single = groups < 0 || channels == Dim(groups);  // one channel a group
  Ex x = AtLeastF32(ctx.in(0));
  if (!single) {
    std::vector<Dim> cut = shape.dims();
    cut[Size(axis)] = groups;
    cut.insert(cut.begin() + axis + 1, Dim::floor_div(channels, groups));
    x = b(b.Reshape(x, Shape(std::move(cut))));
  }
  std::vector<std::int64_t> axes;  // all but the batch's and that of the groups
  for (int i = 1; i < shape.rank() + (single ? 0 : 1); ++i)
    if (i != axis) axes.push_back(i);
  const auto mean = [&](Ex v) {
    return axes.empty() ? v : Op("reduce_mean", v, {{"axes", axes}, {"keep_dims", true}});
  };
  const Ex centred = x - mean(x);
  Ex y = centred * Op("rsqrt", mean(centred * centred) + ctx.attrs().Float("epsilon"));
  if (!single) y = b(b.Reshape(y, shape));
  const auto along = [&](int i) {
    std::vector<std::int64_t> behind;
    for (int k = axis + 1; k < shape.rank(); ++k) behind.push_back(k - shape.rank());
    return ExpandDims(AtLeastF32(ctx.in(i)), behind);
  };
  if (ctx.has(1)) y = y * along(1);
  if (ctx.has(2)) y = y + along(2);
  ctx.Set(0, b.Cast(y, ctx.in(0).dtype()));
  return {};
}

std::vector<Sample> GroupNormSamples() {
  const Literal gamma = Random({4}, 4), beta = Random({4}, 5);
  const auto groups = [](std::int64_t n, std::int64_t axis = -1) {
    return Attrs{{"groups", n}, {"axis", axis}, {"epsilon", 0.125}};
  };
  return {{.name = "plain", .inputs = {Random({2, 3, 4}, 1), gamma, beta}, .attrs = groups(2)},
          {.name = "channels_first", .inputs = {Random({2, 4, 3, 2}, 1), gamma, beta}, .attrs = groups(2, 1)},
          {.name = "channels_between", .inputs = {Random({2, 2, 4, 3}, 1), gamma, beta}, .attrs = groups(2, -2)},
          {.name = "one_group", .inputs = {Random({2, 4, 3}, 1), gamma, beta}, .attrs = groups(1, 1)},
          {.name = "instance", .inputs = {Random({2, 4, 3, 2}, 1), gamma, beta}, .attrs = groups(-1, 1)},
          {.name = "all_groups", .inputs = {Random({2, 4, 3}, 1), gamma, beta}, .attrs = groups(4, 1)},
          {.name = "matrix", .inputs = {Random({3, 4}, 1), gamma, beta}, .attrs = groups(2)},
          {.name = "alone", .inputs = {Random({3, 4}, 1), gamma, beta}, .attrs = groups(-1), .gradient = false},
          {.name = "no_gamma", .inputs = {Random({2, 4, 3}, 1), std::nullopt, beta}, .attrs = groups(2, 1)},
          {.name = "bare", .inputs = {Random({2, 4, 3}, 1)}, .attrs = groups(2, 1)},
          {.name = "empty", .inputs = {Random({0, 4, 3}, 1), gamma, beta}, .attrs = groups(2, 1)},
          {.name = "bad_axis", .inputs = {Random({2, 4}, 1)}, .attrs = groups(2, 2), .error = "c1"},
          {.name = "batch_axis", .inputs = {Random({2, 4}, 1)}, .attrs = groups(2, 0), .error = "c1"},
          {.name = "gamma", .inputs = {Random({2, 3}, 1), gamma}, .attrs = groups(-1), .error = "c2"},
          {.name = "epsilon",
           .inputs = {Random({2, 4}, 1)},
           .attrs = {{"groups", std::int64_t{2}}, {"epsilon", -1.0}},
           .error = "c3"},
          {.name = "zero_groups", .inputs = {Random({2, 4}, 1)}, .attrs = groups(0), .error = "c4"},
          {.name = "no_divisor", .inputs = {Random({2, 4}, 1)}, .attrs = groups(3), .error = "c4"}};
}

constinit const OpDef kOps[] = {
    {.name = "group_norm",
     .summary =
         "(x - mean) / sqrt(variance + epsilon) * gamma + beta, with mean and population variance of each example "
         "(axis 0) over groups of neighbouring channels and all other axes, and one gamma and beta per channel.",
     .inputs = {{.name = "x", .dtypes = kFloatSet},
                {.name = "gamma", .dtypes = kFloatSet, .flags = kOptional, .doc = "scale; absent: 1"},
                {.name = "beta", .dtypes = kFloatSet, .flags = kOptional, .doc = "offset; absent: 0"}},
     .outputs = {{.name = "y", .dtypes = kFloatSet}},
     .attrs = {Required("groups", AttrKind::kInt, "how many groups; -1: one a channel (instance normalisation)"),
               IntAttr("axis", -1, "the channel axis"), FloatAttr("epsilon", 1e-3, "added to the variance")},
     .traits = kAccumulates,
     .infer = InferGroupNorm,
     .eval = EvalGroupNorm,
     .lower = LowerGroupNorm,
     .samples = GroupNormSamples},
};

}  // namespace
extern const std::span<const OpDef> group_norm_ops;
constinit const std::span<const OpDef> group_norm_ops{kOps};
}  // namespace tenon::ir::ops
