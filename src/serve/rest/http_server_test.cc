#include "serve/rest/http_server.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <latch>
#include <map>

#include "serve/core/batch_round.h"
#include "serve/core/fake_servable.h"
#include "serve/rest/http_loop.h"
#include "serve/rest/raw_client.h"

namespace tenon::serve {
namespace {

using std::chrono::milliseconds;
using testing::Eventually;
using testing::RawClient;
using Clock = std::chrono::steady_clock;

/// /echo gives the body back, on the I/O thread; /slow does so on a worker once the gate is open; /join does so for
/// three requests at a time or when the round ends, /away on a thread of its own. /throw…, /drop…: no answer is made,
/// on the I/O thread, on a worker (…slow), or where requests join (…join).
class Echoing : public HttpHandler {
 public:
  Effort EffortOf(const HttpRequest& request) const override {
    if (request.target == "/effort") throw std::bad_alloc();
    if (request.target.ends_with("join") || request.target == "/away") return Effort::kJoins;
    return request.target.ends_with("slow") ? Effort::kLong : Effort::kShort;
  }
  void HandleAsync(const HttpRequest& request, Patience patience, Done done) override {
    if (request.target.starts_with("/drop")) return;
    if (request.target == "/away") {
      std::jthread([&request, body = std::string(request.body), done = std::move(done)]() mutable {
        done({.body = body + std::string(request.header("X-Name"))});  // its head is there
      }).detach();
    } else if (request.target == "/join") {
      BatchRound& round = *BatchRound::Current();
      if (round.Find(this) == nullptr) round.Keep(this, std::make_unique<Three>(sizes));
      auto& three = static_cast<Three&>(*round.Find(this));
      // After the call the head is there still, the body is not.
      three.done.emplace_back([&request, body = std::string(request.body), done = std::move(done)]() mutable {
        done({.body = std::string(request.method) + ":" + body + std::string(request.header("X-Name"))});
      });
      if (three.done.size() == 3) round.Take(this)->Run();
    } else {
      HttpHandler::HandleAsync(request, std::move(patience), std::move(done));
    }
  }
  struct Three : BatchRound::Batch {
    explicit Three(std::map<std::size_t, int>& s) : sizes(s) {}
    void Run() override {
      ++sizes[done.size()];
      for (auto& one : done) one();
    }
    std::map<std::size_t, int>& sizes;
    std::vector<base::UniqueFunction<void()>> done;
  };
  std::map<std::size_t, int> sizes;  // of the batches
  HttpResponse Handle(const HttpRequest& request, Deadline) override {
    if (request.target.starts_with("/throw")) throw std::bad_alloc();
    if (request.target == "/slow") {
      ++waiting;
      gate.wait();
    }
    ++handled;
    if (request.target == "/big") return {.body = std::string(8 << 20, 'x')};
    return {.content_type = "text/plain", .body = std::string(request.method) + ":" + std::string(request.body)};
  }
  std::latch gate{1};
  std::atomic<int> handled{0}, waiting{0};
};

struct HttpServerTest : ::testing::Test {
  std::shared_ptr<Echoing> echo = std::make_shared<Echoing>();
  std::unique_ptr<HttpServer> server;
  void Start(HttpServerOptions options = {}) {
    options.address = "127.0.0.1";
    server = std::make_unique<HttpServer>(std::move(options), echo);
    ASSERT_TRUE(server->Bind().ok());
    ASSERT_TRUE(server->Start().ok());
  }
  int port() const { return server->port(); }
};

TEST_F(HttpServerTest, ExactBytes) {
  Start();
  RawClient client(port());
  client.Send("POST /echo HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi");
  const auto reply = client.ReadReply();
  const std::size_t date = reply.head.find("Date: ");
  ASSERT_NE(date, std::string::npos);
  EXPECT_EQ(reply.head.substr(0, date), "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n");
  EXPECT_EQ(reply.head.substr(reply.head.find("GMT")), "GMT\r\nContent-Length: 7\r\n\r\n");
  EXPECT_EQ(reply.body, "POST:hi");
}

TEST_F(HttpServerTest, KeepAlivePipeliningAndOrder) {
  HttpServerOptions options;
  options.io_threads = 2;
  Start(options);
  echo->gate.count_down();
  RawClient client(port());
  std::string bytes;
  for (int i = 0; i < 50; ++i) {
    const std::string n = std::to_string(i);
    bytes += "POST " + std::string(i % 5 == 0 ? "/slow" : "/echo") +
             " HTTP/1.1\r\nContent-Length: " + std::to_string(n.size()) + "\r\n\r\n" + n;
  }
  client.Send(bytes);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(client.ReadReply().body, "POST:" + std::to_string(i));
  EXPECT_EQ(client.Get("/echo").body, "GET:");
}

TEST_F(HttpServerTest, RequestsOfARoundAreJoined) {
  Start();
  constexpr int kClients = 8, kEach = 50;
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int c = 0; c < kClients; ++c) {
    clients.push_back(std::make_unique<RawClient>(port()));
    std::string bytes;
    for (int i = 0; i < kEach; ++i) {
      // Of both framings, with plain requests and such that other threads answer in between.
      const std::string n = std::to_string(c * 100 + i), name = "X-Name: n" + n + "\r\n";
      if (i % 7 == 3) bytes += "GET /echo HTTP/1.1\r\n\r\n";
      if (i % 11 == 5) bytes += "POST /away HTTP/1.1\r\n" + name + "Content-Length: 4\r\n\r\naway";
      if (i % 2 == 0)
        bytes += "POST /join HTTP/1.1\r\n" + name + "Content-Length: " + std::to_string(n.size()) + "\r\n\r\n" + n;
      else
        bytes += "POST /join HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + name + "\r\n" + std::to_string(n.size()) +
                 "\r\n" + n + "\r\n0\r\n\r\n";
    }
    clients.back()->Send(bytes);
  }
  for (int c = 0; c < kClients; ++c) {
    RawClient& client = *clients[static_cast<std::size_t>(c)];
    for (int i = 0; i < kEach; ++i) {
      const std::string n = std::to_string(c * 100 + i);
      if (i % 7 == 3) {
        EXPECT_EQ(client.ReadReply().body, "GET:");
      }
      if (i % 11 == 5) {
        EXPECT_EQ(client.ReadReply().body, "awayn" + n);
      }
      EXPECT_EQ(client.ReadReply().body, "POST:" + n + "n" + n);
    }
  }
  server->Stop(Clock::now() + std::chrono::seconds(5));
  EXPECT_EQ(echo->sizes[1] + 2 * echo->sizes[2] + 3 * echo->sizes[3], kClients * kEach);
  EXPECT_GT(echo->sizes[2] + echo->sizes[3], 0);
}

TEST_F(HttpServerTest, WhatAHandlerDoesNotAnswerIs500) {
  Start();
  RawClient client(port());
  for (const char* target : {"/throw", "/throwslow", "/throwjoin", "/dropslow", "/dropjoin"}) {
    client.Send("POST " + std::string(target) + " HTTP/1.1\r\nContent-Length: 1\r\n\r\nx");
    EXPECT_EQ(client.ReadReply().status, 500) << target;
    client.Send("POST /join HTTP/1.1\r\nContent-Length: 1\r\n\r\ny");
    EXPECT_EQ(client.ReadReply().body, "POST:y") << "after " << target;
  }
  RawClient unlucky(port());
  unlucky.Send("GET /effort HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(unlucky.Closed());
  client.Send("GET /echo HTTP/1.1\r\n\r\n");
  EXPECT_EQ(client.ReadReply().body, "GET:");
}

TEST_F(HttpServerTest, ClientsThatLeaveInARound) {
  Start();
  for (int i = 0; i < 50; ++i) {
    RawClient away(port()), stays(port());
    away.Send("POST /away HTTP/1.1\r\nContent-Length: 2\r\n\r\nhiPOST /join HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi");
    stays.Send("POST /join HTTP/1.1\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi");
    away.Close();
    EXPECT_EQ(stays.ReadReply().body, "POST:hi");
    EXPECT_TRUE(stays.Closed());
  }
  EXPECT_TRUE(Eventually([&] { return server->connections() == 0; }));
}

TEST_F(HttpServerTest, BytesOneByOne) {
  Start();
  RawClient client(port());
  const std::string bytes = "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
  for (const char c : bytes) {
    client.Send(std::string(1, c));
    if (c == '\n') std::this_thread::sleep_for(milliseconds(1));
  }
  EXPECT_EQ(client.ReadReply().body, "POST:abc");
}

TEST_F(HttpServerTest, LargeBodiesBothWays) {
  Start();
  RawClient client(port());
  const std::string body(20 << 20, 'b');
  std::thread sender([&] {
    client.Send("POST /echo HTTP/1.1\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n");
    client.Send(body);
    client.Send("GET /big HTTP/1.1\r\n\r\nGET /big HTTP/1.1\r\n\r\nGET /echo HTTP/1.1\r\n\r\n");
  });
  EXPECT_EQ(client.ReadReply().body, "POST:" + body);
  sender.join();
  std::this_thread::sleep_for(milliseconds(20));  // the replies do not fit the socket
  EXPECT_EQ(client.ReadReply().body.size(), 8U << 20);
  EXPECT_EQ(client.ReadReply().body.size(), 8U << 20);
  EXPECT_EQ(client.ReadReply().body, "GET:");
}

// Requests that wait while the output is full must not be forgotten, however it empties.
TEST_F(HttpServerTest, FullOutputAndPipelining) {
  Start();
  for (int round = 0; round < 12; ++round) {
    RawClient client(port());
    std::string bytes;
    for (int i = 0; i < 4; ++i) bytes += "GET /big HTTP/1.1\r\n\r\n";
    client.Send(bytes + "GET /echo HTTP/1.1\r\n\r\n");
    if (round % 3 == 2) client.HalfClose();
    for (int i = 0; i < 4; ++i) ASSERT_EQ(client.ReadReply().body.size(), 8U << 20) << round;
    ASSERT_EQ(client.ReadReply().body, "GET:") << round;
  }
}

TEST_F(HttpServerTest, Continue) {
  Start();
  RawClient client(port());
  client.Send("POST /echo HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(client.ReadReply(true).head, "HTTP/1.1 100 Continue\r\n\r\n");
  client.Send("ok");
  EXPECT_EQ(client.ReadReply().body, "POST:ok");
}

TEST_F(HttpServerTest, HeadHasLengthAndNoBody) {
  Start();
  RawClient client(port());
  client.Send("HEAD /echo HTTP/1.1\r\n\r\nGET /echo HTTP/1.1\r\n\r\n");
  const auto head = client.ReadReply(true);
  EXPECT_NE(head.head.find("Content-Length: 5\r\n"), std::string::npos);
  EXPECT_EQ(client.ReadReply().body, "GET:");
}

TEST_F(HttpServerTest, HalfClosedClientGetsItsReplies) {
  Start();
  RawClient client(port());
  client.Send("GET /echo HTTP/1.1\r\n\r\nGET /slow HTTP/1.1\r\n\r\nGET /incompl");
  client.HalfClose();
  EXPECT_EQ(client.ReadReply().body, "GET:");
  EXPECT_TRUE(Eventually([&] { return echo->waiting == 1; }));
  echo->gate.count_down();
  EXPECT_EQ(client.ReadReply().body, "GET:");
  EXPECT_TRUE(client.Closed());
}

TEST_F(HttpServerTest, ClosesWhenAsked) {
  Start();
  RawClient client(port());
  client.Send("GET /echo HTTP/1.1\r\nConnection: close\r\n\r\nGET /echo HTTP/1.1\r\n\r\n");
  const auto reply = client.ReadReply();
  EXPECT_NE(reply.head.find("Connection: close\r\n"), std::string::npos);
  EXPECT_TRUE(client.Closed());
  EXPECT_EQ(echo->handled, 1);
}

TEST_F(HttpServerTest, RefusalsReachTheClient) {
  HttpServerOptions options;
  options.limits.body_bytes = 1000;
  Start(options);
  RawClient big(port());
  // The client goes on sending; the reply must not be lost to a reset.
  big.Send("POST /echo HTTP/1.1\r\nContent-Length: 100000\r\n\r\n" + std::string(100'000, 'x'));
  const auto reply = big.ReadReply();
  EXPECT_EQ(reply.status, 413);
  EXPECT_NE(reply.body.find("<H1>Request Entity Too Large</H1>"), std::string::npos);
  EXPECT_TRUE(big.Closed());
  RawClient head(port());
  head.Send("GET / HTTP/1.1\r\nA: " + std::string(70'000, 'x') + "\r\n\r\n");
  EXPECT_EQ(head.ReadReply().status, 431);
  RawClient bad(port());
  bad.Send("GARBAGE\r\n\r\n");
  EXPECT_EQ(bad.ReadReply().status, 400);
}

TEST_F(HttpServerTest, SlowClientsAreDropped) {
  HttpServerOptions options;
  options.read_timeout = milliseconds(60);
  options.idle_timeout = milliseconds(60);
  Start(options);
  RawClient idle(port()), head(port()), body(port());
  head.Send("GET / HT");
  body.Send("POST /echo HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_EQ(head.ReadReply().status, 408);
  EXPECT_EQ(body.ReadReply().status, 408);
  EXPECT_TRUE(idle.Closed());
  EXPECT_TRUE(Eventually([&] { return server->connections() <= 2; }));
}

TEST_F(HttpServerTest, ClientThatLeavesDuringItsRequest) {
  Start();
  {
    RawClient client(port());
    client.Send("GET /slow HTTP/1.1\r\n\r\n");
    EXPECT_TRUE(Eventually([&] { return echo->waiting == 1; }));
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(client.fd(), SOL_SOCKET, SO_LINGER, &now, sizeof now);  // a reset
  }
  std::this_thread::sleep_for(milliseconds(20));
  echo->gate.count_down();
  EXPECT_TRUE(Eventually([&] { return server->connections() == 0; }));
  RawClient other(port());
  EXPECT_EQ(other.Get("/echo").body, "GET:");
}

TEST_F(HttpServerTest, ManyIdleConnections) {
  HttpServerOptions options;
  options.io_threads = 2;
  Start(options);  // raises the limit of open files
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  // Both ends of each connection are files of this process.
  const std::size_t count = std::min<std::size_t>(10'000, (limit.rlim_cur - 200) / 2);
  std::vector<std::unique_ptr<RawClient>> clients;
  for (std::size_t i = 0; i < count; ++i) {
    clients.push_back(std::make_unique<RawClient>(port()));
    ASSERT_TRUE(clients.back()->connected()) << i;
  }
  EXPECT_TRUE(Eventually([&] { return server->connections() == count; }));
  for (std::size_t i = 0; i < count; i += 997) EXPECT_EQ(clients[i]->Get("/echo").body, "GET:");
  clients.clear();
  EXPECT_TRUE(Eventually([&] { return server->connections() == 0; }));
}

TEST_F(HttpServerTest, PortInUse) {
  Start();
  HttpServerOptions options;
  options.address = "127.0.0.1";
  options.port = port();
  HttpServer second(options, echo);
  const Status s = second.Bind();
  EXPECT_EQ(s.code(), Code::kUnavailable);
  EXPECT_EQ(s.message(), "HTTP server: port " + std::to_string(port()) +
                             " is in use; stop the program that listens on it or choose another");
  options.address = "no address";
  HttpServer third(options, echo);
  EXPECT_EQ(third.Bind().code(), Code::kInvalidArgument);
}

TEST_F(HttpServerTest, StopDrains) {
  Start();
  RawClient idle(port()), slow(port());
  EXPECT_EQ(idle.Get("/echo").status, 200);
  slow.Send("GET /slow HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(Eventually([&] { return echo->waiting == 1; }));
  std::thread stopper([&] { server->Stop(Clock::now() + std::chrono::seconds(10)); });
  EXPECT_TRUE(idle.Closed());
  EXPECT_TRUE(Eventually([&] { return !RawClient(port()).connected(); }));
  EXPECT_TRUE(Eventually([&] { return server->connections() == 1; }));
  echo->gate.count_down();
  EXPECT_EQ(slow.ReadReply().body, "GET:");
  EXPECT_TRUE(slow.Closed());
  stopper.join();
}

TEST_F(HttpServerTest, ALoopThatIsToEndTakesNoConnection) {
  const auto shared = std::make_shared<HttpServer::Shared>(HttpServerOptions{}, echo);
  const auto loop = std::make_shared<HttpServer::Loop>(shared);
  ASSERT_TRUE(loop->Open().ok());
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  EXPECT_TRUE(loop->Adopt(::dup(fd)));
  loop->Drain(Clock::now());
  EXPECT_FALSE(loop->Adopt(fd));
  EXPECT_EQ(::close(fd), 0) << "it stays ours";
}

TEST_F(HttpServerTest, StopIsBounded) {
  Start();
  RawClient slow(port());
  slow.Send("GET /slow HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(Eventually([&] { return echo->waiting == 1; }));
  const auto begun = Clock::now();
  server->Stop(begun + milliseconds(50));
  EXPECT_LT(Clock::now() - begun, std::chrono::seconds(5));
  echo->gate.count_down();  // the worker ends on its own
  EXPECT_TRUE(Eventually([&] { return echo->handled == 1; }));
  server.reset();
}

}  // namespace
}  // namespace tenon::serve
