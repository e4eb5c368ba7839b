#include "serve/core/task_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <latch>
#include <thread>

namespace tenon::serve {
namespace {

TEST(TaskPool, TheLimitMayChange) {
  TaskPool pool(4, "test");
  std::latch all(5);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(pool.Submit([&] { all.arrive_and_wait(); }));  // end only side by side
  all.arrive_and_wait();
  pool.SetLimit(1);
  std::atomic<int> now{0}, most{0}, ran{0};
  std::latch done(20);
  for (int i = 0; i < 20; ++i)
    ASSERT_TRUE(pool.Submit([&] {
      const int here = ++now;
      most = std::max(most.load(), here);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      --now;
      ++ran;
      done.count_down();
    }));
  done.wait();
  EXPECT_EQ(most, 1);
  EXPECT_EQ(ran, 20);
  pool.SetLimit(3);
  std::latch three(4);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(pool.Submit([&] { three.arrive_and_wait(); }));
  three.arrive_and_wait();
  EXPECT_TRUE(pool.Stop());
  EXPECT_FALSE(pool.Submit([] {}));
}

TEST(TaskPool, AHigherLimitServesWhatWaits) {
  TaskPool pool(1, "test");
  std::latch all(4);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(pool.Submit([&] { all.arrive_and_wait(); }));  // end only side by side
  pool.SetLimit(3);
  all.arrive_and_wait();
  EXPECT_TRUE(pool.Stop());
}

}  // namespace
}  // namespace tenon::serve
