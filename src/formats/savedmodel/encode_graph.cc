// The reverse of parse_graph.cc; the field numbers stand there.
#include "formats/savedmodel/parse.h"
#include "formats/savedmodel/parse_internal.h"
#include "formats/savedmodel/tensor_proto.h"

namespace tenon::savedmodel {
namespace {

void EncodeAttrs(Writer& writer, std::uint32_t field, const Attrs& attrs);

void EncodeFunc(Writer& writer, std::uint32_t field, const NameAttrList& func) {
  writer.Message(field, [&] {
    writer.Text(1, func.name);
    EncodeAttrs(writer, 2, func.attrs);
  });
}

void EncodeList(Writer& writer, const AttrList& list) {
  for (const std::string& s : list.s) writer.Bytes(2, s);
  writer.PackedVarint<std::int64_t>(3, list.i);
  writer.PackedFixed<float>(4, list.f);
  if (!list.b.empty()) {
    const std::vector<std::uint8_t> bools(list.b.begin(), list.b.end());
    writer.PackedVarint<std::uint8_t>(5, bools);
  }
  std::vector<std::int32_t> types;
  for (const TfType type : list.type) types.push_back(static_cast<std::int32_t>(type));
  writer.PackedVarint<std::int32_t>(6, types);
  for (const TfShape& shape : list.shape) WriteShape(writer, 7, shape);
  for (const TensorProto& tensor : list.tensor) WriteTensor(writer, 8, tensor);
  for (const NameAttrList& func : list.func) EncodeFunc(writer, 9, func);
}

struct EncodeAttr {
  Writer& writer;
  void operator()(std::monostate) const {}
  void operator()(const std::string& s) const { writer.Bytes(2, s); }
  void operator()(std::int64_t i) const { writer.Varint(3, i); }
  void operator()(float f) const { writer.Float(4, f); }
  void operator()(bool b) const { writer.Varint(5, b); }
  void operator()(TfType type) const { writer.Varint(6, type); }
  void operator()(const TfShape& shape) const { WriteShape(writer, 7, shape); }
  void operator()(const std::shared_ptr<const TensorProto>& tensor) const { WriteTensor(writer, 8, *tensor); }
  void operator()(const std::shared_ptr<const AttrList>& list) const {
    writer.Message(1, [&] { EncodeList(writer, *list); });
  }
  void operator()(const std::shared_ptr<const NameAttrList>& func) const { EncodeFunc(writer, 10, *func); }
  void operator()(const AttrValue::Placeholder& placeholder) const { writer.Bytes(9, placeholder.name); }
};

void EncodeAttrs(Writer& writer, std::uint32_t field, const Attrs& attrs) {
  for (const auto& [name, attr] : attrs)
    writer.MapEntry(field, name, [&] { std::visit(EncodeAttr{writer}, attr.value); });
}

void EncodeNode(Writer& writer, std::uint32_t field, const NodeDef& node) {
  writer.Message(field, [&] {
    writer.Text(1, node.name);
    writer.Text(2, node.op);
    for (const std::string& input : node.inputs) writer.Bytes(3, input);
    writer.Text(4, node.device);
    EncodeAttrs(writer, 5, node.attrs);
  });
}

void EncodeArg(Writer& writer, std::uint32_t field, const ArgDef& arg) {
  writer.Message(field, [&] {
    writer.Text(1, arg.name);
    if (arg.type != TfType::kInvalid) writer.Varint(3, arg.type);
    writer.Text(4, arg.type_attr);
    writer.Text(5, arg.number_attr);
    writer.Text(6, arg.type_list_attr);
  });
}

void EncodeTexts(Writer& writer, std::uint32_t field, const std::map<std::string, std::string>& map) {
  for (const auto& [key, value] : map)
    writer.Message(field, [&] {
      writer.Bytes(1, key);
      writer.Bytes(2, value);
    });
}

void EncodeFunction(Writer& writer, const FunctionDef& function) {
  writer.Message(1, [&] {
    writer.Text(1, function.name);
    for (const ArgDef& arg : function.inputs) EncodeArg(writer, 2, arg);
    for (const ArgDef& arg : function.outputs) EncodeArg(writer, 3, arg);
    if (function.is_stateful) writer.Varint(17, true);
    for (const std::string& output : function.control_outputs) writer.Bytes(20, output);
  });
  for (const NodeDef& node : function.nodes) EncodeNode(writer, 3, node);
  EncodeTexts(writer, 4, function.ret);
  EncodeAttrs(writer, 5, function.attrs);
  EncodeTexts(writer, 6, function.control_ret);
  for (const auto& [index, attrs] : function.arg_attrs)
    writer.Message(7, [&] {
      writer.Varint(1, index);
      writer.Message(2, [&] { EncodeAttrs(writer, 1, attrs); });
    });
}

}  // namespace

void EncodeGraph(Writer& writer, const GraphDef& graph) {
  for (const NodeDef& node : graph.nodes) EncodeNode(writer, 1, node);
  if (!graph.functions.empty() || !graph.gradients.empty())
    writer.Message(2, [&] {
      for (const FunctionDef& function : graph.functions) writer.Message(1, [&] { EncodeFunction(writer, function); });
      EncodeTexts(writer, 2, graph.gradients);
    });
  if (graph.producer != 0 || graph.min_consumer != 0)
    writer.Message(4, [&] {
      if (graph.producer != 0) writer.Varint(1, graph.producer);
      if (graph.min_consumer != 0) writer.Varint(2, graph.min_consumer);
    });
}

std::string EncodeGraphDef(const GraphDef& graph) {
  Writer writer;
  EncodeGraph(writer, graph);
  return std::move(writer).Take();
}

}  // namespace tenon::savedmodel
