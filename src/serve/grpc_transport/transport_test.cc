// The server as clients see it, with the gRPC library's generic client and messages made by hand.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "serve/core/fake_servable.h"
#include "serve/grpc/grpc_server.h"
#include "serve/grpc_http2/http2_transport.h"
#include "serve/grpc_transport/client_test_util.h"

namespace tenon::serve {
namespace {

using namespace testing_grpc;
using Clock = std::chrono::steady_clock;

/// With the gRPC library on the server's side too, and with our own HTTP/2.
class Transport : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    ManagerOptions options;
    options.tick = milliseconds(1);
    options.loaders =
        MakeLoaderFactory([this](const ServableId& id, const std::string&) -> Result<std::unique_ptr<Servable>> {
          if (id.name == "m") return testing::Affine(0.5F, 2);
          Signature s;
          s.name = "serving_default";
          s.inputs = {TensorInfo{.alias = "x"}};
          s.outputs = {TensorInfo{.alias = "y"}};
          return std::make_unique<testing::FakeServable>(std::vector<Signature>{s},
                                                         [this](const Signature&, std::vector<Literal> in) {
                                                           ++runs_;
                                                           std::this_thread::sleep_for(milliseconds(200));
                                                           return Result<std::vector<Literal>>(std::move(in));
                                                         });
        });
    manager_ = std::make_shared<Manager>(std::move(options), std::make_shared<StateMonitor>());
    manager_->SetAspired("m", {{1, "/m/1"}});
    manager_->SetAspired("slow", {{1, "/s/1"}});
    ASSERT_TRUE(testing::Eventually(
        [&] { return manager_->serving().Latest("m").ok() && manager_->serving().Latest("slow").ok(); }));
  }
  void TearDown() override { channels_.clear(); }

  Status Open(GrpcServerOptions options) {
    if (options.address.empty()) options.address = "127.0.0.1";
    if (GetParam()) options.transport = MakeHttp2Transport;
    server_ = std::make_unique<GrpcServer>(std::move(options), Handler());
    return server_->Start();
  }
  std::shared_ptr<GrpcHandler> Handler() {
    return std::make_shared<GrpcHandler>(GrpcHandlerOptions{}, manager_,
                                         std::make_shared<Invoker>(std::make_shared<ServerMetrics>()), nullptr);
  }
  std::shared_ptr<grpc::Channel> Channel(const std::string& target = "",
                                         const std::shared_ptr<grpc::ChannelCredentials>& credentials = nullptr) {
    return ChannelTo(target.empty() ? "127.0.0.1:" + std::to_string(server_->port()) : target, credentials);
  }

  std::atomic<int> runs_{0};
  std::shared_ptr<Manager> manager_;
  std::unique_ptr<GrpcServer> server_;
  std::vector<std::shared_ptr<grpc::Channel>> channels_;
};

