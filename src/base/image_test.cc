// Images: small files written here, and broken ones.
#include "base/image.h"

#include <gtest/gtest.h>

#include <string>

namespace tenon::base {
namespace {

std::vector<std::uint8_t> AsBytes(std::string_view text) { return {text.begin(), text.end()}; }

TEST(Image, PortableFormats) {
  const Image plain = DecodeImage(AsBytes("P2 2 1 15\n0 15")).value();
  EXPECT_EQ(plain.width, 2);
  EXPECT_EQ(plain.rgb, (std::vector<std::uint8_t>{0, 0, 0, 255, 255, 255}));
  const Image bits = DecodeImage(AsBytes("P4 9 1\n\x80\x80")).value();
  EXPECT_EQ(bits.rgb[0], 0);
  EXPECT_EQ(bits.rgb[3], 255);
  EXPECT_EQ(bits.rgb[24], 0);
  const Image wide = DecodeImage(AsBytes(std::string("P5 1 1 65535\n\xff\xff", 15))).value();
  EXPECT_EQ(wide.rgb[0], 255);
  EXPECT_FALSE(DecodeImage(AsBytes("P5 2 2 255\n\1\2\3")).ok());
  EXPECT_FALSE(DecodeImage(AsBytes("P3 1 1 255 1 2")).ok());
  EXPECT_FALSE(DecodeImage(AsBytes("P2 1 1 15 16")).ok());
}

TEST(Image, Bmp) {
  // 2 x 2, 24 bits: red, green / blue, white, the lower row first.
  std::vector<std::uint8_t> file(54 + 16, 0);
  file[0] = 'B', file[1] = 'M', file[10] = 54, file[14] = 40, file[18] = 2, file[22] = 2, file[26] = 1, file[28] = 24;
  const std::uint8_t rows[] = {255, 0, 0, 255, 255, 255, 0, 0, 0, 0, 255, 0, 255, 0, 0, 0};
  std::copy(std::begin(rows), std::end(rows), file.begin() + 54);
  EXPECT_EQ(DecodeImage(file).value().rgb, (std::vector<std::uint8_t>{255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255}));
  for (std::size_t n = 0; n < file.size(); ++n) EXPECT_FALSE(DecodeImage({file.data(), n}).ok()) << n;
  EXPECT_EQ(DecodeImage(file).value().channels, 3);
  file[28] = 32;
  EXPECT_EQ(DecodeImage(file).value().channels, 4);
  file[28] = 5;
  EXPECT_FALSE(DecodeImage(file).ok());
}

TEST(Image, AClaimOfManyPixelsIsRefused) {
  const Status status = DecodeImage(AsBytes("P5 100000 100000 255\n")).status();
  EXPECT_EQ(status.code(), Code::kResourceExhausted) << status.message();
}

// Headers that promise a file behind them.
TEST(Image, BrokenFilesOfEveryFormatAreErrors) {
  using namespace std::string_view_literals;
  for (const std::string_view start :
       {"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0"sv, "\x89PNG\r\n\x1a\n\0\0\0\rIHDR"sv, "BM"sv, "II*\0\x08\0\0\0"sv,
        "MM\0*\0\0\0\x08"sv, "RIFF\xff\xff\0\0WEBPVP8 "sv, "\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14"sv,
        "\xff\x4f\xff\x51\0"sv, ""sv, "GIF89a"sv}) {
    std::vector<std::uint8_t> file = AsBytes(start);
    EXPECT_FALSE(DecodeImage(file).ok());
    for (const int fill : {0, 1, 127, 255}) {
      file.resize(start.size());
      file.resize(300, static_cast<std::uint8_t>(fill));
      EXPECT_FALSE(DecodeImage(file).ok()) << static_cast<int>(file[0]) << " " << fill;
    }
  }
}

}  // namespace
}  // namespace tenon::base
