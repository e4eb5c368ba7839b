// Checks 3 and 12: the lowering against the reference, the same bits twice.
#include "conformance.h"

namespace tenon::conformance {
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
