// Optionals, and sequences made from and joined to tensors, in graphs: a sample cannot hold one.
#include <gtest/gtest.h>

#include "ir/builder.h"
#include "ir/eval.h"
#include "ops/op_check.h"

namespace tenon::ir::ops {
namespace {

TEST(OptionalOps, Samples) {
  CheckFamily("optional");
  CheckFamily("sequence_tensor");
}

class Optionals : public testing::Test {
 protected:
  Result<std::vector<Datum>> Run(std::vector<Value> outputs) {
    EXPECT_TRUE(b.ok()) << b.status().message();
    g.set_outputs(std::move(outputs));
    return EvalGraph(g, {});
  }
  Graph g;
  Builder b{&g};
};

TEST_F(Optionals, SomeAndNone) {
  const Value x = b.Constant(Values({2}, {1, 2}));
  const Value some = b.Add("optional_some", {x}),
              none = b.Add("optional_none", {}, {{"element", std::string("f32[2]")}});
  EXPECT_EQ(b.type(some), b.type(none));
  const auto r =
      Run({b.Add("optional_has_value", {some}), b.Add("optional_has_value", {none}), b.Add("optional_value", {some})})
          .value();
  EXPECT_EQ(r[0].literal().at(0), 1);
  EXPECT_EQ(r[1].literal().at(0), 0);
  EXPECT_TRUE(identical(r[2].literal(), Values({2}, {1, 2})));
  const Result<std::vector<Datum>> empty = Run({b.Add("optional_value", {none})});
  ASSERT_FALSE(empty.ok());
  EXPECT_NE(empty.status().message().find("empty optional"), std::string::npos) << empty.status().message();
}

TEST_F(Optionals, SplitAndConcatAreInverse) {
  for (const std::int64_t axis : {0, 1}) {
    g = Graph();
    const Literal x = Random({5, 4}, 3);
    const Value parts = b.Add("sequence_split", {b.Constant(x), b.Constant(Ints({}, {2}))}, {{"axis", axis}});
    const Value rows = b.Add("sequence_split", {b.Constant(x)}, {{"axis", axis}, {"keep_dims", false}});
    const auto r = Run({b.Add("sequence_concat", {parts}, {{"axis", axis}}),
                        b.Add("sequence_concat", {rows}, {{"axis", axis}, {"new_axis", true}})})
                       .value();
    EXPECT_TRUE(identical(r[0].literal(), x));
    EXPECT_TRUE(identical(r[1].literal(), x));
  }
}

TEST_F(Optionals, ItemsThatDoNotFitAreErrorsOfTheRun) {
  const Value items = b.Add("sequence_construct", {b.Constant(Values({2}, {1, 2})), b.Constant(Values({1, 1}, {3}))});
  EXPECT_FALSE(Run({b.Add("sequence_concat", {items})}).ok());
  EXPECT_FALSE(Run({b.Add("sequence_concat", {b.Add("sequence_empty", {})})}).ok());
  const Value x = b.Constant(Values({3}, {1, 2, 3}));
  EXPECT_FALSE(Run({b.Add("sequence_split", {x, b.Constant(Ints({2}, {1, 1}))})}).ok());
  EXPECT_FALSE(Run({b.Add("sequence_split", {x, b.Constant(Ints({}, {0}))})}).ok());
}

}  // namespace
}  // namespace tenon::ir::ops
