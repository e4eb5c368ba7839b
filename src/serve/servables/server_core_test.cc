// The whole server over the loopback, with servables that the tests decide.
#include "serve/servables/server_core.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <latch>
#include <thread>

#include "serve/core/fake_servable.h"
#include "serve/rest/raw_client.h"

namespace tenon::serve {
namespace {

using testing::Eventually;
using testing::FakeServable;
using testing::RawClient;
using testing::TempFolder;

/// y = version, for every element; a folder with a file "broken" does not load; "slow" waits at the gate.
struct ServerTest : ::testing::Test {
  TempFolder models;
  std::latch gate{1};
  std::atomic<int> waiting{0};
  std::unique_ptr<ServerCore> server;

  ServerOptions Options(const std::vector<std::string>& names) {
    ServerOptions options;
    options.rest_port = kFreePort;
    options.address = "127.0.0.1";
    options.poll_interval_ms = 5;
    options.max_load_retries = 1;
    options.load_retry_interval_ms = 5;
    options.start_timeout_ms = 10'000;
    for (const std::string& name : names)
      options.models.push_back({.name = name, .base_path = models.path() + "/" + name});
    return options;
  }
  Status Start(ServerOptions options) {
    server = std::make_unique<ServerCore>(
        std::move(options), [this](const ServableId& id, const std::string& path) { return Make(id, path); });
    return server->Start();
  }
  Result<std::unique_ptr<Servable>> Make(const ServableId& id, const std::string& path) {
    if (std::filesystem::exists(path + "/broken")) return Status(Code::kDataLoss, path + ": broken");
    if (id.name == "loading") {  // and does not end before the gate opens
      ++waiting;
      gate.wait();
    }
    if (id.name != "slow") return testing::Affine(0, static_cast<float>(id.version));
    Signature s;
    s.name = "serving_default";
    s.inputs = s.outputs = {TensorInfo{.alias = "x", .dims = {-1}}};
    return std::unique_ptr<Servable>(std::make_unique<FakeServable>(
        std::vector<Signature>{s}, [this](const Signature&, std::vector<Literal> in) -> Result<std::vector<Literal>> {
          ++waiting;
          gate.wait();
          return in;
        }));
  }
  RawClient::Reply Predict(const std::string& model) {
    RawClient client(server->rest_port());
    return client.Post("/v1/models/" + model + ":predict", R"({"instances":[0]})");
  }
  static std::string Answer(int version) {
    return "{\n    \"predictions\": [" + std::to_string(version) + ".0\n    ]\n}";
  }
  /// A version appears at once, as a deployment by rename does.
  void Deploy(const std::string& model, int version, bool broken = false) {
    const std::string from = models.Make("staging");
    if (broken) std::ofstream(from + "/broken") << "x";
    models.Make(model);
    std::filesystem::rename(from, models.path() + "/" + model + "/" + std::to_string(version));
  }
};

TEST_F(ServerTest, ServesAndSwapsWithoutALostRequest) {
  Deploy("m", 1);
  ASSERT_TRUE(Start(Options({"m"})).ok());
  EXPECT_EQ(Predict("m").body, Answer(1));
  std::atomic<bool> stop{false};
  std::atomic<int> failed{0}, answered{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 3; ++i)
    clients.emplace_back([&] {
      RawClient client(server->rest_port());
      int last = 0;
      while (!stop) {
        const auto reply = client.Post("/v1/models/m:predict", R"({"instances":[0,0,0]})");
        // All rows of a reply are of one version, and versions never go back.
        int a = 0, b = 0, c = 0;
        if (reply.status != 200 ||
            std::sscanf(reply.body.c_str(), "{ \"predictions\": [%d.0, %d.0, %d.0", &a, &b, &c) != 3 || a != b ||
            b != c || a < last)
          ++failed;
        last = a;
        ++answered;
      }
    });
  for (int version = 2; version <= 8; ++version) {
    Deploy("m", version);
    EXPECT_TRUE(Eventually([&] { return Predict("m").body == Answer(version); })) << version;
  }
  stop = true;
  for (std::thread& c : clients) c.join();
  EXPECT_EQ(failed, 0);
  EXPECT_GT(answered, 50);
  EXPECT_TRUE(Eventually([&] { return FakeServable::alive == 1; }));  // the others gave their memory back
}

TEST_F(ServerTest, BadAndMissingModelsBesideAGoodOne) {
  Deploy("good", 4);
  Deploy("bad", 1, true);
  ASSERT_TRUE(Start(Options({"missing", "bad", "good"})).ok());
  EXPECT_EQ(Predict("good").body, Answer(4));
  EXPECT_EQ(Predict("bad").status, 404);
  EXPECT_EQ(Predict("missing").body, "{\n    \"error\": \"Servable not found for request: Latest(missing)\"\n}");
  RawClient client(server->rest_port());
  EXPECT_TRUE(Eventually([&] { return client.Get("/v1/models/bad").body.find("\"END\"") != std::string::npos; }));
  EXPECT_NE(client.Get("/v1/models/bad").body.find("/bad/1: broken"), std::string::npos);
  EXPECT_EQ(client.Get("/v1/models/missing").status, 404);
  Deploy("missing", 2);  // it may come later
  EXPECT_TRUE(Eventually([&] { return Predict("missing").body == Answer(2); }));
  Deploy("good", 5, true);  // a new version that fails leaves the old one
  EXPECT_TRUE(
      Eventually([&] { return client.Get("/v1/models/good/versions/5").body.find("DATA_LOSS") != std::string::npos; }));
  EXPECT_EQ(Predict("good").body, Answer(4));
}

TEST_F(ServerTest, StrictStart) {
  Deploy("good", 4);
  ServerOptions options = Options({"good", "missing"});
  options.strict_start = true;
  const Status s = Start(options);
  EXPECT_EQ(s.code(), Code::kFailedPrecondition);
  EXPECT_NE(s.message().find("1 servable(s) did not become available: {{missing due to error: NOT_FOUND: "),
            std::string::npos)
      << s.message();
  EXPECT_EQ(server->rest_port(), 0);
}

TEST_F(ServerTest, DeletedVersionIsUnloaded) {
  Deploy("m", 1);
  Deploy("m", 2);
  ASSERT_TRUE(Start(Options({"m"})).ok());
  EXPECT_EQ(Predict("m").body, Answer(2));
  std::filesystem::remove_all(models.path() + "/m/2");
  EXPECT_TRUE(Eventually([&] { return Predict("m").body == Answer(1); }));
  std::filesystem::remove_all(models.path() + "/m/1");
  EXPECT_TRUE(Eventually([&] { return Predict("m").status == 404; }));
}

TEST_F(ServerTest, VersionPoliciesAndLabels) {
  for (const int v : {1, 2, 3}) Deploy("m", v);
  ServerOptions options = Options({});
  options.models = {{.name = "two", .base_path = models.path() + "/m", .versions = Versions::latest(2)},
                    {.name = "all", .base_path = models.path() + "/m", .versions = Versions::all()},
                    {.name = "one",
                     .base_path = models.path() + "/m",
                     .versions = Versions::specific({1}),
                     .labels = {{"stable", 1}, {"gone", 3}}}};
  ASSERT_TRUE(Start(options).ok());
  RawClient client(server->rest_port());
  const auto status = [&](const std::string& path) {
    return client.Post("/v1/models/" + path + ":predict", R"({"instances":[0]})").status;
  };
  EXPECT_TRUE(Eventually([&] { return status("two/versions/2") == 200 && status("all/versions/1") == 200; }));
  EXPECT_EQ(status("two/versions/1"), 404);
  EXPECT_EQ(status("one/labels/stable"), 200);
  EXPECT_EQ(status("one/labels/gone"), 404);
  EXPECT_EQ(status("one/labels/other"), 400);
  EXPECT_EQ(status("two/labels/stable"), 400);
}

TEST_F(ServerTest, Reload) {
  Deploy("a", 1);
  Deploy("b", 2);
  Deploy("elsewhere", 1);
  ASSERT_TRUE(Start(Options({"a"})).ok());
  EXPECT_EQ(Predict("b").status, 404);
  ASSERT_TRUE(server->ReloadModels(Options({"b"}).models).ok());
  EXPECT_EQ(Predict("b").body, Answer(2));
  EXPECT_TRUE(Eventually([&] { return Predict("a").status == 404; }));
  EXPECT_EQ(server->ReloadModels({{.name = "x", .base_path = ""}}).code(), Code::kInvalidArgument);
  EXPECT_EQ(Predict("b").body, Answer(2));
  EXPECT_TRUE(server->ReloadModels({}).ok());
  EXPECT_TRUE(Eventually([&] { return Predict("b").status == 404; }));
}

TEST_F(ServerTest, PortInUse) {
  ASSERT_TRUE(Start(Options({})).ok());
  ServerOptions options = Options({});
  options.rest_port = server->rest_port();
  ServerCore second(options, nullptr);
  const Status s = second.Start();
  EXPECT_EQ(s.code(), Code::kUnavailable);
  EXPECT_NE(s.message().find("port " + std::to_string(options.rest_port) + " is in use"), std::string::npos);
}

TEST_F(ServerTest, BadOptions) {
  ServerOptions options = Options({});
  options.rest_port = 70'000;
  EXPECT_EQ(ServerCore(options, nullptr).Start().message(),
            "ServerOptions: rest_port: got 70000, expected 0 (off), kFreePort or 1 to 65535");
  options = Options({"a", "a"});
  EXPECT_EQ(ServerCore(options, nullptr).Start().message(), "Illegal to list model a multiple times in config list");
  ASSERT_TRUE(Start(Options({})).ok());
  EXPECT_EQ(server->Start().code(), Code::kFailedPrecondition);
}

TEST_F(ServerTest, StopFinishesTheRequestInFlight) {
  Deploy("slow", 1);
  ASSERT_TRUE(Start(Options({"slow"})).ok());
  RawClient slow(server->rest_port());
  slow.Send("POST /v1/models/slow:predict HTTP/1.1\r\nContent-Length: 17\r\n\r\n{\"instances\":[7]}");
  ASSERT_TRUE(Eventually([&] { return waiting == 1; }));
  const int port = server->rest_port();
  std::thread stopper([&] { server->Stop(); });
  EXPECT_TRUE(Eventually([&] { return !RawClient(port).connected(); }));
  gate.count_down();
  const auto reply = slow.ReadReply();
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, Answer(7));
  stopper.join();
  EXPECT_EQ(FakeServable::alive, 0);
}

TEST_F(ServerTest, SigtermDrains) {
  struct sigaction before{};
  ::sigaction(SIGTERM, nullptr, &before);
  Deploy("slow", 1);
  ServerOptions options = Options({"slow"});
  options.shutdown_delay_ms = 30;
  ASSERT_TRUE(Start(options).ok());
  std::atomic<bool> waited{false};
  std::thread waiter([&] {
    server->Wait();
    waited = true;
  });
  RawClient slow(server->rest_port()), probe(server->rest_port());
  EXPECT_EQ(probe.Get("/readyz").status, 200);
  slow.Send("POST /v1/models/slow:predict HTTP/1.1\r\nContent-Length: 17\r\n\r\n{\"instances\":[7]}");
  ASSERT_TRUE(Eventually([&] { return waiting == 1; }));
  ASSERT_TRUE(Eventually([&] {  // Wait() has taken the signal over
    struct sigaction now{};
    ::sigaction(SIGTERM, nullptr, &now);
    return now.sa_handler != before.sa_handler;
  }));
  ::kill(::getpid(), SIGTERM);
  EXPECT_TRUE(Eventually([&] { return !server->ready(); }));
  EXPECT_EQ(probe.Get("/readyz").status, 503);  // still answering while the balancers look
  EXPECT_FALSE(waited);
  gate.count_down();
  EXPECT_EQ(slow.ReadReply().body, Answer(7));
  waiter.join();
  struct sigaction after{};
  ::sigaction(SIGTERM, nullptr, &after);
  EXPECT_EQ(after.sa_handler, before.sa_handler);
}

TEST_F(ServerTest, BothProtocolsDrainAtTheSameTime) {
  Deploy("slow", 1);
  ServerOptions options = Options({"slow"});
  options.grpc_port = kFreePort;
  ASSERT_TRUE(Start(options).ok());
  const int grpc = server->grpc_port();
  const auto connects = [&] {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(grpc));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool good = ::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
    ::close(fd);
    return good;
  };
  EXPECT_TRUE(connects());
  RawClient slow(server->rest_port());
  slow.Send("POST /v1/models/slow:predict HTTP/1.1\r\nContent-Length: 17\r\n\r\n{\"instances\":[7]}");
  ASSERT_TRUE(Eventually([&] { return waiting == 1; }));
  std::thread stopper([&] { server->Stop(); });
  EXPECT_TRUE(Eventually([&] { return !connects(); }));  // while REST still has a request in flight
  EXPECT_EQ(waiting, 1);
  gate.count_down();
  EXPECT_EQ(slow.ReadReply().body, Answer(7));
  stopper.join();
}

