// JPEG by libjpeg-turbo and PNG by libpng. Both report errors by longjmp: between setjmp and the calls no object with a
// destructor is made.
#include <fmt/format.h>
#include <jpeglib.h>
#include <png.h>

#include <csetjmp>
#include <cstring>

#include "base/image.h"
#include "base/status_macros.h"

namespace tenon::base {
namespace {

struct JpegErrors {
  jpeg_error_mgr manager;
  std::jmp_buf jump;
  char text[JMSG_LENGTH_MAX] = {};
};
void JpegFails(j_common_ptr info) {
  auto* errors = reinterpret_cast<JpegErrors*>(info->err);
  info->err->format_message(info, errors->text);
  std::longjmp(errors->jump, 1);
}
void Quiet(j_common_ptr) {}
void CountWarning(j_common_ptr info, int level) {
  if (level < 0) ++info->err->num_warnings;
}

// Reads the header; false with the message in `errors`.
bool JpegHeader(jpeg_decompress_struct* info, JpegErrors* errors, const std::uint8_t* data, std::size_t size) {
  if (setjmp(errors->jump) != 0) return false;
  jpeg_create_decompress(info);
  jpeg_mem_src(info, data, static_cast<unsigned long>(size));
  jpeg_read_header(info, TRUE);
  info->mem->max_memory_to_use = 256L << 20;
  const bool inks = info->jpeg_color_space == JCS_CMYK || info->jpeg_color_space == JCS_YCCK;
  info->out_color_space = inks ? JCS_CMYK : JCS_RGB;
  return true;
}
// Writes rows of RGB; `line` has room for four bytes a pixel.
bool JpegPixels(jpeg_decompress_struct* info, JpegErrors* errors, std::uint8_t* out, std::uint8_t* line) {
  if (setjmp(errors->jump) != 0) return false;
  jpeg_start_decompress(info);
  const std::size_t width = info->output_width;
  while (info->output_scanline < info->output_height) {
    std::uint8_t* const to = out + 3 * width * info->output_scanline;
    JSAMPROW row = info->out_color_space == JCS_CMYK ? line : to;
    jpeg_read_scanlines(info, &row, 1);
    if (info->out_color_space == JCS_CMYK)
      for (std::size_t x = 0; x < width; ++x)  // Adobe stores inks inverted
        for (std::size_t c = 0; c < 3; ++c) {
          const int ink = info->saw_Adobe_marker ? line[4 * x + c] : 255 - line[4 * x + c];
          const int black = info->saw_Adobe_marker ? line[4 * x + 3] : 255 - line[4 * x + 3];
          to[3 * x + c] = static_cast<std::uint8_t>(ink * black / 255);
        }
  }
  jpeg_finish_decompress(info);
  return true;
}

struct PngSource {
  const std::uint8_t* data;
  std::size_t size, at = 0;
  char text[256] = {};
};
void PngRead(png_structp png, png_bytep out, std::size_t count) {
  auto* source = static_cast<PngSource*>(png_get_io_ptr(png));
  if (count > source->size - source->at) png_error(png, "the file ends too early");
  std::memcpy(out, source->data + source->at, count);
  source->at += count;
}
void PngFails(png_structp png, png_const_charp message) {
  auto* source = static_cast<PngSource*>(png_get_error_ptr(png));
  std::strncpy(source->text, message, sizeof(source->text) - 1);
  png_longjmp(png, 1);
}
void PngWarns(png_structp, png_const_charp) {}

bool PngHeader(png_structp png, png_infop info, int* channels) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_set_user_limits(png, 1 << 20, 1 << 20);
  png_set_chunk_malloc_max(png, 8 << 20);
  png_set_chunk_cache_max(png, 128);
  png_read_info(png, info);
  const unsigned color = png_get_color_type(png, info);
  const bool clear = (color & PNG_COLOR_MASK_ALPHA) != 0 || png_get_valid(png, info, PNG_INFO_tRNS) != 0;
  *channels = ((color & PNG_COLOR_MASK_COLOR) != 0 ? 3 : 1) + (clear ? 1 : 0);
  png_set_expand(png);
  png_set_strip_16(png);
  png_set_strip_alpha(png);
  png_set_gray_to_rgb(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  if (png_get_rowbytes(png, info) != std::size_t{png_get_image_width(png, info)} * 3)
    png_error(png, "rows that are not RGB");
  return true;
}
bool PngPixels(png_structp png, png_bytepp rows) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_read_image(png, rows);
  return true;
}

}  // namespace

Result<Image> DecodeJpeg(std::span<const std::uint8_t> file, bool fast) {
  JpegErrors errors;
  jpeg_decompress_struct info = {};
  info.err = jpeg_std_error(&errors.manager);
  errors.manager.error_exit = JpegFails;
  errors.manager.output_message = Quiet;
  errors.manager.emit_message = CountWarning;
  const auto broken = [&] {
    jpeg_destroy_decompress(&info);
    return Status(Code::kInvalidArgument, fmt::format("JPEG: {}", errors.text));
  };
  if (!JpegHeader(&info, &errors, file.data(), file.size())) return broken();
  Result<Image> image = NewImage("JPEG", info.image_width, info.image_height, file.size());
  if (!image.ok()) {
    jpeg_destroy_decompress(&info);
    return image;
  }
  if (fast) info.dct_method = JDCT_IFAST;
  image->channels = info.num_components == 1 ? 1 : 3;
  std::vector<std::uint8_t> line(static_cast<std::size_t>(image->width) * 4);
  if (!JpegPixels(&info, &errors, image->rgb.data(), line.data())) return broken();
  jpeg_destroy_decompress(&info);
  return image;
}

Result<Image> DecodePng(std::span<const std::uint8_t> file) {
  PngSource source{file.data(), file.size()};
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &source, PngFails, PngWarns);
  if (png == nullptr) return Status(Code::kResourceExhausted, "PNG: no memory for the reader");
  png_infop info = png_create_info_struct(png);
  const auto finish = [&](Result<Image> result) {
    png_destroy_read_struct(&png, &info, nullptr);
    return result;
  };
  const auto broken = [&] {
    return finish(Status(Code::kInvalidArgument, fmt::format("PNG: {}", static_cast<const char*>(source.text))));
  };
  if (info == nullptr) return finish(Status(Code::kResourceExhausted, "PNG: no memory for the reader"));
  png_set_read_fn(png, &source, PngRead);
  int channels = 3;
  if (!PngHeader(png, info, &channels)) return broken();
  Result<Image> image = NewImage("PNG", png_get_image_width(png, info), png_get_image_height(png, info), file.size());
  if (!image.ok()) return finish(std::move(image));
  image->channels = channels;
  std::vector<png_bytep> rows;
  for (std::int64_t y = 0; y < image->height; ++y) rows.push_back(image->rgb.data() + y * image->width * 3);
  if (!PngPixels(png, rows.data())) return broken();
  return finish(std::move(image));
}

}  // namespace tenon::base
