#include "serve/grpc/xspace.h"

#include <gtest/gtest.h>

#include "serve/grpc/handler_test_util.h"

namespace tenon::serve::rpc {
namespace {

using std::chrono::microseconds;
using testing_rpc::Field;
using testing_rpc::Fields;

std::vector<std::string> All(std::string_view bytes, std::uint32_t number) {
  std::vector<std::string> out;
  for (const auto& [n, value] : Fields(bytes))
    if (n == number) out.push_back(value);
  return out;
}

TEST(XSpaceTest, LinesOfThreadsAndOfRequestsThatOverlap) {
  const auto t = Tracer::Clock::now();
  const std::vector<Span> spans = {
      {.name = "batch m", .track = "pool 7", .begin = t + microseconds(10), .end = t + microseconds(30), .rows = 8},
      {.name = "ask", .begin = t - microseconds(5), .end = t + microseconds(40)},
      {.name = "ask", .begin = t + microseconds(20), .end = t + microseconds(50)},
      {.name = "ask", .begin = t + microseconds(40), .end = t + microseconds(60)},
  };
  const std::string space = XSpaceOf(spans, t, 3, "here");
  EXPECT_EQ(Field(space, {3}), "3 spans beyond the first 100000 were dropped");
  EXPECT_EQ(Field(space, {4}), "here");
  const std::string plane = Field(space, {1});
  EXPECT_EQ(Field(plane, {2}), "/host:CPU");
  const std::vector<std::string> lines = All(plane, 3);
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(Field(lines[0], {2}), "pool 7");
  EXPECT_EQ(Field(lines[1], {2}), "requests 001");
  EXPECT_EQ(Field(lines[2], {2}), "requests 002");
  EXPECT_EQ(Field(lines[0], {4, 2}), "10000000");
  EXPECT_EQ(Field(lines[0], {4, 3}), "20000000");
  EXPECT_EQ(Field(lines[0], {4, 4, 4}), "8");
  const std::vector<std::string> first = All(lines[1], 4);
  ASSERT_EQ(first.size(), 2U) << "the third begins when the first has ended";
  EXPECT_EQ(Field(first[0], {2}), "0") << "it began before the session";
  EXPECT_EQ(Field(first[0], {3}), "40000000");
  EXPECT_EQ(Field(first[1], {2}), "40000000");
  EXPECT_EQ(All(lines[2], 4).size(), 1U);
  EXPECT_EQ(All(plane, 4).size(), 2U) << "each name once";
}

}  // namespace
}  // namespace tenon::serve::rpc
