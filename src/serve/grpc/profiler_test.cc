#include "serve/grpc/profiler.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <thread>
#include <utility>

#include "formats/proto_wire/wire_writer.h"
#include "serve/grpc/handler_test_util.h"

namespace tenon::serve::rpc {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using testing_rpc::Field;

std::string ProfileRequestOf(std::int64_t ms, std::string_view session) {
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

/// A session to its end.
Status Wait(Profiler& profiler, const std::string& request, const Patience& patience, std::string& reply) {
  auto ended = std::make_shared<std::promise<std::pair<Status, std::string>>>();
  const Status begun = profiler.Profile(request, patience, [ended](Status status, std::string bytes) {
    ended->set_value({std::move(status), std::move(bytes)});
  });
  if (!begun.ok()) return begun;
  const auto [status, bytes] = ended->get_future().get();
  reply = bytes;
  return status;
}

TEST(ProfilerTest, WaitsAndSaysThatTheTraceIsEmpty) {
  Tracer tracer;
  Profiler profiler(tracer);
  std::string reply;
  const Clock::time_point begun = Clock::now();
  ASSERT_TRUE(Wait(profiler, ProfileRequestOf(30, "a"), kNoDeadline, reply).ok());
  EXPECT_GE(Clock::now() - begun, milliseconds(30));
  EXPECT_EQ(reply, "\x38\x01");
}

TEST(ProfilerTest, TheTraceHasWhatEndedMeanwhile) {
  Tracer tracer;
  Profiler profiler(tracer);
  tracer.Add("too early", Clock::now(), Clock::now());
  for (const bool emit : {false, true}) {
    std::string request = ProfileRequestOf(60'000, "t"), reply;
    if (emit) request += "\x48\x01";
    std::thread session([&] { EXPECT_TRUE(Wait(profiler, request, kNoDeadline, reply).ok()); });
    while (!tracer.active()) std::this_thread::yield();
    tracer.Add("REST predict m OK", Clock::now() - milliseconds(1), Clock::now());
    ASSERT_TRUE(profiler.Terminate(Ended("t")).ok());
    session.join();
    std::string space;
    if (emit) {
      space = Field(reply, {8});
    } else {
      EXPECT_EQ(Field(reply, {6, 1}), "xplane.pb");
      space = Field(reply, {6, 2});
    }
    EXPECT_EQ(Field(reply, {7}), "(none)");
    EXPECT_EQ(Field(space, {1, 2}), "/host:CPU");
    EXPECT_EQ(Field(space, {1, 4, 2, 2}), "REST predict m OK");
    EXPECT_EQ(space.find("too early"), std::string::npos);
  }
  EXPECT_FALSE(tracer.active());
}

TEST(ProfilerTest, ASessionEndsWhenItsClientIsGone) {
  struct Gone : Waiter {
    bool gone() const override { return true; }
  };
  Tracer tracer;
  Profiler profiler(tracer);
  std::string reply;
  EXPECT_EQ(Wait(profiler, ProfileRequestOf(60'000, "g"), {kNoDeadline, std::make_shared<Gone>()}, reply).code(),
            Code::kCancelled);
}

TEST(ProfilerTest, EndsBySessionByDeadlineAndByStop) {
  Tracer tracer;
  Profiler profiler(tracer);
  std::string reply;
  ASSERT_TRUE(profiler.Terminate(Ended("early")).ok());
  EXPECT_TRUE(Wait(profiler, ProfileRequestOf(60'000, "early"), kNoDeadline, reply).ok());
  EXPECT_EQ(Wait(profiler, ProfileRequestOf(60'000, "late"), Clock::now() + milliseconds(20), reply).code(),
            Code::kDeadlineExceeded);
  EXPECT_EQ(Wait(profiler, "\xff", kNoDeadline, reply).code(), Code::kInvalidArgument);
  std::vector<std::thread> threads;
  std::vector<Status> status(Profiler::kMost);
  for (int i = 0; i < Profiler::kMost; ++i)
    threads.emplace_back([&, i] {
      std::string mine;
      Status& own = status[static_cast<std::size_t>(i)];
      // The probe below may hold the last place for a moment.
      do own = Wait(profiler, ProfileRequestOf(60'000, "s" + std::to_string(i)), kNoDeadline, mine);
      while (own.code() == Code::kResourceExhausted);
    });
  Status fifth;
  while (fifth.ok()) {
    std::this_thread::sleep_for(milliseconds(1));
    fifth = Wait(profiler, ProfileRequestOf(0, "x"), kNoDeadline, reply);
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
