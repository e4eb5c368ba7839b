// Batched models behind the whole gRPC server: calls wait for their batch without a thread.
#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <mutex>
#include <thread>

#include "serve/core/batching.h"
#include "serve/core/fake_servable.h"
#include "serve/grpc/grpc_server.h"
#include "serve/grpc_http2/http2_transport.h"
#include "serve/grpc_transport/client_test_util.h"

namespace tenon::serve {
namespace {

using namespace testing_grpc;
using Clock = std::chrono::steady_clock;

/// Model b: y = x + 1, batched by one thread; its first run waits at the gate. With the gRPC library on the server's
/// side and with our own HTTP/2; two workers, one I/O thread.
class Batched : public ::testing::TestWithParam<bool> {
 protected:
  void Open(const Batching& batching) {
    ManagerOptions options;
    options.tick = milliseconds(1);
    options.loaders = MakeLoaderFactory([this, batching](const ServableId& id, const std::string&) {
      Signature s;
      s.name = "serving_default";
      s.inputs = {TensorInfo{.alias = "x", .dims = {-1}}};
      s.outputs = {TensorInfo{.alias = "y", .dims = {-1}}};
      const auto run = [this](const Signature&, std::vector<Literal> in) -> Result<std::vector<Literal>> {
        const bool first = runs_++ == 0;
        rows_ += in[0].dims()[0];
        if (first) {
          entered_.count_down();
          gate_.wait();
        }
        for (float& v : in[0].mutable_data<float>()) v += 1;
        return in;
      };
      return Result<std::unique_ptr<Servable>>(std::make_unique<BatchingServable>(
          id, std::make_unique<testing::FakeServable>(std::vector<Signature>{s}, run), batching, pool_, metrics_));
    });
    manager_ = std::make_shared<Manager>(std::move(options), std::make_shared<StateMonitor>());
    manager_->SetAspired("b", {{1, "/b/1"}});
    ASSERT_TRUE(testing::Eventually([&] { return manager_->serving().Latest("b").ok(); }));
    GrpcServerOptions server{.address = "127.0.0.1", .port = kFreePort, .io_threads = 1, .worker_threads = 2};
    if (GetParam()) server.transport = MakeHttp2Transport;
    server_ = std::make_unique<GrpcServer>(
        std::move(server),
        std::make_shared<GrpcHandler>(GrpcHandlerOptions{}, manager_, std::make_shared<Invoker>(metrics_), nullptr));
    ASSERT_TRUE(server_->Start().ok());
  }
  void TearDown() override {
    if (!opened_) gate_.count_down();
  }
  void OpenGate() {
    opened_ = true;
    gate_.count_down();
  }
  std::shared_ptr<grpc::Channel> Channel() const { return ChannelTo("127.0.0.1:" + std::to_string(server_->port())); }
  void Queued(double rows) {
    ASSERT_TRUE(testing::Eventually([&] { return metrics_->queue_length.At({"b", "1"}).value() == rows; }))
        << metrics_->queue_length.At({"b", "1"}).value();
  }
  /// The one value of a reply.
  static float Value(const Answer& answer) {
    const std::size_t at = answer.bytes.find(std::string("\x2a\x04", 2));
    float value = -1;
    if (answer.status.ok() && at != std::string::npos) std::memcpy(&value, answer.bytes.data() + at + 2, sizeof value);
    return value;
  }

