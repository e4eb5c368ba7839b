// Commas are found 64 bytes at a time, so that where a number ends is known before it is read: numbers are then read
// independently of each other, without a branch on their length.
#include "serve/rest/float_run.h"

#include "serve/rest/json_number.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <algorithm>

namespace tenon::serve {
namespace {

using namespace number_internal;

constexpr std::uint64_t kTens[17] = {1,
                                     10,
                                     100,
                                     1'000,
                                     10'000,
                                     100'000,
                                     1'000'000,
                                     10'000'000,
                                     100'000'000,
                                     1'000'000'000,
                                     10'000'000'000,
                                     100'000'000'000,
                                     1'000'000'000'000,
                                     10'000'000'000'000,
                                     100'000'000'000'000,
                                     1'000'000'000'000'000,
                                     10'000'000'000'000'000};

/// Loaded at `n`: moves the first n bytes of a vector to its end, behind zeros.
alignas(16) constexpr std::int8_t kToEnd[33] = {-128, -128, -128, -128, -128, -128, -128, -128, -128, -128, -128,
                                                -128, -128, -128, -128, -128, 0,    1,    2,    3,    4,    5,
                                                6,    7,    8,    9,    10,   11,   12,   13,   14,   15,   -128};

__attribute__((target("sse4.1"))) inline std::uint64_t CommasOf(const char* block) {
  const __m128i comma = _mm_set1_epi8(',');
  std::uint64_t mask = 0;
  for (int i = 3; i >= 0; --i) {
    const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + 16 * i));
    mask = mask << 16 | static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(v, comma)));
  }
  return mask;
}

/// The value of the 16 digits at the end of a vector.
__attribute__((target("sse4.1"))) inline std::uint64_t Value(__m128i digits) {
  __m128i sum = _mm_maddubs_epi16(digits, _mm_set1_epi16(10 | 1 << 8));
  sum = _mm_madd_epi16(sum, _mm_set1_epi32(100 | 1 << 16));
  sum = _mm_packus_epi32(sum, sum);
  sum = _mm_madd_epi16(sum, _mm_set1_epi32(10'000 | 1 << 16));
  const auto halves = static_cast<std::uint64_t>(_mm_cvtsi128_si64(sum));
  return (halves & 0xffffffff) * 100'000'000 + (halves >> 32);
}

/// The number in [p, comma); at least kFloatReach bytes from p on can be read.
__attribute__((target("sse4.1"))) inline bool One(const char* const p, const char* const comma, float& out) {
  const bool minus = *p == '-';
  const char* const text = p + minus;
  const auto size = static_cast<unsigned>(comma - text) - 2;  // digits behind the point
  const auto first = static_cast<unsigned>(*text - '0');
  if (size - 1 < 15 && text[1] == '.' && first < 10) {
    const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text + 2));
    const __m128i all = _mm_sub_epi8(v, _mm_set1_epi8('0'));
    const __m128i order = _mm_loadu_si128(reinterpret_cast<const __m128i*>(kToEnd + size));
    const __m128i digits = _mm_shuffle_epi8(all, order);
    if (_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(digits, _mm_set1_epi8(9)), digits)) == 0xffff) {
      const double value =
          static_cast<double>(static_cast<std::int64_t>(Value(digits) + first * kTens[size])) * kTenth[size];
      // Three roundings, each of half a unit: right unless the double lies next to the middle of two floats.
      if (!NearFloatTie(value)) {
        out = static_cast<float>(minus ? -value : value);
        return true;
      }
    }
  }
  return ScanShortFloat(p, out) == comma;
}

__attribute__((target("sse4.1"))) const char* Run(const char* p, const char* end, float*& next) {
  float* to = next;
  for (const char* block = p; end - block >= 64 + kFloatReach; block += 64) {
    for (std::uint64_t commas = CommasOf(block); commas != 0; commas &= commas - 1) {
      const char* const comma = block + std::countr_zero(commas);
      if (!One(p, comma, *to)) {
        next = to;
        return p;
      }
      ++to;
      p = comma + 1;
      p += *p == ' ';
    }
  }
  next = to;
  return p;
}

