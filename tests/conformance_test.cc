// The conformance run: registers one test for every check and op that has samples.
#include "conformance.h"

#include <set>

#include "ir/op_table.h"

namespace tenon::conformance {
namespace {

struct Check {
  std::string_view name;
  void (*run)(const Op& op);
};
constexpr Check kChecks[] = {
    {"infer", CheckInfer},
    {"symbolic_infer", CheckSymbolicInfer},
    {"errors", CheckErrors},
    {"lowering", CheckLowering},
    {"determinism", CheckDeterminism},
    {"gradient", CheckGradient},
    {"second_gradient", CheckSecondGradient},
    {"gradient_of_lowering", CheckGradientOfLowering},
    {"backends", CheckBackends},
    {"transposed", CheckTransposed},
    {"compiled_symbolic", CheckCompiledSymbolic},
    {"text", CheckText},
    {"native", CheckNative},
    {"eager", CheckEager},
    {"export", CheckExport},
};

class OpTest : public testing::Test {
 public:
  OpTest(const Check& check, const ir::OpDef& def, std::string_view family)
      : check_(check), def_(def), family_(family) {}
  void TestBody() override {
    const Op op = MakeOp(def_, family_);
    check_.run(op);
  }

 private:
  const Check& check_;
  const ir::OpDef& def_;
  std::string_view family_;
};

// Made by the graph's builder alone; it cannot be called.
bool IsInput(const ir::OpDef& op) { return op.name == "input"; }

void Register() {
  for (const Check& check : kChecks)
    for (const ir::OpFamily& family : ir::OpFamilies())
      for (const ir::OpDef& def : family.ops) {
        if (IsInput(def)) continue;
        testing::RegisterTest(
            std::string(check.name).c_str(), std::string(def.name).c_str(), nullptr, nullptr, __FILE__, __LINE__,
            [&check, &def, &family]() -> testing::Test* { return new OpTest(check, def, family.name); });
      }
}

}  // namespace

// A record without samples has no checks at all.
TEST(Records, HaveSamplesSummariesAndAReference) {
  for (const ir::OpFamily& family : ir::OpFamilies())
    for (const ir::OpDef& op : family.ops) {
      SCOPED_TRACE(std::string(op.name));
      if (IsInput(op)) continue;
      EXPECT_FALSE(op.summary.empty());
      EXPECT_TRUE(op.infer != nullptr || op.lower != nullptr);
      EXPECT_TRUE(op.eval != nullptr || op.lower != nullptr);
      // Samples hold tensors only: an op on sequences is reached through the graphs of other tests.
      bool tensors = true;
      for (const ir::Port& p : op.inputs) tensors = tensors && (p.flags & ir::kNonTensor) == 0;
      if (!tensors) continue;
      ASSERT_NE(op.samples, nullptr);
      std::set<std::string> names;
      bool plain = false;
      for (const ir::Sample& s : op.samples()) {
        EXPECT_TRUE(names.insert(s.name).second) << "two samples are called " << s.name;
        plain = plain || s.error.empty();
      }
      // Samples hold tensors: an op that takes a sequence is tested in graphs, beside its record.
      bool takes_tensors = true;
      for (const ir::Port& port : op.inputs)
        takes_tensors = takes_tensors && (port.flags & (ir::kNonTensor | ir::kVariadic)) != ir::kNonTensor;
      EXPECT_TRUE(plain || !takes_tensors) << "no sample that succeeds";
      EXPECT_FALSE(op.Is(ir::kExact) && op.Is(ir::kAccumulates));
    }
}

}  // namespace tenon::conformance

int main(int argc, char** argv) {
  tenon::conformance::Register();
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
