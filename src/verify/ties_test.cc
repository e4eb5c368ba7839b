// Decisions: ties are counted apart from bugs.
#include "verify/ties.h"

#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "ir/builder.h"
#include "ir/eval.h"
#include "ir/op_table.h"
#include "verify/compare.h"

namespace tenon::verify {
namespace {

using ir::Value;

// One op on the given inputs, each of which is first multiplied by one, so that there are values inside.
struct Case {
  ir::Module module;
  ir::Function function;
  std::vector<Literal> inputs;
  Case(std::string_view op, std::vector<Literal> in, ir::Attrs attrs = {}, int output = 0) : inputs(std::move(in)) {
    ir::Builder b(&function.graph);
    std::vector<Value> args;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      function.input_names.push_back("x" + std::to_string(i));
      args.push_back(b(b.Input(function.input_names.back(), ir::Type::Of(inputs[i]))) * 1.0);
    }
    const std::vector<Value> out = b.AddAll(ir::GetOp(op), args, std::move(attrs));
    EXPECT_TRUE(b.ok()) << b.status().message();
    function.name = "f";
    function.output_names = {"y"};
    function.graph.set_outputs({out[static_cast<std::size_t>(output)]});
  }
  /// Against an implementation that gives `theirs`.
  OutputDifference Against(const Literal& theirs) const {
    const Runner ours = [this](std::vector<Literal> x) -> Result<std::vector<Literal>> {
      std::vector<ir::Datum> data(x.begin(), x.end());
      const auto out = ir::EvalGraph(function.graph, data).value();
      return std::vector<Literal>{out[0].literal()};
    };
    const Runner other = [&theirs](const std::vector<Literal>&) -> Result<std::vector<Literal>> {
      return std::vector<Literal>{theirs};
    };
    Report report;
    std::vector<std::size_t> map;
    for (std::size_t i = 0; i < inputs.size(); ++i) map.push_back(i);
    const Status s =
        AddSample(report, {&module, &function, ours}, {&module, &function, other}, inputs, map, {0}, false);
    EXPECT_TRUE(s.ok()) << s.message();
    return report.outputs.at(0);
  }
};

Literal Floats(std::vector<std::int64_t> dims, std::initializer_list<float> values) {
  return Literal::from<float>(std::move(dims), values);
}
Literal Longs(std::vector<std::int64_t> dims, std::initializer_list<std::int64_t> values) {
  return Literal::from<std::int64_t>(std::move(dims), values);
}
const float kNearOne = std::nextafter(1.0F, 2.0F);

void ExpectTies(const OutputDifference& d, std::int64_t ties) {
  EXPECT_EQ(d.verdict, Verdict::kRounding);
  EXPECT_EQ(d.ties, ties);
}
void ExpectBug(const OutputDifference& d) { EXPECT_EQ(d.verdict, Verdict::kBug); }

TEST(Ties, Argmax) {
  const Case c("argmax", {Floats({2, 3}, {1, kNearOne, 0, 5, 1, 2})});
  EXPECT_EQ(c.Against(Longs({2}, {1, 0})).verdict, Verdict::kIdentical);
  ExpectTies(c.Against(Longs({2}, {0, 0})), 1);
  ExpectBug(c.Against(Longs({2}, {2, 0})));  // 0 is no rounding of 1
  ExpectBug(c.Against(Longs({2}, {0, 2})));  // a tie and a bug
  ExpectBug(c.Against(Longs({2}, {1, 7})));  // not even a position
  ExpectBug(c.Against(Longs({2}, {-1, 0})));
}

TEST(Ties, ArgmaxAlongAnInnerAxis) {
  const Case c("argmax", {Floats({2, 2, 2}, {1, 9, kNearOne, 0, 3, 4, 5, 4})}, {{"axis", std::int64_t{1}}});
  ExpectTies(c.Against(Longs({2, 2}, {0, 0, 1, 1})), 2);  // ours: 1 0 1 0
  ExpectBug(c.Against(Longs({2, 2}, {1, 1, 1, 0})));
}

TEST(Ties, TopK) {
  const Case c("top_k", {Floats({4}, {1, kNearOne, 3, 0})}, {{"k", std::int64_t{3}}}, 1);
  EXPECT_EQ(c.Against(Longs({3}, {2, 1, 0})).verdict, Verdict::kIdentical);
  ExpectTies(c.Against(Longs({3}, {2, 0, 1})), 2);
  ExpectBug(c.Against(Longs({3}, {1, 2, 0})));
}

TEST(Ties, Round) {
  const Case c("round", {Floats({3}, {0.5F, 2.7F, std::nextafter(1.5F, 2.0F)})});  // 0, 3, 2
  ExpectTies(c.Against(Floats({3}, {1, 3, 2})), 1);
  ExpectTies(c.Against(Floats({3}, {1, 3, 1})), 2);
  ExpectBug(c.Against(Floats({3}, {0, 2, 2})));
  ExpectBug(c.Against(Floats({3}, {2, 3, 2})));
}

TEST(Ties, CastToAnInteger) {
  const Case c("cast", {Floats({2}, {2, 5.5F})}, {{"dtype", DType::kI32}});
  ExpectTies(c.Against(Literal::from<std::int32_t>({2}, {1, 5})), 1);
  ExpectBug(c.Against(Literal::from<std::int32_t>({2}, {2, 6})));
}

TEST(Ties, Comparisons) {
  const std::vector<Literal> x = {Floats({3}, {1, 1, 2}), Floats({3}, {kNearOne, 1, 1})};
  const auto bools = [](bool a, bool b, bool c) {
    const bool values[] = {a, b, c};
    return Literal::from<bool>({3}, std::span<const bool>(values));
  };
  ExpectTies(Case("less", x).Against(bools(false, true, false)), 2);
  ExpectBug(Case("less", x).Against(bools(true, false, true)));
  ExpectTies(Case("greater_equal", x).Against(bools(true, false, true)), 2);
  ExpectTies(Case("equal", x).Against(bools(true, true, false)), 1);
  ExpectTies(Case("not_equal", x).Against(bools(true, true, true)), 1);
  ExpectBug(Case("equal", x).Against(bools(false, true, true)));
}

// What is no decision is judged as before.
TEST(Ties, OtherOpsHaveNone) {
  const OutputDifference d = Case("exp", {Floats({1}, {1})}).Against(Floats({1}, {2.7182820F}));
  EXPECT_EQ(d.ties, 0);
  EXPECT_EQ(d.verdict, Verdict::kRounding);
}

// The cast of a rounded number follows from the rounding, which may have tied.
TEST(Ties, WhatFollowsFromADecisionIsJudgedAsBefore) {
  Case c("round", {Floats({2}, {0.5F, 3})});
  ir::Builder b(&c.function.graph);
  c.function.graph.set_outputs({b.Add("cast", {c.function.graph.outputs()[0]}, {{"dtype", DType::kI32}})});
  const OutputDifference d = c.Against(Literal::from<std::int32_t>({2}, {1, 3}));
  EXPECT_EQ(d.ties, 0);
  EXPECT_EQ(d.verdict, Verdict::kRounding);
}

TEST(Ties, TheTableNamesThem) {
  Report report;
  report.samples = 1;
  report.outputs.push_back(Case("argmax", {Floats({1, 2}, {1, kNearOne})}).Against(Longs({1}, {0})));
  std::ostringstream out;
  out << report;
  EXPECT_NE(out.str().find("rounding, 1 tie\n"), std::string::npos) << out.str();
  EXPECT_TRUE(report.ok());
}

}  // namespace
}  // namespace tenon::verify
