#include "base/philox.h"

#include <gtest/gtest.h>

#include <vector>

namespace tenon::base {
namespace {

using Block = std::array<std::uint32_t, 4>;

// The vectors that the authors publish with their library.
TEST(Philox, KnownVectors) {
  EXPECT_EQ(Philox({0, 0, 0, 0}, {0, 0}), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr std::uint32_t kOnes = 0xffffffffU;
  EXPECT_EQ(Philox({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(PhiloxStream, StreamsAreReproducibleAndDiffer) {
  PhiloxStream a(7, 3), b(7, 3), c(7, 4), d(8, 3);
  int same_c = 0, same_d = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::uint32_t bits = a.Bits();
    EXPECT_EQ(bits, b.Bits());
    same_c += bits == c.Bits();
    same_d += bits == d.Bits();
  }
  EXPECT_EQ(same_c, 0);
  EXPECT_EQ(same_d, 0);
}

TEST(PhiloxStream, DrawsHaveTheirDistribution) {
  PhiloxStream random(1, 0);
  constexpr int kDraws = 100000;
  double sum = 0, square = 0, normal = 0, normal_square = 0;
  std::vector<int> counts(7, 0);
  for (int i = 0; i < kDraws; ++i) {
    const double u = random.Uniform(), z = random.Normal();
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    sum += u;
    square += u * u;
    normal += z;
    normal_square += z * z;
    ++counts[random.Below(7)];
  }
  EXPECT_NEAR(sum / kDraws, 0.5, 0.005);
  EXPECT_NEAR(square / kDraws, 1.0 / 3, 0.005);
  EXPECT_NEAR(normal / kDraws, 0, 0.015);
  EXPECT_NEAR(normal_square / kDraws, 1, 0.02);
  for (const int count : counts) EXPECT_NEAR(count, kDraws / 7.0, 500);
  EXPECT_EQ(random.Below(1), 0U);
}

}  // namespace
}  // namespace tenon::base
