#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <numeric>
#include <string>

namespace tenon::base {
namespace {

// RFC 3720 (iSCSI), appendix B.4.
TEST(Crc32c, VectorsOfTheStandard) {
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aaU);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43U);
  std::string up(32, '\0');
  std::iota(up.begin(), up.end(), '\0');
  EXPECT_EQ(Crc32c(up), 0x46dd794eU);
  EXPECT_EQ(Crc32c(std::string(up.rbegin(), up.rend())), 0x113fdb5cU);
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283U);
  EXPECT_EQ(Crc32c(""), 0U);
}

std::uint32_t BitByBit(std::string_view bytes) {
  std::uint32_t c = ~0U;
  for (const char byte : bytes) {
    c ^= static_cast<unsigned char>(byte);
    for (int i = 0; i < 8; ++i) c = (c >> 1) ^ ((c & 1U) != 0 ? 0x82f63b78U : 0U);
  }
  return ~c;
}

TEST(Crc32c, EveryLengthAndEverySplit) {
  std::string data(100, '\0');
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * 37 + 11);
  const std::string_view all = data;
  for (std::size_t n = 0; n <= all.size(); ++n) {
    const std::uint32_t expected = BitByBit(all.substr(0, n));
    ASSERT_EQ(Crc32c(all.substr(0, n)), expected) << n;
    for (std::size_t k = 0; k <= n; ++k) ASSERT_EQ(Crc32c(all.substr(k, n - k), Crc32c(all.substr(0, k))), expected);
  }
}

TEST(Crc32c, MaskedFormReadsBack) {
  for (const std::uint32_t crc : {0U, 1U, 0xe3069283U, ~0U}) {
    EXPECT_NE(MaskCrc(crc), crc);
    EXPECT_EQ(UnmaskCrc(MaskCrc(crc)), crc);
  }
  // The length field of a TFRecord: crc of eight bytes, rotated right by 15 and offset.
  EXPECT_EQ(MaskCrc(0), 0xa282ead8U);
  EXPECT_EQ(MaskCrc(0x8000U), 0xa282ead9U);
}

}  // namespace
}  // namespace tenon::base
