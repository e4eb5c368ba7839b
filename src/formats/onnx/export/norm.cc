// Normalisations and softmax. Those of ONNX have their channels first; channels-last ones are written between
// transposes (Exporter::WriteChannelsFirst).
#include "formats/onnx/data_type.h"
#include "formats/onnx/export/families.h"
#include "ir/numeric.h"

namespace tenon::onnx {
namespace {

// The channel vector, or one that does nothing.
std::string Channel(OpWriter& w, int i, double otherwise, const Dim& channels) {
  if (w.has(i)) return w.in(i);
  const Ints dims = {channels.value()};
  const Literal filled =
      ir::FromDoubles(w.dtype(0), dims, std::vector<double>(static_cast<std::size_t>(channels.value()), otherwise));
  return w.x.Constant(filled);
}

Status BatchNorm(OpWriter& w) {
  if (!w.ranked(0)) return w.Lower();
  const int rank = w.shape(0).rank();
  std::int64_t axis = w.attrs().Int("axis");
  if (axis < 0) axis += rank;
  const Dim channels = w.shape(0)[static_cast<int>(axis)];
  const bool last = axis == rank - 1 && rank >= 3 && rank <= 5;
  if ((axis != 1 && !last) || rank < 2 || (channels.is_symbolic() && (!w.has(3) || !w.has(4)))) return w.Lower();
  const Names rest = {Channel(w, 3, 1, channels), Channel(w, 4, 0, channels), w.in(1), w.in(2)};
  Names inputs = {last && axis != 1 ? w.x.ChannelsFirst(w.env, w.value(0)) : w.in(0)};
  inputs.insert(inputs.end(), rest.begin(), rest.end());
  std::vector<Attribute> attributes = {FloatAttribute("epsilon", w.attrs().Float("epsilon"))};
  if (last && axis != 1) {
    w.x.SetChannelsFirst(w.env, {w.id, 0}, w.Emit("BatchNormalization", std::move(inputs), std::move(attributes)),
                         w.out());
  } else {
    w.Finish("BatchNormalization", std::move(inputs), std::move(attributes));
  }
  return {};
}

// The statistics of this batch are what a momentum of 0 leaves of the running ones.
Status BatchNormTraining(OpWriter& w) {
  if (!w.ranked(0) || w.opset() < 14) return w.Lower();
  const int rank = w.shape(0).rank();
  const std::int64_t axis = w.attrs().Int("axis");
  const Dim channels = rank < 2 ? Dim::any() : w.shape(0)[1];
  if (rank < 2 || (axis < 0 ? axis + rank : axis) != 1 || channels.is_symbolic()) return w.Lower();
  const std::string zeros = w.x.Constant(
      ir::FromDoubles(w.dtype(0), {channels.value()}, std::vector<double>(static_cast<std::size_t>(channels.value()))));
  w.x.EmitAll("BatchNormalization", {w.in(0), Channel(w, 1, 1, channels), Channel(w, 2, 0, channels), zeros, zeros},
              {FloatAttribute("epsilon", w.attrs().Float("epsilon")), FloatAttribute("momentum", 0),
               IntAttribute("training_mode", 1)},
              {w.out(0), w.out(1), w.out(2)});
  return {};
}

// The scale of a norm over the axes from `axis` on, ones when the op has none; empty when their number is not known
// or above a million.
std::string ScaleFrom(OpWriter& w) {
  if (w.has(1)) return w.in(1);
  std::int64_t axis = w.attrs().Int("axis");
  if (axis < 0) axis += w.shape(0).rank();
  Ints dims;
  std::int64_t count = 1;
  for (auto i = static_cast<int>(axis); i < w.shape(0).rank(); ++i) {
    const Dim& dim = w.shape(0)[i];
    if (dim.is_symbolic() || dim.value() > 1000000) return {};
    dims.push_back(dim.value());
    count *= dims.back();
    if (count > 1000000) return {};
  }
  return w.x.Constant(
      ir::FromDoubles(w.dtype(0), std::move(dims), std::vector<double>(static_cast<std::size_t>(count), 1)));
}

// Statistics are of f32 unless this says f64.
void AddStashType(OpWriter& w, std::vector<Attribute>* attributes) {
  if (w.dtype(0) == DType::kF64) attributes->push_back(IntAttribute("stash_type", kDouble));
}

Status LayerNorm(OpWriter& w) {
  if (w.opset() < 17 || !w.ranked(0)) return w.Lower();
  const std::string scale = ScaleFrom(w);
  if (scale.empty()) return w.Lower();
  std::vector<Attribute> attributes = {IntAttribute("axis", w.attrs().Int("axis")),
                                       FloatAttribute("epsilon", w.attrs().Float("epsilon"))};
  AddStashType(w, &attributes);
  w.Finish("LayerNormalization", {w.in(0), scale, w.in(2)}, std::move(attributes));
  return {};
}

// Instance norms are an operator of their own; that of groups has a scale for each channel since opset 21.
Status GroupNorm(OpWriter& w) {
  if (!w.ranked(0) || w.shape(0).rank() < 3) return w.Lower();
  const int rank = w.shape(0).rank();
  std::int64_t axis = w.attrs().Int("axis");
  if (axis < 0) axis += rank;
  const Dim channels = w.shape(0)[static_cast<int>(axis)];
  const std::int64_t groups = w.attrs().Int("groups");
  const bool instance = groups < 0 || channels == Dim(groups), last = axis == rank - 1 && rank <= 5;
  if ((axis != 1 && !last) || (channels.is_symbolic() && (!w.has(1) || !w.has(2)))) return w.Lower();
  if (!instance && w.opset() < 21) return w.Lower();
  if (instance && w.opset() < 22 && w.dtype(0) == DType::kBF16) return w.Lower();
  const bool turned = axis != 1;
  Names inputs = {turned ? w.x.ChannelsFirst(w.env, w.value(0)) : w.in(0), Channel(w, 1, 1, channels),
                  Channel(w, 2, 0, channels)};
  std::vector<Attribute> attributes = {FloatAttribute("epsilon", w.attrs().Float("epsilon"))};
  if (!instance) {
    attributes.push_back(IntAttribute("num_groups", groups));
    AddStashType(w, &attributes);
  }
  const char* op = instance ? "InstanceNormalization" : "GroupNormalization";
  if (!turned) {
    w.Finish(op, std::move(inputs), std::move(attributes));
  } else {
    w.x.SetChannelsFirst(w.env, {w.id, 0}, w.Emit(op, std::move(inputs), std::move(attributes)), w.out());
  }
  return {};
}

Status RmsNorm(OpWriter& w) {
  if (w.opset() < 23 || !w.ranked(0)) return w.Lower();
  const std::string scale = ScaleFrom(w);
  if (scale.empty()) return w.Lower();
  std::vector<Attribute> attributes = {IntAttribute("axis", w.attrs().Int("axis")),
                                       FloatAttribute("epsilon", w.attrs().Float("epsilon"))};
  AddStashType(w, &attributes);
  w.Finish("RMSNormalization", {w.in(0), scale}, std::move(attributes));
  return {};
}

Status Softmax(OpWriter& w) {
  w.Finish(std::string(w.row.theirs), {w.in(0)}, {IntAttribute("axis", w.attrs().Int("axis"))});
  return {};
}
const ExportRow kRows[] = {
    {"batch_norm", 13, BatchNorm},
    {"batch_norm_training", 13, BatchNormTraining},
    {"layer_norm", 13, LayerNorm},
    {"group_norm", 13, GroupNorm},
    {"rms_norm", 13, RmsNorm},
    {"softmax", 13, Softmax, "Softmax"},
    {"log_softmax", 13, Softmax, "LogSoftmax"},
};

}  // namespace
const std::span<const ExportRow> kExportNorm = kRows;
}  // namespace tenon::onnx
