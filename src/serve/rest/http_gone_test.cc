// A client that resets its connection leaves the queues; one that only shuts its side gets its reply.
#include <gtest/gtest.h>

#include <latch>
#include <mutex>

#include "serve/core/fake_servable.h"
#include "serve/rest/http_server.h"
#include "serve/rest/raw_client.h"

namespace tenon::serve {
namespace {

using testing::Eventually;
using testing::RawClient;

/// /now is answered on the I/O thread; /work by a worker, once the gate is open; /later is kept, with who waits for it.
class Keeper : public HttpHandler {
 public:
  Effort EffortOf(const HttpRequest& request) const override {
    return request.target == "/now" ? Effort::kShort : Effort::kLong;
  }
  HttpResponse Handle(const HttpRequest& request, Deadline) override {
    if (request.target == "/work") {
      ++worked;
      gate.wait();
    }
    return {.content_type = "text/plain", .body = "done"};
  }
  void HandleAsync(const HttpRequest& request, Patience patience, Done done) override {
    if (request.target != "/later") return HttpHandler::HandleAsync(request, std::move(patience), std::move(done));
    const std::lock_guard lock(mutex);
    waiters.push_back(patience.waiter);
    later.push_back(std::move(done));
  }
  std::size_t Kept() {
    const std::lock_guard lock(mutex);
    return later.size();
  }
  std::latch gate{1};
  std::atomic<int> worked{0};
  std::mutex mutex;
  std::vector<std::shared_ptr<const Waiter>> waiters;
  std::vector<Done> later;
};

struct HttpGone : ::testing::Test {
  HttpGone() {
    HttpServerOptions options;
    options.address = "127.0.0.1";
    options.worker_threads = 1;
    server = std::make_unique<HttpServer>(std::move(options), keeper);
    EXPECT_TRUE(server->Bind().ok());
    EXPECT_TRUE(server->Start().ok());
  }
  static void Reset(RawClient& client) {
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(client.fd(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    client.Close();
  }
  /// What happened before is known to the I/O thread.
  void Settle() { EXPECT_EQ(RawClient(server->port()).Get("/now").body, "done"); }
  std::shared_ptr<Keeper> keeper = std::make_shared<Keeper>();
  std::unique_ptr<HttpServer> server;
};

TEST_F(HttpGone, ARequestInTheWorkersQueueIsNotRun) {
  constexpr std::string_view kWork = "GET /work HTTP/1.1\r\n\r\n";
  RawClient runs(server->port()), queued(server->port()), half(server->port()), stays(server->port());
  runs.Send(kWork);
  ASSERT_TRUE(Eventually([&] { return keeper->worked == 1; }));
  for (RawClient* client : {&queued, &half, &stays}) client->Send(kWork);
  half.HalfClose();
  Settle();  // they are queued
  Reset(queued);
  Settle();
  keeper->gate.count_down();
  for (RawClient* client : {&runs, &half, &stays}) EXPECT_EQ(client->ReadReply().body, "done");
  EXPECT_EQ(keeper->worked, 3);
  EXPECT_TRUE(half.Closed());
  EXPECT_TRUE(Eventually([&] { return server->connections() <= 2; }));
}

TEST_F(HttpGone, ThoseThatWorkForItAreTold) {
  RawClient resets(server->port()), half(server->port());
  for (RawClient* client : {&resets, &half}) {
    const std::size_t before = keeper->Kept();
    client->Send("GET /later HTTP/1.1\r\n\r\n");
    ASSERT_TRUE(Eventually([&] { return keeper->Kept() > before; }));
  }
  half.HalfClose();
  Settle();
  EXPECT_FALSE(keeper->waiters[0]->gone() || keeper->waiters[1]->gone());
  Reset(resets);
  ASSERT_TRUE(Eventually([&] { return keeper->waiters[0]->gone(); }));
  for (HttpHandler::Done& done : keeper->later) done({.content_type = "text/plain", .body = "late"});
  EXPECT_EQ(half.ReadReply().body, "late");
  EXPECT_FALSE(keeper->waiters[1]->gone());
  EXPECT_TRUE(Eventually([&] { return server->connections() == 0; }));
  server.reset();
  EXPECT_TRUE(keeper->waiters[0]->gone()) << "who asks may outlive the server";
}

}  // namespace
}  // namespace tenon::serve
