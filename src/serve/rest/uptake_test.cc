// A client that takes its reply a little at a time keeps it, unless that is too little.
#include <gtest/gtest.h>

#include <thread>

#include "serve/core/fake_servable.h"
#include "serve/rest/http_server.h"
#include "serve/rest/raw_client.h"

namespace tenon::serve {
namespace {

using std::chrono::milliseconds;
using testing::Eventually;
using testing::RawClient;

constexpr std::size_t kReply = 24 << 20;  // more than the systems' buffers hold

class Large : public HttpHandler {
 public:
  Effort EffortOf(const HttpRequest&) const override { return Effort::kShort; }
  HttpResponse Handle(const HttpRequest&, Deadline) override { return {.body = std::string(kReply, 'x')}; }
};

struct UptakeTest : ::testing::Test {
  void Start(std::size_t least_rate) {
    HttpServerOptions options;
    options.address = "127.0.0.1";
    options.write_timeout = milliseconds(1000);
    options.least_rate = least_rate;
    server = std::make_unique<HttpServer>(std::move(options), std::make_shared<Large>());
    ASSERT_TRUE(server->Bind().ok());
    ASSERT_TRUE(server->Start().ok());
  }
  /// Takes about 400 KB a second, for so long or until the server has closed; what it got.
  std::size_t Trickle(const RawClient& client, milliseconds time) {
    const auto until = std::chrono::steady_clock::now() + time;
    std::size_t got = 0;
    char piece[4096];
    while (std::chrono::steady_clock::now() < until && (got == 0 || server->connections() > 0)) {
      const ssize_t n = ::recv(client.fd(), piece, sizeof piece, 0);
      if (n <= 0) break;
      got += static_cast<std::size_t>(n);
      std::this_thread::sleep_for(milliseconds(10));
    }
    return got;
  }
  static RawClient& Small(RawClient& client) {
    const int size = 16 << 10;
    ::setsockopt(client.fd(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    client.Send("GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
    return client;
  }
  std::unique_ptr<HttpServer> server;
};

TEST_F(UptakeTest, SlowIsEnough) {
  Start(1024);
  RawClient client(server->port());
  const std::size_t got = Trickle(Small(client), milliseconds(3500));
  EXPECT_EQ(server->connections(), 1U);
  EXPECT_GT(got + client.ReadAll().size(), kReply) << "and gets all of it";
}

TEST_F(UptakeTest, ATrickleIsNot) {
  Start(4 << 20);
  RawClient client(server->port());
  EXPECT_LT(Trickle(Small(client), milliseconds(9000)), kReply / 2);
  EXPECT_EQ(server->connections(), 0U) << "while it went on taking";
}

TEST_F(UptakeTest, NothingIsNot) {
  Start(0);
  RawClient client(server->port());
  Small(client);
  EXPECT_TRUE(Eventually([&] { return server->connections() == 1; }));
  EXPECT_TRUE(Eventually([&] { return server->connections() == 0; }));
}

}  // namespace
}  // namespace tenon::serve
