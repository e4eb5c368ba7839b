#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "formats/proto_wire/wire_reader.h"
#include "formats/proto_wire/wire_writer.h"

namespace tenon::proto_wire {
namespace {

using std::string_view_literals::operator""sv;

// Walks everything and gives the error text, or "" when there is none.
std::string Walk(std::string_view bytes) {
  const Place place("f", bytes);
  Reader reader(bytes, place);
  while (reader.Next()) {
  }
  return reader.status().message();
}

TEST(Wire, KnownBytes) {
  // The examples of protobuf's own encoding page: field 1 = 150, field 2 = "testing", packed field 6 = 3, 270, 86942.
  Writer writer;
  writer.Varint(1, 150);
  writer.Bytes(2, "testing");
  const std::int32_t packed[] = {3, 270, 86942};
  writer.PackedVarint<std::int32_t>(6, packed);
  EXPECT_EQ(writer.bytes(), "\x08\x96\x01\x12\x07testing\x32\x06\x03\x8E\x02\x9E\xA7\x05"sv);
}

TEST(Wire, ScalarsRoundTrip) {
  const std::int64_t numbers[] = {
      0, 1, -1, 127, 128, 1 << 20, std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()};
  Writer writer;
  for (const std::int64_t number : numbers) {
    writer.Varint(1, number);
    writer.ZigZag(2, number);
    writer.Fixed64(3, static_cast<std::uint64_t>(number));
  }
  writer.Float(4, -0.0f);
  writer.Double(5, 1e300);
  writer.Varint(6, true);
  writer.Fixed32(7, 0xFFFFFFFFu);
  const Place place("f", writer.bytes());
  Reader reader(writer.bytes(), place);
  for (const std::int64_t number : numbers) {
    std::int64_t got = 5, zigzag = 5;
    std::uint64_t fixed = 5;
    ASSERT_TRUE(reader.Next());
    reader.Get(&got);
    ASSERT_TRUE(reader.Next());
    reader.GetZigZag(&zigzag);
    ASSERT_TRUE(reader.Next());
    reader.GetFixed(&fixed);
    EXPECT_EQ(got, number);
    EXPECT_EQ(zigzag, number);
    EXPECT_EQ(fixed, static_cast<std::uint64_t>(number));
  }
  float f = 1;
  double d = 1;
  bool b = false;
  std::uint32_t u = 0;
  ASSERT_TRUE(reader.Next());
  reader.Get(&f);
  ASSERT_TRUE(reader.Next());
  reader.Get(&d);
  ASSERT_TRUE(reader.Next());
  reader.Get(&b);
  ASSERT_TRUE(reader.Next());
  reader.GetFixed(&u);
  EXPECT_TRUE(std::signbit(f));
  EXPECT_EQ(d, 1e300);
  EXPECT_TRUE(b);
  EXPECT_EQ(u, 0xFFFFFFFFu);
  EXPECT_FALSE(reader.Next());
  EXPECT_TRUE(reader.status().ok());
}

TEST(Wire, RepeatedPackedAndUnpackedMix) {
  Writer writer;
  const std::int64_t packed[] = {1, -2, 300};
  const float floats[] = {1.5f, 2.5f};
  writer.Varint(1, 7);
  writer.PackedVarint<std::int64_t>(1, packed);
  writer.PackedFixed<float>(2, floats);
  writer.Float(2, 3.5f);
  const Place place("f", writer.bytes());
  Reader reader(writer.bytes(), place);
  std::vector<std::int64_t> ints;
  std::vector<float> reals;
  while (reader.Next()) reader.number() == 1 ? reader.Append(&ints) : reader.Append(&reals);
  EXPECT_TRUE(reader.status().ok());
  EXPECT_EQ(ints, (std::vector<std::int64_t>{7, 1, -2, 300}));
  EXPECT_EQ(reals, (std::vector<float>{1.5f, 2.5f, 3.5f}));
}

TEST(Wire, NestedMessageLengthsOfEveryWidth) {
  for (const std::size_t size : {0u, 1u, 100u, 126u, 127u, 128u, 16383u, 16384u, 70000u, 3000000u}) {
    const std::string payload(size, 'x');
    Writer writer;
    writer.Message(1, [&] { writer.Message(2, [&] { writer.Text(3, payload); }); });
    writer.Varint(4, 1);
    const Place place("f", writer.bytes());
    Reader outer(writer.bytes(), place);
    ASSERT_TRUE(outer.Next());
    Reader middle(outer.bytes(), place);
    ASSERT_TRUE(middle.Next());
    Reader inner(middle.bytes(), place);
    EXPECT_EQ(inner.Next(), size > 0);
    if (size > 0) {
      EXPECT_EQ(inner.bytes(), payload);
    }
    EXPECT_FALSE(middle.Next());
    ASSERT_TRUE(outer.Next());
    EXPECT_EQ(outer.number(), 4u);
    EXPECT_FALSE(outer.Next());
    EXPECT_TRUE(outer.status().ok());
  }
}

TEST(Wire, MalformedInputIsAStatusWithTheOffset) {
  EXPECT_EQ(Walk(""sv), "");
  EXPECT_EQ(Walk("\x08\x01\x0F"sv), "f: wire type 7 of field 1, expected 0 to 5 (at byte 2)");
  EXPECT_EQ(Walk("\x00\x01"sv), "f: field number 0, expected 1 to 536870911 (at byte 0)");
  EXPECT_EQ(Walk("\x80\x80\x80\x80\x10"sv), "f: field number 536870912, expected 1 to 536870911 (at byte 0)");
  EXPECT_EQ(Walk("\x08"sv), "f: bad or truncated varint in field 1 (at byte 1)");
  EXPECT_EQ(Walk("\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"sv), "");
  EXPECT_EQ(Walk("\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02"sv),
            "f: bad or truncated varint in field 1 (at byte 1)");
  EXPECT_EQ(Walk("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"sv),
            "f: bad or truncated varint in field 1 (at byte 1)");
  EXPECT_EQ(Walk("\x12\x05zzz"sv), "f: field 2 claims 5 bytes, but only 3 are left (at byte 0)");
  EXPECT_EQ(Walk("\x12\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7Fzzz"sv),
            "f: field 2 claims 9223372036854775807 bytes, but only 3 are left (at byte 0)");
  EXPECT_EQ(Walk("\x0D\x01\x02\x03"sv), "f: field 1 claims 4 bytes, but only 3 are left (at byte 0)");
  EXPECT_EQ(Walk("\x09\x01\x02\x03\x04\x05\x06\x07"sv), "f: field 1 claims 8 bytes, but only 7 are left (at byte 0)");
  EXPECT_EQ(Walk("\x0B\x10\x01"sv), "f: group 1 never ends (at byte 0)");
  EXPECT_EQ(Walk("\x0C"sv), "f: end of group 1 that is not open (at byte 0)");
  EXPECT_EQ(Walk("\x0B\x14"sv), "f: end of group 2 inside group 1 (at byte 1)");
  EXPECT_EQ(Walk(std::string(1000, '\x0B')), "f: groups nested deeper than 100 (at byte 100)");
}

TEST(Wire, GroupsAreSkippedWhole) {
  const std::string_view bytes = "\x0B\x10\x01\x13\x1A\x02hi\x14\x0C\x20\x05"sv;
  const Place place("f", bytes);
  Reader reader(bytes, place);
  int value = 0;
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(reader.number(), 4u);
  reader.Get(&value);
  EXPECT_EQ(value, 5);
  EXPECT_FALSE(reader.Next());
  EXPECT_TRUE(reader.status().ok());
}

TEST(Wire, WrongWireTypeAndPackedSize) {
  const std::string_view bytes = "\x08\x01"sv;
  const Place root("model.onnx", bytes), graph(root, "graph"), node(graph, "node", 3);
  Reader reader(bytes, node);
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(reader.bytes(), "");
  EXPECT_EQ(reader.status().message(),
            "model.onnx: graph.node[3]: field 1 has wire type varint, expected length-delimited (at byte 0)");
  EXPECT_FALSE(reader.Next());

  const std::string_view odd = "\x0A\x05zzzzz"sv;
  const Place place("f", odd);
  Reader packed(odd, place);
  ASSERT_TRUE(packed.Next());
  std::vector<float> floats;
  packed.Append(&floats);
  EXPECT_TRUE(floats.empty());
  EXPECT_EQ(packed.status().message(), "f: packed field 1 holds 5 bytes, not a multiple of 4 (at byte 0)");
}

TEST(Wire, Utf8) {
  EXPECT_TRUE(ValidUtf8("a\0b"sv));
  EXPECT_TRUE(ValidUtf8("\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80 \xF4\x8F\xBF\xBF"));
  for (const std::string_view bad :
       {"\xFF"sv, "\x80"sv, "\xC0\x80"sv, "\xC1\xBF"sv, "\xE0\x9F\xBF"sv, "\xED\xA0\x80"sv, "\xF0\x8F\xBF\xBF"sv,
        "\xF4\x90\x80\x80"sv, "\xF5\x80\x80\x80"sv, "\xC3"sv, "\xE2\x82"sv, "\xC3\x28"sv})
    EXPECT_FALSE(ValidUtf8(bad));
  const std::string_view bytes = "\x0A\x01\xFF"sv;
  const Place place("f", bytes);
  Reader reader(bytes, place);
  ASSERT_TRUE(reader.Next());
  std::string text;
  reader.Get(&text);
  EXPECT_EQ(reader.status().message(), "f: the text in field 1 is not UTF-8 (at byte 0)");
}

TEST(Wire, DepthLimit) {
  const Place root("f", "");
  std::vector<Place> places;
  places.reserve(200);
  places.emplace_back(root, "g");
  for (int i = 1; i < 101; ++i) places.emplace_back(places.back(), "g");
  EXPECT_TRUE(places[99].CheckDepth().ok());
  EXPECT_EQ(places[100].CheckDepth().message(), "f: messages nested deeper than 100 levels, at g of level 101");
}

TEST(Wire, TruncationAtEveryByteNeverPassesTheEnd) {
  Writer writer;
  writer.Message(1, [&] {
    writer.Varint(1, 1234567);
    writer.Double(2, 2.0);
    writer.Text(3, "some text");
  });
  writer.Fixed32(4, 9);
  for (std::size_t n = 0; n < writer.size(); ++n) {
    const std::string cut = writer.bytes().substr(0, n);  // its own allocation, so that a sanitizer sees an overrun
    const std::string error = Walk(cut);
    const bool boundary = n == 0 || n == writer.size() - 5;
    EXPECT_EQ(error.empty(), boundary) << n << " " << error;
  }
}

}  // namespace
}  // namespace tenon::proto_wire
