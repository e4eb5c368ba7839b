// Checks 2, 3 and 12: the reference against goldens, the lowering against the reference, the same bits twice.
#include <filesystem>
#include <map>

#include "conformance.h"
#include "ir/numeric.h"
#include "ir/op_table.h"
#include "tensor/npz.h"

namespace tenon::conformance {
namespace {

std::string GoldenPath(std::string_view op) {
  return std::string(TENON_SOURCE_DIR) + "/tests/goldens/" + std::string(op) + ".npz";
}

// Some op of the family has a golden: then all must.
bool FamilyHasGoldens(std::string_view name) {
  for (const ir::OpFamily& family : ir::OpFamilies())
    for (const ir::OpDef& op : family.ops)
      if (family.name == name && std::filesystem::exists(GoldenPath(op.name))) return true;
  return false;
}

}  // namespace

void CheckGolden(const Op& op) {
  if (!std::filesystem::exists(GoldenPath(op.def->name))) {
    bool any = false;
    for (const Case& c : op.cases) any = any || c.own;
    if (!any) return;
    ASSERT_FALSE(FamilyHasGoldens(op.family))
        << "no tests/goldens/" << op.def->name << ".npz, and the family has goldens: run tools/goldens/make.py";
    GTEST_SKIP() << "the family " << op.family << " has no goldens yet";
  }
  const auto goldens = tensor::ReadNpz(GoldenPath(op.def->name));
  ASSERT_TRUE(goldens.ok()) << goldens.status().message();
  for (const Case& c : op.cases) {
    if (!c.own) continue;
    SCOPED_TRACE(c.name());
    const auto got = Reference(c);
    ASSERT_TRUE(got.ok()) << got.status().message();
    for (std::size_t i = 0; i < got->size(); ++i) {
      if (!(*got)[i].tensor) continue;
      const auto it = goldens->find(c.sample->name + "/out" + std::to_string(i));
      ASSERT_NE(it, goldens->end()) << "the golden lacks " << c.sample->name << "/out" << i
                                    << ": run tools/goldens/make.py";
      const Literal& out = (*got)[i].literal();
      const auto want = ir::Convert(it->second, out.dtype());
      ASSERT_TRUE(want.ok()) << want.status().message();
      const std::string text = Difference(out, *want, ToleranceOf(c, *want));
      EXPECT_TRUE(text.empty()) << "output " << i << ": " << text;
    }
  }
}

void CheckLowering(const Op& op) {
  if (op.def->lower == nullptr) return;
  for (const Case& c : op.cases) {
    SCOPED_TRACE(c.name());
    const auto want = Reference(c);
    ASSERT_TRUE(want.ok()) << want.status().message();
    auto wired = Wire(c, {.lowered = true});
    ASSERT_TRUE(wired.ok()) << wired.status().message();
    const auto got = ir::EvalGraph(wired->graph, wired->data);
    ASSERT_TRUE(got.ok()) << got.status().message();
    ExpectOutputs(c, *got, *want, "lowering");
  }
}

void CheckDeterminism(const Op& op) {
  for (const Case& c : op.cases) {
    SCOPED_TRACE(c.name());
    const auto a = Reference(c), b = Reference(c);
    ASSERT_TRUE(a.ok() && b.ok());
    ASSERT_EQ(a->size(), b->size());
    for (std::size_t i = 0; i < a->size(); ++i) {
      if ((*a)[i].tensor) {
        EXPECT_TRUE(identical((*a)[i].literal(), (*b)[i].literal())) << "output " << i;
      } else {
        EXPECT_EQ(Difference((*a)[i], (*b)[i], {}), "") << "output " << i;
      }
    }
  }
}

}  // namespace tenon::conformance
