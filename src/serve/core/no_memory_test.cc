// What becomes of a task, and of a request that waits for its batch, when there is no memory for it.
#include "base/sanitizers.h"

#if !defined(TENON_OWN_HEAP)  // a sanitizer has its own operator new

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <stdexcept>

#include "serve/core/batching_test_util.h"
#include "serve/core/failing_new.h"
#include "serve/core/task_pool.h"

namespace tenon::serve {
namespace {

using testing::BatchingTest;
using testing::Eventually;
using testing::NoMemory;

TEST(NoMemory, ATaskIsTakenOrNot) {
  int refused = 0;
  for (const bool used : {false, true}) {
    for (int granted = 0; granted < 20; ++granted) {
      TaskPool pool(2, "test");
      std::atomic<int> ran{0}, before{0};
      if (used) {
        ASSERT_TRUE(pool.Submit([&] { ++before; }));
        ASSERT_TRUE(Eventually([&] { return before == 1; }));
      }
      const std::array<char, 100> large{};  // no std::function holds it in itself
      bool taken = false;
      {
        const NoMemory none(granted);
        taken = pool.Submit([&ran, large] { ran += 1 + large[0]; });
      }
      refused += taken ? 0 : 1;
      ASSERT_TRUE(pool.Submit([&] { ++before; })) << "it goes on";
      EXPECT_TRUE(pool.Stop());
      EXPECT_EQ(ran, taken ? 1 : 0) << granted;
      EXPECT_EQ(before, used ? 2 : 1);
      EXPECT_TRUE(taken || granted < 10) << "it takes no more than that";
    }
  }
  EXPECT_GE(refused, 3);
}

TEST(NoMemory, ATaskThatThrowsEndsItselfAlone) {
  TaskPool pool(1, "test");
  std::atomic<int> ran{0};
  ASSERT_TRUE(pool.Submit([] { throw std::bad_alloc(); }));
  ASSERT_TRUE(pool.Submit([] { throw std::runtime_error("of its own"); }));
  ASSERT_TRUE(pool.Submit([&] { ++ran; }));
  EXPECT_TRUE(pool.Stop());
  EXPECT_EQ(ran, 1);
}

/// What a request is told: its answer, an error, or (dropped) nothing.
struct Told {
  std::atomic<int> answers{0}, errors{0}, dropped{0};
  int all() const { return answers + errors + dropped; }
};
class Listener {
 public:
  explicit Listener(Told& told) : told_(&told) {}
  Listener(Listener&& other) noexcept : told_(std::exchange(other.told_, nullptr)) {}
  Listener& operator=(Listener&&) = delete;
  ~Listener() {
    if (told_ == nullptr) return;
    testing::granted = -1;
    ++told_->dropped;
  }
  void operator()(const Result<std::vector<Literal>>& outputs) {
    ++(outputs.ok() ? told_->answers : told_->errors);
    told_ = nullptr;
  }

 private:
  Told* told_;
};

struct BatchMemory : BatchingTest {
  void Ask(Told& told, std::int64_t rows, int granted) {
    std::vector<Literal> in = {
        Literal::from<float>({rows, 1}, std::vector<float>(static_cast<std::size_t>(rows), 1.0F))};
    Servable::Done done = Listener(told);
    const NoMemory none(granted);
    try {
      servable->RunAsync(servable->signatures()[0], std::move(in), {}, kNoDeadline, std::move(done));
    } catch (const std::bad_alloc&) {
    }
  }
};

TEST_F(BatchMemory, ARequestThatCannotBeQueuedIsNot) {
  for (const Batching& batching :
       {Batching{.max_batch_size = 8}, Batching{.max_batch_size = 2},
        Batching{.max_batch_size = 12, .enable_large_batch_splitting = true, .max_execution_batch_size = 4}}) {
    gated = false;
    Make(batching);
    EXPECT_TRUE(Run({1, 1}, {1}).ok());
    const std::int64_t rows = batching.max_batch_size;
    int failed = 0;
    for (int granted = 0; granted < 40; ++granted) {
      Told told;
      Ask(told, rows, granted);
      ASSERT_TRUE(Eventually([&] { return told.all() == 1; })) << granted;
      failed += told.answers == 0 ? 1 : 0;
      EXPECT_TRUE(Run({1, 1}, {1}).ok()) << "and the next one runs";
    }
    EXPECT_GT(failed, 0);
    EXPECT_LT(failed, 40);
    Queued(0);
  }
}

TEST_F(BatchMemory, ABatchThatCannotRunEndsItsRequestsAlone) {
  gated = false;
  Make({.max_batch_size = 8});
  for (int granted = 0; granted < 12; ++granted) {
    std::latch held{1}, in{1};
    servable->RunAsync(servable->signatures()[0], {Literal::from<float>({1, 1}, {1})}, {}, kNoDeadline,
                       [&](const Result<std::vector<Literal>>&) {
                         in.count_down();
                         held.wait();  // the one thread of the pool, which then has no memory
                         testing::granted = granted;
                       });
    in.wait();
    Told told;
    for (int i = 0; i < 3; ++i) Ask(told, 1, -1);
    Queued(3);
    held.count_down();
    ASSERT_TRUE(Eventually([&] { return told.all() == 3; })) << granted;
    EXPECT_TRUE(granted > 0 || told.answers == 0);
    std::atomic<bool> reset{false};
    servable->RunAsync(servable->signatures()[0], {Literal::from<float>({1, 1}, {1})}, {}, kNoDeadline,
                       [&](const Result<std::vector<Literal>>&) {
                         testing::granted = -1;
                         reset = true;
                       });
    ASSERT_TRUE(Eventually([&] { return reset.load(); })) << "the thread goes on";
    EXPECT_TRUE(Run({1, 1}, {1}).ok());
  }
}

}  // namespace
}  // namespace tenon::serve

#endif
