// TIFF by libtiff, WebP by libwebp, JPEG 2000 by OpenJPEG.
#include <fmt/format.h>
#include <openjpeg.h>
#include <tiffio.h>
#include <webp/decode.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/image.h"
#include "base/status_macros.h"

namespace tenon::base {
namespace {

// A file in memory, read by position.
struct Source {
  std::span<const std::uint8_t> file;
  std::uint64_t at = 0;
  std::string error = {};

  std::size_t Read(void* out, std::size_t count) {
    const std::size_t left = at < file.size() ? file.size() - static_cast<std::size_t>(at) : 0;
    count = std::min(count, left);
    if (count > 0) std::memcpy(out, file.data() + at, count);
    at += count;
    return count;
  }
};

Source& Of(void* handle) { return *static_cast<Source*>(handle); }
tmsize_t TiffRead(thandle_t h, void* out, tmsize_t count) {
  return count < 0 ? -1 : static_cast<tmsize_t>(Of(h).Read(out, static_cast<std::size_t>(count)));
}
tmsize_t TiffWrite(thandle_t, void*, tmsize_t) { return -1; }
toff_t TiffSeek(thandle_t h, toff_t to, int whence) {
  Source& s = Of(h);
  s.at = whence == SEEK_CUR ? s.at + to : whence == SEEK_END ? s.file.size() + to : to;
  return s.at;
}
int TiffClose(thandle_t) { return 0; }
toff_t TiffSize(thandle_t h) { return Of(h).file.size(); }
int TiffError(TIFF*, void* data, const char*, const char* format, va_list args) {
  char text[256];
  std::vsnprintf(text, sizeof(text), format, args);
  if (Of(data).error.empty()) Of(data).error = text;
  return 1;
}
int TiffWarning(TIFF*, void*, const char*, const char*, va_list) { return 1; }

OPJ_SIZE_T JpRead(void* out, OPJ_SIZE_T count, void* h) {
  const std::size_t got = Of(h).Read(out, count);
  return got == 0 ? static_cast<OPJ_SIZE_T>(-1) : got;
}
OPJ_OFF_T JpSkip(OPJ_OFF_T count, void* h) {
  Source& s = Of(h);
  if (count < 0 || static_cast<std::uint64_t>(count) > s.file.size() - std::min<std::uint64_t>(s.at, s.file.size()))
    return -1;
  s.at += static_cast<std::uint64_t>(count);
  return count;
}
OPJ_BOOL JpSeek(OPJ_OFF_T to, void* h) {
  if (to < 0 || static_cast<std::uint64_t>(to) > Of(h).file.size()) return OPJ_FALSE;
  Of(h).at = static_cast<std::uint64_t>(to);
  return OPJ_TRUE;
}
void JpError(const char* text, void* h) {
  if (Of(h).error.empty()) Of(h).error = std::string(text).substr(0, 200);
}
void JpQuiet(const char*, void*) {}

struct Closer {
  void operator()(TIFF* t) const { TIFFClose(t); }
  void operator()(TIFFOpenOptions* o) const { TIFFOpenOptionsFree(o); }
  void operator()(opj_codec_t* codec) const { opj_destroy_codec(codec); }
  void operator()(opj_image_t* image) const { opj_image_destroy(image); }
};
struct StreamCloser {
  void operator()(opj_stream_t* stream) const { opj_stream_destroy(stream); }
};

Status Broken(std::string_view format, std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return Status(Code::kInvalidArgument, fmt::format("{}: {}", format, text.empty() ? "cannot be read" : text));
}

}  // namespace

Result<Image> DecodeTiff(std::span<const std::uint8_t> file) {
  Source source{file};
  const std::unique_ptr<TIFFOpenOptions, Closer> options(TIFFOpenOptionsAlloc());
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), TiffError, &source);
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), TiffWarning, &source);
  TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), tmsize_t{256} << 20);
  const std::unique_ptr<TIFF, Closer> tiff(TIFFClientOpenExt("image", "rm", &source, TiffRead, TiffWrite, TiffSeek,
                                                             TiffClose, TiffSize, nullptr, nullptr, options.get()));
  if (tiff == nullptr) return Broken("TIFF", source.error);
  std::uint32_t width = 0, height = 0;
  if (TIFFGetField(tiff.get(), TIFFTAG_IMAGEWIDTH, &width) != 1 ||
      TIFFGetField(tiff.get(), TIFFTAG_IMAGELENGTH, &height) != 1)
    return Broken("TIFF", "it does not say how large it is");
  TENON_ASSIGN_OR_RETURN(Image image, NewImage("TIFF", width, height, file.size()));
  std::vector<std::uint32_t> pixels(std::size_t{width} * height);
  if (TIFFReadRGBAImageOriented(tiff.get(), width, height, pixels.data(), ORIENTATION_TOPLEFT, 1) != 1)
    return Broken("TIFF", source.error);
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    image.rgb[3 * i] = static_cast<std::uint8_t>(TIFFGetR(pixels[i]));
    image.rgb[3 * i + 1] = static_cast<std::uint8_t>(TIFFGetG(pixels[i]));
    image.rgb[3 * i + 2] = static_cast<std::uint8_t>(TIFFGetB(pixels[i]));
  }
  return image;
}

