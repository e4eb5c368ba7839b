// Fused loops against the reference: shapes, broadcasts, reductions, dtypes, in-place updates, threads.
#include "backends/cpu/test_util.h"
#include "ir/op_table.h"

namespace tenon::cpu {
namespace {

using ir::Builder;
using ir::Ex;
using ir::Graph;
using ir::Type;
using ir::Value;
using Dims = std::vector<std::int64_t>;

Value In(Builder& b, DType t, const Dims& dims) { return b.Input("", Type::Tensor(t, Shape(std::span(dims)))); }
ir::Attrs Axes(Dims axes, bool keep) { return {{"axes", std::move(axes)}, {"keep_dims", keep}}; }

class LoopShapes : public testing::TestWithParam<std::pair<Dims, Dims>> {};

TEST_P(LoopShapes, BroadcastChain) {
  const auto& [xd, yd] = GetParam();
  for (const DType t : {DType::kF32, DType::kF64, DType::kI32, DType::kU8, DType::kBF16}) {
    Graph g;
    Builder b(&g);
    const Ex x = b(In(b, t, xd)), y = b(In(b, t, yd));
    const Ex z = (x + y) * x - y;
    const Ex m = Select(Op("less", x, y), z, x * x);
    g.set_outputs({z, m});
    ASSERT_TRUE(b.ok()) << b.status().message();
    const double low = t == DType::kU8 ? 0 : -3;
    Check(g, {RandomOf(t, xd, 1, low, 9), RandomOf(t, yd, 2, low, 9)});
  }
}
INSTANTIATE_TEST_SUITE_P(All, LoopShapes,
                         testing::ValuesIn(std::vector<std::pair<Dims, Dims>>{{{}, {}},
                                                                              {{1}, {}},
                                                                              {{7}, {7}},
                                                                              {{5000}, {}},
                                                                              {{32, 10}, {10}},
                                                                              {{32, 10}, {32, 1}},
                                                                              {{3, 5, 7}, {5, 1}},
                                                                              {{3, 5, 7}, {3, 1, 7}},
                                                                              {{3, 5, 7}, {3, 5, 1}},
                                                                              {{3, 2000}, {2000}},
                                                                              {{3, 2000}, {3, 1}},
                                                                              {{2, 3, 4, 5}, {3, 1, 5}},
                                                                              {{4, 1, 6}, {1, 5, 1}},
                                                                              {{0, 4}, {4}},
                                                                              {{1, 1, 9}, {9}},
                                                                              {{64, 1}, {1, 64}},
                                                                              {{2, 3, 1030}, {3, 1}},
                                                                              {{100, 3}, {100, 1}}}));

TEST(Loop, RowReductions) {
  for (const Dims& d :
       std::vector<Dims>{{4, 10}, {32, 10}, {3, 1}, {1, 7}, {5, 2000}, {2, 3, 40}, {1, 9000}, {300, 33}}) {
    for (const bool keep : {false, true}) {
      Graph g;
      Builder b(&g);
      const Ex x = b(In(b, DType::kF32, d));
      const Ex sum = Op("reduce_sum", x * x, Axes({-1}, keep)), max = Op("reduce_max", x, Axes({-1}, keep));
      g.set_outputs({sum + max, Op("reduce_min", x, Axes({-1}, keep))});
      const std::string plan = Check(g, {RandomOf(DType::kF32, d, 3)});
      EXPECT_EQ(plan.find("ref:"), std::string::npos) << plan;
    }
  }
}

TEST(Loop, SoftmaxLikeChains) {
  for (const Dims& d : std::vector<Dims>{{4, 10}, {32, 10}, {5, 2000}, {2, 3, 40}, {1, 9000}, {7, 1}}) {
    Graph g;
    Builder b(&g);
    const Ex x = b(In(b, DType::kF32, d));
    const Ex shifted = x - Op("reduce_max", x, Axes({-1}, true));
    const Ex e = Op("exp", shifted);
    const Ex soft = e / Op("reduce_sum", e, Axes({-1}, true));
    const Ex column = Op("reduce_sum", soft, Axes({0}, false));
    g.set_outputs({soft, shifted - Op("log", Op("reduce_sum", e, Axes({-1}, true))), column * 0.5});
    const std::string plan = Check(g, {RandomOf(DType::kF32, d, 3)});
    EXPECT_EQ(plan.find("ref:"), std::string::npos) << plan;
  }
}

TEST(Loop, ColumnReductions) {
  for (const Dims& d :
       std::vector<Dims>{{4, 10}, {32, 10}, {3, 1}, {1, 7}, {5, 2000}, {6, 3, 40}, {9000, 3}, {300, 33}, {2000, 70}}) {
    Graph g;
    Builder b(&g);
    const Ex x = b(In(b, DType::kF32, d)), w = b(In(b, DType::kF32, {d.back()}));
    Dims lead;
    for (std::size_t i = 0; i + 1 < d.size(); ++i) lead.push_back(static_cast<std::int64_t>(i));
    const Ex r = Op("relu", x);
    const Ex sum = Op("reduce_sum", r, Axes(lead, false));
    g.set_outputs({r, w - sum * 0.1, Op("reduce_max", x, Axes(lead, true))});
    const std::string plan = Check(g, {RandomOf(DType::kF32, d, 3), RandomOf(DType::kF32, {d.back()}, 4)});
    EXPECT_EQ(plan.find("ref:"), std::string::npos) << plan;
  }
}

TEST(Loop, MiddleAndScatteredReductions) {
  for (const Dims& axes : std::vector<Dims>{{1}, {0, 2}, {0, 1}, {1, 2}, {0, 1, 2, 3}, {1, 3}, {0, 2, 3}, {}}) {
    Graph g;
    Builder b(&g);
    const Ex x = b(In(b, DType::kF32, {3, 4, 5, 6}));
    g.set_outputs({Op("reduce_sum", x, Axes(axes, false)), Op("reduce_prod", Op("abs", x), Axes(axes, true)),
                   Op("reduce_mean", x, Axes(axes, true))});
    const std::string plan = Check(g, {RandomOf(DType::kF32, {3, 4, 5, 6}, 3, 0.5, 1.5)});
    EXPECT_EQ(plan.find("ref:"), std::string::npos) << plan;
  }
}

TEST(Loop, Casts) {
  const DType all[] = {DType::kBool, DType::kI8,  DType::kU8,  DType::kI16,  DType::kU16, DType::kI32, DType::kU32,
                       DType::kI64,  DType::kU64, DType::kF16, DType::kBF16, DType::kF32, DType::kF64};
  for (const DType from : all)
    for (const DType to : all) {
      Graph g;
      Builder b(&g);
      const Value x = In(b, from, {6, 5});
      g.set_outputs({b.Cast(x, to)});
      if (from == to) continue;
      const std::string plan =
          Check(g, {RandomOf(from, {6, 5}, 5, is_signed_integer(from) || is_float(from) ? -300.7 : 0, 300.7)}, {}, 0);
      EXPECT_EQ(plan.find("ref:"), std::string::npos) << plan;
    }
}

// Every elementwise op of the table, on the inputs of its own samples.
TEST(Loop, EveryElementwiseOp) {
  for (const ir::OpFamily& family : ir::OpFamilies())
    for (const ir::OpDef& op : family.ops) {
      if (!op.Is(ir::kElementwise) || op.samples == nullptr || op.outputs.size() != 1) continue;
      for (const ir::Sample& s : op.samples()) {
        if (!s.error.empty()) continue;
        bool strings = false;
        for (const auto& in : s.inputs) strings = strings || (in && in->dtype() == DType::kString);
        if (strings) continue;
        Graph g;
        Builder b(&g);
        std::vector<Value> args;
        std::vector<Literal> inputs;
        for (const auto& in : s.inputs) {
          args.push_back(in ? b.Input("", Type::Of(*in)) : Value());
          if (in) inputs.push_back(*in);
        }
        const Value z = b.Add(op.name, args, s.attrs);
        if (!b.ok()) continue;  // a dtype that only the harness's casts give
        g.set_outputs({z});
        SCOPED_TRACE(std::string(op.name) + " " + s.name);
        Check(g, inputs);
      }
    }
}

TEST(Loop, UpdatesDonatedInputsInPlace) {
  Graph g;
  Builder b(&g);
  const Ex w = b(In(b, DType::kF32, {50, 40})), m = b(In(b, DType::kF32, {50, 40})),
           d = b(In(b, DType::kF32, {50, 40}));
  const Ex m2 = m * 0.9 + d * 0.1;
  const Ex w2 = w - m2 * 0.01;
  g.set_outputs({w2, m2});
  runtime::CompileOptions options;
  options.donations = {{0, 0}, {1, 1}};
  auto f = Compile(g, options).value();
  const auto context = f->NewContext();
  const Literal w0 = RandomOf(DType::kF32, {50, 40}, 1), m0 = RandomOf(DType::kF32, {50, 40}, 2),
                d0 = RandomOf(DType::kF32, {50, 40}, 3);
  std::vector<Literal> in = {w0, m0, d0}, out(2);
  in[0].mutable_raw(), in[1].mutable_raw();  // own storage
  const std::byte* home = in[0].raw().data();
  ASSERT_TRUE(context->Run(in, out).ok());
  EXPECT_EQ(out[0].raw().data(), home);
  std::vector<ir::Datum> data = {w0, m0, d0};
  const auto want = ir::EvalGraph(g, data).value();
  ExpectClose(out[0], want[0].literal(), 1e-6, "w");
  ExpectClose(out[1], want[1].literal(), 1e-6, "m");
  EXPECT_EQ(f->Explain().find("copy"), std::string::npos) << f->Explain();
  // Shared storage is copied, never changed under its other holders.
  std::vector<Literal> shared = {w0, m0, d0};
  const Literal before = w0;
  ASSERT_TRUE(context->Run(shared, out).ok());
  EXPECT_TRUE(identical(before, w0));
  ExpectClose(out[0], want[0].literal(), 1e-6, "w");
}

TEST(Loop, ExchangedVariables) {
  Graph g;
  Builder b(&g);
  const Ex x = b(In(b, DType::kF32, {100})), y = b(In(b, DType::kF32, {100}));
  g.set_outputs({y, x, x + y, x - y});
  runtime::CompileOptions options;
  options.donations = {{0, 0}, {1, 1}};
  Check(g, {RandomOf(DType::kF32, {100}, 1), RandomOf(DType::kF32, {100}, 2)}, options);
}

TEST(Loop, SameBitsForAnyTeam) {
  Graph g;
  Builder b(&g);
  const Ex x = b(In(b, DType::kF32, {3000, 257}));
  const Ex e = Op("exp", x) * x;
  g.set_outputs({e, Op("reduce_sum", e, Axes({0}, false)), Op("reduce_sum", x, Axes({1}, false)),
                 Op("reduce_sum", x, Axes({0, 1}, false))});
  const Literal input = RandomOf(DType::kF32, {3000, 257}, 9);
  std::vector<std::vector<Literal>> results;
  for (const int threads : {1, 2, 3}) {
    runtime::CompileOptions options;
    options.threads = threads;
    Check(g, {input}, options, 1e-4);
    results.push_back(Compile(g, options).value()->Run({input}).value());
  }
  for (std::size_t i = 0; i < 4; ++i)
    EXPECT_TRUE(identical(results[0][i], results[1][i]) && identical(results[0][i], results[2][i]));
}

}  // namespace
}  // namespace tenon::cpu
