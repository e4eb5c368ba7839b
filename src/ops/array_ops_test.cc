// Ops on dims and reductions: numbers computed by hand beside the checks made from the samples.
#include <gtest/gtest.h>

#include "ir/builder.h"
#include "ops/op_check.h"

namespace tenon::ir::ops {
namespace {

using Longs = std::vector<std::int64_t>;

TEST(ArrayOps, Broadcast) { CheckFamily("broadcast"); }
TEST(ArrayOps, Shape) { CheckFamily("shape"); }
TEST(ArrayOps, Reduce) { CheckFamily("reduce"); }
TEST(ArrayOps, Cumulative) { CheckFamily("cumulative"); }
TEST(ArrayOps, Slicing) { CheckFamily("slicing"); }
TEST(ArrayOps, Filling) { CheckFamily("filling"); }
TEST(ArrayOps, Index) { CheckFamily("index"); }
TEST(ArrayOps, Search) { CheckFamily("search"); }
TEST(ArrayOps, Dot) { CheckFamily("dot"); }

TEST(ArrayOps, Numbers) {
  const Literal x = Values({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_TRUE(identical(Eval("reduce_sum", {x}, {{"axes", Longs{0}}})[0], Values({3}, {5, 7, 9})));
  EXPECT_TRUE(
      identical(Eval("reduce_mean", {x}, {{"axes", Longs{1}}, {"keep_dims", true}})[0], Values({2, 1}, {2, 5})));
  EXPECT_TRUE(identical(Eval("variance", {x}, {{"axes", Longs{1}}})[0], Values({2}, {2.0 / 3, 2.0 / 3})));
  EXPECT_TRUE(identical(Eval("transpose", {x})[0], Values({3, 2}, {1, 4, 2, 5, 3, 6})));
  EXPECT_TRUE(identical(Eval("matmul", {x, Values({3, 1}, {1, 0, -1})})[0], Values({2, 1}, {-2, -2})));
  EXPECT_TRUE(identical(Eval("matmul", {x, x}, {{"transpose_y", true}})[0], Values({2, 2}, {14, 32, 32, 77})));
  EXPECT_TRUE(identical(Eval("sum_like", {x, Values({2, 1}, {0, 0})})[0], Values({2, 1}, {6, 15})));
  EXPECT_TRUE(
      identical(Eval("reduce_max", {Literal::from<std::int8_t>({0}, {})})[0], Literal::scalar<std::int8_t>(-128)));
  EXPECT_TRUE(identical(Eval("reduce_min", {Literal::from<std::uint64_t>({2}, {~0ULL, ~0ULL - 1})})[0],
                        Literal::scalar<std::uint64_t>(~0ULL - 1)));
  EXPECT_TRUE(identical(Eval("transpose", {Literal::from_strings({1, 2}, {"a", "b"})})[0],
                        Literal::from_strings({2, 1}, {"a", "b"})));
}

// Shape arithmetic folds: reshape(x, concat(gather(shape_of(x), 0), -1)) has known dims.
TEST(ArrayOps, ShapeChainsFold) {
  Graph g;
  Builder b(&g);
  const Value x = b.Input("x", Type::Tensor(DType::kF32, {Dim::symbol("n"), 3, 4}));
  const Value like = b.Input("like", Type::TensorOfUnknownRank(DType::kF32));
  const Value total = b.Add("reduce_prod", {b.Add("shape_of", {x})});
  EXPECT_EQ(g.output(total).symbolic->at(0), 12 * Dim::symbol("n"));
  const Value flat = b.Add("reshape", {x, b.Constant(Ints({2}, {-1, 12}))});
  EXPECT_EQ(b.shape(flat), Shape({Dim::symbol("n"), 12}));
  EXPECT_FALSE(b.ranked(b.Add("reshape", {x, b.Add("shape_of", {like})})));
  EXPECT_FALSE(b.ranked(b.Add("squeeze", {x})));
  ASSERT_TRUE(b.ok()) << b.status().message();
}

}  // namespace
}  // namespace tenon::ir::ops