  std::shared_ptr<ServerMetrics> metrics_ = std::make_shared<ServerMetrics>();
  std::shared_ptr<BatchPool> pool_ = std::make_shared<BatchPool>(1);
  std::atomic<int> runs_{0};
  std::atomic<std::int64_t> rows_{0};
  std::latch gate_{1}, entered_{1};
  bool opened_ = false;
  std::shared_ptr<Manager> manager_;
  std::unique_ptr<GrpcServer> server_;
};

TEST_P(Batched, AThousandCallsWaitWithoutAThread) {
  Open({.max_batch_size = 64, .max_enqueued_batches = 100});
  const auto one = Channel(), two = Channel();
  Calls calls;
  std::vector<Calls::One*> all;
  all.push_back(&calls.Start(one, kPredict, PredictX("b", {0})));
  entered_.wait();
  for (int i = 1; i < 1000; ++i)
    all.push_back(&calls.Start(i % 2 ? one : two, kPredict, PredictX("b", {static_cast<float>(i)})));
  Queued(999);
  OpenGate();
  calls.Wait();
  for (int i = 0; i < 1000; ++i) {
    const Answer& answer = all[static_cast<std::size_t>(i)]->answer;
    ASSERT_EQ(Value(answer), static_cast<float>(i + 1)) << answer.status.error_message();
  }
  EXPECT_EQ(runs_, 1 + 16) << "999 rows in batches of 64";
}

TEST_P(Batched, AClientThatGoesAwayTakesNothingFromTheOthers) {
  Open({.max_batch_size = 8, .max_enqueued_batches = 100});
  const auto stays = Channel();
  auto goes = Channel();
  Calls calls;
  Calls::One& first = calls.Start(stays, kPredict, PredictX("b", {0}));
  entered_.wait();
  std::vector<Calls::One*> kept, cancelled;
  for (int i = 0; i < 5; ++i) {
    kept.push_back(&calls.Start(stays, kPredict, PredictX("b", {10})));
    cancelled.push_back(&calls.Start(stays, kPredict, PredictX("b", {20})));
  }
  Queued(10);
  {
    Calls lost;
    for (int i = 0; i < 5; ++i) cancelled.push_back(&lost.Start(goes, kPredict, PredictX("b", {30})));
    Queued(15);
    for (Calls::One* call : cancelled) call->context.TryCancel();
    lost.Wait();
    // What these channels send now comes behind the cancellations.
    for (const auto& channel : {stays, goes})
      EXPECT_EQ(Call(channel, kStatus, StatusOf("b")).status.error_code(), grpc::StatusCode::OK);
    std::this_thread::sleep_for(milliseconds(100));
    for (std::size_t i = 5; i < 10; ++i)
      EXPECT_EQ(cancelled[i]->answer.status.error_code(), grpc::StatusCode::CANCELLED);
    cancelled.resize(5);
  }
  goes.reset();  // the whole connection
  OpenGate();
  calls.Wait();
  EXPECT_EQ(Value(first.answer), 1);
  for (const Calls::One* call : kept) EXPECT_EQ(Value(call->answer), 11) << call->answer.status.error_message();
  for (const Calls::One* call : cancelled) EXPECT_EQ(call->answer.status.error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_EQ(rows_, 1 + 5) << "what nobody waits for does not run";
  EXPECT_EQ(Value(Call(stays, kPredict, PredictX("b", {1}))), 2);
  // Nothing holds the version any more.
  server_->Stop(Clock::now() + std::chrono::seconds(10));
  EXPECT_TRUE(manager_->Stop(Clock::now() + std::chrono::seconds(10)).ok());
}

TEST_P(Batched, ADeadlineThatPassesInTheQueue) {
  Open({.max_batch_size = 2, .max_enqueued_batches = 100});
  const auto channel = Channel();
  Calls calls;
  Calls::One& first = calls.Start(channel, kPredict, PredictX("b", {0}));
  entered_.wait();
  Calls::One& late = calls.Start(channel, kPredict, PredictX("b", {1}), milliseconds(50));
  Queued(1);
  std::this_thread::sleep_for(milliseconds(80));
  Calls::One& next = calls.Start(channel, kPredict, PredictX("b", {2}));
  Queued(2);
  OpenGate();
  calls.Wait();
  EXPECT_EQ(Value(first.answer), 1);
  EXPECT_EQ(Value(next.answer), 3);
  EXPECT_EQ(late.answer.status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(rows_, 2) << "what nobody waits for does not run";
}

TEST_P(Batched, AStopAnswersWhatIsQueued) {
  Open({.max_batch_size = 1, .max_enqueued_batches = 20});
  const auto channel = Channel();
  Calls calls;
  std::vector<Calls::One*> all = {&calls.Start(channel, kPredict, PredictX("b", {1}))};
  entered_.wait();
  for (int i = 0; i < 20; ++i) all.push_back(&calls.Start(channel, kPredict, PredictX("b", {1})));
  Queued(20);
  const Answer full = Call(channel, kPredict, PredictX("b", {1}));
  EXPECT_EQ(full.status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_NE(full.status.error_message().find("queue to which this task was submitted is full"), std::string::npos);
  std::jthread stop([&] { server_->Stop(Clock::now() + std::chrono::seconds(20)); });
  std::this_thread::sleep_for(milliseconds(100));
  OpenGate();
  calls.Wait();
  stop.join();
  for (const Calls::One* call : all) EXPECT_EQ(Value(call->answer), 2) << call->answer.status.error_message();
}

TEST_P(Batched, AStopThatIsOutOfTimeStillWaitsForTheModel) {
  Open({.max_batch_size = 1, .max_enqueued_batches = 20});
  const auto channel = Channel();
  Calls calls;
  for (int i = 0; i < 3; ++i) calls.Start(channel, kPredict, PredictX("b", {1}));
  entered_.wait();
  std::atomic<bool> stopped{false};
  std::jthread stop([&] {
    server_->Stop(Clock::now() + milliseconds(100));
    stopped = true;
  });
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_FALSE(stopped);
  OpenGate();
  stop.join();
  calls.Wait();
}

TEST_P(Batched, AServerThatStopsWaitsForNoCompany) {
  Open({.max_batch_size = 100, .batch_timeout_micros = 3'600'000'000, .max_enqueued_batches = 20});
  OpenGate();
  Calls calls;
  Calls::One& one = calls.Start(Channel(), kPredict, PredictX("b", {1}));
  Queued(1);
  pool_->RunAtOnce();
  server_->Stop(Clock::now() + std::chrono::seconds(20));
  calls.Wait();
  EXPECT_EQ(Value(one.answer), 2) << one.answer.status.error_message();
}

INSTANTIATE_TEST_SUITE_P(Library, Batched, ::testing::Values(false));
INSTANTIATE_TEST_SUITE_P(Http2, Batched, ::testing::Values(true));

}  // namespace
}  // namespace tenon::serve
