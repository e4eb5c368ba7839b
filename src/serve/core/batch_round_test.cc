#include "serve/core/batch_round.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "serve/core/batching.h"
#include "serve/core/fake_servable.h"

namespace tenon::serve {
namespace {

using testing::FakeServable;

/// A model of rows that counts its runs, each of which takes `fixed`.
struct RoundTest : ::testing::Test {
  const std::shared_ptr<ServerMetrics> metrics = std::make_shared<ServerMetrics>();
  std::atomic<int> runs{0};
  std::unique_ptr<BatchingServable> servable;

  /// `fails`: at once, on a negative value.
  void Make(std::chrono::microseconds fixed, bool fails = false) {
    Signature s;
    s.name = "serving_default";
    s.inputs = s.outputs = {TensorInfo{.alias = "x", .dims = {-1}}};
    auto inner = std::make_unique<FakeServable>(
        std::vector<Signature>{s},
        [=, this](const Signature&, std::vector<Literal> in) -> Result<std::vector<Literal>> {
          ++runs;
          if (fails && in[0].size() > 0 && in[0].at(0) < 0) return Status(Code::kInvalidArgument, "negative");
          const auto until = std::chrono::steady_clock::now() + fixed;
          while (std::chrono::steady_clock::now() < until) {
          }
          return in;
        });
    servable = std::make_unique<BatchingServable>(ServableId{"m", 1}, std::move(inner), Batching{.adaptive = true},
                                                  std::make_shared<BatchPool>(1), metrics);
  }
  /// Submits the rows 0, 1, … `count` - 1 in one round; true when each got its own back.
  bool Ask(int count) {
    std::atomic<int> right{0}, wrong{0};
    {
      BatchRound round;
      for (int i = 0; i < count; ++i)
        servable->RunAsync(servable->signatures()[0], {Literal::from<float>({1}, {static_cast<float>(i)})}, {},
                           kNoDeadline, [&, i](const Result<std::vector<Literal>>& outputs) {
                             ++(outputs.ok() && (*outputs)[0].size() == 1 && (*outputs)[0].at(0) == i ? right : wrong);
                           });
    }
    return testing::Eventually([&] { return right + wrong == count; }) && wrong == 0;
  }
};

TEST_F(RoundTest, JoinsWhatItsThreadHas) {
  Make(std::chrono::microseconds(20));
  EXPECT_FALSE(servable->joins()) << "nothing is known of it";
  EXPECT_TRUE(Ask(5)) << "the pool runs them";
  for (int i = 0; i < 1000 && !servable->joins(); ++i) EXPECT_TRUE(Ask(1));  // the machine may be busy
  EXPECT_TRUE(servable->joins());
  bool joined = false;
  for (int i = 0; i < 100 && !joined; ++i) {  // the size grows by what the clock says, and the machine may be busy
    runs = 0;
    EXPECT_TRUE(Ask(16));
    joined = runs <= 4;
  }
  EXPECT_TRUE(joined);
  // Nobody waits in Run for the round to end.
  BatchRound round;
  EXPECT_TRUE(servable->Run(servable->signatures()[0], {Literal::from<float>({1}, {7})}, {}, kNoDeadline).ok());
}

TEST_F(RoundTest, WhatFailsOrIsEmptyMakesNoModelFast) {
  Make(std::chrono::milliseconds(2), true);
  EXPECT_TRUE(Ask(2));
  for (int i = 0; i < 20; ++i) {
    std::promise<std::thread::id> ran_on;
    {
      BatchRound round;
      servable->RunAsync(servable->signatures()[0], {Literal::from<float>({1}, {-1})}, {}, kNoDeadline,
                         [&](const Result<std::vector<Literal>>& outputs) {
                           EXPECT_FALSE(outputs.ok());
                           ran_on.set_value(std::this_thread::get_id());
                         });
    }
    EXPECT_NE(ran_on.get_future().get(), std::this_thread::get_id());
  }
  EXPECT_FALSE(servable->joins());
  std::promise<std::thread::id> ran_on;
  {
    BatchRound round;
    servable->RunAsync(servable->signatures()[0], {Literal(DType::kF32, {0})}, {}, kNoDeadline,
                       [&](const Result<std::vector<Literal>>&) { ran_on.set_value(std::this_thread::get_id()); });
  }
  EXPECT_NE(ran_on.get_future().get(), std::this_thread::get_id()) << "no rows";
}

TEST_F(RoundTest, ManyMayWaitBeforeAnythingIsKnown) {
  Make(std::chrono::microseconds(20));
  EXPECT_TRUE(Ask(500));
}

TEST_F(RoundTest, WhatTakesLongRunsElsewhere) {
  Make(std::chrono::milliseconds(2));
  EXPECT_TRUE(Ask(2));
  EXPECT_FALSE(servable->joins());
  const auto caller = std::this_thread::get_id();
  std::promise<std::thread::id> ran_on;
  {
    BatchRound round;
    servable->RunAsync(servable->signatures()[0], {Literal::from<float>({1}, {1})}, {}, kNoDeadline,
                       [&](const Result<std::vector<Literal>>&) { ran_on.set_value(std::this_thread::get_id()); });
  }
  EXPECT_NE(ran_on.get_future().get(), caller);
}

}  // namespace
}  // namespace tenon::serve
