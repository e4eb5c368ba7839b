#include "data/idx.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "temporary_folder.h"
#include "test_data.h"

namespace tenon::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Result<Literal> Read(const std::string& bytes) { return ParseIdx(std::as_bytes(std::span(bytes)), "x.idx"); }

TEST(Idx, ReadsEveryTypeAsBigEndian) {
  EXPECT_EQ(Read(std::string("\0\0\x08\x02\0\0\0\x02\0\0\0\x01\x05\xff", 14)).value().to_string(), "u8[2, 1] {5, 255}");
  EXPECT_EQ(Read(std::string("\0\0\x09\x01\0\0\0\x01\xff", 9)).value().to_string(), "i8[1] {-1}");
  EXPECT_EQ(Read(std::string("\0\0\x0b\x01\0\0\0\x02\x01\x02\xff\xfe", 12)).value().to_string(), "i16[2] {258, -2}");
  EXPECT_EQ(Read(std::string("\0\0\x0c\0\0\x01\0\0", 8)).value().to_string(), "i32[] {65536}");
  EXPECT_EQ(Read(std::string("\0\0\x0d\x01\0\0\0\x01\x3f\xc0\0\0", 12)).value().to_string(), "f32[1] {1.5}");
  EXPECT_EQ(Read(std::string("\0\0\x0e\x01\0\0\0\x01\xc0\0\0\0\0\0\0\0", 16)).value().to_string(), "f64[1] {-2}");
}

TEST(Idx, RoundTrips) {
  for (const Literal& literal :
       {Literal::from<std::uint8_t>({2, 3}, {1, 2, 3, 4, 5, 255}), Literal::from<std::int32_t>({2}, {-7, 1 << 20}),
        Literal::from<double>({1, 1, 2}, {0.1, -3}), Literal(DType::kI16, {0, 5}), Literal::scalar(2.5F)}) {
    const std::string bytes = WriteIdx(literal).value();
    EXPECT_TRUE(identical(Read(bytes).value(), literal));
    for (std::size_t n = 0; n < bytes.size(); ++n) EXPECT_FALSE(Read(bytes.substr(0, n)).ok()) << n;
    EXPECT_EQ(Read(bytes + "x").status().code(), Code::kInvalidArgument);
  }
  EXPECT_EQ(WriteIdx(Literal(DType::kI64, {1})).status().code(), Code::kInvalidArgument);
}

TEST(Idx, HostileFilesAreErrors) {
  const Status claims = Read(std::string("\0\0\x0e\x02\xff\xff\xff\xff\xff\xff\xff\xff", 12)).status();
  EXPECT_FALSE(claims.ok()) << "2^64 elements";
  const Status truncated = Read(std::string("\0\0\x08\x01\x7f\xff\xff\xff", 8)).status();
  EXPECT_EQ(truncated.code(), Code::kDataLoss);
  EXPECT_THAT(truncated.message(), HasSubstr("x.idx: got 0 bytes of elements for shape [2147483647]"));
  EXPECT_EQ(Read(std::string("\0\0\x0a\x01\0\0\0\0", 8)).status().code(), Code::kInvalidArgument) << "no such type";
  EXPECT_EQ(Read("\x1f\x8b\x08 and more").status().code(), Code::kInvalidArgument);
  EXPECT_EQ(Read(std::string("\0\0\x08\xff\0", 5)).status().code(), Code::kDataLoss);
}

TEST(Idx, FilesOfTheField) {
  const TemporaryFolder folder;
  EXPECT_EQ(ReadIdx(folder / "none").status().code(), Code::kNotFound);
  ASSERT_TRUE(base::WriteFile(folder / "cut.gz", std::string("\x1f\x8b\x08\0\0\0", 6)).ok());
  EXPECT_EQ(ReadIdx(folder / "cut.gz").status().code(), Code::kDataLoss);
  TENON_TEST_DATA_OR_SKIP(labels, "data/mnist/t10k-labels-idx1-ubyte.gz");
  const Literal read = ReadIdx(labels).value();
  EXPECT_EQ(read.dims(), (std::vector<std::int64_t>{10000}));
  EXPECT_THAT(read.data<std::uint8_t>().first(5), ElementsAre(7, 2, 1, 0, 4));
}

}  // namespace
}  // namespace tenon::data
