// Attention and rotary embedding (opset 23).
#include "formats/onnx/ops/attention.h"

#include "formats/onnx/data_type.h"
#include "formats/onnx/export/families.h"

namespace tenon::onnx {
namespace {

// The mask with a column for every key. ONNX takes one column for the first key's (what a mask does not reach is
// hidden), ours serves all keys. Empty when that number of keys cannot be written.
std::string WholeMask(OpWriter& w, int mask, int past) {
  const Dim columns = w.shape(mask)[-1];
  if (!columns.is_symbolic() && columns.value() != 1) return w.in(mask);
  if (!w.ranked(1) || w.shape(1).rank() < 2) return {};
  Dim keys = w.shape(1)[-2];
  if (w.has(past)) {
    if (!w.ranked(past) || w.shape(past).rank() < 2) return {};
    keys = w.shape(past)[-2] + keys;
  }
  if (Dim::equal(columns, keys) == Truth::kYes) return w.in(mask);
  const Result<std::string> dims = w.x.DimVector(Shape({1, keys}));
  return dims.ok() ? w.Emit("Expand", {w.in(mask), *dims}) : std::string();
}

Status Attention(OpWriter& w) {
  const ir::Attrs& a = w.attrs();
  enum : int { kMask = 3, kPast = 4, kLengths = 6 };
  if (w.opset() < (w.has(kLengths) ? 24 : 23) || !w.ranked(0)) return w.Lower();
  // A mask of rank 1 or 0 is none of ONNX's.
  if (w.has(kMask) && (!w.ranked(kMask) || w.shape(kMask).rank() < 2)) return w.Lower();
  std::vector<Attribute> attributes = {IntAttribute("is_causal", a.Bool("causal") ? 1 : 0)};
  if (a.Has("scale")) attributes.push_back(FloatAttribute("scale", a.Float("scale")));
  if (a.Float("softcap") > 0) attributes.push_back(FloatAttribute("softcap", a.Float("softcap")));
  if (a.Int("q_heads") > 0) {
    attributes.push_back(IntAttribute("q_num_heads", a.Int("q_heads")));
    attributes.push_back(IntAttribute("kv_num_heads", a.Int("kv_heads")));
  }
  if (a.Has("softmax_dtype"))
    attributes.push_back(IntAttribute("softmax_precision", FromDType(a.Dtype("softmax_dtype"))));
  for (std::int64_t mode = 1; mode < std::ssize(kAttentionScores); ++mode)
    if (kAttentionScores[mode] == a.String("scores")) attributes.push_back(IntAttribute("qk_matmul_output_mode", mode));
  const std::string mask = w.has(kMask) ? WholeMask(w, kMask, kPast) : std::string();
  if (w.has(kMask) && mask.empty()) return w.Lower();
  Names inputs = w.ins(), outputs = {w.out(0)};
  if (w.has(kMask)) inputs[kMask] = mask;
  if (w.has(kMask) && w.dtype(kMask) != DType::kBool && w.dtype(kMask) != w.dtype(0))
    inputs[kMask] = w.Emit("Cast", {inputs[kMask]}, {IntAttribute("to", FromDType(w.dtype(0)))});
  if (w.has(kLengths) && w.dtype(kLengths) != DType::kI64)
    inputs[kLengths] = w.Emit("Cast", {inputs[kLengths]}, {IntAttribute("to", kInt64)});
  for (int i = 1; i < 4; ++i) outputs.push_back(w.used(i) ? w.out(i) : std::string());
  w.x.EmitAll("Attention", std::move(inputs), std::move(attributes), outputs, true);
  return {};
}

Status RotaryEmbedding(OpWriter& w) {
  const ir::Attrs& a = w.attrs();
  enum : int { kCos = 1, kPositions = 3 };
  const int table = w.has(kPositions) ? kPositions : kCos;  // the one with a row for each example
  if (w.opset() < 23 || !w.ranked(0) || !w.ranked(table) || w.dtype(0) == DType::kF64) return w.Lower();
  // ONNX has no row that serves all examples.
  if (w.shape(table)[0] == Dim(1) && w.shape(0)[0] != Dim(1)) return w.Lower();
  std::vector<Attribute> attributes = {IntAttribute("interleaved", a.Bool("interleaved") ? 1 : 0)};
  if (a.Int("rotary_dim") > 0) attributes.push_back(IntAttribute("rotary_embedding_dim", a.Int("rotary_dim")));
  if (a.Int("heads") > 0) attributes.push_back(IntAttribute("num_heads", a.Int("heads")));
  Names inputs = w.ins();
  if (w.has(kPositions) && w.dtype(kPositions) != DType::kI64)
    inputs[kPositions] = w.Emit("Cast", {inputs[kPositions]}, {IntAttribute("to", kInt64)});
  w.Finish("RotaryEmbedding", std::move(inputs), std::move(attributes));
  return {};
}

const ExportRow kRows[] = {
    {"attention", 13, Attention},
    {"rotary_embedding", 13, RotaryEmbedding},
};

}  // namespace
const std::span<const ExportRow> kExportAttention = kRows;
}  // namespace tenon::onnx
