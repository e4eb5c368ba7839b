#include "serve/core/batching.h"

#include <gtest/gtest.h>

#include <future>
#include <limits>
#include <set>
#include <thread>

#include "serve/core/batching_test_util.h"

namespace tenon::serve {
namespace {

using testing::BatchingTest;
using testing::FakeServable;

TEST_F(BatchingTest, JoinsWhatWaitsAndGivesEachItsRows) {
  Make({.max_batch_size = 8, .allowed_batch_sizes = {4, 8}});
  auto busy = Occupy();
  Result<std::vector<Literal>> a = std::vector<Literal>(), b = a, c = a;
  {
    auto one = Ask(10, &a), two = Ask(20, &b, 2), three = Ask(30, &c, 2);
    Queued(5);
    gate.count_down();
  }
  busy.join();
  ASSERT_TRUE(a.ok() && b.ok() && c.ok());
  EXPECT_EQ((*a)[0].dims(), (std::vector<std::int64_t>{1, 1}));
  EXPECT_EQ((*a)[0].at(0), 11);
  EXPECT_EQ((*b)[0].dims(), (std::vector<std::int64_t>{2, 1}));
  EXPECT_EQ((*b)[0].at(1), 21);
  EXPECT_EQ((*c)[0].at(1), 31);
  EXPECT_EQ(runs, (std::vector<std::int64_t>{4, 8}));  // both padded to an allowed size
  EXPECT_EQ(metrics->wrapped_run_count.At({}).value(), 2);
}

TEST_F(BatchingTest, ABadRequestFailsAlone) {
  Make({.max_batch_size = 8});
  auto busy = Occupy();
  Result<std::vector<Literal>> good = std::vector<Literal>(), bad = good;
  {
    auto one = Ask(1, &good), two = Ask(-1, &bad);
    Queued(2);
    gate.count_down();
  }
  busy.join();
  ASSERT_TRUE(good.ok());
  EXPECT_EQ((*good)[0].at(0), 2);
  EXPECT_EQ(bad.status().message(), "negative");
}

TEST_F(BatchingTest, FullQueueTooLargeAndTooLate) {
  Make({.max_batch_size = 2, .max_enqueued_batches = 1});
  auto busy = Occupy();
  EXPECT_EQ(Run({3, 1}, {1, 2, 3}).status(),
            Status(Code::kInvalidArgument, "Task size 3 is larger than maximum input batch size 2"));
  Result<std::vector<Literal>> a = std::vector<Literal>();
  {
    auto one = Ask(1, &a, 2, std::chrono::steady_clock::now());
    Queued(2);
    EXPECT_EQ(Run({1, 1}, {1}).status(),
              Status(Code::kUnavailable,
                     "The batch scheduling queue to which this task was submitted is full; currently 1 batches "
                     "enqueued and max_enqueued_batches is 1"));
    gate.count_down();
  }
  busy.join();
  EXPECT_EQ(a.status(), Status(Code::kResourceExhausted, "Run() timeout exceeded while waiting in batching queue"));
}

TEST_F(BatchingTest, SplitsLargeInputs) {
  gated = false;
  Make({.max_batch_size = 10,
        .allowed_batch_sizes = {2, 4},
        .enable_large_batch_splitting = true,
        .max_execution_batch_size = 4});
  const auto out = Run({10, 1}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  ASSERT_TRUE(out.ok()) << out.status().message();
  ASSERT_EQ((*out)[0].dims(), (std::vector<std::int64_t>{10, 1}));
  for (int i = 0; i < 10; ++i) EXPECT_EQ((*out)[0].at(i), i + 1);
  EXPECT_EQ(runs, (std::vector<std::int64_t>{4, 4, 2}));
}

TEST_F(BatchingTest, PadsVariableLengths) {
  Make({.max_batch_size = 8, .pad_variable_length_inputs = true});
  auto busy = Occupy();
  Result<std::vector<Literal>> a = std::vector<Literal>(), b = a;
  {
    std::jthread one([&] { a = Run({1, 2}, {1, 2}); });
    Queued(1);
    std::jthread two([&] { b = Run({2, 3}, {3, 4, 5, 6, 7, 8}); });
    Queued(3);
    gate.count_down();
  }
  busy.join();
  ASSERT_TRUE(a.ok() && b.ok());
  ASSERT_EQ((*a)[0].dims(), (std::vector<std::int64_t>{1, 3}));
  EXPECT_EQ((*a)[0].at(2), 2);  // its own first element, plus one
  EXPECT_EQ((*b)[0].at(5), 9);
}

TEST_F(BatchingTest, DifferentShapesWithoutPaddingAreTriedAlone) {
  Make({.max_batch_size = 8});
  auto busy = Occupy();
  Result<std::vector<Literal>> a = std::vector<Literal>(), b = a;
  {
    std::jthread one([&] { a = Run({1, 2}, {1, 2}); });
    std::jthread two([&] { b = Run({1, 3}, {3, 4, 5}); });
    Queued(2);
    gate.count_down();
  }
  busy.join();
  EXPECT_TRUE(a.ok() && b.ok());
}

TEST_F(BatchingTest, WaitsForATimeout) {
  gated = false;
  Make({.max_batch_size = 2, .batch_timeout_micros = 20'000});
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_TRUE(Run({1, 1}, {1}).ok());
  EXPECT_GE(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds(20));
  Result<std::vector<Literal>> a = std::vector<Literal>(), b = a;
  {
    auto one = Ask(1, &a), two = Ask(2, &b);
  }
  EXPECT_EQ(runs.back(), 2);  // full before the time was over
}

TEST_F(BatchingTest, InputsWithoutRowsAndWithDifferentRows) {
  gated = false;
  Make({});
  EXPECT_EQ(Run({}, {1}).status().code(), Code::kInvalidArgument);
}

/// The mean rows of a batch when eight clients ask for a row each and a run takes `fixed` + `each` * rows.
double AdaptiveRows(std::chrono::microseconds fixed, std::chrono::microseconds each) {
  const auto metrics = std::make_shared<ServerMetrics>();
  Signature s;
  s.name = "serving_default";
  s.inputs = s.outputs = {TensorInfo{.alias = "x", .dims = {-1}}};
  auto inner = std::make_unique<FakeServable>(
      std::vector<Signature>{s}, [=](const Signature&, std::vector<Literal> in) -> Result<std::vector<Literal>> {
        std::this_thread::sleep_for(fixed + each * in[0].dims()[0]);
        return in;
      });
  BatchingServable servable({"m", 1}, std::move(inner), {.adaptive = true}, std::make_shared<BatchPool>(1), metrics);
  {
    std::vector<std::jthread> clients;
    for (int i = 0; i < 8; ++i)
      clients.emplace_back([&] {
        for (int k = 0; k < 30; ++k)
          EXPECT_TRUE(servable.Run(servable.signatures()[0], {Literal::from<float>({1}, {1})}, {}, kNoDeadline).ok());
      });
  }
  const Histogram& rows = metrics->batch_size.At({"m", "1"});
  return rows.sum() / static_cast<double>(rows.count());
}

TEST(AdaptiveBatching, JoinsOnlyWhereARowGetsCheaper) {
  using std::chrono::microseconds;
  // The costs are measured by the clock, and a busy machine disturbs them: one undisturbed time of five is asked for.
  const auto once_in_five = [](microseconds fixed, microseconds each, auto good) {
    double rows = 0;
    for (int i = 0; i < 5; ++i)
      if (rows = AdaptiveRows(fixed, each); good(rows)) return true;
    ADD_FAILURE() << rows << " rows a batch";
    return false;
  };
  EXPECT_TRUE(once_in_five(microseconds(2000), microseconds(10), [](double rows) { return rows > 2.0; }));
  EXPECT_TRUE(once_in_five(microseconds(0), microseconds(2000), [](double rows) { return rows < 1.5; }));
}

TEST(CheckBatchingTest, Refused) {
  EXPECT_FALSE(CheckBatching({.max_batch_size = 0}).ok());
  EXPECT_FALSE(CheckBatching({.max_batch_size = 8, .allowed_batch_sizes = {4, 2, 8}}).ok());
  EXPECT_FALSE(CheckBatching({.max_batch_size = 8, .allowed_batch_sizes = {2, 4}}).ok());
  EXPECT_FALSE(CheckBatching({.max_batch_size = 8, .max_execution_batch_size = 16}).ok());
  EXPECT_TRUE(CheckBatching({.max_batch_size = 8, .allowed_batch_sizes = {2, 8}}).ok());
}

TEST_F(BatchingTest, TimeoutsAndSizesWithoutEndAndTheEndOfAServable) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  gated = false;
  Make({.max_batch_size = kMost,
        .batch_timeout_micros = kMost,
        .enable_large_batch_splitting = true,
        .max_execution_batch_size = kMost});
  std::promise<Result<std::vector<Literal>>> answer;
  std::vector<Literal> in = {Literal::from<float>({2, 1}, {1, 2})};
  servable->RunAsync(servable->signatures()[0], std::move(in), {}, kNoDeadline,
                     [&](Result<std::vector<Literal>> outputs) { answer.set_value(std::move(outputs)); });
  auto future = answer.get_future();
  EXPECT_EQ(future.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);  // it waits for more
  servable.reset();                                                                        // runs what is queued
  ASSERT_EQ(future.wait_for(std::chrono::seconds(10)), std::future_status::ready);
  EXPECT_TRUE(future.get().ok());
}

TEST_F(BatchingTest, RunAsyncOnlyQueues) {
  Make({.max_batch_size = 8});
  std::atomic<int> answered{0};
  const auto ask = [&] {
    servable->RunAsync(servable->signatures()[0], {Literal::from<float>({1, 1}, {1})}, {}, kNoDeadline,
                       [&](const Result<std::vector<Literal>>& outputs) { answered += outputs.ok() ? 1 : 0; });
  };
  ask();
  entered.wait();  // on the pool's thread: this one came here
  for (int i = 0; i < 8; ++i) ask();
  Queued(8);
  gate.count_down();
  ASSERT_TRUE(testing::Eventually([&] { return answered == 9; }));
  EXPECT_EQ(runs, (std::vector<std::int64_t>{1, 8}));
}

TEST_F(BatchingTest, SignaturesWithoutFreeRowsRunOneByOne) {
  gated = false;
  Signature s;
  s.name = "serving_default";
  s.inputs = s.outputs = {TensorInfo{.alias = "x", .dims = {2}}};
  const std::thread::id here = std::this_thread::get_id();
  auto inner = std::make_unique<FakeServable>(
      std::vector<Signature>{s}, [&](const Signature&, std::vector<Literal> in) -> Result<std::vector<Literal>> {
        EXPECT_NE(std::this_thread::get_id(), here);
        return in;
      });
  BatchingServable one({"m", 1}, std::move(inner), {.max_batch_size = 1}, std::make_shared<BatchPool>(2), metrics);
  std::atomic<int> answered{0};
  for (int i = 0; i < 20; ++i)
    one.RunAsync(one.signatures()[0], {Literal::from<float>({2}, {1, 2})}, {}, kNoDeadline,
                 [&](const Result<std::vector<Literal>>& outputs) {
                   answered += outputs.ok() && (*outputs)[0].dims() == std::vector<std::int64_t>{2} ? 1 : 0;
                 });
  std::atomic<bool> late{false};
  one.RunAsync(
      one.signatures()[0], {Literal::from<float>({2}, {1, 2})}, {}, std::chrono::steady_clock::now(),
      [&](const Result<std::vector<Literal>>& outputs) { late = outputs.status().code() == Code::kDeadlineExceeded; });
  EXPECT_TRUE(testing::Eventually([&] { return answered == 20 && late; }));
}

/// y0 = x, y1 = x + 1, y2 = x + 2; remembers which sets of them it was asked for.
class ManyOutputs : public FakeServable {
 public:
  explicit ManyOutputs(std::set<std::vector<int>>& sets)
      : FakeServable({Make()},
                     [](const Signature&, std::vector<Literal> in) -> Result<std::vector<Literal>> {
                       std::vector<Literal> out(3, in[0]);
                       for (std::size_t k = 0; k < out.size(); ++k)
                         for (float& v : out[k].mutable_data<float>()) v += static_cast<float>(k);
                       return out;
                     }),
        sets_(sets) {}
  Result<std::vector<Literal>> Run(const Signature& signature, std::vector<Literal> inputs, std::span<const int> wanted,
                                   Deadline deadline) override {
    sets_.emplace(wanted.begin(), wanted.end());
    return FakeServable::Run(signature, std::move(inputs), wanted, deadline);
  }

 private:
  static Signature Make() {
    Signature s;
    s.name = "serving_default";
    s.inputs = {TensorInfo{.alias = "x", .dims = {-1}}};
    for (const char* alias : {"y0", "y1", "y2"}) s.outputs.push_back(TensorInfo{.alias = alias, .dims = {-1}});
    return s;
  }
  std::set<std::vector<int>>& sets_;
};

// A client says which outputs it wants, in any order and as often as it likes.
TEST_F(BatchingTest, SetsOfOutputsDoNotMakeQueuesWithoutEnd) {
  std::set<std::vector<int>> sets;
  BatchingServable many({"m", 1}, std::make_unique<ManyOutputs>(sets), {.max_batch_size = 4},
                        std::make_shared<BatchPool>(1), metrics);
  for (int i = 0; i < 81; ++i) {
    const std::vector<int> wanted = {i % 3, i / 3 % 3, i / 9 % 3, i / 27 % 3};
    const auto out = many.Run(many.signatures()[0], {Literal::from<float>({2}, {10, 20})}, wanted, kNoDeadline);
    ASSERT_TRUE(out.ok() && out->size() == wanted.size());
    for (std::size_t k = 0; k < wanted.size(); ++k) EXPECT_EQ((*out)[k].at(1), 20 + wanted[k]);
  }
  EXPECT_EQ(sets.size(), 33U);  // the first 32, and all outputs
}

TEST_F(BatchingTest, APoolInAHurryWaitsForNoCompany) {
  gated = false;
  const auto pool = std::make_shared<BatchPool>(1);
  Signature s;
  s.name = "serving_default";
  s.inputs = s.outputs = {TensorInfo{.alias = "x", .dims = {-1}}};
  BatchingServable lonely({"m", 1},
                          std::make_unique<FakeServable>(std::vector<Signature>{s},
                                                         [](const Signature&, std::vector<Literal> in) {
                                                           return Result<std::vector<Literal>>(std::move(in));
                                                         }),
                          {.max_batch_size = 8, .batch_timeout_micros = 3'600'000'000}, pool, metrics);
  std::atomic<int> answered{0};
  const auto ask = [&] {
    lonely.RunAsync(lonely.signatures()[0], {Literal::from<float>({1}, {1})}, {}, kNoDeadline,
                    [&](const Result<std::vector<Literal>>&) { ++answered; });
  };
  ask();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(answered, 0);
  pool->RunAtOnce();
  EXPECT_TRUE(testing::Eventually([&] { return answered == 1; }));
  ask();
  EXPECT_TRUE(testing::Eventually([&] { return answered == 2; })) << "what comes later does not wait either";
}

}  // namespace
}  // namespace tenon::serve
