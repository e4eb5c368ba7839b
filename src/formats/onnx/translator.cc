#include "formats/onnx/translator.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>

#include "formats/onnx/check.h"
#include "formats/onnx/schema.h"
#include "formats/onnx/symbolic.h"
#include "ir/eval.h"
#include "ir/infer.h"
#include "ir/numeric.h"

namespace tenon::onnx {
namespace {

// A name that stands for an optional input that the caller of a function left out; an invalid Value means that the node
// that makes it failed.
constexpr Value kAbsent{-2, 0};
constexpr Value kFailed{-1, 0};

constexpr std::int64_t kFoldElements = 1 << 14;
constexpr double kMaxNodes = 1e6;  // after functions are inlined

std::string NodeName(const Node& node) {
  const std::string_view domain = NormalDomain(node.domain);
  std::string text = domain.empty() ? node.op_type : fmt::format("{}::{}", domain, node.op_type);
  if (!node.name.empty()) {
    text += fmt::format(" \"{}\"", node.name);
  } else if (!node.outputs.empty()) {
    text += fmt::format(" (makes \"{}\")", node.outputs[0]);
  }
  return text;
}

bool SmallStatic(const ir::Output& output) {
  if (!output.type.is_tensor() || !output.type.is_static()) return false;
  const Result<std::int64_t> size = checked_size(output.type.shape().values());
  return size.ok() && *size <= kFoldElements;
}

}  // namespace

Translator::Translator(const Model& model, const TranslateOptions& options)
    : model_(model), options_(options), where_(model.path.empty() ? "model" : model.path), reader_(model) {}

std::optional<Literal> Translator::ConstantOf(const ir::Graph& graph, Value v) {
  if (!v.valid()) return std::nullopt;
  const ir::Node& node = graph.node(v);
  if (node.op->name == "constant") return node.attrs.Lit("value");
  const ir::Output& output = graph.output(v);
  if (!output.symbolic || !output.type.is_tensor() || !output.type.is_static()) return std::nullopt;
  Ints values;
  for (const Dim& dim : *output.symbolic) {
    if (dim.is_symbolic()) return std::nullopt;
    values.push_back(dim.value());
  }
  return ir::FromInts(output.type.dtype(), output.type.shape().values(), values);
}

Translator::Lookup Translator::Find(const Scope& scope, std::string_view name) const {
  if (const auto found = scope.values.find(name); found != scope.values.end()) return {true, found->second};
  if (scope.outer == nullptr) return {};
  const Lookup outer = Find(*scope.outer, name);
  if (!outer.found || !outer.value.valid() || scope.frame == scope.outer->frame) return outer;
  return {true, Import(*scope.frame, outer.value)};
}

Value Translator::Import(Frame& frame, Value outer) const {
  if (const auto found = frame.from_outer.find(outer); found != frame.from_outer.end()) return found->second;
  const ir::Output& source = frame.outer->graph.output(outer);
  ir::Builder b(&frame.graph);
  Value value;
  if (std::optional<Literal> literal = ConstantOf(frame.outer->graph, outer)) {
    value = b.Constant(*std::move(literal));
    frame.graph.output(value).record = source.record;
  } else {
    value = b.Input(source.record.name, source.type);
    frame.graph.output(value).symbolic = source.symbolic;
    frame.graph.output(value).record = source.record;
    frame.captured.push_back(outer);
  }
  frame.from_outer.insert({outer, value});
  frame.to_outer.insert({value, outer});
  return value;
}

Value Translator::ImportFrom(Frame& frame, const Frame& outermost, Value v) const {
  if (&frame == &outermost || frame.outer == nullptr) return v;
  return Import(frame, ImportFrom(*frame.outer, outermost, v));
}

Result<Value> Translator::RandomState(const Scope& scope) {
  constexpr std::string_view kPath = "random/state";
  if (!random_state_.valid()) {
    ir::Builder b(&outermost_->graph);
    const Literal start(DType::kU64, {2});
    TENON_RETURN_IF_ERROR(
        module_.AddVariable(std::make_shared<ir::VariableCell>(std::string(kPath), start, /*trainable=*/false)));
    random_state_ = b.Input(std::string(kPath), ir::Type::Of(start));
    outermost_->graph.output(random_state_).record.name = kPath;
    variables_.push_back({std::string(kPath), false});
  }
  ir::Builder b(&scope.frame->graph);
  const Value state = ImportFrom(*scope.frame, *outermost_, random_state_);
  const std::uint64_t stream[] = {0, static_cast<std::uint64_t>(random_streams_++)};
  const Value own =
      stream[1] == 0 ? state : b.Add("add", {state, b.Constant(Literal::from<std::uint64_t>({2}, std::span(stream)))});
  TENON_RETURN_IF_ERROR(b.status());
  return own;
}

void Translator::Fold(ir::Graph& graph, std::int32_t first, std::vector<Value>* values) const {
  std::unordered_map<Value, Literal, ir::ValueHash> known;
  const auto literal = [&](Value v) -> std::optional<Literal> {
    if (const auto found = known.find(v); found != known.end()) return found->second;
    return ConstantOf(graph, v);
  };
  for (std::int32_t id = first; id < graph.size(); ++id) {
    PropagateSymbolic(graph, id);
    const ir::Node& node = graph.node(id);
    if (node.op->name == "constant" || node.op->name == "input" || node.op->Is(ir::kRandom) ||
        node.op->Is(ir::kControl))
      continue;
    if (!std::all_of(node.outputs.begin(), node.outputs.end(), SmallStatic)) continue;
    std::vector<std::optional<ir::Datum>> data;
    bool all = true;
    for (const Value v : node.inputs) {
      std::optional<Literal> value = v.valid() ? literal(v) : std::nullopt;
      all = all && (value || !v.valid());
      data.push_back(value ? std::optional<ir::Datum>(*std::move(value)) : std::nullopt);
    }
    if (!all) continue;
    std::vector<const ir::Datum*> inputs;
    for (const auto& datum : data) inputs.push_back(datum ? &*datum : nullptr);
    Result<std::vector<ir::Datum>> results = ir::EvalOp(*node.op, inputs, node.attrs);
    if (!results.ok()) continue;  // the same error comes when the model runs
    for (std::size_t k = 0; k < results->size(); ++k)
      if ((*results)[k].tensor)
        known.insert({Value{id, static_cast<std::int32_t>(k)}, *std::move((*results)[k].tensor)});
  }
  ir::Builder b(&graph);
  for (Value& v : *values)
    if (v.valid() && v.node >= first && graph.node(v).op->name != "constant")
      if (std::optional<Literal> value = literal(v)) v = b.Constant(*std::move(value));
}

Value Translator::WithDeclaredRank(Value v, std::string_view name, Scope* scope) const {
  if (!v.valid() || scope->declared == nullptr) return v;
  const ir::Type& type = scope->frame->graph.type(v);
  if (!type.is_tensor() || type.has_rank()) return v;
  const ValueInfo* info = nullptr;
  const auto look = [&](const std::vector<ValueInfo>& list) {
    for (const ValueInfo& declared : list)
      if (info == nullptr && declared.name == name) info = &declared;
  };
  look(scope->declared->value_infos);
  if (scope->outer == nullptr) look(scope->declared->outputs);
  if (info == nullptr || info->type.kind != TypeKind::kTensor || !info->type.shape) return v;
  const auto rank = static_cast<std::int64_t>(info->type.shape->size());
  ir::Builder b(&scope->frame->graph);
  const Value dims = b.Reshape(b.Add("shape_of", {v}), Shape({rank}));
  std::vector<std::string> symbols;
  std::vector<Dim> shape;
  for (std::int64_t i = 0; i < rank; ++i) {
    shape.push_back(Dim::any());
    symbols.emplace_back(shape.back().symbol_name());
  }
  b.Add("as_dims", {dims}, {{"symbols", std::move(symbols)}});
  const Value ranked = b.Reshape(v, Shape(std::move(shape)));
  return b.ok() ? ranked : v;
}

void Translator::SetOutputs(const Node& node, const std::vector<Value>& values, Scope* scope) {
  for (std::size_t i = 0; i < node.outputs.size(); ++i) {
    const std::string& name = node.outputs[i];
    if (name.empty()) continue;
    const Value v = WithDeclaredRank(i < values.size() ? values[i] : kFailed, name, scope);
    scope->values[name] = v;
    if (!v.valid()) continue;
    ir::Record& record = scope->frame->graph.output(v).record;
    if (record.name.empty()) record.name = scope->prefix + name;
    if (record.provenance.empty()) record.provenance.push_back({"onnx", node.name, name});
  }
}

const Function* Translator::FindFunction(const Node& node) const {
  for (const Function& function : model_.functions)
    if (function.name == node.op_type && NormalDomain(function.domain) == NormalDomain(node.domain) &&
        function.overload == node.overload)
      return &function;
  return nullptr;
}

Status Translator::CallFunction(const Function& function, const Node& node, const std::vector<Value>& inputs,
                                Scope* scope) {
  if (inputs.size() > function.inputs.size() || node.outputs.size() > function.outputs.size())
    return Status(Code::kInvalidArgument,
                  fmt::format("{} inputs and {} outputs for a function of {} and {}", inputs.size(),
                              node.outputs.size(), function.inputs.size(), function.outputs.size()));
  std::map<std::string_view, const Attribute*> attributes;
  for (const Attribute& attribute : function.attribute_protos) attributes[attribute.name] = &attribute;
  for (const Attribute& attribute : node.attributes) {
    const Attribute* value = &attribute;
    if (!attribute.ref_attr_name.empty()) {
      if (scope->attributes == nullptr || !scope->attributes->contains(attribute.ref_attr_name)) continue;
      value = scope->attributes->at(attribute.ref_attr_name);
    }
    attributes[attribute.name] = value;
  }
  Scope inner;
  inner.frame = scope->frame;
  inner.imports = function.opset_imports.empty() ? &model_.opset_imports : &function.opset_imports;
  inner.attributes = &attributes;
  // A call's first output names it: values of two calls of one function have two names.
  const auto named = std::find_if(node.outputs.begin(), node.outputs.end(), [](const auto& o) { return !o.empty(); });
  inner.prefix = scope->prefix + (named == node.outputs.end() ? node.name : *named) + "/";
  const std::int32_t first = scope->frame->graph.size();
  for (std::size_t i = 0; i < function.inputs.size(); ++i)
    inner.values[function.inputs[i]] = i < inputs.size() && inputs[i].valid() ? inputs[i] : kAbsent;
  TranslateNodes(function.nodes, &inner);
  std::vector<Value> outputs;
  for (const std::string& name : function.outputs) outputs.push_back(Find(inner, name).value);
  for (const Value v : outputs)  // these have the caller's names
    if (v.valid() && v.node >= first) scope->frame->graph.output(v).record.name.clear();
  SetOutputs(node, outputs, scope);
  return Status();
}

Value Translator::KeysOf(const Scope& scope, Value v) const {
  if (maps_.empty()) return {};
  for (const Frame* frame = scope.frame; frame != outermost_; frame = frame->outer) {
    const auto outer = frame->to_outer.find(v);
    if (outer == frame->to_outer.end()) return {};
    v = outer->second;
  }
  const auto found = maps_.find(v);
  return found == maps_.end() ? Value() : ImportFrom(*scope.frame, *outermost_, found->second);
}

Status Translator::TranslateNode(const Node& node, Scope* scope) {
  std::vector<Value> inputs;
  for (const std::string& name : node.inputs) {
    if (name.empty()) {
      inputs.push_back({});
      continue;
    }
    const Lookup found = Find(*scope, name);
    if (!found.found) return Status(Code::kInvalidArgument, fmt::format("nothing makes the input \"{}\"", name));
    if (found.value == kFailed) {  // said already; but an operator that we lack is to be named
      const OpRow* known = nullptr;
      if (FindFunction(node) == nullptr) {
        const Status lacking = CheckNode(node, OpsetOf(*scope->imports, node.domain).value_or(1), {}, &known);
        if (known == nullptr) return lacking;
      }
      SetOutputs(node, {}, scope);
      return Status();
    }
    inputs.push_back(found.value == kAbsent ? Value() : found.value);
  }
  while (!inputs.empty() && !inputs.back().valid()) inputs.pop_back();
  if (const Function* function = FindFunction(node)) return CallFunction(*function, node, inputs, scope);
  const std::int64_t opset = OpsetOf(*scope->imports, node.domain).value_or(1);
  const OpRow* row = nullptr;
  TENON_RETURN_IF_ERROR(CheckNode(node, opset, inputs, &row));
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (!row->takes_maps && KeysOf(*scope, inputs[i]).valid())
      return Status(Code::kInvalidArgument, fmt::format("input {} is a map, expected a tensor", i));
  ir::Graph& graph = scope->frame->graph;
  const std::int32_t first = graph.size();
  ir::Builder b(&graph);
  NodeContext context(*this, *scope, b, node, *row, opset, std::move(inputs));
  Status status = row->translate(context);
  if (status.ok()) status = b.status();
  // An op that this build lacks: the operator is right, but we cannot do it.
  if (status.code() == Code::kNotFound) return Status(Code::kUnimplemented, status.message());
  TENON_RETURN_IF_ERROR(status);
  std::vector<Value>& outputs = context.outputs();
  for (std::size_t i = 0; i < node.outputs.size(); ++i)
    if (!node.outputs[i].empty() && (i >= outputs.size() || !outputs[i].valid()))
      return Status(Code::kUnimplemented, fmt::format("output {} is not supported", i));
  if (!context.output_maps().empty() && scope->frame != outermost_)
    return Status(Code::kUnimplemented, "maps that a sub-graph makes are not supported");
  Fold(graph, first, &outputs);
  for (const auto& [i, keys] : context.output_maps()) maps_[outputs[static_cast<std::size_t>(i)]] = keys;
  SetOutputs(node, outputs, scope);
  return Status();
}

void Translator::TranslateNodes(const std::vector<Node>& nodes, Scope* scope) {
  const Result<std::vector<std::size_t>> order = SortNodes(nodes);
  if (!order.ok()) return errors_.push_back(order.status());
  for (const std::size_t i : *order) {
    Status status;
    try {
      status = TranslateNode(nodes[i], scope);
    } catch (const Error& error) {  // arithmetic of dims, or memory
      status = error.status();
    }
    if (status.ok()) continue;
    if (status.code() != Code::kCancelled)
      errors_.push_back(Status(status.code(), fmt::format("{}: {}", NodeName(nodes[i]), status.message())));
    SetOutputs(nodes[i], {}, scope);
  }
}

Status Translator::CheckExpansion() const {
  std::map<const Function*, double> counts;
  const std::function<double(const std::vector<Node>&)> count = [&](const std::vector<Node>& nodes) {
    double total = 0;
    for (const Node& node : nodes) {
      total += 1;
      for (const Attribute& attribute : node.attributes)
        for (const Graph& graph : attribute.graphs) total += count(graph.nodes);
      const Function* function = FindFunction(node);
      if (function == nullptr) continue;
      if (!counts.contains(function)) counts[function] = count(function->nodes);
      total += counts[function];
    }
    return total;
  };
  const double total = count(model_.graph->nodes);
  if (total <= kMaxNodes) return Status();
  return Status(
      Code::kResourceExhausted,
      fmt::format("{}: {:.3g} nodes once its functions are inlined, more than {:.0g}", where_, total, kMaxNodes));
}

Status Translator::Errors() const {
  if (errors_.empty()) return Status();
  std::set<std::string> seen;
  std::string text;
  Code code = Code::kUnimplemented;
  for (const Status& error : errors_) {
    if (error.code() != Code::kUnimplemented) code = Code::kInvalidArgument;
    if (seen.insert(error.message()).second) text += "\n  " + error.message();
  }
  if (seen.size() == 1) {
    const std::string& message = *seen.begin();
    return Status(code, message.starts_with(where_ + ": ") ? message : fmt::format("{}: {}", where_, message));
  }
  return Status(code, fmt::format("{}: {} nodes cannot be translated:{}", where_, seen.size(), text));
}

}  // namespace tenon::onnx
