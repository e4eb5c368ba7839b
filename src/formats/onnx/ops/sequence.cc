// Sequences. One whose items are known while translating needs no sequence at all.
#include <fmt/format.h>

#include "formats/onnx/data_type.h"
#include "formats/onnx/ops/families.h"
#include "formats/onnx/translator.h"
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
    if (!index || index->size() != 1) return std::nullopt;
    at = ir::ToInts(*index)[0];
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
  if (items && index && index->size() == 1) {
    const std::int64_t size = static_cast<std::int64_t>(items->size()), i = ir::ToInts(*index)[0];
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
  if (!n.HasAttr("axis")) return n.Fail("the attribute \"axis\" is missing");
  const std::int64_t new_axis = n.Int("new_axis", 0);
  if (new_axis != 0 && new_axis != 1) return n.Fail(fmt::format("new_axis is {}, expected 0 or 1", new_axis));
  const bool stack = new_axis != 0;
  const std::optional<std::vector<Value>> items = Items(n, n.in(0));
  bool ranked = items && !items->empty();
  for (const Value item : items.value_or(std::vector<Value>())) ranked = ranked && n.b.ranked(item);
  if (!ranked) {
    n.Out(0, n.Add("sequence_concat", {n.in(0)}, {{"axis", n.Int("axis", 0)}, {"new_axis", stack}}));
    return {};
  }
  std::vector<Value> parts;
  TENON_ASSIGN_OR_RETURN(const int rank, n.Rank(items->front()));
  TENON_ASSIGN_OR_RETURN(const int axis, n.Axis(n.Int("axis", 0), rank + (stack ? 1 : 0)));
  for (const Value item : *items) parts.push_back(stack ? n.Add("expand_dims", {item}, {{"axes", Ints{axis}}}) : item);
  n.Out(0, n.Add("concat", std::move(parts), {{"axis", std::int64_t{axis}}}));
  return {};
}

