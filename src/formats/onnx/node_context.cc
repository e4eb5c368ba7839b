#include "formats/onnx/node_context.h"

#include <fmt/format.h>

#include <algorithm>

#include "formats/onnx/translator.h"
#include "ir/numeric.h"

namespace tenon::onnx {

NodeContext::NodeContext(Translator& translator, const Scope& scope, ir::Builder& builder, const Node& onnx_node,
                         const OpRow& op, std::int64_t opset_version, std::vector<Value> values)
    : b(builder),
      node(onnx_node),
      row(op),
      opset(opset_version),
      translator_(translator),
      scope_(scope),
      inputs_(std::move(values)),
      first_(builder.graph().size()) {}

void NodeContext::Out(int i, Value v) {
  if (static_cast<int>(outputs_.size()) <= i) outputs_.resize(static_cast<std::size_t>(i) + 1);
  outputs_[static_cast<std::size_t>(i)] = v;
}

void NodeContext::OutMap(int i, Value keys, Value values) {
  Out(i, values);
  output_maps_.emplace_back(i, keys);
}

Status NodeContext::Fail(std::string_view message) const {
  return Status(Code::kInvalidArgument, std::string(message));
}
Status NodeContext::Unsupported(std::string_view message) const {
  return Status(Code::kUnimplemented, fmt::format("{} is not supported", message));
}

Result<Shape> NodeContext::ShapeOf(Value v) const {
  TENON_RETURN_IF_ERROR(b.status());
  if (!b.type(v).is_tensor()) return Fail(fmt::format("got a {}, expected a tensor", b.type(v).to_string()));
  if (!b.ranked(v)) return Unsupported("an input of unknown rank");
  return b.shape(v);
}

Result<int> NodeContext::Rank(Value v) const {
  TENON_ASSIGN_OR_RETURN(const Shape shape, ShapeOf(v));
  return shape.rank();
}

Result<int> NodeContext::Axis(std::int64_t axis, int rank) const {
  if (axis < -rank || axis >= rank) return Fail(fmt::format("axis {} is outside of [{}, {})", axis, -rank, rank));
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

Result<Ints> NodeContext::Axes(const Ints& axes, int rank) const {
  Ints out;
  for (const std::int64_t axis : axes) {
    TENON_ASSIGN_OR_RETURN(const int a, Axis(axis, rank));
    if (std::find(out.begin(), out.end(), a) != out.end()) return Fail(fmt::format("axis {} is given twice", axis));
    out.push_back(a);
  }
  return out;
}

const Attribute* NodeContext::Find(std::string_view name) const {
  for (const Attribute& attribute : node.attributes) {
    if (attribute.name != name) continue;
    if (attribute.ref_attr_name.empty()) return &attribute;
    if (scope_.attributes == nullptr) return nullptr;
    const auto found = scope_.attributes->find(attribute.ref_attr_name);
    return found == scope_.attributes->end() ? nullptr : found->second;
  }
  return nullptr;
}

std::int64_t NodeContext::Int(std::string_view name, std::int64_t otherwise) const {
  const Attribute* found = Find(name);
  return found == nullptr || found->ints.empty() ? otherwise : found->ints[0];
}
double NodeContext::Float(std::string_view name, double otherwise) const {
  const Attribute* found = Find(name);
  // A default is an f32 as well: written out it must not change.
  return static_cast<double>(found == nullptr || found->floats.empty() ? static_cast<float>(otherwise)
                                                                       : found->floats[0]);
}
std::string NodeContext::String(std::string_view name, std::string_view otherwise) const {
  const Attribute* found = Find(name);
  return found == nullptr || found->strings.empty() ? std::string(otherwise) : found->strings[0];
}
Ints NodeContext::IntList(std::string_view name) const {
  const Attribute* found = Find(name);
  return found == nullptr ? Ints() : found->ints;
}
std::vector<double> NodeContext::FloatList(std::string_view name) const {
  const Attribute* found = Find(name);
  return found == nullptr ? std::vector<double>() : std::vector<double>(found->floats.begin(), found->floats.end());
}
std::vector<std::string> NodeContext::StringList(std::string_view name) const {
  const Attribute* found = Find(name);
  return found == nullptr ? std::vector<std::string>() : found->strings;
}
Result<Literal> NodeContext::TensorAttr(std::string_view name) const {
  const Attribute* found = Find(name);
  if (found != nullptr && !found->tensors.empty()) return translator_.reader().Read(found->tensors[0]);
  if (found != nullptr && !found->sparse_tensors.empty()) return translator_.reader().Read(found->sparse_tensors[0]);
  return Fail(fmt::format("the attribute \"{}\" is missing", name));
}

std::optional<Literal> NodeContext::Const(Value v) const { return Translator::ConstantOf(b.graph(), v); }

std::optional<Literal> NodeContext::FoldNow(Value v) const {
  if (!b.ok() || !v.valid()) return std::nullopt;
  std::vector<Value> values = {v};
  translator_.Fold(b.graph(), first_, &values);
  return Const(values[0]);
}

Result<Ints> NodeContext::NeedInts(int i, std::string_view what) const {
  const std::optional<Literal> value = Const(i);
  if (!value) return Unsupported(fmt::format("{} that is computed when the model runs", what));
  if (!is_integer(value->dtype()) || value->rank() > 1)
    return Fail(fmt::format("{}: got {}, expected integers", what, value->to_string()));
  return ir::ToInts(*value);
}

Result<std::int64_t> NodeContext::NeedInt(int i, std::string_view what) const {
  const std::optional<Literal> value = Const(i);
  if (!value) return Unsupported(fmt::format("{} that is computed when the model runs", what));
  if (value->size() != 1 || !is_integer(value->dtype()))
    return Fail(fmt::format("{}: got {}, expected one integer", what, value->to_string()));
  return ir::ToInts(*value)[0];
}

Result<double> NodeContext::NeedFloat(int i, std::string_view what) const {
  const std::optional<Literal> value = Const(i);
  if (!value) return Unsupported(fmt::format("{} that is computed when the model runs", what));
  if (value->size() != 1 || value->dtype() == DType::kString)
    return Fail(fmt::format("{}: got {}, expected one number", what, value->to_string()));
  return value->at(0);
}

std::optional<std::vector<Dim>> NodeContext::Symbolic(Value v) const {
  if (!v.valid()) return std::nullopt;
  if (const ir::SymbolicValue& symbolic = b.graph().output(v).symbolic) return symbolic;
  const std::optional<Literal> value = Const(v);
  if (!value || !is_integer(value->dtype()) || value->rank() > 1 || value->size() > 64) return std::nullopt;
  std::vector<Dim> dims;
  for (const std::int64_t element : ir::ToInts(*value)) dims.emplace_back(element);
  return dims;
}

Value NodeContext::IntVector(const Ints& values) const {
  return b.Constant(
      Literal::from<std::int64_t>({static_cast<std::int64_t>(values.size())}, std::span<const std::int64_t>(values)));
}

Value NodeContext::ShapeValue(Value v) const { return b.Add("shape_of", {v}); }

Ex NodeContext::Broadcast(Value v, std::vector<Dim> dims) const {
  return {&b, b.Add("broadcast_to", {v}, {{"dims", Shape(std::move(dims))}})};
}

Ex NodeContext::SliceAxis(Value v, int axis, Dim start, Dim limit) const {
  if (!b.ok()) return {&b, {}};
  const Shape shape = b.shape(v);
  std::vector<Dim> starts(static_cast<std::size_t>(shape.rank()), Dim(0)), limits = shape.dims();
  starts[static_cast<std::size_t>(axis)] = std::move(start);
  limits[static_cast<std::size_t>(axis)] = std::move(limit);
  return {&b, b.Add("slice", {v}, {{"starts", Shape(std::move(starts))}, {"limits", Shape(std::move(limits))}})};
}

Ex NodeContext::Iota(Dim count, DType dtype) const {
  return {&b, b.Add("iota", {}, {{"dims", Shape({std::move(count)})}, {"axis", std::int64_t{0}}, {"dtype", dtype}})};
}

}  // namespace tenon::onnx
