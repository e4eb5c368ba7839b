#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <set>

#include "tenon/types.h"

namespace tenon {
namespace {

TEST(DType, NamesAreDifferentAndReadBack) {
  std::set<std::string_view> names;
  for (int i = 0; i < kNumDTypes; ++i) {
    const auto dtype = static_cast<DType>(i);
    EXPECT_TRUE(names.insert(dtype_name(dtype)).second) << dtype_name(dtype);
    EXPECT_EQ(dtype_from_name(dtype_name(dtype)), dtype);
  }
  EXPECT_EQ(dtype_from_name("float32"), DType::kF32);
  EXPECT_EQ(dtype_from_name("int64"), DType::kI64);
  EXPECT_EQ(dtype_from_name("bool"), DType::kBool);
  EXPECT_EQ(dtype_from_name("bfloat16"), DType::kBF16);
  EXPECT_EQ(dtype_from_name("float"), std::nullopt);
  EXPECT_EQ(dtype_from_name(""), std::nullopt);
}

TEST(DType, EachIsOfOneKind) {
  for (int i = 0; i < kNumDTypes; ++i) {
    const auto dtype = static_cast<DType>(i);
    const int kinds = is_float(dtype) + is_integer(dtype) + is_complex(dtype);
    EXPECT_EQ(kinds, dtype == DType::kBool || dtype == DType::kString ? 0 : 1) << dtype_name(dtype);
    EXPECT_TRUE(is_integer(dtype) || !is_signed_integer(dtype));
  }
  EXPECT_TRUE(is_signed_integer(DType::kI4));
  EXPECT_FALSE(is_signed_integer(DType::kU4));
  EXPECT_TRUE(is_float(DType::kF8E5M2FNUZ));
  EXPECT_EQ(dtype_bits(DType::kI4), 4);
  EXPECT_EQ(dtype_bits(DType::kU2), 2);
  EXPECT_EQ(dtype_bits(DType::kF4E2M1), 4);
  EXPECT_EQ(dtype_bits(DType::kBool), 8);
  EXPECT_EQ(dtype_bits(DType::kC128), 128);
  EXPECT_EQ(dtype_bits(DType::kString), 0);
}

// What the bits of a small float mean, from the definition: (-1)^s 2^(e - bias) (1 + m / 2^p).
double Meaning(std::uint32_t bits, int exponent_bits, int mantissa_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = static_cast<int>(bits >> mantissa_bits) & ((1 << exponent_bits) - 1);
  const int mantissa = static_cast<int>(bits) & ((1 << mantissa_bits) - 1);
  const double sign = (bits >> (exponent_bits + mantissa_bits)) != 0 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) return mantissa != 0 ? NAN : sign * INFINITY;
  const double fraction = std::ldexp(mantissa, -mantissa_bits) + (exponent == 0 ? 0 : 1);
  return sign * std::ldexp(fraction, std::max(exponent, 1) - bias);
}

TEST(Half, EveryBitPatternHasItsMeaningAndRoundTrips) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const Half half{static_cast<std::uint16_t>(bits)};
    const float value = to_float(half);
    const double expected = Meaning(bits, 5, 10);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(value)) << bits;
      ASSERT_EQ(to_half(value).bits, bits | 0x200U) << "a NaN keeps its payload and becomes quiet";
      continue;
    }
    ASSERT_EQ(std::bit_cast<std::uint64_t>(double{value}), std::bit_cast<std::uint64_t>(expected)) << bits;
    ASSERT_EQ(to_half(value).bits, bits);
  }
}

TEST(BFloat16, EveryBitPatternHasItsMeaningAndRoundTrips) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const BFloat16 value{static_cast<std::uint16_t>(bits)};
    const double expected = Meaning(bits, 8, 7);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(to_float(value))) << bits;
      ASSERT_EQ(to_bfloat16(to_float(value)).bits, bits | 0x40U);
      continue;
    }
    ASSERT_EQ(std::bit_cast<std::uint64_t>(double{to_float(value)}), std::bit_cast<std::uint64_t>(expected)) << bits;
    ASSERT_EQ(to_bfloat16(to_float(value)).bits, bits);
  }
}

