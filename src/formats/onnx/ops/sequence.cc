// Sequences. One whose items are known while translating needs no sequence at all.
#include <fmt/format.h>

#include "formats/onnx/data_type.h"
#include "formats/onnx/ops/families.h"
#include "ir/numeric.h"

namespace tenon::onnx {
namespace {

// The items of a sequence that was made by constructing and inserting at known places.
std::optional<std::vector<Value>> Items(NodeContext& n, Value sequence, int depth = 0) {
  if (!n.b.ok() || !sequence.valid() || depth > 1000) return std::nullopt;
  const ir::Node& node = n.b.graph().node(sequence);
  if (node.op->name == "sequence_construct") return node.inputs;
  if (node.op->name == "sequence_empty") return std::vector<Value>();
  const bool insert = node.op->name == "sequence_insert", erase = node.op->name == "sequence_erase";
  if (!insert && !erase) return std::nullopt;
  std::optional<std::vector<Value>> items = Items(n, node.inputs[0], depth + 1);
  if (!items) return std::nullopt;
  const std::size_t place = insert ? 2 : 1;
  const auto size = static_cast<std::int64_t>(items->size());
  std::int64_t at = insert ? size : size - 1;
  if (place < node.inputs.size() && node.inputs[place].valid()) {
    const std::optional<Literal> index = n.Const(node.inputs[place]);
    if (!index) return std::nullopt;
    at = static_cast<std::int64_t>(index->at(0));
    if (at < 0) at += size;
  }
  if (at < 0 || at > size || (erase && at == size)) return std::nullopt;
  if (insert) items->insert(items->begin() + at, node.inputs[1]);
  if (erase) items->erase(items->begin() + at);
  return items;
}

Status Construct(NodeContext& n) {
  n.Out(0, n.Add("sequence_construct", n.inputs()));
  return {};
}

Status Empty(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const DType dtype, ToDType(static_cast<DataTypeNumber>(n.Int("dtype", kFloat))));
  n.Out(0, n.Add("sequence_empty", {}, {{"dtype", dtype}}));
  return {};
}

Value IndexOf(NodeContext& n, int i) { return n.has(i) ? n.b.Cast(n.in(i), DType::kI64) : Value(); }

Status At(NodeContext& n) {
  const std::optional<std::vector<Value>> items = Items(n, n.in(0));
  const std::optional<Literal> index = n.Const(1);
  if (items && index) {
    const auto size = static_cast<std::int64_t>(items->size()), i = static_cast<std::int64_t>(index->at(0));
    if (i < -size || i >= size) return n.Fail(fmt::format("position {} in a sequence of {}", i, size));
    n.Out(0, (*items)[static_cast<std::size_t>(i < 0 ? i + size : i)]);
    return {};
  }
  n.Out(0, n.Add("sequence_at", {n.in(0), IndexOf(n, 1)}));
  return {};
}

Status Length(NodeContext& n) {
  if (const std::optional<std::vector<Value>> items = Items(n, n.in(0))) {
    n.Out(0, n.b.Constant(Literal::scalar(static_cast<std::int64_t>(items->size()))));
  } else {
    n.Out(0, n.Add("sequence_length", {n.in(0)}));
  }
  return {};
}

Status Insert(NodeContext& n) {
  n.Out(0, n.Add("sequence_insert", {n.in(0), n.in(1), IndexOf(n, 2)}));
  return {};
}
Status Erase(NodeContext& n) {
  n.Out(0, n.Add("sequence_erase", {n.in(0), IndexOf(n, 1)}));
  return {};
}

Status ConcatFrom(NodeContext& n) {
  const std::optional<std::vector<Value>> items = Items(n, n.in(0));
  if (!items || items->empty()) return n.Unsupported("a sequence whose items only the run knows");
  const bool stack = n.Int("new_axis", 0) != 0;
  if (!n.HasAttr("axis")) return n.Fail("the attribute \"axis\" is missing");
  std::vector<Value> parts;
  TENON_ASSIGN_OR_RETURN(const int rank, n.Rank(items->front()));
  TENON_ASSIGN_OR_RETURN(const int axis, n.Axis(n.Int("axis", 0), rank + (stack ? 1 : 0)));
  for (const Value item : *items) parts.push_back(stack ? n.Add("expand_dims", {item}, {{"axes", Ints{axis}}}) : item);
  n.Out(0, n.Add("concat", std::move(parts), {{"axis", std::int64_t{axis}}}));
  return {};
}

// Parts of a known size: `split` is one size for all or a list; without it each part has one element.
Status SplitTo(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(0)));
  TENON_ASSIGN_OR_RETURN(const int axis, n.Axis(n.Int("axis", 0), shape.rank()));
  if (shape[axis].is_symbolic()) return n.Unsupported("splitting an axis of unknown size");
  const std::int64_t whole = shape[axis].value();
  Ints sizes;
  std::int64_t part = 1;
  if (n.has(1)) {
    const std::optional<Literal> split = n.Const(1);
    if (!split) return n.Unsupported("sizes that are computed when the model runs");
    sizes = ir::ToInts(*split);
    if (split->rank() == 0) {
      part = sizes[0];
      sizes.clear();
    }
  }
  if (part < 1) return n.Fail(fmt::format("parts of {}", part));
  if (!n.has(1) || n.Const(1)->rank() == 0)
    for (std::int64_t at = 0; at < whole; at += part) sizes.push_back(std::min(part, whole - at));
  std::vector<Value> items;
  std::int64_t at = 0;
  for (const std::int64_t size : sizes) {
    if (size < 0 || size > whole - at) return n.Fail("the parts do not fit the axis");
    const Ex piece = n.SliceAxis(n.in(0), axis, at, at + size);
    const bool drop = !n.has(1) && n.Int("keepdims", 1) == 0;
    items.push_back(drop ? n.Add("squeeze", {piece}, {{"axes", Ints{axis}}}) : piece.v);
    at += size;
  }
  if (at != whole) return n.Fail(fmt::format("the parts add up to {}, expected {}", at, whole));
  n.Out(0, n.Add("sequence_construct", std::move(items)));
  return {};
}

