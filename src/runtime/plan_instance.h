// PlanInstance: a plan bound to addresses. Not thread-safe: one for each worker (or each step that holds a plan).
#pragma once
#include <span>

#include "runtime/plan.h"

namespace tenon::runtime {

class PlanInstance {
 public:
  explicit PlanInstance(std::shared_ptr<const Plan> plan);
  const Plan& plan() const { return *plan_; }
  /// The arena of at least plan().arena_bytes at which the plan's values lie from now on, 64-byte aligned; not owned.
  void SetArena(std::byte* arena);
  void SetBuffer(BufferId id, std::byte* address) { buffers_[static_cast<std::size_t>(id)] = address; }
  /// Addresses of all inputs and outputs; SetBuffer for each of them.
  void SetPorts(std::span<std::byte* const> inputs, std::span<std::byte* const> outputs);
  Status Run(int threads);

 private:
  std::shared_ptr<const Plan> plan_;
  std::byte* arena_ = nullptr;
  std::vector<std::byte*> buffers_;
  std::vector<std::unique_ptr<StepState>> states_;
};

}  // namespace tenon::runtime
