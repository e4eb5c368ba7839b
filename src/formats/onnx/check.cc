#include "formats/onnx/check.h"

#include <fmt/format.h>

#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "base/log.h"
#include "base/status_macros.h"
#include "formats/onnx/data_type.h"
#include "formats/proto_wire/wire_reader.h"

namespace tenon::onnx {
namespace {

using proto_wire::Place;

// The names that can be seen: those of this graph and of the graphs around it.
struct Scope {
  const Scope* outer = nullptr;
  std::unordered_set<std::string_view> names;
  bool Sees(std::string_view name) const {
    for (const Scope* scope = this; scope != nullptr; scope = scope->outer)
      if (scope->names.contains(name)) return true;
    return false;
  }
};

// What a body may use: the imports and the attributes of the model or of the function that holds it.
struct Body {
  const std::vector<OperatorSetId>* imports;
  const Function* function = nullptr;
};

bool HasAttribute(const Function& function, std::string_view name) {
  for (const std::string& attribute : function.attributes)
    if (attribute == name) return true;
  for (const Attribute& attribute : function.attribute_protos)
    if (attribute.name == name) return true;
  return false;
}

class Checker {
 public:
  explicit Checker(const Model& model)
      : model_(model), name_(model.path.empty() ? "model" : model.path), root_(name_, {}) {}

  Status Run() {
    TENON_RETURN_IF_ERROR(CheckVersions());
    if (!model_.graph) return root_.Error("the model has no graph");
    if (model_.graph->outputs.empty()) return root_.Error("the graph has no outputs");
    std::set<std::string> ids;
    for (std::size_t i = 0; i < model_.functions.size(); ++i) {
      const Function& function = model_.functions[i];
      const Place place(root_, "functions", static_cast<std::int64_t>(i));
      if (!ids.insert(fmt::format("{}\n{}\n{}", function.domain, function.name, function.overload)).second)
        return place.Error(fmt::format("function \"{}\" is defined twice", function.name));
      TENON_RETURN_IF_ERROR(CheckFunction(function, place));
    }
    TENON_RETURN_IF_ERROR(CheckRecursion());
    return CheckGraph(*model_.graph, Place(root_, "graph"), {&model_.opset_imports}, nullptr);
  }

 private:
  Status CheckVersions() {
    if (model_.ir_version < 1)
      return root_.Error(fmt::format("ir_version {}, expected 1 to {}", model_.ir_version, kNewestIr));
    if (model_.ir_version > kNewestIr)
      return Status(
          Code::kUnimplemented,
          root_.Error(fmt::format("ir_version {}, the newest that is read is {}", model_.ir_version, kNewestIr))
              .message());
    if (model_.opset_imports.empty() && model_.ir_version >= 3) return root_.Error("no opset_import");
    return CheckImports(model_.opset_imports, root_);
  }

  Status CheckImports(const std::vector<OperatorSetId>& imports, const Place& place) {
    std::map<std::string_view, std::int64_t> seen;
    for (const OperatorSetId& id : imports) {
      const std::string_view domain = NormalDomain(id.domain);
      if (id.version < 1)
        return place.Error(fmt::format("opset version {} of domain \"{}\", expected 1 or more", id.version, id.domain));
      if (domain.empty() || domain == "ai.onnx.ml") {
        const std::int64_t newest = domain.empty() ? kNewestOpset : kNewestMlOpset;
        const std::string message =
            place
                .Error(fmt::format("opset version {} of domain \"{}\", the newest that is known is {}", id.version,
                                   id.domain, newest))
                .message();
        if (id.version > kHighestOpset) return Status(Code::kUnimplemented, message);
        if (id.version > newest && warned_.insert(domain).second)
          base::Log(base::LogLevel::kWarning,
                    fmt::format("{}: its operators are read as those of {}", message, newest));
      }
      const auto [entry, fresh] = seen.insert({domain, id.version});
      if (!fresh && entry->second != id.version)
        return place.Error(
            fmt::format("domain \"{}\" is imported in versions {} and {}", id.domain, entry->second, id.version));
    }
    return Status();
  }

  Status CheckType(const TypeProto& type, const Place& place) const {
    switch (type.kind) {
      case TypeKind::kNone:
      case TypeKind::kOpaque:
        return Status();
      case TypeKind::kTensor:
      case TypeKind::kSparseTensor:
        if (const Result<DType> dtype = ToDType(type.elem_type);
            !dtype.ok() && dtype.status().code() == Code::kInvalidArgument && type.elem_type != 0)
          return place.Error(dtype.status().message());
        if (!type.shape) return Status();
        for (std::size_t i = 0; i < type.shape->size(); ++i)
          if (const Dimension& dim = (*type.shape)[i]; dim.value && *dim.value < -1)
            return place.Error(fmt::format("dim {} is {}, expected 0 or more", i, *dim.value));
        return Status();
      default:
        return type.element.empty() ? Status() : CheckType(type.element.front(), place);
    }
  }

