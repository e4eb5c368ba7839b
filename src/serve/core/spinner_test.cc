#include "serve/core/spinner.h"

#include <gtest/gtest.h>

#include <thread>

namespace tenon::serve {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

/// An event right after the wait began.
void Soon(Spinner& spinner) {
  spinner.MaySleep();
  spinner.Waited(Clock::now(), true);
}

TEST(Spinner, AdaptiveSleepsUntilEventsComeSoon) {
  Spinner spinner({.time = milliseconds(50), .adaptive = true});
  EXPECT_TRUE(spinner.MaySleep());
  spinner.Waited(Clock::now() + std::chrono::seconds(1), true);
  EXPECT_TRUE(spinner.MaySleep()) << "it came late";
  spinner.Waited(Clock::now(), true);
  EXPECT_TRUE(spinner.MaySleep()) << "it came soon, once";
  for (int i = 0; i < 4; ++i) Soon(spinner);
  EXPECT_FALSE(spinner.MaySleep()) << "they came soon";
  spinner.Waited(Clock::now() + std::chrono::seconds(1), true);
  EXPECT_TRUE(spinner.MaySleep()) << "late again";
}

TEST(Spinner, AdaptiveEndsItsLook) {
  Spinner spinner({.time = milliseconds(5), .adaptive = true});
  for (int i = 0; i < 100; ++i) Soon(spinner);
  EXPECT_FALSE(spinner.MaySleep());
  std::this_thread::sleep_for(milliseconds(6));
  spinner.Waited(Clock::now(), false);
  EXPECT_TRUE(spinner.MaySleep());
}

TEST(Spinner, NothingIsDisturbed) {
  Spinner spinner(SpinOptions::Of(1'000'000));
  EXPECT_TRUE(spinner.MaySleep(true));
  EXPECT_FALSE(spinner.MaySleep(false));
}

TEST(Spinner, LateEventsCostMoreThanSoonOnesEarn) {
  Spinner spinner({.time = milliseconds(50), .adaptive = true});
  for (int i = 0; i < 100; ++i) Soon(spinner);
  int late = 0;
  for (; !spinner.MaySleep() && late < 100; ++late) spinner.Waited(Clock::now() + std::chrono::seconds(1), true);
  EXPECT_EQ(late, 3);
}

TEST(Spinner, AFixedTimeIsKeptAndZeroIsNever) {
  Spinner always(SpinOptions::Of(1'000'000)), never(SpinOptions::Of(0));
  for (int i = 0; i < 10; ++i) {
    EXPECT_FALSE(always.MaySleep());
    always.Waited(Clock::now(), false);
    EXPECT_TRUE(never.MaySleep());
    never.Waited(Clock::now(), true);
  }
  EXPECT_TRUE(SpinOptions::Of(-1).adaptive);
}

}  // namespace
}  // namespace tenon::serve
