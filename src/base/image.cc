// Finds the format of an image. Reads BMP and the portable formats itself:
//
// BMP, little endian: "BM", u32 file size, u32 0, u32 offset of the pixels; then u32 size of the header (40 or more),
// i32 width, i32 height (negative: rows from the top, else from the bottom), u16 planes = 1, u16 bits a pixel, u32
// compression (0 none, 3 bit fields), u32 bytes of pixels, i32 x 2 resolution, u32 colors, u32 important ones; with bit
// fields u32 masks for red, green, blue. A palette of 4 bytes each (blue, green, red, 0) stands behind the header. Rows
// are padded to 4 bytes.
//
// Portable formats: "P1" … "P6", then width, height and (not for P1, P4) the largest value, as decimal numbers between
// white space and comments (# to the end of the line). P1 to P3: values in decimal; P4: bits, rows padded to bytes, 1
// is black; P5, P6: one white space, then bytes (two, high first, when the largest value is above 255).
#include "base/image.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>
#include <string_view>

#include "base/status_macros.h"

namespace tenon::base {
namespace {

using Bytes = std::span<const std::uint8_t>;

Status Broken(std::string_view format, std::string_view what) {
  return Status(Code::kInvalidArgument, fmt::format("{}: {}", format, what));
}

std::uint32_t U32(Bytes file, std::size_t at) {
  return static_cast<std::uint32_t>(file[at]) | static_cast<std::uint32_t>(file[at + 1]) << 8 |
         static_cast<std::uint32_t>(file[at + 2]) << 16 | static_cast<std::uint32_t>(file[at + 3]) << 24;
}
std::uint32_t U16(Bytes file, std::size_t at) {
  return static_cast<std::uint32_t>(file[at]) | static_cast<std::uint32_t>(file[at + 1]) << 8;
}

// The bits of a mask in 8 bits.
std::uint8_t Field(std::uint32_t pixel, std::uint32_t mask) {
  if (mask == 0) return 0;
  const int low = std::countr_zero(mask);
  const std::uint64_t most = mask >> low, value = (pixel & mask) >> low;
  return static_cast<std::uint8_t>((value * 255 + most / 2) / most);
}

// Numbers between white space and comments.
class Words {
 public:
  Words(Bytes file, std::size_t at) : file_(file), at_(at) {}
  std::size_t at() const { return at_; }
  bool Number(std::int64_t* out) {
    Skip();
    const std::size_t first = at_;
    for (*out = 0; at_ < file_.size() && file_[at_] >= '0' && file_[at_] <= '9'; ++at_) {
      *out = *out * 10 + (file_[at_] - '0');
      if (*out > 1 << 30) return false;
    }
    return at_ > first;
  }
  // One digit of a bitmap, which may touch the next.
  bool Bit(std::int64_t* out) {
    Skip();
    if (at_ >= file_.size() || (file_[at_] != '0' && file_[at_] != '1')) return false;
    *out = file_[at_++] - '0';
    return true;
  }