  Status Define(Scope* scope, const std::string& name, const Place& place) const {
    if (scope->names.insert(name).second) return Status();
    return place.Error(fmt::format("the value \"{}\" is defined twice", name));
  }

  Status CheckGraph(const Graph& graph, const Place& place, const Body& body, const Scope* outer) const {
    Scope scope{outer, {}};
    for (std::size_t i = 0; i < graph.inputs.size(); ++i) {
      const Place at(place, "input", static_cast<std::int64_t>(i));
      TENON_RETURN_IF_ERROR(Define(&scope, graph.inputs[i].name, at));
      TENON_RETURN_IF_ERROR(CheckType(graph.inputs[i].type, at));
    }
    std::unordered_set<std::string_view> initializers;
    const auto initializer = [&](const std::string& name, std::string_view field, std::size_t i) {
      const Place at(place, field, static_cast<std::int64_t>(i));
      if (name.empty()) return at.Error("an initializer without a name");
      if (!initializers.insert(name).second)
        return at.Error(fmt::format("the initializer \"{}\" is defined twice", name));
      scope.names.insert(name);  // it may also be an input, which then has a default
      return Status();
    };
    for (std::size_t i = 0; i < graph.initializers.size(); ++i)
      TENON_RETURN_IF_ERROR(initializer(graph.initializers[i].name, "initializer", i));
    for (std::size_t i = 0; i < graph.sparse_initializers.size(); ++i)
      TENON_RETURN_IF_ERROR(initializer(graph.sparse_initializers[i].values.name, "sparse_initializer", i));
    TENON_RETURN_IF_ERROR(CheckNodes(graph.nodes, place, body, &scope));
    for (std::size_t i = 0; i < graph.outputs.size(); ++i) {
      const Place at(place, "output", static_cast<std::int64_t>(i));
      TENON_RETURN_IF_ERROR(CheckType(graph.outputs[i].type, at));
      if (!scope.Sees(graph.outputs[i].name))
        return at.Error(fmt::format("nothing makes the value \"{}\"", graph.outputs[i].name));
    }
    return Status();
  }

  // Defines the outputs of all nodes first, since the nodes may be unsorted, then looks at each, then for cycles.
  Status CheckNodes(const std::vector<Node>& nodes, const Place& place, const Body& body, Scope* scope) const {
    for (std::size_t i = 0; i < nodes.size(); ++i)
      for (const std::string& name : nodes[i].outputs)
        if (!name.empty())
          TENON_RETURN_IF_ERROR(Define(scope, name, Place(place, "node", static_cast<std::int64_t>(i))));
    for (std::size_t i = 0; i < nodes.size(); ++i)
      TENON_RETURN_IF_ERROR(CheckNode(nodes[i], Place(place, "node", static_cast<std::int64_t>(i)), body, *scope));
    const Result<std::vector<std::size_t>> order = SortNodes(nodes);
    return order.ok() ? Status() : place.Error(order.status().message());
  }

  Status CheckNode(const Node& node, const Place& place, const Body& body, const Scope& scope) const {
    const auto error = [&](std::string_view what) {
      return place.Error(fmt::format("{} \"{}\": {}", node.op_type, node.name, what));
    };
    for (const std::string& input : node.inputs)
      if (!input.empty() && !scope.Sees(input)) return error(fmt::format("nothing makes the input \"{}\"", input));
    const bool old = body.imports->empty() && model_.ir_version < 3 && NormalDomain(node.domain).empty();
    if (!old && !OpsetOf(*body.imports, node.domain))
      return error(fmt::format("domain \"{}\" is not imported", node.domain));
    std::unordered_set<std::string_view> names;
    for (const Attribute& attribute : node.attributes) {
      if (!names.insert(attribute.name).second)
        return error(fmt::format("attribute \"{}\" is given twice", attribute.name));
      if (!attribute.ref_attr_name.empty()) {
        if (body.function == nullptr)
          return error(fmt::format("attribute \"{}\" refers to \"{}\" outside of a function", attribute.name,
                                   attribute.ref_attr_name));
        if (!HasAttribute(*body.function, attribute.ref_attr_name))
          return error(fmt::format("attribute \"{}\" refers to \"{}\", which the function does not have",
                                   attribute.name, attribute.ref_attr_name));
      }
      for (const Graph& graph : attribute.graphs)
        TENON_RETURN_IF_ERROR(CheckGraph(graph, Place(place, attribute.name), body, &scope));
    }
    return Status();
  }

  Status CheckFunction(const Function& function, const Place& place) {
    TENON_RETURN_IF_ERROR(CheckImports(function.opset_imports, place));
    Scope scope;
    for (const std::string& name : function.inputs)
      if (!name.empty()) TENON_RETURN_IF_ERROR(Define(&scope, name, place));
    // Functions written before they had imports of their own use those of the model.
    const auto& imports = function.opset_imports.empty() ? model_.opset_imports : function.opset_imports;
    TENON_RETURN_IF_ERROR(CheckNodes(function.nodes, place, {&imports, &function}, &scope));
    for (const std::string& name : function.outputs)
      if (!scope.Sees(name)) return place.Error(fmt::format("nothing makes the output \"{}\"", name));
    return Status();
  }

