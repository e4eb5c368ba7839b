// Shapes, slices, concatenation, gathers -> TensorFlow.
#include <algorithm>

#include "base/status_macros.h"
#include "formats/savedmodel/writer.h"
#include "ir/numeric.h"

namespace tenon::savedmodel {
namespace {

using Longs = std::vector<std::int64_t>;

/// The dims that a node's attribute or input gives, as a tensor for an op of TensorFlow.
Result<std::string> Target(WriteContext& c) {
  if (c.has(1)) return c.in(1);
  return c.w.ShapeVector(c.attrs().Dims("dims"));
}
DType TargetType(const WriteContext& c) { return c.has(1) ? c.dtype(1) : DType::kI32; }

Status Reshape(WriteContext& c) {
  std::string shape;
  DType type = TargetType(c);
  if (!c.has(1)) {
    // One dim may be left to the op; that is simpler than computing it, and right as long as no other dim is 0.
    Longs dims;
    int open = 0;
    bool empty = false;
    for (const Dim& dim : c.attrs().Dims("dims").dims()) {
      open += dim.is_symbolic() ? 1 : 0;
      empty = empty || dim == Dim(0);
      dims.push_back(dim.is_symbolic() ? -1 : dim.value());
    }
    if (open <= 1 && !(open == 1 && empty)) {
      shape = c.w.Ints(dims);
      for (const std::int64_t dim : dims)
        if (dim != static_cast<std::int32_t>(dim)) type = DType::kI64;
    }
  }
  if (shape.empty()) {
    TENON_ASSIGN_OR_RETURN(shape, Target(c));
  }
  c.Set(c.w.Emit("Reshape", {c.in(0), shape}, {{"T", TypeAttr(c.dtype())}, {"Tshape", TypeAttr(type)}}, c.name()));
  return {};
}

Status Transpose(WriteContext& c) {
  Longs permutation = c.attrs().Ints("permutation");
  if (!c.type().has_rank()) return c.Unsupported("a value of unknown rank");
  for (std::int64_t& axis : permutation) axis += axis < 0 ? c.rank() : 0;
  if (permutation.empty())
    for (int d = c.rank() - 1; d >= 0; --d) permutation.push_back(d);
  c.Set(c.w.Emit("Transpose", {c.in(0), c.w.Ints(permutation)},
                 {{"T", TypeAttr(c.dtype())}, {"Tperm", TypeAttr(DType::kI32)}}, c.name()));
  return {};
}

Status BroadcastTo(WriteContext& c) {
  TENON_ASSIGN_OR_RETURN(const std::string shape, Target(c));
  c.Set(c.w.Emit("BroadcastTo", {c.in(0), shape}, {{"T", TypeAttr(c.dtype())}, {"Tidx", TypeAttr(TargetType(c))}},
                 c.name()));
  return {};
}

std::string ShapeOfValue(WriteContext& c, int i) {
  return c.w.Emit("Shape", {c.in(i)}, {{"T", TypeAttr(c.dtype(i))}, {"out_type", TypeAttr(DType::kI32)}});
}

Status BroadcastLike(WriteContext& c) {
  c.Set(c.w.Emit("BroadcastTo", {c.in(0), ShapeOfValue(c, 1)},
                 {{"T", TypeAttr(c.dtype())}, {"Tidx", TypeAttr(DType::kI32)}}, c.name()));
  return {};
}

/// Sums the axes along which the second shape was broadcast, then takes that shape.
Status SumLike(WriteContext& c) {
  const std::string x = ShapeOfValue(c, 0), like = ShapeOfValue(c, 1);
  const std::string pair = c.w.Node("BroadcastGradientArgs", {x, like}, {{"T", TypeAttr(DType::kI32)}});
  const std::string sum =
      c.w.Emit("Sum", {c.in(0), pair + ":r1:0"}, {{"T", TypeAttr(c.dtype())}, {"Tidx", TypeAttr(DType::kI32)}});
  c.Set(c.w.Emit("Reshape", {sum, like}, {{"T", TypeAttr(c.dtype())}, {"Tshape", TypeAttr(DType::kI32)}}, c.name()));
  return {};
}

Status Concat(WriteContext& c) {
  std::vector<std::string> inputs = c.ins();
  if (inputs.size() == 1) {
    c.Set(c.w.Emit("Identity", inputs, {{"T", TypeAttr(c.dtype())}}, c.name()));
    return {};
  }
  inputs.push_back(c.w.Int(c.attrs().Int("axis")));
  c.Set(c.w.Emit("ConcatV2", inputs,
                 {{"N", IntAttr(c.size())}, {"T", TypeAttr(c.dtype())}, {"Tidx", TypeAttr(DType::kI32)}}, c.name()));
  return {};
}

Status Split(WriteContext& c) {
  const Shape& sizes = c.attrs().Dims("sizes");
  TENON_ASSIGN_OR_RETURN(const std::string vector, c.w.ShapeVector(sizes));
  const std::string node = c.w.Node(
      "SplitV", {c.in(0), vector, c.w.Int(c.attrs().Int("axis"))},
      {{"T", TypeAttr(c.dtype())}, {"Tlen", TypeAttr(DType::kI32)}, {"num_split", IntAttr(sizes.rank())}}, c.name());
  for (int k = 0; k < sizes.rank(); ++k) c.Set(k, node + ":output:" + std::to_string(k));
  return {};
}

Status Slice(WriteContext& c) {
  const Shape &starts = c.attrs().Dims("starts"), &limits = c.attrs().Dims("limits");
  Longs strides = c.attrs().Ints("strides");
  if (strides.empty()) strides.assign(static_cast<std::size_t>(starts.rank()), 1);
  // Ends of whole axes are masked, so that no dim needs to be computed for them.
  std::int64_t begin_mask = 0, end_mask = 0;
  std::vector<Dim> begins, ends;
  for (int d = 0; d < starts.rank(); ++d) {
    if (d > 31) return c.Unsupported("more than 32 axes");
    if (starts[d] == Dim(0)) begin_mask |= std::int64_t{1} << d;
    const bool whole = c.type().has_rank() && limits[d] == c.shape()[d];
    if (whole) end_mask |= std::int64_t{1} << d;
    begins.push_back(starts[d]);
    ends.push_back(whole ? Dim(0) : limits[d]);
  }
  TENON_ASSIGN_OR_RETURN(const std::string begin, c.w.ShapeVector(Shape(begins)));
  TENON_ASSIGN_OR_RETURN(const std::string end, c.w.ShapeVector(Shape(ends)));
  c.Set(c.w.Emit("StridedSlice", {c.in(0), begin, end, c.w.Ints(strides)},
                 {{"T", TypeAttr(c.dtype())},
                  {"Index", TypeAttr(DType::kI32)},
                  {"begin_mask", IntAttr(begin_mask)},
                  {"end_mask", IntAttr(end_mask)}},
                 c.name()));
  return {};
}

Status Reverse(WriteContext& c) {
  c.Set(c.w.Emit("ReverseV2", {c.in(0), c.w.Ints(c.attrs().Ints("axes"))},
                 {{"T", TypeAttr(c.dtype())}, {"Tidx", TypeAttr(DType::kI32)}}, c.name()));
  return {};
}

Status Pad(WriteContext& c) {
  const Shape &low = c.attrs().Dims("low"), &high = c.attrs().Dims("high");
  std::vector<Dim> flat;
  for (int d = 0; d < low.rank(); ++d) {
    flat.push_back(low[d]);
    flat.push_back(high[d]);
  }
  TENON_ASSIGN_OR_RETURN(const std::string vector, c.w.ShapeVector(Shape(flat)));
  const std::string amounts = c.w.Emit("Reshape", {vector, c.w.Ints({low.rank(), 2})},
                                       {{"T", TypeAttr(DType::kI32)}, {"Tshape", TypeAttr(DType::kI32)}});
  Attrs attrs{{"T", TypeAttr(c.dtype())}, {"Tpaddings", TypeAttr(DType::kI32)}};
  const std::string& mode = c.attrs().String("mode");
  if (mode == "constant") {
    c.Set(c.w.Emit("PadV2", {c.in(0), amounts, c.w.Scalar(c.attrs().Float("value"), c.dtype())}, std::move(attrs),
                   c.name()));
  } else {
    attrs["mode"] = StringAttr(mode == "reflect" ? "REFLECT" : "SYMMETRIC");
    c.Set(c.w.Emit("MirrorPad", {c.in(0), amounts}, std::move(attrs), c.name()));
  }
  return {};
}
bool CanPad(const ir::Graph&, const ir::Node& node) {
  const std::string& mode = node.attrs.String("mode");
  return mode == "constant" || mode == "reflect" || mode == "symmetric";
}

Status ExpandDims(WriteContext& c) {
  Longs axes = c.attrs().Ints("axes");
  const int rank = c.rank() + static_cast<int>(axes.size());
  for (std::int64_t& axis : axes) axis += axis < 0 ? rank : 0;
  std::ranges::sort(axes);
  std::string value = c.in(0);
  for (const std::int64_t axis : axes)
    value =
        c.w.Emit("ExpandDims", {value, c.w.Int(axis)}, {{"T", TypeAttr(c.dtype())}, {"Tdim", TypeAttr(DType::kI32)}},
                 axis == axes.back() ? c.name() : "");
  c.Set(value);
  return {};
}
bool CanExpandDims(const ir::Graph& graph, const ir::Node& node) {
  return graph.type(node.inputs[0]).has_rank() && !node.attrs.Ints("axes").empty();
}

Status Squeeze(WriteContext& c) {
  c.Set(c.w.Emit("Squeeze", {c.in(0)}, {{"T", TypeAttr(c.dtype())}, {"squeeze_dims", IntsAttr(c.attrs().Ints("axes"))}},
                 c.name()));
  return {};
}

Status Tile(WriteContext& c) {
  TENON_ASSIGN_OR_RETURN(const std::string repeats, c.w.ShapeVector(c.attrs().Dims("repeats")));
  c.Set(c.w.Emit("Tile", {c.in(0), repeats}, {{"T", TypeAttr(c.dtype())}, {"Tmultiples", TypeAttr(DType::kI32)}},
                 c.name()));
  return {};
}

Status ShapeOf(WriteContext& c) {
  c.Set(c.w.Emit("Shape", {c.in(0)}, {{"T", TypeAttr(c.dtype())}, {"out_type", TypeAttr(c.attrs().Dtype("dtype"))}},
                 c.name()));
  return {};
}

/// A range along one axis, broadcast over the others.
Status Iota(WriteContext& c) {
  const Shape& dims = c.attrs().Dims("dims");
  const DType dtype = c.attrs().Dtype("dtype");
  std::int64_t axis = c.attrs().Int("axis");
  axis += axis < 0 ? dims.rank() : 0;
  TENON_ASSIGN_OR_RETURN(const std::string size, c.w.DimScalar(dims[static_cast<int>(axis)]));
  std::string value = c.w.Emit("Range", {c.w.Int(0), size, c.w.Int(1)}, {{"Tidx", TypeAttr(DType::kI32)}});
  if (dtype != DType::kI32)
    value = c.w.Emit("Cast", {value}, {{"SrcT", TypeAttr(DType::kI32)}, {"DstT", TypeAttr(dtype)}});
  if (dims.rank() > 1) {
    Longs column(static_cast<std::size_t>(dims.rank()), 1);
    column[static_cast<std::size_t>(axis)] = -1;
    value = c.w.Emit("Reshape", {value, c.w.Ints(column)}, {{"T", TypeAttr(dtype)}, {"Tshape", TypeAttr(DType::kI32)}});
    TENON_ASSIGN_OR_RETURN(const std::string shape, c.w.ShapeVector(dims));
    value = c.w.Emit("BroadcastTo", {value, shape}, {{"T", TypeAttr(dtype)}, {"Tidx", TypeAttr(DType::kI32)}});
  }
  c.Set(value);
  return {};
}

/// Indices as the gathers of TensorFlow want them: never negative. Ours count from the end, of `size`.
Result<std::string> FromFront(WriteContext& c, int input, const Dim& size) {
  if (const Literal* known = c.constant(input); known != nullptr) {
    const std::vector<std::int64_t> indices = ir::ToInts(*known);
    if (std::ranges::all_of(indices, [](std::int64_t i) { return i >= 0; })) return c.in(input);
  }
  const DType dtype = c.dtype(input);
  TENON_ASSIGN_OR_RETURN(std::string count, c.w.DimScalar(size));
  if (dtype != DType::kI32)
    count = c.w.Emit("Cast", {count}, {{"SrcT", TypeAttr(DType::kI32)}, {"DstT", TypeAttr(dtype)}});
  const Attrs attrs{{"T", TypeAttr(dtype)}};
  const std::string negative = c.w.Emit("Less", {c.in(input), c.w.Scalar(0, dtype)}, attrs);
  return c.w.Emit("SelectV2", {negative, c.w.Emit("AddV2", {c.in(input), count}, attrs), c.in(input)}, attrs);
}

Status Gather(WriteContext& c) {
  if (!c.type().has_rank()) return c.Unsupported("a value of unknown rank");
  const std::int64_t axis = c.attrs().Int("axis");
  TENON_ASSIGN_OR_RETURN(const std::string indices, FromFront(c, 1, c.shape()[static_cast<int>(axis)]));
  c.Set(c.w.Emit("GatherV2", {c.in(0), indices, c.w.Int(axis)},
                 {{"Tparams", TypeAttr(c.dtype())},
                  {"Tindices", TypeAttr(c.dtype(1))},
                  {"Taxis", TypeAttr(DType::kI32)},
                  {"batch_dims", IntAttr(c.attrs().Int("batch_dims"))}},
                 c.name()));
  return {};
}
bool CanGather(const ir::Graph& graph, const ir::Node& node) {
  const DType dtype = graph.type(node.inputs[1]).dtype();
  return dtype == DType::kI32 || dtype == DType::kI64;
}

/// Input 1 as index tuples that count from the front, as TensorFlow wants them.
Result<std::string> TuplesFromFront(WriteContext& c) {
  const Literal* const known = c.constant(1);
  if (known != nullptr && std::ranges::none_of(ir::ToInts(*known), [](std::int64_t i) { return i < 0; }))
    return c.in(1);
  if (!c.type().has_rank() || !c.type(1).has_rank() || c.shape(1).back().is_symbolic())
    return c.Unsupported("indices of unknown length");
  // The sizes of the indexed dims, as a vector beside the last axis of the indices.
  std::vector<Dim> sizes;
  for (int d = 0; d < static_cast<int>(c.shape(1).back().value()); ++d) sizes.push_back(c.shape()[d]);
  TENON_ASSIGN_OR_RETURN(std::string count, c.w.ShapeVector(Shape(sizes)));
  if (c.dtype(1) != DType::kI32)
    count = c.w.Emit("Cast", {count}, {{"SrcT", TypeAttr(DType::kI32)}, {"DstT", TypeAttr(c.dtype(1))}});
  const Attrs attrs{{"T", TypeAttr(c.dtype(1))}};
  const std::string negative = c.w.Emit("Less", {c.in(1), c.w.Scalar(0, c.dtype(1))}, attrs);
  return c.w.Emit("SelectV2", {negative, c.w.Emit("AddV2", {c.in(1), count}, attrs), c.in(1)}, attrs);
}

Status GatherNd(WriteContext& c) {
  TENON_ASSIGN_OR_RETURN(const std::string indices, TuplesFromFront(c));
  c.Set(c.w.Emit("GatherNd", {c.in(0), indices}, {{"Tparams", TypeAttr(c.dtype())}, {"Tindices", TypeAttr(c.dtype(1))}},
                 c.name()));
  return {};
}

/// Rows added along axis 0.
Status ScatterAdd(WriteContext& c) {
  TENON_ASSIGN_OR_RETURN(const std::string indices, FromFront(c, 1, c.shape()[0]));
  const std::string column =
      c.w.Emit("ExpandDims", {indices, c.w.Int(-1)}, {{"T", TypeAttr(c.dtype(1))}, {"Tdim", TypeAttr(DType::kI32)}});
  c.Set(c.w.Emit("TensorScatterAdd", {c.in(0), column, c.in(2)},
                 {{"T", TypeAttr(c.dtype())}, {"Tindices", TypeAttr(c.dtype(1))}}, c.name()));
  return {};
}
bool CanScatterAdd(const ir::Graph& graph, const ir::Node& node) {
  return node.attrs.Int("axis") == 0 && CanGather(graph, node);
}

Status ScatterNdAdd(WriteContext& c) {
  TENON_ASSIGN_OR_RETURN(const std::string indices, TuplesFromFront(c));
  c.Set(c.w.Emit("TensorScatterAdd", {c.in(0), indices, c.in(2)},
                 {{"T", TypeAttr(c.dtype())}, {"Tindices", TypeAttr(c.dtype(1))}}, c.name()));
  return {};
}

Status OneHot(WriteContext& c) {
  const DType dtype = c.attrs().Dtype("dtype");
  std::string indices = c.in(0);
  DType index = c.dtype();
  if (index != DType::kI32 && index != DType::kI64 && index != DType::kU8) {
    indices = c.w.Emit("Cast", {indices}, {{"SrcT", TypeAttr(index)}, {"DstT", TypeAttr(DType::kI64)}});
    index = DType::kI64;
  }
  c.Set(c.w.Emit("OneHot",
                 {indices, c.w.Int(c.attrs().Int("depth")), c.w.Scalar(c.attrs().Float("on_value"), dtype),
                  c.w.Scalar(c.attrs().Float("off_value"), dtype)},
                 {{"T", TypeAttr(dtype)}, {"TI", TypeAttr(index)}, {"axis", IntAttr(c.attrs().Int("axis"))}},
                 c.name()));
  return {};
}
/// The op wants axis -1 or one counted from the front.
bool CanOneHot(const ir::Graph&, const ir::Node& node) { return node.attrs.Int("axis") >= -1; }

Status TopK(WriteContext& c) {
  const std::string node =
      c.w.Node("TopKV2", {c.in(0), c.w.Int(c.attrs().Int("k"))},
               {{"T", TypeAttr(c.dtype())}, {"sorted", BoolAttr(c.attrs().Bool("sorted"))}}, c.name());
  c.Set(0, node + ":values:0");
  c.Set(1, c.w.Emit("Cast", {node + ":indices:0"}, {{"SrcT", TypeAttr(DType::kI32)}, {"DstT", TypeAttr(DType::kI64)}}));
  return {};
}
bool CanTopK(const ir::Graph& graph, const ir::Node& node) {
  const ir::Type& type = graph.type(node.inputs[0]);
  const std::int64_t axis = node.attrs.Int("axis");
  return node.attrs.Int("k") >= 0 && node.attrs.Bool("largest") &&
         (axis == -1 || (type.has_rank() && axis == type.rank() - 1));
}

Status NonZero(WriteContext& c) {  // [n, rank] -> [rank, n]
  const std::string where = c.w.Emit("Where", {c.in(0)}, {{"T", TypeAttr(c.dtype())}});
  c.Set(c.w.Emit("Transpose", {where, c.w.Ints({1, 0})},
                 {{"T", TypeAttr(DType::kI64)}, {"Tperm", TypeAttr(DType::kI32)}}, c.name()));
  return {};
}

constexpr WriteRule kRules[] = {
    {"reshape", Reshape},
    {"transpose", Transpose},
    {"broadcast_to", BroadcastTo},
    {"broadcast_like", BroadcastLike},
    {"sum_like", SumLike},
    {"concat", Concat},
    {"split", Split},
    {"slice", Slice},
    {"reverse", Reverse},
    {"pad", Pad, CanPad},
    {"expand_dims", ExpandDims, CanExpandDims},
    {"squeeze", Squeeze},
    {"tile", Tile},
    {"shape_of", ShapeOf},
    {"iota", Iota},
    {"gather", Gather, CanGather},
    {"gather_nd", GatherNd, CanGather},
    {"scatter_add", ScatterAdd, CanScatterAdd},
    {"scatter_nd_add", ScatterNdAdd, CanGather},
    {"one_hot", OneHot, CanOneHot},
    {"top_k", TopK, CanTopK},
    {"nonzero", NonZero},
};

}  // namespace

std::span<const WriteRule> WriteArrayRules() { return kRules; }

}  // namespace tenon::savedmodel
