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

// Shape arithmetic folds: reshape(x, concat(gather(shape_of(x), 0), …)) has known dims, as importers write it.
TEST(ArrayOps, ShapeChainsFold) {
  Graph g;
  Builder b(&g);
  const Dim n = Dim::symbol("n");
  const Value x = b.Input("x", Type::Tensor(DType::kF32, {n, 3, 4}));
  const Value shape = b.Add("shape_of", {x});
  EXPECT_EQ(g.output(b.Add("reduce_prod", {shape})).symbolic->at(0), 12 * n);
  const auto constant = [&](std::initializer_list<std::int64_t> v) {
    return b.Constant(Ints({static_cast<std::int64_t>(v.size())}, v));
  };
  const Value first = b.Add("gather", {shape, b.Constant(Ints({}, {0}))});  // a scalar: n
  const Value rows = b.Add("expand_dims", {first}, {{"axes", Longs{0}}});
  EXPECT_EQ(b.shape(b.Add("reshape", {x, b.Add("concat", {rows, constant({-1})})})), Shape({n, 12}));
  const Value tail = b.Add("slice", {shape}, {{"starts", Shape({1})}, {"limits", Shape({3})}});
  EXPECT_EQ(b.shape(b.Add("broadcast_to", {b.Scalar(0, DType::kF32), b.Add("concat", {constant({2}), tail})})),
            Shape({2, 3, 4}));
  // One element, and a step after which no number is left.
  const Value one =
      b.Add("slice", {shape}, {{"starts", Shape({1})}, {"limits", Shape({2})}, {"strides", Longs{INT64_MAX}}});
  ASSERT_EQ(g.output(one).symbolic->size(), 1U);
  EXPECT_EQ(g.output(one).symbolic->at(0), Dim(3));
  const std::vector<Value> parts = b.AddAll("split", {shape}, {{"sizes", Shape({1, 2})}});
  EXPECT_EQ(b.shape(b.Add("reshape", {x, b.Add("concat", {parts[1], parts[0]})})), Shape({3, 4, n}));
  const Value back = b.Add("reverse", {shape}, {{"axes", Longs{0}}});
  EXPECT_EQ(b.shape(b.Add("reshape", {x, b.Cast(back, DType::kI32)})), Shape({4, 3, n}));
  const Value scalar = b.Add("squeeze", {rows}, {{"axes", Longs{0}}});
  EXPECT_EQ(g.output(scalar).symbolic->at(0), n);
  ASSERT_TRUE(b.ok()) << b.status().message();
}

TEST(ArrayOps, UnknownRanksStayOpen) {
  Graph g;
  Builder b(&g);
  const Value x = b.Input("x", Type::Tensor(DType::kF32, {Dim::symbol("n"), 3})),
              like = b.Input("like", Type::TensorOfUnknownRank(DType::kF32));
  EXPECT_FALSE(b.ranked(b.Add("reshape", {x, b.Add("shape_of", {like})})));
  EXPECT_FALSE(b.ranked(b.Add("squeeze", {x})));  // n may be 1
  EXPECT_EQ(b.shape(b.Add("nonzero", {like})).rank(), 2);
  ASSERT_TRUE(b.ok()) << b.status().message();
}

// Indices are checked when the op runs.
TEST(ArrayOps, IndicesOutOfRange) {
  const auto message = [](std::string_view op, const std::vector<std::optional<Literal>>& inputs, const Attrs& attrs) {
    try {
      Eval(op, inputs, attrs);
    } catch (const Error& e) {
      return e.status().message();
    }
    return std::string("no error");
  };
  const Literal x = Values({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(message("gather", {x, Ints({2}, {0, 2})}, {}),
            "gather: got index 2 for 2 elements, expected one in [-2, 2)");
  EXPECT_EQ(message("gather", {x, Ints({1}, {-4})}, {{"axis", std::int64_t{1}}}),
            "gather: got index -4 for 3 elements, expected one in [-3, 3)");
  EXPECT_NE(message("scatter_add", {x, Ints({1}, {5}), Values({1, 3}, {0, 0, 0})}, {}), "no error");
  EXPECT_NE(message("gather_nd", {x, Ints({1, 2}, {1, 3})}, {}), "no error");
  EXPECT_NE(message("scatter_nd_add", {x, Ints({1, 1}, {-3}), Values({1, 3}, {0, 0, 0})}, {}), "no error");
  EXPECT_NE(message("take_along_axis", {x, Ints({1, 3}, {0, 2, 0})}, {{"axis", std::int64_t{0}}}), "no error");
  EXPECT_NE(message("scatter_add_along_axis", {x, Ints({1, 1}, {2}), Values({1, 1}, {0})}, {{"axis", std::int64_t{0}}}),
            "no error");
}

}  // namespace
}  // namespace tenon::ir::ops