TEST_P(Transport, UnaryCalls) {
  ASSERT_TRUE(Open({.port = kFreePort}).ok());
  const auto channel = Channel();
  const Answer good = Call(channel, kPredict, PredictX("m", {2, 4}));
  ASSERT_TRUE(good.status.ok()) << good.status.error_message();
  EXPECT_NE(good.bytes.find(std::string("\x00\x00\x40\x40\x00\x00\x80\x40", 8)), std::string::npos) << "3 and 4";
  const Answer none = Call(channel, kPredict, PredictX("none", {1}));
  EXPECT_EQ(none.status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(none.status.error_message(), "Servable not found for request: Latest(none)");
  EXPECT_EQ(Call(channel, "/tensorflow.serving.PredictionService/PredictStreamed", "").status.error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(Call(channel, "/grpc.health.v1.Health/Check", "").status.error_code(), grpc::StatusCode::UNIMPLEMENTED)
      << "health is off";
  EXPECT_EQ(Call(channel, kPredict, "\xff\xff").status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_P(Transport, LargeMessagesComeWhole) {
  ASSERT_TRUE(Open({.port = kFreePort}).ok());
  std::vector<float> values(3'000'000);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  const Answer answer = Call(Channel(), kPredict, PredictX("m", values), milliseconds(30'000));
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_GT(answer.bytes.size(), values.size() * 4);
}

TEST_P(Transport, RequestsAreLimited) {
  ASSERT_TRUE(Open({.port = kFreePort, .max_message_bytes = 1000}).ok());
  EXPECT_EQ(Call(Channel(), kPredict, std::string(2000, 'x')).status.error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_P(Transport, DeadlinesAreKept) {
  ASSERT_TRUE(Open({.port = kFreePort, .worker_threads = 1}).ok());
  const auto channel = Channel();
  std::thread first([&] { EXPECT_TRUE(Call(channel, kPredict, PredictX("slow", {1})).status.ok()); });
  ASSERT_TRUE(testing::Eventually([&] { return runs_ == 1; }));
  // The only worker is busy: this request's time is over before it could run, and it does not run.
  EXPECT_EQ(Call(channel, kPredict, PredictX("slow", {1}), milliseconds(50)).status.error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  first.join();
  EXPECT_TRUE(Call(channel, kPredict, PredictX("slow", {1})).status.ok());
  EXPECT_EQ(runs_, 2);
}

TEST_P(Transport, UnixSocket) {
  const testing::TempFolder folder;
  const std::string path = folder.path() + "/grpc.sock";
  ASSERT_TRUE(Open({.socket_path = path}).ok());
  EXPECT_EQ(server_->port(), 0);
  EXPECT_TRUE(Call(Channel("unix:" + path), kPredict, PredictX("m", {1})).status.ok());
  EXPECT_FALSE(Open({.socket_path = folder.path() + "/" + std::string(200, 'x')}).ok());
}

TEST_P(Transport, APortInUseIsAnError) {
  ASSERT_TRUE(Open({.port = kFreePort}).ok());
  GrpcServerOptions options{.address = "127.0.0.1", .port = server_->port()};
  if (GetParam()) options.transport = MakeHttp2Transport;
  GrpcServer second(std::move(options), Handler());
  const Status status = second.Start();
  EXPECT_EQ(status.code(), Code::kUnavailable) << status.message();
}

TEST_P(Transport, BearerTokens) {
  ASSERT_TRUE(Open({.port = kFreePort, .bearer_tokens = {"secret", "other"}, .health = true}).ok());
  const auto channel = Channel();
  const auto code = [&](const std::string& token) {
    return Call(channel, kPredict, PredictX("m", {1}), milliseconds(5000), token).status.error_code();
  };
  EXPECT_EQ(code(""), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(code("Bearer wrong"), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(code("secret"), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(code("Bearer secret"), grpc::StatusCode::OK);
  EXPECT_EQ(code("bearer other"), grpc::StatusCode::OK);
  EXPECT_TRUE(Call(channel, "/grpc.health.v1.Health/Check", "").status.ok()) << "probes have no token";
}

TEST_P(Transport, HealthCheckAndWatch) {
  ASSERT_TRUE(Open({.port = kFreePort, .health = true}).ok());
  const auto channel = Channel();
  EXPECT_EQ(Call(channel, "/grpc.health.v1.Health/Check", "").bytes, "\x08\x02");
  server_->SetServing(true);
  EXPECT_EQ(Call(channel, "/grpc.health.v1.Health/Check", "").bytes, "\x08\x01");
  Writer unknown;
  unknown.Bytes(1, "nobody");
  EXPECT_EQ(Call(channel, "/grpc.health.v1.Health/Check", unknown.bytes()).status.error_code(),
            grpc::StatusCode::NOT_FOUND);

  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const auto next = [&] {
    void* tag = nullptr;
    bool ok = false;
    const auto state = queue.AsyncNext(&tag, &ok, std::chrono::system_clock::now() + std::chrono::seconds(10));
    return state == grpc::CompletionQueue::GOT_EVENT && ok;
  };
  auto watch = stub.PrepareCall(&context, "/grpc.health.v1.Health/Watch", &queue);
  watch->StartCall(nullptr);
  ASSERT_TRUE(next());
  watch->WriteLast(BufferOf(""), grpc::WriteOptions(), nullptr);
  ASSERT_TRUE(next());
  grpc::ByteBuffer in;
  watch->Read(&in, nullptr);
  ASSERT_TRUE(next());
  EXPECT_EQ(BytesOf(in), "\x08\x01");
  watch->Read(&in, nullptr);
  server_->SetServing(true);  // no change: nothing is sent
  server_->SetServing(false);
  ASSERT_TRUE(next());
  EXPECT_EQ(BytesOf(in), "\x08\x02");
  // A watch does not hold up the end.
  const auto begun = Clock::now();
  server_->Stop(Clock::now() + std::chrono::seconds(20));
  EXPECT_LT(Clock::now() - begun, std::chrono::seconds(10));
  watch->Read(&in, nullptr);
  EXPECT_FALSE(next());
  grpc::Status end;
  watch->Finish(&end, nullptr);
  next();
  EXPECT_FALSE(end.ok());
}

TEST_P(Transport, StopFinishesWhatHasBegun) {
  ASSERT_TRUE(Open({.port = kFreePort}).ok());
  const auto channel = Channel();
  std::vector<std::thread> clients;
  std::atomic<int> good{0};
  for (int i = 0; i < 4; ++i)
    clients.emplace_back([&] { good += Call(channel, kPredict, PredictX("slow", {1})).status.ok() ? 1 : 0; });
  ASSERT_TRUE(testing::Eventually([&] { return runs_ == 4; }));
  server_->Stop(Clock::now() + std::chrono::seconds(10));
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(good, 4);
  EXPECT_EQ(Call(channel, kPredict, PredictX("m", {1}), milliseconds(500)).status.error_code(),
            grpc::StatusCode::UNAVAILABLE);
}

TEST_P(Transport, ManyClients) {
  ASSERT_TRUE(Open({.port = kFreePort, .io_threads = 2}).ok());
  std::vector<std::thread> clients;
  std::atomic<int> good{0};
  for (int i = 0; i < 8; ++i)
    clients.emplace_back([&] {
      const auto channel = Channel();
      for (int k = 0; k < 50; ++k) good += Call(channel, kPredict, PredictX("m", {1})).status.ok() ? 1 : 0;
    });
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(good, 400);
}

/// The bound is ours: the gRPC library has its own.
class Http2Alone : public Transport {};

/// A client that asks for more and more and reads nothing must not fill the server's memory.
TEST_P(Http2Alone, AnswersThatNobodyReadsAreBounded) {
  ASSERT_TRUE(Open({.port = kFreePort}).ok());
  grpc::GenericStub stub(Channel());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  grpc::CompletionQueue queue;
  const auto done = [&] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  auto call = stub.PrepareCall(&context, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", &queue);
  call->StartCall(nullptr);
  ASSERT_TRUE(done());
  Writer w;
  w.Text(1, std::string(50'000, 'h'));  // comes back in the answer
  w.Text(7, "");                        // list_services
  const grpc::ByteBuffer request = BufferOf(std::move(w).Take());
  for (int i = 0; i < 2000; ++i) {  // 100 MB of answers
    call->Write(request, nullptr);
    if (!done()) break;
  }
  grpc::ByteBuffer reply;
  int replies = 0;
  for (call->Read(&reply, nullptr); done(); call->Read(&reply, nullptr)) ++replies;
  EXPECT_GT(replies, 0);
  EXPECT_LT(replies, 400);  // the server's megabyte and what the client's gRPC took by itself
  grpc::Status status;
  call->Finish(&status, nullptr);
  done();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << status.error_message();
}

TEST_P(Transport, WrongKeysAreAnError) {
  const Status status = Open({.port = kFreePort, .tls = Tls{.key = "no key", .certificate = "no certificate"}});
  EXPECT_FALSE(status.ok());
}

INSTANTIATE_TEST_SUITE_P(Library, Transport, ::testing::Values(false));
INSTANTIATE_TEST_SUITE_P(Http2, Transport, ::testing::Values(true));
INSTANTIATE_TEST_SUITE_P(Http2, Http2Alone, ::testing::Values(true));

}  // namespace
}  // namespace tenon::serve
