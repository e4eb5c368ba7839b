// For tests of batches: a batched servable whose first run can be held up.
#pragma once
#include <gtest/gtest.h>

#include <latch>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "serve/core/batching.h"
#include "serve/core/fake_servable.h"

namespace tenon::serve::testing {

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
    ASSERT_TRUE(Eventually([&] { return metrics->queue_length.At({"m", "1"}).value() == rows; }));
  }
};

}  // namespace tenon::serve::testing