// A tensor or sequence stands for an optional that is there.
Status HasElement(NodeContext& n) {
  if (n.num_inputs() == 0) {
    n.Out(0, n.b.Constant(Literal::scalar(false)));
    return {};
  }
  if (n.b.type(n.in(0)).kind() == ir::Type::Kind::kOptional)
    return n.Unsupported("an optional that only the run knows");
  n.Out(0, n.b.Constant(Literal::scalar(true)));
  return {};
}
Status GetElement(NodeContext& n) {
  if (n.b.type(n.in(0)).kind() == ir::Type::Kind::kOptional)
    return n.Unsupported("an optional that only the run knows");
  n.Out(0, n.in(0));
  return {};
}
Status OptionalOf(NodeContext& n) {
  if (n.num_inputs() == 0) return n.Unsupported("an empty optional");
  n.Out(0, n.in(0));
  return {};
}

const OpRow kRows[] = {
    {"SequenceConstruct", 1, -1, 1, "", Construct},
    {"SequenceEmpty", 0, 0, 1, "dtype:i", Empty},
    {"SequenceAt", 2, 2, 1, "", At},
    {"SequenceLength", 1, 1, 1, "", Length},
    {"SequenceInsert", 2, 3, 1, "", Insert},
    {"SequenceErase", 1, 2, 1, "", Erase},
    {"ConcatFromSequence", 1, 1, 1, "axis:i new_axis:i", ConcatFrom},
    {"SplitToSequence", 1, 2, 1, "axis:i keepdims:i", SplitTo},
    {"OptionalHasElement", 0, 1, 1, "", HasElement},
    {"OptionalGetElement", 1, 1, 1, "", GetElement},
    {"Optional", 0, 1, 1, "type:tp", OptionalOf},
};

}  // namespace
const std::span<const OpRow> kSequenceRows = kRows;
}  // namespace tenon::onnx
