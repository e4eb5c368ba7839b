#include "runtime/executable.h"

#include "base/status_macros.h"
#include "runtime/ports.h"

namespace tenon::runtime {

CompiledFunction::~CompiledFunction() = default;

Status CompiledFunction::Run(std::span<Literal> inputs, std::span<Literal> outputs) const {
  if (inputs.size() != inputs_.size() || outputs.size() != outputs_.size())
    return Status(Code::kInvalidArgument, "function: got " + std::to_string(inputs.size()) + " inputs and " +
                                              std::to_string(outputs.size()) + " outputs, expected " +
                                              std::to_string(inputs_.size()) + " and " +
                                              std::to_string(outputs_.size()));
  std::unique_ptr<Context> context;
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      context = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  if (context == nullptr) context = NewContext();
  Status status = context->Run(inputs, outputs);
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(context));
  return status;
}

Result<std::vector<Literal>> CompiledFunction::Run(std::vector<Literal> inputs) const {
  std::vector<Literal> results(outputs_.size(), EmptyLiteral());
  TENON_RETURN_IF_ERROR(Run(std::span<Literal>(inputs), std::span<Literal>(results)));
  return results;
}

}  // namespace tenon::runtime
