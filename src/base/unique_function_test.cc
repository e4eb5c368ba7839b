#include "base/unique_function.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>

namespace tenon::base {
namespace {

TEST(UniqueFunctionTest, HoldsSmallAndLargeMoveOnlyThings) {
  UniqueFunction<int(int)> none;
  EXPECT_FALSE(none);
  const auto counted = std::make_shared<int>(7);
  UniqueFunction<int(int)> small = [own = std::make_unique<int>(5), counted](int x) { return *own + *counted + x; };
  UniqueFunction<int(int)> large = [own = std::make_unique<int>(5), counted, more = std::array<int, 100>{}](int x) {
    return *own + *counted + x + more[3];
  };
  EXPECT_EQ(small(1), 13);
  EXPECT_EQ(large(2), 14);
  EXPECT_EQ(counted.use_count(), 3);
  UniqueFunction<int(int)> moved = std::move(small), other = std::move(large);
  EXPECT_EQ(moved(1) + other(1), 26);
  EXPECT_EQ(counted.use_count(), 3);
  moved = std::move(other);
  EXPECT_EQ(counted.use_count(), 2) << "what it held is gone";
  EXPECT_EQ(moved(0), 12);
  moved = nullptr;
  EXPECT_EQ(counted.use_count(), 1);
  EXPECT_FALSE(moved);
}

TEST(UniqueFunctionTest, PassesArgumentsOnWithoutCopies) {
  UniqueFunction<std::unique_ptr<int>(std::unique_ptr<int>, std::string&)> f = [](std::unique_ptr<int> p,
                                                                                  std::string& text) {
    text += "called";
    return p;
  };
  std::string text;
  const std::unique_ptr<int> back = f(std::make_unique<int>(3), text);
  EXPECT_EQ(*back, 3);
  EXPECT_EQ(text, "called");
}

}  // namespace
}  // namespace tenon::base
