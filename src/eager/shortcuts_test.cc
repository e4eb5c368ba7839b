#include <gtest/gtest.h>

#include "tenon/function.h"
#include "tenon/ops.h"

namespace tenon {
namespace {

Tensor Ramp(std::vector<std::int64_t> dims) {
  Literal out(DType::kF32, std::move(dims));
  float next = 0;
  for (float& v : out.mutable_data<float>()) v = next++;
  return Tensor(std::move(out));
}

TEST(Shortcuts, ReshapeResolvesTheOpenDim) {
  const Tensor x = Ramp({2, 3, 4});
  EXPECT_EQ(reshape(x, {6, -1}).shape(), (Shape{6, 4}));
  EXPECT_EQ(reshape(x, {-1}).shape(), (Shape{24}));
  EXPECT_EQ(reshape(x, {24}).shape(), (Shape{24}));
  EXPECT_EQ(reshape(Ramp({0, 3}), {-1, 3}).shape(), (Shape{0, 3}));
  EXPECT_THROW(reshape(x, {-1, -1}), Error);
  EXPECT_THROW(reshape(x, {5, -1}), Error);
  EXPECT_THROW(reshape(Ramp({0, 3}), {0, -1}), Error);
  EXPECT_THROW(reshape(x, {5, 5}), Error);
}

TEST(Shortcuts, NumbersAreWeak) {
  const Tensor half(Literal::from<Half>({2}, {to_half(0.5F), to_half(-3)}));
  EXPECT_EQ(clip(half, -1, 1).dtype(), DType::kF16);
  EXPECT_EQ(clip(half, -1, 1).literal().at(1), -1);
  EXPECT_EQ(maximum(half, 0.25).dtype(), DType::kF16);
  const Tensor n(Literal::from<std::int32_t>({2}, {2, 3}));
  EXPECT_EQ(power(n, 2).dtype(), DType::kI32);
  EXPECT_EQ(power(n, 2).literal().at(1), 9);
  EXPECT_EQ(power(n, 0.5).dtype(), DType::kF32);
  EXPECT_EQ(minimum(n, 2).literal().at(1), 2);
}

TEST(Shortcuts, TransposeAndBroadcast) {
  const Tensor x = Ramp({2, 3});
  EXPECT_EQ(transpose(x, {1, 0}).literal().at(1), 3);
  EXPECT_EQ(broadcast_to(x, {4, 2, 3}).shape(), (Shape{4, 2, 3}));
}

TEST(GeneratedFunctions, PromoteAndTakeOptions) {
  const Tensor n(Literal::from<std::int32_t>({2}, {7, -7})), two(Literal::from<std::int32_t>({}, {2}));
  EXPECT_EQ(exp(n).dtype(), DType::kF32);
  EXPECT_EQ(divide(n, two).dtype(), DType::kF32);
  EXPECT_EQ(divide(n, two).literal().at(0), 3.5);
  EXPECT_EQ(floor_divide(n, two).literal().at(1), -4);
  EXPECT_EQ(leaky_relu(Ramp({1}), {.negative_slope = 0.5}).literal().at(0), 0);
  EXPECT_EQ(cast(n, DType::kBool).dtype(), DType::kBool);
  EXPECT_EQ(clip(n, {.max = two}).literal().at(0), 2);
  EXPECT_EQ(softmax(Ramp({2, 3}), {.axis = 0}).shape(), (Shape{2, 3}));
  EXPECT_THROW(softmax(Ramp({2, 3}), {.axis = 2}), Error);
}

}  // namespace
}  // namespace tenon
