#include "serve/core/adaptive_limit.h"

#include <gtest/gtest.h>

namespace tenon::serve {
namespace {

using std::chrono::microseconds;

/// Batches of the size that the limit says, each taking `fixed` + `each` * rows.
std::int64_t After(AdaptiveLimit& limit, int batches, microseconds fixed, microseconds each) {
  for (int i = 0; i < batches; ++i) limit.Learn(limit.limit(), fixed + each * limit.limit());
  return limit.limit();
}

TEST(AdaptiveLimitTest, GrowsWhileARowGetsCheaper) {
  AdaptiveLimit limit(1000);
  EXPECT_EQ(limit.limit(), 1);
  // Rows of 1010, 510, 260, 135, 72, 41, 26, 18, 14 and 12 us; 1024 rows are more than the most.
  EXPECT_EQ(After(limit, 9 * AdaptiveLimit::kTries, microseconds(1000), microseconds(10)), 512);
  AdaptiveLimit flat(1000);
  EXPECT_EQ(After(flat, 5 * AdaptiveLimit::kTries, microseconds(0), microseconds(10)), 1);
  AdaptiveLimit least(16);
  EXPECT_EQ(After(least, 9 * AdaptiveLimit::kTries, microseconds(1000), microseconds(10)), 16);
}

TEST(AdaptiveLimitTest, OneSlowBatchDecidesNothing) {
  AdaptiveLimit limit(8);
  for (int i = 0; i < 200; ++i)
    limit.Learn(limit.limit(), microseconds(i % 8 == 0 ? 50'000 : 100 + 10 * limit.limit()));
  EXPECT_EQ(limit.limit(), 8);
  AdaptiveLimit tried(8);
  for (int i = 0; i < AdaptiveLimit::kTries; ++i) tried.Learn(1, microseconds(100));
  EXPECT_EQ(tried.limit(), 2);
  tried.Learn(2, microseconds(10'000));  // the plan for two rows is made
  EXPECT_EQ(tried.limit(), 2) << "it is tried again";
  for (int i = 0; i < AdaptiveLimit::kTries; ++i) tried.Learn(2, microseconds(400));
  EXPECT_EQ(tried.limit(), 1) << "two rows do not pay";
}

TEST(AdaptiveLimitTest, ForgetsAndLearnsAnew) {
  AdaptiveLimit limit(64);
  EXPECT_EQ(After(limit, 500, microseconds(1000), microseconds(1)), 64);
  EXPECT_EQ(After(limit, 600, microseconds(0), microseconds(10)), 1);
}

TEST(AdaptiveLimitTest, WhatTakesLongNowAndThenIsNotShort) {
  AdaptiveLimit limit(1);
  for (int i = 0; i < 200; ++i) limit.Learn(1, microseconds(i % 4 == 0 ? 30'000 : 50));
  EXPECT_EQ(limit.LimitWithin(kShortRun), 0);
  for (int i = 0; i < 2000; ++i) limit.Learn(1, microseconds(50));
  EXPECT_EQ(limit.LimitWithin(kShortRun), 1);
}

TEST(AdaptiveLimitTest, WithinATime) {
  AdaptiveLimit limit(64);
  EXPECT_EQ(limit.LimitWithin(microseconds(250)), 0) << "nothing is known";
  limit.Learn(1, microseconds(40));
  EXPECT_EQ(limit.LimitWithin(microseconds(250)), 1);
  EXPECT_EQ(limit.LimitWithin(microseconds(39)), 0);
  After(limit, 100, microseconds(30), microseconds(10));
  EXPECT_EQ(limit.limit(), 16);  // a row costs 13.8 us at 8, 11.9 at 16, 10.9 at 32
  EXPECT_EQ(limit.LimitWithin(microseconds(250)), 16);
  EXPECT_EQ(limit.LimitWithin(microseconds(150)), 8);
}

TEST(AdaptiveLimitTest, TheFirstBatchOfASizeWithItsPlanDoesNotKeepTheSizeOut) {
  AdaptiveLimit limit(64);
  const auto batch = [](std::int64_t rows) { return microseconds(4 + rows); };
  bool planned[65] = {};
  for (int i = 0; i < 3 * AdaptiveLimit::kForget - 1; ++i) {  // as on an I/O thread: no more rows than fit
    const std::int64_t rows = std::max<std::int64_t>(limit.LimitWithin(microseconds(250)), 1);
    limit.Learn(rows, planned[rows] ? batch(rows) : microseconds(5000));
    planned[rows] = true;
  }
  EXPECT_EQ(limit.LimitWithin(microseconds(250)), 32);  // a row costs 1.125 us at 32, 1.06 at 64
}

TEST(AdaptiveLimitTest, ASizeThatIsTooSlowIsTriedAgainOnceInAWhile) {
  AdaptiveLimit limit(8);
  int tried = 0;
  const int batches = 5 * AdaptiveLimit::kForget;
  for (int i = 0; i < batches; ++i) {
    const std::int64_t rows = std::max<std::int64_t>(limit.LimitWithin(microseconds(250)), 1);
    tried += rows == 8;
    limit.Learn(rows, microseconds(rows == 8 ? 400 : 60 + 10 * rows));
  }
  EXPECT_GE(tried, 3);
  EXPECT_LE(tried, 5 * 2);
}

TEST(AdaptiveLimitTest, PaddedSizes) {
  std::int64_t sizes = 0, last = 0;
  for (std::int64_t rows = 1; rows <= 64; ++rows) {
    const std::int64_t padded = AdaptiveLimit::Padded(rows);
    EXPECT_GE(padded, rows);
    EXPECT_LE(padded, rows <= 8 ? rows : rows + rows / 4);
    EXPECT_EQ(AdaptiveLimit::Padded(padded), padded);
    sizes += padded != last;
    last = padded;
  }
  EXPECT_EQ(sizes, 20);
  EXPECT_EQ(AdaptiveLimit::Padded(65), 80);
}

}  // namespace
}  // namespace tenon::serve
