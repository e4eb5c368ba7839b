// Module -> folder:
//   saved_model.pb: one meta graph, tags ["serve"]. Its main graph holds a VarHandleOp for each variable (with
//     shared_name: sessions find them by it), a Placeholder for each input and a StatefulPartitionedCall for each
//     signature, and the nodes that save and restore the variables by their keys, which saver_def names. The library
//     holds the functions; the object graph says the same to tf.saved_model.load.
//   variables/: the checkpoint, with the object graph under _CHECKPOINTABLE_OBJECT_GRAPH.
//   fingerprint.pb: checksums 1..5, version 6 {producer 1}, uuid 7; all from the contents.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/crc32c.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "formats/savedmodel/bundle.h"
#include "formats/savedmodel/objects.h"
#include "formats/savedmodel/parse.h"
#include "formats/savedmodel/parse_internal.h"
#include "formats/savedmodel/savedmodel.h"
#include "formats/savedmodel/writer.h"

namespace tenon::savedmodel {
namespace {

// What TensorFlow 2.21 writes; older runtimes read it as long as min_consumer is not above their own version.
constexpr std::int32_t kProducer = 2474;
constexpr std::int32_t kMinConsumer = 12;
constexpr std::size_t kMaxMessage = 0x7fffffff;  // protobuf reads no larger message

std::size_t IndexOf(const ir::Module& module, const std::string& path) {
  for (std::size_t i = 0; i < module.variables.size(); ++i)
    if (module.variables[i]->path() == path) return i;
  return module.variables.size();
}

/// One signature as a library function.
class SignatureWriter {
 public:
  SignatureWriter(const ir::Module& module, const ir::Function& function, Functions& functions)
      : module_(module), f_(function), functions_(functions) {}

  /// Problems are added to the lists; the status is for what makes no sense to go on with.
  Result<WrittenSignature> Write(std::set<std::string>* missing, std::vector<std::string>* problems) {
    TENON_ASSIGN_OR_RETURN(const ir::Graph graph, LowerForWriting(f_.graph, missing));
    WrittenSignature out;
    out.function = &f_;
    if (!missing->empty()) return out;
    def_.name = out.concrete = functions_.names.Node("__inference_" + f_.name);
    // Names of functions may begin with an underscore, unlike those of nodes.
    def_.is_stateful = !module_.variables.empty();
    std::vector<std::string> inputs;
    std::vector<TfShape> shapes;
    for (std::size_t i = 0; i < f_.num_inputs(); ++i) {
      if (!f_.input_type(i).is_tensor())
        return Status(Code::kUnimplemented, fmt::format("{}: input {:?} is {}, expected a tensor", f_.name,
                                                        f_.input_names[i], f_.input_type(i).to_string()));
      inputs.push_back(Argument(f_.input_names[i], TfOfDType(f_.input_type(i).dtype())));
      shapes.push_back(ShapeOfType(f_.input_type(i)));
    }
    BodyWriter writer(&def_, &functions_, &nodes_);
    TENON_RETURN_IF_ERROR(AddVariables(writer, inputs, shapes, out));
    TENON_ASSIGN_OR_RETURN(std::vector<std::string> values, WriteBody(writer, graph, inputs, problems));
    if (!problems->empty()) return out;
    std::vector<std::string> assigns;
    for (std::size_t i = 0; i < f_.writes.size(); ++i) {
      const std::string& path = f_.writes[i];
      std::vector<std::string> edges{handles_.at(path), values[f_.num_outputs() + i]};
      // The old value is read before the new one is stored.
      if (const auto read = reads_.find(path); read != reads_.end()) edges.push_back("^" + read->second);
      const DType dtype = module_.FindVariable(path)->dtype();
      assigns.push_back(writer.Node("AssignVariableOp", edges, {{"dtype", TypeAttr(dtype)}}, path + "/Assign"));
    }
    for (std::size_t k = 0; k < f_.num_outputs(); ++k) {
      if (!f_.output_type(k).is_tensor())
        return Status(Code::kUnimplemented, fmt::format("{}: output {:?} is {}, expected a tensor", f_.name,
                                                        f_.output_names[k], f_.output_type(k).to_string()));
      ArgDef arg;
      arg.name = arguments_.Argument(f_.output_names[k]);
      arg.type = TfOfDType(f_.output_type(k).dtype());
      std::vector<std::string> edges{values[k]};
      for (const std::string& assign : assigns) edges.push_back("^" + assign);
      def_.ret[arg.name] = writer.Emit("Identity", edges, {{"T", TypeAttr(arg.type)}});
      def_.outputs.push_back(std::move(arg));
    }
    for (const std::string& assign : assigns) {
      def_.control_outputs.push_back(assign);
      def_.control_ret[assign] = assign;
    }
    def_.attrs["_input_shapes"] = ShapesAttr(shapes);
    functions_.defs.push_back(std::move(def_));
    return out;
  }

