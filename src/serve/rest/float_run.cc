// Commas are found 64 bytes at a time, so that where a number ends is known before it is read: numbers are then read
// independently of each other, without a branch on their length.
#include "serve/rest/float_run.h"

#include "serve/rest/json_number.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <algorithm>
#include <array>

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

// Eight numbers at a time. The commas of a piece of text are listed first; where one space, or none, follows all of
// them, the numbers' places and sizes follow from the list. Of each number the digits without the point then take a
// quarter of a vector, at its end.

constexpr std::size_t kPiece = 2048;  // bytes of text
constexpr std::size_t kGroup = 8;

/// Offsets of commas in a piece; in front of them a place for the one before, that the first number follows.
struct CommaList {
  std::uint16_t all[kPiece + 128];
  std::size_t count;
  unsigned gap;  // spaces behind each comma and one; 0: they differ
};

/// What the blocks of a piece have had so far.
struct Blanks {
  std::uint64_t any = 0, unlike = 0, carry = 0;

  /// The commas of the next block.
  __attribute__((target("avx512f,avx512bw"))) std::uint64_t Commas(const char* block) {
    const __m512i v = _mm512_loadu_si512(block);
    const std::uint64_t commas = _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8(','));
    const std::uint64_t blanks = _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8(' '));
    any |= blanks;
    unlike |= blanks ^ (commas << 1 | carry);
    carry = commas >> 63;
    return commas;
  }
  void End(const std::uint16_t* to, CommaList& list) const {
    list.count = static_cast<std::size_t>(to - list.all) - 1;
    list.gap = any == 0 ? 1 : unlike == 0 ? 2 : 0;
    list.all[0] = static_cast<std::uint16_t>(-list.gap);
  }
};

/// Lists the commas in [p, p + size), size a multiple of 64.
using ListCommas = void (*)(const char* p, std::size_t size, CommaList& list);

__attribute__((target("avx512f,avx512bw,bmi,popcnt"))) void ListOneByOne(const char* p, std::size_t size,
                                                                         CommaList& list) {
  std::uint16_t* to = list.all + 1;
  Blanks blanks;
  for (std::size_t at = 0; at < size; at += 64) {
    std::uint64_t commas = blanks.Commas(p + at);
    std::uint16_t* const next = to + __builtin_popcountll(commas);
    do {
      for (int i = 0; i < 8; ++i) {  // more than there are: the rest is overwritten
        *to++ = static_cast<std::uint16_t>(at + static_cast<std::size_t>(__builtin_ctzll(commas | 1ULL << 63)));
        commas &= commas - 1;
      }
    } while (to < next);
    to = next;
  }
  blanks.End(to, list);
}

__attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi2,popcnt"))) void ListByBlock(const char* p,
                                                                                         std::size_t size,
                                                                                         CommaList& list) {
  alignas(64) static constexpr auto kIota = [] {
    std::array<std::uint8_t, 64> iota{};
    for (std::size_t i = 0; i < 64; ++i) iota[i] = static_cast<std::uint8_t>(i);
    return iota;
  }();
  std::uint16_t* to = list.all + 1;
  Blanks blanks;
  for (std::size_t at = 0; at < size; at += 64) {
    const std::uint64_t commas = blanks.Commas(p + at);
    std::uint16_t* const next = to + __builtin_popcountll(commas);
    const __m512i from = _mm512_set1_epi16(static_cast<std::int16_t>(at));
    const __m512i places = _mm512_maskz_compress_epi8(commas, _mm512_load_si512(kIota.data()));
    _mm512_storeu_si512(to, _mm512_add_epi16(_mm512_cvtepu8_epi16(_mm512_castsi512_si256(places)), from));
    if (next - to > 32)
      _mm512_storeu_si512(to + 32, _mm512_add_epi16(_mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(places, 1)), from));
    to = next;
  }
  blanks.End(to, list);
}

/// One bit for each of the four numbers of a vector, from one for each byte of it.
constexpr std::uint64_t kFirsts = 0x0001000100010001;

/// The eight numbers in front of the commas at[1] to at[8] of a list with that gap; false when one of them is of
/// another form. Numbers of even places are in one vector, the others in a second one.
__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,bmi,bmi2"))) inline bool Eight(const char* base,
                                                                                         const std::uint16_t* at,
                                                                                         unsigned gap, float* out) {
  const __m128i sizes = _mm_sub_epi16(_mm_sub_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at + 1)),
                                                    _mm_loadu_si128(reinterpret_cast<const __m128i*>(at))),
                                      _mm_set1_epi16(static_cast<std::int16_t>(gap)));
  if (_mm_cmpgt_epu16_mask(_mm_sub_epi16(sizes, _mm_set1_epi16(3)), _mm_set1_epi16(13)) != 0) return false;
  const __m512i all_sizes = _mm512_broadcast_i32x4(sizes);
  const auto text = [&](int i) __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))) {
    const char* const from = base + static_cast<std::uint16_t>(at[i] + gap);
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  };
  const __m512i one = _mm512_set1_epi8(1);
  // In a quarter of n bytes "d.ddd" the digits go to its end: byte i takes the digit i + n - 17, which the point moves.
  const __m512i ahead = _mm512_sub_epi8(
      _mm512_broadcast_i32x4(_mm_set_epi8(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)), _mm512_set1_epi8(17));
  std::uint64_t signs[2];
  __m512i pairs[2];
