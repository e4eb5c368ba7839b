// Texts, sequences, optionals, tables, draws and images.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "formats/onnx/data_type.h"
#include "formats/onnx/dims.h"
#include "formats/onnx/export/families.h"
#include "ir/numeric.h"

namespace tenon::onnx {
namespace {

Attribute Strings(std::string name, std::vector<std::string> values) {
  Attribute attribute;
  attribute.name = std::move(name);
  attribute.type = AttributeType::kStrings;
  attribute.strings = std::move(values);
  return attribute;
}
Attribute TensorAttribute(std::string name, Literal value) {
  Attribute attribute;
  attribute.name = name;
  attribute.type = AttributeType::kTensor;
  Tensor& tensor = attribute.tensors.emplace_back();
  tensor.name = std::move(name);
  tensor.value = std::move(value);
  return attribute;
}
Names Outs(OpWriter& w) {
  Names names;
  for (std::size_t k = 0; k < w.node().outputs.size(); ++k) names.push_back(w.out(static_cast<int>(k)));
  return names;
}

// ---- texts ----

Status StringSplit(OpWriter& w) {
  std::vector<Attribute> attributes = {StringAttribute("delimiter", w.attrs().String("delimiter"))};
  if (w.attrs().Int("max_splits") >= 0) attributes.push_back(IntAttribute("maxsplit", w.attrs().Int("max_splits")));
  w.x.EmitAll("StringSplit", {w.in(0)}, std::move(attributes), Outs(w));
  return {};
}
Status StringNormalize(OpWriter& w) {
  const std::string& change = w.attrs().String("change_case");
  std::vector<Attribute> attributes = {StringAttribute("case_change_action", change == "none"    ? "NONE"
                                                                             : change == "lower" ? "LOWER"
                                                                                                 : "UPPER"),
                                       IntAttribute("is_case_sensitive", w.attrs().Bool("case_sensitive") ? 1 : 0)};
  if (const std::vector<std::string>& words = w.attrs().Strings("stop_words"); !words.empty())
    attributes.push_back(Strings("stopwords", words));
  w.Finish("StringNormalizer", {w.in(0)}, std::move(attributes));
  return {};
}
Status ToString(OpWriter& w) {
  w.Finish("Cast", {w.in(0)}, {IntAttribute("to", FromDType(DType::kString))});
  return {};
}
// `whole` only makes errors: every text that it takes reads the same without it.
Status ParseNumber(OpWriter& w) {
  w.Finish("Cast", {w.in(0)}, {IntAttribute("to", FromDType(w.attrs().Dtype("dtype")))});
  return {};
}
Status DecodeImage(OpWriter& w) {
  const std::string& channels = w.attrs().String("channels");
  if (channels == "file") return w.Unsupported("as many channels as the file has");
  if (w.attrs().Bool("fast")) return w.Unsupported("TensorFlow's way to read a JPEG");
  w.Finish("ImageDecoder", {w.in(0)},
           {StringAttribute("pixel_format", channels == "rgb"   ? "RGB"
                                            : channels == "bgr" ? "BGR"
                                                                : "Grayscale")});
  return {};
}

// ---- sequences and optionals ----

Status SequenceEmpty(OpWriter& w) {
  w.Finish("SequenceEmpty", {}, {IntAttribute("dtype", FromDType(w.attrs().Dtype("dtype")))});
  return {};
}
Status SequenceConcat(OpWriter& w) {
  w.Finish("ConcatFromSequence", {w.in(0)},
           {IntAttribute("axis", w.attrs().Int("axis")), IntAttribute("new_axis", w.attrs().Bool("new_axis") ? 1 : 0)});
  return {};
}
Status SequenceSplit(OpWriter& w) {
  const bool keep = w.attrs().Bool("keep_dims");
  if (!keep && w.has(1)) return w.Unsupported("splitting by sizes and dropping the axis");
  w.Finish("SplitToSequence", {w.in(0), w.in(1)},
           {IntAttribute("axis", w.attrs().Int("axis")), IntAttribute("keepdims", keep ? 1 : 0)});
  return {};
}
Status OptionalSome(OpWriter& w) {
  w.Finish("Optional", {w.in(0)});
  return {};
}
Status OptionalNone(OpWriter& w) {
  TENON_ASSIGN_OR_RETURN(const ir::Type element, ir::Type::Parse(w.attrs().String("element")));
  Attribute attribute;
  attribute.name = "type";
  attribute.type = AttributeType::kTypeProto;
  attribute.types.push_back(WriteType(element));
  w.Finish("Optional", {}, {std::move(attribute)});
  return {};
}
Status OneInput(OpWriter& w) {
  w.Finish(std::string(w.row.theirs), {w.in(0)});
  return {};
}

// ---- draws ----

Status Seeded(OpWriter& w) {
  const Shape& dims = w.attrs().Dims("dims");
  const std::int64_t seed = w.attrs().Int("seed");
  const DType dtype = w.attrs().Dtype("dtype");
  const auto rounded = static_cast<float>(seed);
  if (!dims.is_static() || dims.rank() == 0 || static_cast<double>(rounded) != static_cast<double>(seed) ||
      dtype == DType::kBF16)
    return w.Unsupported("a seeded draw of such dims, dtype or seed");
  w.Finish(std::string(w.row.theirs), {},
           {IntAttribute("dtype", FromDType(dtype)), FloatAttribute("seed", static_cast<double>(seed)),
            IntsAttribute("shape", dims.values())});
  return {};
}

// Draws without a seed: operators that keep a state of their own.
Status Draw(OpWriter& w) {
  if (!w.x.IsRandomState(w.env, w.value(0))) return w.Unsupported("a draw whose key is computed");
  const Shape& dims = w.attrs().Dims("dims");
  const Attribute dtype = IntAttribute("dtype", FromDType(w.attrs().Dtype("dtype")));
  const std::string theirs(w.row.theirs);
  if (dims.is_static()) {
    w.Finish(theirs, {}, {dtype, IntsAttribute("shape", dims.values())});
    return {};
  }
  TENON_ASSIGN_OR_RETURN(const std::string shape, w.x.DimVector(dims));
  w.Finish(theirs + "Like", {w.Emit("ConstantOfShape", {shape})}, {dtype});
  return {};
}

// ---- tables ----

Status LookupValues(OpWriter& w) {
  const std::optional<Literal> keys = w.constant(1), values = w.constant(2), otherwise = w.constant(3);
  if (!keys || !values || !otherwise) return w.Unsupported("a table that the run makes");
  for (const DType t : {keys->dtype(), values->dtype()})
    if (t != DType::kString && t != DType::kI64 && t != DType::kI32 && t != DType::kI16 && t != DType::kF32 &&
        t != DType::kF64)
      return w.Unsupported(fmt::format("a table of {}", dtype_name(t)));
  w.Finish("ai.onnx.ml::LabelEncoder", {w.in(0)},
           {TensorAttribute("keys_tensor", *keys), TensorAttribute("values_tensor", *values),
            TensorAttribute("default_tensor", otherwise->reshaped({1}))});
  return {};
}

Status CountNgrams(OpWriter& w) {
  const std::optional<Literal> pool = w.constant(1);
  if (!pool) return w.Unsupported("a pool of n-grams that the run makes");
  const std::string& mode = w.attrs().String("mode");
  std::vector<Attribute> attributes = {IntAttribute("min_gram_length", w.attrs().Int("shortest")),
                                       IntAttribute("max_gram_length", w.attrs().Int("longest")),
                                       IntAttribute("max_skip_count", w.attrs().Int("skips")),
                                       IntsAttribute("ngram_counts", w.attrs().Ints("starts")),
                                       IntsAttribute("ngram_indexes", w.attrs().Ints("columns")),
                                       StringAttribute("mode", mode == "tf"    ? "TF"
                                                               : mode == "idf" ? "IDF"
                                                                               : "TFIDF")};
  if (pool->dtype() == DType::kString)
    attributes.push_back(Strings("pool_strings", pool->strings()));
  else
    attributes.push_back(IntsAttribute("pool_int64s", ir::ToInts(*pool)));
  if (const std::vector<double>& weights = w.attrs().Floats("weights"); !weights.empty()) {
    Attribute& attribute = attributes.emplace_back();
    attribute.name = "weights";
    attribute.type = AttributeType::kFloats;
    attribute.floats.assign(weights.begin(), weights.end());
  }
  w.Finish("TfIdfVectorizer", {w.in(0)}, std::move(attributes));
  return {};
}

// Places are numbers with a flag for leaves; a leaf has one target; trees start at nodes.
Status TreeEnsemble(OpWriter& w) {
  const ir::Attrs& a = w.attrs();
  const Ints &starts = a.Ints("leaf_starts"), &roots = a.Ints("roots");
  for (std::size_t i = 0; i < starts.size(); ++i)
    if (starts[i] != static_cast<std::int64_t>(i)) return w.Unsupported("a leaf of several targets");
  for (const std::int64_t root : roots)
    if (root < 0) return w.Unsupported("a tree that is a leaf");
  const DType dtype = w.dtype(0);
  if (dtype == DType::kBF16 || roots.empty()) return w.Unsupported("a tree ensemble of that kind");
  bool exact = true;
  const auto tensor = [&](std::string name, const std::vector<double>& values) {
    const Literal stored = ir::FromDoubles(dtype, {static_cast<std::int64_t>(values.size())}, values);
    const std::vector<double> back = ir::ToDoubles(stored);
    for (std::size_t i = 0; i < values.size(); ++i) exact = exact && (back[i] == values[i] || std::isnan(values[i]));
    return TensorAttribute(std::move(name), stored);
  };
  const auto places = [&](std::string_view ours, std::string ids, std::string flags, std::vector<Attribute>* out) {
    Ints at = a.Ints(ours), leaf;
    for (std::int64_t& place : at) {
      leaf.push_back(place < 0 ? 1 : 0);
      if (place < 0) place = -1 - place;
    }
    out->push_back(IntsAttribute(std::move(ids), std::move(at)));
    out->push_back(IntsAttribute(std::move(flags), std::move(leaf)));
  };
  const Ints& modes = a.Ints("modes");
  std::vector<double> splits = a.Floats("splits"), sets;
  const std::vector<double>& members = a.Floats("members");
  for (std::size_t i = 0; i < modes.size(); ++i) {
    if (modes[i] != 6) continue;
    const auto first = static_cast<std::size_t>(splits[i]);
    for (std::size_t k = 1; k <= static_cast<std::size_t>(members[first]); ++k) sets.push_back(members[first + k]);
    sets.push_back(std::numeric_limits<double>::quiet_NaN());
    splits[i] = 0;
  }
  const std::string& how = a.String("aggregate");
  std::vector<Attribute> attributes = {
      IntAttribute("aggregate_function", how == "average" ? 0
                                         : how == "sum"   ? 1
                                         : how == "min"   ? 2
                                                          : 3),
      IntAttribute("n_targets", a.Int("targets")),
      IntAttribute("post_transform", 0),
      IntsAttribute("nodes_featureids", a.Ints("features")),
      IntsAttribute("leaf_targetids", a.Ints("leaf_targets")),
      IntsAttribute("tree_roots", roots),
      TensorAttribute("nodes_modes", ir::FromInts(DType::kU8, {static_cast<std::int64_t>(modes.size())}, modes)),
      tensor("nodes_splits", splits),
      tensor("leaf_weights", a.Floats("leaf_weights"))};
  places("on_true", "nodes_truenodeids", "nodes_trueleafs", &attributes);
  places("on_false", "nodes_falsenodeids", "nodes_falseleafs", &attributes);
  if (const Ints& missing = a.Ints("missing_true"); !missing.empty())
    attributes.push_back(IntsAttribute("nodes_missing_value_tracks_true", missing));
  if (!sets.empty()) attributes.push_back(tensor("membership_values", sets));
  if (!exact) return w.Unsupported(fmt::format("a tree ensemble whose numbers need more than {}", dtype_name(dtype)));
  w.Finish("ai.onnx.ml::TreeEnsemble", {w.in(0)}, std::move(attributes));
  return {};
}

const ExportRow kRows[] = {
    {"string_split", 20, StringSplit},
    {"string_normalize", 13, StringNormalize},
    {"to_string", 13, ToString},
    {"parse_number", 13, ParseNumber},
    {"decode_image", 20, DecodeImage},
    {"sequence_empty", 13, SequenceEmpty},
    {"sequence_concat", 13, SequenceConcat},
    {"sequence_split", 13, SequenceSplit},
    {"optional_some", 15, OptionalSome},
    {"optional_none", 15, OptionalNone},
    {"optional_has_value", 15, OneInput, "OptionalHasElement"},
    {"optional_value", 15, OneInput, "OptionalGetElement"},
    {"seeded_uniform", 13, Seeded, "RandomUniform"},
    {"seeded_normal", 13, Seeded, "RandomNormal"},
    {"random_uniform", 13, Draw, "RandomUniform"},
    {"random_normal", 13, Draw, "RandomNormal"},
    {"lookup_values", 13, LookupValues},
    {"count_ngrams", 13, CountNgrams},
    {"tree_ensemble", 13, TreeEnsemble},
};

}  // namespace
const std::span<const ExportRow> kExportData = kRows;
}  // namespace tenon::onnx
