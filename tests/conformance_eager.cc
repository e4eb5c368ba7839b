// Check 11: the eager call against the reference, and against the same call traced and compiled.
#include "conformance.h"
#include "eager/dispatch.h"
#include "tenon/function.h"

namespace tenon::conformance {
namespace {

bool AllTensors(const std::vector<ir::Datum>& values) {
  for (const ir::Datum& v : values)
    if (!v.tensor || v.kind != ir::Type::Kind::kTensor || v.literal().dtype() == DType::kString) return false;
  return true;
}

std::vector<ir::Datum> Values(const std::vector<Tensor>& tensors) {
  std::vector<ir::Datum> out;
  for (const Tensor& t : tensors) out.emplace_back(t.literal());
  return out;
}

}  // namespace

void CheckEager(const Op& op) {
  for (const Case& c : op.cases) {
    SCOPED_TRACE(c.name());
    const auto want = Reference(c);
    ASSERT_TRUE(want.ok()) << want.status().message();
    if (!AllTensors(*want)) continue;
    std::vector<Tensor> present, inputs;
    bool strings = false;
    for (const auto& in : c.inputs) {
      inputs.push_back(in ? Tensor(*in) : Tensor());
      if (in) present.push_back(inputs.back());
      strings = strings || (in && in->dtype() == DType::kString);
    }
    try {
      const std::vector<Tensor> eager = eager::Apply(*c.op, inputs, c.sample->attrs);
      ExpectOutputs(c, Values(eager), *want, "eager");
      if (strings || present.empty()) continue;
      const auto traced = function([&](const std::vector<Tensor>& symbols) {
        std::vector<Tensor> arguments;
        std::size_t at = 0;
        for (const auto& in : c.inputs) arguments.push_back(in ? symbols[at++] : Tensor());
        return eager::Apply(*c.op, arguments, c.sample->attrs);
      });
      ExpectOutputs(c, Values(traced(present)), *want, "traced");
    } catch (const Error& e) {
      ADD_FAILURE() << e.what();
    }
  }
}

}  // namespace tenon::conformance
