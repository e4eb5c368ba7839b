// Whole functions: shapes, contexts, donation, errors, allocation.
#include "backends/cpu/cpu.h"

#include <atomic>
#include <cstdlib>
#include <thread>

#include "backends/cpu/test_util.h"
#include "base/sanitizers.h"

// Every way in which our code gets memory counts: new, malloc and its relatives stand here (not under the sanitizers,
// which do the same). They are hidden, so what the matmul library takes for itself (dnnl_sgemm packs its operands into
// memory of its own at each call) is not seen.
#if !defined(TENON_OWN_HEAP)
#define TENON_COUNTS_ALLOCATIONS 1
#endif
namespace {
std::atomic<long> allocations = 0;
}  // namespace
#ifdef TENON_COUNTS_ALLOCATIONS
extern "C" {
void* __libc_malloc(std::size_t n);
void* __libc_memalign(std::size_t align, std::size_t n);
void* malloc(std::size_t n) {
  ++allocations;
  return __libc_malloc(n);
}
void* aligned_alloc(std::size_t align, std::size_t n) {
  ++allocations;
  return __libc_memalign(align, n);
}
int posix_memalign(void** out, std::size_t align, std::size_t n) {
  ++allocations;
  *out = __libc_memalign(align, n);
  return *out == nullptr ? 12 : 0;
}
}
void* operator new(std::size_t n) { return malloc(n); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
#endif

namespace tenon::cpu {
namespace {

using ir::Builder;
using ir::Ex;
using ir::Graph;
using ir::Type;
using ir::Value;
using Dims = std::vector<std::int64_t>;

struct Model {
  Graph graph;
  std::vector<Literal> inputs;
  runtime::CompileOptions options;
};

// A dense layer with a symbolic batch, its loss and the update of its weights.
Model DenseStep(bool symbolic) {
  Model m;
  Builder b(&m.graph);
  const Dim batch = symbolic ? Dim::symbol("batch") : Dim(8);
  const Ex x = b(b.Input("x", Type::Tensor(DType::kF32, Shape({batch, 12})))),
           t = b(b.Input("t", Type::Tensor(DType::kF32, Shape({batch, 5}))));
  const Ex w = b(b.Input("w", Type::Tensor(DType::kF32, Shape({12, 5})))),
           bias = b(b.Input("b", Type::Tensor(DType::kF32, Shape({5}))));
  const Ex logits = Op("matmul", x, w) + bias;
  const Ex d = Op("softmax", logits) - t;
  const Ex loss = Op("reduce_mean", Op("softmax_cross_entropy", logits, t));
  const Ex dw = Op("matmul", x, d, {{"transpose_x", true}});
  m.graph.set_outputs({loss, w - dw * 0.1, bias - Op("reduce_sum", d, {{"axes", Dims{0}}}) * 0.1});
  EXPECT_TRUE(b.ok()) << b.status().message();
  m.options.donations = {{2, 1}, {3, 2}};
  m.inputs = {RandomOf(DType::kF32, {8, 12}, 1), RandomOf(DType::kF32, {8, 5}, 2, 0, 0.4),
              RandomOf(DType::kF32, {12, 5}, 3), RandomOf(DType::kF32, {5}, 4)};
  return m;
}

TEST(CpuFunction, ABoundContextAllocatesNothing) {
#ifndef TENON_COUNTS_ALLOCATIONS
  GTEST_SKIP() << "a sanitizer owns malloc";
#endif
  Model m = DenseStep(true);
  const auto f = Compile(m.graph, m.options).value();
  const auto context = f->NewContext();
  std::vector<Literal> outs(3);
  for (Literal& l : m.inputs) l.mutable_raw();
  const auto step = [&] {
    const Status status = context->Run(m.inputs, outs);
    std::swap(m.inputs[2], outs[1]);
    std::swap(m.inputs[3], outs[2]);
    return status;
  };
  ASSERT_TRUE(step().ok());
  ASSERT_TRUE(step().ok());
  EXPECT_EQ(f->Explain().find("ref:"), std::string::npos) << f->Explain();
  const long seen = allocations;
  void* volatile probe = std::malloc(100);
  std::free(probe);
  probe = ::operator new(100);
  ::operator delete(probe);
  ASSERT_EQ(allocations, seen + 2);  // the counter is in place
  const long before = allocations;
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(step().ok());
  EXPECT_EQ(allocations - before, 0) << f->Explain();
}

TEST(CpuFunction, LearnsAsTheReferenceDoes) {
  Model m = DenseStep(false);
  const std::string plan = Check(m.graph, m.inputs, m.options);
  EXPECT_NE(plan.find("sgemm +c"), std::string::npos) << plan;  // the update is the gradient's product
}

TEST(CpuFunction, OnePlanForEachBatch) {
  Model m = DenseStep(true);
  m.options.max_plans = 3;
  const auto f = Compile(m.graph, m.options).value();
  const auto context = f->NewContext();
  for (const std::int64_t batch : {8, 1, 3, 8, 100, 1, 0, 64, 8}) {
    std::vector<Literal> in = {RandomOf(DType::kF32, {batch, 12}, 1), RandomOf(DType::kF32, {batch, 5}, 2), m.inputs[2],
                               m.inputs[3]};
    std::vector<ir::Datum> data(in.begin(), in.end());
    const auto want = ir::EvalGraph(m.graph, data).value();
    std::vector<Literal> outs(3);
    ASSERT_TRUE(context->Run(in, outs).ok());
    for (std::size_t i = 0; i < 3; ++i) ExpectClose(outs[i], want[i].literal(), 1e-4, "batch " + std::to_string(batch));
  }
}

TEST(CpuFunction, ErrorsNameTheInput) {
  Model m = DenseStep(true);
  const auto f = Compile(m.graph, m.options).value();
  std::vector<Literal> wrong = m.inputs;
  wrong[1] = RandomOf(DType::kF32, {7, 5});  // another batch than x
  const auto result = f->Run(wrong);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.status().code(), Code::kInvalidArgument);
  EXPECT_NE(result.status().message().find("\"t\""), std::string::npos) << result.status().message();
  wrong = m.inputs;
  wrong[0] = ir::Convert(wrong[0], DType::kF64).value();
  EXPECT_NE(f->Run(wrong).status().message().find("\"x\": got f64, expected f32"), std::string::npos);
  wrong.pop_back();
  EXPECT_FALSE(f->Run(wrong).ok());
  m.options.donations = {{0, 9}};
  EXPECT_FALSE(Compile(m.graph, m.options).ok());
}

TEST(CpuFunction, ManyThreadsShareAFunction) {
  Model m = DenseStep(true);
  m.options.donations.clear();
  const auto f = Compile(m.graph, m.options).value();
  std::vector<std::thread> threads;
  std::atomic<int> failures = 0;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        const std::int64_t batch = 1 + (t + i) % 5;
        std::vector<Literal> in = {RandomOf(DType::kF32, {batch, 12}, 1), RandomOf(DType::kF32, {batch, 5}, 2),
                                   m.inputs[2], m.inputs[3]};
        std::vector<ir::Datum> data(in.begin(), in.end());
        const auto want = ir::EvalGraph(m.graph, data);
        const auto got = f->Run(in);
        if (!got.ok() || std::fabs((*got)[0].at(0) - (*want)[0].literal().at(0)) > 1e-4) ++failures;
      }
    });
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(failures, 0);
}

