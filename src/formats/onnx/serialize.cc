#include "formats/onnx/serialize.h"

#include "formats/onnx/data_type.h"
#include "formats/onnx/write.h"
#include "formats/proto_wire/wire_writer.h"

namespace tenon::onnx {
namespace {

using proto_wire::Writer;

// One WriteX for each message, in the order of onnx.proto. Field numbers stand at the calls.
class Encoder {
 public:
  explicit Encoder(const Placements* placements) : placements_(placements) {}
  std::string Take() && { return std::move(out_).Take(); }

  void Write(const Model& model) {
    if (model.ir_version != 0) out_.Varint(1, model.ir_version);
    out_.Text(2, model.producer_name);
    out_.Text(3, model.producer_version);
    out_.Text(4, model.domain);
    if (model.model_version != 0) out_.Varint(5, model.model_version);
    out_.Text(6, model.doc_string);
    if (model.graph) out_.Message(7, [&] { Write(*model.graph); });
    Messages(8, model.opset_imports);
    Messages(14, model.metadata);
    for (const std::string_view bytes : model.training_info) out_.Bytes(20, bytes);
    Messages(25, model.functions);
    for (const std::string_view bytes : model.configuration) out_.Bytes(26, bytes);
  }

  void Write(const Tensor& tensor) {
    const Placement* placement = nullptr;
    if (placements_ != nullptr) {
      const auto found = placements_->tensors.find(&tensor);
      if (found != placements_->tensors.end()) placement = &found->second;
    }
    const Literal* value = placement != nullptr ? &placement->value : tensor.value ? &*tensor.value : nullptr;
    const bool external = placement != nullptr && placement->external;
    for (const std::int64_t dim : value != nullptr ? value->dims() : tensor.dims) out_.Varint(1, dim);
    const DataTypeNumber type = value != nullptr ? FromDType(value->dtype()) : tensor.data_type;
    if (type != 0) out_.Varint(2, type);
    if (value == nullptr) {
      Chunks(4, tensor.float_data);
      Chunks(5, tensor.int32_data);
      for (const std::string_view text : tensor.string_data) out_.Bytes(6, text);
      Chunks(7, tensor.int64_data);
    } else if (value->dtype() == DType::kString) {
      for (const std::string& text : value->strings()) out_.Bytes(6, text);
    }
    out_.Text(8, tensor.name);
    if (value == nullptr) {
      if (tensor.raw_data) out_.Bytes(9, *tensor.raw_data);
      Chunks(10, tensor.double_data);
      Chunks(11, tensor.uint64_data);
    } else if (value->dtype() != DType::kString && !external) {
      out_.Bytes(9, {reinterpret_cast<const char*>(value->raw().data()), value->nbytes()});
    }
    out_.Text(12, tensor.doc_string);
    if (external) {
      Write(13, {"location", placements_->location});
      Write(13, {"offset", std::to_string(placement->offset)});
      Write(13, {"length", std::to_string(placement->value.nbytes())});
      out_.Varint(14, 1);
    } else if (value == nullptr) {
      Messages(13, tensor.external_data);
      if (tensor.external) out_.Varint(14, 1);
    }
    Messages(16, tensor.metadata);
  }

 private:
  template <class T>
  void Write(std::uint32_t field, const T& message) {
    out_.Message(field, [&] { Write(message); });
  }
  void Write(std::uint32_t field, const StringEntry& entry) {
    out_.Message(field, [&] { Write(entry); });
  }
  template <class T>
  void Messages(std::uint32_t field, const std::vector<T>& messages) {
    for (const T& message : messages) Write(field, message);
  }
  // The views of a packed field, joined.
  void Chunks(std::uint32_t field, const std::vector<std::string_view>& chunks) {
    if (chunks.size() == 1) return out_.Bytes(field, chunks.front());
    std::string joined;
    for (const std::string_view chunk : chunks) joined += chunk;
    out_.Text(field, joined);
  }
  void Texts(std::uint32_t field, const std::vector<std::string>& texts) {
    for (const std::string& text : texts) out_.Bytes(field, text);
  }

