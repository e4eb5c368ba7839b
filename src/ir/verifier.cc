#include "ir/verifier.h"

#include <algorithm>
#include <set>

#include "base/status_macros.h"
#include "ir/carry_over.h"
#include "ir/infer.h"
#include "ir/op_table.h"

namespace tenon::ir {
namespace {

Status Broken(int rule, const std::string& where, const std::string& message) {
  return Status(Code::kInternal, "V" + std::to_string(rule) + ": " + where + ": " + message);
}

std::string Where(const Graph& g, std::int32_t id) {
  const Node& n = g.node(id);
  std::string out = "node %" + std::to_string(id) + " (" + std::string(n.op == nullptr ? "?" : n.op->name) + ")";
  if (!n.outputs.empty() && !n.outputs[0].record.name.empty()) out += " \"" + n.outputs[0].record.name + "\"";
  return out;
}

bool Exists(const Graph& g, Value v) {
  return v.valid() && v.node < g.size() && v.index >= 0 &&
         v.index < static_cast<std::int32_t>(g.node(v.node).outputs.size());
}

Status Verify(const Graph& g, int depth, bool check_names) {
  if (depth > kMaxGraphDepth) return Broken(5, "graph", "more than 64 levels of sub-graphs");
  std::size_t inputs = 0;
  std::set<std::string_view> names;
  for (std::int32_t id = 0; id < g.size(); ++id) {
    const Node& n = g.node(id);
    if (n.op == nullptr) return Broken(1, Where(g, id), "has no op");
    for (const Output& o : n.outputs)
      if (check_names && !o.record.name.empty() && !names.insert(o.record.name).second)
        return Broken(6, Where(g, id), "a second value is called \"" + o.record.name + "\"");
    if (n.op->name == "input") {
      if (inputs >= g.inputs().size() || g.inputs()[inputs] != Value{id, 0} || n.outputs.size() != 1)
        return Broken(4, Where(g, id), "is not input " + std::to_string(inputs) + " of the graph");
      ++inputs;
      continue;
    }
    std::vector<const Output*> types;
    for (const Value v : n.inputs) {
      if (v.valid() && (v.node >= id || !Exists(g, v)))
        return Broken(
            1, Where(g, id),
            "uses %" + std::to_string(v.node) + "#" + std::to_string(v.index) + ", which no earlier node makes");
      types.push_back(v.valid() ? &g.output(v) : nullptr);
    }
    Attrs attrs = n.attrs;
    if (const Status s = CompleteAttrs(*n.op, attrs); !s.ok()) return Broken(2, Where(g, id), s.message());
    for (const auto& [name, value] : n.attrs) {
      std::vector<GraphPtr> bodies;
      if (const GraphPtr* one = std::get_if<GraphPtr>(&value)) bodies.push_back(*one);
      if (const auto* many = std::get_if<std::vector<GraphPtr>>(&value)) bodies = *many;
      for (const GraphPtr& body : bodies) {
        if (body == nullptr) return Broken(5, Where(g, id), "attribute \"" + name + "\" holds no graph");
        if (const Status s = Verify(*body, depth + 1, check_names); !s.ok()) return s.with_context(Where(g, id));
      }
    }
    const Result<std::vector<Output>> inferred = Infer(*n.op, types, attrs);
    if (!inferred.ok()) return Broken(3, Where(g, id), inferred.status().message());
    if (inferred->size() != n.outputs.size())
      return Broken(
          3, Where(g, id),
          "has " + std::to_string(n.outputs.size()) + " outputs, inference gives " + std::to_string(inferred->size()));
    for (std::size_t k = 0; k < n.outputs.size(); ++k)
      if (!(*inferred)[k].type.Accepts(n.outputs[k].type))
        return Broken(3, Where(g, id),
                      "output " + std::to_string(k) + " is written as " + n.outputs[k].type.to_string() +
                          ", inference gives " + (*inferred)[k].type.to_string());
  }
  if (inputs != g.inputs().size())
    return Broken(
        4, "graph",
        "lists " + std::to_string(g.inputs().size()) + " inputs, has " + std::to_string(inputs) + " input nodes");
  for (const Value v : g.outputs())
    if (!Exists(g, v))
      return Broken(4, "graph",
                    "output %" + std::to_string(v.node) + "#" + std::to_string(v.index) + " is no value of the graph");
  return {};
}

// What a record knew that the other does not.
std::string Lost(const Record& before, const Record& after) {
  if (!before.name.empty() && !KnownAs(after, before.name)) return "name";
  for (const Provenance& p : before.provenance)
    if (std::ranges::find(after.provenance, p) == after.provenance.end()) return "provenance \"" + p.name + "\"";
  if (before.quantization && before.quantization != after.quantization) return "quantization";
  if (!before.axis_roles.empty() && after.axis_roles.empty()) return "axis roles";
  return {};
}

Status UniqueNames(const std::vector<std::string>& names, const std::string& where) {
  std::set<std::string_view> seen;
  for (const std::string& n : names)
    if (n.empty() || !seen.insert(n).second)
      return Broken(7, where, n.empty() ? "an empty name" : "the name \"" + n + "\" stands twice");
  return {};
}

}  // namespace

Status VerifyGraph(const Graph& graph, bool names) { return Verify(graph, 0, names); }

Status VerifyModule(const Module& module) {
  std::set<std::string_view> paths, functions;
  for (const VariablePtr& v : module.variables)
    if (v->path().empty() || !paths.insert(v->path()).second)
      return Broken(9, "module", "variable path \"" + v->path() + "\" is empty or stands twice");
  for (const Function& f : module.functions) {
    const std::string where = "function \"" + f.name + "\"";
    if (f.name.empty() || !functions.insert(f.name).second)
      return Broken(7, where, "the name is empty or stands twice");
    TENON_RETURN_IF_ERROR(UniqueNames(f.input_names, where + " inputs"));
    TENON_RETURN_IF_ERROR(UniqueNames(f.output_names, where + " outputs"));
    if (f.graph.inputs().size() != f.input_names.size() + f.reads.size() ||
        f.graph.outputs().size() != f.output_names.size() + f.writes.size())
      return Broken(7, where, "the graph's inputs and outputs do not match the names, reads and writes");
    if (const Status s = VerifyGraph(f.graph); !s.ok()) return s.with_context(where);
    const auto check = [&](const std::string& path, const Type& type) -> Status {
      const VariablePtr cell = module.FindVariable(path);
      if (cell == nullptr) return Broken(8, where, "uses variable \"" + path + "\", which the module lacks");
      if (!type.Accepts(cell->type()))
        return Broken(
            8, where,
            "variable \"" + path + "\" is " + cell->type().to_string() + ", the graph has " + type.to_string());
      return {};
    };
    for (std::size_t i = 0; i < f.reads.size(); ++i)
      TENON_RETURN_IF_ERROR(check(f.reads[i], f.graph.type(f.read_input(i))));
    for (std::size_t i = 0; i < f.writes.size(); ++i)
      TENON_RETURN_IF_ERROR(check(f.writes[i], f.graph.type(f.write_output(i))));
  }
  return {};
}

Status VerifyRewrite(const Graph& before, const Graph& after) {
  const auto compare = [](const std::vector<Value>& x, const std::vector<Value>& y, const Graph& gx, const Graph& gy,
                          const char* what) -> Status {
    if (x.size() != y.size())
      return Broken(10, "rewrite",
                    std::string("had ") + std::to_string(x.size()) + " " + what + ", has " + std::to_string(y.size()));
    for (std::size_t i = 0; i < x.size(); ++i) {
      const Output &a = gx.output(x[i]), &b = gy.output(y[i]);
      if (!a.type.Accepts(b.type))
        return Broken(
            10, "rewrite",
            std::string(what) + " " + std::to_string(i) + " was " + a.type.to_string() + ", is " + b.type.to_string());
      if (const std::string lost = Lost(a.record, b.record); !lost.empty())
        return Broken(10, "rewrite",
                      std::string(what) + " " + std::to_string(i) + " \"" + a.record.name + "\" lost its " + lost +
                          " (now \"" + b.record.name + "\")");
    }
    return {};
  };
  TENON_RETURN_IF_ERROR(compare(before.inputs(), after.inputs(), before, after, "inputs"));
  return compare(before.outputs(), after.outputs(), before, after, "outputs");
}

}  // namespace tenon::ir