TEST(CpuFunction, DataDependentShapesRun) {
  Graph g;
  Builder b(&g);
  const Ex x = b(b.Input("x", Type::Tensor(DType::kF32, Shape({3, 4}))));
  const Ex where = Op("nonzero", Op("greater", x, b(b.Scalar(0, DType::kF32))));
  g.set_outputs({where, x * 2});
  ASSERT_TRUE(b.ok());
  Check(g, {RandomOf(DType::kF32, {3, 4}, 5)});
}

// Rows that the data choose, a product over them, a sequence in between, and dims that come from a value.
TEST(CpuFunction, SegmentsAroundWhatOnlyTheDataDecide) {
  Graph g;
  Builder b(&g);
  const Dim batch = Dim::symbol("batch");
  const Ex x = b(b.Input("x", Type::Tensor(DType::kF32, Shape({batch, 32})))),
           w = b(b.Constant(RandomOf(DType::kF32, {32, 48}, 6)));
  const Ex positive = Op("greater", Op("reduce_sum", x, {{"axes", Dims{1}}}), b(b.Scalar(0, DType::kF32)));
  const Ex chosen = Op("gather_nd", x, Op("transpose", Op("nonzero", positive)));
  const Ex y = Op("relu", Op("matmul", chosen, w));
  const std::vector<Value> pair = b.AddAll("sequence_construct", {y, Op("exp", y * 0.1)});
  const Ex second = Op("sequence_at", b(pair[0]), b(b.Constant(Literal::scalar<std::int64_t>(1))));
  g.set_outputs({Op("reduce_sum", second, {{"axes", Dims{0}}}), y});
  ASSERT_TRUE(b.ok()) << b.status().message();
  const auto f = Compile(g, {}).value();
  for (const int seed : {1, 2, 3, 1}) {
    const std::int64_t n = 200 + 50 * seed;
    const Literal in = RandomOf(DType::kF32, {n, 32}, seed);
    const auto want = ir::EvalGraph(g, {in}).value();
    const auto got = f->Run({in});
    ASSERT_TRUE(got.ok()) << got.status().message();
    for (std::size_t i = 0; i < 2; ++i) ExpectClose((*got)[i], want[i].literal(), 1e-4, "seed " + std::to_string(seed));
  }
  const std::string plan = f->Explain();
  EXPECT_NE(plan.find("gemm"), std::string::npos) << plan;  // no reference for the product
  EXPECT_NE(plan.find("ref:nonzero"), std::string::npos) << plan;
}

