// What a gradient says of a path that it cannot take.
#include "autograd/gradients.h"

#include <gtest/gtest.h>

namespace tenon {
namespace {

TEST(Gradients, APathThroughAnOpWithoutAGradientIsNamed) {
  ir::Graph graph;
  ir::Builder b(&graph);
  const ir::Value x = b.Input("x", ir::Type::Tensor(DType::kF32, Shape({2})));
  const ir::Value items = b.Add("sequence_construct", {x, x});
  const ir::Value y = b.Add("sequence_concat", {items}, {{"axis", std::int64_t{0}}});
  ASSERT_TRUE(b.status().ok()) << b.status().message();
  const ir::Value targets[] = {y}, sources[] = {x};
  const Result<std::vector<ir::Value>> gradients = autograd::Gradients(b, targets, {}, sources);
  ASSERT_FALSE(gradients.ok());
  EXPECT_EQ(gradients.status().code(), Code::kFailedPrecondition);
  EXPECT_EQ(gradients.status().message(),
            "sequence_concat: is not differentiable; put stop_gradient before it or take the source off the path");
}

TEST(Gradients, WhatDoesNotDependHasNone) {
  ir::Graph graph;
  ir::Builder b(&graph);
  const ir::Value x = b.Input("x", ir::Type::Tensor(DType::kF32, Shape({2})));
  const ir::Value z = b.Input("z", ir::Type::Tensor(DType::kF32, Shape({2})));
  const ir::Value targets[] = {b.Add("stop_gradient", {x})}, sources[] = {x, z};
  const Result<std::vector<ir::Value>> gradients = autograd::Gradients(b, targets, {}, sources);
  ASSERT_TRUE(gradients.ok()) << gradients.status().message();
  for (const ir::Value g : *gradients) EXPECT_FALSE(g.valid());
}

}  // namespace
}  // namespace tenon
