// Loops whose bodies no plan can hold: carries that grow, shapes inside that depend on data.
#include "backends/cpu/test_util.h"

namespace tenon::cpu {
namespace {

using namespace ir;

Type F32(std::vector<Dim> dims) { return Type::Tensor(DType::kF32, Shape(std::move(dims))); }

// cache [t, width] gets a row more in each of n steps, made from all rows.
Graph Growing(std::int64_t width) {
  const Dim t = Dim::symbol("t");
  const Type scalar = Type::Tensor(DType::kI64, Shape());
  Graph condition;
  {
    Builder b(&condition);
    const Value i = b.Input("i", scalar);
    b.Input("cache", F32({t, width}));
    const Value n = b.Input("n", scalar);
    const Value go = b.Add("less", {i, n});
    condition.set_outputs({go});
  }
  Graph body;
  {
    Builder b(&body);
    const Value i = b.Input("i", scalar);
    const Ex cache = b(b.Input("cache", F32({t, width})));
    b.Input("n", scalar);
    const Ex w = b(b.Constant(Random({width, width}, 5, -0.2, 0.2)));
    const Ex all = Op("tanh", Op("matmul", cache, w));
    const Ex row = Op("reduce_mean", all, {{"axes", std::vector<std::int64_t>{0}}, {"keep_dims", true}});
    const Value more = b.Add("concat", {cache, row}, {{"axis", std::int64_t{0}}});
    const Value next = b.Add("add", {i, b.Constant(Literal::scalar(std::int64_t{1}))});
    EXPECT_TRUE(b.ok()) << b.status().message();
    body.set_outputs({next, more});
  }
  Graph g;
  Builder b(&g);
  const Value x = b.Input("x", F32({Dim::symbol("rows"), width}));
  const Value n = b.Input("n", scalar);
  const Value i = b.Constant(Literal::scalar(std::int64_t{0}));
  const std::vector<Value> out = b.AddAll("while_loop", {i, x, n},
                                          {{"carries", std::int64_t{2}},
                                           {"condition", std::make_shared<const Graph>(std::move(condition))},
                                           {"body", std::make_shared<const Graph>(std::move(body))}});
  EXPECT_TRUE(b.ok()) << b.status().message();
  g.set_outputs({out[1], out[2]});
  return g;
}

TEST(Bodies, CarriesMayGrow) {
  const Graph heavy = Growing(96), light = Growing(4);
  for (const std::int64_t n : {0, 1, 5, 9}) {
    const std::string plan = Check(heavy, {Random({40, 96}, 1, -1, 1), Literal::scalar(n)}, {}, 1e-4);
    EXPECT_NE(plan.find("in segments:while_loop"), std::string::npos) << plan;
    Check(light, {Random({3, 4}, 2, -1, 1), Literal::scalar(n)});
  }
}

// A scan of four steps on x [64, 128] whose body picks rows by their numbers, adds the sum of two integers that stand
// outside; the body's nodes stand in a call when `called`.
Graph Picking(bool called) {
  const std::vector<Type> types = {F32({64, 128}), Type::Tensor(DType::kI64, Shape({2}))};
  Graph inner;
  {
    Builder b(&inner);
    const Ex x = b(b.Input("x", types[0])), shift = b(b.Input("shift", types[1]));
    const std::vector<std::int64_t> rows_axis = {0}, columns_axis = {1};
    const Ex first = Op("reduce_mean", x, {{"axes", columns_axis}, {"keep_dims", false}});
    const Ex places =
        Op("squeeze", Op("nonzero", Op("greater", first, b(b.Scalar(0, DType::kF32)))), {{"axes", rows_axis}});
    const Ex rows = Op("gather", x, places, {{"axis", std::int64_t{0}}});
    const Ex w = b(b.Constant(Random({128, 128}, 6, -0.2, 0.2)));
    const Ex sum = Op("reduce_sum", Op("tanh", Op("matmul", rows, w)), {{"axes", rows_axis}, {"keep_dims", true}});
    const Ex number = b(b.Cast(Op("reduce_sum", shift, {{"axes", rows_axis}, {"keep_dims", false}}), DType::kF32));
    const Ex y = Op("tanh", Op("add", Op("add", Op("multiply", x, b(b.Scalar(0.5, DType::kF32))), sum), number));
    EXPECT_TRUE(b.ok()) << b.status().message();
    inner.set_outputs({y});
  }
  Graph body;
  if (called) {
    Builder b(&body);
    const Value x = b.Input("x", types[0]), shift = b.Input("shift", types[1]);
    const Value y = b.Add("call", {x, shift}, {{"body", std::make_shared<const Graph>(std::move(inner))}});
    body.set_outputs({y});
  } else {
    body = std::move(inner);
  }
  Graph g;
  Builder b(&g);
  const Value x = b.Input("x", types[0]), shift = b.Input("shift", types[1]);
  const Value y = b.Add("scan", {x, shift},
                        {{"carries", std::int64_t{1}},
                         {"scanned", std::int64_t{0}},
                         {"length", Shape({4})},
                         {"reverse", false},
                         {"body", std::make_shared<const Graph>(std::move(body))}});
  EXPECT_TRUE(b.ok()) << b.status().message();
  g.set_outputs({y});
  return g;
}

TEST(Bodies, ShapesInsideMayDependOnData) {
  for (const bool called : {false, true}) {
    const Graph g = Picking(called);
    const std::string plan = Check(g, {Random({64, 128}, 3, -1, 1), Ints({2}, {1, -2})}, {}, 1e-4);
    EXPECT_NE(plan.find("in segments:scan"), std::string::npos) << plan;
    // One function, other integers: what a run took for granted must not stay.
    const auto compiled = Compile(g, {});
    ASSERT_TRUE(compiled.ok()) << compiled.status().message();
    for (const std::int64_t shift : {3, -1, 0, 3}) {
      const std::vector<Literal> inputs = {Random({64, 128}, 4, -1, 1), Ints({2}, {shift, 0})};
      const auto got = (*compiled)->Run(inputs);
      const auto want = EvalGraph(g, {inputs.begin(), inputs.end()});
      ASSERT_TRUE(got.ok() && want.ok()) << (got.ok() ? want.status() : got.status()).message();
      ExpectClose((*got)[0], (*want)[0].literal(), 1e-4, "shift " + std::to_string(shift));
    }
  }
}

// A number that only the run knows, v [1], becomes dims, repeats or limits of an op's attributes; nothing else tells
// one such number from another. `Sizes` gives a scalar for v and x [100, 100].
Ex Sizes(Builder& b, std::string_view op, Value v, Value x) {
  const Dim n = Dim::symbol("n");
  b.Add("as_dims", {b.Cast(v, DType::kI64)}, {{"symbols", std::vector<std::string>{"n"}}});
  const Value one = b.Constant(ir::Convert(Ints({1}, {1}), DType::kF32).value());
  Value made;
  if (op == "broadcast_to") made = b.Add(op, {one}, {{"dims", Shape({n})}});
  if (op == "tile") made = b.Add(op, {one}, {{"repeats", Shape({n})}});
  if (op == "slice") made = b.Add(op, {x}, {{"starts", Shape({n, 0})}, {"limits", Shape({n + Dim(40), 100})}});
  return Op("reduce_sum", b(made),
            {{"axes", op == "slice" ? std::vector<std::int64_t>{0, 1} : std::vector<std::int64_t>{0}}});
}

TEST(Bodies, NumbersInAttributesOfTwoRuns) {
  for (const std::string op : {"broadcast_to", "tile", "slice"}) {
    Graph g;
    Builder b(&g);
    const Value v = b.Input("v", F32({1})), x = b.Input("x", F32({100, 100}));
    g.set_outputs({Sizes(b, op, v, x)});
    ASSERT_TRUE(b.ok()) << b.status().message();
    const auto compiled = Compile(g, {});
    ASSERT_TRUE(compiled.ok()) << compiled.status().message();
    for (const std::int64_t n : op == "slice" ? std::vector<std::int64_t>{7, 60, 0, 7}
                                              : std::vector<std::int64_t>{5000, 5100, 0, 6000, 5000}) {
      const std::vector<Literal> inputs = {ir::Convert(Ints({1}, {n}), DType::kF32).value(),
                                           Random({100, 100}, 4, -1, 1)};
      const auto got = (*compiled)->Run(inputs);
      const auto want = EvalGraph(g, {inputs.begin(), inputs.end()});
      ASSERT_TRUE(got.ok() && want.ok()) << (got.ok() ? want.status() : got.status()).message();
      ExpectClose((*got)[0], (*want)[0].literal(), 1e-4, op + " " + std::to_string(n));
    }
  }
}

TEST(Bodies, NumbersInAttributesOfTwoSteps) {
  const Type scalar = Type::Tensor(DType::kI64, Shape());
  const std::vector<Type> types = {scalar, F32({1}), F32({}), F32({100, 100})};
  for (const std::string op : {"broadcast_to", "tile", "slice"}) {
    Graph condition, body;
    for (Graph* graph : {&condition, &body}) {
      Builder b(graph);
      const Value i = b.Input("i", types[0]), v = b.Input("v", types[1]), total = b.Input("total", types[2]),
                  x = b.Input("x", types[3]);
      const Value four = b.Constant(Literal::scalar(std::int64_t{4})),
                  one = b.Constant(Literal::scalar(std::int64_t{1}));
      if (graph == &condition) {
        graph->set_outputs({b.Add("less", {i, four})});
      } else {
        const Ex half = Op("multiply", b(total), b(b.Scalar(0.5, DType::kF32)));
        const Value more = b.Add("add", {v, b.Scalar(10, DType::kF32)});
        graph->set_outputs({b.Add("add", {i, one}), more, Op("add", half, Sizes(b, op, v, x))});
      }
      ASSERT_TRUE(b.ok()) << b.status().message();
    }
    Graph g;
    Builder b(&g);
    const Value v = b.Input("v", types[1]), x = b.Input("x", types[3]);
    const std::vector<Value> out =
        b.AddAll("while_loop", {b.Constant(Literal::scalar(std::int64_t{0})), v, b.Scalar(0, DType::kF32), x},
                 {{"carries", std::int64_t{3}},
                  {"condition", std::make_shared<const Graph>(std::move(condition))},
                  {"body", std::make_shared<const Graph>(std::move(body))}});
    ASSERT_TRUE(b.ok()) << b.status().message();
    g.set_outputs({out[1], out[2]});
    const std::int64_t first = op == "slice" ? 9 : 6000;
    Check(g, {ir::Convert(Ints({1}, {first}), DType::kF32).value(), Random({100, 100}, 5, -1, 1)}, {}, 1e-4);
  }
}

// A scan of few numbers around a large product, beside a shape that depends on data: the body counts.
TEST(Bodies, SmallScansOfHeavyBodiesAreCompiled) {
  Graph body;
  {
    Builder b(&body);
    const Ex v = b(b.Input("v", F32({1, 128}))), w = b(b.Constant(Random({128, 128}, 6, -0.2, 0.2)));
    const Ex next = Op("tanh", Op("matmul", v, w));
    ASSERT_TRUE(b.ok()) << b.status().message();
    body.set_outputs({next});
  }
  Graph g;
  Builder b(&g);
  const Value v = b.Input("v", F32({1, 128}));
  const Value last = b.Add("scan", {v},
                           {{"carries", std::int64_t{1}},
                            {"scanned", std::int64_t{0}},
                            {"length", Shape({9})},
                            {"reverse", false},
                            {"body", std::make_shared<const Graph>(std::move(body))}});
  g.set_outputs({last, b.Add("nonzero", {v})});
  ASSERT_TRUE(b.ok()) << b.status().message();
  const std::string plan = Check(g, {Random({1, 128}, 3, -1, 1)}, {}, 1e-4);
  EXPECT_NE(plan.find("scan"), std::string::npos) << plan;
  EXPECT_NE(plan.find("gemm"), std::string::npos) << plan;
}

}  // namespace
}  // namespace tenon::cpu
