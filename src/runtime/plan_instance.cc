#include "runtime/plan_instance.h"

namespace tenon::runtime {

PlanInstance::PlanInstance(std::shared_ptr<const Plan> plan) : plan_(std::move(plan)), buffers_(plan_->buffers.size()) {
  for (std::size_t b = 0; b < buffers_.size(); ++b)
    if (plan_->buffers[b].kind == BufferKind::kConstant)
      buffers_[b] = const_cast<std::byte*>(plan_->constants[static_cast<std::size_t>(plan_->buffers[b].index)].data());
  states_.reserve(plan_->steps.size());
  for (const auto& step : plan_->steps) states_.push_back(step->MakeState());
}

void PlanInstance::SetArena(std::byte* arena) {
  for (std::size_t b = 0; b < buffers_.size(); ++b)
    if (plan_->buffers[b].kind == BufferKind::kArena) buffers_[b] = arena + plan_->buffers[b].offset;
}

void PlanInstance::SetPorts(std::span<std::byte* const> inputs, std::span<std::byte* const> outputs) {
  for (std::size_t i = 0; i < inputs.size(); ++i) SetBuffer(plan_->inputs[i].buffer, inputs[i]);
  for (std::size_t i = 0; i < outputs.size(); ++i) SetBuffer(plan_->outputs[i].buffer, outputs[i]);
}

Status PlanInstance::Run(int threads) {
  StepContext ctx{buffers_.data(), nullptr, threads};
  for (std::size_t s = 0; s < states_.size(); ++s) {
    ctx.state = states_[s].get();
    if (Status status = plan_->steps[s]->Run(ctx); !status.ok()) return status;
  }
  return {};
}

}  // namespace tenon::runtime
