#include "ir/narrow.h"

#include <algorithm>
#include <cmath>

namespace tenon::ir {
namespace {

// The magnitudes of an f8 kind: 2^(e-bias) * (1 + m/2^bits) with subnormals; the largest finite one bounds saturation.
struct Float8 {
  int mantissa, bias;
  bool fnuz;  // 0x80 is NaN, no negative zero
  std::uint8_t max_code, nan_code, overflow_code;
};
Float8 Float8Of(DType t) {
  switch (t) {
    case DType::kF8E4M3FN:
      return {3, 7, false, 0x7e, 0x7f, 0x7f};
    case DType::kF8E4M3FNUZ:
      return {3, 8, true, 0x7f, 0x80, 0x80};
    case DType::kF8E5M2:
      return {2, 15, false, 0x7b, 0x7e, 0x7c};
    default:
      return {2, 16, true, 0x7f, 0x80, 0x80};
  }
}

std::uint8_t EncodeFloat8(double v, DType t, bool saturate) {
  const Float8 f = Float8Of(t);
  if (std::isnan(v)) return f.nan_code;
  const std::uint8_t sign = std::signbit(v) ? 0x80 : 0;
  const double a = std::fabs(v);
  int exponent = 0;
  std::frexp(a, &exponent);
  const int lowest = 1 - f.bias;
  const int scale = std::max(exponent - 1, lowest) - f.mantissa;
  const double units = std::nearbyint(std::ldexp(a, -scale));  // multiples of the spacing at a
  const double rounded = std::ldexp(units, scale);
  const double largest = std::ldexp((1 << f.mantissa) + (f.max_code & ((1 << f.mantissa) - 1)),
                                    (f.max_code >> f.mantissa) - f.bias - f.mantissa);
  if (std::isinf(v) || rounded > largest)
    return static_cast<std::uint8_t>(sign | (saturate ? f.max_code : f.overflow_code));
  if (rounded == 0) return f.fnuz ? 0 : sign;
  std::frexp(rounded, &exponent);
  const int biased = std::max(exponent - 1, lowest) + f.bias;
  const bool subnormal = exponent - 1 < lowest;
  const double mantissa = std::ldexp(rounded, f.mantissa - std::max(exponent - 1, lowest));
  const int code =
      subnormal ? static_cast<int>(mantissa) : (biased << f.mantissa) + static_cast<int>(mantissa) - (1 << f.mantissa);
  return static_cast<std::uint8_t>(sign | code);
}

// 0, 0.5, 1, 1.5, 2, 3, 4, 6 have the codes 0 to 7.
std::uint8_t EncodeFloat4(double v) {
  if (std::isnan(v)) return 8;
  const double a = std::min(std::fabs(v), 8.0);
  const double spacing = a < 2 ? 0.5 : a < 4 ? 1 : 2;
  const double r = std::min(std::nearbyint(a / spacing) * spacing, 6.0);
  const int code = static_cast<int>(r < 2 ? r * 2 : r < 4 ? r + 2 : r / 2 + 4);
  return static_cast<std::uint8_t>(code | (std::signbit(v) ? 8 : 0));
}

// The exponent of a power of two near |v|; 1.5 lies between two, and the even one of their codes is nearest.
std::uint8_t EncodeExponent(double v, const NarrowRules& rules) {
  constexpr std::uint8_t kNan = 0xff, kMost = 0xfe;
  if (std::isnan(v)) return kNan;
  const double a = std::fabs(v);
  if (std::isinf(a)) return rules.saturate ? kMost : kNan;
  if (a < 0x1p-127) return rules.saturate ? 0 : kNan;
  int exponent = 0;
  const double fraction = std::frexp(a, &exponent) * 2;  // [1, 2)
  int code = exponent - 1 + 127;
  if (rules.rounding == NarrowRounding::kUp && fraction > 1) ++code;
  if (rules.rounding == NarrowRounding::kNearest && (fraction > 1.5 || (fraction == 1.5 && code % 2 == 1))) ++code;
  if (code > kMost) return rules.saturate ? kMost : kNan;
  return static_cast<std::uint8_t>(code);
}

}  // namespace

std::uint8_t NarrowCode(double value, DType dtype, const NarrowRules& rules) {
  if (dtype == DType::kF4E2M1) return EncodeFloat4(value);
  if (dtype == DType::kF8E8M0) return EncodeExponent(value, rules);
  return EncodeFloat8(value, dtype, rules.saturate);
}

}  // namespace tenon::ir
