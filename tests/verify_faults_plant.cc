#include "verify_faults_plant.h"

#include <algorithm>
#include <stdexcept>

#include "ir/numeric.h"

namespace tenon::faults {

onnx::Node& Planter::Node(const std::string& op_type, int n) {
  for (onnx::Node& node : model_.graph->nodes)
    if (node.op_type == op_type && n-- == 0) return node;
  throw std::runtime_error("no node " + op_type);
}

onnx::Attribute& Planter::Attr(onnx::Node& node, const std::string& name) {
  for (onnx::Attribute& a : node.attributes)
    if (a.name == name) return a;
  node.attributes.emplace_back().name = name;
  return node.attributes.back();
}

void Planter::SetInt(onnx::Node& node, const std::string& name, std::int64_t value) {
  onnx::Attribute& a = Attr(node, name);
  if (a.ints == std::vector{value}) throw std::runtime_error(name + " has that value");
  a.type = onnx::AttributeType::kInt;
  a.ints = {value};
}

void Planter::SetInts(onnx::Node& node, const std::string& name, std::vector<std::int64_t> values) {
  onnx::Attribute& a = Attr(node, name);
  if (a.ints == values) throw std::runtime_error(name + " has these values");
  a.type = onnx::AttributeType::kInts;
  a.ints = std::move(values);
}

void Planter::SetFloat(onnx::Node& node, const std::string& name, float value) {
  onnx::Attribute& a = Attr(node, name);
  if (a.floats == std::vector{value}) throw std::runtime_error(name + " has that value");
  a.type = onnx::AttributeType::kFloat;
  a.floats = {value};
}

void Planter::SetString(onnx::Node& node, const std::string& name, std::string value) {
  onnx::Attribute& a = Attr(node, name);
  if (a.strings == std::vector{value}) throw std::runtime_error(name + " has that value");
  a.type = onnx::AttributeType::kString;
  a.strings = {std::move(value)};
}

void Planter::Erase(onnx::Node& node, const std::string& name) {
  if (std::erase_if(node.attributes, [&](const onnx::Attribute& a) { return a.name == name; }) == 0)
    throw std::runtime_error("no attribute " + name);
}

void Planter::Weight(const std::string& name,
                     const std::function<void(std::vector<float>&, std::vector<std::int64_t>&)>& edit) {
  for (onnx::Tensor& t : model_.graph->initializers) {
    if (t.name != name) continue;
    const Literal old = onnx::TensorReader(model_).Read(t).value();
    const std::vector<double> wide = ir::ToDoubles(old);
    std::vector<float> values(wide.begin(), wide.end());
    std::vector<std::int64_t> dims = old.dims();
    edit(values, dims);
    const Literal changed = ir::FromDoubles(old.dtype(), dims, std::vector<double>(values.begin(), values.end()));
    if (identical(changed, old)) throw std::runtime_error(name + ": nothing changed");
    t = {};
    t.name = name;
    t.value = changed;
    return;
  }
  throw std::runtime_error("no initializer " + name);
}

void Planter::Integers(const std::string& name, const std::function<void(std::vector<std::int64_t>&)>& edit) {
  for (onnx::Tensor& t : model_.graph->initializers) {
    if (t.name != name) continue;
    const Literal old = onnx::TensorReader(model_).Read(t).value();
    std::vector<std::int64_t> values = ir::ToInts(old);
    edit(values);
    const Literal changed = ir::FromInts(old.dtype(), old.dims(), values);
    if (identical(changed, old)) throw std::runtime_error(name + ": nothing changed");
    t = {};
    t.name = name;
    t.value = changed;
    return;
  }
  throw std::runtime_error("no initializer " + name);
}

std::string Planter::WeightOf(const onnx::Node& node, std::size_t input) const {
  const std::string& name = node.inputs.at(input);
  for (const onnx::Tensor& t : model_.graph->initializers)
    if (t.name == name) return name;
  throw std::runtime_error(name + " is no initializer");
}

void Planter::Remove(const std::string& output, const std::string& instead) {
  std::vector<onnx::Node>& nodes = model_.graph->nodes;
  if (std::erase_if(nodes, [&](const onnx::Node& n) { return n.outputs.at(0) == output; }) == 0)
    throw std::runtime_error("no node makes " + output);
  for (onnx::Node& n : nodes) std::replace(n.inputs.begin(), n.inputs.end(), output, instead);
}

onnx::Node& Planter::Maker(const std::string& output) {
  for (onnx::Node& n : model_.graph->nodes)
    if (std::find(n.outputs.begin(), n.outputs.end(), output) != n.outputs.end()) return n;
  throw std::runtime_error("no node makes " + output);
}

void Planter::Insert(const std::string& output, std::size_t i, const std::string& op_type,
                     std::vector<onnx::Attribute> attributes) {
  onnx::Node node;
  node.op_type = op_type;
  node.inputs = {Maker(output).inputs.at(i)};
  node.outputs = {"planted_" + op_type};
  node.attributes = std::move(attributes);
  Maker(output).inputs.at(i) = node.outputs[0];
  model_.graph->nodes.push_back(std::move(node));
}

std::string Planter::AddInts(const std::string& name, const std::vector<std::int64_t>& values) {
  onnx::Tensor& t = model_.graph->initializers.emplace_back();
  t.name = name;
  t.value = ir::FromInts(DType::kI64, {static_cast<std::int64_t>(values.size())}, values);
  return name;
}

}  // namespace tenon::faults
