#include "serve/grpc/profiler.h"

#include <gtest/gtest.h>

#include <thread>

#include "formats/proto_wire/wire_writer.h"

namespace tenon::serve::rpc {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

std::string Request(std::int64_t ms, std::string_view session) {
  proto_wire::Writer w;
  w.Message(4, [&] { w.Varint(9, ms); });
  w.Text(6, session);
  return std::move(w).Take();
}
std::string Ended(std::string_view session) {
  proto_wire::Writer w;
  w.Text(1, session);
  return std::move(w).Take();
}

TEST(ProfilerTest, WaitsAndSaysThatTheTraceIsEmpty) {
  Profiler profiler;
  std::string reply;
  const Clock::time_point begun = Clock::now();
  ASSERT_TRUE(profiler.Profile(Request(30, "a"), kNoDeadline, reply).ok());
  EXPECT_GE(Clock::now() - begun, milliseconds(30));
  EXPECT_EQ(reply, "\x38\x01");
}

TEST(ProfilerTest, EndsBySessionByDeadlineAndByStop) {
  Profiler profiler;
  std::string reply;
  ASSERT_TRUE(profiler.Terminate(Ended("early")).ok());
  EXPECT_TRUE(profiler.Profile(Request(60'000, "early"), kNoDeadline, reply).ok());
  EXPECT_EQ(profiler.Profile(Request(60'000, "late"), Clock::now() + milliseconds(20), reply).code(),
            Code::kDeadlineExceeded);
  EXPECT_EQ(profiler.Profile("\xff", kNoDeadline, reply).code(), Code::kInvalidArgument);
  std::vector<std::thread> threads;
  std::vector<Status> status(Profiler::kMost);
  for (int i = 0; i < Profiler::kMost; ++i)
    threads.emplace_back([&, i] {
      std::string mine;
      Status& own = status[static_cast<std::size_t>(i)];
      // The probe below may hold the last place for a moment.
      do own = profiler.Profile(Request(60'000, "s" + std::to_string(i)), kNoDeadline, mine);
      while (own.code() == Code::kResourceExhausted);
    });
  Status fifth;
  while (fifth.ok()) {
    std::this_thread::sleep_for(milliseconds(1));
    fifth = profiler.Profile(Request(0, "x"), kNoDeadline, reply);
  }
  EXPECT_EQ(fifth.code(), Code::kResourceExhausted);
  ASSERT_TRUE(profiler.Terminate(Ended("s2")).ok());
  threads[2].join();
  EXPECT_TRUE(status[2].ok());
  profiler.Stop();
  for (const int i : {0, 1, 3}) {
    threads[static_cast<std::size_t>(i)].join();
    EXPECT_EQ(status[static_cast<std::size_t>(i)].code(), Code::kCancelled);
  }
}

}  // namespace
}  // namespace tenon::serve::rpc
