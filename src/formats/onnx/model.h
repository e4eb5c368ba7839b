// ONNX models as plain structs: what the bytes of a file say, not yet what it means. parse.h makes them from bytes,
// write.h makes bytes from them, check.h looks for contradictions, translate.h and export.h convert to and from
// Modules. Names follow onnx.proto. A singular attribute value is a vector of one element, so that one member serves f
// and floats, i and ints, and so on; AttributeType says which it is.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tenon/types.h"

namespace tenon::onnx {

struct StringEntry {
  std::string key, value;
  friend bool operator==(const StringEntry&, const StringEntry&) = default;
};
using StringEntries = std::vector<StringEntry>;

/// TensorProto.DataType numbers, see data_type.h.
using DataTypeNumber = std::int32_t;

/// A dense tensor. The payload is either views into the file (which Model::owner keeps alive) or, in models made in
/// memory, `value`, which then decides dims and data_type too.
struct Tensor {
  std::string name, doc_string;
  std::vector<std::int64_t> dims;
  DataTypeNumber data_type = 0;
  bool has_segment = false;
  bool external = false;  // data_location is EXTERNAL
  StringEntries external_data, metadata;
  std::optional<std::string_view> raw_data;
  /// Encoded elements (proto_wire::Reader::scalar_bytes), one view for each field of the file.
  std::vector<std::string_view> float_data, int32_data, int64_data, double_data, uint64_data;
  std::vector<std::string_view> string_data;
  std::optional<Literal> value;
};

/// `values` is 1-D of n elements; `indices` i64, [n] (linear) or [n, rank]; sorted, each once.
struct SparseTensor {
  Tensor values, indices;
  std::vector<std::int64_t> dims;
};

/// A dim: a number, a name (or an expression over names), or neither: unknown.
struct Dimension {
  std::optional<std::int64_t> value;
  std::string param, denotation;
  friend bool operator==(const Dimension&, const Dimension&) = default;
};

enum class TypeKind : std::uint8_t { kNone, kTensor, kSparseTensor, kSequence, kMap, kOptional, kOpaque };

struct TypeProto {
  TypeKind kind = TypeKind::kNone;
  DataTypeNumber elem_type = 0;                 // tensors; for a map the type of its keys
  std::optional<std::vector<Dimension>> shape;  // tensors; without it the rank is unknown
  std::vector<TypeProto> element;               // sequence, optional, map value: none or one
  std::string denotation;
  std::string opaque_domain, opaque_name;
  friend bool operator==(const TypeProto&, const TypeProto&) = default;
};

struct ValueInfo {
  std::string name, doc_string;
  TypeProto type;
  StringEntries metadata;
  friend bool operator==(const ValueInfo&, const ValueInfo&) = default;
};

enum class AttributeType : std::uint8_t {
  kUndefined,
  kFloat,
  kInt,
  kString,
  kTensor,
  kGraph,
  kFloats,
  kInts,
  kStrings,
  kTensors,
  kGraphs,
  kSparseTensor,
  kSparseTensors,
  kTypeProto,
  kTypeProtos,
};
/// "float", "ints", …
std::string_view AttributeTypeName(AttributeType type);

struct Graph;

struct Attribute {
  std::string name, doc_string;
  AttributeType type = AttributeType::kUndefined;
  std::string ref_attr_name;  // inside a function: the function's attribute whose value this one takes
  std::vector<float> floats;
  std::vector<std::int64_t> ints;
  std::vector<std::string> strings;
  std::vector<Tensor> tensors;
  std::vector<SparseTensor> sparse_tensors;
  std::vector<Graph> graphs;
  std::vector<TypeProto> types;
};

/// An empty input or output name stands for "left out".
struct Node {
  std::vector<std::string> inputs, outputs;
  std::string name, op_type, domain, overload, doc_string;
  std::vector<Attribute> attributes;
  StringEntries metadata;
  std::vector<std::string_view> device_configurations;  // kept encoded
};

struct TensorAnnotation {
  std::string tensor_name;
  StringEntries quant_parameter_tensor_names;
  friend bool operator==(const TensorAnnotation&, const TensorAnnotation&) = default;
};

struct Graph {
  std::string name, doc_string;
  std::vector<Node> nodes;
  std::vector<Tensor> initializers;
  std::vector<SparseTensor> sparse_initializers;  // named by values.name
  std::vector<ValueInfo> inputs, outputs, value_infos;
  std::vector<TensorAnnotation> quantization_annotations;
  StringEntries metadata;
};

struct OperatorSetId {
  std::string domain;  // "" and "ai.onnx" are the same
  std::int64_t version = 0;
  friend bool operator==(const OperatorSetId&, const OperatorSetId&) = default;
};

struct Function {
  std::string name, domain, overload, doc_string;
  std::vector<std::string> inputs, outputs, attributes;  // names; attributes without default
  std::vector<Attribute> attribute_protos;               // attributes with default
  std::vector<Node> nodes;
  std::vector<OperatorSetId> opset_imports;
  std::vector<ValueInfo> value_infos;
  StringEntries metadata;
};

struct Model {
  std::int64_t ir_version = 0;
  std::string producer_name, producer_version, domain, doc_string;
  std::int64_t model_version = 0;
  std::vector<OperatorSetId> opset_imports;
  std::optional<Graph> graph;
  std::vector<Function> functions;
  StringEntries metadata;
  std::vector<std::string_view> training_info, configuration;  // kept encoded
  /// For messages, and the folder of external data; empty when the model does not come from a file.
  std::string path;
  /// Keeps alive what the views point into.
  std::shared_ptr<const void> owner;
};

}  // namespace tenon::onnx
