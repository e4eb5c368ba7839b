// Ops on texts: what the samples do not say, with the answers of TensorFlow's ops of the same kind.
#include <gtest/gtest.h>

#include <chrono>

#include "ops/op_check.h"

namespace tenon::ir::ops {
namespace {

using Texts = std::vector<std::string>;

Literal Row(Texts texts) {
  const auto n = static_cast<std::int64_t>(texts.size());
  return Literal::from_strings({n}, std::move(texts));
}
Literal Parse(const std::string& text, DType dtype, bool whole = false) {
  return Eval("parse_number", {Row({text})}, {{"dtype", dtype}, {"whole", whole}})[0];
}
bool Refused(const std::string& text, DType dtype, bool whole = false) {
  try {
    Parse(text, dtype, whole);
  } catch (const std::exception& error) {
    return std::string(error.what()).find("expected a number that reads as") != std::string::npos;
  }
  return false;
}

TEST(ParseNumber, IntegersStayInTheirRange) {
  EXPECT_TRUE(Refused("3000000000", DType::kI32));
  EXPECT_TRUE(Refused("-2147483649", DType::kI32));
  EXPECT_TRUE(Refused("9223372036854775808", DType::kI64));
  EXPECT_TRUE(Refused("1e19", DType::kI64));
  EXPECT_TRUE(Refused("256", DType::kU8));
  EXPECT_TRUE(Refused("-1", DType::kU64));
  EXPECT_TRUE(Refused("128.5", DType::kI8));
  EXPECT_TRUE(Refused("nan", DType::kI32));
  EXPECT_EQ(Parse("-2147483648", DType::kI32).at(0), -0x1p31);
  EXPECT_EQ(Parse("-9223372036854775808", DType::kI64).at(0), -0x1p63);
  const Literal most = Parse("18446744073709551615", DType::kU64), large = Parse("1e19", DType::kU64);
  EXPECT_EQ(most.data<std::uint64_t>()[0], 18446744073709551615U);
  EXPECT_EQ(large.data<std::uint64_t>()[0], 10000000000000000000U);
  EXPECT_EQ(Parse("255.9", DType::kU8).at(0), 255);
  EXPECT_EQ(Parse("-128.9", DType::kI8).at(0), -128);
}

TEST(ParseNumber, WholeNumbersHaveNoFraction) {
  EXPECT_EQ(Parse("1.5", DType::kI32).at(0), 1);
  for (const char* text : {"1.5", "1e3", "", "5 6"}) EXPECT_TRUE(Refused(text, DType::kI32, true)) << text;
  EXPECT_EQ(Parse(" +5 ", DType::kI32, true).at(0), 5);
}

TEST(ParseNumber, FloatsAreRoundedOnce) {
  // Just below the middle of two floats, and in double precision that middle itself.
  EXPECT_EQ(Parse("1.00000017881393432617187499999999999", DType::kF32).at(0), 0x1.000002p0);
  EXPECT_EQ(Parse("1e39", DType::kF32).at(0), HUGE_VAL);
  EXPECT_EQ(Parse("1e-46", DType::kF32).at(0), 0);
  EXPECT_EQ(Parse("1e-40", DType::kF32).at(0), 1e-40F);
}

// A small file may ask for n-grams of any size.
TEST(Ngrams, TheBoundHoldsBeforeATextIsBuilt) {
  const auto seconds = [](std::string pad, std::string separator, std::int64_t length) {
    const auto begin = std::chrono::steady_clock::now();
    try {
      Eval("string_ngrams", {Row({"a", "b"}), Literal::from<std::int64_t>({2}, {0, 2})},
           {{"lengths", std::vector<std::int64_t>{length}},
            {"separator", std::move(separator)},
            {"left_pad", pad},
            {"right_pad", pad},
            {"pad_width", std::int64_t{-1}},
            {"preserve_short", false}});
      ADD_FAILURE() << "no error";
    } catch (const std::exception& error) {
      EXPECT_NE(std::string(error.what()).find("2 GiB"), std::string::npos) << error.what();
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  EXPECT_LT(seconds(std::string(1 << 16, 'x'), "", 1 << 17), 30);  // 8 GiB a text
  EXPECT_LT(seconds("", "", 1 << 20), 30);                         // a million empty items in each of a million texts
}

Texts Split(const std::string& text, std::int64_t most) {
  return Eval("string_split_rows", {Row({text})}, {{"delimiter", std::string()}, {"max_splits", most}})[0].strings();
}
TEST(SplitRows, TheRestStaysAsItIs) {
  EXPECT_EQ(Split("a b c  ", 1), (Texts{"a", "b c  "}));
  EXPECT_EQ(Split("a b ", 2), (Texts{"a", "b", ""}));
  EXPECT_EQ(Split(" x ", 1), (Texts{"x", ""}));
  EXPECT_EQ(Split(" x ", 0), (Texts{" x "}));
  EXPECT_EQ(Split("", 0), (Texts{""}));
  EXPECT_EQ(Split("  ", 1), Texts{});
  EXPECT_EQ(Split("a b ", 3), (Texts{"a", "b"}));
}

std::string Case(const std::string& text, const char* to) {
  return Eval("string_case", {Row({text})}, {{"to", std::string(to)}, {"ascii", false}})[0].strings()[0];
}
TEST(StringCase, FullMappings) {
  EXPECT_EQ(Case("Straße", "upper"), "STRASSE");
  EXPECT_EQ(Case("ŉ ΐ ﬃ ᾳ", "upper"), "ʼN \u0399\u0308\u0301 FFI ΑΙ");
  EXPECT_EQ(Case("ΣΑΣ ΑΣ. ΑΣ.Α Σ", "lower"), "σας ας. ασ.α σ");
  EXPECT_EQ(Case("İ", "lower"), "i\u0307");
  EXPECT_EQ(Case("a\xff"
                 "b\xe2\x82"
                 "c",
                 "upper"),
            "A\xef\xbf\xbd"
            "B\xef\xbf\xbd"
            "C");
}

}  // namespace
}  // namespace tenon::ir::ops
