// Hashes of texts, as buckets. All read little-endian words and compute modulo 2^64.
//   fingerprint: FarmHash's Fingerprint64 (Google, 2014), which never changes.
//   keyed: SipHash-2-4 (Aumasson, Bernstein, 2012) under a key of 128 bits.
//   murmur: MurmurHash64A (Appleby) with the seed 0xDECAFCAFFE.
#include <bit>
#include <cstring>

#include "ops/array_util.h"

namespace tenon::ir::ops {
namespace {

using U64 = std::uint64_t;

constexpr DTypeSet kText = Only(DType::kString);

U64 Load(std::string_view text, std::size_t at, std::size_t bytes = 8) {
  U64 value = 0;
  for (std::size_t k = 0; k < bytes; ++k) value |= U64{static_cast<unsigned char>(text[at + k])} << (8 * k);
  return value;
}

// ---- fingerprint ----

constexpr U64 kFirst = 0xc3a5c85c97cb3127ULL, kSecond = 0xb492b66fbe98f273ULL, kThird = 0x9ae16a3b2f90404fULL;

U64 Turn(U64 v, int by) { return std::rotr(v, by); }
U64 Mix(U64 v) { return v ^ (v >> 47); }
U64 Join(U64 u, U64 v, U64 factor) {
  const U64 a = Mix((u ^ v) * factor);
  return Mix((v ^ a) * factor) * factor;
}

U64 Short(std::string_view s) {
  const std::size_t n = s.size();
  const U64 factor = kThird + n * 2;
  if (n >= 8) {
    const U64 a = Load(s, 0) + kThird, b = Load(s, n - 8);
    return Join(Turn(b, 37) * factor + a, (Turn(a, 25) + b) * factor, factor);
  }
  if (n >= 4) return Join(n + (Load(s, 0, 4) << 3), Load(s, n - 4, 4), factor);
  if (n == 0) return kThird;
  const U64 y = Load(s, 0, 1) + (Load(s, n / 2, 1) << 8), z = n + (Load(s, n - 1, 1) << 2);
  return Mix(y * kThird ^ z * kFirst) * kThird;
}

U64 Medium(std::string_view s) {  // 17 to 64 bytes
  const std::size_t n = s.size();
  const U64 factor = kThird + n * 2;
  const U64 a = Load(s, 0) * (n <= 32 ? kSecond : kThird), b = Load(s, 8), c = Load(s, n - 8) * factor,
            d = Load(s, n - 16) * kThird;
  const U64 y = Turn(a + b, 43) + Turn(c, 30) + d, turned = a + Turn(b + kThird, 18) + c;
  if (n <= 32) return Join(y, turned, factor);
  const U64 z = Join(y, turned, factor), e = Load(s, 16) * factor, f = Load(s, 24), g = (y + Load(s, n - 32)) * factor,
            h = (z + Load(s, n - 24)) * factor;
  return Join(Turn(e + f, 43) + Turn(g, 30) + h, e + Turn(f + a, 18) + g, factor);
}

struct Pair {
  U64 first = 0, second = 0;
};
Pair Weak(std::string_view s, std::size_t at, U64 a, U64 b) {  // of 32 bytes
  const U64 w = Load(s, at), x = Load(s, at + 8), y = Load(s, at + 16), z = Load(s, at + 24);
  a += w;
  b = Turn(b + a + z, 21);
  const U64 c = a;
  a += x + y;
  b += Turn(a, 44);
  return {a + z, b + c};
}

U64 Fingerprint(std::string_view s) {
  const std::size_t n = s.size();
  if (n <= 16) return Short(s);
  if (n <= 64) return Medium(s);
  U64 x = 81, y = 81 * kSecond + 113, z = Mix(y * kThird + 113) * kThird;
  Pair v, w;
  x = x * kThird + Load(s, 0);
  const std::size_t end = (n - 1) / 64 * 64, rest = (n - 1) & 63;
  // A round over the 64 bytes at `at`; the last one overlaps the one before and weighs differently.
  const auto round = [&](std::size_t at, U64 factor, U64 weight) {
    x = Turn(x + y + v.first + Load(s, at + 8), 37) * factor;
    y = Turn(y + v.second + Load(s, at + 48), 42) * factor;
    x ^= w.second * weight;
    y += v.first * weight + Load(s, at + 40);
    z = Turn(z + w.first, 33) * factor;
    v = Weak(s, at, v.second * factor, x + w.first);
    w = Weak(s, at + 32, z + w.second, y + Load(s, at + 16));
    std::swap(z, x);
  };
  for (std::size_t at = 0; at != end; at += 64) round(at, kSecond, 1);
  const U64 factor = kSecond + ((z & 0xff) << 1);
  w.first += rest;
  v.first += w.first;
  w.first += v.first;
  round(end + rest - 63, factor, 9);
  return Join(Join(v.first, w.first, factor) + Mix(y) * kFirst + z, Join(v.second, w.second, factor) + x, factor);
}

// ---- the others ----

U64 Keyed(std::string_view s, U64 low, U64 high) {
  U64 a = low ^ 0x736f6d6570736575ULL, b = high ^ 0x646f72616e646f6dULL, c = low ^ 0x6c7967656e657261ULL,
      d = high ^ 0x7465646279746573ULL;
  const auto rounds = [&](int count) {
    for (; count > 0; --count) {
      a += b;
      c += d;
      b = std::rotl(b, 13) ^ a;
      d = std::rotl(d, 16) ^ c;
      a = std::rotl(a, 32);
      c += b;
      a += d;
      b = std::rotl(b, 17) ^ c;
      d = std::rotl(d, 21) ^ a;
      c = std::rotl(c, 32);
    }
  };
  const std::size_t whole = s.size() / 8 * 8;
  for (std::size_t at = 0; at <= whole; at += 8) {
    const U64 word = at < whole ? Load(s, at) : Load(s, whole, s.size() - whole) | U64{s.size() & 0xff} << 56;
    d ^= word;
    rounds(2);
    a ^= word;
  }
  c ^= 0xff;
  rounds(4);
  return a ^ b ^ c ^ d;
}

U64 Murmur(std::string_view s) {
  constexpr U64 kFactor = 0xc6a4a7935bd1e995ULL;
  const auto mix = [](U64 v) { return v ^ (v >> 47); };
  U64 h = 0xDECAFCAFFEULL ^ (s.size() * kFactor);
  const std::size_t whole = s.size() / 8 * 8;
  for (std::size_t at = 0; at < whole; at += 8) h = (h ^ mix(Load(s, at) * kFactor) * kFactor) * kFactor;
  if (whole < s.size()) h = (h ^ Load(s, whole, s.size() - whole)) * kFactor;
  return mix(mix(h) * kFactor);
}

// c1: a method that there is. c2: at least one bucket. c3: a key of two numbers.
Status InferHash(InferContext& ctx) {
  const std::string& method = ctx.attrs().String("method");
  if (method != "fingerprint" && method != "keyed" && method != "murmur")
    return ctx.Fail(1, "got method \"" + method + "\", expected fingerprint, keyed or murmur");
  if (ctx.attrs().Int("buckets") < 1)
    return ctx.Fail(2, "got " + std::to_string(ctx.attrs().Int("buckets")) + " buckets, expected one or more");
  if (method == "keyed" && ctx.attrs().Ints("key").size() != 2)
    return ctx.Fail(3, "got a key of " + std::to_string(ctx.attrs().Ints("key").size()) + " numbers, expected two");
  ctx.Set(0, ctx.ranked(0) ? Type::Tensor(DType::kI64, ctx.shape(0)) : Type::TensorOfUnknownRank(DType::kI64));
  return {};
}
Status EvalHash(EvalContext& ctx) {
  const std::string& method = ctx.attrs().String("method");
  const auto buckets = static_cast<U64>(ctx.attrs().Int("buckets"));
  const std::vector<std::int64_t> key = ctx.attrs().Ints("key");
  std::vector<std::int64_t> out;
  for (const std::string& text : ctx.in(0).strings()) {
    const U64 hash = method == "fingerprint" ? Fingerprint(text)
                     : method == "murmur"    ? Murmur(text)
                                             : Keyed(text, static_cast<U64>(key[0]), static_cast<U64>(key[1]));
    out.push_back(static_cast<std::int64_t>(hash % buckets));
  }
  ctx.Set(0, FromInts(DType::kI64, ctx.in(0).dims(), out));
  return {};
}

std::vector<Sample> HashSamples() {
  std::vector<std::string> texts;
  std::string all;
  for (std::size_t n = 0; n <= 200; n = n < 70 ? n + 1 : n + 13) {
    while (all.size() < n) all += static_cast<char>('!' + all.size() * 31 % 90);
    texts.push_back(all.substr(0, n));
  }
  texts.emplace_back("dé jà\nvu");
  const auto count = static_cast<std::int64_t>(texts.size());
  const Literal x = Literal::from_strings({count}, std::move(texts));
  const Literal one = Literal::from_strings({}, {"hello"});
  const auto attrs = [](const char* method, std::int64_t buckets, std::vector<std::int64_t> key = {}) {
    return Attrs{{"method", std::string(method)}, {"buckets", buckets}, {"key", std::move(key)}};
  };
  constexpr std::int64_t kMost = 9223372036854775807;
  return {{.name = "fingerprint", .inputs = {x}, .attrs = attrs("fingerprint", kMost)},
          {.name = "keyed", .inputs = {x}, .attrs = attrs("keyed", kMost, {3, 5})},
          {.name = "negative_key", .inputs = {x}, .attrs = attrs("keyed", 1000, {-1, 81985529216486895})},
          {.name = "murmur", .inputs = {x}, .attrs = attrs("murmur", kMost)},
          {.name = "few", .inputs = {x}, .attrs = attrs("fingerprint", 7)},
          {.name = "scalar", .inputs = {one}, .attrs = attrs("fingerprint", 1000)},
          {.name = "empty", .inputs = {Literal::from_strings({0, 2}, {})}, .attrs = attrs("fingerprint", 3)},
          {.name = "method", .inputs = {one}, .attrs = attrs("md5", 3), .error = "c1"},
          {.name = "none", .inputs = {one}, .attrs = attrs("fingerprint", 0), .error = "c2"},
          {.name = "short_key", .inputs = {one}, .attrs = attrs("keyed", 3, {1}), .error = "c3"}};
}

constinit const OpDef kOps[] = {
    {.name = "string_hash",
     .summary = "The bucket of each text: its hash of 64 bits modulo the number of buckets.",
     .inputs = {{.name = "x", .dtypes = kText}},
     .outputs = {{.name = "bucket", .type = "I", .dtypes = Only(DType::kI64)}},
     .attrs = {Required("buckets", AttrKind::kInt, "how many"),
               StringAttr("method", "fingerprint",
                          "fingerprint: FarmHash's; keyed: SipHash-2-4; murmur: MurmurHash64A, seed 0xDECAFCAFFE"),
               {.name = "key",
                .kind = AttrKind::kInts,
                .mode = AttrSpec::Default::kValue,
                .doc = "of keyed: the two halves of its key, the low one first"}},
     .traits = kExact,
     .infer = InferHash,
     .eval = EvalHash,
     .samples = HashSamples},
};

}  // namespace
extern const std::span<const OpDef> text_hash_ops;
constinit const std::span<const OpDef> text_hash_ops{kOps};
}  // namespace tenon::ir::ops
