// Signatures and frozen graphs -> functions.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "base/status_macros.h"
#include "formats/savedmodel/parse.h"
#include "formats/savedmodel/translator.h"

namespace tenon::savedmodel {
namespace {

/// A symbol for an unknown dim: "x_0"; unique among `used`.
Dim NewSymbol(const std::string& input, std::size_t axis, std::set<std::string>* used) {
  std::string name;
  for (const char c : input) name += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  if (name.empty() || std::isalpha(static_cast<unsigned char>(name[0])) == 0) name = "d_" + name;
  name += "_" + std::to_string(axis);
  while (!used->insert(name).second) name += "_";
  return Dim::symbol(name);
}

std::string NodeOf(const std::string& tensor) { return tensor.substr(0, tensor.find(':')); }

/// What the signature says of a port, for those who show it: "x:0 -1,1", "x:0 ?" for any rank, "x:0 " for rank 0; "
/// ref" behind it for a reference type.
std::string Declared(const TensorInfo& info) {
  std::string text = info.name + " ";
  if (info.shape && info.shape->unknown_rank) text += "?";
  if (info.shape && !info.shape->unknown_rank)
    for (std::size_t i = 0; i < info.shape->dims.size(); ++i)
      text += (i == 0 ? "" : ",") + std::to_string(info.shape->dims[i]);
  return text + (BaseType(info.dtype) == info.dtype ? "" : " ref");
}

/// The bytes as hexadecimal digits, for metadata.
std::string Hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out;
}

const TfShape* ShapeAttr(const NodeDef& node, std::string_view name) {
  const auto it = node.attrs.find(name);
  return it == node.attrs.end() ? nullptr : it->second.get<TfShape>();
}

}  // namespace

Result<ir::Type> Translator::InputType(const std::string& name, const TensorInfo& info,
                                       std::set<std::string>* symbols) {
  const Body& main = library_.main();
  const auto found = main.index.find(NodeOf(info.name));
  const NodeDef* node = found == main.index.end() ? nullptr : &(*main.nodes)[static_cast<std::size_t>(found->second)];
  TfType type = info.dtype;
  // Old exporters wrote float for placeholders of text.
  if (node != nullptr && (type == TfType::kInvalid || node->op == "Placeholder"))
    if (const auto attr = node->attrs.find("dtype"); attr != node->attrs.end())
      if (const TfType* value = attr->second.get<TfType>(); value != nullptr) type = *value;
  const std::optional<DType> dtype = DTypeOfTf(type);
  if (!dtype || !info.dense)
    return Status(Code::kUnimplemented,
                  fmt::format("{}: input {:?} is {}, expected a dense tensor of numbers or text", name_, name,
                              info.dense ? TfTypeName(type) : "sparse or composite"));
  TfShape shape;
  shape.unknown_rank = true;
  if (info.shape) shape = *info.shape;
  if (const TfShape* attr = node == nullptr ? nullptr : ShapeAttr(*node, "shape");
      shape.unknown_rank && attr != nullptr)
    shape = *attr;
  if (shape.unknown_rank) return ir::Type::TensorOfUnknownRank(*dtype);
  std::vector<Dim> dims;
  for (std::size_t d = 0; d < shape.dims.size(); ++d)
    dims.push_back(shape.dims[d] < 0 ? NewSymbol(name, d, symbols) : Dim(shape.dims[d]));
  return ir::Type::Tensor(*dtype, Shape(std::move(dims)));
}

Result<Slot> Translator::Fetch(Scope& scope, const std::string& tensor) {
  const Ref ref = scope.body->Find(tensor);
  if (ref.node < 0) return Status(Code::kInvalidArgument, fmt::format("{}: there is no tensor {:?}", name_, tensor));
  if (!scope.fed.contains((std::int64_t{ref.node} << 16) | ref.output))
    TENON_RETURN_IF_ERROR(Evaluate(scope, {ref.node}));
  return Resolve(scope, ref);
}