// `split` is one size for all or a list; without it each part has one element. Parts of a known size become slices.
Status SplitTo(NodeContext& n) {
  const auto at_run_time = [&] {
    n.Out(0, n.Add("sequence_split", {n.in(0), IndexOf(n, 1)},
                   {{"axis", n.Int("axis", 0)}, {"keep_dims", n.has(1) || n.Int("keepdims", 1) != 0}}));
    return Status();
  };
  constexpr std::int64_t kMostSlices = 1024;
  if (!n.b.ranked(n.in(0))) return at_run_time();
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(0)));
  TENON_ASSIGN_OR_RETURN(const int axis, n.Axis(n.Int("axis", 0), shape.rank()));
  if (shape[axis].is_symbolic() || (n.has(1) && !n.Const(1)) || shape[axis].value() > kMostSlices ||
      shape[axis] == Dim(0))
    return at_run_time();
  const std::int64_t whole = shape[axis].value();
  Ints sizes;
  std::int64_t part = 1;
  if (n.has(1)) {
    const std::optional<Literal> split = n.Const(1);
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

bool IsOptional(NodeContext& n, Value v) { return n.b.type(v).kind() == ir::Type::Kind::kOptional; }
// What an optional made in this graph holds; an invalid Value for one that only the run knows.
Value Held(NodeContext& n, Value optional) {
  const ir::Node& node = n.b.graph().node(optional);
  return node.op->name == "optional_some" ? node.inputs[0] : Value();
}

// A tensor or sequence stands for an optional that is there.
Status HasElement(NodeContext& n) {
  const bool known = !n.has(0) || !IsOptional(n, n.in(0)) || Held(n, n.in(0)).valid();
  n.Out(0, known ? n.b.Constant(Literal::scalar(n.has(0))) : n.Add("optional_has_value", {n.in(0)}));
  return {};
}
Status GetElement(NodeContext& n) {
  if (!IsOptional(n, n.in(0))) {
    n.Out(0, n.in(0));
  } else if (const Value held = Held(n, n.in(0)); held.valid()) {
    n.Out(0, held);
  } else {
    n.Out(0, n.Add("optional_value", {n.in(0)}));
  }
  return {};
}
Status OptionalOf(NodeContext& n) {
  if (n.has(0)) {
    n.Out(0, n.Add("optional_some", {n.in(0)}));
    return {};
  }
  const Attribute* type = n.Find("type");
  if (type == nullptr || type->types.size() != 1) return n.Fail("got neither an input nor the attribute \"type\"");
  TENON_ASSIGN_OR_RETURN(const ir::Type element, ReadType(type->types[0], n.translator().dims()));
  n.Out(0, n.Add("optional_none", {}, {{"element", element.to_string()}}));
  return {};
}

// SequenceMap is a Loop over the positions: the body reads the items there and puts its results behind those so far.
Status Map(NodeContext& n) {
  const Attribute* body = n.Find("body");
  if (body == nullptr || body->graphs.size() != 1) return n.Fail("the attribute \"body\" is missing");
  const Graph& inner = body->graphs[0];
  if (static_cast<int>(inner.inputs.size()) != n.num_inputs() ||
      static_cast<int>(inner.outputs.size()) != n.num_outputs())
    return n.Fail(fmt::format("a body of {} inputs and {} outputs for a node of {} and {}", inner.inputs.size(),
                              inner.outputs.size(), n.num_inputs(), n.num_outputs()));
  if (n.b.type(n.in(0)).kind() != ir::Type::Kind::kSequence) return n.Fail("input 0 is no sequence");
  const auto simple = [](std::string_view op, std::vector<std::string> in, std::string out) {
    Node node;
    node.op_type = op;
    node.inputs = std::move(in);
    node.outputs = {std::move(out)};
    return node;
  };
  // The names that the Loop adds; the file's own cannot begin so by accident.
  const std::string mark = "__sequence_map/";
  Graph step;
  step.name = inner.name;
  for (const char* name : {"index", "go"}) step.inputs.emplace_back().name = mark + name;
  for (std::size_t i = 0; i < inner.outputs.size(); ++i)
    step.inputs.emplace_back().name = fmt::format("{}so_far{}", mark, i);
  for (std::size_t i = 0; i < inner.inputs.size(); ++i) {
    const std::string from = fmt::format("{}in{}", mark, i);
    const bool sequence = n.b.type(n.in(static_cast<int>(i))).kind() == ir::Type::Kind::kSequence;
    step.nodes.push_back(sequence ? simple("SequenceAt", {from, mark + "index"}, inner.inputs[i].name)
                                  : simple("Identity", {from}, inner.inputs[i].name));
  }
  step.nodes.insert(step.nodes.end(), inner.nodes.begin(), inner.nodes.end());
  step.initializers = inner.initializers;
  step.sparse_initializers = inner.sparse_initializers;
  step.nodes.push_back(simple("Identity", {mark + "go"}, mark + "go_on"));
  step.outputs.emplace_back().name = mark + "go_on";
  Node loop;
  loop.op_type = "Loop";
  loop.name = n.node.name;
  for (std::size_t i = 0; i < inner.outputs.size(); ++i) {
    const std::string now = fmt::format("{}now{}", mark, i);
    step.nodes.push_back(simple("SequenceInsert", {fmt::format("{}so_far{}", mark, i), inner.outputs[i].name}, now));
    step.outputs.emplace_back().name = now;
    loop.outputs.push_back(n.node.outputs[i]);
  }
  Attribute attribute;
  attribute.name = "body";
  attribute.type = AttributeType::kGraph;
  attribute.graphs.push_back(std::move(step));
  loop.attributes.push_back(std::move(attribute));
  // What the body makes, to know the dtypes of the sequences: one step, translated and thrown away.
  Scope scope;
  scope.frame = n.scope().frame;
  scope.outer = &n.scope();
  scope.imports = n.scope().imports;
  scope.attributes = n.scope().attributes;
  for (int i = 0; i < n.num_inputs(); ++i) {
    if (!n.has(i)) return n.Fail(fmt::format("input {} is left out", i));
    scope.values[loop.attributes[0].graphs[0].nodes[static_cast<std::size_t>(i)].inputs[0]] = n.in(i);
  }
  std::vector<ir::Output> items;
  for (int i = 0; i < n.num_inputs(); ++i) {
    const ir::Type& type = n.b.type(n.in(i));
    items.emplace_back().type = type.kind() == ir::Type::Kind::kSequence ? type.element() : type;
  }
  TENON_ASSIGN_OR_RETURN(const Body once, n.translator().TranslateBody(inner, n.scope(), std::move(items)));
  std::vector<Value> operands = {n.Add("sequence_length", {n.in(0)}), n.b.Constant(Literal::scalar(true))};
  for (const Value v : once.outputs) {
    const ir::Type& type = once.frame->graph.type(v);
    if (!type.is_tensor()) return n.Fail(fmt::format("the body makes a {}, expected a tensor", type.to_string()));
    operands.push_back(n.Add("sequence_empty", {}, {{"dtype", type.dtype()}}));
  }
  const OpRow* row = FindRow("", "Loop");
  NodeContext context(n.translator(), scope, n.b, loop, *row, n.opset, std::move(operands));
  TENON_RETURN_IF_ERROR(row->translate(context));
  for (std::size_t i = 0; i < context.outputs().size(); ++i) n.Out(static_cast<int>(i), context.outputs()[i]);
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
    {"SequenceMap", 1, -1, -1, "body:g", Map},
};

}  // namespace
const std::span<const OpRow> kSequenceRows = kRows;
}  // namespace tenon::onnx
