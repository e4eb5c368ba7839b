#include "base/json_writer.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>

namespace tenon::base {
namespace {

std::string Quoted(std::string_view text) {
  std::string out;
  AppendJsonString(out, text);
  return out;
}
template <class T>
std::string Number(T value, bool tokens = false) {
  std::string out;
  AppendJsonNumber(out, value, tokens);
  return out;
}

// By a parser of JSON that is strict about it.
bool IsUtf8(const std::string& bytes) {
  try {
    (void)nlohmann::json(bytes).dump();
    return true;
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

TEST(JsonWriter, Structures) {
  JsonWriter json;
  json.Object().Key("a").Array().Number(1).Number(2.5).Null().End().Key("b").Object().End();
  json.Key("c")
      .String("x\"y")
      .Key("d")
      .Bool(true)
      .Key("e")
      .Raw("[1]")
      .Key("f")
      .Array()
      .Array()
      .End()
      .Array()
      .End()
      .End();
  EXPECT_FALSE(json.done());
  json.End();
  EXPECT_TRUE(json.done());
  const std::string text = std::move(json).Take();
  EXPECT_EQ(text, R"({"a":[1,2.5,null],"b":{},"c":"x\"y","d":true,"e":[1],"f":[[],[]]})");
  EXPECT_TRUE(nlohmann::json::accept(text));
}

TEST(JsonWriter, Indented) {
  JsonWriter json({.indent = 2});
  json.Object().Key("a").Array().Number(1).Number(2).End().Key("b").Object().End().End();
  EXPECT_EQ(std::move(json).Take(), "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {}\n}\n");
}

TEST(JsonWriter, NumbersReadBackExactly) {
  EXPECT_EQ(Number(0.1), "0.1");
  EXPECT_EQ(Number(0.1F), "0.1");
  EXPECT_EQ(Number(1e300), "1e+300");
  EXPECT_EQ(Number(-0.0), "-0");
  EXPECT_EQ(Number(16777217.0), "16777217");
  std::mt19937_64 random(5);
  for (int i = 0; i < 20000; ++i) {
    const double value = std::bit_cast<double>(random());
    if (std::isfinite(value)) {
      ASSERT_EQ(nlohmann::json::parse(Number(value)).get<double>(), value);
    }
    const float small = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
    if (std::isfinite(small)) {
      ASSERT_EQ(nlohmann::json::parse(Number(small)).get<float>(), small);
    }
  }
  JsonWriter json;
  json.Array().Number(std::numeric_limits<std::int64_t>::min()).Number(std::numeric_limits<std::uint64_t>::max()).End();
  EXPECT_EQ(json.text(), "[-9223372036854775808,18446744073709551615]");
}

TEST(JsonWriter, NotANumber) {
  EXPECT_EQ(Number(NAN), "null");
  EXPECT_EQ(Number(INFINITY), "null");
  EXPECT_EQ(Number(NAN, true), "NaN");
  EXPECT_EQ(Number(-INFINITY, true), "-Infinity");
  JsonWriter json({.nan_tokens = true});
  json.Array().Number(INFINITY).Number(std::numeric_limits<float>::quiet_NaN()).End();
  EXPECT_EQ(json.text(), "[Infinity,NaN]");
}

TEST(JsonWriter, Strings) {
  EXPECT_EQ(Quoted("a/b é 😀"), "\"a/b é 😀\"");
  EXPECT_EQ(Quoted(std::string("\0\x1f\n\t\\", 5)), R"("\u0000\u001f\n\t\\")");
  EXPECT_EQ(Quoted("\x7f"), "\"\x7f\"");
  EXPECT_EQ(Quoted("\xff"
                   "a"),
            "\"\uFFFDa\"");
  std::mt19937 random(6);
  for (int i = 0; i < 20000; ++i) {  // whatever goes in, valid JSON comes out; valid UTF-8 comes out as it went in
    std::string bytes;
    for (int n = static_cast<int>(random() % 8); n > 0; --n)
      bytes += static_cast<char>(random() % 4 == 0 ? random() % 128 : 0x80 + random() % 128);
    const std::string text = Quoted(bytes);
    ASSERT_TRUE(nlohmann::json::accept(text)) << text;
    const std::string kept = nlohmann::json::parse(text).get<std::string>();
    ASSERT_EQ(Quoted(kept), text);
    ASSERT_EQ(kept == bytes, IsUtf8(bytes)) << text;
  }
}

TEST(JsonWriterDeath, OrdersThatAreNoJsonAreBugs) {
  EXPECT_DEATH(JsonWriter().Object().Number(1), "");
  EXPECT_DEATH(JsonWriter().Array().Key("a"), "");
  EXPECT_DEATH(JsonWriter().End(), "");
  EXPECT_DEATH(JsonWriter().Number(1).Number(2), "");
  EXPECT_DEATH((void)std::move(JsonWriter().Array()).Take(), "");
}

}  // namespace
}  // namespace tenon::base