 private:
  static bool Space(std::uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
  void Skip() {
    while (at_ < file_.size() && (Space(file_[at_]) || file_[at_] == '#')) {
      if (file_[at_] == '#')
        while (at_ < file_.size() && file_[at_] != '\n') ++at_;
      else
        ++at_;
    }
  }
  Bytes file_;
  std::size_t at_;
};

bool StartsWith(Bytes file, std::string_view text) {
  return file.size() >= text.size() && std::memcmp(file.data(), text.data(), text.size()) == 0;
}

}  // namespace

Result<Image> NewImage(std::string_view format, std::int64_t width, std::int64_t height, std::size_t file_bytes) {
  constexpr std::int64_t kMostSide = 1 << 20;
  if (width < 1 || height < 1 || width > kMostSide || height > kMostSide)
    return Broken(format, fmt::format("an image of {} x {}", width, height));
  const std::uint64_t bytes = static_cast<std::uint64_t>(width) * static_cast<std::uint64_t>(height) * 3;
  if (bytes > (std::uint64_t{64} << 20) && bytes / 2048 > file_bytes)
    return Status(Code::kResourceExhausted,
                  fmt::format("{}: {} x {} pixels out of {} bytes", format, width, height, file_bytes));
  Image image;
  image.width = width;
  image.height = height;
  image.rgb.resize(bytes);
  return image;
}

Result<Image> DecodeBmp(Bytes file) {
  if (file.size() < 54) return Broken("BMP", "the file ends within its header");
  const std::uint32_t offset = U32(file, 10), header = U32(file, 14), bits = U16(file, 28), packed = U32(file, 30);
  const auto width = static_cast<std::int32_t>(U32(file, 18)), tall = static_cast<std::int32_t>(U32(file, 22));
  const std::int64_t height = tall < 0 ? -static_cast<std::int64_t>(tall) : tall;
  if (header < 40 || header > 1024) return Broken("BMP", fmt::format("a header of {} bytes", header));
  const bool fields = packed == 3 && (bits == 16 || bits == 32);
  if (packed != 0 && !fields)
    return Status(Code::kUnimplemented, fmt::format("BMP: compression {} at {} bits is not read", packed, bits));
  if (bits != 1 && bits != 4 && bits != 8 && bits != 16 && bits != 24 && bits != 32)
    return Broken("BMP", fmt::format("{} bits a pixel", bits));
  TENON_ASSIGN_OR_RETURN(Image image, NewImage("BMP", width, height, file.size()));
  image.channels = bits == 32 ? 4 : 3;
  const std::uint64_t stride = (static_cast<std::uint64_t>(width) * bits + 31) / 32 * 4;
  if (offset > file.size() || stride * static_cast<std::uint64_t>(height) > file.size() - offset)
    return Broken("BMP", fmt::format("the pixels of {} x {} end behind the file", width, height));
  std::uint32_t masks[3] = {0xff0000, 0xff00, 0xff};
  if (bits == 16) masks[0] = 0x7c00, masks[1] = 0x3e0, masks[2] = 0x1f;
  if (fields) {
    if (file.size() < 66) return Broken("BMP", "the file ends within its masks");
    for (std::size_t i = 0; i < 3; ++i) masks[i] = U32(file, 54 + 4 * i);
  }
  const std::size_t palette = 14 + header;
  std::size_t colors = 0;
  if (bits <= 8) {
    const std::uint32_t given = U32(file, 46);
    colors = given == 0 ? std::size_t{1} << bits : given;
    if (colors > 256 || palette + 4 * colors > file.size()) return Broken("BMP", fmt::format("{} colors", colors));
  }
  for (std::int64_t y = 0; y < height; ++y) {
    const std::uint8_t* row = file.data() + offset + stride * static_cast<std::uint64_t>(tall < 0 ? y : height - 1 - y);
    std::uint8_t* out = image.rgb.data() + y * width * 3;
    for (std::int64_t x = 0; x < width; ++x, out += 3) {
      if (bits == 24) {
        for (int c = 0; c < 3; ++c) out[c] = row[3 * x + 2 - c];
      } else if (bits > 8) {
        const std::uint8_t* p = row + x * (bits / 8);
        std::uint32_t pixel = static_cast<std::uint32_t>(p[0]) | static_cast<std::uint32_t>(p[1]) << 8;
        if (bits == 32) pixel |= static_cast<std::uint32_t>(p[2]) << 16 | static_cast<std::uint32_t>(p[3]) << 24;
        for (int c = 0; c < 3; ++c) out[c] = Field(pixel, masks[c]);
      } else {
        const std::int64_t bit = x * bits;
        const std::size_t index =
            (row[bit / 8] >> (8 - bits - static_cast<std::uint32_t>(bit % 8))) & ((1U << bits) - 1);
        if (index >= colors) return Broken("BMP", fmt::format("color {} of {}", index, colors));
        for (std::size_t c = 0; c < 3; ++c) out[c] = file[palette + 4 * index + 2 - c];
      }
    }
  }
  return image;
}

Result<Image> DecodePnm(Bytes file) {
  if (file.size() < 2 || file[0] != 'P' || file[1] < '1' || file[1] > '6') return Broken("PNM", "no known first bytes");
  const int kind = file[1] - '0';
  const bool bitmap = kind == 1 || kind == 4, color = kind == 3 || kind == 6, plain = kind <= 3;
  Words words(file, 2);
  std::int64_t width = 0, height = 0, most = 1;
  if (!words.Number(&width) || !words.Number(&height) || (!bitmap && !words.Number(&most)))
    return Broken("PNM", "a number of the header is missing");
  if (most < 1 || most > 65535) return Broken("PNM", fmt::format("the largest value is {}", most));
  const std::uint64_t channels = color ? 3 : 1, wide = most > 255 ? 2 : 1;
  TENON_ASSIGN_OR_RETURN(Image image, NewImage("PNM", width, height, file.size()));
  const std::uint64_t row =
      bitmap ? (static_cast<std::uint64_t>(width) + 7) / 8 : static_cast<std::uint64_t>(width) * channels * wide;
  std::size_t at = words.at() + 1;
  if (!plain && (at > file.size() || row * static_cast<std::uint64_t>(height) > file.size() - at))
    return Broken("PNM", fmt::format("the pixels of {} x {} end behind the file", width, height));
  std::uint8_t* out = image.rgb.data();
  for (std::int64_t y = 0; y < height; ++y, at += plain ? 0 : row)
    for (std::int64_t x = 0; x < width; ++x)
      for (std::uint64_t c = 0; c < channels; ++c) {
        std::int64_t value = 0;
        const std::uint64_t k = static_cast<std::uint64_t>(x) * channels + c;
        if (plain) {
          if (!(bitmap ? words.Bit(&value) : words.Number(&value))) return Broken("PNM", "a value is missing");
        } else if (bitmap) {
          value = file[at + k / 8] >> (7 - k % 8) & 1;
        } else {
          value = wide == 2 ? file[at + 2 * k] * 256 + file[at + 2 * k + 1] : file[at + k];
        }
        if (value > most) return Broken("PNM", fmt::format("the value {} above {}", value, most));
        const auto byte = static_cast<std::uint8_t>(bitmap        ? (value == 0 ? 255 : 0)
                                                    : most == 255 ? value
                                                                  : (value * 255 + most / 2) / most);
        for (std::uint64_t i = 0; i < 3 / channels; ++i) *out++ = byte;
      }
  return image;
}

Result<Image> DecodeImage(Bytes file, bool fast) {
  using namespace std::string_view_literals;
  if (StartsWith(file, "\xff\xd8\xff"sv)) return DecodeJpeg(file, fast);
  if (StartsWith(file, "\x89PNG\r\n\x1a\n"sv)) return DecodePng(file);
  if (StartsWith(file, "BM"sv)) return DecodeBmp(file);
  if (StartsWith(file, "II*\0"sv) || StartsWith(file, "MM\0*"sv)) return DecodeTiff(file);
  if (StartsWith(file, "RIFF"sv) && file.size() > 12 && StartsWith(file.subspan(8), "WEBP"sv)) return DecodeWebp(file);
  if (StartsWith(file, "\0\0\0\x0cjP  \r\n\x87\n"sv) || StartsWith(file, "\xff\x4f\xff\x51"sv))
    return DecodeJpeg2000(file);
  if (file.size() > 2 && file[0] == 'P' && file[1] >= '1' && file[1] <= '6') return DecodePnm(file);
  return Status(Code::kInvalidArgument,
                "image: the first bytes are those of none of JPEG, PNG, BMP, TIFF, WebP, JPEG 2000 and PNM");
}

}  // namespace tenon::base