// Four numbers at a time. The commas of a piece of text are listed first; of each number the digits without the point
// then take a quarter of a vector, at its end.

constexpr std::size_t kPiece = 2048;  // bytes of text
constexpr std::size_t kQuad = 4;

/// At [n]: from "d.ddd" of n bytes to its n - 1 digits at the end, behind zeros.
struct Orders {
  alignas(16) std::int8_t of[17][16];
};
constexpr Orders kOrders = [] {
  Orders orders{};
  for (int n = 0; n <= 16; ++n)
    for (int i = 0; i < 16; ++i) {
      const int digit = i - (17 - n);
      orders.of[n][i] = static_cast<std::int8_t>(digit < 0 ? -128 : digit == 0 ? 0 : digit + 1);
    }
  return orders;
}();

/// Writes the offsets of the commas in [p, p + size), size a multiple of 64; returns their number. Writes up to 8 more.
__attribute__((target("avx512f,avx512bw,bmi,bmi2,popcnt"))) inline std::size_t ListCommas(const char* p,
                                                                                          std::size_t size,
                                                                                          std::uint32_t* to) {
  std::uint32_t* const first = to;
  for (std::size_t at = 0; at < size; at += 64) {
    std::uint64_t commas = _mm512_cmpeq_epi8_mask(_mm512_loadu_si512(p + at), _mm512_set1_epi8(','));
    std::uint32_t* const next = to + __builtin_popcountll(commas);
    do {
      for (int i = 0; i < 8; ++i) {  // more than there are: the rest is overwritten
        *to++ = static_cast<std::uint32_t>(at) + static_cast<std::uint32_t>(__builtin_ctzll(commas | 1ULL << 63));
        commas &= commas - 1;
      }
    } while (to < next);
    to = next;
  }
  return static_cast<std::size_t>(to - first);
}