TEST_F(ServerTest, SignalsFromTheStart) {
  Deploy("slow", 1);
  ServerOptions options = Options({"slow"});
  options.signals_from_start = true;
  ASSERT_TRUE(Start(options).ok());
  ::kill(::getpid(), SIGTERM);  // before wait(): remembered, where it would have ended the process
  server->Wait();
  EXPECT_EQ(server->rest_port(), 0);
  struct sigaction after{};
  ::sigaction(SIGTERM, nullptr, &after);
  EXPECT_EQ(after.sa_handler, SIG_DFL);
}

TEST_F(ServerTest, StopEndsAStartThatWaitsForItsModels) {
  Deploy("loading", 1);
  server = std::make_unique<ServerCore>(
      Options({"loading"}), [this](const ServableId& id, const std::string& path) { return Make(id, path); });
  Status started;
  std::thread starter([&] { started = server->Start(); });
  ASSERT_TRUE(Eventually([&] { return waiting == 1; }));
  std::atomic<bool> asked{false};
  std::thread stopper([&] {
    asked = true;
    server->Stop();
  });
  ASSERT_TRUE(Eventually([&] { return asked.load(); }));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  gate.count_down();
  starter.join();
  stopper.join();
  EXPECT_TRUE(started.ok() || started.code() == Code::kCancelled) << started.message();
  EXPECT_FALSE(server->ready());
  EXPECT_EQ(server->rest_port(), 0);
}

TEST_F(ServerTest, StopWakesWait) {
  ASSERT_TRUE(Start(Options({})).ok());
  std::thread waiter([&] { server->Wait(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  server->Stop();
  waiter.join();
}

}  // namespace
}  // namespace tenon::serve
