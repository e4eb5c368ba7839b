// Random numbers as functions of a key and a counter, those of TensorFlow's stateless ops (normal ones but for the last
// bits of its logarithm and sine): block g of four 32-bit words is Philox 4x32-10 of the 128-bit counter plus g under
// the key; results take the words in order.
//   uniform: the low bits of a word (f64: of two, the first above) as the fraction of a number in [1, 2), minus 1
//   normal: Box and Muller's transform of two uniform numbers gives two results, by sine and by cosine
//   truncated_normal: four results share 256 blocks (f64: two share 128), from which pairs are drawn until all lie
//   inside (-2, 2)
//   bits: words as they are
#include <algorithm>
#include <bit>
#include <cmath>

#include "base/philox.h"
#include "ops/array_util.h"

namespace tenon::ir::ops {
namespace {

using U32 = std::uint32_t;
using U64 = std::uint64_t;

U32 LowHalf(U64 v) { return static_cast<U32>(v); }
U32 HighHalf(U64 v) { return static_cast<U32>(v >> 32); }

// c1: a seed of two integers.
Status InferKey(InferContext& ctx) {
  if (ctx.ranked(0) && (ctx.rank(0) != 1 || Differ(ctx.shape(0)[0], 2)))
    return ctx.Fail(1, "got a seed " + ctx.type(0).to_string() + ", expected two integers");
  ctx.Set(0, DType::kU64, {1});
  ctx.Set(1, DType::kU64, {2});
  return {};
}
// One block of Philox under fixed numbers scrambles the seed: two words are the key, two the high half of the counter.
Status EvalKey(EvalContext& ctx) {
  const std::vector<std::int64_t> seed = ToInts(ctx.in(0));
  const auto a = static_cast<U64>(seed[0]), b = static_cast<U64>(seed[1]);
  const auto mixed = base::Philox({LowHalf(a), HighHalf(a), LowHalf(b), HighHalf(b)}, {0x3ec8f720U, 0x02461e29U});
  const U64 key[] = {U64{mixed[1]} << 32 | mixed[0]}, counter[] = {0, U64{mixed[3]} << 32 | mixed[2]};
  ctx.Set(0, Literal::from<U64>({1}, std::span<const U64>(key)));
  ctx.Set(1, Literal::from<U64>({2}, std::span<const U64>(counter)));
  return {};
}

constexpr DTypeSet kBitsSet = Only(DType::kI32) | Only(DType::kU32) | Only(DType::kI64) | Only(DType::kU64);

// c1: key u64[1] and counter u64[2]. c2: a kind that there is. c3: the kind draws the dtype. c4: dims of 0 or more.
Status InferDraw(InferContext& ctx) {
  for (int i = 0; i < 2; ++i)
    if (ctx.ranked(i) && (ctx.rank(i) != 1 || Differ(ctx.shape(i)[0], i + 1)))
      return ctx.Fail(1, "got " + ctx.type(i).to_string() + ", expected a key u64[1] and a counter u64[2]");
  const std::string& kind = ctx.attrs().String("kind");
  if (kind != "uniform" && kind != "normal" && kind != "truncated_normal" && kind != "bits")
    return ctx.Fail(2, "got kind \"" + kind + "\", expected uniform, normal, truncated_normal or bits");
  const DType dtype = ctx.attrs().Dtype("dtype");
  const DTypeSet allowed = kind == "bits" ? kBitsSet : kFloatSet;
  if ((allowed & Only(dtype)) == 0)
    return ctx.Fail(3, "got dtype " + std::string(dtype_name(dtype)) + ", which " + kind + " does not draw");
  for (const Dim& dim : ctx.attrs().Dims("dims").dims())
    if (KnownLess(dim, 0)) return ctx.Fail(4, "got dims " + ctx.attrs().Dims("dims").to_string());
  ctx.Set(0, dtype, ctx.attrs().Dims("dims"));
  return {};
}

class Blocks {
 public:
  Blocks(U64 key, U64 low, U64 high) : key_{LowHalf(key), HighHalf(key)}, low_(low), high_(high) {}
  std::array<U32, 4> At(U64 g) const {
    const U64 low = low_ + g, high = high_ + (low < g ? 1 : 0);
    return base::Philox({LowHalf(low), HighHalf(low), LowHalf(high), HighHalf(high)}, key_);
  }
  U32 Word(U64 w) const {
    if (w / 4 != at_ || !any_) {
      at_ = w / 4;
      any_ = true;
      block_ = At(at_);
    }
    return block_[w % 4];
  }

