// The messages of a SavedModel and of a GraphDef as plain structs. Names are copied; tensors stay views of the file,
// which must outlive the structs (parse.h says who keeps it). The field numbers stand in parse_*.cc and write_*.cc.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "formats/savedmodel/dtype.h"
#include "tenon/types.h"

namespace tenon::savedmodel {

/// TensorShapeProto. A dim of -1 is unknown.
struct TfShape {
  bool unknown_rank = false;
  std::vector<std::int64_t> dims;
  friend bool operator==(const TfShape&, const TfShape&) = default;
};

/// TensorProto: the encoded message (literal_of() in tensor_proto.h decodes it), or a value to be encoded.
struct TensorProto {
  TfType dtype = TfType::kInvalid;
  TfShape shape;
  std::string_view encoded;
  std::shared_ptr<const Literal> literal;  // when set it is what is written
};

struct AttrList;
struct NameAttrList;

/// AttrValue. Shared parts are immutable.
struct AttrValue {
  struct Placeholder {
    std::string name;
  };
  std::variant<std::monostate, std::string, std::int64_t, float, bool, TfType, TfShape,
               std::shared_ptr<const TensorProto>, std::shared_ptr<const AttrList>, std::shared_ptr<const NameAttrList>,
               Placeholder>
      value;
  /// The alternative, or null when it is another one.
  template <class T>
  const T* get() const {
    return std::get_if<T>(&value);
  }
};

using Attrs = std::map<std::string, AttrValue, std::less<>>;

struct NameAttrList {
  std::string name;
  Attrs attrs;
};

/// AttrValue.ListValue: at most one of the vectors is filled.
struct AttrList {
  std::vector<std::string> s;
  std::vector<std::int64_t> i;
  std::vector<float> f;
  std::vector<bool> b;
  std::vector<TfType> type;
  std::vector<TfShape> shape;
  std::vector<TensorProto> tensor;
  std::vector<NameAttrList> func;
};

/// NodeDef. Inputs are "node", "node:k" or "^control" in a graph, "node:output:k" or "argument" in a function.
struct NodeDef {
  std::string name, op, device;
  std::vector<std::string> inputs;
  Attrs attrs;
};

/// OpDef.ArgDef, of a function's signature. handle is the type and shape of the variable behind a resource argument.
struct ArgDef {
  std::string name;
  TfType type = TfType::kInvalid;
  std::string type_attr, number_attr, type_list_attr;
};

/// FunctionDef.
struct FunctionDef {
  std::string name;
  std::vector<ArgDef> inputs, outputs;
  std::vector<std::string> control_outputs;
  bool is_stateful = false;
  std::vector<NodeDef> nodes;
  std::map<std::string, std::string> ret;          // output argument -> value
  std::map<std::string, std::string> control_ret;  // control output -> node
  Attrs attrs;
  std::map<std::uint32_t, Attrs> arg_attrs;
};

struct GraphDef {
  std::vector<NodeDef> nodes;
  std::vector<FunctionDef> functions;
  std::map<std::string, std::string> gradients;  // function -> its gradient function
  std::int32_t producer = 0, min_consumer = 0;
};

/// TensorInfo: `name` is "node:k". A sparse or composite tensor is marked by `dense` = false.
struct TensorInfo {
  std::string name;
  TfType dtype = TfType::kInvalid;
  std::optional<TfShape> shape;
  bool dense = true;
};

struct SignatureDef {
  std::map<std::string, TensorInfo> inputs, outputs;
  std::string method_name;
  std::map<std::string, TensorProto> defaults;
};

struct SaverDef {
  std::string filename_tensor, save_tensor, restore_op;
  std::int32_t max_to_keep = 0, version = 0;
  bool sharded = false;
};

/// CollectionDef: names of nodes, or bytes.
struct CollectionDef {
  std::vector<std::string> nodes, bytes;
};

struct AssetFileDef {
  std::string tensor_name, filename;
};

/// An edge of an object graph.
struct Child {
  std::int32_t node_id = 0;
  std::string name;
};

struct SlotVariable {
  std::int32_t original_id = 0;
  std::string slot_name;
  std::int32_t slot_id = 0;
};

/// SavedObject. `kind` says which of the groups of fields counts.
struct SavedObject {
  enum class Kind { kNone, kUserObject, kAsset, kFunction, kVariable, kBareFunction, kConstant, kResource, kCaptured };
  Kind kind = Kind::kNone;
  std::vector<Child> children;
  std::vector<SlotVariable> slot_variables;
  // user object
  std::string identifier, metadata;
  std::int32_t version_producer = 0, version_min_consumer = 0;
  // asset
  std::int32_t asset_index = 0;
  // variable
  TfType dtype = TfType::kInvalid;
  TfShape shape;
  bool trainable = false;
  std::string name;
  // function: names of concrete functions; bare function: one name
  std::vector<std::string> functions;
  std::vector<std::string> argument_keywords;
  std::int64_t allowed_positional = 0;
  std::string function_spec;  // an encoded FunctionSpec
  std::string constant;       // the node that holds it
};

/// SavedConcreteFunction; the structures are encoded StructuredValues.
struct ConcreteFunction {
  std::vector<std::int32_t> bound_inputs;
  std::string input_signature, output_signature;
};

struct SavedObjectGraph {
  std::vector<SavedObject> nodes;
  std::map<std::string, ConcreteFunction> functions;
};

struct MetaGraph {
  std::vector<std::string> tags;
  std::string version, git_version;
  GraphDef graph;
  std::optional<SaverDef> saver;
  std::map<std::string, CollectionDef> collections;
  std::map<std::string, SignatureDef> signatures;
  std::vector<AssetFileDef> assets;
  std::optional<SavedObjectGraph> objects;
};

struct SavedModel {
  std::int64_t schema_version = 0;
  std::vector<MetaGraph> meta_graphs;
};

/// TrackableObjectGraph: what a checkpoint keeps under _CHECKPOINTABLE_OBJECT_GRAPH.
struct TrackableObject {
  struct Attribute {
    std::string name, full_name, key;
  };
  std::vector<Child> children;
  std::vector<Attribute> attributes;
  std::vector<SlotVariable> slot_variables;
};
struct TrackableGraph {
  std::vector<TrackableObject> nodes;
};

}  // namespace tenon::savedmodel