#pragma GCC unroll 2
  for (int half = 0; half < 2; ++half) {
    __m512i v = _mm512_castsi128_si512(text(half));
    v = _mm512_inserti32x4(v, text(half + 2), 1);
    v = _mm512_inserti32x4(v, text(half + 4), 2);
    v = _mm512_inserti32x4(v, text(half + 6), 3);
    // The size of each number in all bytes of its quarter; 16-bit sizes are below 256.
    const __m512i mine =
        _mm512_add_epi8(_mm512_set_epi64(0x0c0c0c0c0c0c0c0c, 0x0c0c0c0c0c0c0c0c, 0x0808080808080808, 0x0808080808080808,
                                         0x0404040404040404, 0x0404040404040404, 0, 0),
                        _mm512_set1_epi8(static_cast<char>(2 * half)));
    __m512i size = _mm512_shuffle_epi8(all_sizes, mine);
    const std::uint64_t minus =
        _mm512_cmpeq_epi8_mask(_mm512_shuffle_epi8(v, _mm512_setzero_si512()), _mm512_set1_epi8('-'));
    size = _mm512_mask_sub_epi8(size, minus, size, one);
    __m512i order = _mm512_add_epi8(ahead, size);
    const std::uint64_t behind = _mm512_cmpgt_epi8_mask(order, _mm512_setzero_si512());  // the point
    order = _mm512_mask_add_epi8(order, behind, order, one);
    order = _mm512_mask_add_epi8(order, minus & _mm512_cmpge_epi8_mask(order, _mm512_setzero_si512()), order, one);
    const std::uint64_t points = _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('.'));
    const __m512i digits = _mm512_shuffle_epi8(_mm512_sub_epi8(v, _mm512_set1_epi8('0')), order);
    const std::uint64_t others = _mm512_cmpgt_epu8_mask(digits, _mm512_set1_epi8(9));
    const std::uint64_t small = _mm512_cmplt_epi8_mask(size, _mm512_set1_epi8(3));
    const std::uint64_t pointed = (points >> 1 & ~minus) | (points >> 2 & minus);
    if ((pointed & kFirsts) != kFirsts || (others | small) != 0) return false;
    signs[half] = minus;
    const __m512i sum = _mm512_maddubs_epi16(digits, _mm512_set1_epi16(10 | 1 << 8));
    pairs[half] = _mm512_madd_epi16(sum, _mm512_set1_epi32(100 | 1 << 16));
  }
  __m512i sum = _mm512_packus_epi32(pairs[0], pairs[1]);
  sum = _mm512_madd_epi16(sum, _mm512_set1_epi32(10'000 | 1 << 16));
  // Each 64 bits, a number: eight digits in front, eight behind.
  sum = _mm512_add_epi64(_mm512_mul_epu32(sum, _mm512_set1_epi64(100'000'000)), _mm512_srli_epi64(sum, 32));
  const auto minus = static_cast<__mmask8>(_pdep_u64(_pext_u64(signs[0], kFirsts), 0x55) |
                                           _pdep_u64(_pext_u64(signs[1], kFirsts), 0xaa));
  __m512i fraction = _mm512_sub_epi64(_mm512_cvtepu16_epi64(sizes), _mm512_set1_epi64(2));  // digits of it
  fraction = _mm512_mask_sub_epi64(fraction, minus, fraction, _mm512_set1_epi64(1));
  const __m512d scales = _mm512_permutex2var_pd(_mm512_loadu_pd(kTenth), fraction, _mm512_loadu_pd(kTenth + 8));
  const __m512d values = _mm512_mul_pd(_mm512_cvtepi64_pd(sum), scales);
  // As NearFloatTie.
  const __m512i tail = _mm512_sub_epi64(_mm512_and_si512(_mm512_castpd_si512(values), _mm512_set1_epi64(0x1fffffff)),
                                        _mm512_set1_epi64(0x0ffffff0));
  if (_mm512_cmple_epu64_mask(tail, _mm512_set1_epi64(0x20)) != 0) return false;
  __m256 floats = _mm512_cvtpd_ps(values);
  floats = _mm256_mask_xor_ps(floats, minus, floats, _mm256_set1_ps(-0.0F));
  _mm256_storeu_ps(out, floats);
  return true;
}

__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,bmi,bmi2"))) const char* RunWide(const char* p,
                                                                                           const char* end,
                                                                                           float*& next,
                                                                                           ListCommas commas_of) {
  CommaList list;
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
    commas_of(base, size, list);
    if (list.count == 0) break;
    const std::uint16_t* const commas = list.all + 1;
    std::size_t i = 0;
    for (; good && list.gap != 0 && i + kGroup <= list.count; i += kGroup) {
      if (Eight(base, commas + i - 1, list.gap, to)) {
        to += kGroup;
        p = base + commas[i + kGroup - 1] + 1;
        p += *p == ' ';
      } else {
        for (std::size_t k = 0; good && k < kGroup; ++k) good = one(base + commas[i + k]);
      }
    }
    for (; good && i < list.count; ++i) good = one(base + commas[i]);
  }
  next = to;
  return p;
}

}  // namespace

int FloatRunLevel() {
  const bool wide = __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
                    __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("bmi2") != 0;
  if (wide) return __builtin_cpu_supports("avx512vbmi2") != 0 ? 3 : 2;
  return __builtin_cpu_supports("sse4.1") != 0 ? 1 : 0;
}

const char* ScanFloatRunAt(int level, const char* p, const char* end, float*& next) {
  if (level >= 2) return RunWide(p, end, next, level == 3 ? ListByBlock : ListOneByOne);
  return level == 1 ? Run(p, end, next) : p;
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