  void Calls(const std::vector<Node>& nodes, std::set<std::size_t>* callees) const {
    for (const Node& node : nodes) {
      for (std::size_t i = 0; i < model_.functions.size(); ++i) {
        const Function& function = model_.functions[i];
        if (function.name == node.op_type && NormalDomain(function.domain) == NormalDomain(node.domain))
          callees->insert(i);
      }
      for (const Attribute& attribute : node.attributes)
        for (const Graph& graph : attribute.graphs) Calls(graph.nodes, callees);
    }
  }

  // Takes away the functions that call only functions taken away before; what stays calls itself.
  Status CheckRecursion() const {
    const std::size_t n = model_.functions.size();
    std::vector<std::set<std::size_t>> callees(n), callers(n);
    std::vector<std::size_t> ready;
    for (std::size_t i = 0; i < n; ++i) {
      Calls(model_.functions[i].nodes, &callees[i]);
      for (const std::size_t callee : callees[i]) callers[callee].insert(i);
      if (callees[i].empty()) ready.push_back(i);
    }
    std::size_t done = 0;
    for (; !ready.empty(); ++done) {
      const std::size_t i = ready.back();
      ready.pop_back();
      for (const std::size_t caller : callers[i]) {
        callees[caller].erase(i);
        if (callees[caller].empty()) ready.push_back(caller);
      }
    }
    if (done == n) return Status();
    for (std::size_t i = 0; i < n; ++i)
      if (!callees[i].empty())
        return Place(root_, "functions", static_cast<std::int64_t>(i))
            .Error(fmt::format("function \"{}\" calls itself, directly or through others", model_.functions[i].name));
    return Status();
  }

  const Model& model_;
  std::string name_;
  Place root_;
  std::set<std::string_view> warned_;  // domains
};

// The names that a node reads, captures of its graphs included (and some names defined inside them, which is harmless:
// they are looked up among the outputs of the same level only).
void CollectReads(const Node& node, std::vector<std::string_view>* reads) {
  for (const std::string& input : node.inputs) reads->push_back(input);
  for (const Attribute& attribute : node.attributes)
    for (const Graph& graph : attribute.graphs) {
      std::unordered_set<std::string_view> inner;
      for (const ValueInfo& input : graph.inputs) inner.insert(input.name);
      for (const Tensor& tensor : graph.initializers) inner.insert(tensor.name);
      for (const Node& child : graph.nodes)
        for (const std::string& output : child.outputs) inner.insert(output);
      std::vector<std::string_view> deeper;
      for (const Node& child : graph.nodes) CollectReads(child, &deeper);
      for (const ValueInfo& output : graph.outputs) deeper.push_back(output.name);
      for (const std::string_view name : deeper)
        if (!inner.contains(name)) reads->push_back(name);
    }
}

}  // namespace

std::optional<std::int64_t> OpsetOf(const std::vector<OperatorSetId>& imports, std::string_view domain) {
  for (const OperatorSetId& id : imports)
    if (NormalDomain(id.domain) == NormalDomain(domain)) return id.version;
  return std::nullopt;
}

Status Check(const Model& model) { return Checker(model).Run(); }

Result<std::vector<std::size_t>> SortNodes(const std::vector<Node>& nodes) {
  std::unordered_map<std::string_view, std::size_t> makers;
  for (std::size_t i = 0; i < nodes.size(); ++i)
    for (const std::string& output : nodes[i].outputs)
      if (!output.empty()) makers.insert({output, i});
  std::vector<std::vector<std::size_t>> users(nodes.size());
  std::vector<std::size_t> missing(nodes.size(), 0);
  std::vector<std::string_view> reads;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    reads.clear();
    CollectReads(nodes[i], &reads);
    std::set<std::size_t> sources;
    for (const std::string_view name : reads)
      if (const auto maker = makers.find(name); maker != makers.end()) sources.insert(maker->second);
    missing[i] = sources.size();
    for (const std::size_t source : sources) users[source].push_back(i);
  }
  std::set<std::size_t> ready;  // ordered: the file's order where it can be kept
  for (std::size_t i = 0; i < nodes.size(); ++i)
    if (missing[i] == 0) ready.insert(i);
  std::vector<std::size_t> order;
  order.reserve(nodes.size());
  while (!ready.empty()) {
    const std::size_t i = *ready.begin();
    ready.erase(ready.begin());
    order.push_back(i);
    for (const std::size_t user : users[i])
      if (--missing[user] == 0) ready.insert(user);
  }
  if (order.size() == nodes.size()) return order;
  for (std::size_t i = 0; i < nodes.size(); ++i)
    if (missing[i] > 0)
      return Status(Code::kInvalidArgument, fmt::format("the nodes form a cycle through node[{}], {} \"{}\"", i,
                                                        nodes[i].op_type, nodes[i].name));
  return order;
}

}  // namespace tenon::onnx
