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

extern const double kPow10[23];  // 1e0 … 1e22, exact

}  // namespace number_internal
}  // namespace tenon::serve
