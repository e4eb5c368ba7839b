// Shapes, joining, cutting, filling.
#include <algorithm>
#include <limits>

#include "formats/onnx/data_type.h"
#include "formats/onnx/export/families.h"
#include "ir/numeric.h"

namespace tenon::onnx {
namespace {

// One dim may be left to -1, and a dim of the same place to 0; others are computed.
Status Reshape(OpWriter& w) {
  if (w.has(1)) {  // a 0 is a dim of 0
    std::vector<Attribute> attributes;
    if (w.opset() >= 14) attributes.push_back(IntAttribute("allowzero", 1));
    w.Finish("Reshape",
             {w.in(0), w.dtype(1) == DType::kI64 ? w.in(1) : w.Emit("Cast", {w.in(1)}, {IntAttribute("to", kInt64)})},
             std::move(attributes));
    return {};
  }
  const Shape& to = w.attrs().Dims("dims");
  Ints plain;
  int computed = 0;
  bool empty = false;
  for (int i = 0; i < to.rank(); ++i) {
    const std::optional<std::int64_t> value = to[i].try_value();
    empty = empty || value == 0;
    if (value) {
      plain.push_back(*value);
    } else if (w.ranked(0) && i < w.shape(0).rank() && w.shape(0)[i] == to[i]) {
      plain.push_back(0);
    } else {
      plain.push_back(-1);
      ++computed;
    }
  }
  // A true 0 would copy a dim, and -1 beside it says nothing.
  const bool usable = computed <= 1 && (!empty || to.is_static());
  if (usable && !empty) {
    w.Finish("Reshape", {w.in(0), w.Ints1(plain)});
    return {};
  }
  TENON_ASSIGN_OR_RETURN(const std::string dims, w.x.DimVector(to));
  std::vector<Attribute> attributes;
  if (w.opset() >= 14) attributes.push_back(IntAttribute("allowzero", 1));
  w.Finish("Reshape", {w.in(0), dims}, std::move(attributes));
  return {};
}

Status Transpose(OpWriter& w) {
  Ints permutation = w.attrs().Ints("permutation");
  std::vector<Attribute> attributes;
  if (!permutation.empty()) {
    for (std::int64_t& axis : permutation)
      if (axis < 0) axis += static_cast<std::int64_t>(permutation.size());
    attributes.push_back(IntsAttribute("perm", permutation));
  }
  w.Finish("Transpose", {w.in(0)}, std::move(attributes));
  return {};
}

Status ExpandDims(OpWriter& w) {
  w.Finish("Unsqueeze", {w.in(0), w.Ints1(w.attrs().Ints("axes"))});
  return {};
}
Status Squeeze(OpWriter& w) {
  const Ints& axes = w.attrs().Ints("axes");
  w.Finish("Squeeze", {w.in(0), axes.empty() ? std::string() : w.Ints1(axes)});
  return {};
}

Status ShapeOf(OpWriter& w) {
  if (w.attrs().Dtype("dtype") == DType::kI64) {
    w.Finish("Shape", {w.in(0)});
  } else {
    w.Finish("Cast", {w.Emit("Shape", {w.in(0)})}, {IntAttribute("to", FromDType(w.attrs().Dtype("dtype")))});
  }
  return {};
}

Status BroadcastTo(OpWriter& w) {
  if (w.has(1)) {
    w.Finish("Expand", {w.in(0), w.Emit("Cast", {w.in(1)}, {IntAttribute("to", kInt64)})});
    return {};
  }
  TENON_ASSIGN_OR_RETURN(const std::string dims, w.x.DimVector(w.attrs().Dims("dims")));
  w.Finish("Expand", {w.in(0), dims});
  return {};
}

Status BroadcastLike(OpWriter& w) {
  w.Finish("Expand", {w.in(0), w.Emit("Shape", {w.in(1)})});
  return {};
}

Status Fill(OpWriter& w, double value) {
  w.Finish("Expand", {w.Scalar(value, w.dtype(0)), w.Emit("Shape", {w.in(0)})});
  return {};
}
Status ZerosLike(OpWriter& w) { return Fill(w, 0); }
Status OnesLike(OpWriter& w) { return Fill(w, 1); }

Status Concat(OpWriter& w) {
  w.Finish("Concat", w.ins(), {IntAttribute("axis", w.attrs().Int("axis"))});
  return {};
}

Status Split(OpWriter& w) {
  Names outputs;
  for (std::size_t k = 0; k < w.node().outputs.size(); ++k) outputs.push_back(w.out(static_cast<int>(k)));
  TENON_ASSIGN_OR_RETURN(const std::string sizes, w.x.DimVector(w.attrs().Dims("sizes")));
  w.x.EmitAll("Split", {w.in(0), sizes}, {IntAttribute("axis", w.attrs().Int("axis"))}, std::move(outputs));
  return {};
}

// Only the axes that are cut. A limit that is the whole dim needs no computing.
Status Slice(OpWriter& w) {
  const Shape &starts = w.attrs().Dims("starts"), &limits = w.attrs().Dims("limits");
  const Ints& strides = w.attrs().Ints("strides");
  std::vector<Dim> first, last;
  Ints axes, steps;
  for (int i = 0; i < starts.rank(); ++i) {
    const std::int64_t step = strides.empty() ? 1 : strides[static_cast<std::size_t>(i)];
    const bool whole = w.ranked(0) && limits[i] == w.shape(0)[i];
    if (starts[i] == Dim(0) && whole && step == 1) continue;
    first.push_back(starts[i]);
    last.push_back(whole ? Dim(std::numeric_limits<std::int64_t>::max()) : limits[i]);
    axes.push_back(i);
    steps.push_back(step);
  }
  if (axes.empty()) {
    w.Finish("Identity", {w.in(0)});
    return {};
  }
  TENON_ASSIGN_OR_RETURN(const std::string from, w.x.DimVector(Shape(first)));
  TENON_ASSIGN_OR_RETURN(const std::string to, w.x.DimVector(Shape(last)));
  w.Finish("Slice", {w.in(0), from, to, w.Ints1(axes), w.Ints1(steps)});
  return {};
}

Status Reverse(OpWriter& w) {
  const Ints axes = w.attrs().Ints("axes");
  const Ints ones(axes.size(), -1), ends(axes.size(), std::numeric_limits<std::int64_t>::min());
  if (axes.empty()) {
    w.Finish("Identity", {w.in(0)});
    return {};
  }
  w.Finish("Slice", {w.in(0), w.Ints1(ones), w.Ints1(ends), w.Ints1(axes), w.Ints1(ones)});
  return {};
}

Status Pad(OpWriter& w) {
  const std::string& mode = w.attrs().String("mode");
  if (mode == "symmetric") return w.Unsupported("padding of mode symmetric");
  if (mode == "wrap" && w.opset() < 19) return w.Unsupported("padding of mode wrap");
  std::vector<Dim> pads = w.attrs().Dims("low").dims();
  const std::vector<Dim>& high = w.attrs().Dims("high").dims();
  pads.insert(pads.end(), high.begin(), high.end());
  TENON_ASSIGN_OR_RETURN(const std::string amounts, w.x.DimVector(Shape(pads)));
  Names inputs = {w.in(0), amounts};
  if (mode == "constant") inputs.push_back(w.Scalar(w.attrs().Float("value"), w.dtype(0)));
  w.Finish("Pad", std::move(inputs), {StringAttribute("mode", mode)});
  return {};
}

Status Tile(OpWriter& w) {
  TENON_ASSIGN_OR_RETURN(const std::string repeats, w.x.DimVector(w.attrs().Dims("repeats")));
  w.Finish("Tile", {w.in(0), repeats});
  return {};
}

// 0, 1, 2, … along one axis of dims.
Status Iota(OpWriter& w) {
  const Shape& dims = w.attrs().Dims("dims");
  const DType dtype = w.attrs().Dtype("dtype");
  const auto axis = static_cast<int>(w.attrs().Int("axis"));
  const int at = axis < 0 ? axis + dims.rank() : axis;
  TENON_ASSIGN_OR_RETURN(const std::string count, w.x.DimScalar(dims[at]));
  const auto number = [&](std::int64_t n) { return w.x.Constant(Literal::scalar(n)); };
  const std::string limit = w.Emit("Squeeze", {count, w.Ints1({0})});
  std::string line = w.Emit("Range", {number(0), limit, number(1)});
  if (dtype != DType::kI64) line = w.Emit("Cast", {line}, {IntAttribute("to", FromDType(dtype))});
  if (dims.rank() > 1) {
    Ints column(static_cast<std::size_t>(dims.rank() - at), 1);
    column[0] = -1;
    line = w.Emit("Reshape", {line, w.Ints1(column)});
    TENON_ASSIGN_OR_RETURN(const std::string whole, w.x.DimVector(dims));
    line = w.Emit("Expand", {line, whole});
  }
  w.Finish("Identity", {line});
  return {};
}

// ONNX takes sizes from any integer tensor: only the names of the dims are ours.
Status AsDims(OpWriter& w) {
  const std::string x = w.in(0);
  if (const ir::SymbolicValue& elements = w.node().outputs[0].symbolic)
    w.x.NoteElements(*elements, w.dtype(0) == DType::kI64 ? x : w.Emit("Cast", {x}, {IntAttribute("to", kInt64)}));
  w.Finish("Identity", {x});
  return {};
}

const ExportRow kRows[] = {
    {"as_dims", 13, AsDims},
    {"reshape", 13, Reshape},
    {"transpose", 13, Transpose},
    {"expand_dims", 13, ExpandDims},
    {"squeeze", 13, Squeeze},
    {"shape_of", 13, ShapeOf},
    {"broadcast_to", 13, BroadcastTo},
    {"broadcast_like", 13, BroadcastLike},
    {"zeros_like", 13, ZerosLike},
    {"ones_like", 13, OnesLike},
    {"concat", 13, Concat},
    {"split", 13, Split},
    {"slice", 13, Slice},
    {"reverse", 13, Reverse},
    {"pad", 13, Pad},
    {"tile", 13, Tile},
    {"iota", 13, Iota},
};

}  // namespace
const std::span<const ExportRow> kExportShape = kRows;
}  // namespace tenon::onnx