 private:
  std::string Argument(const std::string& wanted, TfType type) {
    ArgDef arg;
    arg.name = arguments_.Argument(wanted);
    arg.type = type;
    nodes_.Node(arg.name);
    def_.inputs.push_back(arg);
    return arg.name;
  }

  /// A resource argument for each variable, and its value for each that is read.
  Status AddVariables(BodyWriter& writer, std::vector<std::string>& inputs, std::vector<TfShape>& shapes,
                      WrittenSignature& out) {
    for (const auto* list : {&f_.reads, &f_.writes})
      for (const std::string& path : *list) {
        if (handles_.contains(path)) continue;
        const std::size_t index = IndexOf(module_, path);
        if (index == module_.variables.size())
          return Status(Code::kInvalidArgument,
                        fmt::format("{}: uses the variable {:?}, which the module lacks", f_.name, path));
        out.variables.push_back(index);
        handles_[path] = Argument(path, TfType::kResource);
        shapes.push_back({});
      }
    for (const std::string& path : f_.reads) {
      const DType dtype = module_.FindVariable(path)->dtype();
      reads_[path] = writer.Node("ReadVariableOp", {handles_.at(path)}, {{"dtype", TypeAttr(dtype)}}, path + "/Read");
      inputs.push_back(reads_[path] + ":value:0");
    }
    return {};
  }

  const ir::Module& module_;
  const ir::Function& f_;
  Functions& functions_;
  FunctionDef def_;
  Namer nodes_, arguments_;
  std::map<std::string, std::string> handles_, reads_;
};

/// The function behind m(x): the same arguments, positional; it calls the signature's.
void AddCall(WrittenSignature& signature, Functions& functions) {
  const auto same = [&](const FunctionDef& def) { return def.name == signature.concrete; };
  const FunctionDef& target = *std::ranges::find_if(functions.defs, same);
  FunctionDef call;
  call.name = signature.call = functions.names.Node("__inference_call");
  call.inputs = target.inputs;
  call.outputs = target.outputs;
  call.is_stateful = target.is_stateful;
  call.attrs = target.attrs;
  NodeDef node;
  node.name = "StatefulPartitionedCall";
  node.op = "StatefulPartitionedCall";
  std::vector<TfType> in, out;
  for (const ArgDef& arg : target.inputs) {
    node.inputs.push_back(arg.name);
    in.push_back(arg.type);
  }
  for (const ArgDef& arg : target.outputs) {
    call.ret[arg.name] = fmt::format("{}:output:{}", node.name, out.size());
    out.push_back(arg.type);
  }
  node.attrs = {{"f", FuncAttr(signature.concrete)}, {"Tin", TypesAttr(in)}, {"Tout", TypesAttr(out)}};
  call.control_outputs = {node.name};
  call.control_ret[node.name] = node.name;
  call.nodes.push_back(std::move(node));
  functions.defs.push_back(std::move(call));
}

/// The main graph.
class MainWriter {
 public:
  MainWriter(const ir::Module& module, MetaGraph& meta) : module_(module), meta_(meta) {}

  void Variables() {
    for (const ir::VariablePtr& variable : module_.variables)
      handles_.push_back(Node("VarHandleOp", {},
                              {{"dtype", TypeAttr(variable->dtype())},
                               {"shape", ShapeAttr(ShapeOfType(variable->type()))},
                               {"shared_name", StringAttr(variable->path())}},
                              variable->path()));
  }

