#include "formats/proto_wire/text_format.h"

#include <gtest/gtest.h>

#include <cmath>

namespace tenon::proto_wire {
namespace {

/// The tree in one canonical line.
std::string Show(const TextMessage& message) {
  std::string out;
  for (const TextField& f : message.fields) {
    if (!out.empty()) out += ' ';
    out += f.name + ":";
    if (f.kind == TextField::Kind::kMessage)
      out += "{" + Show(f.message[0]) + "}";
    else if (f.kind == TextField::Kind::kString)
      out += "'" + f.scalar + "'";
    else
      out += f.scalar;
  }
  return out;
}

std::string Parse(std::string_view text) {
  const auto parsed = ParseTextFormat(text, "pkg.Config");
  return parsed.ok() ? Show(*parsed) : parsed.status().message();
}

TEST(TextFormat, AllForms) {
  EXPECT_EQ(Parse(""), "");
  EXPECT_EQ(Parse("# only a comment"), "");
  EXPECT_EQ(Parse("model_config_list: {\n  config: {\n name: \"a\", base_path: '/b'; }\n config < name:\"c\" > }"),
            "model_config_list:{config:{name:'a' base_path:'/b'} config:{name:'c'}}");
  EXPECT_EQ(Parse("a: [1, 2 ,3] b [{x:1},{x:2}] c: []"), "a:1 a:2 a:3 b:{x:1} b:{x:2}");
  EXPECT_EQ(Parse("a: -  5 b: 0x1F c: 1.5e-3 d: -inf e: TENSORFLOW f: 'x' \"y\"'z'"),
            "a:-5 b:0x1F c:1.5e-3 d:-inf e:TENSORFLOW f:'xyz'");
  EXPECT_EQ(Parse("m { [type.googleapis.com/a.B] { x: 1 } }"), "m:{type.googleapis.com/a.B:{x:1}}");
  EXPECT_EQ(Parse(R"(s: "a\n\t\\\"\x41\101é\U0001F600\0")"),
            std::string("s:'a\n\t\\\"AA\xC3\xA9\xF0\x9F\x98\x80") + '\0' + "'");
}

TEST(TextFormat, ErrorsNameThePlace) {
  const std::string head = "Error parsing text-format pkg.Config: ";
  EXPECT_EQ(Parse("a: {\n  b: 1\n"), head + "3:1: Expected \"}\", found end of text.");
  EXPECT_EQ(Parse("improper model config"), head + "1:10: Expected \":\", found \"m\".");
  EXPECT_EQ(Parse("a: 1 }"), head + "1:6: Expected identifier, got: }");
  EXPECT_EQ(Parse("a: \"x\ny\""), head + "1:6: String literals cannot cross line boundaries.");
  EXPECT_EQ(Parse("a: '\\q'"), head + "1:7: Invalid escape sequence in string literal: \\q");
  EXPECT_EQ(Parse("a:"), head + "1:3: Expected a value, got: end of text");
  EXPECT_EQ(Parse("\xEF\xBB\xBF"
                  "a: 1"),
            "a:1");
  EXPECT_EQ(Parse("a: 1 \xC3"), head + "1:6: Expected identifier, got: \\xc3");
  EXPECT_EQ(Parse("a: [1 2]"), head + "1:7: Expected \"]\", found \"2\".");
  EXPECT_EQ(Parse("[a"), head + "1:1: Expected \"]\", found end of text.");
  EXPECT_NE(Parse(std::string(100000, '{')).find("Expected identifier"), std::string::npos);
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "a{";
  EXPECT_NE(Parse(deep).find("too deep"), std::string::npos);
}

template <class T>
std::string Get(std::string_view text) {
  const auto parsed = ParseTextFormat(text, "M");
  T value{};
  const Status s = parsed->fields[0].Get(&value);
  if constexpr (std::is_same_v<T, std::string>)
    return s.ok() ? value : s.message();
  else
    return s.ok() ? std::to_string(value) : s.message();
}

TEST(TextFormat, Scalars) {
  EXPECT_EQ(Get<std::int64_t>("a: -9223372036854775808"), "-9223372036854775808");
  EXPECT_EQ(Get<std::int64_t>("a: 9223372036854775808"),
            "Error parsing text-format M: 1:1: Integer out of range (9223372036854775808)");
  EXPECT_EQ(Get<std::int32_t>("a: 0x7fffffff"), "2147483647");
  EXPECT_EQ(Get<std::int32_t>("a: 2147483648"), "Error parsing text-format M: 1:1: Integer out of range (2147483648)");
  EXPECT_EQ(Get<std::int32_t>("a: 017"), "15");
  EXPECT_EQ(Get<std::uint32_t>("a: -1"), "Error parsing text-format M: 1:1: Integer out of range (-1)");
  EXPECT_EQ(Get<std::int32_t>("a: 'x'"), "Error parsing text-format M: 1:1: Expected integer, got: x");
  EXPECT_EQ(Get<double>("a: -1.5f"), "-1.500000");
  EXPECT_EQ(Get<double>("a: 3"), "3.000000");
  EXPECT_EQ(Get<double>("a: true"), "Error parsing text-format M: 1:1: Expected double, got: true");
  EXPECT_EQ(Get<bool>("a: true"), "1");
  EXPECT_EQ(Get<bool>("a: 2"),
            "Error parsing text-format M: 1:1: Invalid value for boolean field \"a\". Value: \"2\".");
  EXPECT_EQ(Get<std::string>("a: b"), "Error parsing text-format M: 1:1: Expected string, got: b");
  const auto parsed = ParseTextFormat("\n\n  nme: 'x'", "tensorflow.serving.ModelServerConfig");
  EXPECT_EQ(UnknownField(parsed->fields[0], "tensorflow.serving.ModelConfig").message(),
            "Error parsing text-format tensorflow.serving.ModelServerConfig: 3:3: Message type "
            "\"tensorflow.serving.ModelConfig\" has no field named \"nme\".");
}

}  // namespace
}  // namespace tenon::proto_wire
