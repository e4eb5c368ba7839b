// Ops on texts, and the files of images that come as texts.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/status_macros.h"
#include "formats/savedmodel/ops/build.h"

namespace tenon::savedmodel {
namespace {

using ir::Value;
using Ints = std::vector<std::int64_t>;

/// The text of an input that is known now.
Result<std::string> Known(OpContext& c, int i, std::string_view what) {
  const Literal* literal = c.has(i) ? c.constant(i) : nullptr;
  if (literal == nullptr || literal->dtype() != DType::kString || literal->size() != 1)
    return c.Unsupported(fmt::format("{} that is known only at run time", what));
  return literal->strings()[0];
}

Status Join(OpContext& c) {
  const std::string separator = c.String("separator", "");
  if (c.size() == 0) return c.Fail("it has no input");
  Value out = c.in(0);
  for (int i = 1; i < c.size(); ++i) {
    if (!separator.empty()) out = c.b.Add("string_concat", {out, c.b.Constant(Literal::scalar(separator))});
    out = c.b.Add("string_concat", {out, c.in(i)});
  }
  c.Set(out);
  return {};
}

/// One axis after the other, in the given order.
Status ReduceJoin(OpContext& c) {  // x, axes
  Value x = c.in(0);
  const int rank = c.rank(x);
  Ints axes = c.ints(1);
  if (!c.b.ok()) return {};
  for (std::int64_t& axis : axes) {
    axis += axis < 0 ? rank : 0;
    if (axis < 0 || axis >= rank || std::ranges::count(axes, axis) > 1) return c.Fail("its axes do not fit its input");
    x = c.b.Add("string_reduce_join", {x}, {{"axis", axis}, {"separator", c.String("separator", "")}});
    x = c.b.Add("expand_dims", {x}, {{"axes", Ints{axis}}});
  }
  if (!c.Bool("keep_dims", false) && !axes.empty()) x = c.b.Add("squeeze", {x}, {{"axes", axes}});
  c.Set(x);
  return {};
}

Status Case(OpContext& c) {
  const std::string to = c.node.op == "StringUpper" ? "upper" : "lower";
  c.Set(c.b.Add("string_case", {c.in(0)}, {{"to", to}, {"ascii", c.String("encoding", "").empty()}}));
  return {};
}

Status Strip(OpContext& c) {
  c.Set(c.b.Add("string_strip", {c.in(0)}));
  return {};
}

std::string Unit(const OpContext& c) { return c.String("unit", "BYTE") == "UTF8_CHAR" ? "points" : "bytes"; }

Status Length(OpContext& c) {
  c.Set(c.b.Cast(c.b.Add("string_length", {c.in(0)}, {{"unit", Unit(c)}}), DType::kI32));
  return {};
}

/// A length below 0 takes all bytes to the end, but no code points.
Status Substr(OpContext& c) {  // x, start, length
  const std::string unit = Unit(c);
  const ir::Ex length = Ex(c, c.b.Cast(c.in(2), DType::kI64));
  if (!c.b.ok()) return {};
  const Value zero = c.b.Constant(Literal::scalar(std::int64_t{0}));
  const Value below = unit == "bytes" ? c.b.Constant(Literal::scalar(std::numeric_limits<std::int64_t>::max())) : zero;
  const Value most = c.b.Add("select", {c.b.Add("less", {length, zero}), below, length});
  c.Set(c.b.Add("string_slice", {c.in(0), c.b.Cast(c.in(1), DType::kI64), most}, {{"unit", unit}}));
  return {};
}

Status RegexReplace(OpContext& c) {
  std::string pattern = c.String("pattern", ""), rewrite = c.String("rewrite", "");
  if (c.node.op == "RegexReplace") {
    TENON_ASSIGN_OR_RETURN(pattern, Known(c, 1, "a pattern"));
    TENON_ASSIGN_OR_RETURN(rewrite, Known(c, 2, "a rewriting"));
  }
  c.Set(c.b.Add("regex_replace", {c.in(0)},
                {{"pattern", pattern}, {"rewrite", rewrite}, {"all", c.Bool("replace_global", true)}}));
  return {};
}

Status RegexFullMatch(OpContext& c) {
  std::string pattern = c.String("pattern", "");
  if (c.node.op == "RegexFullMatch") {
    TENON_ASSIGN_OR_RETURN(pattern, Known(c, 1, "a pattern"));
  }
  c.Set(c.b.Add("regex_full_match", {c.in(0)}, {{"pattern", pattern}}));
  return {};
}

Status Split(OpContext& c) {  // x, separator
  TENON_ASSIGN_OR_RETURN(const std::string separator, Known(c, 1, "a separator"));
  const Value x = c.in(0);
  if (c.rank(x) != 1) return c.Fail("expected a vector of texts");
  const std::vector<Value> out =
      c.b.AddAll("string_split_rows", {x}, {{"delimiter", separator}, {"max_splits", c.Int("maxsplit", -1)}});
  if (out.size() == 2) SetSparse(c, out[0], out[1]);
  return {};
}

/// Of TF1: every character of the delimiter cuts; empty pieces go, or at least those of empty texts.
Status SplitV1(OpContext& c) {  // x, delimiter
  TENON_ASSIGN_OR_RETURN(const std::string delimiter, Known(c, 1, "a delimiter"));
  if (delimiter.size() != 1) return c.Unsupported("at other than one character");
  const Value x = c.in(0);
  if (c.rank(x) != 1) return c.Fail("expected a vector of texts");
  const std::vector<Value> out = c.b.AddAll("string_split_rows", {x}, {{"delimiter", delimiter}});
  if (out.size() != 2) return {};
  Value pieces = out[0], splits = out[1];
  const ir::Ex rows = RowsOf(c, splits, c.shape(pieces)[0]);
  const Value judged = c.Bool("skip_empty", true) ? pieces : Value(Take(c, x, rows, 0));
  const Value some = c.b.Add("not_equal", {judged, c.b.Constant(Literal::scalar(std::string()))});
  const Value found = c.b.Add("nonzero", {some});
  if (!c.b.ok()) return {};
  const Value kept = c.b.Reshape(found, Shape({c.shape(found)[1]}));
  const ir::Ex row = Take(c, rows, kept, 0);
  const Value lengths =
      c.b.Add("scatter_add", {Filled(c, Shape({c.shape(x)[0]}), 0, DType::kI64), row, c.b.OnesLike(row)},
              {{"axis", std::int64_t{0}}});
  pieces = Take(c, pieces, kept, 0);
  splits = SplitsOf(c, lengths);
  SetSparse(c, pieces, splits);
  return {};
}

Status ToNumber(OpContext& c) {
  c.Set(c.b.Add("parse_number", {c.in(0)}, {{"dtype", c.Type("out_type").value_or(DType::kF32)}, {"whole", true}}));
  return {};
}

Status AsString(OpContext& c) {
  const Value x = c.in(0);
  if (!c.b.ok()) return {};
  if (c.b.dtype(x) == DType::kString) {
    c.Set(x);
    return {};
  }
  if (is_complex(c.b.dtype(x))) return c.Unsupported("of complex numbers");
  const std::string style = c.Bool("scientific", false) ? "scientific"
                            : c.Bool("shortest", false) ? "shortest"
                                                        : "plain";
  c.Set(c.b.Add("format_number", {x},
                {{"style", style},
                 {"precision", c.Int("precision", -1)},
                 {"width", c.Int("width", -1)},
                 {"fill", c.String("fill", "")}}));
  return {};
}

Status Hash(OpContext& c) {
  const std::string method = c.node.op.ends_with("Fast")     ? "fingerprint"
                             : c.node.op.ends_with("Strong") ? "keyed"
                                                             : "murmur";
  c.Set(c.b.Add("string_hash", {c.in(0)},
                {{"method", method}, {"buckets", c.Int("num_buckets", 1)}, {"key", c.Ints("key")}}));
  return {};
}

Status Base64(OpContext& c) {
  if (c.node.op == "EncodeBase64")
    c.Set(c.b.Add("encode_base64", {c.in(0)}, {{"pad", c.Bool("pad", false)}}));
  else
    c.Set(c.b.Add("decode_base64", {c.in(0)}));
  return {};
}

Status DecodeRaw(OpContext& c) {
  const std::optional<DType> dtype = c.Type("out_type");
  if (!dtype) return c.Unsupported("to such a type");
  c.Set(c.b.Add("decode_bytes", {c.in(0)}, {{"dtype", *dtype}, {"little_endian", c.Bool("little_endian", true)}}));
  return {};
}

Status Ngrams(OpContext& c) {  // items, row splits
  const Value splits = c.in(1);
  if (!c.b.ok()) return {};
  const std::vector<Value> out = c.b.AddAll("string_ngrams", {c.in(0), c.b.Cast(splits, DType::kI64)},
                                            {{"lengths", c.Ints("ngram_widths")},
                                             {"separator", c.String("separator", "")},
                                             {"left_pad", c.String("left_pad", "")},
                                             {"right_pad", c.String("right_pad", "")},
                                             {"pad_width", c.Int("pad_width", 0)},
                                             {"preserve_short", c.Bool("preserve_short_sequences", false)}});
  if (out.size() != 2) return {};
  c.Set(0, out[0]);
  c.Set(1, c.b.Cast(out[1], c.b.dtype(splits)));
  return {};
}

Result<ir::Attrs> UnicodeAttrs(OpContext& c) {
  for (const char* name : {"input_encoding", "output_encoding"}) {
    std::string encoding = c.String(name, "UTF-8");
    std::ranges::transform(encoding, encoding.begin(), [](char l) { return l >= 'a' && l <= 'z' ? char(l - 32) : l; });
    if (encoding != "UTF-8" && encoding != "UTF8") return c.Unsupported(fmt::format("of the encoding {:?}", encoding));
  }
  return ir::Attrs{{"errors", c.String("errors", "replace")}, {"replacement", c.Int("replacement_char", 0xfffd)}};
}

Status UnicodeDecode(OpContext& c) {
  TENON_ASSIGN_OR_RETURN(ir::Attrs attrs, UnicodeAttrs(c));
  attrs.Set("replace_control", c.Bool("replace_control_characters", false));
  const std::vector<Value> out = c.b.AddAll("unicode_decode", {c.in(0)}, std::move(attrs));
  if (out.size() != 3) return {};
  c.Set(0, c.b.Cast(out[1], c.Type("Tsplits").value_or(DType::kI64)));
  c.Set(1, out[0]);
  if (c.node.op.ends_with("Offsets")) c.Set(2, out[2]);
  return {};
}

Status UnicodeEncode(OpContext& c) {  // code points, row splits
  TENON_ASSIGN_OR_RETURN(const ir::Attrs attrs, UnicodeAttrs(c));
  c.Set(c.b.Add("unicode_encode", {c.in(0), c.b.Cast(c.in(1), DType::kI64)}, attrs));
  return {};
}

/// From UTF-8 to UTF-8: what is malformed goes or is replaced.
Status UnicodeTranscode(OpContext& c) {
  TENON_ASSIGN_OR_RETURN(const ir::Attrs attrs, UnicodeAttrs(c));
  ir::Attrs decoding = attrs;
  decoding.Set("replace_control", c.Bool("replace_control_characters", false));
  const Value x = c.in(0);
  const std::vector<Value> points = c.b.AddAll("unicode_decode", {Flat(c, x)}, std::move(decoding));
  if (points.size() != 3) return {};
  c.Set(c.b.Reshape(c.b.Add("unicode_encode", {points[0], points[1]}, attrs), c.shape(x)));
  return {};
}

/// The file of an image as pixels; of type float they are in [0, 1].
Status DecodeImage(OpContext& c) {
  const std::int64_t channels = c.Int("channels", 0);
  const DType dtype = c.Type("dtype").value_or(DType::kU8);
  if (channels != 0 && channels != 1 && channels != 3)
    return c.Unsupported(fmt::format("to {} channels, expected 0, 1 or 3", channels));
  if (dtype != DType::kU8 && dtype != DType::kF32) return c.Unsupported("to such a type");
  if (c.Int("ratio", 1) != 1) return c.Unsupported("scaled down while it is read");
  if (!c.Bool("fancy_upscaling", true)) return c.Unsupported("with coarse upscaling of the colours");
  const Value file = c.b.Add("decode_bytes", {c.in(0)}, {{"dtype", DType::kU8}, {"little_endian", true}});
  const std::string kind = channels == 0 ? "file" : channels == 1 ? "gray" : "rgb";
  ir::Ex pixels = Ex(c, c.b.Add("decode_image", {file},
                                {{"channels", kind}, {"fast", c.String("dct_method", "") != "INTEGER_ACCURATE"}}));
  if (dtype == DType::kF32) pixels = Ex(c, c.b.Cast(pixels, dtype)) / 255.0;
  c.Set(pixels);
  return {};
}

constexpr Rule kRules[] = {
    {"StringJoin", Join},
    {"ReduceJoin", ReduceJoin},
    {"StringLower", Case},
    {"StringUpper", Case},
    {"StringStrip", Strip},
    {"StringLength", Length},
    {"Substr", Substr},
    {"StaticRegexReplace", RegexReplace},
    {"RegexReplace", RegexReplace},
    {"StaticRegexFullMatch", RegexFullMatch},
    {"RegexFullMatch", RegexFullMatch},
    {"StringSplitV2", Split},
    {"StringSplit", SplitV1},
    {"StringToNumber", ToNumber},
    {"AsString", AsString},
    {"StringToHashBucket", Hash},
    {"StringToHashBucketFast", Hash},
    {"StringToHashBucketStrong", Hash},
    {"EncodeBase64", Base64},
    {"DecodeBase64", Base64},
    {"DecodeRaw", DecodeRaw},
    {"StringNGrams", Ngrams},
    {"UnicodeDecode", UnicodeDecode},
    {"UnicodeDecodeWithOffsets", UnicodeDecode},
    {"UnicodeEncode", UnicodeEncode},
    {"UnicodeTranscode", UnicodeTranscode},
    {"DecodeImage", DecodeImage},
    {"DecodeJpeg", DecodeImage},
    {"DecodePng", DecodeImage},
    {"DecodeBmp", DecodeImage},
};

}  // namespace

std::span<const Rule> TextRules() { return kRules; }

}  // namespace tenon::savedmodel
