// A plan at its addresses: what steps see of the arena.
#include "runtime/plan_instance.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/poison.h"

namespace tenon::runtime {
namespace {

// Copies `bytes` from one buffer to another.
class Copy : public Step {
 public:
  Copy(BufferId from, BufferId to, std::size_t bytes) : from_(from), to_(to), bytes_(bytes) {
    reads = {from};
    writes = {to};
  }
  Status Run(const StepContext& ctx) const override {
    for (std::size_t i = 0; i < bytes_; ++i) ctx.get<std::byte>(to_)[i] = ctx.get<std::byte>(from_)[i];
    return {};
  }
  std::string Describe() const override { return "copy"; }

 private:
  BufferId from_, to_;
  std::size_t bytes_;
};

// in -> a -> b -> out, 70 bytes each; the second step copies `bytes`, and declares what it reads or not.
struct Chain {
  explicit Chain(std::size_t bytes = 70, bool declared = true) {
    const BufferId in = plan->AddBuffer(BufferKind::kInput, 70), a = plan->AddBuffer(BufferKind::kArena, 70),
                   b = plan->AddBuffer(BufferKind::kArena, 70), out = plan->AddBuffer(BufferKind::kOutput, 70);
    plan->inputs.push_back({DType::kU8, {70}, in});
    plan->outputs.push_back({DType::kU8, {70}, out});
    plan->steps.push_back(std::make_unique<Copy>(in, a, 70));
    plan->steps.push_back(std::make_unique<Copy>(a, b, bytes));
    plan->steps.push_back(std::make_unique<Copy>(b, out, 70));
    EXPECT_TRUE(PlanArena(*plan).ok());
    if (!declared) plan->steps[1]->reads.clear();
  }
  std::string Run() {
    const Buffer arena = Buffer::allocate(plan->arena_bytes, true);
    PlanInstance instance(plan);
    instance.SetArena(const_cast<std::byte*>(arena.data()));
    std::string in(70, 'x'), out(70, ' ');
    in.back() = 'y';
    std::byte* const from = reinterpret_cast<std::byte*>(in.data());
    std::byte* const to = reinterpret_cast<std::byte*>(out.data());
    instance.SetPorts({&from, 1}, {&to, 1});
    EXPECT_TRUE(instance.Run(1).ok());
    // Afterwards all of the arena is the owner's again.
    std::memset(const_cast<std::byte*>(arena.data()), 1, arena.size());
    return out;
  }
  std::shared_ptr<Plan> plan = std::make_shared<Plan>();
};

TEST(PlanInstance, StepsPassOnWhatTheyWrite) {
  std::string want(70, 'x');
  want.back() = 'y';
  EXPECT_EQ(Chain().Run(), want);
}

#if defined(TENON_ADDRESS_SANITIZER)
TEST(PlanInstanceDeathTest, AStepSeesWhatItDeclares) {
  EXPECT_DEATH(Chain(71).Run(), "use-after-poison");
  EXPECT_DEATH(Chain(70, false).Run(), "use-after-poison");
}
#endif

}  // namespace
}  // namespace tenon::runtime
