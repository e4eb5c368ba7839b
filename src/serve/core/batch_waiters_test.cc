// Who waits for a batch: those that go away, and those whose answer cannot be given.
#include <gtest/gtest.h>

#include <atomic>
#include <new>

#include "serve/core/batch_round.h"
#include "serve/core/batching_test_util.h"

namespace tenon::serve {
namespace {

using testing::BatchingTest;
using testing::Eventually;

struct Client : Waiter {
  bool gone() const override { return left; }
  std::atomic<bool> left{false};
};

struct BatchWaiters : BatchingTest {
  /// A request for `rows` rows of 1, whose answer is counted by its code.
  void Ask(const std::shared_ptr<Client>& client, std::int64_t rows = 1) {
    std::vector<Literal> in = {
        Literal::from<float>({rows, 1}, std::vector<float>(static_cast<std::size_t>(rows), 1.0F))};
    servable->RunAsync(servable->signatures()[0], std::move(in), {}, {kNoDeadline, client},
                       [this, rows](const Result<std::vector<Literal>>& outputs) {
                         const Code code = outputs.status().code();
                         if (code == Code::kOk) {
                           EXPECT_EQ((*outputs)[0].dims()[0], rows);
                           ++answered;
                         } else {
                           ++(code == Code::kCancelled ? cancelled : others);
                         }
                       });
  }
  std::int64_t RowsRun() {
    const std::lock_guard lock(mutex);
    std::int64_t rows = 0;
    for (const std::int64_t r : runs) rows += r;
    return rows;
  }
  std::atomic<int> answered{0}, cancelled{0}, others{0};
};

TEST_F(BatchWaiters, WhoHasGoneDoesNotRun) {
  Make({.max_batch_size = 8});
  auto busy = Occupy();
  const auto stays = std::make_shared<Client>(), goes = std::make_shared<Client>();
  for (int i = 0; i < 3; ++i) {
    Ask(stays);
    Ask(goes, 2);
  }
  Ask(goes, 8);  // a batch of its own
  Queued(17);
  goes->left = true;
  gate.count_down();
  busy.join();
  ASSERT_TRUE(Eventually([&] { return answered + cancelled == 7; }));
  EXPECT_EQ(answered, 3);
  EXPECT_EQ(cancelled, 4);
  EXPECT_EQ(RowsRun(), 1 + 3);
  EXPECT_EQ(runs.size(), 2) << "nothing runs for a batch that all have left";
}

TEST_F(BatchWaiters, WhoHasGoneDoesNotRunInARound) {
  gated = false;
  Make({.max_batch_size = 8, .adaptive = true});
  for (int i = 0; i < 40 && !servable->joins(); ++i) ASSERT_TRUE(Run({1, 1}, {1}).ok());
  if (!servable->joins()) GTEST_SKIP() << "this machine is too slow for rounds";
  const auto stays = std::make_shared<Client>(), goes = std::make_shared<Client>();
  const std::int64_t before = RowsRun();
  {
    BatchRound round;
    goes->left = true;
    Ask(goes);
    Ask(stays);
  }
  ASSERT_TRUE(Eventually([&] { return answered + cancelled == 2; }));
  EXPECT_EQ(cancelled, 1);
  EXPECT_EQ(RowsRun(), before + 1);
}

TEST_F(BatchWaiters, APieceOfALargeRequestThatHasGoneDoesNotRun) {
  Make({.max_batch_size = 10, .enable_large_batch_splitting = true, .max_execution_batch_size = 4});
  auto busy = Occupy();
  const auto goes = std::make_shared<Client>();
  Ask(goes, 10);
  Queued(10);
  goes->left = true;
  gate.count_down();
  busy.join();
  ASSERT_TRUE(Eventually([&] { return cancelled == 1; }));
  EXPECT_EQ(RowsRun(), 1);
}

TEST_F(BatchWaiters, AFullQueueMakesRoomOfThoseThatHaveGone) {
  Make({.max_batch_size = 2, .max_enqueued_batches = 3});
  auto busy = Occupy();
  const auto stays = std::make_shared<Client>(), goes = std::make_shared<Client>();
  Ask(goes, 2);
  Ask(stays, 1);
  Ask(goes, 1);
  Ask(goes, 1);
  Queued(5);
  Ask(stays, 2);
  EXPECT_EQ(others, 1) << "full";
  goes->left = true;
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  Ask(stays, 2);
  EXPECT_EQ(cancelled, 3) << "answered at once";
  Queued(3);
  Ask(stays, 2);
  Ask(stays, 2);
  EXPECT_EQ(others, 2) << "full again";
  gate.count_down();
  busy.join();
  ASSERT_TRUE(Eventually([&] { return answered == 3; })) << answered;
  EXPECT_EQ(RowsRun(), 1 + 1 + 2 + 2);
  Queued(0);
}

/// One request of a batch, good or bad, whose answer cannot be given.
TEST_F(BatchWaiters, AnAnswerThatCannotBeGivenConcernsNoOther) {
  for (const bool bad_input : {false, true}) {
    runs.clear();
    Make({.max_batch_size = 8});
    gated = false;
    std::latch held{1}, in{1};
    servable->RunAsync(servable->signatures()[0], {Literal::from<float>({1, 1}, {1})}, {}, kNoDeadline,
                       [&](const Result<std::vector<Literal>>&) {
                         in.count_down();
                         held.wait();  // the one thread of the pool
                       });
    in.wait();
    answered = 0;
    const auto client = std::make_shared<Client>();
    Ask(client);
    servable->RunAsync(servable->signatures()[0], {Literal::from<float>({1, 1}, {bad_input ? -1.0F : 1.0F})}, {},
                       kNoDeadline, [](const Result<std::vector<Literal>>&) { throw std::bad_alloc(); });
    servable->RunAsync(servable->signatures()[0], {Literal::from<float>({1, 1}, {1})}, {},
                       std::chrono::steady_clock::now(),
                       [](const Result<std::vector<Literal>>&) { throw std::bad_alloc(); });
    Ask(client);
    Queued(4);
    held.count_down();
    ASSERT_TRUE(Eventually([&] { return answered == 2; })) << bad_input;
    EXPECT_TRUE(Run({1, 1}, {1}).ok()) << "and the pool goes on";
  }
}

}  // namespace
}  // namespace tenon::serve
