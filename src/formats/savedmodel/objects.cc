// StructuredValue: none 1, string 13, tensor_spec 33 {name 1, shape 2, dtype 3}, list 51 {values 1}, tuple 52 {values
// 1},
//   dict 53 {fields 1 (map)}, named_tuple 54 {name 1, values 2 {key 1, value 2}}
// FunctionSpec: fullargspec 1, is_method 2, input_signature 5
#include "formats/savedmodel/objects.h"

#include <set>

#include "formats/savedmodel/parse_internal.h"
#include "formats/savedmodel/tensor_proto.h"
#include "formats/savedmodel/writer.h"

namespace tenon::savedmodel {
namespace {

constexpr std::uint32_t kNone = 1, kString = 13, kTensorSpec = 33, kList = 51, kTuple = 52, kDict = 53,
                        kNamedTuple = 54;

void Spec(Writer& w, const std::string& name, const ir::Type& type) {
  w.Message(kTensorSpec, [&] {
    w.Text(1, name);
    WriteShape(w, 2, ShapeOfType(type));
    w.Varint(3, TfOfDType(type.dtype()));
  });
}

/// tuple(tensor_spec…) of the inputs.
void InputTuple(Writer& w, const ir::Function& f) {
  w.Message(kTuple, [&] {
    for (std::size_t i = 0; i < f.num_inputs(); ++i) w.Message(1, [&] { Spec(w, f.input_names[i], f.input_type(i)); });
  });
}

/// tuple(tuple(specs…), dict{}): positional arguments and no keywords.
std::string PositionalInputs(const ir::Function& f) {
  Writer w;
  w.Message(kTuple, [&] {
    w.Message(1, [&] { InputTuple(w, f); });
    w.Message(1, [&] { w.Message(kDict, [] {}); });
  });
  return std::move(w).Take();
}

/// tuple(tuple(), dict{name: spec}): keywords alone, as signatures have them.
std::string KeywordInputs(const ir::Function& f) {
  std::map<std::string, std::size_t> sorted;
  for (std::size_t i = 0; i < f.num_inputs(); ++i) sorted[f.input_names[i]] = i;
  Writer w;
  w.Message(kTuple, [&] {
    w.Message(1, [&] { w.Message(kTuple, [] {}); });
    w.Message(1, [&] {
      w.Message(kDict, [&] {
        for (const auto& entry : sorted)
          w.MapEntry(1, entry.first, [&] { Spec(w, entry.first, f.input_type(entry.second)); });
      });
    });
  });
  return std::move(w).Take();
}

/// dict{name: spec} of the outputs.
std::string Outputs(const ir::Function& f) {
  std::map<std::string, std::size_t> sorted;
  for (std::size_t i = 0; i < f.num_outputs(); ++i) sorted[f.output_names[i]] = i;
  Writer w;
  w.Message(kDict, [&] {
    for (const auto& entry : sorted)
      w.MapEntry(1, entry.first, [&] { Spec(w, entry.first, f.output_type(entry.second)); });
  });
  return std::move(w).Take();
}

void Pair(Writer& w, const std::string& key, const auto& value) {
  w.Message(2, [&] {
    w.Bytes(1, key);
    w.Message(2, value);
  });
}

/// The FunctionSpec of f(input…).
std::string CallSpec(const ir::Function& f) {
  Writer w;
  const auto none = [&] { w.Message(kNone, [] {}); };
  const auto names = [&] {
    w.Message(kList, [&] {
      for (const std::string& name : f.input_names) w.Message(1, [&] { w.Bytes(kString, name); });
    });
  };
  const auto empty_list = [&] { w.Message(kList, [] {}); };
  w.Message(1, [&] {
    w.Message(kNamedTuple, [&] {
      w.Bytes(1, "FullArgSpec");
      Pair(w, "args", names);
      Pair(w, "varargs", none);
      Pair(w, "varkw", none);
      Pair(w, "defaults", none);
      Pair(w, "kwonlyargs", empty_list);
      Pair(w, "kwonlydefaults", none);
      Pair(w, "annotations", [&] { w.Message(kDict, [] {}); });
    });
  });
  w.Message(5, [&] { InputTuple(w, f); });
  return std::move(w).Take();
}

SavedObject UserObject(std::string identifier) {
  SavedObject object;
  object.kind = SavedObject::Kind::kUserObject;
  object.identifier = std::move(identifier);
  object.version_producer = object.version_min_consumer = 1;
  return object;
}

/// The name of the root's child for each variable: its path, unless the root has a child of that name already.
std::vector<std::string> ChildNames(const ir::Module& module) {
  std::set<std::string> taken = {"signatures", "variables", "trainable_variables", "non_trainable_variables",
                                 "__call__",   "serve"};
  std::vector<std::string> out;
  for (const ir::VariablePtr& variable : module.variables) {
    std::string name = variable->path();
    while (!taken.insert(name).second) name += "_";
    out.push_back(std::move(name));
  }
  return out;
}

}  // namespace

std::string CheckpointKey(const std::string& path) {
  std::string key;
  for (const char c : path) {
    if (c == '.')
      key += "..";
    else if (c == '/')
      key += ".S";
    else
      key += c;
  }
  return key + "/.ATTRIBUTES/VARIABLE_VALUE";
}

SavedObjectGraph MakeObjects(const ir::Module& module, const std::vector<WrittenSignature>& signatures) {
  SavedObjectGraph graph;
  const auto add = [&graph](SavedObject object) {
    graph.nodes.push_back(std::move(object));
    return static_cast<std::int32_t>(graph.nodes.size() - 1);
  };
  add(UserObject("_generic_user_object"));
  std::vector<Child> children;
  std::vector<std::int32_t> ids;
  const std::vector<std::string> names = ChildNames(module);
  for (std::size_t i = 0; i < module.variables.size(); ++i) {
    const ir::VariableCell& variable = *module.variables[i];
    SavedObject object;
    object.kind = SavedObject::Kind::kVariable;
    object.dtype = TfOfDType(variable.dtype());
    object.shape = ShapeOfType(variable.type());
    object.trainable = variable.trainable();
    object.name = variable.path();
    ids.push_back(add(std::move(object)));
    children.push_back({ids.back(), names[i]});
  }
  const auto list = [&](const char* name, auto&& wanted) {
    SavedObject object = UserObject("trackable_list_wrapper");
    for (std::size_t i = 0; i < ids.size(); ++i)
      if (wanted(*module.variables[i])) object.children.push_back({ids[i], std::to_string(object.children.size())});
    children.push_back({add(std::move(object)), name});
  };
  list("variables", [](const ir::VariableCell&) { return true; });
  list("trainable_variables", [](const ir::VariableCell& v) { return v.trainable(); });
  list("non_trainable_variables", [](const ir::VariableCell& v) { return !v.trainable(); });
  SavedObject map = UserObject("signature_map");
  for (const WrittenSignature& signature : signatures) {
    const ir::Function& f = *signature.function;
    SavedObject bare;
    bare.kind = SavedObject::Kind::kBareFunction;
    bare.functions = {signature.concrete};
    bare.argument_keywords = f.input_names;
    bare.allowed_positional = static_cast<std::int64_t>(f.num_inputs());
    map.children.push_back({add(std::move(bare)), f.name});
    ConcreteFunction concrete;
    for (const std::size_t variable : signature.variables) concrete.bound_inputs.push_back(ids[variable]);
    concrete.output_signature = Outputs(f);
    concrete.input_signature = KeywordInputs(f);
    graph.functions[signature.concrete] = concrete;
    if (signature.call.empty()) continue;
    concrete.input_signature = PositionalInputs(f);
    graph.functions[signature.call] = std::move(concrete);
    SavedObject call;
    call.kind = SavedObject::Kind::kFunction;
    call.functions = {signature.call};
    call.function_spec = CallSpec(f);
    const std::int32_t id = add(std::move(call));
    children.push_back({id, "__call__"});
    children.push_back({id, "serve"});
  }
  children.push_back({add(std::move(map)), "signatures"});
  graph.nodes[0].children = std::move(children);
  return graph;
}

TrackableGraph MakeTrackable(const SavedObjectGraph& objects) {
  // The same nodes, so that the ids agree; functions have no part in a checkpoint but keep their place.
  TrackableGraph graph;
  for (const SavedObject& object : objects.nodes) {
    TrackableObject& node = graph.nodes.emplace_back();
    node.children = object.children;
    if (object.kind != SavedObject::Kind::kVariable) continue;
    node.attributes.push_back({"VARIABLE_VALUE", object.name, CheckpointKey(object.name)});
  }
  return graph;
}

}  // namespace tenon::savedmodel
