// Checks 5, 6 and 9: every backend against the reference, with inputs that come transposed, and compiled with symbolic
// dims between other ops.
#include "compiler/backend.h"
#include "conformance.h"
#include "ir/op_table.h"

namespace tenon::conformance {
namespace {

// Graph inputs and outputs are tensors of numbers.
bool Runs(const Wired& w) {
  for (const ir::Value v : w.outputs)
    if (!v.valid() || !w.graph.type(v).is_tensor()) return false;
  return true;
}

void Compare(const Case& c, const WireOptions& options) {
  auto wired = Wire(c, options);
  ASSERT_TRUE(wired.ok()) << wired.status().message();
  if (!Runs(*wired)) return;
  const auto want = ir::EvalGraph(wired->graph, wired->data);
  ASSERT_TRUE(want.ok()) << want.status().message();
  for (const compiler::Backend& backend : compiler::Backends()) {
    if (backend.name == "ref" && options.form == InputForm::kPlain) continue;  // the reference itself
    SCOPED_TRACE(std::string(backend.name));
    for (const int threads : {1, 2}) {
      runtime::CompileOptions compile_options;
      compile_options.threads = threads;
      const auto compiled = backend.compile(wired->graph, compile_options);
      ASSERT_TRUE(compiled.ok()) << compiled.status().message();
      std::vector<Literal> first;
      for (int round = 0; round < 2; ++round) {
        std::vector<Literal> in;
        for (const ir::Datum& d : wired->data) in.push_back(d.literal());
        const auto got = (*compiled)->Run(std::move(in));
        ASSERT_TRUE(got.ok()) << got.status().message();
        ExpectOutputs(c, {got->begin(), got->end()}, *want, threads == 1 ? "one thread" : "two threads");
        if (round == 0) first = *got;
        for (std::size_t i = 0; i < first.size(); ++i)
          EXPECT_TRUE(identical(first[i], (*got)[i])) << "output " << i << ": the second run gives other bits";
      }
    }
  }
}

}  // namespace

void CheckBackends(const Op& op) {
  for (const Case& c : op.cases) {
    SCOPED_TRACE(c.name());
    Compare(c, {});
  }
}

void CheckTransposed(const Op& op) {
  for (const Case& c : op.cases) {
    bool any = false;
    for (const auto& in : c.inputs) any = any || (in && in->rank() >= 2 && in->dtype() != DType::kString);
    if (!any || !c.own) continue;
    SCOPED_TRACE(c.name());
    Compare(c, {.form = InputForm::kTransposed});
  }
}

void CheckCompiledSymbolic(const Op& op) {
  for (const Case& c : op.cases) {
    if (!c.own) continue;
    SCOPED_TRACE(c.name());
    Compare(c, {.form = InputForm::kSymbolic, .surrounded = true});
  }
}

}  // namespace tenon::conformance
