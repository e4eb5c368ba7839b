#include "eager/promote.h"

#include <gtest/gtest.h>

namespace tenon::eager {
namespace {

TEST(Promote, FollowsKeras) {
  const auto p = [](std::string_view a, std::string_view b) {
    const DType x = *dtype_from_name(a), y = *dtype_from_name(b);
    EXPECT_EQ(PromotedType(x, y), PromotedType(y, x)) << a << " " << b;
    return dtype_name(PromotedType(x, y));
  };
  // keras.backend.result_type of Keras 3.
  EXPECT_EQ(p("bool", "bool"), "bool");
  EXPECT_EQ(p("bool", "i8"), "i8");
  EXPECT_EQ(p("bool", "u32"), "u32");
  EXPECT_EQ(p("bool", "f16"), "f16");
  EXPECT_EQ(p("i8", "u8"), "i16");
  EXPECT_EQ(p("i16", "u8"), "i16");
  EXPECT_EQ(p("i8", "u16"), "i32");
  EXPECT_EQ(p("i32", "u32"), "i64");
  EXPECT_EQ(p("i64", "u32"), "i64");
  EXPECT_EQ(p("i64", "i8"), "i64");
  EXPECT_EQ(p("i64", "f32"), "f32");
  EXPECT_EQ(p("i64", "bf16"), "bf16");
  EXPECT_EQ(p("i32", "f16"), "f16");
  EXPECT_EQ(p("bf16", "f16"), "f32");
  EXPECT_EQ(p("f32", "f16"), "f32");
  EXPECT_EQ(p("f64", "f32"), "f64");
  // Beyond Keras: u64 and complex.
  EXPECT_EQ(p("u64", "i64"), "f32");
  EXPECT_EQ(p("u64", "u8"), "u64");
  EXPECT_EQ(p("c64", "f32"), "c64");
  EXPECT_EQ(p("c64", "f64"), "c128");
  EXPECT_EQ(p("c64", "i32"), "c64");
}

TEST(Promote, StringsMeetNothing) {
  EXPECT_EQ(PromotedType(DType::kString, DType::kString), DType::kString);
  EXPECT_THROW(PromotedType(DType::kString, DType::kF32), Error);
  EXPECT_THROW(PromotedType(DType::kF8E5M2, DType::kF32), Error);
}

TEST(Promote, PerTypeVariableAndByWhatTheOpTakes) {
  const Tensor i(Literal::from<std::int32_t>({2}, {1, 2})), f(Literal::from<float>({2}, {0.5F, 1.5F})),
      b(Literal::from<bool>({2}, {true, false}));
  const auto types = [](std::string_view op, std::vector<Tensor> in) {
    std::string out;
    for (const Tensor& t : PromoteFor(ir::GetOp(op), in))
      out += (out.empty() ? "" : " ") + (t.defined() ? std::string(dtype_name(t.dtype())) : "-");
    return out;
  };
  EXPECT_EQ(types("add", {i, f}), "f32 f32");
  EXPECT_EQ(types("add", {i, i}), "i32 i32");
  EXPECT_EQ(types("add", {b, b}), "i32 i32");
  EXPECT_EQ(types("divide", {i, i}), "f32 f32");
  EXPECT_EQ(types("exp", {i}), "f32");
  EXPECT_EQ(types("logical_not", {b}), "bool");
  EXPECT_EQ(types("select", {b, i, f}), "bool f32 f32");
  EXPECT_EQ(types("clip", {i, Tensor(), f}), "f32 - f32");
}

}  // namespace
}  // namespace tenon::eager
