#include "serve/rest/http_parser.h"

#include <gtest/gtest.h>

namespace tenon::serve {
namespace {

using State = HttpParser::State;

/// The error status; 0 for a complete request, -1 for "more".
int Outcome(std::string_view bytes, HttpLimits limits = {}) {
  HttpParser parser(limits);
  const State state = parser.Parse(bytes);
  return state == State::kComplete ? 0 : state == State::kMore ? -1 : parser.error_status();
}

TEST(HttpParser, ReadsRequests) {
  const std::string bytes =
      "\r\nPOST /v1/models/m:predict?q=1 HTTP/1.1\r\nHost: h\r\ncontent-LENGTH:  5 \r\nX-A: b c\t\r\n\r\nhello"
      "GET / HTTP/1.0\n\n";
  HttpParser parser({});
  ASSERT_EQ(parser.Parse(bytes), State::kComplete);
  EXPECT_EQ(parser.request().method, "POST");
  EXPECT_EQ(parser.request().target, "/v1/models/m:predict?q=1");
  EXPECT_EQ(parser.request().body, "hello");
  EXPECT_EQ(parser.request().header("x-a"), "b c");
  EXPECT_EQ(parser.request().header("none").data(), nullptr);
  EXPECT_TRUE(parser.request().keep_alive);
  const std::string_view rest = std::string_view(bytes).substr(parser.consumed());
  parser.Next();
  ASSERT_EQ(parser.Parse(rest), State::kComplete);
  EXPECT_EQ(parser.request().method, "GET");
  EXPECT_FALSE(parser.request().keep_alive);
  EXPECT_EQ(parser.consumed(), rest.size());
}

TEST(HttpParser, ByteByByte) {
  const std::string bytes =
      "POST /a HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n3;ext=1\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: x\r\n\r\n";
  HttpParser parser({});
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    const std::string copy = bytes.substr(0, n);  // another place each time
    ASSERT_EQ(parser.Parse(copy), State::kMore) << n;
  }
  ASSERT_EQ(parser.Parse(bytes), State::kComplete);
  EXPECT_EQ(parser.request().body, "abc0123456789");
  EXPECT_EQ(parser.request().target, "/a");
  EXPECT_EQ(parser.consumed(), bytes.size());
}

TEST(HttpParser, KeepAlive) {
  const auto keeps = [](std::string_view version, std::string_view connection) {
    HttpParser parser({});
    const std::string bytes =
        "GET / HTTP/" + std::string(version) + "\r\nConnection: " + std::string(connection) + "\r\n\r\n";
    EXPECT_EQ(parser.Parse(bytes), State::kComplete);
    return parser.request().keep_alive;
  };
  EXPECT_TRUE(keeps("1.1", ""));
  EXPECT_FALSE(keeps("1.1", "foo, Close"));
  EXPECT_FALSE(keeps("1.0", ""));
  EXPECT_TRUE(keeps("1.0", "Keep-Alive"));
}

TEST(HttpParser, Continue) {
  HttpParser parser({});
  const std::string bytes = "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
  ASSERT_EQ(parser.Parse(bytes), State::kMore);
  EXPECT_TRUE(parser.TakeContinue());
  EXPECT_FALSE(parser.TakeContinue());
  EXPECT_EQ(parser.Parse(bytes + "ab"), State::kComplete);
}

TEST(HttpParser, Refuses) {
  const std::pair<const char*, int> table[] = {
      {"GET / HTTP/1.1", -1},
      {"GET  / HTTP/1.1\r\n\r\n", 400},
      {"GET /\r\n\r\n", 400},
      {"G@T / HTTP/1.1\r\n\r\n", 400},
      {"GET nothing HTTP/1.1\r\n\r\n", 400},
      {"GET http://host/x HTTP/1.1\r\n\r\n", 0},
      {"GET / HTTP/2.0\r\n\r\n", 505},
      {"GET / HTTP/1.1x\r\n\r\n", 400},
      {"BREW / HTTP/1.1\r\n\r\n", 501},
      {"GET / HTTP/1.1\r\nA : b\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nA: b\x01\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nContent-Length: 1x\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", 0},
      {"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
      {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nExpect: a-miracle\r\n\r\n", 417},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", 400},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", 400},
  };
  for (const auto& [bytes, status] : table) EXPECT_EQ(Outcome(bytes), status) << bytes;
}

TEST(HttpParser, Limits) {
  const HttpLimits small{.head_bytes = 100, .headers = 2, .body_bytes = 10};
  EXPECT_EQ(Outcome("GET /" + std::string(200, 'a'), small), 414);
  EXPECT_EQ(Outcome("GET / HTTP/1.1\r\nA: " + std::string(200, 'a'), small), 431);
  EXPECT_EQ(Outcome("GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n", small), 431);
  EXPECT_EQ(Outcome("POST / HTTP/1.1\r\nContent-Length: 11\r\n\r\n", small), 413);
  EXPECT_EQ(Outcome("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n01234567\r\n3\r\n", small), 413);
  // Frames without end around little data.
  std::string chunks = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 9; ++i) chunks += "1;" + std::string(4000, 'x') + "\r\na\r\n";
  EXPECT_EQ(Outcome(chunks, small), -1);
  std::string trailers = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
  for (int i = 0; i < 9; ++i) trailers += "A: " + std::string(50, 'x') + "\r\n";
  EXPECT_EQ(Outcome(trailers, small), 431);
}

}  // namespace
}  // namespace tenon::serve
