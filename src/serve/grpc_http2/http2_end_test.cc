// How calls, connections and the transport end: given up by the client, or drained by the server.
#include <gtest/gtest.h>

#include "serve/core/fake_servable.h"
#include "serve/grpc_http2/http2_test_util.h"
#include "serve/grpc_http2/loop.h"

namespace tenon::serve::http2 {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Http2;
using testing::RawClient;
using Clock = std::chrono::steady_clock;

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

TEST_F(Http2, WhoeverWorksForACallHearsThatItIsGivenUp) {
  Open();
  RawClient client(Connect());
  std::vector<std::int32_t> calls;
  for (int i = 0; i < 6; ++i) calls.push_back(client.Start(RawClient::Head("/s/Later"), Framed("l")));
  service_.WaitForWork(6);
  EXPECT_EQ(service_.Gone(), 0);
  for (std::size_t i = 0; i < 2; ++i) client.Reset(calls[i]);
  EXPECT_EQ(client.Call(RawClient::Head("/s/Echo"), Framed("a")).status(), "0");
  EXPECT_EQ(service_.Gone(), 2);
  {
    RawClient other(Connect());
    for (int i = 0; i < 3; ++i) other.Start(RawClient::Head("/s/Later"), Framed("l"));
    service_.WaitForWork(9);
  }  // the connection is gone
  EXPECT_TRUE(serve::testing::Eventually([&] { return service_.Gone() == 5; })) << service_.Gone();
  service_.Go();
  EXPECT_TRUE(client.Until([&] { return client.answers[calls[5]].closed; }));
  EXPECT_EQ(client.answers[calls[5]].data, Framed("l"));
}

TEST_F(Http2, ACallThatIsGivenUpBeforeAWorkerHasTimeDoesNotRun) {
  service_.hold_tasks = true;
  Open();
  RawClient client(Connect());
  const std::int32_t goes = client.Start(RawClient::Head("/s/Work"), Framed("g"));
  const std::int32_t stays = client.Start(RawClient::Head("/s/Work"), Framed("s"));
  service_.WaitForTasks(2);
  client.Reset(goes);
  EXPECT_EQ(client.Call(RawClient::Head("/s/Echo"), Framed("a")).status(), "0");
  service_.Go();
  service_.Release();
  EXPECT_TRUE(client.Until([&] { return client.answers[stays].closed; }));
  EXPECT_EQ(client.answers[stays].data, Framed("s"));
  EXPECT_EQ(service_.running(), 1);
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

}  // namespace
}  // namespace tenon::serve::http2
