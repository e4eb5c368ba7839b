#include "formats/onnx/translate.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>

#include "formats/onnx/check.h"
#include "formats/onnx/translator.h"
#include "tensor/aligned.h"

namespace tenon::onnx {
namespace {

// Which inputs of an operator are weights when an initializer stands there, and which of these are not trained.
struct WeightInputs {
  std::string_view op_type;
  std::vector<int> trained, fixed = {};
};
const WeightInputs* FindWeightInputs(std::string_view op_type) {
  static const WeightInputs kAll[] = {
      {"Conv", {1, 2}},
      {"ConvTranspose", {1, 2}},
      {"Gemm", {0, 1, 2}},
      {"MatMul", {0, 1}},
      {"Add", {0, 1}},
      {"Sub", {0, 1}},
      {"Mul", {0, 1}},
      {"Div", {0, 1}},
      {"BatchNormalization", {1, 2}, {3, 4}},
      {"InstanceNormalization", {1, 2}},
      {"LayerNormalization", {1, 2}},
      {"GroupNormalization", {1, 2}},
      {"RMSNormalization", {1}},
      {"PRelu", {1}},
      {"Gather", {0}},
      {"LSTM", {1, 2, 3}},
      {"GRU", {1, 2, 3}},
      {"RNN", {1, 2, 3}},
      {"Einsum", {0, 1}},
      {"Transpose", {0}},
      {"Reshape", {0}},
      {"Squeeze", {0}},
      {"Unsqueeze", {0}},
      {"Identity", {0}},
      {"Expand", {0}},
      {"Concat", {0, 1, 2, 3}},
      {"Shape", {0}},  // asks for the dims only
      {"Size", {0}},
  };
  for (const WeightInputs& row : kAll)
    if (row.op_type == op_type) return &row;
  return nullptr;
}

bool Contains(const std::vector<int>& list, int i) { return std::find(list.begin(), list.end(), i) != list.end(); }

struct Use {
  bool weight = true;  // by every node that reads it
  bool trained = true;
  int count = 0;
};

// How the initializers of the outermost graph are used. What inner graphs and functions capture stays a constant.
std::map<std::string_view, Use> WeightUses(const Graph& graph, const std::vector<Function>& functions) {
  std::map<std::string_view, Use> uses;
  const std::function<void(const std::vector<Node>&, bool)> walk = [&](const std::vector<Node>& nodes, bool outer) {
    for (const Node& node : nodes) {
      const WeightInputs* row = NormalDomain(node.domain).empty() ? FindWeightInputs(node.op_type) : nullptr;
      for (const Function& function : functions)
        if (function.name == node.op_type && NormalDomain(function.domain) == NormalDomain(node.domain)) row = nullptr;
      for (std::size_t i = 0; i < node.inputs.size(); ++i) {
        Use& use = uses[node.inputs[i]];
        ++use.count;
        const bool fixed = row != nullptr && Contains(row->fixed, static_cast<int>(i));
        if (fixed) use.trained = false;
        if (!outer || row == nullptr || !(fixed || Contains(row->trained, static_cast<int>(i)))) use.weight = false;
      }
      for (const Attribute& attribute : node.attributes)
        for (const Graph& inner : attribute.graphs) walk(inner.nodes, false);
    }
  };
  walk(graph.nodes, true);
  for (const ValueInfo& output : graph.outputs) uses[output.name].weight = false;
  return uses;
}

}  // namespace

Status Translator::AddInitializers(const Graph& graph, Scope* scope, bool outermost) {
  std::map<std::string_view, Use> uses;
  if (outermost && options_.trainable_weights) uses = WeightUses(graph, model_.functions);
  ir::Builder b(&scope->frame->graph);
  const auto add = [&](const std::string& name, Result<Literal> value) {
    if (!value.ok()) {
      errors_.push_back(value.status());
      scope->values[name] = Value();
      return;
    }
    const auto use = uses.find(name);
    Value v;
    if (use != uses.end() && use->second.weight && use->second.count > 0 && is_float(value->dtype()) &&
        dtype_bits(value->dtype()) >= 16 && value->rank() > 0 && value->size() > 1) {
      v = b.Input(name, ir::Type::Of(*value));
      variables_.push_back({name, use->second.trained});
      const Status status =
          module_.AddVariable(std::make_shared<ir::VariableCell>(name, Aligned(*value), use->second.trained));
      if (!status.ok()) errors_.push_back(status);
    } else {
      v = b.Constant(*std::move(value));
    }
    scope->frame->graph.output(v).record.name = name;
    scope->values[name] = v;
  };
  for (const Tensor& tensor : graph.initializers) add(tensor.name, reader_.Read(tensor));
  for (const SparseTensor& tensor : graph.sparse_initializers) add(tensor.values.name, reader_.Read(tensor));
  return b.status();
}

void Translator::AddNames(const std::string& name, bool is_map, std::vector<std::string>* names) {
  if (is_map) names->push_back(name + ".keys");
  names->push_back(is_map ? name + ".values" : name);
}

Status Translator::AddInputs(const Graph& graph, Scope* scope, ir::Function* function) {
  std::set<std::string_view> defaults;
  for (const Tensor& tensor : graph.initializers) defaults.insert(tensor.name);
  for (const SparseTensor& tensor : graph.sparse_initializers) defaults.insert(tensor.values.name);
  ir::Builder b(&scope->frame->graph);
  for (const ValueInfo& input : graph.inputs) {
    if (defaults.contains(input.name)) continue;
    const Result<ir::Type> type = ReadType(input.type, dims_);
    if (!type.ok()) return type.status().with_context(fmt::format("{}: input \"{}\"", where_, input.name));
    const bool is_map = type->kind() == ir::Type::Kind::kMap;
    AddNames(input.name, is_map, &function->input_names);
    if (is_map) {
      if (!type->element().is_tensor())
        return Status(Code::kUnimplemented, fmt::format("{}: input \"{}\": {}, only maps of numbers and texts are read",
                                                        where_, input.name, type->to_string()));
      const Shape count({dims_.Read(input.name + ".count")});
      const Value keys = b.Input(input.name + ".keys", ir::Type::Tensor(type->dtype(), count));
      const Value values = b.Input(input.name + ".values", ir::Type::Tensor(type->element().dtype(), count));
      maps_[scope->values[input.name] = values] = keys;
    } else {
      scope->values[input.name] = b.Input(input.name, *type);
    }
  }
  return b.status();
}

Result<ir::Module> Translator::Run() {
  TENON_RETURN_IF_ERROR(Check(model_));
  TENON_RETURN_IF_ERROR(CheckExpansion());
  const Graph& graph = *model_.graph;
  static const std::vector<OperatorSetId> kOldest = {{"", 1}};
  Frame frame;
  Scope scope;
  scope.frame = &frame;
  outermost_ = &frame;
  scope.imports = model_.opset_imports.empty() ? &kOldest : &model_.opset_imports;
  ir::Function function;
  function.name = options_.function_name;
  TENON_RETURN_IF_ERROR(AddInputs(graph, &scope, &function));
  scope.declared = &graph;
  TENON_RETURN_IF_ERROR(AddInitializers(graph, &scope, true));
  TranslateNodes(graph.nodes, &scope);
  std::vector<Value> outputs;
  for (const ValueInfo& output : graph.outputs) {
    const Value v = Find(scope, output.name).value;
    const Value keys = KeysOf(scope, v);
    AddNames(output.name, keys.valid(), &function.output_names);
    if (keys.valid()) outputs.push_back(keys);
    outputs.push_back(v);
    if (!v.valid()) continue;
    const ir::Type& type = frame.graph.type(v);
    if (output.type.kind == TypeKind::kTensor && output.type.elem_type != 0 && type.is_tensor()) {
      const Result<ir::Type> declared = ReadType(output.type, dims_);
      if (declared.ok() && declared->dtype() != type.dtype())
        errors_.push_back(
            Status(Code::kInvalidArgument, fmt::format("output \"{}\" is declared as {}, but it is {}", output.name,
                                                       dtype_name(declared->dtype()), dtype_name(type.dtype()))));
    }
  }
  TENON_RETURN_IF_ERROR(Errors());
  for (const auto* names : {&function.input_names, &function.output_names})
    if (std::set<std::string_view> once(names->begin(), names->end()); once.size() != names->size())
      return Status(Code::kInvalidArgument,
                    where_ + ": a map takes two names, NAME.keys and NAME.values, and one of them is taken");
  if (random_state_.valid()) {
    ir::Builder b(&frame.graph);
    const std::uint64_t used[] = {0, static_cast<std::uint64_t>(random_streams_)};
    outputs.push_back(b.Add("add", {random_state_, b.Constant(Literal::from<std::uint64_t>({2}, std::span(used)))}));
    TENON_RETURN_IF_ERROR(b.status());
    function.writes.emplace_back("random/state");
  }
  frame.graph.set_outputs(std::move(outputs));
  frame.graph.Compact();
  function.graph = std::move(frame.graph);
  for (const auto& [path, trained] : variables_) function.reads.push_back(path);
  if (!graph.doc_string.empty()) function.metadata["doc"] = graph.doc_string;
  module_.functions.push_back(std::move(function));
  module_.metadata["format"] = "onnx";
  if (!graph.name.empty()) module_.metadata["name"] = graph.name;
  if (!model_.producer_name.empty())
    module_.metadata["producer"] =
        model_.producer_version.empty() ? model_.producer_name : model_.producer_name + " " + model_.producer_version;
  if (!model_.doc_string.empty()) module_.metadata["doc"] = model_.doc_string;
  if (!model_.domain.empty()) module_.metadata["onnx.domain"] = model_.domain;
  if (model_.model_version != 0) module_.metadata["onnx.model_version"] = std::to_string(model_.model_version);
  for (const OperatorSetId& id : *scope.imports)
    module_.metadata[NormalDomain(id.domain).empty() ? "onnx.opset" : "onnx.opset." + id.domain] =
        std::to_string(id.version);
  for (const StringEntry& entry : model_.metadata) module_.metadata["onnx.metadata." + entry.key] = entry.value;
  return std::move(module_);
}

Result<ir::Module> Translate(const Model& model, const TranslateOptions& options) {
  try {
    return Translator(model, options).Run();
  } catch (const Error& error) {
    return error.status().with_context(model.path.empty() ? "model" : model.path);
  }
}

}  // namespace tenon::onnx