Result<ir::Function> Translator::Function(const std::string& name, const Ports& inputs, const Ports& outputs) {
  ir::Function function;
  function.name = name;
  Building building;
  building.graph = &function.graph;
  building_ = &building;
  Scope scope;
  scope.body = &library_.main();
  scope.results.resize(scope.body->nodes->size());
  std::set<std::string> symbols;
  ir::Builder builder(&function.graph);
  for (const auto& [port, info] : inputs) {
    const Ref ref = scope.body->Find(info.name);
    if (ref.node < 0)
      return Status(Code::kInvalidArgument,
                    fmt::format("{}: signature {:?}: its input {:?} names the tensor {:?}, which does not exist", name_,
                                name, port, info.name));
    TENON_ASSIGN_OR_RETURN(ir::Type type, InputType(port, info, &symbols));
    if (const auto rank = input_ranks_.find(port); name == ranks_of_ && rank != input_ranks_.end()) {
      std::vector<Dim> dims;
      for (int d = 0; d < rank->second; ++d) dims.push_back(NewSymbol(port, static_cast<std::size_t>(d), &symbols));
      type = ir::Type::Tensor(type.dtype(), Shape(std::move(dims)));
    }
    Slot slot;
    slot.kind = Slot::Kind::kTensor;
    slot.value = builder.Input(port, std::move(type));
    TENON_RETURN_IF_ERROR(builder.status());
    scope.fed[(std::int64_t{ref.node} << 16) | ref.output] = slot;
    function.input_names.push_back(port);
  }
  std::vector<ir::Value> results;
  for (const auto& [port, info] : outputs) {
    TENON_ASSIGN_OR_RETURN(Slot slot, Fetch(scope, info.name));
    if (info.dtype == TfType::kInvalid && slot.kind != Slot::Kind::kTensor) continue;  // an op that is only run
    if (slot.kind == Slot::Kind::kReference) {
      TENON_ASSIGN_OR_RETURN(slot.value, Read(slot.cell));
      slot.kind = Slot::Kind::kTensor;
    }
    if (slot.kind != Slot::Kind::kTensor && problems_.empty())
      return Status(Code::kUnimplemented,
                    fmt::format("{}: output {:?} of signature {:?} is no tensor", name_, port, name));
    results.push_back(slot.value);
    function.output_names.push_back(port);
  }
  if (!problems_.empty()) return function;  // they are reported together
  for (const int id : building.reads) function.reads.push_back(cell(id).variable->path());
  for (const int id : building.writes) {
    TENON_ASSIGN_OR_RETURN(const ir::VariablePtr variable, Variable(id));
    function.writes.push_back(variable->path());
    results.push_back(building.current.at(id));
  }
  function.graph.set_outputs(std::move(results));
  function.graph.Compact();
  return function;
}

Result<ir::Module> Translator::Run() {
  ir::Module module;
  TENON_RETURN_IF_ERROR(FindRestored());
  TENON_RETURN_IF_ERROR(FindTables());
  FindObjects();
  TENON_RETURN_IF_ERROR(FindKeys());
  for (const auto& [name, signature] : meta_.signatures) {
    // The initialiser is run by a session when it loads; tables and assets are set up by their own nodes here.
    if (name == "__saved_model_init_op" || name == "__saved_model_train_op") {
      for (const auto& [port, info] : signature.outputs) module.metadata["signature." + name] = port + " " + info.name;
      continue;
    }
    const Ports inputs(signature.inputs.begin(), signature.inputs.end());
    const Ports outputs(signature.outputs.begin(), signature.outputs.end());
    TENON_ASSIGN_OR_RETURN(ir::Function function, Function(name, inputs, outputs));
    if (!signature.method_name.empty()) function.metadata["method_name"] = signature.method_name;
    for (const auto& [port, info] : inputs) function.metadata["input." + port] = Declared(info);
    for (const auto& [port, info] : outputs) function.metadata["output." + port] = Declared(info);
    constexpr std::size_t kLargestDefault = 64 << 10;
    for (const auto& [port, tensor] : signature.defaults)
      if (tensor.encoded.size() <= kLargestDefault) function.metadata["default." + port] = Hex(tensor.encoded);
    module.functions.push_back(std::move(function));
  }
  TENON_RETURN_IF_ERROR(Problems());
  if (module.functions.empty())
    return Status(Code::kInvalidArgument, name_ + ": the model has no signatures; save it with signatures=...");
  for (const Cell& each : cells_)
    if (each.variable != nullptr) module.variables.push_back(each.variable);
  module.metadata["format"] = "savedmodel";
  if (!meta_.version.empty()) module.metadata["producer"] = "tensorflow " + meta_.version;
  return module;
}

