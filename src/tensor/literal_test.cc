#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/poison.h"
#include "tenon/types.h"
#include "thrown_code.h"

namespace tenon {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Literal, StartsAsZerosAndIsAligned) {
  const Literal zeros(Shape{2, 3}, DType::kF32);
  EXPECT_EQ(zeros.size(), 6);
  EXPECT_EQ(zeros.nbytes(), 24U);
  EXPECT_THAT(zeros.data<float>(), ElementsAre(0, 0, 0, 0, 0, 0));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(zeros.raw().data()) % 64, 0U);
  const Literal scalar;
  EXPECT_EQ(scalar.rank(), 0);
  EXPECT_EQ(scalar.size(), 1);
  const Literal empty(DType::kI64, {3, 0, 2});
  EXPECT_EQ(empty.size(), 0);
  EXPECT_TRUE(empty.data<std::int64_t>().empty());
  EXPECT_THAT(Literal(DType::kString, {2}).strings(), ElementsAre("", ""));
}

TEST(Literal, CopiesShareUntilOneWrites) {
  Literal a = Literal::from<std::int32_t>({3}, {1, 2, 3});
  const Literal b = a;
  EXPECT_EQ(a.raw().data(), b.raw().data());
  a.mutable_data<std::int32_t>()[0] = 9;
  EXPECT_NE(a.raw().data(), b.raw().data());
  EXPECT_THAT(a.data<std::int32_t>(), ElementsAre(9, 2, 3));
  EXPECT_THAT(b.data<std::int32_t>(), ElementsAre(1, 2, 3));
  const std::byte* own = a.raw().data();
  a.mutable_data<std::int32_t>()[1] = 8;
  EXPECT_EQ(a.raw().data(), own) << "no copy when nobody shares";

  Literal s = Literal::from_strings({2}, {"x", "y"});
  const Literal t = s;
  s.mutable_strings()[0] = "z";
  EXPECT_THAT(t.strings(), ElementsAre("x", "y"));
  EXPECT_THAT(s.strings(), ElementsAre("z", "y"));
}

