// Numbers of JSON text, as fast as they come.
#pragma once
#include <bit>
#include <cstdint>
#include <cstring>

namespace tenon::serve {

/// A JSON number as clients of TensorFlow Serving may write it. The grammar is JSON's, and NaN, Inf, Infinity with an
/// optional minus sign. An integer that fits keeps its exact value.
struct JsonNumber {
  enum class Kind : std::uint8_t { kInt, kUint, kDouble };  // kUint: above the int64 range
  Kind kind = Kind::kInt;
  union {
    std::int64_t i = 0;
    std::uint64_t u;
    double d;
  };
  double as_double() const {
    return kind == Kind::kInt ? static_cast<double>(i) : kind == Kind::kUint ? static_cast<double>(u) : d;
  }
};

enum class NumberError : std::uint8_t { kNone, kInvalid, kTooBig, kMissFraction, kMissExponent };

/// Reads a number at `p`, never at or after `end`. On success returns the first byte after it; on failure the byte
/// where it went wrong (the first byte of the number for kTooBig), and sets `error`. Doubles are rounded to nearest.
const char* ScanNumber(const char* p, const char* end, JsonNumber& out, NumberError& error);

/// The same for a float32 target: the value is that of ScanNumber rounded to double and then to float. Returns nullptr
/// for everything that is not a finite decimal number in a plain form (the caller then takes ScanNumber). An integer
/// "-0" is +0, as everywhere in this file.
const char* ScanFloat(const char* p, const char* end, float& out);

namespace number_internal {

inline bool IsDigit(char c) { return static_cast<unsigned char>(c - '0') < 10; }

/// Whether all of the eight bytes are digits.
inline bool AreDigits8(std::uint64_t v) {
  return ((v & 0xf0f0f0f0f0f0f0f0ULL) | (((v + 0x0606060606060606ULL) & 0xf0f0f0f0f0f0f0f0ULL) >> 4)) ==
         0x3333333333333333ULL;
}

/// The value of eight digits in memory order (little endian machines).
inline std::uint32_t Digits8(std::uint64_t v) {
  static_assert(std::endian::native == std::endian::little);
  v = (v & 0x0f0f0f0f0f0f0f0fULL) * 2561 >> 8;
  v = (v & 0x00ff00ff00ff00ffULL) * 6553601 >> 16;
  return static_cast<std::uint32_t>((v & 0x0000ffff0000ffffULL) * 42949672960001ULL >> 32);
}

inline std::uint64_t Load8(const char* p) {
  std::uint64_t v;
  std::memcpy(&v, p, 8);
  return v;
}

/// How many of the eight bytes, from the first on, are digits.
inline int CountDigits8(std::uint64_t v) {
  const std::uint64_t t = v ^ 0x3030303030303030ULL;
  // A carry out of a byte that is no digit disturbs only the bytes behind it.
  const std::uint64_t other = (t | (t + 0x7676767676767676ULL)) & 0x8080808080808080ULL;
  return other == 0 ? 8 : std::countr_zero(other) >> 3;
}

extern const double kPow10[23];  // 1e0 … 1e22, exact
inline constexpr double kTenth[20] = {1e0,   1e-1,  1e-2,  1e-3,  1e-4,  1e-5,  1e-6,  1e-7,  1e-8,  1e-9,
                                      1e-10, 1e-11, 1e-12, 1e-13, 1e-14, 1e-15, 1e-16, 1e-17, 1e-18, 1e-19};
inline constexpr std::uint64_t kUnit[9] = {1, 10, 100, 1000, 10'000, 100'000, 1'000'000, 10'000'000, 100'000'000};

/// Appends the digits at p, at most eight, to the mantissa; returns their number. Reads eight bytes.
inline int TakeDigits8(const char* p, std::uint64_t& mantissa) {
  const std::uint64_t v = Load8(p);
  const int n = CountDigits8(v);
  // Shifted to the end, behind zero bytes, which count as leading zeros.
  mantissa = mantissa * kUnit[n] + (n == 0 ? 0 : Digits8(v << (64 - 8 * n)));
  return n;
}

/// Whether a double, known to a few units in its last place, may round to another float than the number it stands for.
inline bool NearFloatTie(double v) { return (std::bit_cast<std::uint64_t>(v) & 0x1fffffff) - 0x0ffffff0 <= 0x20; }

}  // namespace number_internal

/// ScanFloat for numbers without exponent, of at most 19 digits: without a loop over them. Reads up to kFloatReach
/// bytes from p on, so they must be there. nullptr as ScanFloat does, and for everything it has no short way for.
inline constexpr std::ptrdiff_t kFloatReach = 48;
inline const char* ScanShortFloat(const char* p, float& out) {
  using namespace number_internal;
  const bool minus = *p == '-';
  p += minus;
  const auto first = static_cast<unsigned char>(*p - '0');
  if (first > 9) return nullptr;
  std::uint64_t mantissa = first;
  ++p;
  int whole = 1;
  if (first != 0) {
    const int n = TakeDigits8(p, mantissa);
    if (n == 8) return nullptr;
    p += n;
    whole += n;
  }
  int scale = 0;
  const bool point = *p == '.';
  if (point) {
    ++p;
    scale = TakeDigits8(p, mantissa);
    if (scale == 0) return nullptr;
    p += scale;
    if (scale == 8) {
      int n = TakeDigits8(p, mantissa);
      p += n;
      scale += n;
      if (n == 8) {
        if (mantissa >= 10'000'000'000'000'000U) return nullptr;
        n = TakeDigits8(p, mantissa);
        if (n > 3) return nullptr;
        p += n;
        scale += n;
      } else if (whole + scale > 19) {
        return nullptr;  // the mantissa has overflowed
      }
      if (static_cast<std::int64_t>(mantissa) < 0) return nullptr;
    }
  }
  if ((*p | 0x20) == 'e') return nullptr;
  // Three roundings, each of half a unit: right unless the double lies next to the middle of two floats.
  double v = static_cast<double>(static_cast<std::int64_t>(mantissa)) * kTenth[scale];
  if (NearFloatTie(v)) return nullptr;
  if (minus && (point || mantissa != 0)) v = -v;
  out = static_cast<float>(v);
  return p;
}

}  // namespace tenon::serve