Result<ir::Module> Translator::RunGraph(const LoadOptions& options) {
  const Body& main = library_.main();
  Ports inputs, outputs;
  const auto port = [](const std::string& tensor) {
    TensorInfo info;
    info.name = tensor.find(':') == std::string::npos ? tensor + ":0" : tensor;
    return std::pair(tensor, info);
  };
  for (const std::string& tensor : options.inputs) inputs.push_back(port(tensor));
  for (const std::string& tensor : options.outputs) outputs.push_back(port(tensor));
  std::vector<bool> used(main.nodes->size()), waited(main.nodes->size());
  for (const std::vector<Ref>& refs : main.inputs)
    for (const Ref& ref : refs)
      if (ref.node >= 0) (ref.control ? waited : used)[static_cast<std::size_t>(ref.node)] = true;
  for (std::size_t i = 0; i < main.nodes->size(); ++i) {
    const NodeDef& node = (*main.nodes)[i];
    if (options.inputs.empty() && node.op == "Placeholder") {
      const auto attr = node.attrs.find("dtype");
      const TfType* type = attr == node.attrs.end() ? nullptr : attr->second.get<TfType>();
      // Graphs frozen by TensorFlow hold placeholders of loop state that nothing uses.
      const bool state = node.name.starts_with("unused_control_flow_input") || type == nullptr || !DTypeOfTf(*type);
      if (used[i] || !state) inputs.push_back(port(node.name));
    }
    // What only orders others (a pivot of a loop, its unused Exits) is no output.
    if (options.outputs.empty() && !used[i] && !waited[i] && node.op != "NoOp" && node.op != "Const" &&
        node.op != "Assert" && node.op != "Placeholder")
      outputs.push_back(port(node.name));
  }
  for (Ports* ports : {&inputs, &outputs})
    for (auto& [name, info] : *ports) info.dtype = ports == &outputs ? TfType::kFloat : info.dtype;
  if (outputs.empty()) return Status(Code::kInvalidArgument, name_ + ": the graph has no outputs; name them");
  TENON_ASSIGN_OR_RETURN(ir::Function function, Function("serving_default", inputs, outputs));
  TENON_RETURN_IF_ERROR(Problems());
  ir::Module module;
  module.functions.push_back(std::move(function));
  for (const Cell& each : cells_)
    if (each.variable != nullptr) module.variables.push_back(each.variable);
  module.metadata["format"] = "graphdef";
  return module;
}

Result<ir::Module> LoadSavedModel(const std::string& folder, const LoadOptions& options) {
  TENON_ASSIGN_OR_RETURN(const SavedModelFile file, ReadSavedModel(folder));
  std::vector<std::string> wanted = options.tags.empty() ? std::vector<std::string>{"serve"} : options.tags;
  std::ranges::sort(wanted);
  const MetaGraph* meta = nullptr;
  std::string present;
  for (const MetaGraph& graph : file.model.meta_graphs) {
    std::vector<std::string> tags = graph.tags;
    std::ranges::sort(tags);
    if (tags == wanted) meta = &graph;
    present += fmt::format("{}[{}]", present.empty() ? "" : ", ", fmt::join(tags, ", "));
  }
  if (meta == nullptr && options.tags.empty() && file.model.meta_graphs.size() == 1) meta = &file.model.meta_graphs[0];
  if (meta == nullptr)
    return Status(Code::kNotFound, fmt::format("{}: no meta graph with the tags [{}]; there are: {}", folder,
                                               fmt::join(wanted, ", "), present.empty() ? "none" : present));
  std::optional<BundleReader> bundle;
  if (base::FileExists(folder + "/variables/variables.index")) {
    TENON_ASSIGN_OR_RETURN(bundle, BundleReader::Open(folder + "/variables/variables"));
  }
  Translator translator(*meta, bundle ? &*bundle : nullptr, file.file, folder);
  translator.SetRanks(options.ranks_of, options.input_ranks);
  return translator.Run();
}

Result<ir::Module> LoadGraphDef(const std::string& path, const LoadOptions& options) {
  TENON_ASSIGN_OR_RETURN(GraphDefFile file, ReadGraphDef(path));
  MetaGraph meta;
  meta.graph = std::move(file.graph);
  Translator translator(meta, nullptr, file.file, path);
  return translator.RunGraph(options);
}

}  // namespace tenon::savedmodel
