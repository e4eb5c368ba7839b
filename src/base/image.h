// Images in files: JPEG, PNG, BMP, TIFF, WebP, JPEG 2000 and the portable formats (PBM, PGM, PPM), as rows of RGB.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tenon/status.h"

namespace tenon::base {

/// Rows from the top, three bytes (red, green, blue) a pixel.
struct Image {
  std::int64_t height = 0, width = 0;
  /// What the file holds, of PNG and JPEG: 1 gray, 2 gray and transparency, 3 color, 4 with transparency (of BMP: 32
  /// bits a pixel). Of other formats 3.
  int channels = 3;
  std::vector<std::uint8_t> rgb;
};

/// The first image in a file of any of these formats, found by its first bytes. Samples of more than 8 bits keep their
/// upper ones, gray becomes three equal channels, transparency is left out, palettes are resolved. Any bytes are safe:
/// an image of more than 64 MiB is refused unless the file has at least 1/2048 of that, so that a small file cannot ask
/// for much memory. kInvalidArgument for broken files, kUnimplemented for variants that are not read.
/// `fast`: a JPEG by the inverse cosine transform of fewer bits, which differs by a few levels.
Result<Image> DecodeImage(std::span<const std::uint8_t> file, bool fast = false);

/// An image of that size, zeros; kResourceExhausted when it is too large for a file of so many bytes.
Result<Image> NewImage(std::string_view format, std::int64_t width, std::int64_t height, std::size_t file_bytes);

// One format each.
Result<Image> DecodeJpeg(std::span<const std::uint8_t> file, bool fast = false);
Result<Image> DecodePng(std::span<const std::uint8_t> file);
Result<Image> DecodeBmp(std::span<const std::uint8_t> file);
Result<Image> DecodePnm(std::span<const std::uint8_t> file);
Result<Image> DecodeTiff(std::span<const std::uint8_t> file);
Result<Image> DecodeWebp(std::span<const std::uint8_t> file);
Result<Image> DecodeJpeg2000(std::span<const std::uint8_t> file);

}  // namespace tenon::base
