#include "compiler/pass.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/passes/passes.h"
#include "compiler/rewriter.h"
#include "ir/builder.h"
#include "ir/carry_over.h"
#include "ir/op_table.h"

namespace tenon::compiler {
namespace {

using testing::HasSubstr;

ir::Record Known(std::string name, std::vector<ir::Provenance> provenance, std::string axis_roles = "") {
  return {std::move(name), std::move(provenance), std::nullopt, std::move(axis_roles)};
}

// y = relu(x + 0), with records on all three values.
ir::Graph Sample() {
  ir::Graph g;
  ir::Builder b(&g);
  const ir::Value x = b.Input("x", ir::Type::Tensor(DType::kF32, {2, 3}));
  const ir::Value sum = b.Add("add", {x, b.Scalar(0, DType::kF32)});
  g.output(sum).record = Known("sum", {{"onnx", "Add_1", "Add_1:0"}});
  const ir::Value y = b.Add("relu", {sum});
  g.output(y).record = Known("y", {{"onnx", "Relu_2", "Relu_2:0"}}, "NC");
  g.set_outputs({y});
  return g;
}

Status RunOne(std::string_view name, std::function<Status(ir::Graph&)> run, ir::Graph g = Sample()) {
  return RunPasses(g, {{"fine", [](ir::Graph&) { return Status(); }}, {name, std::move(run)}}, {});
}

TEST(PassDriver, APassThatWiresBackwardsIsNamed) {
  const Status s = RunOne("twist", [](ir::Graph& g) {
    g.node(2).inputs[0] = g.outputs()[0];
    return Status();
  });
  EXPECT_EQ(s.code(), Code::kInternal);
  EXPECT_THAT(s.message(), HasSubstr("after pass twist"));
  EXPECT_THAT(s.message(), HasSubstr("V1:"));
}

TEST(PassDriver, APassThatWritesAWrongTypeIsNamed) {
  const Status s = RunOne("retype", [](ir::Graph& g) {
    g.output(g.outputs()[0]).type = ir::Type::Tensor(DType::kF32, {2, 4});
    return Status();
  });
  EXPECT_THAT(s.message(), HasSubstr("after pass retype"));
  EXPECT_THAT(s.message(), HasSubstr("V3:"));
}

TEST(PassDriver, APassThatLosesARecordIsNamed) {
  const auto losing = [](auto lose) {
    return RunOne("forget", [lose](ir::Graph& g) {
      lose(g.output(g.outputs()[0]).record);
      return Status();
    });
  };
  for (const Status& s :
       {losing([](ir::Record& r) { r.name = ""; }), losing([](ir::Record& r) { r.provenance.clear(); }),
        losing([](ir::Record& r) { r.axis_roles = ""; })}) {
    EXPECT_THAT(s.message(), HasSubstr("after pass forget"));
    EXPECT_THAT(s.message(), HasSubstr("V10:"));
  }
  // Under another name, with the old one among the provenance, nothing is lost.
  EXPECT_TRUE(losing([](ir::Record& r) {
                r.name = "z";
                r.provenance.push_back({"", "", "y"});
              }).ok());
}

TEST(PassDriver, APassThatDropsAnOutputIsNamed) {
  const Status s = RunOne("shorten", [](ir::Graph& g) {
    g.set_outputs({});
    return Status();
  });
  EXPECT_THAT(s.message(), HasSubstr("after pass shorten"));
  EXPECT_THAT(s.message(), HasSubstr("V10:"));
}

TEST(PassDriver, TheErrorOfAPassHasItsName) {
  const Status s = RunOne("refuse", [](ir::Graph&) { return Status(Code::kUnimplemented, "no"); });
  EXPECT_EQ(s.code(), Code::kUnimplemented);
  EXPECT_THAT(s.message(), HasSubstr("pass refuse"));
}

TEST(PassDriver, PassesAreSwitchedOffUnlessRequired) {
  int runs = 0;
  const auto count = [&](ir::Graph&) {
    ++runs;
    return Status();
  };
  ir::Graph g = Sample();
  std::vector<PassTime> times;
  ASSERT_TRUE(RunPasses(g, {{"a", count}, {"b", count, true}, {"c", count}}, {.off = {"a", "b"}}, &times).ok());
  EXPECT_EQ(runs, 2);
  ASSERT_EQ(times.size(), 2u);
  EXPECT_EQ(times[0].name, "b");
}

// x + 0 is x: the output keeps what was known of it, and so does every value that a patch takes away.
TEST(Records, SurviveTheSimplification) {
  ir::Graph g = Sample();
  ir::Builder b(&g);
  const ir::Value y = g.outputs()[0];
  const ir::Value again = b.Add("add", {y, b.Scalar(0, DType::kF32)});
  g.output(again).record = Known("again", {{"onnx", "Add_3", "Add_3:0"}});
  g.set_outputs({again, g.inputs()[0]});
  ASSERT_TRUE(RunPasses(g, {{"simplify", Simplify}}, {}).ok());
  ASSERT_EQ(g.size(), 2);  // input and relu
  const ir::Record& out = g.output(g.outputs()[0]).record;
  EXPECT_EQ(out.name, "y");
  EXPECT_TRUE(ir::KnownAs(out, "again"));
  EXPECT_EQ(out.axis_roles, "NC");
  EXPECT_TRUE(ir::KnownAs(out, "Relu_2:0"));
  EXPECT_TRUE(ir::KnownAs(out, "Add_3:0"));
  EXPECT_TRUE(ir::KnownAs(g.output(g.inputs()[0]).record, "sum"));
  EXPECT_EQ(g.output(g.inputs()[0]).record.name, "x");
}

TEST(Records, SurviveTheMergeOfEqualNodes) {
  ir::Graph g;
  ir::Builder b(&g);
  const ir::Value x = b.Input("x", ir::Type::Tensor(DType::kF32, {4}));
  const ir::Value p = b.Add("exp", {x}), q = b.Add("exp", {x});
  g.output(p).record.name = "p";
  g.output(q).record = Known("q", {{"tf", "Exp_1", "Exp_1:0"}});
  g.set_outputs({p, q});
  ASSERT_TRUE(RunPasses(g, {{"simplify", Simplify}}, {}).ok());
  EXPECT_EQ(g.size(), 2);
  for (const ir::Value v : g.outputs()) {
    EXPECT_TRUE(ir::KnownAs(g.output(v).record, "p"));
    EXPECT_TRUE(ir::KnownAs(g.output(v).record, "q"));
    EXPECT_TRUE(ir::KnownAs(g.output(v).record, "Exp_1:0"));
  }
}

// A rule that builds a value of another type is stopped by the rewriter itself.
TEST(Rewriter, APatchOfAnotherTypeIsRefused) {
  ir::Graph g = Sample();
  const RuleFn bad = [](RuleContext& ctx, std::int32_t id) -> Result<Patch> {
    if (ctx.node(id).op->name != "relu") return Patch();
    return Patch{ctx.b.Reshape(ctx.node(id).inputs[0], Shape{3, 2})};
  };
  const Result<int> done = Rewrite(g, bad);
  ASSERT_FALSE(done.ok());
  EXPECT_THAT(done.status().message(), HasSubstr("relu of type f32[2, 3] replaced by f32[3, 2]"));
}

}  // namespace
}  // namespace tenon::compiler
