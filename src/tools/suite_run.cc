#include "tools/suite_run.h"

#include <algorithm>
#include <optional>
#include <unordered_map>

#include "base/status_macros.h"
#include "compiler/backend.h"
#include "ir/builder.h"

namespace tenon::tools {
namespace {

using ir::Datum;
using Kind = ir::Type::Kind;

// Compiled functions take and give tensors: a graph around the function's whose inputs and outputs are the items of its
// sequences (as many as the data set has) and its tensors.
class Ports {
 public:
  /// Adds the inputs that make up `value`; gives the value of the inner graph's type.
  ir::Value Input(ir::Builder& b, const Datum& value, const ir::Type& declared, const std::string& name) {
    if (declared.kind() == Kind::kOptional) {
      const bool absent = value.kind == Kind::kOptional && value.items->empty();
      if (absent) return b.Add("optional_none", {}, {{"element", declared.element().to_string()}});
      const Datum& inside = value.kind == Kind::kOptional ? value.items->front() : value;
      return b.Add("optional_some", {Input(b, inside, declared.element(), name)});
    }
    if (value.kind == Kind::kTensor) {
      literals_.push_back(value.literal());
      // The declared dims stay symbolic: that is how a server would compile it.
      return b.Input(name, declared.is_tensor() ? declared : ir::Type::Of(value.literal()));
    }
    std::vector<ir::Value> items;
    for (std::size_t i = 0; i < value.items->size(); ++i)
      items.push_back(Input(b, (*value.items)[i], (*value.items)[i].type(), name + "." + std::to_string(i)));
    if (value.kind == Kind::kOptional && !items.empty()) return items[0];
    if (value.kind == Kind::kSequence) {
      if (!items.empty()) return b.Add("sequence_construct", std::move(items));
      return b.Add("sequence_empty", {}, {{"dtype", value.element.dtype()}});
    }
    b.SetStatus(Status(Code::kInvalidArgument, "input " + name + ": an empty optional for a " + declared.to_string()));
    return {};
  }
  /// Adds the outputs that make up `wanted`.
  void Output(ir::Builder& b, ir::Value value, const Datum& wanted) {
    if (!b.ok()) return;
    if (b.type(value).kind() == Kind::kTensor) {
      outputs_.push_back(value);
      return;
    }
    if (b.type(value).kind() == Kind::kOptional) {
      outputs_.push_back(b.Add("optional_has_value", {value}));
      if (wanted.kind != Kind::kOptional || !wanted.items->empty())
        Output(b, b.Add("optional_value", {value}), wanted.kind == Kind::kOptional ? wanted.items->front() : wanted);
      return;
    }
    if (b.type(value).kind() != Kind::kSequence) {
      b.SetStatus(Status(Code::kUnimplemented, "an output of type " + b.type(value).to_string()));
      return;
    }
    const Datum& items = wanted.kind == Kind::kOptional && !wanted.items->empty() ? (*wanted.items)[0] : wanted;
    outputs_.push_back(b.Add("sequence_length", {value}));
    if (items.kind != Kind::kSequence) return;
    for (std::size_t i = 0; i < items.items->size(); ++i)
      Output(b, b.Add("sequence_at", {value, b.Constant(Literal::scalar(static_cast<std::int64_t>(i)))}),
             (*items.items)[i]);
  }
  /// The next output again as a value like `wanted`.
  Datum Take(std::span<const Literal> results, const ir::Type& type, const Datum& wanted, std::size_t* at) const {
    if (type.kind() == Kind::kTensor) return Datum(results[(*at)++]);
    if (type.kind() == Kind::kOptional) {
      const bool there = results[(*at)++].data<bool>()[0];
      const bool read = wanted.kind != Kind::kOptional || !wanted.items->empty();
      const Datum& inside = wanted.kind == Kind::kOptional && read ? wanted.items->front() : wanted;
      std::optional<Datum> value;
      if (read) value = Take(results, type.element(), inside, at);
      if (there && !read) value = Datum();
      return Datum::Optional(there ? std::move(value) : std::nullopt, type.element());
    }
    const std::int64_t length = results[(*at)++].data<std::int64_t>()[0];
    const Datum& items = wanted.kind == Kind::kOptional && !wanted.items->empty() ? (*wanted.items)[0] : wanted;
    std::vector<Datum> got;
    for (std::size_t i = 0; i < items.items->size(); ++i)
      got.push_back(Take(results, type.element(), (*items.items)[i], at));
    if (length != static_cast<std::int64_t>(got.size()))
      got.resize(static_cast<std::size_t>(std::max<std::int64_t>(length, 0)));
    return Datum::Sequence(std::move(got), type.element());
  }
  std::vector<Literal>& literals() { return literals_; }
  const std::vector<ir::Value>& outputs() const { return outputs_; }