// Between each pair of neighbours: just below the middle goes down, the middle to the even one, just above it up.
template <class Small, class ToSmall>
void CheckRounding(std::uint16_t infinity, ToSmall to_small) {
  for (std::uint16_t low = 0; low < infinity; ++low) {
    const auto high = static_cast<std::uint16_t>(low + 1);
    const double a = to_float(Small{low});
    // Past the largest finite number the middle is where the next number would be.
    const double b =
        high == infinity ? 2 * a - to_float(Small{static_cast<std::uint16_t>(low - 1)}) : to_float(Small{high});
    const auto middle = static_cast<float>((a + b) / 2);
    ASSERT_EQ(double{middle}, (a + b) / 2);
    const std::uint16_t even = low % 2 == 0 ? low : high;
    ASSERT_EQ(to_small(middle).bits, even) << low;
    ASSERT_EQ(to_small(std::nextafter(middle, 0.0F)).bits, low) << low;
    ASSERT_EQ(to_small(std::nextafter(middle, INFINITY)).bits, high) << low;
    ASSERT_EQ(to_small(-middle).bits, even | 0x8000U) << low;
    ASSERT_EQ(to_small(std::nextafter(-middle, -INFINITY)).bits, high | 0x8000U) << low;
  }
}

TEST(Half, RoundsToNearestEven) {
  CheckRounding<Half>(0x7c00, [](float v) { return to_half(v); });
  EXPECT_EQ(to_half(65519.0F).bits, 0x7bffU);
  EXPECT_EQ(to_half(65520.0F).bits, 0x7c00U);
  EXPECT_EQ(to_half(1e30F).bits, 0x7c00U);
  EXPECT_EQ(to_half(-INFINITY).bits, 0xfc00U);
  EXPECT_EQ(to_half(1e-30F).bits, 0U);
  EXPECT_EQ(to_half(-0.0F).bits, 0x8000U);
}

TEST(BFloat16, RoundsToNearestEven) {
  CheckRounding<BFloat16>(0x7f80, [](float v) { return to_bfloat16(v); });
  EXPECT_EQ(to_bfloat16(std::numeric_limits<float>::max()).bits, 0x7f80U);
  EXPECT_EQ(to_bfloat16(-INFINITY).bits, 0xff80U);
}

TEST(Float8, EveryBitPatternHasItsMeaning) {
  const auto read = [](DType dtype, int bits) {
    Literal literal = Literal::uninitialized(dtype, {1});
    literal.mutable_raw()[0] = static_cast<std::byte>(bits);
    return literal.at(0);
  };
  for (int bits = 0; bits < 256; ++bits) {
    const double e5m2 = Meaning(static_cast<std::uint32_t>(bits), 5, 2);
    if (std::isnan(e5m2)) {
      EXPECT_TRUE(std::isnan(read(DType::kF8E5M2, bits)));
    } else {
      EXPECT_EQ(read(DType::kF8E5M2, bits), e5m2) << bits;
    }
    // The FN kind has no infinities and one NaN of each sign; the FNUZ kinds one NaN in place of -0 and a bias more.
    EXPECT_EQ(std::isnan(read(DType::kF8E4M3FN, bits)), (bits & 0x7f) == 0x7f);
    if (bits == 0x80) {
      EXPECT_TRUE(std::isnan(read(DType::kF8E4M3FNUZ, bits)));
      EXPECT_TRUE(std::isnan(read(DType::kF8E5M2FNUZ, bits)));
    } else if ((bits & 0x7f) < 0x78) {
      EXPECT_EQ(read(DType::kF8E4M3FN, bits), Meaning(static_cast<std::uint32_t>(bits), 4, 3)) << bits;
      EXPECT_EQ(read(DType::kF8E4M3FNUZ, bits), Meaning(static_cast<std::uint32_t>(bits), 4, 3) / 2) << bits;
      EXPECT_EQ(read(DType::kF8E5M2FNUZ, bits), Meaning(static_cast<std::uint32_t>(bits), 5, 2) / 2) << bits;
    }
  }
  EXPECT_EQ(read(DType::kF8E4M3FN, 0x7e), 448);
  EXPECT_EQ(read(DType::kF8E4M3FNUZ, 0x7f), 240);
  EXPECT_EQ(read(DType::kF8E5M2FNUZ, 0x7f), 57344);
  EXPECT_EQ(read(DType::kF8E5M2, 0xfc), -INFINITY);
}

}  // namespace
}  // namespace tenon
