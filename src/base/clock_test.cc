#include "base/clock.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <thread>

namespace tenon::base {
namespace {

TEST(Clock, StopwatchMeasures) {
  Stopwatch watch;
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  const double first = watch.Seconds();
  EXPECT_GE(first, 0.005);
  EXPECT_GE(watch.Seconds(), first);
  watch.Reset();
  EXPECT_LT(watch.Seconds(), first + 1);
}

TEST(Clock, WallTimeCanBeFixed) {
  ::unsetenv("SOURCE_DATE_EPOCH");
  EXPECT_GT(WallMicroseconds(), std::int64_t{1700000000} * 1000000);
  ::setenv("SOURCE_DATE_EPOCH", "1234567890", 1);
  EXPECT_EQ(WallMicroseconds(), std::int64_t{1234567890} * 1000000);
  ::setenv("SOURCE_DATE_EPOCH", "soon", 1);
  EXPECT_GT(WallMicroseconds(), std::int64_t{1700000000} * 1000000);
  ::unsetenv("SOURCE_DATE_EPOCH");
}

TEST(Clock, Text) {
  EXPECT_EQ(Iso8601(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(Iso8601(std::int64_t{1234567890} * 1000000 + 999999), "2009-02-13T23:31:30Z");
  EXPECT_EQ(Iso8601(-1), "1969-12-31T23:59:59Z");
}

}  // namespace
}  // namespace tenon::base
