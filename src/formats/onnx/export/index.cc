// Gathering and scattering.
#include <fmt/format.h>

#include "formats/onnx/data_type.h"
#include "formats/onnx/export/families.h"
#include "ir/numeric.h"

namespace tenon::onnx {
namespace {

std::string Wide(OpWriter& w, int i) {
  return w.dtype(i) == DType::kI64 ? w.in(i) : w.Emit("Cast", {w.in(i)}, {IntAttribute("to", kInt64)});
}

// With batch axes: GatherND over the axes up to the indexed one.
Status Gather(OpWriter& w) {
  const std::int64_t batch = w.attrs().Int("batch_dims");
  std::int64_t axis = w.attrs().Int("axis");
  if (batch == 0) {
    w.Finish("Gather", {w.in(0), w.in(1)}, {IntAttribute("axis", axis)});
    return {};
  }
  if (axis < 0 && w.ranked(0)) axis += w.shape(0).rank();
  if (axis != batch) return w.Unsupported("gathering along an axis behind the first one after the batch");
  const std::string column = w.Emit("Unsqueeze", {Wide(w, 1), w.Ints1({-1})});
  w.Finish("GatherND", {w.in(0), column}, {IntAttribute("batch_dims", batch)});
  return {};
}

Status GatherNd(OpWriter& w) {
  w.Finish("GatherND", {w.in(0), Wide(w, 1)});
  return {};
}

Status TakeAlongAxis(OpWriter& w) {
  w.Finish("GatherElements", {w.in(0), w.in(1)}, {IntAttribute("axis", w.attrs().Int("axis"))});
  return {};
}

Status ScatterNdAdd(OpWriter& w) {
  w.Finish("ScatterND", {w.in(0), Wide(w, 1), w.in(2)}, {StringAttribute("reduction", "add")});
  return {};
}

Status ScatterNd(OpWriter& w) {
  const std::string& ours = w.attrs().String("reduction");
  std::vector<Attribute> attributes;
  if (ours != "none") {
    const bool multiply = ours == "multiply";
    if (w.opset() < (multiply ? 16 : 18)) return w.Unsupported("scattering with reduction " + ours);
    attributes.push_back(StringAttribute("reduction", multiply ? "mul" : ours == "maximum" ? "max" : "min"));
  }
  w.Finish("ScatterND", {w.in(0), Wide(w, 1), w.in(2)}, std::move(attributes));
  return {};
}

// Rows of axis 0.
Status ScatterAdd(OpWriter& w) {
  if (w.attrs().Int("axis") != 0 || w.attrs().Int("batch_dims") != 0)
    return w.Unsupported("scattering along another axis than the first");
  const std::string column = w.Emit("Unsqueeze", {Wide(w, 1), w.Ints1({-1})});
  w.Finish("ScatterND", {w.in(0), column, w.in(2)}, {StringAttribute("reduction", "add")});
  return {};
}

Status ScatterAddAlongAxis(OpWriter& w) {
  w.Finish("ScatterElements", {w.in(0), w.in(1), w.in(2)},
           {IntAttribute("axis", w.attrs().Int("axis")), StringAttribute("reduction", "add")});
  return {};
}

// ONNX counts negative indices from the end, ours gives a row of off values for them.
Status OneHot(OpWriter& w) {
  const std::int64_t depth = w.attrs().Int("depth");
  const DType dtype = w.attrs().Dtype("dtype");
  const std::string index = Wide(w, 0);
  const std::string inside = w.Emit("Less", {index, w.x.Constant(Literal::scalar<std::int64_t>(0))});
  const std::string safe = w.Emit("Where", {inside, w.x.Constant(Literal::scalar(depth)), index});
  const Literal values = ir::FromDoubles(dtype, {2}, {w.attrs().Float("off_value"), w.attrs().Float("on_value")});
  w.Finish("OneHot", {safe, w.x.Constant(Literal::scalar(depth)), w.x.Constant(values)},
           {IntAttribute("axis", w.attrs().Int("axis"))});
  return {};
}

const ExportRow kRows[] = {
    {"gather", 13, Gather},
    {"gather_nd", 13, GatherNd},
    {"take_along_axis", 13, TakeAlongAxis},
    {"scatter_nd", 13, ScatterNd},
    {"scatter_nd_add", 16, ScatterNdAdd},
    {"scatter_add", 16, ScatterAdd},
    {"scatter_add_along_axis", 16, ScatterAddAlongAxis},
    {"one_hot", 13, OneHot},
};

}  // namespace
const std::span<const ExportRow> kExportIndex = kRows;
}  // namespace tenon::onnx
