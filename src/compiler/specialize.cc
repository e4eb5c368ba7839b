#include "compiler/specialize.h"

#include "base/status_macros.h"
#include "ir/builder.h"
#include "ir/eval.h"
#include "ir/op_def.h"

namespace tenon::compiler {

using namespace ir;

Result<Graph> Specialize(const Graph& graph, std::span<const std::vector<std::int64_t>> input_dims) {
  if (input_dims.size() != graph.inputs().size())
    return Status(Code::kInvalidArgument, "compile: got the dims of " + std::to_string(input_dims.size()) +
                                              " inputs, expected " + std::to_string(graph.inputs().size()));
  Graph out;
  Builder b(&out);
  SymbolBinding symbols;
  const auto lookup = [&](std::string_view name) -> std::optional<Dim> {
    if (const std::optional<std::int64_t> v = symbols.Find(name)) return Dim(*v);
    return std::nullopt;
  };
  std::vector<std::vector<Value>> moved(static_cast<std::size_t>(graph.size()));
  for (std::size_t i = 0; i < graph.inputs().size(); ++i) {
    const Output& declared = graph.output(graph.inputs()[i]);
    const Type concrete = Type::Tensor(declared.type.dtype(), Shape(std::span(input_dims[i])));
    TENON_RETURN_IF_ERROR(symbols.Bind(declared.type, concrete, "input \"" + declared.record.name + "\""));
    const Value v = b.Input(declared.record.name, concrete);
    out.output(v).record = declared.record;
    moved[static_cast<std::size_t>(graph.inputs()[i].node)] = {v};
  }
  const auto map = [&](Value v) {
    return v.valid() ? moved[static_cast<std::size_t>(v.node)][static_cast<std::size_t>(v.index)] : Value();
  };
  for (std::int32_t id = 0; id < graph.size(); ++id) {
    const Node& n = graph.node(id);
    if (n.op->name == "input") continue;
    std::vector<Value> inputs;
    for (const Value v : n.inputs) inputs.push_back(map(v));
    Attrs attrs = n.attrs;
    for (const auto& [name, value] : n.attrs) {
      const Shape* shape = std::get_if<Shape>(&value);
      if (shape == nullptr || shape->is_static()) continue;
      std::vector<Dim> dims;
      for (const Dim& d : shape->dims()) dims.push_back(d.substitute(lookup));
      attrs.Set(name, Shape(std::move(dims)));
    }
    const std::vector<Value> outputs = b.AddAll(*n.op, std::move(inputs), std::move(attrs));
    if (!b.ok()) {
      const std::string& name = n.outputs.empty() ? std::string() : n.outputs[0].record.name;
      return name.empty() ? b.status() : b.status().with_context("node \"" + name + "\"");
    }
    for (std::size_t k = 0; k < outputs.size() && k < n.outputs.size(); ++k) {
      // What this node defines may now be a number.
      TENON_RETURN_IF_ERROR(symbols.Bind(n.outputs[k].type, out.type(outputs[k]), n.op->name));
      out.output(outputs[k]).record = n.outputs[k].record;
      const SymbolicValue &was = n.outputs[k].symbolic, &now = out.output(outputs[k]).symbolic;
      for (std::size_t e = 0; was && now && e < was->size() && e < now->size(); ++e)
        if (const std::optional<std::int64_t> number = (*now)[e].try_value();
            number && !(*was)[e].symbol_name().empty())
          symbols.Set((*was)[e].symbol_name(), *number);
    }
    moved[static_cast<std::size_t>(id)] = outputs;
  }
  std::vector<Value> results;
  for (const Value v : graph.outputs()) results.push_back(map(v));
  out.set_outputs(std::move(results));
  return out;
}

bool IsStatic(const Graph& graph) {
  for (const Node& n : graph.nodes())
    for (const Output& o : n.outputs)
      if (!o.type.is_static()) return false;
  return true;
}

}  // namespace tenon::compiler
