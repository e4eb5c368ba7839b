#include "formats/onnx/parse.h"

#include <fmt/format.h>

#include "base/file.h"
#include "formats/onnx/parse_util.h"

namespace tenon::onnx {
namespace {

// Sets the attribute's type from the field that was met, or says that two kinds of value stand in one attribute.
class ValueKind {
 public:
  explicit ValueKind(Reader& reader) : reader_(reader) {}
  void Set(AttributeType type) {
    if (met_ != AttributeType::kUndefined && met_ != type)
      reader_.Fail(fmt::format("an attribute with both {} and {}", AttributeTypeName(met_), AttributeTypeName(type)));
    met_ = type;
  }
  AttributeType met() const { return met_; }

 private:
  Reader& reader_;
  AttributeType met_ = AttributeType::kUndefined;
};

bool IsScalar(AttributeType type) {
  return type == AttributeType::kFloat || type == AttributeType::kInt || type == AttributeType::kString;
}
bool IsList(AttributeType type) {
  switch (type) {
    case AttributeType::kFloats:
    case AttributeType::kInts:
    case AttributeType::kStrings:
    case AttributeType::kTensors:
    case AttributeType::kGraphs:
    case AttributeType::kSparseTensors:
    case AttributeType::kTypeProtos:
      return true;
    default:
      return false;
  }
}

// The declared type against the one that the value has. proto3 writers leave out zeros and empty strings.
Status SettleType(const Place& place, std::int64_t declared, AttributeType met, Attribute* attribute) {
  if (declared < 0 || declared > static_cast<int>(AttributeType::kTypeProtos))
    return place.Error(fmt::format("attribute \"{}\" has type {}, expected 1 to 14", attribute->name, declared));
  attribute->type = static_cast<AttributeType>(declared);
  if (!attribute->ref_attr_name.empty()) {
    if (met != AttributeType::kUndefined)
      return place.Error(fmt::format("attribute \"{}\" refers to \"{}\" and has a value too", attribute->name,
                                     attribute->ref_attr_name));
    return Status();
  }
  if (attribute->type == AttributeType::kUndefined) attribute->type = met;
  if (attribute->type == AttributeType::kUndefined)
    return place.Error(fmt::format("attribute \"{}\" has neither type nor value", attribute->name));
  if (met == AttributeType::kUndefined) {
    if (IsList(attribute->type)) return Status();
    if (!IsScalar(attribute->type))
      return place.Error(
          fmt::format("attribute \"{}\" of type {} has no value", attribute->name, AttributeTypeName(attribute->type)));
    if (attribute->type == AttributeType::kFloat) attribute->floats = {0.0f};
    if (attribute->type == AttributeType::kInt) attribute->ints = {0};
    if (attribute->type == AttributeType::kString) attribute->strings = {""};
    return Status();
  }
  if (met != attribute->type)
    return place.Error(fmt::format("attribute \"{}\" is declared as {} but holds {}", attribute->name,
                                   AttributeTypeName(attribute->type), AttributeTypeName(met)));
  return Status();
}

// A singular message: the same one when the field occurs again, as protobuf merges.
template <class T>
T* Single(std::vector<T>* values) {
  if (values->empty()) values->emplace_back();
  return &values->front();
}

}  // namespace

Status ParseInto(std::string_view bytes, const Place& place, OperatorSetId* id) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() == 1) reader.Get(&id->domain);
    if (reader.number() == 2) reader.Get(&id->version);
  }
  return reader.status();
}

Status ParseInto(std::string_view bytes, const Place& place, TensorAnnotation* annotation) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() == 1) reader.Get(&annotation->tensor_name);
    if (reader.number() == 2)
      TENON_RETURN_IF_ERROR(
          ParseElement(reader, place, "quant_parameter_tensor_names", &annotation->quant_parameter_tensor_names));
  }
  return reader.status();
}