  void Signature(const WrittenSignature& written) {
    const ir::Function& f = *written.function;
    SignatureDef signature;
    const auto method = f.metadata.find("method_name");
    signature.method_name = method == f.metadata.end() ? "tensorflow/serving/predict" : method->second;
    std::vector<std::string> inputs;
    std::vector<TfType> in, out;
    for (std::size_t i = 0; i < f.num_inputs(); ++i) {
      const ir::Type& type = f.input_type(i);
      inputs.push_back(Node("Placeholder", {},
                            {{"dtype", TypeAttr(type.dtype())}, {"shape", ShapeAttr(ShapeOfType(type))}},
                            f.name + "_" + f.input_names[i]));
      signature.inputs[f.input_names[i]] = Info(inputs.back() + ":0", type);
      in.push_back(TfOfDType(type.dtype()));
    }
    for (const std::size_t variable : written.variables) {
      inputs.push_back(handles_[variable]);
      in.push_back(TfType::kResource);
    }
    for (std::size_t k = 0; k < f.num_outputs(); ++k) out.push_back(TfOfDType(f.output_type(k).dtype()));
    const std::string call = Node("StatefulPartitionedCall", inputs,
                                  {{"f", FuncAttr(written.concrete)}, {"Tin", TypesAttr(in)}, {"Tout", TypesAttr(out)}},
                                  "StatefulPartitionedCall");
    for (std::size_t k = 0; k < f.num_outputs(); ++k)
      signature.outputs[f.output_names[k]] = Info(fmt::format("{}:{}", call, k), f.output_type(k));
    meta_.signatures[f.name] = std::move(signature);
  }

  /// The nodes that restore and save all variables.
  void Saver() {
    std::vector<std::string> keys, values, assigns;
    std::vector<TfType> types;
    for (const ir::VariablePtr& variable : module_.variables) {
      keys.push_back(CheckpointKey(variable->path()));
      types.push_back(TfOfDType(variable->dtype()));
    }
    const auto count = static_cast<std::int64_t>(keys.size());
    const std::string prefix =
        Node("Placeholder", {}, {{"dtype", TypeAttr(TfType::kString)}, {"shape", ShapeAttr({})}}, "save/prefix");
    const std::string names = Strings(keys, "save/names"),
                      slices = Strings(std::vector<std::string>(keys.size()), "save/slices");
    std::string restore, save;
    if (count > 0)
      restore = Node("RestoreV2", {prefix, names, slices}, {{"dtypes", TypesAttr(types)}}, "save/RestoreV2");
    std::vector<std::string> saved{prefix, names, slices};
    for (std::size_t i = 0; i < handles_.size(); ++i) {
      const Attrs dtype{{"dtype", TypeAttr(types[i])}};
      assigns.push_back("^" + Node("AssignVariableOp",
                                   {handles_[i], i == 0 ? restore : fmt::format("{}:{}", restore, i)}, dtype,
                                   "save/Assign"));
      saved.push_back(Node("ReadVariableOp", {handles_[i]}, dtype, "save/Read"));
    }
    if (count > 0) save = Node("SaveV2", saved, {{"dtypes", TypesAttr(types)}}, "save/SaveV2");
    std::vector<std::string> control{prefix};
    if (count > 0) control.push_back("^" + save);
    SaverDef saver;
    saver.filename_tensor = prefix + ":0";
    saver.save_tensor = Node("Identity", control, {{"T", TypeAttr(TfType::kString)}}, "save/control") + ":0";
    saver.restore_op = Node("NoOp", assigns, {}, "save/restore_all");
    saver.version = 2;
    meta_.saver = saver;
  }

 private:
  static TensorInfo Info(std::string name, const ir::Type& type) {
    TensorInfo info;
    info.name = std::move(name);
    info.dtype = TfOfDType(type.dtype());
    info.shape = ShapeOfType(type);
    return info;
  }
  std::string Node(std::string_view op, std::vector<std::string> inputs, Attrs attrs, std::string_view wanted) {
    NodeDef node;
    node.name = names_.Node(wanted);
    node.op = op;
    node.inputs = std::move(inputs);
    node.attrs = std::move(attrs);
    meta_.graph.nodes.push_back(std::move(node));
    return meta_.graph.nodes.back().name;
  }
  std::string Strings(std::vector<std::string> texts, std::string_view name) {
    const auto count = static_cast<std::int64_t>(texts.size());
    return Node(
        "Const", {},
        {{"dtype", TypeAttr(TfType::kString)}, {"value", TensorAttr(Literal::from_strings({count}, std::move(texts)))}},
        name);
  }

