// A request that there is no memory for costs its client a reply, at most its connection, and nobody else anything.
#include "base/sanitizers.h"

#if !defined(TENON_OWN_HEAP)  // a sanitizer has its own operator new

#include <gtest/gtest.h>

#include <charconv>
#include <set>

#include "serve/core/failing_new.h"
#include "serve/core/fake_servable.h"
#include "serve/rest/http_server.h"
#include "serve/rest/raw_client.h"

namespace tenon::serve {
namespace {

using testing::RawClient;

/// /tight/N: the N-th allocation of the I/O thread from here on is refused. Answered by a worker.
class Tight : public HttpHandler {
 public:
  Effort EffortOf(const HttpRequest& request) const override {
    testing::granted = -1;
    constexpr std::string_view kTight = "/tight/";
    if (request.target.starts_with(kTight)) {
      const std::string_view number = request.target.substr(kTight.size());
      testing::once = true;
      std::from_chars(number.data(), number.data() + number.size(), testing::granted);
    }
    return Effort::kLong;
  }
  HttpResponse Handle(const HttpRequest&, Deadline) override { return {.content_type = "text/plain", .body = "yes"}; }
};

TEST(NoMemory, ARequestForAWorkerIsRefused) {
  HttpServerOptions options;
  options.address = "127.0.0.1";
  options.worker_threads = 2;
  HttpServer server(std::move(options), std::make_shared<Tight>());
  ASSERT_TRUE(server.Bind().ok());
  ASSERT_TRUE(server.Start().ok());
  std::set<int> seen;
  for (int granted = 0; granted < 12; ++granted) {
    RawClient client(server.port());
    const RawClient::Reply reply = client.Get("/tight/" + std::to_string(granted));
    seen.insert(reply.status);
    if (reply.status == 503) {
      EXPECT_NE(reply.head.find("Retry-After: 1\r\n"), std::string::npos);
      EXPECT_EQ(reply.body,
                "{\n    \"error\": \"Request: the server has no memory or no thread to answer it; try again\"\n}");
      EXPECT_TRUE(client.Closed());
    }
    RawClient(server.port()).Get("/");  // its connection may be the one that there is no memory for
    EXPECT_EQ(RawClient(server.port()).Get("/").body, "yes") << granted;
  }
  EXPECT_TRUE(seen.contains(503));
  EXPECT_TRUE(seen.contains(200));
  EXPECT_TRUE(testing::Eventually([&] { return server.connections() == 0; })) << "none is counted for ever";
}

}  // namespace
}  // namespace tenon::serve

#endif