 private:
  std::vector<Literal> literals_;
  std::vector<ir::Value> outputs_;
};

bool AllTensors(const ir::Graph& graph) {
  const auto tensor = [&](ir::Value v) { return graph.type(v).is_tensor(); };
  return std::all_of(graph.inputs().begin(), graph.inputs().end(), tensor) &&
         std::all_of(graph.outputs().begin(), graph.outputs().end(), tensor);
}

Result<std::vector<Literal>> CompileAndRun(const ir::Graph& graph, std::vector<Literal> inputs,
                                           const std::string& backend) {
  const compiler::Backend* found = compiler::FindBackend(backend);
  if (found == nullptr) return Status(Code::kNotFound, "no backend \"" + backend + "\"");
  TENON_ASSIGN_OR_RETURN(const std::unique_ptr<runtime::CompiledFunction> compiled, found->compile(graph, {}));
  return compiled->Run(std::move(inputs));
}

}  // namespace

Result<std::vector<Datum>> RunValues(const ir::Module& module, const ir::Function& function, std::vector<Datum> inputs,
                                     const std::vector<Datum>& wanted, const std::string& backend) {
  std::vector<Datum> got;
  // The variables that the function reads stand behind the inputs; what it writes does not count here.
  for (const std::string& path : function.reads) {
    const ir::VariablePtr cell = module.FindVariable(path);
    if (cell == nullptr) return Status(Code::kInternal, "the module lacks its variable \"" + path + "\"");
    inputs.emplace_back(cell->Read());
  }
  if (AllTensors(function.graph)) {
    std::vector<Literal> literals;
    for (const Datum& d : inputs) {
      const bool there = d.kind == Kind::kOptional && !d.items->empty();
      if (d.kind != Kind::kTensor && !there) return Status(Code::kUnimplemented, "an optional without a value");
      literals.push_back(there ? (*d.items)[0].literal() : d.literal());
    }
    TENON_ASSIGN_OR_RETURN(std::vector<Literal> results, CompileAndRun(function.graph, std::move(literals), backend));
    results.resize(function.num_outputs());
    for (Literal& r : results) got.emplace_back(std::move(r));
    return got;
  }
  ir::Graph graph;
  ir::Builder b(&graph);
  Ports ports;
  std::vector<ir::Value> arguments;
  for (std::size_t i = 0; i < inputs.size(); ++i)
    arguments.push_back(
        ports.Input(b, inputs[i], function.graph.type(function.graph.inputs()[i]),
                    i < function.num_inputs() ? function.input_names[i] : function.reads[i - function.num_inputs()]));
  std::vector<ir::Value> results =
      b.AddAll("call", std::move(arguments), {{"body", std::make_shared<const ir::Graph>(function.graph)}});
  TENON_RETURN_IF_ERROR(b.status());
  results.resize(function.num_outputs());
  std::vector<ir::Type> types;
  for (std::size_t i = 0; i < results.size(); ++i) {
    types.push_back(b.type(results[i]));
    ports.Output(b, results[i], wanted[i]);
  }
  TENON_RETURN_IF_ERROR(b.status());
  graph.set_outputs(ports.outputs());
  TENON_ASSIGN_OR_RETURN(const std::vector<Literal> literals,
                         CompileAndRun(graph, std::move(ports.literals()), backend));
  std::size_t at = 0;
  for (std::size_t i = 0; i < results.size(); ++i) got.push_back(ports.Take(literals, types[i], wanted[i], &at));
  return got;
}

namespace {

// The value of a constant, or of an op of constants.
std::optional<Literal> Computed(const ir::Graph& graph, ir::Value v) {
  const ir::Node& node = graph.node(v);
  if (node.op->name == "constant") return node.attrs.Lit("value");
  if (node.op->name == "input" || node.op->Is(ir::kControl) || node.op->Is(ir::kRandom)) return std::nullopt;
  std::vector<Datum> values;
  for (const ir::Value input : node.inputs) {
    if (!input.valid() || graph.node(input).op->name != "constant") return std::nullopt;
    values.emplace_back(graph.node(input).attrs.Lit("value"));
  }
  std::vector<const Datum*> pointers;
  for (const Datum& value : values) pointers.push_back(&value);
  const Result<std::vector<Datum>> results = ir::EvalOp(*node.op, pointers, node.attrs);
  if (!results.ok() || !(*results)[static_cast<std::size_t>(v.index)].tensor) return std::nullopt;
  return (*results)[static_cast<std::size_t>(v.index)].literal();
}

}  // namespace

bool SameComputation(const ir::Graph& a, const ir::Graph& b) {
  if (a.inputs().size() != b.inputs().size() || a.outputs().size() != b.outputs().size()) return false;
  std::unordered_map<std::int32_t, std::int32_t> twins;  // nodes of a -> nodes of b
  std::vector<std::pair<ir::Value, ir::Value>> open;
  for (std::size_t i = 0; i < a.inputs().size(); ++i) {
    twins[a.inputs()[i].node] = b.inputs()[i].node;
    if (!(a.type(a.inputs()[i]) == b.type(b.inputs()[i]))) return false;
  }
  for (std::size_t i = 0; i < a.outputs().size(); ++i) open.push_back({a.outputs()[i], b.outputs()[i]});
  while (!open.empty()) {
    const auto [u, v] = open.back();
    open.pop_back();
    if (u.valid() != v.valid() || u.index != v.index) return false;
    if (!u.valid()) continue;
    const auto [twin, fresh] = twins.insert({u.node, v.node});
    if (twin->second != v.node) return false;
    if (!fresh) continue;
    const ir::Node &x = a.node(u), &y = b.node(v);
    // What one of them holds ready the other one may still compute.
    if ((x.op->name == "constant") != (y.op->name == "constant")) {
      const std::optional<Literal> left = Computed(a, u), right = Computed(b, v);
      if (!left || !right || !identical(*left, *right)) return false;
      continue;
    }
    if (x.op != y.op || x.inputs.size() != y.inputs.size() || !(x.attrs == y.attrs)) return false;
    for (std::size_t k = 0; k < x.inputs.size(); ++k) open.push_back({x.inputs[k], y.inputs[k]});
  }
  return true;
}

}  // namespace tenon::tools
