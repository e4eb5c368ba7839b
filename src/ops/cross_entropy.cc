// Cross-entropies of logits: per-example losses, without reduction or clipping.
#include <cmath>

#include "ops/binary.h"

namespace tenon::ir::ops {
namespace {

std::int64_t Axis(const Attrs& attrs, int rank) {
  const std::int64_t axis = attrs.Int("axis");
  return axis < 0 ? axis + rank : axis;
}

// The shape without one axis.
Shape Without(const Shape& shape, int axis) {
  std::vector<Dim> dims = shape.dims();
  dims.erase(dims.begin() + axis);
  return Shape(std::move(dims));
}
Type Reduced(InferContext& ctx, int axis) { return Type::Tensor(ctx.dtype(0), Without(ctx.shape(0), axis)); }

bool KnownToDiffer(const Shape& a, const Shape& b) {
  if (a.rank() != b.rank()) return true;
  for (int i = 0; i < a.rank(); ++i)
    if (Dim::equal(a[i], b[i]) == Truth::kNo) return true;
  return false;
}

// Constraint 1: the axis exists. Constraint 2: targets have the shape of logits.
Status InferDense(InferContext& ctx) {
  if (ctx.ranked(0) && ctx.ranked(1) && KnownToDiffer(ctx.shape(0), ctx.shape(1)))
    return ctx.Fail(
        2, "got targets " + ctx.shape(1).to_string() + ", expected the shape of logits, " + ctx.shape(0).to_string());
  if (!ctx.ranked(0)) {
    ctx.SetUnknownRank(0, ctx.dtype(0));
    return {};
  }
  TENON_ASSIGN_OR_RETURN(const int axis, ctx.Axis(ctx.attrs().Int("axis"), ctx.rank(0), 1));
  ctx.Set(0, Reduced(ctx, axis));
  return {};
}
// Constraint 2: labels have the shape of logits without the axis.
Status InferSparse(InferContext& ctx) {
  if (!ctx.ranked(0)) {
    ctx.SetUnknownRank(0, ctx.dtype(0));
    return {};
  }
  TENON_ASSIGN_OR_RETURN(const int axis, ctx.Axis(ctx.attrs().Int("axis"), ctx.rank(0), 1));
  const Type out = Reduced(ctx, axis);
  if (ctx.ranked(1) && KnownToDiffer(out.shape(), ctx.shape(1)))
    return ctx.Fail(2, "got labels " + ctx.shape(1).to_string() + " for logits " + ctx.shape(0).to_string() +
                           ", expected " + out.shape().to_string());
  ctx.Set(0, out);
  return {};
}

Ex LogSoftmax(Ex x, const Attrs& attrs) { return Op("log_softmax", x, {{"axis", attrs.Int("axis")}}); }
Ex Sum(Ex x, const Attrs& attrs, bool keep_dims) {
  return Op("reduce_sum", x, {{"axes", std::vector<std::int64_t>{attrs.Int("axis")}}, {"keep_dims", keep_dims}});
}
Ex Expand(Ex x, const Attrs& attrs) {
  return Op("expand_dims", x, {{"axes", std::vector<std::int64_t>{attrs.Int("axis")}}});
}

// log_softmax in doubles, line by line: calls use(line, log-probabilities).
template <class Use>
void LogProbabilities(const Literal& logits, std::int64_t axis, Use use) {
  const std::vector<double> x = ToDoubles(logits);
  std::int64_t outer = 1, inner = 1;
  const std::vector<std::int64_t>& dims = logits.dims();
  for (std::size_t i = 0; i < dims.size(); ++i)
    if (static_cast<std::int64_t>(i) != axis) (static_cast<std::int64_t>(i) < axis ? outer : inner) *= dims[i];
  const std::int64_t count = dims[static_cast<std::size_t>(axis)];
  std::vector<double> line(static_cast<std::size_t>(count));
  for (std::int64_t o = 0; o < outer; ++o)
    for (std::int64_t i = 0; i < inner; ++i) {
      double largest = -HUGE_VAL, sum = 0;
      for (std::int64_t k = 0; k < count; ++k) {
        const double v = x[static_cast<std::size_t>((o * count + k) * inner + i)];
        line[static_cast<std::size_t>(k)] = v;
        largest = std::isnan(v) || v > largest ? v : largest;
      }
      for (const double v : line) sum += std::exp(v - largest);
      for (double& v : line) v = v - largest - std::log(sum);
      use(static_cast<std::size_t>(o * inner + i), line,
          [&](std::int64_t k) { return static_cast<std::size_t>((o * count + k) * inner + i); });
    }
}

Status EvalDense(EvalContext& ctx) {
  const std::vector<std::int64_t> dims = ctx.out_dims();
  const std::vector<double> targets = ToDoubles(ctx.in(1));
  std::vector<double> out(static_cast<std::size_t>(checked_size(dims).value()), 0);
  LogProbabilities(ctx.in(0), Axis(ctx.attrs(), ctx.in(0).rank()),
                   [&](std::size_t at, const std::vector<double>& line, auto index) {
                     for (std::size_t k = 0; k < line.size(); ++k)
                       out[at] -= targets[index(static_cast<std::int64_t>(k))] * line[k];
                   });
  ctx.Set(0, FromDoubles(ctx.out_dtype(), dims, out));
  return {};
}
Status EvalSparse(EvalContext& ctx) {
  const std::vector<std::int64_t> dims = ctx.out_dims(), labels = ToInts(ctx.in(1));
  std::vector<double> out(labels.size());
  std::optional<std::int64_t> bad;
  LogProbabilities(ctx.in(0), Axis(ctx.attrs(), ctx.in(0).rank()),
                   [&](std::size_t at, const std::vector<double>& line, auto) {
                     const auto classes = static_cast<std::int64_t>(line.size());
                     const std::int64_t label = labels[at] < 0 ? labels[at] + classes : labels[at];
                     if (label < 0 || label >= classes)
                       bad = labels[at];
                     else
                       out[at] = -line[static_cast<std::size_t>(label)];
                   });
  if (bad)
    return ctx.Fail("got label " + std::to_string(*bad) +
                    ", expected one below the number of classes (negative ones count from the end)");
  ctx.Set(0, FromDoubles(ctx.out_dtype(), dims, out));
  return {};
}

Status LowerDense(LowerContext& ctx) {
  ctx.Set(0, -Sum(ctx.in(1) * LogSoftmax(ctx.in(0), ctx.attrs()), ctx.attrs(), false));
  return {};
}
// d softmax(logits) sum(targets) - d targets, and -d log_softmax(logits).
Status GradDense(GradContext& ctx) {
  const Ex d = Expand(ctx.d(), ctx.attrs()), x = ctx.in(0), t = ctx.in(1);
  if (ctx.wants(0))
    ctx.Set(0, d * (Op("softmax", x, {{"axis", ctx.attrs().Int("axis")}}) * Sum(t, ctx.attrs(), true) - t));
  if (ctx.wants(1)) ctx.Set(1, -(d * LogSoftmax(x, ctx.attrs())));
  return {};
}

Status LowerSparse(LowerContext& ctx) {
  const std::int64_t axis = ctx.attrs().Int("axis");
  const Ex labels{&ctx.b, ctx.b.Cast(ctx.in(1), DType::kI64)};
  const Ex picked =
      Op("take_along_axis", LogSoftmax(ctx.in(0), ctx.attrs()), Expand(labels, ctx.attrs()), {{"axis", axis}});
  ctx.Set(0, -Op("squeeze", picked, {{"axes", std::vector<std::int64_t>{axis}}}));
  return {};
}

double SigmoidCrossEntropy(double x, double t) { return std::fmax(x, 0) - x * t + std::log1p(std::exp(-std::fabs(x))); }
Ex LowerSigmoid(Ex x, Ex t) { return Op("relu", x) - x * t + Op("log1p", Op("exp", -Op("abs", x))); }

using L = std::int64_t;

std::vector<Sample> DenseSamples() {
  return {
      {.name = "basic", .inputs = {Random({2, 4}, 1), Random({2, 4}, 2, 0, 1)}},
      {.name = "one_hot", .inputs = {Random({2, 3}, 3), Values({2, 3}, {0, 1, 0, 0, 0, 1})}},
      {.name = "first_axis", .inputs = {Random({3, 2}, 4), Random({3, 2}, 5, 0, 1)}, .attrs = {{"axis", L{0}}}},
      {.name = "images", .inputs = {Random({2, 3, 2, 2}, 6), Random({2, 3, 2, 2}, 7, 0, 1)}, .attrs = {{"axis", L{1}}}},
      {.name = "vector", .inputs = {Random({5}, 8), Random({5}, 9, 0, 1)}},
      {.name = "empty", .inputs = {Random({0, 3}, 10), Random({0, 3}, 11)}},
      {.name = "large",
       .inputs = {Values({2, 3}, {1000, 0, -1000, -2000, -2001, -2002}), Values({2, 3}, {1, 0, 0, 0.5, 0.25, 0.25})},
       .gradient = false,
       .only_f32 = true},
      {.name = "scalar", .inputs = {Random({}, 12), Random({}, 13)}, .error = "c1"},
      {.name = "other_shape", .inputs = {Random({2, 3}, 14), Random({1, 3}, 15)}, .error = "c2"}};
}
std::vector<Sample> SparseSamples() {
  return {{.name = "basic", .inputs = {Random({3, 4}, 1), Ints({3}, {0, 3, 1})}},
          {.name = "first_axis", .inputs = {Random({3, 2}, 2), Ints({2}, {2, 0})}, .attrs = {{"axis", L{0}}}},
          {.name = "sequence", .inputs = {Random({2, 3, 5}, 3), Ints({2, 3}, {0, 1, 2, 3, 4, 0})}},
          {.name = "from_the_end", .inputs = {Random({2, 3}, 4), Ints({2}, {-1, -3})}},
          {.name = "vector", .inputs = {Random({5}, 5), Ints({}, {2})}},
          {.name = "empty", .inputs = {Random({0, 3}, 6), Ints({0}, {})}},
          {.name = "large",
           .inputs = {Values({2, 3}, {1000, 0, -1000, -2000, -2001, -2002}), Ints({2}, {1, 0})},
           .gradient = false,
           .only_f32 = true},
          {.name = "scalar", .inputs = {Random({}, 7), Ints({}, {0})}, .error = "c1"},
          {.name = "other_shape", .inputs = {Random({2, 3}, 8), Ints({3}, {0, 1, 2})}, .error = "c2"},
          {.name = "no_such_class", .inputs = {Random({2, 3}, 9), Ints({2}, {0, 3})}, .error = "run"},
          {.name = "float_labels", .inputs = {Random({2, 3}, 10), Random({2}, 11)}, .error = "dtype"}};
}
std::vector<Sample> SigmoidSamples() {
  std::vector<Sample> samples = BinarySamples(kLow, kHigh, 0, 1);
  samples.push_back({.name = "large",
                     .inputs = {Values({6}, {1e4, -1e4, 88.5, -88.5, 1e4, -1e4}), Values({6}, {1, 0, 0, 1, 0, 1})},
                     .gradient = false,
                     .only_f32 = true});
  return samples;
}

constinit const OpDef kOps[] = {
    {.name = "softmax_cross_entropy",
     .summary = "loss = -sum(targets * log_softmax(logits)) along an axis, for each example.",
     .inputs = {{.name = "logits", .dtypes = kFloatSet},
                {.name = "targets", .dtypes = kFloatSet, .doc = "probabilities, of the shape of logits"}},
     .outputs = {{.name = "loss", .dtypes = kFloatSet, .doc = "the shape of logits without the axis"}},
     .attrs = {IntAttr("axis", -1, "the axis of the classes")},
     .traits = kAccumulates,
     .infer = InferDense,
     .eval = EvalDense,
     .grad = GradDense,
     .lower = LowerDense,
     .samples = DenseSamples},
    {.name = "sparse_softmax_cross_entropy",
     .summary = "loss = -log_softmax(logits)[label] along an axis, for each example.",
     .inputs = {{.name = "logits", .dtypes = kFloatSet},
                {.name = "labels",
                 .type = "I",
                 .dtypes = kIntegerSet,
                 .flags = kNotDifferentiable,
                 .doc = "classes, of the shape of logits without the axis; negative ones count from the end, others "
                        "out of range are a run-time error"}},
     .outputs = {{.name = "loss", .dtypes = kFloatSet}},
     .attrs = {IntAttr("axis", -1, "the axis of the classes")},
     .traits = kAccumulates,
     .infer = InferSparse,
     .eval = EvalSparse,
     .lower = LowerSparse,
     .samples = SparseSamples},
    {.name = "sigmoid_cross_entropy",
     .summary = "loss = max(x, 0) - x * target + ln(1 + e^-|x|), the cross-entropy of sigmoid(x), elementwise.",
     .inputs = {{.name = "logits", .dtypes = kFloatSet},
                {.name = "targets", .dtypes = kFloatSet, .doc = "probabilities; broadcast with logits"}},
     .outputs = {{.name = "loss", .dtypes = kFloatSet}},
     .traits = kElementwise,
     .infer = InferElementwise,
     .eval = [](EvalContext& ctx) { return EvalBinary(ctx, {.f = SigmoidCrossEntropy}); },
     .grad = Grad2<[](Ex d, Ex x, Ex t, Ex) { return d * (Op("sigmoid", x) - t); },
                   [](Ex d, Ex x, Ex, Ex) { return -(d * x); }>,
     .lower = Lower2<LowerSigmoid>,
     .samples = SigmoidSamples},
};

}  // namespace
extern const std::span<const OpDef> cross_entropy_ops;
constinit const std::span<const OpDef> cross_entropy_ops{kOps};
}  // namespace tenon::ir::ops
