// Commas are found 64 bytes at a time, so that where a number ends is known before it is read: numbers are then read
// independently of each other, without a branch on their length.
#include "serve/rest/float_run.h"

#include "serve/rest/json_number.h"

#if defined(__x86_64__)

#include <immintrin.h>

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

}  // namespace

const char* ScanFloatRun(const char* p, const char* end, float*& next) {
  static const bool known = __builtin_cpu_supports("sse4.1") != 0;
  return known ? Run(p, end, next) : p;
}

}  // namespace tenon::serve

#else

namespace tenon::serve {

const char* ScanFloatRun(const char* p, const char*, float*&) { return p; }

}  // namespace tenon::serve

#endif