Status ParseInto(std::string_view bytes, const Place& place, Function* function) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    switch (reader.number()) {
      case 1:
        reader.Get(&function->name);
        break;
      case 4:
        AppendText(reader, &function->inputs);
        break;
      case 5:
        AppendText(reader, &function->outputs);
        break;
      case 6:
        AppendText(reader, &function->attributes);
        break;
      case 7:
        TENON_RETURN_IF_ERROR(ParseElement(reader, place, "node", &function->nodes));
        break;
      case 8:
        reader.Get(&function->doc_string);
        break;
      case 9:
        TENON_RETURN_IF_ERROR(ParseElement(reader, place, "opset_import", &function->opset_imports));
        break;
      case 10:
        reader.Get(&function->domain);
        break;
      case 11:
        TENON_RETURN_IF_ERROR(ParseElement(reader, place, "attribute_proto", &function->attribute_protos));
        break;
      case 12:
        TENON_RETURN_IF_ERROR(ParseElement(reader, place, "value_info", &function->value_infos));
        break;
      case 13:
        reader.Get(&function->overload);
        break;
      case 14:
        TENON_RETURN_IF_ERROR(ParseElement(reader, place, "metadata_props", &function->metadata));
        break;
      default:
        break;
    }
  }
  TENON_RETURN_IF_ERROR(reader.status());
  if (function->name.empty()) return place.Error("a function without a name");
  return Status();
}

Status ParseInto(std::string_view bytes, const Place& place, Model* model) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    switch (reader.number()) {
      case 1:
        reader.Get(&model->ir_version);
        break;
      case 2:
        reader.Get(&model->producer_name);
        break;
      case 3:
        reader.Get(&model->producer_version);
        break;
      case 4:
        reader.Get(&model->domain);
        break;
      case 5:
        reader.Get(&model->model_version);
        break;
      case 6:
        reader.Get(&model->doc_string);
        break;
      case 7:
        if (!model->graph) model->graph.emplace();
        TENON_RETURN_IF_ERROR(ParseField(reader, place, "graph", &*model->graph));
        break;
      case 8:
        TENON_RETURN_IF_ERROR(ParseElement(reader, place, "opset_import", &model->opset_imports));
        break;
      case 14:
        TENON_RETURN_IF_ERROR(ParseElement(reader, place, "metadata_props", &model->metadata));
        break;
      case 20:
        reader.Append(&model->training_info);
        break;
      case 25:
        TENON_RETURN_IF_ERROR(ParseElement(reader, place, "functions", &model->functions));
        break;
      case 26:
        reader.Append(&model->configuration);
        break;
      default:
        break;
    }
  }
  return reader.status();
}

Status ParseInto(std::string_view bytes, const Place& place, Attribute* attribute) {
  Reader reader(bytes, place);
  ValueKind kind(reader);
  std::int64_t declared = 0;
  while (reader.Next()) {
    switch (reader.number()) {
      case 1:
        reader.Get(&attribute->name);
        break;
      case 2:
        kind.Set(AttributeType::kFloat);
        reader.Get(Single(&attribute->floats));
        break;
      case 3:
        kind.Set(AttributeType::kInt);
        reader.Get(Single(&attribute->ints));
        break;
      case 4:
        kind.Set(AttributeType::kString);
        *Single(&attribute->strings) = reader.bytes();
        break;
      case 5:
        kind.Set(AttributeType::kTensor);
        TENON_RETURN_IF_ERROR(ParseField(reader, place, "t", Single(&attribute->tensors)));
        break;
      case 6:
        kind.Set(AttributeType::kGraph);
        TENON_RETURN_IF_ERROR(ParseField(reader, place, "g", Single(&attribute->graphs)));
        break;
      case 7:
        kind.Set(AttributeType::kFloats);
        reader.Append(&attribute->floats);
        break;
      case 8:
        kind.Set(AttributeType::kInts);
        reader.Append(&attribute->ints);
        break;
      case 9:
        kind.Set(AttributeType::kStrings);
        reader.Append(&attribute->strings);
        break;
      case 10:
        kind.Set(AttributeType::kTensors);
        TENON_RETURN_IF_ERROR(ParseElement(reader, place, "tensors", &attribute->tensors));
        break;
      case 11:
        kind.Set(AttributeType::kGraphs);
        TENON_RETURN_IF_ERROR(ParseElement(reader, place, "graphs", &attribute->graphs));
        break;
      case 13:
        reader.Get(&attribute->doc_string);
        break;
      case 14:
        kind.Set(AttributeType::kTypeProto);
        TENON_RETURN_IF_ERROR(ParseField(reader, place, "tp", Single(&attribute->types)));
        break;
      case 15:
        kind.Set(AttributeType::kTypeProtos);
        TENON_RETURN_IF_ERROR(ParseElement(reader, place, "type_protos", &attribute->types));
        break;
      case 20:
        reader.Get(&declared);
        break;
      case 21:
        reader.Get(&attribute->ref_attr_name);
        break;
      case 22:
        kind.Set(AttributeType::kSparseTensor);
        TENON_RETURN_IF_ERROR(ParseField(reader, place, "sparse_tensor", Single(&attribute->sparse_tensors)));
        break;
      case 23:
        kind.Set(AttributeType::kSparseTensors);
        TENON_RETURN_IF_ERROR(ParseElement(reader, place, "sparse_tensors", &attribute->sparse_tensors));
        break;
      default:
        break;
    }
  }
  TENON_RETURN_IF_ERROR(reader.status());
  if (attribute->name.empty()) return place.Error("an attribute without a name");
  return SettleType(place, declared, kind.met(), attribute);
}

