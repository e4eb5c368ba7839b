// The memory of a connection: what it keeps of a large request and a large reply, and what it refuses.
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
class LongOrShort : public HttpHandler {
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
      HttpServer server({.address = "127.0.0.1", .budget = budget}, std::make_shared<LongOrShort>());
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

TEST(HttpMemory, WhatNeverFitsIsRefusedByItsSize) {
  Counter refused;
  HttpServer server({.address = "127.0.0.1", .budget = ByteBudget::Make(8 << 20, &refused)},
                    std::make_shared<LongOrShort>());
  ASSERT_TRUE(server.Bind().ok() && server.Start().ok());
  RawClient large(server.port()), chunked(server.port()), fits(server.port());
  large.Send("POST /echo HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 8000000\r\n\r\n");
  const auto reply = large.ReadReply();
  EXPECT_EQ(reply.status, 413);
  EXPECT_NE(reply.body.find("7340032 bytes with the limit of 8388608 (--max_inflight_bytes)"), std::string::npos);
  EXPECT_EQ(reply.body.find("again"), std::string::npos);
  EXPECT_EQ(refused.value(), 1);
  chunked.Send("POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n7A1200\r\nx");
  EXPECT_EQ(chunked.ReadReply().status, 413);
  const std::string body(1 << 20, 'b');
  fits.Send("POST /echo HTTP/1.1\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  EXPECT_EQ(fits.ReadReply().body, body);
}

}  // namespace
}  // namespace tenon::serve
