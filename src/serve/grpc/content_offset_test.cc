#include "serve/grpc/content_offset.h"

#include <gtest/gtest.h>

#include "formats/proto_wire/wire_writer.h"

namespace tenon::serve::rpc {
namespace {

using proto_wire::Writer;

std::string Request(std::uint32_t field, const std::string& values, std::string_view alias = "x") {
  Writer w;
  w.Message(1, [&] { w.Text(1, "m"); });
  w.MapEntry(2, alias, [&] {
    w.Varint(1, 1);
    w.Message(2, [&] { w.Message(2, [&] { w.Varint(1, values.size() / 4); }); });
    w.Bytes(field, values);
  });
  return std::move(w).Take();
}

TEST(ContentOffset, PointsAtTheValues) {
  const std::string values(5000, 'v');
  for (const std::uint32_t field : {4U, 5U}) {
    const std::string request = Request(field, values);
    EXPECT_EQ(ContentOffset(request), request.find(values));
    EXPECT_EQ(ContentOffset(std::string_view(request).substr(0, 200)), request.find(values)) << "the rest may follow";
  }
}

TEST(ContentOffset, NothingToPointAt) {
  EXPECT_EQ(ContentOffset(""), 0U);
  EXPECT_EQ(ContentOffset(Request(4, std::string(100, 'v'))), 0U) << "too small";
  EXPECT_EQ(ContentOffset(Request(8, std::string(5000, 'v'))), 0U) << "strings";
  EXPECT_EQ(ContentOffset(std::string(5000, '\xff')), 0U);
}

TEST(ContentOffset, AnyBeginningIsRead) {
  const std::string request = Request(4, std::string(5000, 'v'), "a longer name");
  for (std::size_t n = 0; n < 100; ++n) EXPECT_LE(ContentOffset(std::string_view(request).substr(0, n)), n);
}

}  // namespace
}  // namespace tenon::serve::rpc
