// Texts as bytes: the numbers whose bytes they hold, and base64 (RFC 4648, the alphabet for URLs: - and _).
#include <array>
#include <bit>
#include <cstring>

#include "ops/array_util.h"

namespace tenon::ir::ops {
namespace {

constexpr DTypeSet kText = Only(DType::kString);
constexpr DTypeSet kPlainSet = kRealSet | kComplexSet | kBoolSet;

Status InferBytes(InferContext& ctx) {
  const DType dtype = ctx.attrs().Dtype("dtype");
  if ((kPlainSet & Only(dtype)) == 0)
    return ctx.Fail(1, "got dtype " + std::string(dtype_name(dtype)) + ", expected numbers or bools of whole bytes");
  if (!ctx.ranked(0)) {
    ctx.SetUnknownRank(0, dtype);
    return {};
  }
  std::vector<Dim> dims = ctx.shape(0).dims();
  dims.push_back(ctx.FreshDim());
  ctx.Set(0, dtype, Shape(std::move(dims)));
  return {};
}
Status EvalBytes(EvalContext& ctx) {
  const Literal& x = ctx.in(0);
  const DType dtype = ctx.attrs().Dtype("dtype");
  const std::size_t width = static_cast<std::size_t>(dtype_bits(dtype)) / 8;
  // Each part of a complex number is turned by itself.
  const std::size_t word = is_complex(dtype) ? width / 2 : width;
  const std::size_t bytes = x.strings().empty() ? 0 : x.strings()[0].size();
  if (bytes % width != 0)
    return ctx.Fail("got texts of " + std::to_string(bytes) + " bytes, expected a multiple of " +
                    std::to_string(width));
  for (const std::string& text : x.strings())
    if (text.size() != bytes)
      return ctx.Fail("got texts of " + std::to_string(bytes) + " and " + std::to_string(text.size()) +
                      " bytes, expected equal lengths");
  std::vector<std::int64_t> dims = x.dims();
  dims.push_back(static_cast<std::int64_t>(bytes / width));
  TENON_RETURN_IF_ERROR(checked_size(dims).status());
  Literal out = Literal::uninitialized(dtype, std::move(dims));
  std::byte* to = out.mutable_raw().data();
  for (const std::string& text : x.strings()) {
    if (bytes > 0) std::memcpy(to, text.data(), bytes);
    if (dtype == DType::kBool)
      for (std::size_t k = 0; k < bytes; ++k) to[k] = std::byte{text[k] != 0};
    to += bytes;
  }
  if (!ctx.attrs().Bool("little_endian") && word > 1) {
    const std::span<std::byte> all = out.mutable_raw();
    for (std::size_t at = 0; at + word <= all.size(); at += word)
      for (std::size_t k = 0; k < word / 2; ++k) std::swap(all[at + k], all[at + word - 1 - k]);
  }
  ctx.Set(0, std::move(out));
  return {};
}

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

std::string Encode(std::string_view text, bool pad) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); at += 3) {
    const std::size_t n = std::min<std::size_t>(3, text.size() - at);
    std::uint32_t bits = 0;
    for (std::size_t k = 0; k < 3; ++k) bits = bits << 8 | (k < n ? static_cast<unsigned char>(text[at + k]) : 0U);
    for (std::size_t k = 0; k <= n; ++k) out += kAlphabet[bits >> (18 - 6 * k) & 63];
    if (pad) out.append(3 - n, '=');
  }
  return out;
}
bool Decode(std::string_view text, std::string* out) {
  if (text.size() % 4 == 0)
    for (int k = 0; k < 2 && text.ends_with('='); ++k) text.remove_suffix(1);
  if (text.size() % 4 == 1) return false;
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    const std::size_t place = kAlphabet.find(c);
    if (place == std::string_view::npos) return false;
    bits = (bits << 6 | static_cast<std::uint32_t>(place)) & 0xffffffU;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    *out += static_cast<char>(bits >> held & 0xffU);
  }
  return (bits & ((1U << held) - 1)) == 0;
}
Status InferBase64(InferContext& ctx) {
  ctx.Set(0, ctx.type(0));
  return {};
}
Status EvalEncode(EvalContext& ctx) {
  std::vector<std::string> out;
  for (const std::string& text : ctx.in(0).strings()) out.push_back(Encode(text, ctx.attrs().Bool("pad")));
  ctx.Set(0, Literal::from_strings(ctx.in(0).dims(), std::move(out)));
  return {};
}
Status EvalDecode(EvalContext& ctx) {
  std::vector<std::string> out;
  for (const std::string& text : ctx.in(0).strings())
    if (!Decode(text, &out.emplace_back()))
      return ctx.Fail("got \"" + text.substr(0, 40) + "\", which is no base64 of the alphabet for URLs");
  ctx.Set(0, Literal::from_strings(ctx.in(0).dims(), std::move(out)));
  return {};
}

