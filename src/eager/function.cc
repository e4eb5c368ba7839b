#include "tenon/function.h"

#include <map>
#include <mutex>

#include "base/log.h"
#include "eager/dispatch.h"
#include "eager/state_function.h"
#include "eager/tape.h"
#include "eager/trace.h"
#include "ir/eval.h"

namespace tenon {
namespace eager {

class FunctionCore {
 public:
  explicit FunctionCore(FunctionOptions options) : options_(std::move(options)) {}

  std::vector<Tensor> Call(const std::string& key, const std::vector<Tensor>& inputs,
                           const std::function<std::vector<Tensor>(std::span<const Tensor>)>& body) {
    // Inside another trace, or on symbols: the body becomes part of what is being built.
    bool inline_body = Trace::Current() != nullptr || !ActiveTapes().empty();
    for (const Tensor& t : inputs) inline_body = inline_body || t.symbolic();
    if (inline_body) return body(inputs);
    std::string full = key;
    if (options_.input_shapes.empty()) {
      for (const Tensor& t : inputs) full += TypeOf(t).to_string() + ";";
    } else {
      for (const Tensor& t : inputs) full += std::string(dtype_name(t.dtype())) + ";";
      CheckShapes(inputs);
    }
    std::shared_ptr<StateFunction> compiled;
    {
      const std::lock_guard lock(mutex_);
      std::shared_ptr<StateFunction>& slot = compiled_[full];
      if (slot == nullptr || !slot->UpToDate()) slot = TraceAndCompile(inputs, body);
      compiled = slot;
    }
    std::vector<Literal> literals;
    for (const Tensor& t : inputs) literals.push_back(t.literal());
    Result<std::vector<Literal>> results = compiled->Run(std::move(literals));
    if (!results.ok()) throw Error(results.status());
    std::vector<Tensor> out;
    for (Literal& l : *results) out.push_back(MakeEager(std::move(l)));
    return out;
  }

  int traces() const {
    const std::lock_guard lock(mutex_);
    return traces_;
  }

 private:
  void CheckShapes(const std::vector<Tensor>& inputs) const {
    if (inputs.size() != options_.input_shapes.size())
      fail(Code::kInvalidArgument, "function: got " + std::to_string(inputs.size()) + " Tensors, expected " +
                                       std::to_string(options_.input_shapes.size()) + " as in input_shapes");
    ir::SymbolBinding symbols;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const Status s = symbols.Bind(ir::Type::Tensor(inputs[i].dtype(), options_.input_shapes[i]), TypeOf(inputs[i]),
                                    "function: argument " + std::to_string(i));
      if (!s.ok()) fail(s);
    }
  }

  std::shared_ptr<StateFunction> TraceAndCompile(
      const std::vector<Tensor>& inputs, const std::function<std::vector<Tensor>(std::span<const Tensor>)>& body) {
    if (++traces_ == options_.max_traces + 1)
      base::Log(base::LogLevel::kWarning,
                "function: traced more than " + std::to_string(options_.max_traces) +
                    " times; each new shape, dtype or argument value compiles anew: give input_shapes with Dim::any()");
    Trace trace;
    std::vector<Tensor> symbols;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const ir::Type type = options_.input_shapes.empty()
                                ? TypeOf(inputs[i])
                                : ir::Type::Tensor(inputs[i].dtype(), options_.input_shapes[i]);
      symbols.push_back(trace.Input(type, "arg" + std::to_string(i)));
    }
    const std::vector<Tensor> outputs = body(symbols);
    Result<Trace::Traced> traced = trace.Finish(outputs);
    if (!traced.ok()) fail(traced.status());
    Result<std::shared_ptr<StateFunction>> made = StateFunction::Make(*std::move(traced));
    if (!made.ok()) fail(made.status());
    return *std::move(made);
  }

  FunctionOptions options_;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<StateFunction>> compiled_;
  int traces_ = 0;
};

}  // namespace eager

namespace function_detail {

Core::Core(FunctionOptions options) : core_(std::make_shared<eager::FunctionCore>(std::move(options))) {}

std::vector<Tensor> Core::Call(const std::string& key, const std::vector<Tensor>& inputs,
                               const std::function<std::vector<Tensor>(std::span<const Tensor>)>& body) const {
  return core_->Call(key, inputs, body);
}

int Core::traces() const { return core_->traces(); }

}  // namespace function_detail
}  // namespace tenon
