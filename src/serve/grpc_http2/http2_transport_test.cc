// The transport beneath gRPC's own client: what clients may do that grpcio does not. transport_test.cc of
// serve/grpc_transport runs the whole server over it with the gRPC library's client.
#include "serve/grpc_http2/http2_transport.h"

#include <gtest/gtest.h>

#include "base/gzip.h"
#include "serve/grpc_http2/http2_test_util.h"

namespace tenon::serve::http2 {
namespace {

using std::chrono::seconds;
using testing::Http2;
using testing::RawClient;
using Clock = std::chrono::steady_clock;

TEST_F(Http2, AnswersHaveHeadMessageAndTrailers) {
  Open();
  RawClient client(Connect());
  for (const std::size_t size : {0U, 5U, 70'000U, 3'000'000U}) {
    const std::string message(size, 'm');
    const RawClient::Answer answer = client.Call(RawClient::Head("/s/Echo"), Framed(message));
    EXPECT_EQ(answer.Of(":status"), "200");
    EXPECT_EQ(answer.Of("content-type"), "application/grpc");
    EXPECT_EQ(answer.data, Framed(message)) << size;
    EXPECT_EQ(answer.trailers, (std::map<std::string, std::string>{{"grpc-status", "0"}}));
  }
}

TEST_F(Http2, ErrorsAreOneHead) {
  Open();
  RawClient client(Connect());
  const RawClient::Answer answer = client.Call(RawClient::Head("/s/Fail"), Framed("50% \xc3\xa4"));
  EXPECT_EQ(answer.Of("grpc-status"), "3");
  EXPECT_EQ(answer.Of("grpc-message"), "50%25 %C3%A4");
  EXPECT_TRUE(answer.data.empty() && answer.trailers.empty());
  EXPECT_EQ(client.Call(RawClient::Head("/s/None"), Framed("")).status(), "12");
}

TEST_F(Http2, RequestsThatAreNoCalls) {
  Open({.max_message_bytes = 1000});
  RawClient client(Connect());
  const auto echo = RawClient::Head("/s/Echo");
  EXPECT_EQ(client.Call(echo, "").status(), "13") << "no message";
  EXPECT_EQ(client.Call(echo, Framed("a") + Framed("b")).status(), "13") << "two messages";
  EXPECT_EQ(client.Call(echo, Framed("abc").substr(0, 6)).status(), "13") << "cut short";
  EXPECT_EQ(client.Call(echo, std::string("\7\0\0\0\1x", 6)).status(), "13") << "a bad head";
  EXPECT_EQ(client.Call(echo, Framed(std::string(1001, 'x'))).status(), "8") << "too long";
  RawClient::Fields get = echo, web = echo;
  get[0].second = "GET";
  web[5].second = "application/json";
  EXPECT_EQ(client.Call(get, "").Of(":status"), "405");
  EXPECT_EQ(client.Call(web, "").Of(":status"), "415");
  EXPECT_EQ(client.Call(echo, Framed("fine")).status(), "0") << "and the connection goes on";
}

TEST_F(Http2, AnAnswerDoesNotWaitForTheWholeRequest) {
  Open({.max_message_bytes = 10});
  RawClient client(Connect());
  const RawClient::Answer answer = client.Call(RawClient::Head("/s/Echo"), Framed("far too long").substr(0, 8), false);
  EXPECT_EQ(answer.status(), "8");
  EXPECT_TRUE(answer.closed) << "and it asks for no more of it";
  EXPECT_EQ(answer.error, NGHTTP2_NO_ERROR);
}

TEST_F(Http2, CompressedMessages) {
  Open();
  RawClient client(Connect());
  RawClient::Fields head = RawClient::Head("/s/Echo");
  EXPECT_EQ(client.Call(head, Framed("x", 1)).status(), "13");
  head.emplace_back("grpc-encoding", "gzip");
  const std::string text(5000, 'z');
  EXPECT_EQ(client.Call(head, Framed(base::Gzip(text), 1)).data, Framed(text));
  EXPECT_EQ(client.Call(head, Framed("plain")).data, Framed("plain"));
  head.back().second = "br";
  const RawClient::Answer answer = client.Call(head, Framed("x", 1));
  EXPECT_EQ(answer.status(), "12");
  EXPECT_EQ(answer.Of("grpc-accept-encoding"), "identity,deflate,gzip");
}

TEST_F(Http2, TokensAndDeadlines) {
  service_.token = "Bearer t";
  Open();
  RawClient client(Connect());
  RawClient::Fields head = RawClient::Head("/s/Echo");
  EXPECT_EQ(client.Call(head, Framed("a")).status(), "16");
  head.emplace_back("authorization", "Bearer t");
  EXPECT_EQ(client.Call(head, Framed("a")).status(), "0");
  head.emplace_back("grpc-timeout", "0n");
  EXPECT_EQ(client.Call(head, Framed("a")).status(), "4");
  head.back().second = "99999999H";
  EXPECT_EQ(client.Call(head, Framed("a")).status(), "0");
}

TEST_F(Http2, ManyCallsOfOneConnectionGoOnBesideEachOther) {
  Open();
  RawClient client(Connect());
  std::vector<std::int32_t> slow, quick;
  for (int i = 0; i < 20; ++i)
    slow.push_back(client.Start(RawClient::Head("/s/Work"), Framed("w" + std::to_string(i))));
  service_.WaitForWork(20);
  for (int i = 0; i < 20; ++i)
    quick.push_back(client.Start(RawClient::Head("/s/Echo"), Framed("q" + std::to_string(i))));
  EXPECT_TRUE(client.Until([&] { return client.answers[quick.back()].closed; }));
  EXPECT_FALSE(client.answers[slow[0]].closed);
  service_.Go();
  EXPECT_TRUE(client.Until([&] {
    for (const auto id : slow)
      if (!client.answers[id].closed) return false;
    return true;
  }));
  for (std::size_t i = 0; i < 20; ++i) EXPECT_EQ(client.answers[slow[i]].data, Framed("w" + std::to_string(i)));
}

TEST_F(Http2, AnswersThatComeLater) {
  Open();
  RawClient client(Connect());
  std::vector<std::int32_t> later;
  for (int i = 0; i < 50; ++i)
    later.push_back(client.Start(RawClient::Head("/s/Later"), Framed("l" + std::to_string(i))));
  service_.WaitForWork(50);
  EXPECT_EQ(client.Call(RawClient::Head("/s/Echo"), Framed("a")).status(), "0") << "no thread waits";
  for (int i = 0; i < 10; ++i) client.Reset(later[static_cast<std::size_t>(i)]);
  {
    RawClient other(Connect());
    other.Start(RawClient::Head("/s/Later"), Framed("gone"));
    service_.WaitForWork(51);
  }  // the connection is gone before its answer comes
  EXPECT_EQ(client.Call(RawClient::Head("/s/Echo"), Framed("b")).status(), "0");
  std::thread drain([&] { transport_->Drain(Clock::now() + seconds(10)); });
  EXPECT_TRUE(client.Until([&] { return client.goaways.size() == 2; }));
  EXPECT_FALSE(client.answers[later[10]].closed);
  service_.Go();
  for (std::size_t i = 10; i < 50; ++i) {
    EXPECT_TRUE(client.Until([&] { return client.answers[later[i]].closed; }));
    EXPECT_EQ(client.answers[later[i]].data, Framed("l" + std::to_string(i)));
  }
  drain.join();
}

TEST_F(Http2, CallsOfARoundAreJoined) {
  Open();
  RawClient client(Connect()), other(Connect());
  for (int turn = 0; turn < 20; ++turn) {
    std::vector<std::int32_t> ids;
    for (int i = 0; i < 8; ++i) ids.push_back(client.Start(RawClient::Head("/s/Join"), Framed(std::to_string(i))));
    other.Start(RawClient::Head("/s/Join"), Framed("x"));
    for (std::size_t i = 0; i < ids.size(); ++i) {
      ASSERT_TRUE(client.Until([&] { return client.answers[ids[i]].closed; }));
      const std::string data = client.answers[ids[i]].data;
      EXPECT_EQ(data.substr(5, 5), std::to_string(i) + " of ") << "each has its own";
    }
  }
  {
    RawClient gone(Connect());
    gone.Start(RawClient::Head("/s/Join"), Framed("gone"));
  }
  // Maybe in one round with the call of the client that is gone.
  EXPECT_EQ(client.Call(RawClient::Head("/s/Join"), Framed("a")).data.substr(5, 5), "a of ");
}

TEST_F(Http2, StreamsLast) {
  Open();
  RawClient client(Connect());
  EXPECT_EQ(client.Call(RawClient::Head("/s/Reflect"), Framed("a") + Framed("b")).data, Framed("<a>") + Framed("<b>"));
  EXPECT_EQ(client.Call(RawClient::Head("/s/Check"), Framed("")).data, Framed("down"));
  const std::int32_t watch = client.Start(RawClient::Head("/s/Watch"), Framed(""));
  EXPECT_TRUE(client.Until([&] { return client.answers[watch].data == Framed("down"); }));
  transport_->SetServing(true);
  EXPECT_TRUE(client.Until([&] { return client.answers[watch].data == Framed("down") + Framed("up"); }));
  transport_->Drain(Clock::now() + seconds(10));
  EXPECT_TRUE(client.Until([&] { return client.answers[watch].closed; }));
  EXPECT_EQ(client.answers[watch].status(), "14");
}

TEST_F(Http2, ChannelArguments) {
  EXPECT_TRUE(Http2Knows("grpc.max_concurrent_streams"));
  EXPECT_FALSE(Http2Knows("grpc.keepalive_time_ms"));
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, std::string>>{{"grpc.keepalive_time_ms", "1"},
                                                        {"grpc.max_concurrent_streams", "x"},
                                                        {"grpc.max_concurrent_streams", "0"}}) {
    const auto transport =
        MakeHttp2Transport({.addresses = {"127.0.0.1:0"}, .channel_arguments = {{key, value}}}, service_);
    EXPECT_EQ(transport->Start().code(), Code::kInvalidArgument) << key;
  }
  Open({.channel_arguments = {{"grpc.so_reuseaddr", "1"}, {"grpc.max_receive_message_length", "4"}}});
  RawClient client(Connect());
  EXPECT_EQ(client.Call(RawClient::Head("/s/Echo"), Framed("12345")).status(), "8");
}

}  // namespace
}  // namespace tenon::serve::http2