Literal Texts(std::vector<std::int64_t> dims, std::vector<std::string> texts) {
  return Literal::from_strings(std::move(dims), std::move(texts));
}
std::vector<Sample> BytesSamples() {
  const auto attrs = [](DType dtype, bool little = true) { return Attrs{{"dtype", dtype}, {"little_endian", little}}; };
  const Literal two = Texts({2}, {"abcdefgh", "ABCDEFGH"});
  return {{.name = "bytes", .inputs = {two}, .attrs = attrs(DType::kU8)},
          {.name = "words", .inputs = {two}, .attrs = attrs(DType::kI16)},
          {.name = "floats", .inputs = {two}, .attrs = attrs(DType::kF32)},
          {.name = "big", .inputs = {two}, .attrs = attrs(DType::kI32, false)},
          {.name = "scalar", .inputs = {Texts({}, {"xyz"})}, .attrs = attrs(DType::kI8)},
          {.name = "none", .inputs = {Texts({2}, {"", ""})}, .attrs = attrs(DType::kF64)},
          {.name = "packed", .inputs = {two}, .attrs = attrs(DType::kU4), .error = "c1"}};
}
std::vector<Sample> EncodeSamples() {
  const Literal x = Texts({6}, {"", "a", "ab", "abc", "dé?>~", "hello world"});
  return {{.name = "plain", .inputs = {x}},
          {.name = "padded", .inputs = {x}, .attrs = {{"pad", true}}},
          {.name = "scalar", .inputs = {Texts({}, {"a"})}},
          {.name = "empty", .inputs = {Texts({0}, {})}}};
}
std::vector<Sample> DecodeSamples() {
  return {{.name = "some", .inputs = {Texts({5}, {"", "YQ", "YQ==", "YWJj", "aGVsbG8gd29ybGQ"})}},
          {.name = "url", .inputs = {Texts({1}, {"ZMOpPz5-"})}},
          {.name = "empty", .inputs = {Texts({0}, {})}}};
}

constexpr Port kTextIn = {.name = "x", .dtypes = kText};
constexpr Port kTextOut = {.name = "y", .type = "S", .dtypes = kText};

constinit const OpDef kOps[] = {
    {.name = "decode_bytes",
     .summary =
         "The numbers whose bytes each text holds: [..., n]. Texts of different lengths are an error of the run.",
     .inputs = {kTextIn},
     .outputs = {{.name = "y", .type = "U", .dtypes = kPlainSet}},
     .attrs = {DTypeAttr("dtype", DType::kU8, "of the result"),
               BoolAttr("little_endian", true, "false: the highest byte of a number comes first")},
     .traits = kExact,
     .infer = InferBytes,
     .eval = EvalBytes,
     .samples = BytesSamples},
    {.name = "encode_base64",
     .summary = "The bytes of every text in base64, in the alphabet for URLs.",
     .inputs = {kTextIn},
     .outputs = {kTextOut},
     .attrs = {BoolAttr("pad", false, "filled up with = to a multiple of four")},
     .traits = kExact,
     .infer = InferBase64,
     .eval = EvalEncode,
     .samples = EncodeSamples},
    {.name = "decode_base64",
     .summary =
         "The bytes of every text in base64 of the alphabet for URLs, padded or not. Anything else is an error of "
         "the run.",
     .inputs = {kTextIn},
     .outputs = {kTextOut},
     .traits = kExact,
     .infer = InferBase64,
     .eval = EvalDecode,
     .samples = DecodeSamples},
};

}  // namespace
extern const std::span<const OpDef> text_bytes_ops;
constinit const std::span<const OpDef> text_bytes_ops{kOps};
}  // namespace tenon::ir::ops
