// Tensor, tapes and functions together with the backends.
#include <gtest/gtest.h>

#include <cmath>

#include "eager/dispatch.h"
#include "tenon/function.h"

namespace tenon {
namespace {

using eager::ApplyOne;

TEST(Eager, OperatorsBroadcastAndPromote) {
  const Tensor x = array<float>({2, 2}, {1, 2, 3, 4});
  const Tensor row = array<float>({2}, {10, 20});
  EXPECT_TRUE(identical((x + row).literal(), Literal::from<float>({2, 2}, {11, 22, 13, 24})));
  EXPECT_TRUE(identical((2 * x - 1).literal(), Literal::from<float>({2, 2}, {1, 3, 5, 7})));
  const Tensor i = array<std::int64_t>({2}, {3, 4});
  EXPECT_EQ((i * 2).dtype(), DType::kI64);
  EXPECT_EQ((i / 2).dtype(), DType::kF32);
  EXPECT_EQ((i * 0.5).dtype(), DType::kF32);
  EXPECT_EQ((x == 1).dtype(), DType::kBool);
  EXPECT_TRUE(static_cast<bool>(array<float>({}, {1}) < 2));
  EXPECT_THROW((void)(x + array<float>({3}, {1, 2, 3})), Error);
  EXPECT_THROW((void)static_cast<bool>(x), Error);
  EXPECT_THROW((void)Tensor().shape(), Error);
}

TEST(Eager, ErrorsNameTheOp) {
  try {
    (void)(array<float>({2, 3}, {1, 2, 3, 4, 5, 6}) + array<float>({2}, {1, 2}));
    FAIL();
  } catch (const Error& e) {
    EXPECT_TRUE(std::string(e.what()).starts_with("add_c1: ")) << e.what();
    EXPECT_EQ(e.status().code(), Code::kInvalidArgument);
  }
}

TEST(Tape, GradientOfAProduct) {
  const Variable w(array<float>({2, 2}, {1, 2, 3, 4}), {.name = "w"});
  const Tensor x = array<float>({1, 2}, {5, 6});
  GradientTape tape;
  const Tensor y = ApplyOne("matmul", {x, w});
  const Tensor loss = ApplyOne("reduce_sum", {y * y});
  const Tensor g = tape.gradient(loss, w);
  // y = [23, 34]; dL/dw = x^T (2 y)
  EXPECT_TRUE(identical(g.literal(), Literal::from<float>({2, 2}, {230, 340, 276, 408}))) << g;
  EXPECT_THROW((void)tape.gradient(loss, w), Error);
}

TEST(Tape, SecondOrder) {
  const Tensor x = array<float>({}, {2});
  GradientTape outer;
  outer.watch(x);
  Tensor first;
  {
    GradientTape inner;
    inner.watch(x);
    const Tensor y = x * x * x;
    first = inner.gradient(y, x);
  }
  EXPECT_FLOAT_EQ(static_cast<float>(first.item()), 12);
  EXPECT_FLOAT_EQ(static_cast<float>(outer.gradient(first, x).item()), 12);
}

TEST(Tape, PersistentAndUnrelated) {
  const Tensor x = array<float>({}, {3});
  GradientTape tape({.persistent = true});
  tape.watch(x);
  const Tensor y = x * x;
  EXPECT_FLOAT_EQ(static_cast<float>(tape.gradient(y, x).item()), 6);
  EXPECT_FLOAT_EQ(static_cast<float>(tape.gradient(y, x).item()), 6);
  EXPECT_FALSE(tape.gradient(y, array<float>({}, {1})).defined());
}

TEST(Function, TracedOncePerSignature) {
  int bodies = 0;
  auto f = function([&](const Tensor& x, double scale) {
    ++bodies;
    return ApplyOne("exp", {x}) * scale;
  });
  const Tensor x = array<float>({3}, {0, 1, 2});
  EXPECT_EQ(f(x, 2.0).shape(), (Shape{3}));
  const Tensor y = f(x, 2.0);
  EXPECT_EQ(bodies, 1);
  EXPECT_NEAR(y.literal().at(2), 2 * std::exp(2.0), 1e-5);
  (void)f(x, 3.0);
  EXPECT_EQ(bodies, 2);
  (void)f(array<float>({2}, {0, 1}), 3.0);
  EXPECT_EQ(bodies, 3);
}

TEST(Function, StateIsUpdatedInPlace) {
  const Variable counter(array<float>({}, {0}), {.name = "counter", .trainable = false});
  auto step = function([&](const Tensor& x) {
    counter.assign(counter + x);
    return counter.value() * 10.0;
  });
  EXPECT_FLOAT_EQ(static_cast<float>(step(array<float>({}, {2})).item()), 20);
  EXPECT_FLOAT_EQ(static_cast<float>(step(array<float>({}, {3})).item()), 50);
  EXPECT_FLOAT_EQ(static_cast<float>(counter.value().item()), 5);
}

TEST(Function, ConditionOnSymbolThrows) {
  auto f = function([](const Tensor& x) { return static_cast<bool>(x) ? x : -x; });
  EXPECT_THROW((void)f(array<float>({}, {1})), Error);
}

TEST(Function, OneTraceForOpenShapes) {
  auto f = function([](const Tensor& x) { return ApplyOne("reduce_sum", {x * 2.0}); },
                    {.input_shapes = {Shape({Dim::symbol("n"), 2})}});
  EXPECT_FLOAT_EQ(static_cast<float>(f(array<float>({1, 2}, {1, 2})).item()), 6);
  EXPECT_FLOAT_EQ(static_cast<float>(f(array<float>({2, 2}, {1, 2, 3, 4})).item()), 20);
  EXPECT_EQ(f.traces(), 1);
  EXPECT_THROW((void)f(array<float>({1, 3}, {1, 2, 3})), Error);
}

}  // namespace
}  // namespace tenon
