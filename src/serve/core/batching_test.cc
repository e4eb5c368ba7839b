#include "serve/core/batching.h"

#include <gtest/gtest.h>

#include <future>
#include <latch>
#include <limits>
#include <thread>

#include "serve/core/fake_servable.h"

namespace tenon::serve {
namespace {

using testing::FakeServable;

/// y = x + 1 on f32[-1, -1]; remembers the rows of each run; the first run waits for the gate.
struct BatchingTest : ::testing::Test {
  std::shared_ptr<ServerMetrics> metrics = std::make_shared<ServerMetrics>();
  std::mutex mutex;
  std::vector<std::int64_t> runs;
  std::latch gate{1}, entered{1};
  bool gated = true;
  std::unique_ptr<BatchingServable> servable;

  void Make(Batching batching, int threads = 1) {
    ASSERT_TRUE(CheckBatching(batching).ok()) << CheckBatching(batching).message();
    Signature s;
    s.name = "serving_default";
    s.inputs = {TensorInfo{.alias = "x", .dims = {-1, -1}}};
    s.outputs = {TensorInfo{.alias = "y", .dims = {-1, -1}}};
    auto inner = std::make_unique<FakeServable>(
        std::vector<Signature>{s}, [this](const Signature&, std::vector<Literal> in) -> Result<std::vector<Literal>> {
          bool first = false;
          {
            const std::lock_guard lock(mutex);
            runs.push_back(in[0].dims()[0]);
            first = gated && runs.size() == 1;
          }
          if (first) {
            entered.count_down();
            gate.wait();
          }
          for (float& v : in[0].mutable_data<float>()) {
            if (v < 0) return Status(Code::kInvalidArgument, "negative");
            v += 1;
          }
          return in;
        });
    servable = std::make_unique<BatchingServable>(ServableId{"m", 1}, std::move(inner), std::move(batching),
                                                  std::make_shared<BatchPool>(threads), metrics);
  }
  Result<std::vector<Literal>> Run(std::vector<std::int64_t> dims, std::vector<float> values,
                                   Deadline deadline = kNoDeadline) {
    std::vector<Literal> in = {Literal::from<float>(std::move(dims), values)};
    return servable->Run(servable->signatures()[0], std::move(in), {}, deadline);
  }
  /// Occupies the one thread of the pool until the gate opens.
  std::jthread Occupy() {
    std::jthread thread([this] { EXPECT_TRUE(Run({1, 1}, {0}).ok()); });
    entered.wait();
    return thread;
  }
  std::jthread Ask(float value, Result<std::vector<Literal>>* out, std::int64_t rows = 1,
                   Deadline deadline = kNoDeadline) {
    return std::jthread(
        [=, this] { *out = Run({rows, 1}, std::vector<float>(static_cast<std::size_t>(rows), value), deadline); });
  }
  void Queued(double rows) {
    ASSERT_TRUE(testing::Eventually([&] { return metrics->queue_length.At({"m", "1"}).value() == rows; }));
  }
};

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

TEST(MetricsTest, TextOfEachKind) {
  Metrics metrics;
  auto& counter = metrics.AddCounter(":a:b", {"model_name", "status"});
  counter.At({"m\"x\n", "OK"}).Add(3);
  metrics.AddGauge("g", {}).At({}).Set(1.5);
  auto& h = metrics.AddHistogram("h", {"m"}, ExponentialBounds(10, 1.8, 2)).At({"m"});
  h.Observe(10);
  h.Observe(11);
  h.Observe(1e9);
  EXPECT_EQ(metrics.Text(),
            "# TYPE :a:b counter\n:a:b{model_name=\"m\\\"x\\n\",status=\"OK\"} 3\n"
            "# TYPE g gauge\ng{} 1.5\n"
            "# TYPE h histogram\nh_bucket{m=\"m\",le=\"10\"} 1\nh_bucket{m=\"m\",le=\"18\"} 2\n"
            "h_bucket{m=\"m\",le=\"+Inf\"} 3\nh_sum{m=\"m\"} 1000000021\nh_count{m=\"m\"} 3\n");
  for (int i = 0; i < 5000; ++i) counter.At({std::to_string(i), "OK"}).Add();
  const std::string text = metrics.Text();
  EXPECT_NE(text.find("model_name=\"_other\",status=\"_other\"} 3001"), std::string::npos);
}

TEST(ServerMetricsTest, VersionsThatEndedLongAgoAreForgotten) {
  ServerMetrics metrics;
  constexpr int kVersions = 200;
  const auto has = [&](int version) {
    return metrics.registry.Text().find("version=\"" + std::to_string(version) + "\"") != std::string::npos;
  };
  for (int v = 1; v <= kVersions; ++v) {
    const ServableId id{"m", v};
    metrics.Began(id, "/m/" + std::to_string(v));
    metrics.load_attempts.At({"/m/" + std::to_string(v), "success"}).Add();
    metrics.Run(id, "serving_default", "predict", Code::kOk, std::chrono::microseconds(5));
    metrics.Stages(id, {}, {}, {});
    if (v == 100) continue;  // goes on
    metrics.Ended(id);
  }
  EXPECT_FALSE(has(1));
  EXPECT_FALSE(has(kVersions - 64));
  EXPECT_TRUE(has(kVersions - 63));
  EXPECT_TRUE(has(100));
  EXPECT_EQ(metrics.registry.Text().find("/m/1\""), std::string::npos);
  // One that is loaded anew from elsewhere before it is unloaded goes on.
  metrics.Began({"m", 100}, "/elsewhere/100");
  metrics.Ended({"m", 100});
  for (int v = 1000; v < 1100; ++v) {
    metrics.Began({"m", v}, "/m");
    metrics.Ended({"m", v});
  }
  EXPECT_TRUE(has(100));
  // One that comes back counts anew, on the thread that remembered its cells too.
  metrics.Began({"m", 1}, "/m/1");
  metrics.Run({"m", 1}, "serving_default", "predict", Code::kOk, std::chrono::microseconds(5));
  EXPECT_EQ(metrics.run_seconds.At({"m", "1", "serving_default"}).count(), 1);
}

TEST(ServerMetricsTest, AScrapeMakesNoCellsForForgottenVersions) {
  ServerMetrics metrics;
  std::vector<ServerMetrics::VersionState> all;
  const auto has = [&](const std::string& line) { return metrics.registry.Text().find(line) != std::string::npos; };
  for (int v = 1; v <= 70; ++v) {
    const ServableId id{"m", v};
    const std::string path = "/m/" + std::to_string(v);
    metrics.Began(id, path);
    metrics.model_memory.At({"m", std::to_string(v)}).Set(5);
    metrics.mlmd_map.At({"m", std::to_string(v)}).Set(1);
    metrics.warmup_records.At({path}).Add();
    metrics.warmup_latency.At({path, "OK"}).Observe(1);
    metrics.Ended(id);
    all.push_back({id, "END", true});
  }
  metrics.States(all);  // lists more than there are cells of
  EXPECT_FALSE(has("tenon_model_memory_bytes{model=\"m\",version=\"6\"}"));
  EXPECT_TRUE(has("tenon_model_memory_bytes{model=\"m\",version=\"7\"} 0\n"));
  EXPECT_FALSE(has(":tensorflow:serving:mlmd_map{model_name=\"m\",version=\"6\"}"));
  EXPECT_TRUE(has(":tensorflow:serving:mlmd_map{model_name=\"m\",version=\"7\"} 0\n"));
  EXPECT_FALSE(has("model_path=\"/m/6\"")) << "the warm-up's go too";
  EXPECT_TRUE(has(":tensorflow:serving:model_warmup_records_read{model_path=\"/m/7\"} 1\n"));
  EXPECT_TRUE(has("tenon_model_state{model=\"m\",version=\"6\",state=\"END\"} 1\n"));
  metrics.States({{{"m", 6}, "LOADING"}});
  EXPECT_TRUE(has("tenon_model_state{model=\"m\",version=\"6\",state=\"END\"} 0\n"));
  EXPECT_TRUE(has("tenon_model_state{model=\"m\",version=\"6\",state=\"LOADING\"} 1\n"));
  EXPECT_FALSE(has("tenon_model_state{model=\"m\",version=\"7\"")) << "not listed any more";
}

TEST(MetricsTest, LongLabelsHaveCellsOfTheirOwn) {
  Metrics metrics;
  auto& counter = metrics.AddCounter("c", {"model", "v"});
  const std::string same(300, 'x');
  counter.At({same + "a", "1"}).Add(1);
  counter.At({same + "b", "1"}).Add(2);
  EXPECT_EQ(counter.At({same + "a", "1"}).value(), 1);
  counter.Erase({same + "a", "1"});
  EXPECT_EQ(counter.At({same + "b", "1"}).value(), 2);
  EXPECT_EQ(counter.At({same + "a", "1"}).value(), 0);
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