TEST(Literal, ReshapedSharesAndStillCopiesOnWrite) {
  Literal a = Literal::from<float>({4}, {1, 2, 3, 4});
  Literal b = a.reshaped({2, 2});
  EXPECT_EQ(a.raw().data(), b.raw().data());
  b.mutable_data<float>()[3] = 0;
  EXPECT_THAT(a.data<float>(), ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(CodeOf([&] { (void)a.reshaped({3}); }), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf([&] { (void)a.reshaped({-4}); }), Code::kInvalidArgument);
}

TEST(Literal, AViewIsNeverWrittenThrough) {
  const auto owner = std::make_shared<std::vector<float>>(std::vector<float>{1, 2});
  const auto* bytes = reinterpret_cast<const std::byte*>(owner->data());
  Literal view = Literal::from_buffer(DType::kF32, {2}, Buffer::view(bytes, 8, owner)).value();
  EXPECT_EQ(view.raw().data(), bytes);
  EXPECT_EQ(owner.use_count(), 2);
  view.mutable_data<float>()[0] = 5;
  EXPECT_THAT(*owner, ElementsAre(1, 2));
  EXPECT_THAT(view.data<float>(), ElementsAre(5, 2));
  EXPECT_EQ(owner.use_count(), 1);
}

TEST(Literal, FourBitIntegersArePackedLowNibbleFirst) {
  Literal a(DType::kI4, {3});
  EXPECT_EQ(a.nbytes(), 2U);
  a.mutable_raw()[0] = std::byte{0x8f};  // -1, -8
  a.mutable_raw()[1] = std::byte{0x57};  // 7, and a nibble that is no element
  EXPECT_EQ(a.at(0), -1);
  EXPECT_EQ(a.at(1), -8);
  EXPECT_EQ(a.at(2), 7);
  EXPECT_EQ(CodeOf([&] { (void)a.at(3); }), Code::kOutOfRange);
  Literal b = a;
  b.mutable_raw()[1] = std::byte{0x07};
  EXPECT_TRUE(identical(a, b)) << "the unused nibble does not count";
  b.mutable_raw()[1] = std::byte{0x06};
  EXPECT_FALSE(identical(a, b));
  Literal u(DType::kU4, {2});
  u.mutable_raw()[0] = std::byte{0x8f};
  EXPECT_EQ(u.at(0), 15);
  EXPECT_EQ(u.at(1), 8);
}

TEST(Literal, SmallerKindsReadTheirCodes) {
  Literal two(DType::kI2, {5});
  EXPECT_EQ(two.nbytes(), 2U);
  two.mutable_raw()[0] = std::byte{0b11'10'01'00};
  two.mutable_raw()[1] = std::byte{0b111111'01};  // only the low two bits are an element
  for (const auto& [i, value] : {std::pair{0, 0}, {1, 1}, {2, -2}, {3, -1}, {4, 1}}) EXPECT_EQ(two.at(i), value) << i;
  Literal same = two;
  same.mutable_raw()[1] = std::byte{1};
  EXPECT_TRUE(identical(two, same));
  same.mutable_raw()[1] = std::byte{2};
  EXPECT_FALSE(identical(two, same));
  Literal unsigned_two(DType::kU2, {2});
  unsigned_two.mutable_raw()[0] = std::byte{0b1011};
  EXPECT_EQ(unsigned_two.at(0), 3);
  EXPECT_EQ(unsigned_two.at(1), 2);
  Literal four(DType::kF4E2M1, {3});
  four.mutable_raw()[0] = std::byte{0xf1};
  four.mutable_raw()[1] = std::byte{0x03};
  EXPECT_EQ(four.at(0), 0.5);
  EXPECT_EQ(four.at(1), -6);
  EXPECT_EQ(four.at(2), 1.5);
  Literal power(DType::kF8E8M0, {3});
  power.mutable_raw()[1] = std::byte{127};
  power.mutable_raw()[2] = std::byte{255};
  EXPECT_EQ(power.at(0), 0x1p-127);
  EXPECT_EQ(power.at(1), 1);
  EXPECT_TRUE(std::isnan(power.at(2)));
}

TEST(Literal, AtWidensEveryDType) {
  EXPECT_EQ(Literal::scalar(true).at(0), 1);
  EXPECT_EQ(Literal::scalar(std::int8_t{-3}).at(0), -3);
  EXPECT_EQ(Literal::scalar(std::uint64_t{1} << 63).at(0), 0x1p63);
  EXPECT_EQ(Literal::scalar(to_half(1.5F)).at(0), 1.5);
  EXPECT_EQ(Literal::scalar(to_bfloat16(-2)).at(0), -2);
  EXPECT_EQ(Literal::scalar(2.5).at(0), 2.5);
  EXPECT_EQ((Literal::from<std::complex<double>>({2}, {{1, 2}, {3, 4}}).at(1)), 3);
  EXPECT_EQ(CodeOf([] { (void)Literal::scalar(std::string("a")).at(0); }), Code::kInvalidArgument);
}

TEST(Literal, TheWrongElementTypeIsAnError) {
  const Literal a(DType::kF32, {1});
  EXPECT_EQ(CodeOf([&] { (void)a.data<double>(); }), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf([&] { (void)a.strings(); }), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf([] { (void)Literal::from<float>({3}, {1, 2}); }), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf([] { (void)Literal::from_strings({1}, {}); }), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf([] { Literal bad(Shape{Dim::symbol("n")}); }), Code::kFailedPrecondition);
  EXPECT_EQ(Literal::from_buffer(DType::kF32, {3}, Buffer::allocate(8, true)).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(Literal::from_buffer(DType::kString, {0}, Buffer()).status().code(), Code::kInvalidArgument);
}

TEST(Literal, HostileSizesAreErrors) {
  constexpr std::int64_t kHuge = std::int64_t{1} << 62;
  EXPECT_EQ(CodeOf([] { Literal bad(DType::kF32, {-1}); }), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf([] { Literal bad(DType::kF32, {kHuge, kHuge}); }), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf([] { Literal bad(DType::kF64, {kHuge}); }), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf([] { Literal bad(DType::kF64, {std::int64_t{1} << 56}); }), Code::kResourceExhausted);
  EXPECT_EQ(CodeOf([] { Literal bad(DType::kString, {kHuge}); }), Code::kResourceExhausted);
  EXPECT_EQ(CodeOf([] { (void)Literal::uninitialized(DType::kString, {std::int64_t{1} << 50}); }),
            Code::kResourceExhausted);
  EXPECT_EQ(checked_size(std::vector<std::int64_t>{0, -1}).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(checked_size(std::vector<std::int64_t>{0, kHuge}).value(), 0);
  EXPECT_EQ(checked_bytes(DType::kI4, std::vector<std::int64_t>{3}).value(), 2U);
  EXPECT_FALSE(checked_bytes(DType::kC128, std::vector<std::int64_t>{kHuge}).ok());
}

TEST(Literal, IdenticalComparesBits) {
  EXPECT_TRUE(identical(Literal::scalar(NAN), Literal::scalar(NAN)));
  EXPECT_FALSE(identical(Literal::scalar(0.0F), Literal::scalar(-0.0F)));
  EXPECT_FALSE(identical(Literal(DType::kF32, {2}), Literal(DType::kI32, {2})));
  EXPECT_FALSE(identical(Literal(DType::kF32, {2}), Literal(DType::kF32, {2, 1})));
  EXPECT_TRUE(identical(Literal(DType::kF32, {0}), Literal(DType::kF32, {0})));
  EXPECT_FALSE(identical(Literal::scalar(std::string("a")), Literal::scalar(std::string("b"))));
}

TEST(Literal, Text) {
  EXPECT_EQ(Literal::from<float>({2, 2}, {1, 2.5, -3, 4}).to_string(3), "f32[2, 2] {1, 2.5, -3, …}");
  EXPECT_EQ(Literal::scalar(std::int64_t{1234567890123456789}).to_string(), "i64[] {1234567890123456789}");
  EXPECT_EQ(Literal::scalar(std::string("hi")).to_string(), "string[] {\"hi\"}");
  EXPECT_THAT(Literal::scalar(std::complex<float>(1, 2)).to_string(), HasSubstr("1+2i"));
}

TEST(Literal, FromTakesListsAndSpans) {
  const Literal flags = Literal::from<bool>({3}, {true, false, true});
  EXPECT_THAT(flags.data<bool>(), ElementsAre(true, false, true));
  const std::vector<std::int16_t> values = {-5, 7};
  const Literal shorts = Literal::from<std::int16_t>({1, 2}, values);
  EXPECT_THAT(shorts.data<std::int16_t>(), ElementsAre(-5, 7));
}

#if defined(TENON_ADDRESS_SANITIZER)
TEST(BufferDeathTest, EndsAtItsLastByte) {
  const Buffer buffer = Buffer::allocate(70, true);
  const volatile std::byte* const data = buffer.data();
  const auto read = [data](std::size_t at) { return std::to_integer<int>(data[at]); };
  EXPECT_EQ(read(69), 0);
  EXPECT_DEATH(read(70), "use-after-poison");
}
#endif

}  // namespace
}  // namespace tenon
