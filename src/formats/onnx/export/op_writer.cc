// What writers of single ops ask for.
#include <fmt/format.h>

#include <algorithm>

#include "formats/onnx/export/exporter.h"
#include "ir/builder.h"
#include "ir/numeric.h"

namespace tenon::onnx {
namespace {

Attribute Named(std::string name, AttributeType type) {
  Attribute attribute;
  attribute.name = std::move(name);
  attribute.type = type;
  return attribute;
}

}  // namespace

Attribute FloatAttribute(std::string name, double value) {
  Attribute attribute = Named(std::move(name), AttributeType::kFloat);
  attribute.floats = {static_cast<float>(value)};
  return attribute;
}
Attribute IntAttribute(std::string name, std::int64_t value) {
  Attribute attribute = Named(std::move(name), AttributeType::kInt);
  attribute.ints = {value};
  return attribute;
}
Attribute IntsAttribute(std::string name, Ints value) {
  Attribute attribute = Named(std::move(name), AttributeType::kInts);
  attribute.ints = std::move(value);
  return attribute;
}
Attribute StringAttribute(std::string name, std::string value) {
  Attribute attribute = Named(std::move(name), AttributeType::kString);
  attribute.strings = {std::move(value)};
  return attribute;
}
Attribute GraphAttribute(std::string name, Graph value) {
  Attribute attribute = Named(std::move(name), AttributeType::kGraph);
  attribute.graphs.push_back(std::move(value));
  return attribute;
}

Names OpWriter::ins() {
  Names names;
  for (int i = 0; i < num_inputs(); ++i) names.push_back(in(i));
  return names;
}

std::string OpWriter::out(int i) {
  const ir::Value here{id, i};
  if (const auto found = env.names.find(here); found != env.names.end()) return found->second;
  const std::string& wish = node().outputs[static_cast<std::size_t>(i)].record.name;
  return env.names[here] = x.Fresh(wish.empty() ? std::string(node().op->name) : wish);
}

bool OpWriter::used(int i) const {
  const ir::Value here{id, i};
  const auto reads = [&](const std::vector<ir::Value>& values) {
    return std::find(values.begin(), values.end(), here) != values.end();
  };
  if (reads(env.graph->outputs())) return true;
  const auto& nodes = env.graph->nodes();
  return std::any_of(nodes.begin(), nodes.end(), [&](const ir::Node& node) { return reads(node.inputs); });
}

std::optional<Literal> OpWriter::constant(int i) const {
  if (!has(i)) return std::nullopt;
  const ir::Node& maker = env.graph->node(value(i));
  if (maker.op->name != "constant") return std::nullopt;
  return maker.attrs.Lit("value");
}

std::string OpWriter::Ints1(const Ints& values) const {
  return x.Constant(ir::FromInts(DType::kI64, {static_cast<std::int64_t>(values.size())}, values));
}

std::string OpWriter::Scalar(double number, DType to) const { return x.Constant(ir::ScalarLiteral(number, to)); }

Ints OpWriter::Axes(std::string_view attr, int rank) const {
  Ints axes = attrs().Ints(attr);
  for (std::int64_t& axis : axes)
    if (axis < 0) axis += rank;
  return axes;
}

Status OpWriter::Unsupported(std::string_view what) const {
  return Status(Code::kUnimplemented, fmt::format("{} has no form in ONNX opset {}", what, opset()));
}

}  // namespace tenon::onnx
