#include "serve/rest/json_dom.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>

#include "serve/rest/float_text.h"
#include "serve/rest/json_number.h"

namespace tenon::serve {
namespace {

using namespace std::string_literals;

std::string ErrorOf(std::string_view text) {
  const auto json = JsonDocument::Parse(text);
  return json.ok() ? "ok" : json.status().message();
}

// Messages and offsets were recorded from RapidJSON 1.1.0 with the iterative, NaN-and-Inf and stop-when-done flags.
TEST(JsonDocument, Errors) {
  const std::pair<std::string, std::string> table[] = {
      {"", "The document is empty"},
      {"  ", "The document is empty. at offset: 2"},
      {"]", "The document is empty. at offset: 0"},
      {"x", "Invalid value. at offset: 0"},
      {"nan", "Invalid value. at offset: 1"},
      {"{", "Missing a name for object member. at offset: 1"},
      {"{1", "Missing a name for object member. at offset: 1"},
      {"{\"a\"", "Missing a colon after a name of object member. at offset: 4"},
      {"{\"a\":", "Invalid value. at offset: 5"},
      {"{\"a\":}", "Invalid value. at offset: 5"},
      {"{\"a\":1", "Missing a comma or '}' after an object member. at offset: 6"},
      {"{\"a\":1,}", "Missing a name for object member. at offset: 7"},
      {"[1 2]", "Missing a comma or ']' after an array element. at offset: 3"},
      {"[1,]", "Invalid value. at offset: 3"},
      {"[", "Invalid value. at offset: 1"},
      {"[1}", "Missing a comma or ']' after an array element. at offset: 2"},
      {"[tru]", "Invalid value. at offset: 4"},
      {"[-]", "Invalid value. at offset: 2"},
      {"[1.]", "Miss fraction part in number. at offset: 3"},
      {"[1e]", "Miss exponent in number. at offset: 3"},
      {"[1e400]", "Number too big to be stored in double. at offset: 1"},
      {"[01]", "Missing a comma or ']' after an array element. at offset: 2"},
      {"[Nan]", "Invalid value. at offset: 3"},
      {"[Infinit]", "Invalid value. at offset: 8"},
      {"[\"a", "Missing a closing quotation mark in string. at offset: 3"},
      {"[\"\\x\"]", "Invalid escape character in string. at offset: 2"},
      {"[\"a\nb\"]", "Invalid escape character in string. at offset: 3"},
      {"[\"\\u12G4\"]", "Incorrect hex digit after \\u escape in string. at offset: 2"},
      {"[\"\\ud800x\"]", "The surrogate pair in string is invalid. at offset: 2"},
      {"[1\0,2]"s, "Missing a comma or ']' after an array element. at offset: 2"},
  };
  for (const auto& [text, reason] : table) EXPECT_EQ(ErrorOf(text), "JSON Parse error: " + reason) << text;
}

TEST(JsonDocument, Accepts) {
  for (const std::string text :
       {"{}", " [ ] junk", "\xef\xbb\xbf{}", "[NaN,Inf,-Infinity]", "1", "\"\"", "{\"a\":{\"a\":[]}} }"})
    EXPECT_EQ(ErrorOf(text), "ok") << text;
}

TEST(JsonDocument, DeepNestingNeedsNoStack) {
  const std::string deep = std::string(500'000, '[') + std::string(500'000, ']');
  const auto json = JsonDocument::Parse(deep);
  ASSERT_TRUE(json.ok());
  EXPECT_EQ(json->ToText(0).size(), 256U);
  EXPECT_FALSE(JsonDocument::Parse(std::string(500'000, '[')).ok());
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  EXPECT_EQ(ErrorOf(objects), "JSON Parse error: Invalid value. at offset: 500000");
}

TEST(JsonDocument, Walks) {
  const auto parsed =
      JsonDocument::Parse(R"({"a":[1,-2,18446744073709551615,1.5,true],"a":0,"s":"x\u00e9\ud83d\ude00\n"})");
  const JsonDocument& json = parsed.value();
  EXPECT_EQ(json.size(0), 3U);
  const auto a = json.Find(0, "a");
  ASSERT_EQ(json.kind(a), JsonKind::kArray);  // the first of two equal names
  EXPECT_EQ(json.size(a), 5U);
  EXPECT_EQ(json.int_value(a + 2), -2);
  EXPECT_EQ(json.uint_value(a + 3), 18446744073709551615U);
  EXPECT_EQ(json.double_value(a + 4), 1.5);
  EXPECT_EQ(json.kind(a + 5), JsonKind::kTrue);
  EXPECT_EQ(json.text(json.Find(0, "s")), "x\xc3\xa9\xf0\x9f\x98\x80\n");
  EXPECT_EQ(json.Find(0, "none"), JsonDocument::kNone);
}

TEST(JsonDocument, Text) {
  const auto text = [](std::string_view s) { return JsonDocument::Parse(s).value().ToText(0); };
  EXPECT_EQ(text("[]"), "[]");
  EXPECT_EQ(text("{\"a\":[1,2.5,1e30,1e-7,100.0,0.001],\"b\":{}}"),
            "{\n    \"a\": [\n        1,\n        2.5,\n        1e30,\n        1e-7,\n        100.0,\n        0.001\n"
            "    ],\n    \"b\": {}\n}");
  EXPECT_EQ(text("3.1"), "3.1");
  EXPECT_EQ(text("Infinity"), "Infinity");
  EXPECT_EQ(text("\"a\\\"\\u0001\""), "\"a\\\"\\u0001\"");
}

TEST(ScanNumber, Kinds) {
  const auto read = [](std::string_view s) {
    JsonNumber n;
    NumberError e;
    EXPECT_EQ(ScanNumber(s.data(), s.data() + s.size(), n, e), s.data() + s.size()) << s;
    EXPECT_EQ(e, NumberError::kNone) << s;
    return n;
  };
  EXPECT_EQ(read("-9223372036854775808").i, std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(read("9223372036854775808").kind, JsonNumber::Kind::kUint);
  EXPECT_EQ(read("18446744073709551616").d, 18446744073709551616.0);
  EXPECT_EQ(read("-9223372036854775809").d, -9223372036854775808.0);
  EXPECT_EQ(read("0.1").d, 0.1);
  EXPECT_EQ(read("123456789012345678901234567890e-10").d, 12345678901234567890.123456789);
  EXPECT_EQ(read("1e-400").d, 0.0);
  EXPECT_EQ(read("2.2250738585072011e-308").d, 2.2250738585072011e-308);
  EXPECT_EQ(read("0." + std::string(400, '0') + "1e401").d, 1.0);
  EXPECT_TRUE(std::signbit(read("-0.0").d));
  EXPECT_EQ(read("-0").i, 0);
}

// The value must be that of strtod rounded to float, for numbers near float ties too.
TEST(ScanFloat, AgainstStrtod) {
  std::uint64_t state = 88172645463325252ULL;
  const auto next = [&] {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
  };
  int taken = 0, short_taken = 0;
  for (int k = 0; k < 200'000; ++k) {
    const auto bits = static_cast<std::uint32_t>(next());
    float f = std::bit_cast<float>(bits);
    if (!std::isfinite(f) || std::abs(f) > 1e20F || std::abs(f) < 1e-20F) f = static_cast<float>(bits) * 2.3283064e-10F;
    char text[128] = {};
    const double d = k % 2 == 0 ? (static_cast<double>(f) + static_cast<double>(std::nextafter(f, 1e30F))) / 2  // a tie
                                : static_cast<double>(f) * (1 + 1e-9);
    const int n = std::snprintf(text, sizeof text, k % 3 == 0 ? "%.17g" : "%.9g", d);
    float got = 0, brief = 0;
    const char* end = ScanFloat(text, text + n, got);
    if (end == nullptr) continue;
    ++taken;
    ASSERT_EQ(end, text + n);
    ASSERT_EQ(got, static_cast<float>(std::strtod(text, nullptr))) << text;
    if (const char* brief_end = ScanShortFloat(text, brief)) {
      ++short_taken;
      ASSERT_EQ(brief_end, text + n);
      ASSERT_EQ(brief, got) << text;
    }
  }
  EXPECT_GT(taken, 100'000);
  EXPECT_GT(short_taken, 40'000);
  // Whatever stands there, the short way is either none or the long way.
  const char* const odd[] = {"0",
                             "-0",
                             "-0.0",
                             "00",
                             "0.",
                             "-",
                             "1.e5",
                             "12345678",
                             "123456789",
                             "0.123456789012345678901",
                             "1.5e3",
                             "9.9,",
                             "3]",
                             "0.0000000000000000001",
                             "999.9999999999999999",
                             ".5",
                             "x",
                             "1234567.5"};
  for (const char* t : odd) {
    char padded[64] = {};
    std::strcpy(padded, t);
    float brief = 0, got = 0;
    const char* brief_end = ScanShortFloat(padded, brief);
    const char* end = ScanFloat(padded, padded + std::strlen(t), got);
    if (brief_end == nullptr) continue;
    ASSERT_EQ(brief_end, end) << t;
    EXPECT_EQ(std::bit_cast<std::uint32_t>(brief), std::bit_cast<std::uint32_t>(got)) << t;
  }
}

TEST(FloatText, AgainstPrintf) {
  std::uint64_t state = 1234567;
  const auto check = [](float v) {
    char want[64], got[64];
    std::snprintf(want, sizeof want, "%.6g", static_cast<double>(v));
    if (std::strtof(want, nullptr) != v) std::snprintf(want, sizeof want, "%.9g", static_cast<double>(v));
    if (std::strpbrk(want, ".e") == nullptr) std::strcat(want, ".0");
    *FloatText(v, got) = '\0';
    ASSERT_STREQ(got, want) << std::bit_cast<std::uint32_t>(v);
  };
  for (int k = 0; k < 300'000; ++k) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    const auto bits = static_cast<std::uint32_t>(state >> 32);
    const float v = std::bit_cast<float>(bits);
    if (std::isfinite(v)) check(v);
    check(static_cast<float>(bits) / 4294967296.0F);
    check(static_cast<float>(bits % 2'000'001) / 1000.0F);
  }
  for (const float v :
       {0.0F, -0.0F, 1.0F, 999999.0F, 1e6F, 9999995.0F, 0.0001F, 0.00001F, 1e-45F, 3.4028235e38F, 100000.5F})
    check(v);
}

TEST(FloatText, Words) {
  const auto f = [](float v) {
    char text[64];
    return std::string(text, FloatText(v, text));
  };
  const auto d = [](double v) {
    char text[64];
    return std::string(text, DoubleText(v, text));
  };
  EXPECT_EQ(f(1.0F / 3), "0.333333343");
  EXPECT_EQ(f(0.2F), "0.2");
  EXPECT_EQ(f(9000000), "9e+06");
  EXPECT_EQ(f(-0.0F), "-0.0");
  EXPECT_EQ(f(NAN), "NaN");
  EXPECT_EQ(f(-INFINITY), "-Infinity");
  EXPECT_EQ(d(1.0 / 3), "0.33333333333333331");
  EXPECT_EQ(d(1e100), "1e+100");
  EXPECT_EQ(d(3), "3.0");
  EXPECT_EQ(d(INFINITY), "Infinity");
}

TEST(JsonDocument, LargeOnesAreCounted) {
  std::string text = "[1";
  for (int i = 1; i < 1'000'000; ++i) text += ",1";
  text += "]";
  const auto budget = ByteBudget::Make(24 << 20), small = ByteBudget::Make(8 << 20);
  {
    const Result<JsonDocument> first = JsonDocument::Parse(text, budget.get());
    ASSERT_TRUE(first.ok()) << first.status().message();
    EXPECT_EQ(first->size(JsonDocument::kRoot), 1'000'000U);
    EXPECT_EQ(budget->used(), 16 * 1'000'001);
    EXPECT_EQ(JsonDocument::Parse(text, budget.get()).status().code(), Code::kUnavailable);
    EXPECT_TRUE(JsonDocument::Parse("[1,2]", budget.get()).ok());
  }
  EXPECT_EQ(budget->used(), 0);
  EXPECT_EQ(JsonDocument::Parse(text, small.get()).status().code(), Code::kInvalidArgument);
  EXPECT_TRUE(JsonDocument::Parse(text).ok());
}

}  // namespace
}  // namespace tenon::serve