// |-0.0| is 0.0, which only its reciprocal shows; the lowest integer is its own magnitude.
TEST(CpuFunction, MagnitudesAtTheEnds) {
  ir::Graph g;
  Builder b(&g);
  const Ex x = b(b.Input("x", Type::Tensor(DType::kF32, Shape({20})))),
           i = b(b.Input("i", Type::Tensor(DType::kI32, Shape({20})))),
           j = b(b.Input("j", Type::Tensor(DType::kI64, Shape({20}))));
  g.set_outputs({1.0 / Op("abs", x), Op("abs", i), Op("abs", j)});
  ASSERT_TRUE(b.ok());
  Check(g, {Literal::from<float>({20}, std::vector<float>(20, -0.0F)),
            Literal::from<std::int32_t>({20}, std::vector<std::int32_t>(20, INT32_MIN)),
            Literal::from<std::int64_t>({20}, std::vector<std::int64_t>(20, INT64_MIN))});
}

// As the reference converts them: to the nearest number of the dtype, to true.
TEST(CpuFunction, OneHotOfValuesThatDoNotFit) {
  for (const DType dtype : {DType::kI8, DType::kU8, DType::kI64, DType::kBool, DType::kF32}) {
    ir::Graph g;
    Builder b(&g);
    const Value x = b.Input("x", Type::Tensor(DType::kI64, Shape({20})));
    g.set_outputs({b.Add("one_hot", {x},
                         {{"depth", std::int64_t{3}}, {"dtype", dtype}, {"on_value", 1e30}, {"off_value", -0.5}})});
    ASSERT_TRUE(b.ok()) << b.status().message();
    const std::string plan = Check(g, {RandomOf(DType::kI64, {20}, 1, -1, 4)}, {}, 0);
    EXPECT_NE(plan.find("one_hot"), std::string::npos) << plan;
    EXPECT_EQ(plan.find("ref:"), std::string::npos) << plan;
  }
}

}  // namespace
}  // namespace tenon::cpu
