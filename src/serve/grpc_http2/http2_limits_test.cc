// What a client may not do: fill the memory, hold what it does not use, send what is no HTTP/2.
#include <gtest/gtest.h>
#include <malloc.h>

#include <atomic>
#include <random>
#include <thread>

#include "base/gzip.h"
#include "serve/core/fake_servable.h"
#include "serve/grpc_http2/http2_test_util.h"

namespace tenon::serve::http2 {
namespace {

using testing::Http2;
using testing::RawClient;

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

TEST_F(Http2, AnAnswerThatIsNotTakenIsDropped) {
  Open({.stall = std::chrono::milliseconds(300)});
  RawClient client(Connect(), true);
  client.Window(0);
  const std::int32_t never = client.Start(RawClient::Head("/s/Echo"), Framed(std::string(100'000, 'n')));
  EXPECT_TRUE(client.Until([&] { return client.answers[never].closed; }));
  EXPECT_EQ(client.answers[never].error, NGHTTP2_CANCEL);
  EXPECT_EQ(client.Call(RawClient::Head("/s/Fail"), Framed("a head needs no window")).status(), "3");
  // One that takes a little now and then is slow, and gets all of it.
  const std::int32_t slow = client.Start(RawClient::Head("/s/Echo"), Framed(std::string(100'000, 's')));
  for (int i = 0; i < 10; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
    client.Take(slow, 10'001);
  }
  EXPECT_TRUE(client.Until([&] { return client.answers[slow].closed; }));
  EXPECT_EQ(client.answers[slow].data, Framed(std::string(100'000, 's')));
}

TEST_F(Http2, AnswersThatAreNotTakenDoNotFillTheMemory) {
  const auto budget = ByteBudget::Make(8 << 20);
  Open({.budget = budget});
  RawClient client(Connect(), true), other(Connect());
  client.Window(0);
  const std::string message(1'000'000, 'a');
  std::vector<std::int32_t> kept;
  int refused = 0;
  for (int i = 0; i < 20; ++i) {
    const std::int32_t id = client.Start(RawClient::Head("/s/Echo"), Framed(message));
    ASSERT_TRUE(client.Until([&] { return !client.answers[id].head.empty(); })) << i;
    if (client.answers[id].status() == "8")
      ++refused;
    else
      kept.push_back(id);
    EXPECT_LE(budget->used(), 8 << 20);
  }
  EXPECT_GE(refused, 12);
  EXPECT_GE(kept.size(), 5U);
  EXPECT_EQ(other.Call(RawClient::Head("/s/Echo"), Framed("small")).data, Framed("small"));
  for (const std::int32_t id : kept) client.Take(id, 1'100'000);
  EXPECT_TRUE(client.Until([&] { return client.answers[kept.back()].closed; }));
  for (const std::int32_t id : kept) EXPECT_EQ(client.answers[id].data, Framed(message));
  EXPECT_EQ(other.Call(RawClient::Head("/s/Echo"), Framed(message)).data, Framed(message));
  EXPECT_TRUE(serve::testing::Eventually([&] { return budget->used() < 10'000; })) << "all is given back";
}

TEST_F(Http2, SmallAnswersThatAreNotTakenAreFew) {
  Open();
  RawClient client(Connect(), true);
  client.Window(0);
  std::string many;
  for (int i = 0; i < 6000; ++i) many += Framed("r");
  const std::int32_t id = client.Start(RawClient::Head("/s/Reflect"), many, false);
  EXPECT_EQ(client.Call(RawClient::Head("/s/Fail"), Framed("behind it")).status(), "3");
  client.Take(id, 60'000);
  EXPECT_TRUE(client.Until([&] { return client.answers[id].closed; }));
  EXPECT_EQ(client.answers[id].status(), "8");
  EXPECT_LE(client.answers[id].data.size(), 5000 * Framed("<r>").size());
  EXPECT_GE(client.answers[id].data.size(), 1000 * Framed("<r>").size());
}

TEST_F(Http2, ARequestThatDripsIsGivenUp) {
  Open({.stall = std::chrono::milliseconds(1000)});
  RawClient client(Connect());
  const std::int32_t drips =
      client.Start(RawClient::Head("/s/Echo"), Framed(std::string(1'000'000, 'd')).substr(0, 100), false);
  for (int i = 0; i < 50 && !client.answers[drips].closed; ++i) {
    client.More(drips, "d");
    client.Poll(std::chrono::milliseconds(100));
  }
  EXPECT_EQ(client.answers[drips].status(), "4");
}

TEST_F(Http2, LargeHeadsAreNotKept) {
  Open();
  RawClient client(Connect());
  RawClient::Fields head = RawClient::Head("/s/Later");
  head.emplace_back("authorization", std::string(30'000, 'a'));
  head.emplace_back("grpc-encoding", std::string(30'000, 'e'));
  EXPECT_EQ(client.Call(RawClient::Head("/s/Echo"), Framed("a")).status(), "0");  // and the settings have come
  const std::size_t before = ::mallinfo2().uordblks;
  for (int i = 0; i < 500; ++i) client.Start(head, Framed("l"));
  service_.WaitForWork(500);
  EXPECT_LT(::mallinfo2().uordblks - before, 10U << 20) << "500 heads of 60 KB";
}

TEST_F(Http2, WhatInflatesIsAWorkersTask) {
  service_.hold_tasks = true;
  Open();
  RawClient client(Connect());
  RawClient::Fields head = RawClient::Head("/s/Echo");
  head.emplace_back("grpc-encoding", "gzip");
  const std::string large(8 << 20, 'z'), packed = base::Gzip(large);
  const std::int32_t id = client.Start(head, Framed(packed, 1)),
                     broken = client.Start(head, Framed(packed.substr(0, 5000), 1));
  service_.WaitForTasks(2);
  EXPECT_EQ(client.Call(RawClient::Head("/s/Echo"), Framed("b")).status(), "0") << "the I/O thread is free";
  service_.Release();
  EXPECT_TRUE(client.Until([&] { return client.answers[id].closed && client.answers[broken].closed; }));
  EXPECT_EQ(client.answers[id].data, Framed(large));
  EXPECT_NE(client.answers[broken].status(), "0");
  head[2].second = "/s/Check";
  EXPECT_EQ(client.Call(head, Framed(packed, 1)).status(), "8") << "nobody asks for the health of that";
}

TEST_F(Http2, CallsThatLastAskForNames) {
  Open();
  RawClient client(Connect());
  for (const char* path : {"/s/Reflect", "/s/Check", "/s/Watch"}) {
    EXPECT_EQ(client.Call(RawClient::Head(path), Framed(std::string(70'000, 'n'))).status(), "8") << path;
  }
}

TEST_F(Http2, NoMoreConnectionsThanAllowed) {
  std::atomic<int> refused{0};
  Open({.io_threads = 2, .max_connections = 3, .refused = [&] { ++refused; }});
  const auto call = [](RawClient& client) { return client.Call(RawClient::Head("/s/Echo"), Framed("e")).status(); };
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<RawClient>(Connect()));
    EXPECT_EQ(call(*clients.back()), "0");
  }
  for (int i = 1; i <= 5; ++i) {
    const int fd = Connect();
    char byte = 0;
    EXPECT_LE(::recv(fd, &byte, 1, 0), 0) << "closed, without a byte of HTTP/2";
    ::close(fd);
    EXPECT_EQ(refused, i);
  }
  for (const auto& client : clients) EXPECT_EQ(call(*client), "0") << "those that were there are not disturbed";
  clients.pop_back();
  // Its place is free as soon as the server has seen that it is gone.
  EXPECT_TRUE(serve::testing::Eventually([&] {
    RawClient next(Connect());
    return call(next) == "0";
  }));
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

}  // namespace
}  // namespace tenon::serve::http2