  const ir::Module& module_;
  MetaGraph& meta_;
  Namer names_;
  std::vector<std::string> handles_;
};

/// 64 bits of the contents.
std::uint64_t Checksum(std::string_view bytes) {
  const std::uint64_t low = base::Crc32c(bytes);
  return low | std::uint64_t{base::Crc32c("tenon", static_cast<std::uint32_t>(low))} << 32;
}

std::string Fingerprint(const MetaGraph& meta, std::string_view model, std::string_view index) {
  const std::uint64_t program = Checksum(EncodeGraphDef(meta.graph));
  Writer writer;
  writer.Varint(1, Checksum(model));
  writer.Varint(2, program);
  writer.Varint(5, Checksum(index));
  writer.Message(6, [&] { writer.Varint(1, 4); });
  writer.Bytes(7, fmt::format("{:016x}{:016x}", Checksum(model), Checksum(index)));
  return std::move(writer).Take();
}

}  // namespace

Status SaveSavedModel(const ir::Module& module, const std::string& folder) {
  if (module.functions.empty()) return Status(Code::kInvalidArgument, folder + ": the module has no function to save");
  SavedModel model;
  model.schema_version = 1;
  MetaGraph& meta = model.meta_graphs.emplace_back();
  meta.tags = {"serve"};
  meta.graph.producer = kProducer;
  meta.graph.min_consumer = kMinConsumer;
  Functions functions;
  std::vector<WrittenSignature> signatures;
  std::set<std::string> missing;
  std::vector<std::string> problems;
  for (const ir::Function& function : module.functions) {
    Result<WrittenSignature> written = SignatureWriter(module, function, functions).Write(&missing, &problems);
    if (!written.ok()) return written.status().with_context(folder);
    signatures.push_back(*std::move(written));
  }
  if (!missing.empty())
    return Status(Code::kUnimplemented,
                  fmt::format("{}: cannot write as a SavedModel: {}", folder, fmt::join(missing, ", ")));
  if (!problems.empty())
    return Status(Code::kUnimplemented,
                  fmt::format("{}: cannot write as a SavedModel: {}", folder, fmt::join(problems, "; ")));
  const auto is_default = [](const WrittenSignature& s) { return s.function->name == "serving_default"; };
  const auto found = std::ranges::find_if(signatures, is_default);
  AddCall(found == signatures.end() ? signatures.front() : *found, functions);
  MainWriter main(module, meta);
  main.Variables();
  for (const WrittenSignature& signature : signatures) main.Signature(signature);
  main.Saver();
  meta.graph.functions = std::move(functions.defs);
  meta.objects = MakeObjects(module, signatures);

  BundleWriter bundle;
  for (const ir::VariablePtr& variable : module.variables)
    TENON_RETURN_IF_ERROR(bundle.Add(CheckpointKey(variable->path()), variable->Read()));
  TENON_RETURN_IF_ERROR(
      bundle.Add("_CHECKPOINTABLE_OBJECT_GRAPH", Literal::scalar(EncodeTrackableGraph(MakeTrackable(*meta.objects)))));
  const std::string encoded = EncodeSavedModel(model);
  if (encoded.size() > kMaxMessage)
    return Status(Code::kResourceExhausted,
                  fmt::format("{}: its constants take {} bytes, a SavedModel holds at most 2 GiB; make them variables",
                              folder, encoded.size()));

  TENON_ASSIGN_OR_RETURN(const std::unique_ptr<base::AtomicFolder> out, base::AtomicFolder::Create(folder));
  TENON_RETURN_IF_ERROR(base::MakeFolders(out->temporary() + "/variables"));
  TENON_RETURN_IF_ERROR(base::MakeFolders(out->temporary() + "/assets"));
  TENON_RETURN_IF_ERROR(bundle.Write(out->temporary() + "/variables/variables", base::Sync::kWithFolder));
  TENON_ASSIGN_OR_RETURN(const std::string index, base::ReadFile(out->temporary() + "/variables/variables.index"));
  TENON_RETURN_IF_ERROR(base::WriteFile(out->temporary() + "/saved_model.pb", encoded, base::Sync::kWithFolder));
  TENON_RETURN_IF_ERROR(base::WriteFile(out->temporary() + "/fingerprint.pb", Fingerprint(meta, encoded, index),
                                        base::Sync::kWithFolder));
  return out->Commit();
}

}  // namespace tenon::savedmodel
