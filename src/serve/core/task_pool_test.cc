#include "serve/core/task_pool.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <latch>
#include <system_error>
#include <thread>

#include "base/sanitizers.h"
#include "serve/core/batch_pool.h"

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

#if !defined(TENON_OWN_HEAP)  // a sanitizer's shadow leaves no room for a limit of the address space
/// From here on a thread's stack finds no room. A program that waits for a thread that never was is ended.
void AllowNoMoreThreads() {
  ::alarm(60);
  std::ifstream file("/proc/self/statm");
  rlim_t pages = 0;
  file >> pages;
  const rlim_t bytes = pages * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE)) + (rlim_t{2} << 20);
  const rlimit limit{bytes, bytes};
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &limit), 0);
}

TEST(TaskPoolDeathTest, TheThreadsThatAreThereDoTheWork) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        TaskPool pool(4, "test");
        std::atomic<int> ran{0};
        std::latch gate(1);
        bool taken = pool.Submit([&] { gate.wait(); });
        AllowNoMoreThreads();
        for (int i = 0; i < 20; ++i) taken = pool.Submit([&] { ++ran; }) && taken;
        pool.SetLimit(8);
        gate.count_down();
        const bool ended = pool.Stop();
        std::_Exit(taken && ended && ran == 20 ? 0 : 1);
      },
      ::testing::ExitedWithCode(0), "");
}

TEST(BatchPoolDeathTest, NotEvenOneThreadIsAnError) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        AllowNoMoreThreads();
        bool thrown = false;
        try {
          BatchPool pool(1);
        } catch (const std::system_error&) {
          thrown = true;
        }
        std::_Exit(thrown ? 0 : 1);
      },
      ::testing::ExitedWithCode(0), "");
}

/// Room for some of the threads.
TEST(BatchPoolDeathTest, SomeOfItsThreadsAreEnough) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        std::thread([] {}).join();  // its stack is kept for the next thread
        AllowNoMoreThreads();
        {
          const BatchPool pool(64);
        }
        std::_Exit(0);
      },
      ::testing::ExitedWithCode(0), "");
}
#endif

}  // namespace
}  // namespace tenon::serve