 private:
  std::array<U32, 2> key_;
  U64 low_, high_;
  mutable U64 at_ = 0;
  mutable bool any_ = false;
  mutable std::array<U32, 4> block_{};
};

float UnitF32(U32 word) { return std::bit_cast<float>((word & 0x7fffffU) | 0x3f800000U) - 1.0f; }
double UnitF64(U32 high, U32 low) {
  return std::bit_cast<double>(U64{high & 0xfffffU} << 32 | low | 0x3ff0000000000000ULL) - 1.0;
}
struct PairF {
  float sine = 0, cosine = 0;
};
PairF NormalF32(U32 a, U32 b) {
  // The product with 2 pi is one of doubles, rounded once.
  const float u = std::max(UnitF32(a), 1.0e-7f);
  const auto angle = static_cast<float>(2 * 3.14159265358979323846 * static_cast<double>(UnitF32(b)));
  const float radius = std::sqrt(-2.0f * std::log(u));
  return {std::sin(angle) * radius, std::cos(angle) * radius};
}
struct PairD {
  double sine = 0, cosine = 0;
};
PairD NormalF64(U32 a, U32 b, U32 c, U32 d) {
  const double u = std::max(UnitF64(a, b), 1.0e-7), angle = 2 * 3.14159265358979323846 * UnitF64(c, d);
  const double radius = std::sqrt(-2.0 * std::log(u));
  return {std::sin(angle) * radius, std::cos(angle) * radius};
}

// `count` results by what a group of results takes from the words.
std::vector<double> Uniform(const Blocks& blocks, DType dtype, U64 count) {
  std::vector<double> out;
  out.reserve(count);
  for (U64 i = 0; i < count; ++i) {
    if (dtype == DType::kF64) {
      out.push_back(UnitF64(blocks.Word(2 * i), blocks.Word(2 * i + 1)));
    } else if (dtype == DType::kF32) {
      out.push_back(UnitF32(blocks.Word(i)));
    } else {
      const int bits = dtype == DType::kF16 ? 10 : 7;
      out.push_back(std::ldexp(static_cast<double>(blocks.Word(i) & ((1U << bits) - 1)), -bits));
    }
  }
  return out;
}
std::vector<double> Normal(const Blocks& blocks, DType dtype, U64 count) {
  std::vector<double> out;
  out.reserve(count + 1);
  for (U64 w = 0; out.size() < count;) {
    if (dtype == DType::kF64) {
      const PairD p = NormalF64(blocks.Word(w), blocks.Word(w + 1), blocks.Word(w + 2), blocks.Word(w + 3));
      out.insert(out.end(), {p.sine, p.cosine});
      w += 4;
    } else {
      const PairF p = NormalF32(blocks.Word(w), blocks.Word(w + 1));
      out.insert(out.end(), {p.sine, p.cosine});
      w += 2;
    }
  }
  out.resize(count);
  return out;
}
std::vector<double> Truncated(const Blocks& blocks, DType dtype, U64 count) {
  std::vector<double> out;
  // Results of a group, and how many blocks it may use up.
  const U64 group = dtype == DType::kF64 ? 2 : 4, reserved = group * 256 / 4;
  for (U64 g = 0; out.size() < count; ++g) {
    std::size_t made = 0;
    for (U64 w = g * reserved * 4; made < group;) {
      PairD p;
      if (dtype == DType::kF64) {
        p = NormalF64(blocks.Word(w), blocks.Word(w + 1), blocks.Word(w + 2), blocks.Word(w + 3));
        w += 4;
      } else {
        const PairF f = NormalF32(blocks.Word(w), blocks.Word(w + 1));
        p = {f.sine, f.cosine};
        w += 2;
      }
      for (const double v : {p.sine, p.cosine})
        if (std::abs(v) < 2 && made < group) {
          out.push_back(v);
          ++made;
        }
    }
  }
  out.resize(count);
  return out;
}

Status EvalDraw(EvalContext& ctx) {
  const DType dtype = ctx.attrs().Dtype("dtype");
  const std::string& kind = ctx.attrs().String("kind");
  const std::vector<std::int64_t> dims = ctx.out_dims();
  TENON_ASSIGN_OR_RETURN(const std::int64_t size, checked_size(dims));
  const std::span<const U64> counter = ctx.in(1).data<U64>();
  const Blocks blocks(ctx.in(0).data<U64>()[0], counter[0], counter[1]);
  const auto count = static_cast<U64>(size);
  if (kind == "bits") {
    std::vector<std::int64_t> out;
    out.reserve(count);
    const bool wide = dtype_bits(dtype) == 64;
    for (U64 i = 0; i < count; ++i) {
      const U64 word = wide ? U64{blocks.Word(2 * i + 1)} << 32 | blocks.Word(2 * i) : blocks.Word(i);
      out.push_back(static_cast<std::int64_t>(word));
    }
    ctx.Set(0, FromInts(dtype, dims, out));
    return {};
  }
  ctx.Set(0, FromDoubles(dtype, dims,
                         kind == "uniform"  ? Uniform(blocks, dtype, count)
                         : kind == "normal" ? Normal(blocks, dtype, count)
                                            : Truncated(blocks, dtype, count)));
  return {};
}

Literal Words(std::vector<U64> values) {
  return Literal::from<U64>({static_cast<std::int64_t>(values.size())}, std::span<const U64>(values));
}
std::vector<Sample> KeySamples() {
  return {{.name = "small", .inputs = {Ints({2}, {7, 11})}},
          {.name = "negative", .inputs = {Ints({2}, {0, -3})}},
          {.name = "three", .inputs = {Ints({3}, {1, 2, 3})}, .error = "c1"}};
}
std::vector<Sample> DrawSamples() {
  const Literal key = Words({0x123456789abcdef0ULL}), counter = Words({5, 0xfedcba9876543210ULL});
  const auto attrs = [](const char* kind, DType dtype, Shape dims) {
    return Attrs{{"kind", std::string(kind)}, {"dtype", dtype}, {"dims", std::move(dims)}};
  };
  std::vector<Sample> out;
  for (const DType dtype : {DType::kF32, DType::kF64})
    for (const char* kind : {"uniform", "normal", "truncated_normal"}) {
      static constexpr const char* kNames[] = {"uniform",   "normal",   "truncated",
                                               "uniform64", "normal64", "truncated64"};
      out.push_back({.name = kNames[out.size()], .inputs = {key, counter}, .attrs = attrs(kind, dtype, {3, 7})});
    }
  out.push_back({.name = "half", .inputs = {key, counter}, .attrs = attrs("uniform", DType::kF16, {5})});
  out.push_back({.name = "words", .inputs = {key, counter}, .attrs = attrs("bits", DType::kU32, {6})});
  out.push_back({.name = "longs", .inputs = {key, counter}, .attrs = attrs("bits", DType::kI64, {2, 2})});
  out.push_back(
      {.name = "carry", .inputs = {key, Words({0xffffffffffffffffULL, 1})}, .attrs = attrs("bits", DType::kU64, {8})});
  out.push_back({.name = "none", .inputs = {key, counter}, .attrs = attrs("normal", DType::kF32, {0})});
  out.push_back({.name = "scalar", .inputs = {key, counter}, .attrs = attrs("uniform", DType::kF32, {})});
  out.push_back({.name = "short", .inputs = {key, key}, .attrs = attrs("normal", DType::kF32, {1}), .error = "c1"});
  out.push_back({.name = "kind", .inputs = {key, counter}, .attrs = attrs("beta", DType::kF32, {1}), .error = "c2"});
  out.push_back({.name = "type", .inputs = {key, counter}, .attrs = attrs("bits", DType::kF32, {1}), .error = "c3"});
  return out;
}

constexpr DTypeSet kState = Only(DType::kU64);
constinit const OpDef kOps[] = {
    {.name = "stateless_key",
     .summary = "A seed of two integers as the key and the counter of stateless_random.",
     .inputs = {{.name = "seed", .dtypes = kIndexSet, .flags = kNotDifferentiable}},
     .outputs = {{.name = "key", .type = "S", .dtypes = kState}, {.name = "counter", .type = "S", .dtypes = kState}},
     .traits = kExact,
     .infer = InferKey,
     .eval = EvalKey,
     .samples = KeySamples},
    {.name = "stateless_random",
     .summary = "The random numbers of a key and a counter, those of TensorFlow's stateless ops (Philox).",
     .inputs = {{.name = "key", .type = "S", .dtypes = kState, .flags = kNotDifferentiable, .doc = "u64[1]"},
                {.name = "counter", .type = "S", .dtypes = kState, .flags = kNotDifferentiable, .doc = "u64[2]"}},
     .outputs = {{.name = "y", .dtypes = kFloatSet | kBitsSet, .flags = kNotDifferentiable}},
     .attrs = {Required("dims", AttrKind::kDims, "dims of the result"),
               StringAttr("kind", "uniform",
                          "uniform: in [0, 1); normal; truncated_normal: inside (-2, 2); bits: integers of any value"),
               DTypeAttr("dtype", DType::kF32, "a float, of bits an integer of 32 or 64 bits")},
     .infer = InferDraw,
     .eval = EvalDraw,
     .samples = DrawSamples},
};

}  // namespace
extern const std::span<const OpDef> stateless_ops;
constinit const std::span<const OpDef> stateless_ops{kOps};
}  // namespace tenon::ir::ops
