// How a batched servable ends when nobody is left but a request of its.
#include <gtest/gtest.h>

#include <latch>

#include "serve/core/batching.h"
#include "serve/core/fake_servable.h"
#include "serve/core/manager.h"

namespace tenon::serve {
namespace {

using testing::FakeServable;

/// The callbacks of requests hold the version; when the manager is gone, the last one of them takes the servable and
/// the pool with it, on one of the pool's own threads.
TEST(BatchingEnd, TheLastHandleMayDieOnABatchThread) {
  for (int i = 0; i < 20; ++i) {
    const int before = FakeServable::alive;
    std::latch entered{1}, gate{1};
    const auto metrics = std::make_shared<ServerMetrics>();
    std::atomic<int> answered{0};
    {
      Signature s;
      s.name = "serving_default";
      s.inputs = s.outputs = {TensorInfo{.alias = "x", .dims = {-1}}};
      ManagerOptions options;
      options.tick = std::chrono::milliseconds(1);
      options.loaders = MakeLoaderFactory([&, pool = std::make_shared<BatchPool>(2)](const ServableId& id,
                                                                                     const std::string&) {
        auto inner = std::make_unique<FakeServable>(
            std::vector<Signature>{s}, [&](const Signature&, std::vector<Literal> in) -> Result<std::vector<Literal>> {
              entered.count_down();
              gate.wait();
              return in;
            });
        return Result<std::unique_ptr<Servable>>(std::make_unique<BatchingServable>(
            id, std::move(inner), Batching{.max_batch_size = 4, .batch_timeout_micros = 1}, pool, metrics));
      });
      Manager manager(std::move(options), std::make_shared<StateMonitor>());
      manager.SetAspired("m", {{1, "/m/1"}});
      ASSERT_TRUE(testing::Eventually([&] { return manager.serving().Latest("m").ok(); }));
      {
        const ServableHandle handle = manager.serving().Latest("m").value();
        handle->RunAsync(handle->signatures()[0], {Literal::from<float>({1}, {1})}, {}, kNoDeadline,
                         [handle, &answered](const Result<std::vector<Literal>>&) { ++answered; });
      }
      entered.wait();
      EXPECT_EQ(manager.Stop(std::chrono::steady_clock::now()).code(), Code::kDeadlineExceeded);
    }
    EXPECT_EQ(FakeServable::alive, before + 1);
    gate.count_down();
    ASSERT_TRUE(testing::Eventually([&] { return answered == 1 && FakeServable::alive == before; }));
  }
}

}  // namespace
}  // namespace tenon::serve
