#include "formats/onnx/export/exporter.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "formats/onnx/data_type.h"
#include "formats/onnx/dims.h"
#include "formats/onnx/node_context.h"
#include "ir/builder.h"
#include "ir/numeric.h"

namespace tenon::onnx {
namespace {

const ExportRow* FindExportRow(std::string_view op) {
  static const std::map<std::string_view, const ExportRow*> kRows = [] {
    std::map<std::string_view, const ExportRow*> rows;
    for (const std::span<const ExportRow> family : ExportFamilies())
      for (const ExportRow& row : family) rows.insert({row.op, &row});
    return rows;
  }();
  const auto found = kRows.find(op);
  return found == kRows.end() ? nullptr : found->second;
}

// The IR version that came with an opset.
std::int64_t IrVersion(std::int64_t opset) {
  if (opset <= 14) return 7;
  if (opset <= 18) return 8;
  if (opset <= 20) return 9;
  if (opset <= 22) return 10;
  if (opset <= 24) return opset - 12;
  return opset <= 27 ? 13 : 14;
}

}  // namespace

std::string Exporter::Fresh(std::string wish) {
  if (wish.empty()) wish = "value";
  if (used_.insert(wish).second) return wish;
  for (;;) {
    std::string name = fmt::format("{}_{}", wish, ++counters_[wish]);
    if (used_.insert(name).second) return name;
  }
}

Names Exporter::EmitAll(std::string op_type, Names inputs, std::vector<Attribute> attributes, Names outputs,
                        bool partial) {
  Node node;
  if (const std::size_t colons = op_type.find("::"); colons != std::string::npos) {
    node.domain = op_type.substr(0, colons);
    op_type.erase(0, colons + 2);
    domains_[node.domain] = node.domain == "ai.onnx.ml" ? 5 : 1;
  }
  node.op_type = std::move(op_type);
  while (!inputs.empty() && inputs.back().empty()) inputs.pop_back();
  node.inputs = std::move(inputs);
  for (std::string& name : outputs)
    if (name.empty() && !partial) name = Fresh(node.op_type);
  node.outputs = outputs;
  while (partial && node.outputs.back().empty()) node.outputs.pop_back();
  node.name = "node_" + outputs[0];
  node.attributes = std::move(attributes);
  stack_.back().graph.nodes.push_back(std::move(node));
  return outputs;
}

std::string Exporter::Emit(std::string op_type, Names inputs, std::vector<Attribute> attributes, Names outputs) {
  if (outputs.empty()) outputs.emplace_back();
  return EmitAll(std::move(op_type), std::move(inputs), std::move(attributes), std::move(outputs))[0];
}

std::string Exporter::Constant(Literal value, std::string wish) {
  Level& level = stack_.back();
  std::string key;
  if (value.dtype() != DType::kString && value.nbytes() <= 64) {
    key = fmt::format("{} {} ", dtype_name(value.dtype()), value.shape().to_string());
    key.append(reinterpret_cast<const char*>(value.raw().data()), value.nbytes());
    if (const auto found = level.shared.find(key); found != level.shared.end()) return found->second;
  }
  Tensor tensor;
  tensor.name = Fresh(std::move(wish));
  tensor.value = value;
  const std::string name = tensor.name;
  level.graph.initializers.push_back(std::move(tensor));
  level.initializers.insert({name, std::move(value)});
  if (!key.empty()) level.shared[key] = name;
  return name;
}

const Literal* Exporter::Initializer(const std::string& name) const {
  for (const Level& level : stack_)
    if (const auto found = level.initializers.find(name); found != level.initializers.end()) return &found->second;
  return nullptr;
}

std::string Exporter::Name(Env& env, ir::Value v) {
  if (!v.valid()) return {};
  if (const auto found = env.names.find(v); found != env.names.end()) return found->second;
  const ir::Node& node = env.graph->node(v);
  if (node.op->name == "constant") {
    const std::string& wish = env.graph->output(v).record.name;
    return env.names[v] = Constant(node.attrs.Lit("value"), wish.empty() ? "constant" : wish);
  }
  return {};  // the node that makes it failed
}

Graph Exporter::Pop() {
  Graph graph = std::move(stack_.back().graph);
  stack_.pop_back();
  return graph;
}

void Exporter::NoteSymbols(const ir::Type& type, const std::string& name) {
  if (!type.is_tensor() || !type.has_rank()) return;
  for (int i = 0; i < type.rank(); ++i)
    if (const std::string_view symbol = type.shape()[i].symbol_name(); !symbol.empty())
      symbols_.back().sources.insert({std::string(symbol), {name, i}});
}

void Exporter::NoteElements(const std::vector<Dim>& elements, const std::string& name) {
  for (std::size_t i = 0; i < elements.size(); ++i)
    if (const std::string_view symbol = elements[i].symbol_name(); !symbol.empty())
      symbols_.back().sources.insert({std::string(symbol), {name, static_cast<int>(i), true}});
}

const Exporter::SymbolSource* Exporter::FindSymbol(const std::string& name) const {
  for (auto level = symbols_.rbegin(); level != symbols_.rend(); ++level)
    if (const auto found = level->sources.find(name); found != level->sources.end()) return &found->second;
  return nullptr;
}

bool Exporter::IsRandomState(Env& env, ir::Value v) {
  while (env.graph->node(v).op->name == "add") v = env.graph->node(v).inputs[0];
  return !random_state_.empty() && Name(env, v) == random_state_;
}

Status Exporter::WriteLowered(Env& env, std::int32_t id) {
  const ir::Node& node = env.graph->node(id);
  ir::Graph graph;
  ir::Builder b(&graph);
  std::vector<ir::Value> inputs;
  Env inner;
  inner.graph = &graph;
  for (const ir::Value v : node.inputs) {
    if (!v.valid()) {
      inputs.push_back({});
      continue;
    }
    const ir::Output& source = env.graph->output(v);
    const ir::Node& maker = env.graph->node(v);
    const ir::Value input =
        maker.op->name == "constant" ? b.Constant(maker.attrs.Lit("value")) : b.Input("", source.type);
    graph.output(input).symbolic = source.symbolic;
    if (maker.op->name != "constant") inner.names[input] = Name(env, v);
    inputs.push_back(input);
  }
  TENON_ASSIGN_OR_RETURN(const std::vector<ir::Value> outputs, ir::Lower(b, *node.op, inputs, node.attrs));
  graph.set_outputs(outputs);
  for (std::size_t k = 0; k < outputs.size() && k < node.outputs.size(); ++k)
    if (const auto wanted = env.names.find({id, static_cast<std::int32_t>(k)}); wanted != env.names.end())
      if (outputs[k].valid() && !inner.names.contains(outputs[k]) && graph.node(outputs[k]).op->name != "constant")
        inner.names[outputs[k]] = wanted->second;
  WriteNodes(inner);
  for (std::size_t k = 0; k < outputs.size() && k < node.outputs.size(); ++k) {
    if (!outputs[k].valid()) continue;
    const ir::Value here{id, static_cast<std::int32_t>(k)};
    const std::string name = Name(inner, outputs[k]);
    if (const auto wanted = env.names.find(here); wanted == env.names.end()) {
      env.names[here] = name;
    } else if (wanted->second != name) {
      Emit("Identity", {name}, {}, {wanted->second});
    }
  }
  return {};
}

// An op whose record says that ONNX has the same.
Status Exporter::WriteRecord(Env& env, std::int32_t id, bool* done) {
  const ir::Node& node = env.graph->node(id);
  std::string_view names = node.op->names.onnx;
  *done = false;
  if (names.empty()) return {};
  const std::string op_type(names.substr(0, names.find(' ')));
  const int first = FirstOpset(op_type);
  if (first == 0 || first > opset()) return {};
  std::vector<Attribute> attributes;
  for (const auto& [name, value] : node.attrs) {
    std::string theirs = name;
    for (std::size_t at = names.find(' '); at != std::string_view::npos; at = names.find(' ', at + 1)) {
      const std::string_view word = names.substr(at + 1, names.find(' ', at + 1) - at - 1);
      if (const std::size_t eq = word.find('='); word.substr(eq + 1) == name) theirs = word.substr(0, eq);
    }
    if (const auto* b = std::get_if<bool>(&value)) attributes.push_back(IntAttribute(theirs, *b ? 1 : 0));
    if (const auto* i = std::get_if<std::int64_t>(&value)) attributes.push_back(IntAttribute(theirs, *i));
    if (const auto* f = std::get_if<double>(&value)) attributes.push_back(FloatAttribute(theirs, *f));
    if (const auto* s = std::get_if<std::string>(&value)) attributes.push_back(StringAttribute(theirs, *s));
    if (const auto* l = std::get_if<Ints>(&value)) attributes.push_back(IntsAttribute(theirs, *l));
  }
  Names inputs, outputs;
  for (const ir::Value v : node.inputs) inputs.push_back(Name(env, v));
  static const ExportRow kNone{};
  OpWriter w(*this, env, id, kNone);
  for (std::size_t k = 0; k < node.outputs.size(); ++k) outputs.push_back(w.out(static_cast<int>(k)));
  EmitAll(op_type, std::move(inputs), std::move(attributes), std::move(outputs));
  *done = true;
  return {};
}

Status Exporter::WriteNode(Env& env, std::int32_t id) {
  const ir::Node& node = env.graph->node(id);
  if (node.op->name == "input" || node.op->name == "constant") return {};
  for (const ir::Value v : node.inputs)
    if (v.valid() && Name(env, v).empty()) return Status(Code::kCancelled, "an input failed");
  if (CanStayChannelsFirst(env, node)) return WriteChannelsFirst(env, id, [&] { return WritePlain(env, id); });
  return WritePlain(env, id);
}

Status Exporter::WritePlain(Env& env, std::int32_t id) {
  const ir::Node& node = env.graph->node(id);
  const ExportRow* row = FindExportRow(node.op->name);
  if (row != nullptr && row->since <= opset()) {
    OpWriter w(*this, env, id, *row);
    return row->write(w);
  }
  if (row == nullptr) {
    bool done = false;
    TENON_RETURN_IF_ERROR(WriteRecord(env, id, &done));
    if (done) return {};
  }
  if (node.op->lower != nullptr) return WriteLowered(env, id);
  return Status(Code::kUnimplemented, fmt::format("has no form in ONNX opset {}", opset()));
}

void Exporter::WriteNodes(Env& env) {
  for (std::int32_t id = 0; id < env.graph->size(); ++id) {
    Status status;
    try {
      status = WriteNode(env, id);
    } catch (const Error& error) {
      status = error.status();
    }
    if (status.ok()) {
      for (std::size_t k = 0; k < env.graph->node(id).outputs.size(); ++k)
        if (const auto found = env.names.find({id, static_cast<std::int32_t>(k)}); found != env.names.end())
          NoteSymbols(env.graph->node(id).outputs[k].type, found->second);
    } else if (status.code() != Code::kCancelled) {
      const ir::Node& node = env.graph->node(id);
      const std::string& name = node.outputs.empty() ? std::string() : node.outputs[0].record.name;
      errors_.push_back(
          Status(Code::kUnimplemented,
                 fmt::format("{}{}: {}", node.op->name, name.empty() ? "" : " \"" + name + "\"", status.message())));
    }
    if (!status.ok())
      for (std::size_t k = 0; k < env.graph->node(id).outputs.size(); ++k)
        env.names.erase({id, static_cast<std::int32_t>(k)});
  }
}

Names Exporter::InlineGraph(const ir::Graph& graph, const Names& inputs) {
  Env env;
  env.graph = &graph;
  symbols_.emplace_back();
  for (std::size_t i = 0; i < inputs.size() && i < graph.inputs().size(); ++i) {
    env.names[graph.inputs()[i]] = inputs[i];
    NoteSymbols(graph.type(graph.inputs()[i]), inputs[i]);
  }
  WriteNodes(env);
  Names outputs;
  for (const ir::Value v : graph.outputs()) outputs.push_back(Name(env, v));
  symbols_.pop_back();
  return outputs;
}

Result<Model> Exporter::Run() {
  if (opset() < kOldestOpset || opset() > kNewestOpset)
    return Status(Code::kInvalidArgument,
                  fmt::format("onnx: opset {}, expected {} to {}", opset(), kOldestOpset, kNewestOpset));
  TENON_ASSIGN_OR_RETURN(const ir::Function* function, module_.Signature(options_.function));
  // Draws without a seed are operators with a state of their own in ONNX.
  const bool draws = function->writes == std::vector<std::string>{"random/state"};
  if (draws) random_state_ = function->writes[0];
  if (!function->writes.empty() && !draws)
    return Status(Code::kUnimplemented, fmt::format("onnx: the function \"{}\" changes {} variables; ONNX has no state",
                                                    function->name, function->writes.size()));
  Push();
  Env env;
  env.graph = &function->graph;
  const ir::Graph& graph = function->graph;
  Graph& out = stack_.back().graph;
  const auto name = module_.metadata.find("name");
  out.name = name == module_.metadata.end() || name->second.empty() ? "main" : name->second;
  for (const std::string& n : function->input_names) used_.insert(n);
  for (const std::string& n : function->output_names) used_.insert(n);
  for (std::size_t i = 0; i < function->num_inputs(); ++i) {
    ValueInfo& info = out.inputs.emplace_back();
    info.name = function->input_names[i];
    info.type = WriteType(function->input_type(i));
    env.names[function->input(i)] = info.name;
    NoteSymbols(function->input_type(i), info.name);
  }
  for (std::size_t i = 0; i < function->reads.size(); ++i) {
    const ir::VariablePtr cell = module_.FindVariable(function->reads[i]);
    if (cell == nullptr)
      return Status(Code::kInternal, fmt::format("onnx: no variable \"{}\" in the module", function->reads[i]));
    Tensor tensor;
    tensor.name = Fresh(cell->path());
    if (function->reads[i] == random_state_) random_state_ = tensor.name;
    tensor.value = cell->Read();
    stack_.back().initializers.insert({tensor.name, *tensor.value});
    env.names[function->read_input(i)] = tensor.name;
    out.initializers.push_back(std::move(tensor));
  }
  // An output's value takes its name, unless it is an input, a constant or an output already.
  for (std::size_t i = 0; i < function->num_outputs(); ++i)
    if (graph.node(function->output(i)).op->name != "constant")
      env.names.insert({function->output(i), function->output_names[i]});
  WriteNodes(env);
  for (std::size_t i = 0; i < function->num_outputs(); ++i) {
    const std::string made = Name(env, function->output(i));
    if (!made.empty() && made != function->output_names[i]) Emit("Identity", {made}, {}, {function->output_names[i]});
    ValueInfo& info = stack_.back().graph.outputs.emplace_back();
    info.name = function->output_names[i];
    info.type = WriteType(function->output_type(i));
  }
  if (!errors_.empty()) {
    std::set<std::string> seen;
    std::string text;
    for (const Status& error : errors_)
      if (seen.insert(error.message()).second) text += "\n  " + error.message();
    return Status(Code::kUnimplemented,
                  fmt::format("onnx: {} nodes cannot be written at opset {}:{}", seen.size(), opset(), text));
  }
  Model model;
  model.ir_version = IrVersion(opset());
  model.opset_imports = {{"", opset()}};
  for (const auto& [domain, version] : domains_) model.opset_imports.push_back({domain, version});
  model.producer_name = "tenon";
  model.graph = Pop();
  DropUnused(&*model.graph);
  const auto kept = [&](const char* key) {
    const auto found = module_.metadata.find(key);
    return found == module_.metadata.end() ? std::string() : found->second;
  };
  model.doc_string = kept("doc");
  model.domain = kept("onnx.domain");
  const std::string version = kept("onnx.model_version");
  std::from_chars(version.data(), version.data() + version.size(), model.model_version);
  for (const auto& [key, value] : module_.metadata)
    if (key.rfind("onnx.metadata.", 0) == 0) model.metadata.push_back({key.substr(14), value});
  return model;
}

Result<Model> Export(const ir::Module& module, const ExportOptions& options) { return Exporter(module, options).Run(); }

}  // namespace tenon::onnx
