#include "runtime/planned.h"

#include <algorithm>
#include <cstring>

#include "base/status_macros.h"
#include "runtime/parallel.h"
#include "runtime/plan_instance.h"
#include "runtime/ports.h"
#include "tensor/sole_owner.h"

namespace tenon::runtime {
namespace {

bool SameDims(std::span<const Literal> inputs, const InputDims& dims) {
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i].dims() != dims[i]) return false;
  return true;
}

// A program with the addresses of one Context.
struct Bound {
  std::shared_ptr<const Program> program;
  std::optional<PlanInstance> instance;  // when there is a plan
  std::uint64_t arena_epoch = 0;
};

class PlanContext : public Context {
 public:
  explicit PlanContext(const PlannedFunction& function) : function_(function) {}

  Status Run(std::span<Literal> inputs, std::span<Literal> outputs) override {
    if (inputs.size() != function_.inputs().size() || outputs.size() != function_.outputs().size())
      return Status(Code::kInvalidArgument, "function: got " + std::to_string(inputs.size()) + " inputs and " +
                                                std::to_string(outputs.size()) + " outputs, expected " +
                                                std::to_string(function_.inputs().size()) + " and " +
                                                std::to_string(function_.outputs().size()));
    try {
      Bound* bound = last_ != nullptr && SameDims(inputs, last_->program->dims) ? last_ : nullptr;
      if (bound == nullptr) {
        TENON_ASSIGN_OR_RETURN(bound, Bind(inputs));
        last_ = bound;
      }
      for (std::size_t i = 0; i < inputs.size(); ++i)
        if (inputs[i].dtype() != function_.inputs()[i].dtype) return WrongDType(i, inputs[i].dtype());
      SetTeam(function_.options().threads);
      const Program& program = *bound->program;
      if (program.plan == nullptr) return program.interpreter->Run(inputs, outputs);
      return RunPlan(*bound, inputs, outputs);
    } catch (const Error& e) {
      return e.status();
    }
  }

 private:
  Status WrongDType(std::size_t i, DType got) const {
    const Port& port = function_.inputs()[i];
    return Status(Code::kInvalidArgument, "input \"" + port.name + "\": got " + std::string(dtype_name(got)) +
                                              ", expected " + std::string(dtype_name(port.dtype)));
  }

  Result<Bound*> Bind(std::span<const Literal> inputs) {
    for (auto it = bound_.begin(); it != bound_.end(); ++it) {
      if (!SameDims(inputs, (*it)->program->dims)) continue;
      bound_.splice(bound_.begin(), bound_, it);
      return bound_.front().get();
    }
    InputDims dims;
    dims.reserve(inputs.size());
    for (const Literal& in : inputs) dims.push_back(in.dims());
    auto fresh = std::make_unique<Bound>();
    TENON_ASSIGN_OR_RETURN(fresh->program, function_.Find(dims));
    if (const Plan* plan = fresh->program->plan.get(); plan != nullptr) {
      fresh->instance.emplace(fresh->program->plan);
      if (plan->arena_bytes > arena_.size()) {
        arena_ = Buffer();  // the old one first: never both at a time
        arena_ = Buffer::allocate(plan->arena_bytes, false);
        ++arena_epoch_;
      }
    }
    bound_.push_front(std::move(fresh));
    if (bound_.size() > static_cast<std::size_t>(std::max(1, function_.options().max_plans))) bound_.pop_back();
    return bound_.front().get();
  }

  Status RunPlan(Bound& bound, std::span<Literal> inputs, std::span<Literal> outputs) {
    PlanInstance& instance = *bound.instance;
    const Plan& plan = instance.plan();
    if (bound.arena_epoch != arena_epoch_) {
      instance.SetArena(arena_.mutable_data());
      bound.arena_epoch = arena_epoch_;
    }
    for (std::size_t j = 0; j < outputs.size(); ++j) {
      const PlanPort& port = plan.outputs[j];
      if (const int from = plan.donated_from[j]; from >= 0) {
        Literal& given = inputs[static_cast<std::size_t>(from)];
        if (!IsSoleOwner(given.buffer())) {
          Literal copy = Literal::uninitialized(port.dtype, port.dims);
          std::memcpy(copy.mutable_raw().data(), given.raw().data(), given.nbytes());
          given = std::move(copy);
        }
      } else {
        if (!MayOverwrite(outputs[j], port.dtype, port.dims))
          outputs[j] = Literal::uninitialized(port.dtype, port.dims);
        instance.SetBuffer(port.buffer, outputs[j].mutable_raw().data());
      }
    }
    for (std::size_t i = 0; i < inputs.size(); ++i)
      instance.SetBuffer(plan.inputs[i].buffer, const_cast<std::byte*>(inputs[i].raw().data()));
    if (Status status = instance.Run(function_.options().threads); !status.ok()) return status;
    for (std::size_t j = 0; j < outputs.size(); ++j)
      if (const int from = plan.donated_from[j]; from >= 0)
        std::swap(outputs[j], inputs[static_cast<std::size_t>(from)]);
    return {};
  }

  const PlannedFunction& function_;
  Buffer arena_;
  std::uint64_t arena_epoch_ = 1;            // bound addresses of another epoch are stale
  std::list<std::unique_ptr<Bound>> bound_;  // most recently bound first
  Bound* last_ = nullptr;
};

}  // namespace

std::unique_ptr<Context> PlannedFunction::NewContext() const { return std::make_unique<PlanContext>(*this); }

Result<std::shared_ptr<const Program>> PlannedFunction::Find(const InputDims& input_dims) const {
  if (input_dims.size() != inputs().size())
    return Status(Code::kInvalidArgument, "function: got the dims of " + std::to_string(input_dims.size()) +
                                              " inputs, expected " + std::to_string(inputs().size()));
  const std::lock_guard lock(mutex_);
  for (auto it = programs_.begin(); it != programs_.end(); ++it) {
    if ((*it)->dims != input_dims) continue;
    programs_.splice(programs_.begin(), programs_, it);
    return programs_.front();
  }
  SetTeam(options_.threads);  // primitives are made for the team that will run them
  TENON_ASSIGN_OR_RETURN(std::shared_ptr<const Program> made, MakeProgram(input_dims));
  programs_.push_front(made);
  if (programs_.size() > static_cast<std::size_t>(std::max(1, options_.max_plans))) programs_.pop_back();
  return made;
}

std::string PlannedFunction::Explain() const {
  const std::lock_guard lock(mutex_);
  std::string out;
  for (const auto& p : programs_) out += p->plan != nullptr ? p->plan->Explain() : p->interpreter->Explain();
  return out;
}

}  // namespace tenon::runtime
