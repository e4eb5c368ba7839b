// The codes of floats of 8 and 4 bits: how a number becomes one.
#pragma once
#include <cstdint>

#include "tenon/types.h"

namespace tenon::ir {

enum class NarrowRounding : std::uint8_t { kNearest, kUp, kDown };  // up and down: kF8E8M0 only, of the magnitude

struct NarrowRules {
  bool saturate = true;  // beyond the largest number: that number; else infinity (f8e5m2) or NaN, as infinity itself
  NarrowRounding rounding = NarrowRounding::kNearest;  // nearest: ties to the even code
};

/// The code of `value` in one of the f8 kinds, kF8E8M0 or kF4E2M1. NaN gives NaN; kF4E2M1 has neither NaN nor infinity:
/// NaN gives -0, and it always saturates. kF8E8M0 has no zero, no sign and no infinity: 0 and what is too small give
/// 2^-127 (without `saturate` NaN), the sign is dropped, infinity saturates.
std::uint8_t NarrowCode(double value, DType dtype, const NarrowRules& rules);

}  // namespace tenon::ir
