// Convolution, pooling and normalisation: numbers computed by hand beside the checks made from the samples.
#include <gtest/gtest.h>

#include "ops/op_check.h"

namespace tenon::ir::ops {
namespace {

using Longs = std::vector<std::int64_t>;

TEST(NetworkOps, Conv) { CheckFamily("conv"); }
TEST(NetworkOps, Pool) { CheckFamily("pool"); }
TEST(NetworkOps, Norm) { CheckFamily("norm"); }

TEST(NetworkOps, Numbers) {
  const Literal line = Values({1, 4, 1}, {1, 2, 3, 4});
  const auto text = [](const char* s) { return Attr(std::string(s)); };
  EXPECT_TRUE(identical(
      Eval("conv", {line, Values({2, 1, 1}, {1, 10})}, {{"layout", text("NWC")}, {"kernel_layout", text("WIO")}})[0],
      Values({1, 3, 1}, {21, 32, 43})));
  // An even window of "same": the odd padding stands at the end, or at the beginning.
  EXPECT_TRUE(
      identical(Eval("conv", {line, Values({2, 1, 1}, {1, 10})},
                     {{"layout", text("NWC")}, {"kernel_layout", text("WIO")}, {"auto_pad", text("same_upper")}})[0],
                Values({1, 4, 1}, {21, 32, 43, 4})));
  EXPECT_TRUE(
      identical(Eval("conv", {line, Values({2, 1, 1}, {1, 10})},
                     {{"layout", text("NWC")}, {"kernel_layout", text("WIO")}, {"auto_pad", text("same_lower")}})[0],
                Values({1, 4, 1}, {10, 21, 32, 43})));
  EXPECT_TRUE(identical(
      Eval("max_pool", {line},
           {{"layout", text("NWC")}, {"window", Longs{3}}, {"strides", Longs{2}}, {"padding", Longs{1, 1}}})[0],
      Values({1, 2, 1}, {2, 4})));
  EXPECT_TRUE(identical(
      Eval("avg_pool", {line},
           {{"layout", text("NWC")}, {"window", Longs{3}}, {"strides", Longs{2}}, {"padding", Longs{1, 1}}})[0],
      Values({1, 2, 1}, {1.5, 3})));
  EXPECT_TRUE(identical(Eval("avg_pool", {line},
                             {{"layout", text("NWC")},
                              {"window", Longs{3}},
                              {"strides", Longs{2}},
                              {"padding", Longs{1, 1}},
                              {"count_include_pad", true}})[0],
                        Values({1, 2, 1}, {1, 3})));
  // The last window starts inside the data and reaches past it: only what is there counts.
  EXPECT_TRUE(identical(Eval("avg_pool", {line},
                             {{"layout", text("NWC")},
                              {"window", Longs{3}},
                              {"strides", Longs{3}},
                              {"ceil_mode", true},
                              {"count_include_pad", true}})[0],
                        Values({1, 2, 1}, {2, 4})));
  EXPECT_TRUE(identical(Eval("max_pool_grad", {Values({1, 2, 1}, {5, 7}), Values({1, 4, 1}, {1, 1, 3, 3})},
                             {{"layout", text("NWC")}, {"window", Longs{2}}})[0],
                        Values({1, 4, 1}, {5, 0, 7, 0})));
  EXPECT_TRUE(identical(
      Eval("batch_norm",
           {Values({2}, {3, 5}), Values({2}, {1, 1}), Values({2}, {3, 15}), Values({2}, {2, 4}), Values({2}, {0, 1})},
           {{"epsilon", 1.0}})[0],
      Values({2}, {2, 5})));
  const std::vector<Literal> training = Eval("batch_norm_training", {Values({2, 1}, {1, 3})}, {{"epsilon", 3.0}});
  EXPECT_TRUE(identical(training[0], Values({2, 1}, {-0.5, 0.5})));
  EXPECT_TRUE(identical(training[1], Values({1}, {2})));
  EXPECT_TRUE(identical(training[2], Values({1}, {1})));
}

// Lengths come with the data: below 0 no key is seen, however far.
TEST(NetworkOps, AttentionOfLengthsBelowZero) {
  const Literal x = Values({2, 1, 2, 1}, {1, 2, 3, 4});
  const auto y = [&](std::int64_t length) {
    return Eval("attention", {x, x, x, std::nullopt, std::nullopt, std::nullopt, Ints({2}, {length, 2})},
                {{"causal", true}})[0];
  };
  EXPECT_TRUE(identical(y(INT64_MIN), y(0)));
  EXPECT_EQ(y(INT64_MIN).at(0), 0);
  EXPECT_EQ(y(INT64_MIN).at(2), 3);
}

}  // namespace
}  // namespace tenon::ir::ops
