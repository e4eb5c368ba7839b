// Control flow: the checks made from the samples, and what the records promise about dims, oracle and nesting.
#include <gtest/gtest.h>

#include <cmath>

#include "autograd/gradients.h"
#include "ir/builder.h"
#include "ir/numeric.h"
#include "ir/op_table.h"
#include "ops/op_check.h"

namespace tenon::ir::ops {
namespace {

TEST(ControlOps, Samples) { CheckFamily("control"); }

Type Tensor(DType dtype, Shape dims = {}) { return Type::Tensor(dtype, std::move(dims)); }

// i, x -> i - 1, x * x, with n the dims of x
struct Squaring {
  GraphPtr condition, body;
  explicit Squaring(DType dtype) {
    auto c = std::make_shared<Graph>(), s = std::make_shared<Graph>();
    Builder cb(c.get()), sb(s.get());
    for (Builder* b : {&cb, &sb}) {
      b->Input("i", Tensor(DType::kI64));
      b->Input("x", Tensor(dtype, {Dim::symbol("n")}));
    }
    c->set_outputs({Op("greater", cb(c->inputs()[0]), cb(cb.Scalar(0, DType::kI64)))});
    s->set_outputs({sb(s->inputs()[0]) - 1.0, sb(s->inputs()[1]) * sb(s->inputs()[1])});
    condition = c;
    body = s;
  }
  std::vector<Value> Add(Builder& b, Value i, Value x) const {
    return b.AddAll("while_loop", {i, x}, {{"condition", condition}, {"body", body}, {"carries", std::int64_t{2}}});
  }
};

TEST(ControlOps, WhileTypesAndTripCount) {
  const Squaring loop(DType::kF32);
  Graph g;
  Builder b(&g);
  const Value i = b.Input("i", Tensor(DType::kI64)), x = b.Input("x", Tensor(DType::kF32, {Dim::symbol("batch")}));
  const std::vector<Value> out = loop.Add(b, i, x);
  ASSERT_TRUE(b.ok()) << b.status().message();
  EXPECT_EQ(b.shape(out[1]), Shape({Dim::symbol("batch")}));  // the body keeps its dims
  ASSERT_TRUE(g.output(out[2]).symbolic.has_value());
  g.set_outputs(out);
  const std::vector<Datum> r = EvalGraph(g, {Ints({}, {3}), Values({2}, {2, -1})}).value();
  EXPECT_TRUE(identical(r[1].literal(), Values({2}, {256, 1})));
  EXPECT_TRUE(identical(r[2].literal(), Ints({}, {3})));
}

// The oracle runs bodies declared in f32 in f64, and their gradients too.
TEST(ControlOps, OracleWidensBodies) {
  const Squaring loop(DType::kF32);
  Graph g;
  Builder b(&g);
  const Value i = b.Input("i", Tensor(DType::kI64)), x = b.Input("x", Tensor(DType::kF32, {2}));
  const Value y = loop.Add(b, i, x)[1];
  const Value dx = autograd::Gradients(b, std::span(&y, 1), {}, std::span(&x, 1)).value()[0];
  g.set_outputs({y, dx});
  EvalOptions oracle;
  oracle.float64 = true;
  const std::vector<Datum> r = EvalGraph(g, {Ints({}, {2}), Values({2}, {1.1, 3})}, oracle).value();
  const double base = static_cast<double>(1.1F);
  EXPECT_EQ(r[0].literal().dtype(), DType::kF64);
  EXPECT_NEAR(r[0].literal().at(0), std::pow(base, 4), 1e-12);
  EXPECT_NEAR(r[1].literal().at(0), 4 * std::pow(base, 3), 1e-12);
  // In its own dtypes, and with no trip at all.
  const std::vector<Datum> never = EvalGraph(g, {Ints({}, {0}), Values({2}, {1.5, 3})}).value();
  EXPECT_TRUE(identical(never[1].literal(), Values({2}, {1, 1})));
}

TEST(ControlOps, CallInlinesWithItsSymbols) {
  auto body = std::make_shared<Graph>();
  Builder bb(body.get());
  const Dim n = Dim::symbol("n");
  const Value x = bb.Input("x", Tensor(DType::kF32, {n, 2}));
  body->set_outputs({bb.Reshape(x, Shape({2 * n}))});
  Graph g;
  Builder b(&g);
  const Value in = b.Input("in", Tensor(DType::kF32, {Dim::symbol("batch"), 2}));
  const Value called = b.Add("call", {in}, {{"body", GraphPtr(body)}});
  EXPECT_EQ(b.shape(called), Shape({2 * Dim::symbol("batch")}));
  const std::vector<Value> inlined = Lower(b, GetOp("call"), std::span(&in, 1), {{"body", GraphPtr(body)}}).value();
  EXPECT_EQ(b.shape(inlined[0]), Shape({2 * Dim::symbol("batch")}));
  EXPECT_EQ(g.node(inlined[0]).op->name, "reshape");
}

TEST(ControlOps, NestingIsBounded) {
  auto graph = std::make_shared<Graph>();
  Builder first(graph.get());
  graph->set_outputs({first(first.Input("x", Tensor(DType::kF32))) + 1.0});
  GraphPtr inner = graph;
  for (int i = 0; i < 300; ++i) {
    auto outer = std::make_shared<Graph>();
    Builder b(outer.get());
    outer->set_outputs({b.Add("call", {b.Input("x", Tensor(DType::kF32))}, {{"body", inner}})});
    inner = outer;
  }
  const Result<std::vector<Datum>> r = EvalGraph(*inner, {Literal::scalar(1.0F)});
  ASSERT_FALSE(r.ok());
  EXPECT_NE(r.status().message().find("nested more than 256 deep"), std::string::npos) << r.status().message();
}

}  // namespace
}  // namespace tenon::ir::ops
