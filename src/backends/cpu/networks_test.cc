// Larger graphs: convolution nets in both layouts, half precision, sequences of layers, with passes off one by one.
#include "backends/cpu/test_util.h"

namespace tenon::cpu {
namespace {

using ir::Builder;
using ir::Ex;
using ir::Graph;
using ir::Type;
using ir::Value;
using Dims = std::vector<std::int64_t>;

struct Net {
  Graph graph;
  std::vector<Literal> inputs;
  Builder b{&graph};
  int seed = 0;
  Ex In(DType t, const Dims& dims, double scale = 1) {
    inputs.push_back(RandomOf(t, dims, ++seed, -scale, scale));
    return b(b.Input("", Type::Tensor(t, Shape(std::span(dims)))));
  }
  Ex Const(const Dims& dims, double scale = 0.5) {
    return b(b.Constant(RandomOf(DType::kF32, dims, ++seed, -scale, scale)));
  }
  Ex Const(const Dims& dims, DType t, double scale) { return b(b.Constant(RandomOf(t, dims, ++seed, -scale, scale))); }
};

// conv, batch norm, relu, a residual pair, pools, a dense head; weights constants as in an imported model.
void ChannelsFirst(Net& n, DType t) {
  const ir::Attrs conv = {
      {"layout", std::string("NCHW")}, {"kernel_layout", std::string("OIHW")}, {"padding", Dims{1, 1, 1, 1}}};
  const ir::Attrs pool = {{"layout", std::string("NCHW")}, {"window", Dims{2, 2}}};
  Ex x = n.In(t, {2, 3, 12, 12});
  const auto norm = [&](Ex y, std::int64_t c) {
    const Ex mean = n.Const({c}, t, 0.2), var = n.b(n.b.Constant(RandomOf(t, {c}, ++n.seed, 0.5, 1.5)));
    return n.b(
        n.b.Add("batch_norm", {y, mean, var, n.Const({c}, t, 1), n.Const({c}, t, 1)}, {{"axis", std::int64_t{1}}}));
  };
  x = Op("relu", norm(Op("conv", x, n.Const({8, 3, 3, 3}, t, 0.5), conv), 8));
  x = Op("max_pool", x, pool);
  const Ex y = Op("relu", norm(Op("conv", x, n.Const({8, 8, 3, 3}, t, 0.3), conv), 8));
  const Ex z = norm(Op("conv", y, n.Const({8, 8, 3, 3}, t, 0.3), conv), 8);
  x = Op("relu", x + z);
  const Ex both = n.b(n.b.Add("concat", {x, y}, {{"axis", std::int64_t{1}}}));
  const Ex pooled = Op("global_average_pool", both, {{"layout", std::string("NCHW")}});
  const Ex flat = n.b(n.b.Reshape(Op("avg_pool", x, pool), Shape({2, 72})));
  n.graph.set_outputs(
      {Op("softmax", Op("matmul", pooled, n.Const({16, 5}, t, 0.5))), Op("matmul", flat, n.Const({72, 4}, t, 0.3)), x});
  EXPECT_TRUE(n.b.ok()) << n.b.status().message();
}

TEST(Networks, ChannelsFirstRunsChannelsLast) {
  Net n;
  ChannelsFirst(n, DType::kF32);
  const std::string plan = Check(n.graph, n.inputs, {}, 1e-4);
  EXPECT_EQ(plan.find("ref:"), std::string::npos) << plan;
  // One transpose of the input, one for the flattened head, one for the output in its own layout.
  int transposes = 0;
  for (std::size_t at = plan.find("transpose"); at != std::string::npos; at = plan.find("transpose", at + 1))
    ++transposes;
  EXPECT_LE(transposes, 3) << plan;
  EXPECT_EQ(plan.find("loop 288x8: multiply"), std::string::npos) << "batch norm was not folded\n" << plan;
}

TEST(Networks, HalfPrecision) {
  for (const DType t : {DType::kF16, DType::kBF16}) {
    Net n;
    ChannelsFirst(n, t);
    const std::string plan = Check(n.graph, n.inputs, {}, t == DType::kF16 ? 0.03 : 0.2);
    EXPECT_EQ(plan.find("ref:"), std::string::npos) << plan;
  }
}

TEST(Networks, EveryPassMayBeOff) {
  for (const char* off : {"simplify", "simplify_lowered", "simplify_gemm", "channels_last", "conv", "fuse"}) {
    SCOPED_TRACE(off);
    Net n;
    ChannelsFirst(n, DType::kF32);
    runtime::CompileOptions options;
    options.passes_off = {off};
    Check(n.graph, n.inputs, options, 1e-4);
  }
  Net n;
  ChannelsFirst(n, DType::kF32);
  runtime::CompileOptions options;
  options.passes_off = {"simplify", "simplify_lowered", "simplify_gemm", "channels_last", "conv", "fuse"};
  Check(n.graph, n.inputs, options, 1e-4);
}

TEST(Networks, TrainingStepOfAConvolution) {
  for (const bool first : {false, true}) {
    Net n;
    const Ex x = first ? n.In(DType::kF32, {4, 1, 10, 10}) : n.In(DType::kF32, {4, 10, 10, 1});
    const ir::Attrs conv = {{"layout", std::string(first ? "NCHW" : "NHWC")}},
                    pool = {{"layout", std::string(first ? "NCHW" : "NHWC")}, {"window", Dims{2, 2}}};
    const Ex k1 = n.In(DType::kF32, {3, 3, 1, 6}, 0.5), k2 = n.In(DType::kF32, {3, 3, 6, 4}, 0.5);
    const Ex h1 = Op("relu", Op("conv", x, k1, conv)), p1 = Op("max_pool", h1, pool), y = Op("conv", p1, k2, conv);
    const Ex dy = y * 0.01;
    const Ex dk2 = n.b(n.b.Add("conv_kernel_grad", {dy, p1, k2}, conv)),
             dp1 = n.b(n.b.Add("conv_input_grad", {dy, k2, p1}, conv));
    const Ex dh1 = Op("max_pool_grad", dp1, h1, pool);
    const Ex d = Select(Op("greater", h1, n.b(n.b.Scalar(0, DType::kF32))), dh1, n.b(n.b.ZerosLike(dh1)));
    const Ex dk1 = n.b(n.b.Add("conv_kernel_grad", {d, x, k1}, conv));
    n.graph.set_outputs({Op("reduce_sum", y * y), k1 - dk1 * 0.1, k2 - dk2 * 0.1});
    ASSERT_TRUE(n.b.ok()) << n.b.status().message();
    runtime::CompileOptions options;
    options.donations = {{1, 1}, {2, 2}};
    const std::string plan = Check(n.graph, n.inputs, options, 1e-4);
    EXPECT_EQ(plan.find("ref:"), std::string::npos) << plan;
  }
}

TEST(Networks, ScanAndWhileArePlans) {
  Graph body;
  {
    Builder b(&body);
    const Ex h = b(b.Input("", Type::Tensor(DType::kF32, Shape({2, 4})))),
             x = b(b.Input("", Type::Tensor(DType::kF32, Shape({2, 3}))));
    const Ex w = b(b.Input("", Type::Tensor(DType::kF32, Shape({3, 4})))),
             u = b(b.Input("", Type::Tensor(DType::kF32, Shape({4, 4}))));
    const Ex next = Op("tanh", Op("matmul", x, w) + Op("matmul", h, u));
    body.set_outputs({next, next * 2});
    ASSERT_TRUE(b.ok());
  }
  for (const bool reverse : {false, true}) {
    Net n;
    const Ex h = n.In(DType::kF32, {2, 4}), xs = n.In(DType::kF32, {5, 2, 3}), w = n.In(DType::kF32, {3, 4}),
             u = n.In(DType::kF32, {4, 4});
    const std::vector<Value> out = n.b.AddAll("scan", {h, xs, w, u},
                                              {{"body", std::make_shared<const Graph>(body)},
                                               {"carries", std::int64_t{1}},
                                               {"scanned", std::int64_t{1}},
                                               {"length", Shape({5})},
                                               {"reverse", reverse}});
    ASSERT_TRUE(n.b.ok()) << n.b.status().message();
    n.graph.set_outputs(out);
    const std::string plan = Check(n.graph, n.inputs);
    EXPECT_EQ(plan.find("ref:"), std::string::npos) << plan;
  }
  Graph condition, step;
  {
    Builder b(&condition);
    const Ex i = b(b.Input("", Type::Tensor(DType::kI32, Shape()))),
             x = b(b.Input("", Type::Tensor(DType::kF32, Shape({3}))));
    condition.set_outputs({Op("less", i, b(b.Scalar(7, DType::kI32)))});
    (void)x;
  }
  {
    Builder b(&step);
    const Ex i = b(b.Input("", Type::Tensor(DType::kI32, Shape()))),
             x = b(b.Input("", Type::Tensor(DType::kF32, Shape({3}))));
    step.set_outputs({i + 1, x * 1.5});
  }
  Net n;
  const Ex i = n.b(n.b.Scalar(2, DType::kI32)), x = n.In(DType::kF32, {3});
  const std::vector<Value> out = n.b.AddAll("while_loop", {i, x},
                                            {{"condition", std::make_shared<const Graph>(condition)},
                                             {"body", std::make_shared<const Graph>(step)},
                                             {"carries", std::int64_t{2}}});
  ASSERT_TRUE(n.b.ok()) << n.b.status().message();
  n.graph.set_outputs(out);
  const std::string plan = Check(n.graph, n.inputs);
  EXPECT_EQ(plan.find("ref:"), std::string::npos) << plan;
}

}  // namespace
}  // namespace tenon::cpu
