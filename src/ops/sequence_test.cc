// Sequences in graphs: a sample cannot hold one.
#include <gtest/gtest.h>

#include "autograd/gradients.h"
#include "ir/builder.h"
#include "ir/eval.h"
#include "ops/op_check.h"

namespace tenon::ir::ops {
namespace {

TEST(SequenceOps, Samples) { CheckFamily("sequence"); }

class Sequences : public testing::Test {
 protected:
  Value Index(std::int64_t i) { return b.Constant(Ints({}, {i})); }
  Value Three() {
    return b.Add("sequence_construct",
                 {b.Constant(Values({1}, {1})), b.Constant(Values({2}, {2, 3})), b.Constant(Values({1}, {4}))});
  }
  Result<std::vector<Datum>> Run(std::vector<Value> outputs) {
    EXPECT_TRUE(b.ok()) << b.status().message();
    g.set_outputs(std::move(outputs));
    return EvalGraph(g, {});
  }
  Graph g;
  Builder b{&g};
};

TEST_F(Sequences, TypesAndReads) {
  const Value three = Three();
  const Value item = b.Add("sequence_at", {three, Index(1)});
  ASSERT_TRUE(b.ok()) << b.status().message();
  EXPECT_EQ(b.type(three).kind(), Type::Kind::kSequence);
  EXPECT_EQ(b.shape(item).rank(), 1);  // dims differ among the items
  EXPECT_TRUE(b.shape(item)[0].is_symbolic());
  const auto r = Run({item, b.Add("sequence_at", {three, Index(-1)}), b.Add("sequence_length", {three})}).value();
  EXPECT_TRUE(identical(r[0].literal(), Values({2}, {2, 3})));
  EXPECT_TRUE(identical(r[1].literal(), Values({1}, {4})));
  EXPECT_TRUE(identical(r[2].literal(), Ints({}, {3})));
}

TEST_F(Sequences, InsertAndErase) {
  const Value three = Three(), item = b.Constant(Values({}, {9}));
  const Value first = b.Add("sequence_insert", {three, item, Index(0)}), last = b.Add("sequence_insert", {three, item});
  const Value before_last = b.Add("sequence_insert", {three, item, Index(-1)});
  const auto at = [&](Value s, std::int64_t i) { return b.Add("sequence_at", {s, Index(i)}); };
  const auto r = Run({at(first, 0), at(first, 1), at(last, 3), at(before_last, 2),
                      b.Add("sequence_length", {b.Add("sequence_erase", {last})}),
                      at(b.Add("sequence_erase", {three, Index(-3)}), 0), at(three, 0)})
                     .value();
  EXPECT_EQ(r[0].literal().at(0), 9);
  EXPECT_EQ(r[1].literal().at(0), 1);
  EXPECT_EQ(r[2].literal().at(0), 9);
  EXPECT_EQ(r[3].literal().at(0), 9);
  EXPECT_EQ(r[4].literal().at(0), 3);
  EXPECT_EQ(r[5].literal().at(0), 2);
  EXPECT_EQ(r[6].literal().at(0), 1);  // the first sequence is as it was
}

TEST_F(Sequences, EmptyTakesItsFirstItem) {
  const Value none = b.Add("sequence_empty", {}, {{"dtype", DType::kF32}});
  const auto r =
      Run({b.Add("sequence_length", {none}),
           b.Add("sequence_at", {b.Add("sequence_insert", {none, b.Constant(Values({2}, {5, 6}))}), Index(0)})})
          .value();
  EXPECT_EQ(r[0].literal().at(0), 0);
  EXPECT_TRUE(identical(r[1].literal(), Values({2}, {5, 6})));
}

TEST_F(Sequences, PositionsAreChecked) {
  for (const std::int64_t i : {3, -4}) {
    g = Graph();
    const auto r = Run({b.Add("sequence_at", {Three(), Index(i)})});
    ASSERT_FALSE(r.ok());
    EXPECT_EQ(r.status().message(),
              "sequence_at: got position " + std::to_string(i) + " in a sequence of 3, expected one in [-3, 3)");
  }
}

TEST_F(Sequences, DTypesAreChecked) {
  b.Add("sequence_insert", {Three(), b.Constant(Ints({1}, {1}))});
  EXPECT_EQ(b.status().message().rfind("sequence_insert_c3:", 0), 0U) << b.status().message();
}

TEST_F(Sequences, GradientsDoNotPassSilently) {
  const Value x = b.Input("x", Type::Tensor(DType::kF32, {2}));
  const Value y = b.Add("sequence_at", {b.Add("sequence_construct", {x}), Index(0)});
  const auto found = autograd::Gradients(b, std::span(&y, 1), {}, std::span(&x, 1));
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.status().code(), Code::kFailedPrecondition);
}

// Sequences pass through loops: each step appends the carried counter.
TEST_F(Sequences, CarriedByALoop) {
  auto condition = std::make_shared<Graph>(), body = std::make_shared<Graph>();
  Builder c(condition.get()), s(body.get());
  const Type sequence = Type::Sequence(Type::TensorOfUnknownRank(DType::kI64));
  for (Builder* in : {&c, &s}) {
    in->Input("i", Type::Tensor(DType::kI64, {}));
    in->Input("items", sequence);
  }
  condition->set_outputs({Op("greater", c(condition->inputs()[0]), c(c.Scalar(0, DType::kI64)))});
  body->set_outputs({s(body->inputs()[0]) - 1.0, s.Add("sequence_insert", {body->inputs()[1], body->inputs()[0]})});
  ASSERT_TRUE(c.ok() && s.ok()) << s.status().message();
  const std::vector<Value> out =
      b.AddAll("while_loop", {Index(3), b.Add("sequence_empty", {}, {{"dtype", DType::kI64}})},
               {{"condition", GraphPtr(condition)}, {"body", GraphPtr(body)}, {"carries", std::int64_t{2}}});
  ASSERT_TRUE(b.ok()) << b.status().message();
  const auto r = Run({b.Add("sequence_length", {out[1]}), b.Add("sequence_at", {out[1], Index(2)})}).value();
  EXPECT_EQ(r[0].literal().at(0), 3);
  EXPECT_EQ(r[1].literal().at(0), 1);
}

}  // namespace
}  // namespace tenon::ir::ops
