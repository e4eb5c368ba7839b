#include <iostream>
#include <map>

#include "base/json_writer.h"
#include "ir/module.h"
#include "ir/op_def.h"
#include "tenon/formats.h"
#include "tools/commands.h"

namespace tenon::tools {
namespace {

void CountOps(const ir::Graph& graph, std::map<std::string, int>& counts) {
  for (const ir::Node& n : graph.nodes()) {
    if (n.op->name != "input") ++counts[std::string(n.op->name)];
    for (const auto& [name, value] : n.attrs)
      if (const ir::GraphPtr* body = std::get_if<ir::GraphPtr>(&value)) CountOps(**body, counts);
  }
}

// Elements of float constants: the weights of formats without variables.
std::int64_t ConstantElements(const ir::Graph& graph) {
  std::int64_t n = 0;
  for (const ir::Node& node : graph.nodes())
    if (node.op->name == "constant" && is_float(node.outputs[0].type.dtype())) n += node.attrs.Lit("value").size();
  return n;
}

std::string Shown(const TensorSpec& s) {
  return std::string(dtype_name(s.dtype)) + (s.rank_known ? s.shape.to_string() : "[*]");
}

}  // namespace

int Inspect(const InspectOptions& o) {
  const Result<Format> format = detect_format(o.model);
  if (!format.ok()) return Fail("inspect", format.status());
  const Result<Module> module = load(o.model);
  if (!module.ok()) return Fail("inspect", module.status());
  if (o.text) {
    std::cout << module->to_string();
    return kDone;
  }
  std::int64_t parameters = 0, trainable = 0, bytes = 0;
  for (const VariableSpec& v : module->variables()) {
    const std::int64_t n = v.shape.size().value();
    parameters += n;
    trainable += v.trainable ? n : 0;
    bytes += n * dtype_bits(v.dtype) / 8;
  }
  base::JsonWriter json({.indent = 2});
  json.Object();
  json.Key("format").String(format_name(*format));
  json.Key("variables").Number(static_cast<std::int64_t>(module->variables().size()));
  json.Key("parameters").Number(parameters);
  json.Key("trainable_parameters").Number(trainable);
  json.Key("variable_bytes").Number(bytes);
  json.Key("metadata").Object();
  for (const auto& [key, value] : module->metadata()) json.Key(key).String(value);
  json.End();
  json.Key("signatures").Array();
  if (!o.json) {
    std::cout << "format      " << format_name(*format) << '\n';
    for (const auto& [key, value] : module->metadata())
      if (key != "format") std::cout << key << std::string(key.size() < 12 ? 12 - key.size() : 1, ' ') << value << '\n';
    std::cout << "variables   " << module->variables().size() << " (" << parameters << " parameters, " << trainable
              << " trainable, " << bytes << " bytes)\n";
  }
  for (const std::string& name : module->signatures()) {
    const SignatureSpec spec = module->signature(name).value();
    const ir::Function& f = *module->impl()->FindFunction(name);
    std::map<std::string, int> ops;
    CountOps(f.graph, ops);
    json.Object();
    json.Key("name").String(name);
    for (const auto& [what, list] :
         {std::pair<const char*, const std::vector<TensorSpec>*>{"inputs", &spec.inputs}, {"outputs", &spec.outputs}}) {
      json.Key(what).Array();
      for (const TensorSpec& s : *list) {
        json.Object();
        json.Key("name").String(s.name);
        json.Key("type").String(Shown(s));
        json.End();
      }
      json.End();
    }
    json.Key("constant_elements").Number(ConstantElements(f.graph));
    json.Key("ops").Object();
    for (const auto& [op, count] : ops) json.Key(op).Number(count);
    json.End();
    json.End();
    if (o.json) continue;
    std::cout << "\nsignature   " << name << '\n';
    for (const TensorSpec& s : spec.inputs) std::cout << "  input     " << s.name << " : " << Shown(s) << '\n';
    for (const TensorSpec& s : spec.outputs) std::cout << "  output    " << s.name << " : " << Shown(s) << '\n';
    std::cout << "  constants " << ConstantElements(f.graph) << " elements\n  ops      ";
    for (const auto& [op, count] : ops) std::cout << ' ' << op << " x" << count;
    std::cout << '\n';
  }
  json.End();
  json.End();
  if (o.json) std::cout << std::move(json).Take();
  return kDone;
}

}  // namespace tenon::tools
