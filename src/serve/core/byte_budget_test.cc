#include "serve/core/byte_budget.h"

#include <gtest/gtest.h>

namespace tenon::serve {
namespace {

TEST(ByteBudget, KeepsAShareForSmallRequests) {
  Counter refused;
  const auto budget = ByteBudget::Make(8 << 20, &refused);
  EXPECT_TRUE(budget->Admits(7 << 20, 7 << 20));
  EXPECT_FALSE(budget->Admits(8 << 20, (7 << 20) + 1));
  EXPECT_EQ(budget->Room(100 << 20), std::size_t{7} << 20);
  EXPECT_TRUE(budget->easy());
  budget->Add(7 << 20);
  EXPECT_FALSE(budget->easy());
  EXPECT_EQ(budget->Room(100), 0U);
  EXPECT_FALSE(budget->Admits(100 << 10, 1)) << "a large one that grows";
  EXPECT_TRUE(budget->Admits(ByteBudget::kSmall, ByteBudget::kSmall));
  EXPECT_FALSE(budget->Admits(ByteBudget::kSmall + 1, 1));
  budget->Add((1 << 20) - 10);
  EXPECT_TRUE(budget->Admits(10, 10));
  EXPECT_FALSE(budget->Admits(11, 11)) << "full";
  const Status status = budget->Refuse();
  EXPECT_EQ(status.code(), Code::kResourceExhausted);
  EXPECT_EQ(status.message(),
            "Request: the server holds 8388598 bytes of requests and answers that are under way; its limit is 8388608 "
            "(--max_inflight_bytes): try again later");
  EXPECT_EQ(refused.value(), 1);
  budget->Remove((8 << 20) - 10);
  EXPECT_EQ(budget->used(), 0);
}

TEST(ByteBudget, HoldersGrowAsFarAsThereIsRoom) {
  Counter refused;
  const auto budget = ByteBudget::Make(8 << 20, &refused);
  EXPECT_EQ(budget->most(), std::size_t{7} << 20);
  HeldBytes one(budget.get()), two(budget.get());
  EXPECT_TRUE(one.Grow(4 << 20).ok());
  EXPECT_TRUE(two.Grow(3 << 20).ok());
  const Status full = two.Grow((3 << 20) + 1);
  EXPECT_EQ(full.code(), Code::kResourceExhausted);
  EXPECT_NE(full.message().find("try again later"), std::string::npos);
  EXPECT_EQ(budget->used(), 7 << 20) << "nothing was added";
  const Status never = two.Grow((7 << 20) + 1);
  EXPECT_EQ(never.message(),
            "Request: it takes more memory than the server has for any: 7340032 bytes with the limit of 8388608 "
            "(--max_inflight_bytes); send less at a time, or raise the limit");
  EXPECT_EQ(refused.value(), 2);
  one.Set(0);
  EXPECT_TRUE(two.Grow(7 << 20).ok());
  EXPECT_TRUE(two.Grow(1).ok()) << "never less";
  EXPECT_EQ(budget->used(), 7 << 20);
  EXPECT_EQ(ByteBudget::Make(1000)->most(), 1000U);
  EXPECT_EQ(ByteBudget::Make(0)->most(), SIZE_MAX);
}

TEST(ByteBudget, NoLimit) {
  const auto budget = ByteBudget::Make(0);
  budget->Add(std::size_t{1} << 40);
  EXPECT_TRUE(budget->Admits(1 << 20, std::size_t{1} << 40));
  EXPECT_EQ(budget->Room(77), 77U);
  EXPECT_TRUE(budget->easy());
  budget->Remove(std::size_t{1} << 40);
}

TEST(ByteBudget, HoldersMayOutliveTheirServer) {
  auto budget = ByteBudget::Make(1000);
  HeldBytes held(budget.get());
  held.Set(10);
  held.Set(30);
  held.Set(20);
  std::shared_ptr<char[]> memory = std::allocate_shared_for_overwrite<char[]>(BudgetAllocator<char>(budget.get()), 500);
  EXPECT_GE(budget->used(), 520);
  EXPECT_LT(budget->used(), 600);
  budget.reset();
  memory.reset();
  held.Set(0);
}

}  // namespace
}  // namespace tenon::serve
