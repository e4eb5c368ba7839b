// PlannedFunction: a CompiledFunction that makes a plan for each set of input dims, kept in a bounded cache.
#pragma once
#include <cstdint>
#include <list>

#include "runtime/executable.h"
#include "runtime/plan.h"

namespace tenon::runtime {

using InputDims = std::vector<std::vector<std::int64_t>>;

/// What runs for one set of input dims: a plan, or an interpreter where no plan can be made (shapes that depend on
/// data, sequences).
class Interpreter {
 public:
  virtual ~Interpreter() = default;
  /// As Context::Run, but outputs need not be reused. Any thread.
  virtual Status Run(std::span<Literal> inputs, std::span<Literal> outputs) const = 0;
  virtual std::string Explain() const = 0;
};
struct Program {
  InputDims dims;
  std::shared_ptr<const Plan> plan;
  std::shared_ptr<const Interpreter> interpreter;  // when plan is null
};

class PlannedFunction : public CompiledFunction {
 public:
  PlannedFunction(std::vector<Port> inputs, std::vector<Port> outputs, CompileOptions options)
      : CompiledFunction(std::move(inputs), std::move(outputs)), options_(std::move(options)) {}
  const CompileOptions& options() const { return options_; }
  std::unique_ptr<Context> NewContext() const override;
  Status Prepare(const InputDims& input_dims) const override { return Find(input_dims).status(); }
  std::string Explain() const override;
  /// From the cache, or made under the lock.
  Result<std::shared_ptr<const Program>> Find(const InputDims& input_dims) const;

 protected:
  /// Called with one lock held; dims fit the ports in number only.
  virtual Result<std::shared_ptr<const Program>> MakeProgram(const InputDims& input_dims) const = 0;

 private:
  CompileOptions options_;
  mutable std::mutex mutex_;
  mutable std::list<std::shared_ptr<const Program>> programs_;  // most recently used first
};

}  // namespace tenon::runtime
