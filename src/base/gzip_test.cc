#include "base/gzip.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>

#include "base/file.h"
#include "temporary_folder.h"

namespace tenon::base {
namespace {

std::string Compress(std::string_view text, int window_bits) {
  z_stream z{};
  deflateInit2(&z, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&z, text.size()) + 64, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  z.avail_in = static_cast<uInt>(text.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}
std::string Gzip(std::string_view text) { return Compress(text, MAX_WBITS + 16); }
std::span<const std::byte> Bytes(const std::string& s) { return std::as_bytes(std::span(s)); }

TEST(Gzip, InflatesMembersAndZlib) {
  std::string large(1000000, 'x');
  for (std::size_t i = 0; i < large.size(); i += 5) large[i] = static_cast<char>(i >> 3);
  EXPECT_EQ(Gunzip(Bytes(Gzip(large)), "x").value(), large);
  EXPECT_EQ(Gunzip(Bytes(Gzip("")), "x").value(), "");
  EXPECT_EQ(Gunzip(Bytes(Gzip("one ") + Gzip("two")), "x").value(), "one two");
  EXPECT_EQ(Gunzip(Bytes(Gzip("one") + std::string(512, '\0')), "x").value(), "one") << "padding of a tape";
  EXPECT_EQ(Gunzip(Bytes(Compress(large, MAX_WBITS)), "x").value(), large);
}

TEST(Gzip, DamageIsAnError) {
  const std::string whole = Gzip("some text to be compressed, compressed, compressed");
  for (std::size_t n = 0; n < whole.size(); ++n) {
    EXPECT_EQ(Gunzip(Bytes(whole.substr(0, n)), "x").status().code(), Code::kDataLoss) << n;
  }
  std::string damaged = whole;
  damaged[whole.size() - 6] ^= 1;  // the checksum
  EXPECT_EQ(Gunzip(Bytes(damaged), "x").status().code(), Code::kDataLoss);
  EXPECT_EQ(Gunzip(Bytes("no gzip at all"), "x.gz").status().message().substr(0, 5), "x.gz:");
}

TEST(Gzip, ABombIsStopped) {
  const std::string bomb = Gzip(std::string(50000000, '\0'));
  EXPECT_LT(bomb.size(), 60000U);
  EXPECT_EQ(Gunzip(Bytes(bomb), "x", 1000000).status().code(), Code::kResourceExhausted);
  std::size_t most = 0;
  const auto grow = [&](std::size_t all) {
    most = std::max(most, all);
    return all > 3000000 ? Status(Code::kUnavailable, "full") : Status();
  };
  EXPECT_EQ(Gunzip(Bytes(bomb), "x", 100000000, grow).status().code(), Code::kUnavailable) << "as the caller says";
  EXPECT_GT(most, 3000000U);
  EXPECT_LT(most, 7000000U) << "asked step by step";
  EXPECT_EQ(Gunzip(Bytes(Gzip(std::string(1000000, 'x'))), "x", 1000000).value().size(), 1000000U);
}

TEST(Gzip, ReadsBothKindsOfFile) {
  const TemporaryFolder folder;
  ASSERT_TRUE(WriteFile(folder / "plain", "text").ok());
  ASSERT_TRUE(WriteFile(folder / "packed", Gzip("text")).ok());
  EXPECT_EQ(ReadFileOrGzip(folder / "plain").value(), "text");
  EXPECT_EQ(ReadFileOrGzip(folder / "packed").value(), "text");
  EXPECT_EQ(ReadFileOrGzip(folder / "none").status().code(), Code::kNotFound);
}

TEST(Gzip, RoundTrip) {
  for (const std::size_t size : {0U, 1U, 1000U, 3'000'000U}) {
    std::string bytes(size, 'x');
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * i >> 3);
    const std::string packed = Gzip(bytes);
    const Result<std::string> back = Gunzip(std::as_bytes(std::span(packed)), "test");
    ASSERT_TRUE(back.ok()) << back.status().message();
    EXPECT_TRUE(*back == bytes) << size;
  }
}

}  // namespace
}  // namespace tenon::base
