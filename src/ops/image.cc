// decode_image: a file's bytes as pixels.
#include "base/image.h"

#include "ops/array_util.h"

namespace tenon::ir::ops {
namespace {

// c1: bytes in a vector. c2: one of the orders.
Status InferDecode(InferContext& ctx) {
  if (ctx.ranked(0) && ctx.rank(0) != 1) return ctx.Fail(1, "got " + ctx.type(0).to_string() + ", expected u8[n]");
  const std::string& channels = ctx.attrs().String("channels");
  if (channels != "rgb" && channels != "bgr" && channels != "gray" && channels != "file")
    return ctx.Fail(2, "got channels \"" + channels + "\", expected rgb, bgr, gray or file");
  const Dim count = channels == "file" ? ctx.FreshDim() : Dim(channels == "gray" ? 1 : 3);
  ctx.Set(0, DType::kU8, {ctx.FreshDim(), ctx.FreshDim(), count});
  return {};
}
Status EvalDecode(EvalContext& ctx) {
  const std::string& channels = ctx.attrs().String("channels");
  TENON_ASSIGN_OR_RETURN(const base::Image image,
                         base::DecodeImage(ctx.in(0).data<std::uint8_t>(), ctx.attrs().Bool("fast")));
  if (channels == "file" && image.channels % 2 == 0)
    return ctx.Fail("got an image with transparency, expected one without it or a number of channels");
  const std::int64_t count = channels == "file" ? image.channels : channels == "gray" ? 1 : 3;
  Literal out = Literal::uninitialized(DType::kU8, {image.height, image.width, count});
  const std::span<std::uint8_t> to = out.mutable_data<std::uint8_t>();
  for (std::size_t i = 0; i < image.rgb.size() / 3; ++i) {
    const std::uint32_t r = image.rgb[3 * i], g = image.rgb[3 * i + 1], b = image.rgb[3 * i + 2];
    if (count == 1) {  // ITU-R 601, in 16 bits, rounded
      to[i] = static_cast<std::uint8_t>((19595 * r + 38470 * g + 7471 * b + 0x8000) >> 16);
    } else {
      to[3 * i] = static_cast<std::uint8_t>(channels == "bgr" ? b : r);
      to[3 * i + 1] = static_cast<std::uint8_t>(g);
      to[3 * i + 2] = static_cast<std::uint8_t>(channels == "bgr" ? r : b);
    }
  }
  ctx.Set(0, std::move(out));
  return {};
}

Literal File(std::string_view bytes) {
  const auto* first = reinterpret_cast<const std::uint8_t*>(bytes.data());
  return Literal::from<std::uint8_t>({static_cast<std::int64_t>(bytes.size())},
                                     std::span<const std::uint8_t>(first, bytes.size()));
}
std::vector<Sample> DecodeSamples() {
  const Literal color = File("P3 2 2 255 255 0 0  0 255 0  0 0 255  10 20 30"), bits = File("P1\n# two\n3 1\n010");
  const auto channels = [](const char* name) { return Attrs{{"channels", std::string(name)}}; };
  return {{.name = "rgb", .inputs = {color}},
          {.name = "bgr", .inputs = {color}, .attrs = channels("bgr")},
          {.name = "file", .inputs = {color}, .attrs = channels("file")},
          {.name = "gray", .inputs = {color}, .attrs = channels("gray")},
          {.name = "bits", .inputs = {bits}},
          {.name = "matrix", .inputs = {color.reshaped({1, color.size()})}, .error = "c1"},
          {.name = "channels", .inputs = {color}, .attrs = channels("cmyk"), .error = "c2"}};
}

constinit const OpDef kOps[] = {
    {.name = "decode_image",
     .summary = "The pixels [height, width, channels] of an image file: JPEG, PNG, BMP, TIFF, WebP, JPEG 2000 or PNM.",
     .inputs = {{.name = "file", .type = "B", .dtypes = Only(DType::kU8), .doc = "the bytes of the file"}},
     .outputs = {{.name = "pixels", .type = "B", .dtypes = Only(DType::kU8)}},
     .attrs = {StringAttr("channels", "rgb", "rgb, bgr, gray, or file: as many as the file holds (1 or 3)"),
               BoolAttr("fast", false, "a JPEG by a cosine transform of fewer bits, as TensorFlow reads it")},
     .infer = InferDecode,
     .eval = EvalDecode,
     .samples = DecodeSamples},
};

}  // namespace
extern const std::span<const OpDef> image_ops;
constinit const std::span<const OpDef> image_ops{kOps};
}  // namespace tenon::ir::ops
