#include "backends/cpu/emit/bodies.h"

#include <new>
#include <stdexcept>

#include "base/status_macros.h"
#include "ir/infer.h"
#include "ir/op_def.h"

namespace tenon::cpu {

using ir::Datum;

Result<std::vector<Datum>> Bodies::Eval(const ir::OpDef& op, std::span<const Datum* const> inputs,
                                        ir::Attrs attrs) const {
  std::vector<ir::Output> known(inputs.size());
  std::vector<const ir::Output*> types(inputs.size(), nullptr);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i] == nullptr) continue;
    known[i] = KnownOf(*inputs[i]);
    types[i] = &known[i];
  }
  try {
    TENON_ASSIGN_OR_RETURN(const std::vector<ir::Output> outputs, ir::Infer(op, types, attrs));
    ir::EvalContext context(op, inputs, attrs, outputs, [this](const ir::Graph& body, std::vector<Datum> values) {
      return Run(body, std::move(values));
    });
    TENON_RETURN_IF_ERROR(op.eval(context));
    return context.TakeResults();
  } catch (const Error& e) {
    return e.status();
  } catch (const std::bad_alloc&) {
    return Status(Code::kResourceExhausted, std::string(op.name) + ": the memory for a result is not there");
  } catch (const std::length_error&) {
    return Status(Code::kResourceExhausted, std::string(op.name) + ": the memory for a result is not there");
  }
}

Result<std::vector<Datum>> Bodies::Run(const ir::Graph& body, std::vector<Datum> inputs) const {
  std::shared_ptr<const SegmentInterpreter> interpreter;
  {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<const SegmentInterpreter>& slot = interpreters_[&body];
    if (slot == nullptr) slot = std::make_shared<const SegmentInterpreter>(body, options_, packing_);
    interpreter = slot;
  }
  return interpreter->RunValues(std::move(inputs));
}

}  // namespace tenon::cpu
