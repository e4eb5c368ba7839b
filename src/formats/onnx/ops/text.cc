// Texts, and images in files. StringConcat and RegexFullMatch are records by the same names.
#include <fmt/format.h>

#include "formats/onnx/ops/families.h"

namespace tenon::onnx {
namespace {

Status StringSplit(NodeContext& n) {
  if (n.HasAttr("maxsplit") && n.Int("maxsplit", 0) < 0)
    return n.Fail(fmt::format("maxsplit is {}, expected 0 or more", n.Int("maxsplit", 0)));
  const std::vector<Value> out = n.b.AddAll(
      "string_split", {n.in(0)}, {{"delimiter", n.String("delimiter", "")}, {"max_splits", n.Int("maxsplit", -1)}});
  for (std::size_t i = 0; i < out.size(); ++i) n.Out(static_cast<int>(i), out[i]);
  return {};
}

// The locale is always one that knows Unicode.
Status StringNormalizer(NodeContext& n) {
  const std::string change = n.String("case_change_action", "NONE");
  if (change != "NONE" && change != "LOWER" && change != "UPPER")
    return n.Fail(fmt::format("case_change_action is \"{}\", expected NONE, LOWER or UPPER", change));
  const std::string ours = change == "NONE" ? "none" : change == "LOWER" ? "lower" : "upper";
  n.Out(0, n.Add("string_normalize", {n.in(0)},
                 {{"change_case", ours},
                  {"case_sensitive", n.Int("is_case_sensitive", 0) != 0},
                  {"stop_words", n.StringList("stopwords")}}));
  return {};
}

Status ImageDecoder(NodeContext& n) {
  const std::string format = n.String("pixel_format", "RGB");
  if (format != "RGB" && format != "BGR" && format != "Grayscale")
    return n.Fail(fmt::format("pixel_format is \"{}\", expected RGB, BGR or Grayscale", format));
  const std::string ours = format == "RGB" ? "rgb" : format == "BGR" ? "bgr" : "gray";
  n.Out(0, n.Add("decode_image", {n.in(0)}, {{"channels", ours}}));
  return {};
}

const OpRow kRows[] = {
    {"ImageDecoder", 1, 1, 1, "pixel_format:s", ImageDecoder},
    {"StringSplit", 1, 1, 2, "delimiter:s maxsplit:i", StringSplit},
    {"StringNormalizer", 1, 1, 1, "case_change_action:s is_case_sensitive:i locale:s stopwords:ss", StringNormalizer},
};

}  // namespace
const std::span<const OpRow> kTextRows = kRows;
}  // namespace tenon::onnx
