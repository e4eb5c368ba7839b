#include "serve/core/tracer.h"

#include <gtest/gtest.h>

#include <optional>
#include <thread>

namespace tenon::serve {
namespace {

TEST(TracerTest, KeepsSpansWhileARecordingIsOpen) {
  Tracer tracer;
  const auto now = [] { return Tracer::Clock::now(); };
  EXPECT_FALSE(tracer.active());
  tracer.Add("before", now(), now());
  std::int64_t dropped = -1;
  {
    const Tracer::Recording first(tracer);
    EXPECT_TRUE(tracer.active());
    tracer.Add("a", now(), now());
    std::optional<Tracer::Recording> second(tracer);
    std::thread([&] { tracer.AddOnThread("b", now(), 8); }).join();
    const std::vector<Span> later = second->Take(&dropped);
    ASSERT_EQ(later.size(), 1U) << "what ended before it began is not its own";
    EXPECT_EQ(later[0].name, "b");
    EXPECT_EQ(later[0].rows, 8);
    EXPECT_FALSE(later[0].track.empty());
    second.reset();
    const std::vector<Span> all = first.Take(&dropped);
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0].name, "a");
    EXPECT_EQ(all[0].track, "");
    EXPECT_EQ(dropped, 0);
  }
  EXPECT_FALSE(tracer.active());
  EXPECT_TRUE(Tracer::Recording(tracer).Take(&dropped).empty()) << "the last recording takes the spans with it";
}

TEST(TracerTest, SpansBeyondTheMostAreCounted) {
  Tracer tracer;
  const Tracer::Recording recording(tracer);
  const auto now = Tracer::Clock::now();
  for (std::size_t i = 0; i < Tracer::kMost + 7; ++i) tracer.Add("x", now, Tracer::Clock::now());
  std::int64_t dropped = 0;
  EXPECT_EQ(recording.Take(&dropped).size(), Tracer::kMost);
  EXPECT_EQ(dropped, 7);
}

}  // namespace
}  // namespace tenon::serve
