#include "serve/rest/guard.h"

#include <gtest/gtest.h>

#include "base/gzip.h"

namespace tenon::serve {
namespace {

struct Echo : HttpHandler {
  Effort EffortOf(const HttpRequest&) const override { return Effort::kShort; }
  HttpResponse Handle(const HttpRequest& request, Deadline) override { return {.body = std::string(request.body)}; }
};

HttpResponse Ask(Guard& guard, std::string_view target, std::vector<HttpRequest::Header> headers,
                 std::string_view body = "hello") {
  const HttpRequest request{
      .method = "POST", .target = target, .headers = std::move(headers), .body = body, .peer = "10.0.0.1"};
  return guard.Handle(request, kNoDeadline);
}

Guard Make(GuardOptions options) {
  return Guard(std::move(options), std::make_shared<Echo>(), std::make_shared<ServerMetrics>());
}

TEST(Guard, Tokens) {
  Guard guard = Make({.bearer_tokens = {"alpha", "beta"}});
  EXPECT_EQ(Ask(guard, "/v1/models/m:predict", {}).status, 401);
  for (const char* wrong : {"Bearer", "Bearer ", "Bearer alph", "Bearer alphaa", "Basic alpha", "alpha"})
    EXPECT_EQ(Ask(guard, "/v1/models/m:predict", {{"Authorization", wrong}}).status, 401) << wrong;
  EXPECT_EQ(Ask(guard, "/v1/models/m:predict", {{"Authorization", "Bearer alpha"}}).status, 200);
  EXPECT_EQ(Ask(guard, "/v1/models/m:predict", {{"Authorization", "bearer beta"}}).status, 200);
  EXPECT_EQ(Ask(guard, "/metrics", {}).status, 401);
  for (const char* probe : {"/healthz", "/livez", "/readyz", "/v2/health/ready"})
    EXPECT_EQ(Ask(guard, probe, {}).status, 200) << probe;
}

TEST(RateLimitTest, BucketsByKey) {
  RateLimit limit(10);
  const auto now = RateLimit::Clock::now();
  int allowed = 0;
  for (int i = 0; i < 50; ++i) allowed += limit.Allow("a", now) ? 1 : 0;
  EXPECT_EQ(allowed, 10);
  EXPECT_TRUE(limit.Allow("b", now));
  EXPECT_FALSE(limit.Allow("a", now + std::chrono::milliseconds(50)));
  EXPECT_TRUE(limit.Allow("a", now + std::chrono::milliseconds(150)));
  for (int i = 0; i < 300'000; ++i) limit.Allow(std::to_string(i), now);  // does not grow without end
}

TEST(Guard, WhatIsNotAnsweredIs500AndCounted) {
  struct Bad : HttpHandler {
    Effort EffortOf(const HttpRequest&) const override { return Effort::kLong; }
    HttpResponse Handle(const HttpRequest&, Deadline) override { throw std::bad_alloc(); }
    void HandleAsync(const HttpRequest& request, Patience patience, Done done) override {
      if (request.target == "/throw") HttpHandler::HandleAsync(request, std::move(patience), std::move(done));
    }
  };
  const auto metrics = std::make_shared<ServerMetrics>();
  Guard guard({}, std::make_shared<Bad>(), metrics);
  const HttpResponse now = Ask(guard, "/now", {{"X-Request-Id", "a1"}});
  EXPECT_EQ(now.status, 500);
  ASSERT_EQ(now.headers.size(), 1U);
  for (const char* target : {"/throw", "/drop"}) {
    const HttpRequest request{
        .method = "POST", .target = target, .headers = {{"X-Request-Id", "a1"}}, .body = {}, .peer = "10.0.0.1"};
    std::vector<HttpResponse> replies;
    try {
      guard.HandleAsync(request, kNoDeadline, [&](HttpResponse r) { replies.push_back(std::move(r)); });
    } catch (const std::bad_alloc&) {
    }
    ASSERT_EQ(replies.size(), 1U) << target;
    EXPECT_EQ(replies[0].status, 500);
    EXPECT_EQ(replies[0].headers.size(), 1U);
  }
  EXPECT_EQ(metrics->inflight.At({}).value(), 0);
}

TEST(Guard, CompressionAndRequestId) {
  Guard guard = Make({.compress = true});
  const std::string large(5000, 'x');
  const HttpResponse packed = Ask(guard, "/x", {{"Accept-Encoding", "br, gzip"}, {"X-Request-Id", "id-7"}}, large);
  const auto back = base::Gunzip(std::as_bytes(std::span(packed.body)), "test");
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(*back, large);
  ASSERT_EQ(packed.headers.size(), 3U);
  EXPECT_EQ(packed.headers[0], (std::pair<std::string, std::string>("Content-Encoding", "gzip")));
  EXPECT_EQ(packed.headers[2], (std::pair<std::string, std::string>("X-Request-Id", "id-7")));
  EXPECT_EQ(Ask(guard, "/x", {}, large).body, large);
  EXPECT_EQ(Ask(guard, "/x", {{"Accept-Encoding", "gzip"}}).body, "hello");  // too small
  EXPECT_TRUE(Ask(guard, "/x", {{"X-Request-Id", "a\r\nSet-Cookie: b"}}).headers.empty());
}

}  // namespace
}  // namespace tenon::serve
