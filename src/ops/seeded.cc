// Draws that are named by one seed: the numbers of the Mersenne Twister MT19937, as NumPy's RandomState(seed) and the
// reference evaluator of ONNX draw them. The source of everything else is random.cc.
#include <cmath>
#include <random>

#include "ops/array_util.h"

namespace tenon::ir::ops {
namespace {

// 53 bits of two words: ((w0 >> 5) * 2^26 + (w1 >> 6)) / 2^53.
class Twister {
 public:
  explicit Twister(std::int64_t seed) : words_(static_cast<std::uint32_t>(seed)) {}
  double Unit() {
    const double high = static_cast<double>(static_cast<std::uint32_t>(words_()) >> 5);
    const double low = static_cast<double>(static_cast<std::uint32_t>(words_()) >> 6);
    return (high * 67108864.0 + low) / 9007199254740992.0;
  }
  // Marsaglia's polar method: two draws for each point within the unit circle; the second coordinate comes first.
  double Normal() {
    if (has_next_) {
      has_next_ = false;
      return next_;
    }
    for (;;) {
      const double a = 2 * Unit() - 1, b = 2 * Unit() - 1, square = a * a + b * b;
      if (square >= 1 || square == 0) continue;
      const double f = std::sqrt(-2 * std::log(square) / square);
      next_ = f * a;
      has_next_ = true;
      return f * b;
    }
  }

 private:
  std::mt19937 words_;
  double next_ = 0;
  bool has_next_ = false;
};

// c1: dims not negative. c2: the dtype is a float. c3: the seed has 32 bits.
Status InferSeeded(InferContext& ctx) {
  const Shape& dims = ctx.attrs().Dims("dims");
  for (const Dim& d : dims.dims())
    if (KnownLess(d, 0)) return ctx.Fail(1, "got dims " + dims.to_string() + ", expected none below 0");
  const DType dtype = ctx.attrs().Dtype("dtype");
  if ((kFloatSet & Only(dtype)) == 0)
    return ctx.Fail(2, "got dtype " + std::string(dtype_name(dtype)) + ", expected a float");
  const std::int64_t seed = ctx.attrs().Int("seed");
  if (seed < 0 || seed > 0xffffffff)
    return ctx.Fail(3, "got seed " + std::to_string(seed) + ", expected one in [0, 2^32)");
  ctx.Set(0, dtype, dims);
  return {};
}
Status EvalSeeded(EvalContext& ctx, double (Twister::*draw)()) {
  const std::vector<std::int64_t> dims = ctx.out_dims();
  TENON_ASSIGN_OR_RETURN(const std::int64_t count, checked_size(dims));
  Twister twister(ctx.attrs().Int("seed"));
  std::vector<double> out(Size(count));
  for (double& v : out) v = (twister.*draw)();
  ctx.Set(0, FromDoubles(ctx.out_dtype(), dims, out));
  return {};
}
Status EvalUniform(EvalContext& ctx) { return EvalSeeded(ctx, &Twister::Unit); }
Status EvalNormal(EvalContext& ctx) { return EvalSeeded(ctx, &Twister::Normal); }

std::vector<Sample> SeededSamples() {
  const auto seed = [](std::int64_t n) { return std::pair<std::string_view, Attr>{"seed", n}; };
  return {{.name = "zero", .attrs = {{"dims", Shape{3, 5}}, seed(0)}},
          {.name = "wide", .attrs = {{"dims", Shape{7}}, seed(4294967295), {"dtype", DType::kF64}}},
          {.name = "scalar", .attrs = {{"dims", Shape{}}, seed(42)}},
          {.name = "empty", .attrs = {{"dims", Shape{0, 2}}, seed(1)}},
          {.name = "negative", .attrs = {{"dims", Shape{-1}}, seed(1)}, .error = "c1"},
          {.name = "integer", .attrs = {{"dims", Shape{1}}, seed(1), {"dtype", DType::kI32}}, .error = "c2"},
          {.name = "long_seed", .attrs = {{"dims", Shape{1}}, seed(4294967296)}, .error = "c3"}};
}

constexpr FixedList<AttrSpec, 14> kSeededAttrs = {Required("dims", AttrKind::kDims, "dims of the result"),
                                                  Required("seed", AttrKind::kInt, "0 to 2^32 - 1"),
                                                  DTypeAttr("dtype", DType::kF32, "a float dtype")};

constinit const OpDef kOps[] = {
    {.name = "seeded_uniform",
     .summary = "Uniform in [0, 1): the doubles of MT19937 under that seed, rounded to the dtype.",
     .outputs = {{.name = "y", .dtypes = kFloatSet}},
     .attrs = kSeededAttrs,
     .traits = kRandom | kExact,
     .infer = InferSeeded,
     .eval = EvalUniform,
     .samples = SeededSamples},
    {.name = "seeded_normal",
     .summary = "Standard normal: the polar method on the doubles of MT19937 under that seed, rounded to the dtype.",
     .outputs = {{.name = "y", .dtypes = kFloatSet}},
     .attrs = kSeededAttrs,
     .traits = kRandom,
     .infer = InferSeeded,
     .eval = EvalNormal,
     .samples = SeededSamples},
};

}  // namespace
extern const std::span<const OpDef> seeded_ops;
constinit const std::span<const OpDef> seeded_ops{kOps};
}  // namespace tenon::ir::ops
