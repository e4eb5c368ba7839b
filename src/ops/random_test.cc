// Random ops: the stream of words, moments, and the checks made from the samples.
#include <gtest/gtest.h>

#include <cmath>

#include "base/philox.h"
#include "ops/op_check.h"

namespace tenon::ir::ops {
namespace {

Literal State(std::uint64_t seed, std::uint64_t counter) { return Literal::from<std::uint64_t>({2}, {seed, counter}); }

TEST(RandomOps, Samples) { CheckFamily("random"); }

// Counter 0 under key 0: the known answer 6627e8d5 e169c58d bc57ac4c 9b00dbd8 of Salmon et al.
TEST(RandomOps, WordsOfTheKnownAnswer) {
  const Literal u = Eval("random_uniform", {State(0, 0)}, {{"dims", Shape({4})}})[0];
  const std::uint32_t words[] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
  for (int i = 0; i < 4; ++i) EXPECT_EQ(u.at(i), std::ldexp(words[i] >> 8, -24)) << i;
}

// Element i uses word i % 4 of block i / 4; seed and counter use all their bits.
TEST(RandomOps, BlocksSeedAndCounter) {
  const std::uint64_t seed = 0x0123456789abcdefULL, counter = 0xfedcba9876543210ULL;
  const Literal u =
      Eval("random_uniform", {State(seed, counter)}, {{"dims", Shape({3, 3})}, {"dtype", DType::kF64}})[0];
  for (std::uint32_t i = 0; i < 9; ++i) {
    const auto block = base::Philox({i / 4, 0, 0x76543210, 0xfedcba98}, {0x89abcdef, 0x01234567});
    EXPECT_EQ(u.at(i), std::ldexp(block[i % 4] >> 8, -24)) << i;
  }
}

TEST(RandomOps, Moments) {
  const std::int64_t n = 40000;
  const Literal z = Eval("random_normal", {State(7, 3)}, {{"dims", Shape({n})}, {"mean", 2.0}, {"stddev", 3.0}})[0];
  double sum = 0, squares = 0, fourth = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const double d = (z.at(i) - 2) / 3;
    sum += d;
    squares += d * d;
    fourth += d * d * d * d;
  }
  EXPECT_NEAR(sum / static_cast<double>(n), 0, 0.02);
  EXPECT_NEAR(squares / static_cast<double>(n), 1, 0.03);
  EXPECT_NEAR(fourth / static_cast<double>(n), 3, 0.2);
  const Literal b = Eval("random_bernoulli", {State(7, 4)}, {{"dims", Shape({n})}, {"probability", 0.3}})[0];
  double ones = 0;
  for (std::int64_t i = 0; i < n; ++i) ones += b.at(i);
  EXPECT_NEAR(ones / static_cast<double>(n), 0.3, 0.01);
}

// A small float type never rounds up to the end that is left out.
TEST(RandomOps, NarrowUniformStaysBelowOne) {
  for (const DType t : {DType::kF16, DType::kBF16}) {
    const Literal u = Eval("random_uniform", {State(1, 1)}, {{"dims", Shape({20000})}, {"dtype", t}})[0];
    for (std::int64_t i = 0; i < u.size(); ++i) ASSERT_LT(u.at(i), 1.0);
  }
}

TEST(RandomOps, DropoutKeepsTheSum) {
  const Literal ones = Eval("ones_like", {Literal(DType::kF32, {20000})})[0];
  const Literal y = Eval("dropout", {ones, State(5, 5)}, {{"rate", 0.75}})[0];
  double sum = 0;
  for (std::int64_t i = 0; i < y.size(); ++i) {
    ASSERT_TRUE(y.at(i) == 0 || y.at(i) == 4);
    sum += y.at(i);
  }
  EXPECT_NEAR(sum / 20000, 1, 0.05);
}

}  // namespace
}  // namespace tenon::ir::ops
