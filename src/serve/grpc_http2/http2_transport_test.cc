// The transport beneath gRPC's own client: what clients may do that grpcio does not. transport_test.cc of
// serve/grpc_transport runs the whole server over it with the gRPC library's client.
#include "serve/grpc_http2/http2_transport.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <random>

#include "base/gzip.h"
#include "serve/grpc_http2/fake_service.h"
#include "serve/grpc_http2/loop.h"
#include "serve/grpc_http2/raw_client.h"

namespace tenon::serve::http2 {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::FakeService;
using testing::RawClient;
using Clock = std::chrono::steady_clock;

class Http2 : public ::testing::Test {
 protected:
  void TearDown() override {
    service_.Stop();
    transport_.reset();
  }
  void Open(GrpcTransportOptions options = {}) {
    options.addresses = {"127.0.0.1:0"};
    transport_ = MakeHttp2Transport(options, service_);
    const Status started = transport_->Start();
    ASSERT_TRUE(started.ok()) << started.message();
  }
  int Connect() const {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(transport_->port()));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    const int one = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
  }
  static std::string Framed(std::string_view message, char flag = 0) { return RawClient::Framed(message, flag); }

  FakeService service_;
  std::unique_ptr<GrpcTransport> transport_;
};

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

TEST_F(Http2, ACallThatIsGivenUpIsForgotten) {
  Open();
  RawClient client(Connect());
  const std::int32_t id = client.Start(RawClient::Head("/s/Work"), Framed("w"));
  service_.WaitForWork(1);
  client.Reset(id);
  EXPECT_EQ(client.Call(RawClient::Head("/s/Echo"), Framed("a")).status(), "0");
  service_.Stop();  // its answer comes too late
  EXPECT_EQ(client.Call(RawClient::Head("/s/Echo"), Framed("b")).status(), "0");
  {
    RawClient other(Connect());
    other.Start(RawClient::Head("/s/Work"), Framed("w"));
    service_.WaitForWork(2);
  }  // the connection is gone
  service_.Stop();
  EXPECT_EQ(client.Call(RawClient::Head("/s/Echo"), Framed("c")).status(), "0");
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

TEST_F(Http2, ManyHalfSentMessagesDoNotFillTheMemory) {
  const auto budget = ByteBudget::Make(8 << 20);
  Open({.budget = budget});
  RawClient client(Connect());
  const std::string half = Framed(std::string(1 << 20, 'h')).substr(0, 700'000);
  std::vector<std::int32_t> calls;
  for (int i = 0; i < 30; ++i) calls.push_back(client.Start(RawClient::Head("/s/Echo"), half, false));
  int refused = 0;
  EXPECT_TRUE(client.Until([&] {
    refused = 0;
    for (const auto id : calls) refused += client.answers[id].status() == "8" ? 1 : 0;
    return refused >= 20;
  })) << refused;
  EXPECT_LE(refused, 24);
  EXPECT_LE(budget->used(), (7 << 20) + 1000);
  RawClient other(Connect());
  EXPECT_EQ(other.Call(RawClient::Head("/s/Echo"), Framed("small")).data, Framed("small"));
  const RawClient::Answer large = other.Call(RawClient::Head("/s/Echo"), Framed(std::string(2 << 20, 'x')));
  EXPECT_EQ(large.status(), "8");
  EXPECT_NE(large.Of("grpc-message").find("--max_inflight_bytes"), std::string::npos);
  RawClient::Fields gzip = RawClient::Head("/s/Echo");
  gzip.emplace_back("grpc-encoding", "gzip");
  EXPECT_EQ(other.Call(gzip, Framed(base::Gzip(std::string(2 << 20, 'z')), 1)).status(), "8") << "nor inflated";
  for (const auto id : calls) client.Reset(id);
  EXPECT_EQ(client.Call(RawClient::Head("/s/Echo"), Framed("x")).status(), "0");
  EXPECT_LT(budget->used(), 1000) << "all is given back";
  EXPECT_EQ(client.Call(RawClient::Head("/s/Echo"), Framed(std::string(2 << 20, 'x'))).status(), "0");
}

TEST_F(Http2, AHalfSentCallEndsAtItsDeadline) {
  Open();
  RawClient client(Connect());
  RawClient::Fields head = RawClient::Head("/s/Echo");
  head.emplace_back("grpc-timeout", "100m");
  const std::int32_t id = client.Start(head, Framed("abc").substr(0, 6), false);
  EXPECT_TRUE(client.Until([&] { return client.answers[id].closed; }));
  EXPECT_EQ(client.answers[id].status(), "4");
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

TEST_F(Http2, ADrainTellsTheClientAndFinishesWhatHasBegun) {
  Open();
  RawClient client(Connect());
  const std::int32_t begun = client.Start(RawClient::Head("/s/Work"), Framed("w"));
  service_.WaitForWork(1);
  std::thread drain([&] { transport_->Drain(Clock::now() + seconds(10)); });
  EXPECT_TRUE(client.Until([&] { return !client.goaways.empty(); }));
  EXPECT_EQ(client.goaways[0], 0x7fffffff) << "first only a notice";
  EXPECT_TRUE(client.Until([&] { return client.goaways.size() == 2; }));
  EXPECT_EQ(client.goaways[1], begun) << "what came until then is answered";
  service_.Go();
  EXPECT_TRUE(client.Until([&] { return client.answers[begun].closed; }));
  EXPECT_EQ(client.answers[begun].data, Framed("w"));
  EXPECT_TRUE(client.WaitForEnd());
  drain.join();
}

TEST_F(Http2, WhoHasConnectedIsServedAtTheEnd) {
  Open();
  service_.work_is_cheap = true;
  RawClient holder(Connect());
  const std::int32_t held = holder.Start(RawClient::Head("/s/Work"), Framed("w"));
  service_.WaitForWork(1);  // the I/O thread is busy: it sees the clients and the drain at the same moment
  std::vector<std::unique_ptr<RawClient>> clients;
  std::vector<std::int32_t> calls;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<RawClient>(Connect()));
    calls.push_back(clients.back()->Start(RawClient::Head("/s/Echo"), Framed("e")));
  }
  std::thread drain([&] { transport_->Drain(Clock::now() + seconds(10)); });
  std::this_thread::sleep_for(milliseconds(50));
  service_.Go();
  for (std::size_t i = 0; i < clients.size(); ++i) {
    RawClient& client = *clients[i];
    EXPECT_TRUE(client.Until([&] { return client.answers[calls[i]].closed; })) << i;
    EXPECT_EQ(client.answers[calls[i]].data, Framed("e"));
    EXPECT_TRUE(client.WaitForEnd());
  }
  EXPECT_TRUE(holder.Until([&] { return holder.answers[held].closed; }));
  drain.join();
}

TEST_F(Http2, ALoopThatIsToEndTakesNoConnection) {
  Shared shared({}, service_);
  Loop loop(shared);
  ASSERT_TRUE(loop.Open().ok());
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  EXPECT_TRUE(loop.Adopt(::dup(fd), false));
  loop.Drain();
  EXPECT_FALSE(loop.Adopt(fd, false));
  EXPECT_EQ(::close(fd), 0) << "it stays ours";
}

TEST_F(Http2, WhatIsNoHttp2IsClosed) {
  Open();
  for (const std::string& bytes : {std::string("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
                                   std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11),
                                   std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\x04\0\0\0\0\0", 33)}) {
    const int fd = Connect();
    EXPECT_GT(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL), 0);
    char buffer[4096];
    ssize_t n = 1;
    while (n > 0) {
      pollfd wait{.fd = fd, .events = POLLIN, .revents = 0};
      ASSERT_EQ(::poll(&wait, 1, 10'000), 1) << "left open";
      n = ::recv(fd, buffer, sizeof buffer, 0);
    }
    ::close(fd);
  }
}

TEST_F(Http2, HeadsAreLimited) {
  Open();
  RawClient client(Connect());
  RawClient::Fields head = RawClient::Head("/s/Echo");
  for (int i = 0; i < 5; ++i) head.emplace_back("x-" + std::to_string(i), std::string(15'000, 'h'));
  EXPECT_NE(client.Call(head, Framed("a")).status(), "0");
}

TEST_F(Http2, AlteredBytesEndNothingButTheirConnection) {
  Open();
  std::mt19937 random(3);
  // What a good client sends, caught at a socket of our own.
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  std::string good(1 << 16, '\0');
  {
    RawClient catcher(pair[0]);
    catcher.Start(RawClient::Head("/s/Echo"), Framed("hello"));
    catcher.Start(RawClient::Head("/s/Reflect"), Framed("a") + Framed("b"));
    catcher.Start(RawClient::Head("/s/Watch"), Framed(""));
    good.resize(static_cast<std::size_t>(::recv(pair[1], good.data(), good.size(), 0)));
  }
  ::close(pair[1]);
  for (int i = 0; i < 400; ++i) {
    std::string bytes = good;
    for (auto n = 1 + random() % 6; n > 0; --n) {
      const std::size_t at = 24 + random() % (bytes.size() - 24);
      switch (random() % 3) {
        case 0:
          bytes[at] = static_cast<char>(random());
          break;
        case 1:
          bytes.erase(at, 1 + random() % 9);
          break;
        default:
          bytes.insert(at, bytes.substr(24 + random() % (at - 23), random() % 64));
      }
    }
    const int fd = Connect();
    [[maybe_unused]] const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    ::close(fd);
  }
  RawClient client(Connect());
  EXPECT_EQ(client.Call(RawClient::Head("/s/Echo"), Framed("still here")).data, Framed("still here"));
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