  void Write(const OperatorSetId& id) {
    out_.Bytes(1, id.domain);
    out_.Varint(2, id.version);
  }
  void Write(const StringEntry& entry) {
    out_.Text(1, entry.key);
    out_.Text(2, entry.value);
  }
  void Write(const SparseTensor& tensor) {
    Write(1, tensor.values);
    Write(2, tensor.indices);
    for (const std::int64_t dim : tensor.dims) out_.Varint(3, dim);
  }
  void Write(const TensorAnnotation& annotation) {
    out_.Text(1, annotation.tensor_name);
    Messages(2, annotation.quant_parameter_tensor_names);
  }
  void Write(const ValueInfo& info) {
    out_.Text(1, info.name);
    if (info.type.kind != TypeKind::kNone || !info.type.denotation.empty()) Write(2, info.type);
    out_.Text(3, info.doc_string);
    Messages(4, info.metadata);
  }
  void Write(const Dimension& dim) {
    if (dim.value) out_.Varint(1, *dim.value);
    out_.Text(2, dim.param);
    out_.Text(3, dim.denotation);
  }
  void WriteTensorType(const TypeProto& type) {
    if (type.elem_type != 0) out_.Varint(1, type.elem_type);
    if (type.shape) out_.Message(2, [&] { Messages(1, *type.shape); });
  }
  void WriteElement(std::uint32_t field, const TypeProto& type) {
    if (!type.element.empty()) Write(field, type.element.front());
  }
  void Write(const TypeProto& type) {
    switch (type.kind) {
      case TypeKind::kNone:
        break;
      case TypeKind::kTensor:
        out_.Message(1, [&] { WriteTensorType(type); });
        break;
      case TypeKind::kSequence:
        out_.Message(4, [&] { WriteElement(1, type); });
        break;
      case TypeKind::kMap:
        out_.Message(5, [&] {
          if (type.elem_type != 0) out_.Varint(1, type.elem_type);
          WriteElement(2, type);
        });
        break;
      default:
        break;
    }
    out_.Text(6, type.denotation);
    if (type.kind == TypeKind::kOpaque)
      out_.Message(7, [&] {
        out_.Text(1, type.opaque_domain);
        out_.Text(2, type.opaque_name);
      });
    if (type.kind == TypeKind::kSparseTensor) out_.Message(8, [&] { WriteTensorType(type); });
    if (type.kind == TypeKind::kOptional) out_.Message(9, [&] { WriteElement(1, type); });
  }
  void Write(const Attribute& attribute) {
    const AttributeType type = attribute.type;
    const bool value = attribute.ref_attr_name.empty();
    out_.Text(1, attribute.name);
    if (value && type == AttributeType::kFloat) out_.Float(2, attribute.floats.at(0));
    if (value && type == AttributeType::kInt) out_.Varint(3, attribute.ints.at(0));
    if (value && type == AttributeType::kString) out_.Bytes(4, attribute.strings.at(0));
    if (type == AttributeType::kTensor) Messages(5, attribute.tensors);
    if (type == AttributeType::kGraph) Messages(6, attribute.graphs);
    if (type == AttributeType::kFloats)
      for (const float x : attribute.floats) out_.Float(7, x);
    if (type == AttributeType::kInts)
      for (const std::int64_t x : attribute.ints) out_.Varint(8, x);
    if (type == AttributeType::kStrings) Texts(9, attribute.strings);
    if (type == AttributeType::kTensors) Messages(10, attribute.tensors);
    if (type == AttributeType::kGraphs) Messages(11, attribute.graphs);
    out_.Text(13, attribute.doc_string);
    if (type == AttributeType::kTypeProto) Messages(14, attribute.types);
    if (type == AttributeType::kTypeProtos) Messages(15, attribute.types);
    if (type != AttributeType::kUndefined) out_.Varint(20, type);
    out_.Text(21, attribute.ref_attr_name);
    if (type == AttributeType::kSparseTensor) Messages(22, attribute.sparse_tensors);
    if (type == AttributeType::kSparseTensors) Messages(23, attribute.sparse_tensors);
  }
  void Write(const Node& node) {
    Texts(1, node.inputs);
    Texts(2, node.outputs);
    out_.Text(3, node.name);
    out_.Text(4, node.op_type);
    Messages(5, node.attributes);
    out_.Text(6, node.doc_string);
    out_.Text(7, node.domain);
    out_.Text(8, node.overload);
    Messages(9, node.metadata);
    for (const std::string_view bytes : node.device_configurations) out_.Bytes(10, bytes);
  }
  void Write(const Graph& graph) {
    Messages(1, graph.nodes);
    out_.Text(2, graph.name);
    Messages(5, graph.initializers);
    out_.Text(10, graph.doc_string);
    Messages(11, graph.inputs);
    Messages(12, graph.outputs);
    Messages(13, graph.value_infos);
    Messages(14, graph.quantization_annotations);
    Messages(15, graph.sparse_initializers);
    Messages(16, graph.metadata);
  }
  void Write(const Function& function) {
    out_.Text(1, function.name);
    Texts(4, function.inputs);
    Texts(5, function.outputs);
    Texts(6, function.attributes);
    Messages(7, function.nodes);
    out_.Text(8, function.doc_string);
    Messages(9, function.opset_imports);
    out_.Text(10, function.domain);
    Messages(11, function.attribute_protos);
    Messages(12, function.value_infos);
    out_.Text(13, function.overload);
    Messages(14, function.metadata);
  }

  Writer out_;
  const Placements* placements_;
};

}  // namespace

std::string Encode(const Model& model, const Placements& placements) {
  Encoder encoder(&placements);
  encoder.Write(model);
  return std::move(encoder).Take();
}

std::string SerializeTensor(const Tensor& tensor) {
  Encoder encoder(nullptr);
  encoder.Write(tensor);
  return std::move(encoder).Take();
}

}  // namespace tenon::onnx
