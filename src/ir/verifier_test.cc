#include "ir/verifier.h"

#include <gtest/gtest.h>

#include "ir/builder.h"
#include "ir/op_table.h"
#include "ir/sample.h"

namespace tenon::ir {
namespace {

Graph Good() {
  Graph g;
  Builder b(&g);
  const Value x = b.Input("x", Type::Tensor(DType::kF32, {Dim::symbol("n"), 3}));
  const Value y = b.Add("relu", {x});
  g.output(y).record.name = "y";
  g.set_outputs({y});
  return g;
}

void ExpectRule(const Status& s, const std::string& rule) {
  ASSERT_FALSE(s.ok());
  EXPECT_NE(s.message().find(rule + ":"), std::string::npos) << s.message();
}

TEST(Verifier, GoodGraph) { EXPECT_TRUE(VerifyGraph(Good()).ok()) << VerifyGraph(Good()).message(); }

TEST(Verifier, V1InputsComeFirst) {
  Graph g = Good();
  g.node(1).inputs[0] = {5, 0};
  ExpectRule(VerifyGraph(g), "V1");
  g.node(1).inputs[0] = {1, 0};
  ExpectRule(VerifyGraph(g), "V1");
}

TEST(Verifier, V2Attributes) {
  Graph g = Good();
  g.node(1).attrs.Set("nonsense", std::int64_t{1});
  ExpectRule(VerifyGraph(g), "V2");
}

TEST(Verifier, V3Types) {
  Graph g = Good();
  g.node(1).outputs[0].type = Type::Tensor(DType::kF32, {Dim::symbol("n"), 4});
  ExpectRule(VerifyGraph(g), "V3");
  g.node(1).outputs[0].type = Type::Tensor(DType::kI32, {Dim::symbol("n"), 3});
  ExpectRule(VerifyGraph(g), "V3");
}

TEST(Verifier, V4Outputs) {
  Graph g = Good();
  g.set_outputs({{7, 0}});
  ExpectRule(VerifyGraph(g), "V4");
}

TEST(Verifier, V5SubGraphs) {
  auto body = std::make_shared<Graph>(Good());
  body->set_outputs({{9, 0}});
  Graph g;
  Builder b(&g);
  const Value x = b.Input("x", Type::Tensor(DType::kF32, {2, 3}));
  Node n;
  n.op = &GetOp("call");
  n.inputs = {x};
  n.attrs.Set("body", GraphPtr(body));
  n.outputs.resize(1);
  g.Append(std::move(n));
  ExpectRule(VerifyGraph(g), "V4");  // of the body, with the node in front
  EXPECT_NE(VerifyGraph(g).message().find("(call)"), std::string::npos);
}

TEST(Verifier, V6Names) {
  Graph g = Good();
  g.node(1).outputs[0].record.name = "x";
  ExpectRule(VerifyGraph(g), "V6");
}

TEST(Verifier, ModuleRules) {
  Module m;
  Function f;
  f.name = "f";
  f.graph = Good();
  f.input_names = {"x"};
  f.output_names = {"y"};
  m.functions = {f};
  EXPECT_TRUE(VerifyModule(m).ok()) << VerifyModule(m).message();
  m.functions.push_back(f);
  ExpectRule(VerifyModule(m), "V7");
  m.functions.pop_back();
  m.functions[0].input_names.clear();
  m.functions[0].reads = {"w"};
  ExpectRule(VerifyModule(m), "V8");
  (void)m.AddVariable(std::make_shared<VariableCell>("w", Random({2, 4}), true));
  ExpectRule(VerifyModule(m), "V8");  // another shape
}

TEST(Verifier, V10RewritesKeepNames) {
  const Graph before = Good();
  Graph after = Good();
  EXPECT_TRUE(VerifyRewrite(before, after).ok());
  after.node(1).outputs[0].record.name.clear();
  ExpectRule(VerifyRewrite(before, after), "V10");
}

}  // namespace
}  // namespace tenon::ir