/// Four numbers, each in front of its comma, the first at p; false when one of them is of another form.
__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,bmi,bmi2"))) inline bool Four(const char* p, const char* base,
                                                                                        const std::uint32_t* commas,
                                                                                        float* out) {
  const char* text[kQuad];
  unsigned size[kQuad];
  unsigned minus = 0, bad = 0;
#pragma GCC unroll 4
  for (unsigned i = 0; i < kQuad; ++i) {
    const char* const comma = base + commas[i];
    const unsigned sign = *p == '-' ? 1 : 0;
    minus |= sign << i;
    text[i] = p + sign;
    size[i] = static_cast<unsigned>(comma - text[i]);
    bad |= size[i] - 3 > 13 ? 1 : 0;
    p = comma + 1;
    p += *p == ' ';
  }
  if (bad != 0) return false;
  const auto load = [](const void* at) __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))) {
    return _mm_loadu_si128(static_cast<const __m128i*>(at));
  };
  __m512i v = _mm512_castsi128_si512(load(text[0])), order = _mm512_castsi128_si512(load(kOrders.of[size[0]]));
  v = _mm512_inserti32x4(v, load(text[1]), 1);
  v = _mm512_inserti32x4(v, load(text[2]), 2);
  v = _mm512_inserti32x4(v, load(text[3]), 3);
  order = _mm512_inserti32x4(order, load(kOrders.of[size[1]]), 1);
  order = _mm512_inserti32x4(order, load(kOrders.of[size[2]]), 2);
  order = _mm512_inserti32x4(order, load(kOrders.of[size[3]]), 3);
  constexpr std::uint64_t kSecond = 0x0002000200020002;
  const std::uint64_t points = _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('.'));
  const __m512i digits = _mm512_shuffle_epi8(_mm512_sub_epi8(v, _mm512_set1_epi8('0')), order);
  const std::uint64_t others = _mm512_cmpgt_epu8_mask(digits, _mm512_set1_epi8(9));
  if ((points & kSecond) != kSecond || others != 0) return false;
  __m512i sum = _mm512_maddubs_epi16(digits, _mm512_set1_epi16(10 | 1 << 8));
  sum = _mm512_madd_epi16(sum, _mm512_set1_epi32(100 | 1 << 16));
  sum = _mm512_packus_epi32(sum, sum);
  sum = _mm512_madd_epi16(sum, _mm512_set1_epi32(10'000 | 1 << 16));
  // Each 64 bits: eight digits in front, eight behind.
  sum = _mm512_add_epi64(_mm512_mul_epu32(sum, _mm512_set1_epi64(100'000'000)), _mm512_srli_epi64(sum, 32));
  const __m256i mantissas =
      _mm512_castsi512_si256(_mm512_permutexvar_epi64(_mm512_set_epi64(0, 0, 0, 0, 6, 4, 2, 0), sum));
  const __m256d scales =
      _mm256_set_pd(kTenth[size[3] - 2], kTenth[size[2] - 2], kTenth[size[1] - 2], kTenth[size[0] - 2]);
  const __m256d values = _mm256_mul_pd(_mm256_cvtepi64_pd(mantissas), scales);
  // As NearFloatTie.
  const __m256i tail = _mm256_sub_epi64(_mm256_and_si256(_mm256_castpd_si256(values), _mm256_set1_epi64x(0x1fffffff)),
                                        _mm256_set1_epi64x(0x0ffffff0));
  if (_mm256_cmple_epu64_mask(tail, _mm256_set1_epi64x(0x20)) != 0) return false;
  __m128 floats = _mm256_cvtpd_ps(values);
  floats = _mm_mask_xor_ps(floats, static_cast<__mmask8>(minus), floats, _mm_set1_ps(-0.0F));
  _mm_storeu_ps(out, floats);
  return true;
}

__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,bmi,bmi2,popcnt"))) const char* RunWide(const char* p,
                                                                                                  const char* end,
                                                                                                  float*& next) {
  std::uint32_t commas[kPiece + 8];
  float* to = next;
  const auto one = [&](const char* comma) __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))) {
    if (!One(p, comma, *to)) return false;
    ++to;
    p = comma + 1;
    p += *p == ' ';
    return true;
  };
  bool good = true;
  while (good && end - p >= 64 + kFloatReach) {
    const char* const base = p;
    const auto size = std::min(static_cast<std::size_t>(end - p - kFloatReach) & ~std::size_t{63}, kPiece);
    const std::size_t count = ListCommas(base, size, commas);
    if (count == 0) break;
    std::size_t i = 0;
    for (; good && i + kQuad <= count; i += kQuad) {
      if (Four(p, base, commas + i, to)) {
        to += kQuad;
        p = base + commas[i + kQuad - 1] + 1;
        p += *p == ' ';
      } else {
        for (std::size_t k = 0; good && k < kQuad; ++k) good = one(base + commas[i + k]);
      }
    }
    for (; good && i < count; ++i) good = one(base + commas[i]);
  }
  next = to;
  return p;
}

}  // namespace

int FloatRunLevel() {
  const bool wide = __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
                    __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("bmi2") != 0;
  return wide ? 2 : __builtin_cpu_supports("sse4.1") ? 1 : 0;
}

const char* ScanFloatRunAt(int level, const char* p, const char* end, float*& next) {
  return level == 2 ? RunWide(p, end, next) : level == 1 ? Run(p, end, next) : p;
}

const char* ScanFloatRun(const char* p, const char* end, float*& next) {
  static const int level = FloatRunLevel();
  return ScanFloatRunAt(level, p, end, next);
}

}  // namespace tenon::serve

#else

namespace tenon::serve {

int FloatRunLevel() { return 0; }
const char* ScanFloatRunAt(int, const char* p, const char*, float*&) { return p; }
const char* ScanFloatRun(const char* p, const char*, float*&) { return p; }

}  // namespace tenon::serve

#endif
