// What a connection keeps of a large request and a large reply.
#include <gtest/gtest.h>
#include <malloc.h>

#include "serve/core/fake_servable.h"
#include "serve/rest/http_server.h"
#include "serve/rest/raw_client.h"

namespace tenon::serve {
namespace {

using testing::Eventually;
using testing::RawClient;

/// Gives the body back; that of /long on a worker.
class Echo : public HttpHandler {
 public:
  Effort EffortOf(const HttpRequest& request) const override {
    return request.target == "/long" ? Effort::kLong : Effort::kShort;
  }
  HttpResponse Handle(const HttpRequest& request, Deadline) override { return {.body = std::string(request.body)}; }
};

TEST(HttpMemory, AConnectionThatWaitsHoldsNothing) {
  for (const char* path : {"/short", "/long"}) {
    for (const bool chunked : {false, true}) {
      const auto budget = ByteBudget::Make(64 << 20);
      HttpServer server({.address = "127.0.0.1", .budget = budget}, std::make_shared<Echo>());
      ASSERT_TRUE(server.Bind().ok() && server.Start().ok());
      RawClient client(server.port());
      const auto ask = [&](std::size_t size) {
        const std::string head = std::string("POST ") + path + " HTTP/1.1\r\nHost: x\r\n";
        const std::string body(size, 'b');
        char hex[32];
        std::snprintf(hex, sizeof hex, "%zx\r\n", size);
        ASSERT_TRUE(client.Send(chunked ? head + "Transfer-Encoding: chunked\r\n\r\n" + hex + body + "\r\n0\r\n\r\n"
                                        : head + "Content-Length: " + std::to_string(size) + "\r\n\r\n" + body));
        EXPECT_EQ(client.ReadReply().body, body);
        client.Shrink();
      };
      ask(10);
      const std::size_t before = ::mallinfo2().uordblks + ::mallinfo2().hblkhd;
      ask(8 << 20);
      EXPECT_TRUE(Eventually([&] {
        return budget->used() == 0 && ::mallinfo2().uordblks + ::mallinfo2().hblkhd < before + (1 << 20);
      })) << path
          << (chunked ? " chunked: " : ": ") << budget->used() << ", "
          << ::mallinfo2().uordblks + ::mallinfo2().hblkhd - before;
      ask(10);
    }
  }
}

}  // namespace
}  // namespace tenon::serve
