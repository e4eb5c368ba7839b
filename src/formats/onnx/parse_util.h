// What the parser's files share.
#pragma once
#include "base/status_macros.h"
#include "formats/onnx/model.h"
#include "formats/proto_wire/wire_reader.h"

namespace tenon::onnx {

using proto_wire::Place;
using proto_wire::Reader;
using proto_wire::WireType;

Status ParseInto(std::string_view bytes, const Place& place, StringEntry* entry);
Status ParseInto(std::string_view bytes, const Place& place, Tensor* tensor);
Status ParseInto(std::string_view bytes, const Place& place, SparseTensor* tensor);
Status ParseInto(std::string_view bytes, const Place& place, TypeProto* type);
Status ParseInto(std::string_view bytes, const Place& place, ValueInfo* info);
Status ParseInto(std::string_view bytes, const Place& place, Attribute* attribute);
Status ParseInto(std::string_view bytes, const Place& place, Node* node);
Status ParseInto(std::string_view bytes, const Place& place, Graph* graph);
Status ParseInto(std::string_view bytes, const Place& place, Dimension* dim);
Status ParseInto(std::string_view bytes, const Place& place, OperatorSetId* id);
Status ParseInto(std::string_view bytes, const Place& place, TensorAnnotation* annotation);
Status ParseInto(std::string_view bytes, const Place& place, Function* function);
Status ParseInto(std::string_view bytes, const Place& place, Model* model);

/// The reader's field as one more element of a repeated message field.
template <class T>
Status ParseElement(Reader& reader, const Place& place, std::string_view field, std::vector<T>* out) {
  const std::string_view bytes = reader.bytes();
  TENON_RETURN_IF_ERROR(reader.status());
  const Place element(place, field, static_cast<std::int64_t>(out->size()));
  TENON_RETURN_IF_ERROR(element.CheckDepth());
  return ParseInto(bytes, element, &out->emplace_back());
}

/// The reader's field as a singular message.
template <class T>
Status ParseField(Reader& reader, const Place& place, std::string_view field, T* out) {
  const std::string_view bytes = reader.bytes();
  TENON_RETURN_IF_ERROR(reader.status());
  const Place inner(place, field);
  TENON_RETURN_IF_ERROR(inner.CheckDepth());
  return ParseInto(bytes, inner, out);
}

/// The reader's field as one more text of a repeated string field.
inline void AppendText(Reader& reader, std::vector<std::string>* out) {
  if (const std::string_view text = reader.text(); reader.status().ok()) out->emplace_back(text);
}

}  // namespace tenon::onnx
