// Pseudo-random ops: pure functions of a state u64[2] = {seed, counter}, by Philox 4x32-10.
// Element i of a draw (row-major) is made from word i % 4 of the block whose 128-bit counter is
// {low, high of i / 4, low, high of state[1]} under the key {low, high of state[0]}.
#include <cmath>
#include <numbers>

#include "base/philox.h"
#include "ops/array_util.h"

namespace tenon::ir::ops {
namespace {

// One 32-bit word per element.
std::vector<std::uint32_t> Words(const Literal& state, std::size_t count) {
  const std::span<const std::uint64_t> s = state.data<std::uint64_t>();
  const auto low = [](std::uint64_t v) { return static_cast<std::uint32_t>(v); };
  const auto high = [](std::uint64_t v) { return static_cast<std::uint32_t>(v >> 32); };
  std::vector<std::uint32_t> words;
  words.reserve(count + 3);
  for (std::uint64_t block = 0; words.size() < count; ++block)
    for (const std::uint32_t word :
         base::Philox({low(block), high(block), low(s[1]), high(s[1])}, {low(s[0]), high(s[0])}))
      words.push_back(word);
  return words;  // up to three more than asked for
}
// In [0, 1), with as many bits as the dtype holds exactly: 24 for f32 and f64 (so that both draw the same numbers),
// 11 for f16, 8 for bf16.
double Unit(std::uint32_t word, DType dtype) {
  const int bits = dtype == DType::kF16 ? 11 : dtype == DType::kBF16 ? 8 : 24;
  return std::ldexp(static_cast<double>(word >> (32 - bits)), -bits);
}

// c1: the state is u64[2].
Status CheckState(const InferContext& ctx, int i) {
  if (ctx.ranked(i) && (ctx.rank(i) != 1 || Differ(ctx.shape(i)[0], 2)))
    return ctx.Fail(1, "got a state " + ctx.type(i).to_string() + ", expected u64[2] {seed, counter}");
  return {};
}
// c2: dims not negative. c3: the dtype is allowed.
Status InferDraw(InferContext& ctx, DTypeSet allowed) {
  TENON_RETURN_IF_ERROR(CheckState(ctx, 0));
  const Shape& dims = ctx.attrs().Dims("dims");
  for (const Dim& d : dims.dims())
    if (KnownLess(d, 0)) return ctx.Fail(2, "got dims " + dims.to_string() + ", expected none below 0");
  const DType dtype = ctx.attrs().Dtype("dtype");
  if ((allowed & Only(dtype)) == 0)
    return ctx.Fail(3, "got dtype " + std::string(dtype_name(dtype)) + ", which it does not draw");
  ctx.Set(0, dtype, dims);
  return {};
}
Status InferUniform(InferContext& ctx) {
  if (!(ctx.attrs().Float("low") <= ctx.attrs().Float("high"))) return ctx.Fail(4, "got low above high");
  return InferDraw(ctx, kFloatSet);
}
Status InferNormal(InferContext& ctx) {
  if (!(ctx.attrs().Float("stddev") >= 0))
    return ctx.Fail(4, "got stddev " + std::to_string(ctx.attrs().Float("stddev")) + ", expected 0 or more");
  return InferDraw(ctx, kFloatSet);
}
Status InferBernoulli(InferContext& ctx) {
  const double p = ctx.attrs().Float("probability");
  if (!(p >= 0 && p <= 1)) return ctx.Fail(4, "got probability " + std::to_string(p) + ", expected one in [0, 1]");
  return InferDraw(ctx, kFixedSet);
}

// out[i] = f(words, i)
template <class F>
Status EvalDraw(EvalContext& ctx, F f) {
  const std::vector<std::int64_t> dims = ctx.out_dims();
  TENON_ASSIGN_OR_RETURN(const std::int64_t count, checked_size(dims));
  const std::vector<std::uint32_t> words = Words(ctx.in(0), Size(count));
  std::vector<double> out(Size(count));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = f(words, i);
  ctx.Set(0, FromDoubles(ctx.out_dtype(), dims, out));
  return {};
}
Status EvalUniform(EvalContext& ctx) {
  const double low = ctx.attrs().Float("low"), high = ctx.attrs().Float("high");
  const DType dtype = ctx.out_dtype();
  return EvalDraw(ctx, [=](const std::vector<std::uint32_t>& words, std::size_t i) {
    return low + (high - low) * Unit(words[i], dtype);
  });
}
// Box-Muller on a pair of words: sqrt(-2 ln u) cos(2 pi v) and … sin(2 pi v), u = (word0 >> 8 + 1) / 2^24 in (0, 1],
// v = (word1 >> 8) / 2^24.
Status EvalNormal(EvalContext& ctx) {
  const double mean = ctx.attrs().Float("mean"), stddev = ctx.attrs().Float("stddev");
  return EvalDraw(ctx, [=](const std::vector<std::uint32_t>& words, std::size_t i) {
    const std::size_t pair = i / 2 * 2;
    const double radius = std::sqrt(-2 * std::log(Unit(words[pair], DType::kF32) + 0x1p-24));
    const double angle = 2 * std::numbers::pi * Unit(words[pair + 1], DType::kF32);
    return mean + stddev * radius * (i % 2 == 0 ? std::cos(angle) : std::sin(angle));
  });
}
Status EvalBernoulli(EvalContext& ctx) {
  const double p = ctx.attrs().Float("probability");
  return EvalDraw(ctx, [=](const std::vector<std::uint32_t>& words, std::size_t i) {
    return Unit(words[i], DType::kF32) < p ? 1.0 : 0.0;
  });
}

// c1: the state is u64[2]. c2: 0 <= rate < 1.
Status InferDropout(InferContext& ctx) {
  TENON_RETURN_IF_ERROR(CheckState(ctx, 1));
  const double rate = ctx.attrs().Float("rate");
  if (!(rate >= 0 && rate < 1)) return ctx.Fail(2, "got rate " + std::to_string(rate) + ", expected one in [0, 1)");
  return InferSameAsFirst(ctx);
}
Status EvalDropout(EvalContext& ctx) {
  const Literal& x = ctx.in(0);
  const double keep = 1 - ctx.attrs().Float("rate");
  const std::vector<std::uint32_t> words = Words(ctx.in(1), Size(x.size()));
  std::vector<double> v = ToDoubles(x);
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = Unit(words[i], DType::kF32) < keep ? v[i] / keep : 0;
  ctx.Set(0, FromDoubles(x.dtype(), x.dims(), v));
  return {};
}
// The mask is a function of the state, so the cotangent goes through the same dropout.
Status GradDropout(GradContext& ctx) {
  ctx.Set(0, Op("dropout", ctx.d(), ctx.in(1), ctx.attrs()));
  return {};
}
Status LowerDropout(LowerContext& ctx) {
  Builder& b = ctx.b;
  const Ex x = ctx.in(0);
  if (!b.ranked(x))
    return Status(Code::kFailedPrecondition, "dropout: the rank of its input is not known, it cannot be lowered");
  const double keep = 1 - ctx.attrs().Float("rate");
  const Ex mask = Op("random_bernoulli", ctx.in(1), {{"dims", b.shape(x)}, {"probability", keep}});
  ctx.Set(0, Select(mask, x / keep, b(b.Scalar(0, x.dtype()))));
  return {};
}

Literal State(std::uint64_t seed, std::uint64_t counter) { return Literal::from<std::uint64_t>({2}, {seed, counter}); }
std::vector<Sample> DrawSamples() {
  return {{.name = "plain", .inputs = {State(1, 0)}, .attrs = {{"dims", Shape({2, 3})}}},
          {.name = "wide_state", .inputs = {State(0x123456789abcdefULL, ~0ULL)}, .attrs = {{"dims", Shape({7})}}},
          {.name = "scalar", .inputs = {State(2, 5)}, .attrs = {{"dims", Shape()}}},
          {.name = "empty", .inputs = {State(3, 0)}, .attrs = {{"dims", Shape({0})}}},
          {.name = "state",
           .inputs = {Literal::from<std::uint64_t>({3}, {1, 2, 3})},
           .attrs = {{"dims", Shape({2})}},
           .error = "c1"},
          {.name = "negative", .inputs = {State(1, 0)}, .attrs = {{"dims", Shape({-1})}}, .error = "c2"},
          {.name = "dtype",
           .inputs = {State(1, 0)},
           .attrs = {{"dims", Shape({2})}, {"dtype", DType::kString}},
           .error = "c3"}};
}
std::vector<Sample> UniformSamples() {
  std::vector<Sample> s = DrawSamples();
  s.push_back({.name = "range",
               .inputs = {State(4, 1)},
               .attrs = {{"dims", Shape({5})}, {"low", -3.0}, {"high", 2.0}, {"dtype", DType::kF64}}});
  s.push_back({.name = "backwards",
               .inputs = {State(4, 1)},
               .attrs = {{"dims", Shape({5})}, {"low", 3.0}, {"high", 2.0}},
               .error = "c4"});
  return s;
}
std::vector<Sample> NormalSamples() {
  std::vector<Sample> s = DrawSamples();
  s.push_back({.name = "moments",
               .inputs = {State(4, 1)},
               .attrs = {{"dims", Shape({5})}, {"mean", -3.0}, {"stddev", 2.0}, {"dtype", DType::kF64}}});
  s.push_back(
      {.name = "stddev", .inputs = {State(4, 1)}, .attrs = {{"dims", Shape({5})}, {"stddev", -2.0}}, .error = "c4"});
  return s;
}
std::vector<Sample> BernoulliSamples() {
  std::vector<Sample> s = DrawSamples();
  for (Sample& sample : s) sample.attrs.Set("probability", 0.25);
  s.push_back({.name = "always",
               .inputs = {State(4, 1)},
               .attrs = {{"dims", Shape({5})}, {"probability", 1.0}, {"dtype", DType::kF32}}});
  s.push_back({.name = "never", .inputs = {State(4, 1)}, .attrs = {{"dims", Shape({5})}, {"probability", 0.0}}});
  s.push_back({.name = "probability",
               .inputs = {State(4, 1)},
               .attrs = {{"dims", Shape({5})}, {"probability", 1.5}},
               .error = "c4"});
  return s;
}
std::vector<Sample> DropoutSamples() {
  return {{.name = "plain", .inputs = {Random({3, 4}, 1), State(1, 0)}, .attrs = {{"rate", 0.5}}},
          {.name = "nothing", .inputs = {Random({5}, 2), State(1, 0)}, .attrs = {{"rate", 0.0}}},
          {.name = "scalar", .inputs = {Random({}, 3), State(1, 1)}, .attrs = {{"rate", 0.25}}},
          {.name = "empty", .inputs = {Random({0, 2}, 4), State(1, 0)}, .attrs = {{"rate", 0.25}}},
          {.name = "state",
           .inputs = {Random({2}, 5), Literal::from<std::uint64_t>({1}, {1})},
           .attrs = {{"rate", 0.5}},
           .error = "c1"},
          {.name = "all", .inputs = {Random({2}, 5), State(1, 0)}, .attrs = {{"rate", 1.0}}, .error = "c2"}};
}

constexpr Port kState = {.name = "state",
                         .type = "S",
                         .dtypes = Only(DType::kU64),
                         .flags = kNotDifferentiable,
                         .doc = "u64[2] {seed, counter}"};
constexpr AttrSpec kDims = Required("dims", AttrKind::kDims, "dims of the result");
constexpr AttrSpec kFloatDType = DTypeAttr("dtype", DType::kF32, "a float dtype");

constinit const OpDef kOps[] = {
    {.name = "random_uniform",
     .summary = "Uniform numbers low + (high - low) u, u in [0, 1).",
     .inputs = {kState},
     .outputs = {{.name = "y", .dtypes = kFloatSet}},
     .attrs = {kDims, FloatAttr("low", 0, "lower end"), FloatAttr("high", 1, "upper end, left out but for rounding"),
               kFloatDType},
     .traits = kRandom,
     .infer = InferUniform,
     .eval = EvalUniform,
     .samples = UniformSamples},
    {.name = "random_normal",
     .summary = "Normal numbers mean + stddev z.",
     .inputs = {kState},
     .outputs = {{.name = "y", .dtypes = kFloatSet}},
     .attrs = {kDims, FloatAttr("mean", 0, ""), FloatAttr("stddev", 1, "0 or more"), kFloatDType},
     .traits = kRandom,
     .infer = InferNormal,
     .eval = EvalNormal,
     .samples = NormalSamples},
    {.name = "random_bernoulli",
     .summary = "True (1) with the given probability.",
     .inputs = {kState},
     .outputs = {{.name = "y", .dtypes = kFixedSet}},
     .attrs = {kDims, Required("probability", AttrKind::kFloat, "in [0, 1]"),
               DTypeAttr("dtype", DType::kBool, "bool or a dtype for 0 and 1")},
     .traits = kRandom | kExact,
     .infer = InferBernoulli,
     .eval = EvalBernoulli,
     .samples = BernoulliSamples},
    {.name = "dropout",
     .summary = "x / (1 - rate) where random_bernoulli(1 - rate) of the state is true, 0 elsewhere.",
     .inputs = {{.name = "x", .dtypes = kFloatSet}, kState},
     .outputs = {{.name = "y", .dtypes = kFloatSet}},
     .attrs = {Required("rate", AttrKind::kFloat, "in [0, 1): how much is dropped")},
     .traits = kRandom,
     .infer = InferDropout,
     .eval = EvalDropout,
     .grad = GradDropout,
     .lower = LowerDropout,
     .samples = DropoutSamples},
};

}  // namespace
extern const std::span<const OpDef> random_ops;
constinit const std::span<const OpDef> random_ops{kOps};
}  // namespace tenon::ir::ops
