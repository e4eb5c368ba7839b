#include "runtime/plan_instance.h"

#include <optional>

#include "base/poison.h"

namespace tenon::runtime {
namespace {

// With the address sanitizer a step sees of the arena what it declares, to the byte.
class Sight {
 public:
  Sight(const Plan& plan, const std::vector<std::byte*>& buffers, std::byte* arena)
      : plan_(plan), buffers_(buffers), arena_(arena) {}
  Sight(const Sight&) = delete;
  Sight& operator=(const Sight&) = delete;
  ~Sight() { base::Unpoison(arena_, plan_.arena_bytes); }
  void Enter(const Step& step) {
    base::Poison(arena_, plan_.arena_bytes);
    for (const std::vector<BufferId>* ids : {&step.reads, &step.writes})
      for (const BufferId id : *ids) {
        const BufferDesc& buffer = plan_.buffers[static_cast<std::size_t>(id)];
        if (buffer.kind == BufferKind::kArena) base::Unpoison(buffers_[static_cast<std::size_t>(id)], buffer.bytes);
      }
  }

 private:
  const Plan& plan_;
  const std::vector<std::byte*>& buffers_;
  std::byte* arena_;
};

}  // namespace

PlanInstance::PlanInstance(std::shared_ptr<const Plan> plan) : plan_(std::move(plan)), buffers_(plan_->buffers.size()) {
  for (std::size_t b = 0; b < buffers_.size(); ++b)
    if (plan_->buffers[b].kind == BufferKind::kConstant)
      buffers_[b] = const_cast<std::byte*>(plan_->constants[static_cast<std::size_t>(plan_->buffers[b].index)].data());
  states_.reserve(plan_->steps.size());
  for (const auto& step : plan_->steps) states_.push_back(step->MakeState());
}

void PlanInstance::SetArena(std::byte* arena) {
  arena_ = arena;
  for (std::size_t b = 0; b < buffers_.size(); ++b)
    if (plan_->buffers[b].kind == BufferKind::kArena) buffers_[b] = arena + plan_->buffers[b].offset;
}

void PlanInstance::SetPorts(std::span<std::byte* const> inputs, std::span<std::byte* const> outputs) {
  for (std::size_t i = 0; i < inputs.size(); ++i) SetBuffer(plan_->inputs[i].buffer, inputs[i]);
  for (std::size_t i = 0; i < outputs.size(); ++i) SetBuffer(plan_->outputs[i].buffer, outputs[i]);
}

Status PlanInstance::Run(int threads) {
  StepContext ctx{buffers_.data(), nullptr, threads};
  std::optional<Sight> sight;
  if constexpr (base::kPoison) sight.emplace(*plan_, buffers_, arena_);
  for (std::size_t s = 0; s < states_.size(); ++s) {
    ctx.state = states_[s].get();
    if (sight) sight->Enter(*plan_->steps[s]);
    if (Status status = plan_->steps[s]->Run(ctx); !status.ok()) return status;
  }
  return {};
}

}  // namespace tenon::runtime