Result<Image> DecodeWebp(std::span<const std::uint8_t> file) {
  int width = 0, height = 0;
  if (WebPGetInfo(file.data(), file.size(), &width, &height) == 0) return Broken("WebP", "its header cannot be read");
  TENON_ASSIGN_OR_RETURN(Image image, NewImage("WebP", width, height, file.size()));
  if (WebPDecodeRGBInto(file.data(), file.size(), image.rgb.data(), image.rgb.size(), 3 * width) == nullptr)
    return Broken("WebP", "its pixels cannot be read");
  return image;
}

Result<Image> DecodeJpeg2000(std::span<const std::uint8_t> file) {
  Source source{file};
  const bool boxes = file.size() > 4 && file[0] == 0;
  const std::unique_ptr<opj_codec_t, Closer> codec(opj_create_decompress(boxes ? OPJ_CODEC_JP2 : OPJ_CODEC_J2K));
  const std::unique_ptr<opj_stream_t, StreamCloser> stream(opj_stream_create(1 << 16, OPJ_TRUE));
  if (codec == nullptr || stream == nullptr) return Status(Code::kResourceExhausted, "JPEG 2000: no memory");
  opj_set_error_handler(codec.get(), JpError, &source);
  opj_set_warning_handler(codec.get(), JpQuiet, &source);
  opj_set_info_handler(codec.get(), JpQuiet, &source);
  opj_stream_set_user_data(stream.get(), &source, nullptr);
  opj_stream_set_user_data_length(stream.get(), file.size());
  opj_stream_set_read_function(stream.get(), JpRead);
  opj_stream_set_skip_function(stream.get(), JpSkip);
  opj_stream_set_seek_function(stream.get(), JpSeek);
  opj_dparameters_t parameters;
  opj_set_default_decoder_parameters(&parameters);
  if (opj_setup_decoder(codec.get(), &parameters) == OPJ_FALSE) return Broken("JPEG 2000", source.error);
  opj_image_t* header = nullptr;
  const bool read = opj_read_header(stream.get(), codec.get(), &header) != OPJ_FALSE;
  const std::unique_ptr<opj_image_t, Closer> decoded(header);
  if (!read || decoded == nullptr) return Broken("JPEG 2000", source.error);
  const std::int64_t width = std::int64_t{decoded->x1} - decoded->x0, height = std::int64_t{decoded->y1} - decoded->y0;
  TENON_ASSIGN_OR_RETURN(Image image, NewImage("JPEG 2000", width, height, file.size()));
  if (decoded->numcomps < 1 || decoded->numcomps > 4)
    return Status(Code::kUnimplemented, fmt::format("JPEG 2000: {} channels are not read", decoded->numcomps));
  if (opj_decode(codec.get(), stream.get(), decoded.get()) == OPJ_FALSE) return Broken("JPEG 2000", source.error);
  if (decoded->color_space == OPJ_CLRSPC_SYCC || decoded->color_space == OPJ_CLRSPC_CMYK ||
      decoded->color_space == OPJ_CLRSPC_EYCC)
    return Status(Code::kUnimplemented, "JPEG 2000: only RGB and gray are read");
  const std::uint32_t channels = decoded->numcomps < 3 ? 1 : 3;
  for (std::uint32_t c = 0; c < channels; ++c) {
    const opj_image_comp_t& from = decoded->comps[c];
    if (from.data == nullptr || from.w != width || from.h != height || from.prec < 1 || from.prec > 31)
      return Status(Code::kUnimplemented, "JPEG 2000: channels of different sizes are not read");
    const std::int64_t most = (std::int64_t{1} << from.prec) - 1, low = from.sgnd != 0 ? (most + 1) / 2 : 0;
    for (std::size_t i = 0; i < image.rgb.size() / 3; ++i) {
      const std::int64_t value = std::clamp<std::int64_t>(from.data[i] + low, 0, most);
      const std::int64_t byte = from.prec == 8 ? value : from.prec > 8 ? value >> (from.prec - 8) : value * 255 / most;
      image.rgb[3 * i + c] = static_cast<std::uint8_t>(byte);
      if (channels == 1) image.rgb[3 * i + 1] = image.rgb[3 * i + 2] = static_cast<std::uint8_t>(byte);
    }
  }
  return image;
}

}  // namespace tenon::base
