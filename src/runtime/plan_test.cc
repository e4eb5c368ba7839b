// The arena planner: lifetimes, reuse, overlays.
#include "runtime/plan.h"

#include <gtest/gtest.h>

#include <random>

namespace tenon::runtime {
namespace {

class Touch : public Step {
 public:
  Touch(std::vector<BufferId> in, std::vector<BufferId> out) {
    reads = std::move(in);
    writes = std::move(out);
  }
  Status Run(const StepContext&) const override { return {}; }
  std::string Describe() const override { return "touch"; }
};

TEST(PlanArena, ReusesWhatIsDead) {
  Plan plan;
  const BufferId in = plan.AddBuffer(BufferKind::kInput, 400);
  const BufferId a = plan.AddBuffer(BufferKind::kArena, 400), b = plan.AddBuffer(BufferKind::kArena, 400),
                 c = plan.AddBuffer(BufferKind::kArena, 400);
  const BufferId out = plan.AddBuffer(BufferKind::kOutput, 400);
  plan.steps.push_back(std::make_unique<Touch>(std::vector{in}, std::vector{a}));
  plan.steps.push_back(std::make_unique<Touch>(std::vector{a}, std::vector{b}));
  plan.steps.push_back(std::make_unique<Touch>(std::vector{b}, std::vector{c}));
  plan.steps.push_back(std::make_unique<Touch>(std::vector{c}, std::vector{out}));
  ASSERT_TRUE(PlanArena(plan).ok());
  EXPECT_EQ(plan.arena_bytes, 2U * 448);  // two alive at a time, rounded up to 64
  EXPECT_EQ(plan.buffers[static_cast<std::size_t>(a)].offset, plan.buffers[static_cast<std::size_t>(c)].offset);
}

TEST(PlanArena, LaysAWriteOverADyingRead) {
  Plan plan;
  const BufferId in = plan.AddBuffer(BufferKind::kInput, 400);
  const BufferId a = plan.AddBuffer(BufferKind::kArena, 400), b = plan.AddBuffer(BufferKind::kArena, 400),
                 out = plan.AddBuffer(BufferKind::kOutput, 400);
  plan.steps.push_back(std::make_unique<Touch>(std::vector{in}, std::vector{a}));
  plan.steps.push_back(std::make_unique<Touch>(std::vector{a}, std::vector{b}));
  plan.steps.back()->may_overlay = {{a, b}};
  plan.steps.push_back(std::make_unique<Touch>(std::vector{b}, std::vector{out}));
  ASSERT_TRUE(PlanArena(plan).ok());
  EXPECT_EQ(plan.arena_bytes, 448U);
  // Read again afterwards: both must stay.
  plan.steps.push_back(std::make_unique<Touch>(std::vector{a}, std::vector{out}));
  ASSERT_TRUE(PlanArena(plan).ok());
  EXPECT_EQ(plan.arena_bytes, 896U);
}

TEST(PlanArena, ReadBeforeWrittenIsOurBug) {
  Plan plan;
  const BufferId a = plan.AddBuffer(BufferKind::kArena, 8), b = plan.AddBuffer(BufferKind::kArena, 8);
  plan.steps.push_back(std::make_unique<Touch>(std::vector{a}, std::vector{b}));
  EXPECT_EQ(PlanArena(plan).code(), Code::kInternal);
}

TEST(PlanArena, NothingAliveOverlaps) {
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    Plan plan;
    std::vector<BufferId> made = {plan.AddBuffer(BufferKind::kInput, 64)};
    for (int s = 0; s < 40; ++s) {
      std::vector<BufferId> in = {made[random() % made.size()], made[random() % made.size()]};
      const BufferId out = plan.AddBuffer(BufferKind::kArena, 1 + random() % 5000),
                     scratch = plan.AddBuffer(BufferKind::kArena, random() % 300);
      plan.steps.push_back(std::make_unique<Touch>(in, std::vector{out, scratch}));
      if (in[0] != in[1]) plan.steps.back()->may_overlay = {{in[0], out}};
      made.push_back(out);
    }
    ASSERT_TRUE(PlanArena(plan).ok());
    // Simulate: each step's write must not hit a value that is read later, other than the one it was laid over.
    std::vector<int> last(plan.buffers.size(), -1), first(plan.buffers.size(), -1);
    for (std::size_t s = 0; s < plan.steps.size(); ++s)
      for (const auto* list : {&plan.steps[s]->reads, &plan.steps[s]->writes})
        for (const BufferId id : *list) {
          last[static_cast<std::size_t>(id)] = static_cast<int>(s);
          if (first[static_cast<std::size_t>(id)] < 0) first[static_cast<std::size_t>(id)] = static_cast<int>(s);
        }
    for (std::size_t i = 0; i < plan.buffers.size(); ++i)
      for (std::size_t k = 0; k < i; ++k) {
        const BufferDesc &x = plan.buffers[i], &y = plan.buffers[k];
        if (x.kind != BufferKind::kArena || y.kind != BufferKind::kArena || x.bytes == 0 || y.bytes == 0) continue;
        const bool apart = x.offset + x.bytes <= y.offset || y.offset + y.bytes <= x.offset;
        const bool alive_together = first[i] < last[k] && first[k] < last[i];
        EXPECT_TRUE(apart || !alive_together) << i << " and " << k;
        EXPECT_EQ(x.offset % 64, 0U);
      }
  }
}

}  // namespace
}  // namespace tenon::runtime