Status ParseInto(std::string_view bytes, const Place& place, Node* node) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    switch (reader.number()) {
      case 1:
        AppendText(reader, &node->inputs);
        break;
      case 2:
        AppendText(reader, &node->outputs);
        break;
      case 3:
        reader.Get(&node->name);
        break;
      case 4:
        reader.Get(&node->op_type);
        break;
      case 5:
        TENON_RETURN_IF_ERROR(ParseElement(reader, place, "attribute", &node->attributes));
        break;
      case 6:
        reader.Get(&node->doc_string);
        break;
      case 7:
        reader.Get(&node->domain);
        break;
      case 8:
        reader.Get(&node->overload);
        break;
      case 9:
        TENON_RETURN_IF_ERROR(ParseElement(reader, place, "metadata_props", &node->metadata));
        break;
      case 10:
        reader.Append(&node->device_configurations);
        break;
      default:
        break;
    }
  }
  TENON_RETURN_IF_ERROR(reader.status());
  if (node->op_type.empty()) return place.Error("a node without an operator (op_type)");
  return Status();
}

Status ParseInto(std::string_view bytes, const Place& place, Graph* graph) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    switch (reader.number()) {
      case 1:
        TENON_RETURN_IF_ERROR(ParseElement(reader, place, "node", &graph->nodes));
        break;
      case 2:
        reader.Get(&graph->name);
        break;
      case 5:
        TENON_RETURN_IF_ERROR(ParseElement(reader, place, "initializer", &graph->initializers));
        break;
      case 10:
        reader.Get(&graph->doc_string);
        break;
      case 11:
        TENON_RETURN_IF_ERROR(ParseElement(reader, place, "input", &graph->inputs));
        break;
      case 12:
        TENON_RETURN_IF_ERROR(ParseElement(reader, place, "output", &graph->outputs));
        break;
      case 13:
        TENON_RETURN_IF_ERROR(ParseElement(reader, place, "value_info", &graph->value_infos));
        break;
      case 14:
        TENON_RETURN_IF_ERROR(ParseElement(reader, place, "quantization_annotation", &graph->quantization_annotations));
        break;
      case 15:
        TENON_RETURN_IF_ERROR(ParseElement(reader, place, "sparse_initializer", &graph->sparse_initializers));
        break;
      case 16:
        TENON_RETURN_IF_ERROR(ParseElement(reader, place, "metadata_props", &graph->metadata));
        break;
      default:
        break;
    }
  }
  return reader.status();
}

Result<Model> Parse(std::string_view bytes, std::string_view where, std::shared_ptr<const void> owner) {
  const Place place(where, bytes);
  if (bytes.empty()) return place.Error("the file is empty, expected an ONNX model");
  Model model;
  TENON_RETURN_IF_ERROR(ParseInto(bytes, place, &model));
  if (owner != nullptr) model.path = where;
  model.owner = std::move(owner);
  return model;
}

Result<Model> ParseFile(const std::string& path) {
  TENON_ASSIGN_OR_RETURN(std::shared_ptr<const base::MappedFile> file, base::MappedFile::Open(path));
  const std::string_view text = file->text();
  return Parse(text, path, std::move(file));
}

Result<Tensor> ParseTensor(std::string_view bytes, std::string_view where) {
  const Place place(where, bytes);
  Tensor tensor;
  TENON_RETURN_IF_ERROR(ParseInto(bytes, place, &tensor));
  return tensor;
}

}  // namespace tenon::onnx
