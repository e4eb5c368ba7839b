// Tensors, types and value infos: the leaves of the parser.
#include <fmt/format.h>

#include "formats/onnx/parse_util.h"

namespace tenon::onnx {
namespace {

// A longer dims list says nothing: its tensor cannot be used. Bounds the work on hostile files.
constexpr std::size_t kMaxRank = 64;

Status CheckRank(const Place& place, std::size_t rank) {
  if (rank <= kMaxRank) return Status();
  return place.Error(fmt::format("rank {}, expected at most {}", rank, kMaxRank));
}

Status ParseShape(std::string_view bytes, const Place& place, std::vector<Dimension>* dims) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() != 1) continue;
    TENON_RETURN_IF_ERROR(CheckRank(place, dims->size() + 1));
    TENON_RETURN_IF_ERROR(ParseElement(reader, place, "dim", dims));
  }
  return reader.status();
}

// TypeProto.Tensor and TypeProto.SparseTensor; sequence, optional and map have their element in another field.
Status ParseTensorType(std::string_view bytes, const Place& place, TypeProto* type) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() == 1) reader.Get(&type->elem_type);
    if (reader.number() == 2) {
      if (!type->shape) type->shape.emplace();
      const std::string_view shape = reader.bytes();
      TENON_RETURN_IF_ERROR(reader.status());
      TENON_RETURN_IF_ERROR(ParseShape(shape, Place(place, "shape"), &*type->shape));
    }
  }
  return reader.status();
}

Status ParseContainerType(std::string_view bytes, const Place& place, std::uint32_t element_field, TypeProto* type) {
  Reader reader(bytes, place);
  if (type->element.empty()) type->element.emplace_back();
  while (reader.Next()) {
    if (reader.number() == element_field) {
      TENON_RETURN_IF_ERROR(ParseField(reader, place, "elem_type", &type->element.front()));
    } else if (reader.number() == 1) {
      reader.Get(&type->elem_type);  // a map's key type
    }
  }
  return reader.status();
}

Status ParseOpaque(std::string_view bytes, const Place& place, TypeProto* type) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() == 1) reader.Get(&type->opaque_domain);
    if (reader.number() == 2) reader.Get(&type->opaque_name);
  }
  return reader.status();
}

}  // namespace

Status ParseInto(std::string_view bytes, const Place& place, Dimension* dim) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    switch (reader.number()) {
      case 1:
        reader.Get(&dim->value.emplace());
        break;
      case 2:
        reader.Get(&dim->param);
        break;
      case 3:
        reader.Get(&dim->denotation);
        break;
      default:
        break;
    }
  }
  return reader.status();
}

Status ParseInto(std::string_view bytes, const Place& place, StringEntry* entry) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() == 1) reader.Get(&entry->key);
    if (reader.number() == 2) reader.Get(&entry->value);
  }
  return reader.status();
}

Status ParseInto(std::string_view bytes, const Place& place, Tensor* tensor) {
  Reader reader(bytes, place);
  std::int32_t location = 0;
  const auto chunk = [&](WireType element, std::vector<std::string_view>* out) {
    if (const std::string_view data = reader.scalar_bytes(element); !data.empty()) out->push_back(data);
  };
  while (reader.Next()) {
    switch (reader.number()) {
      case 1:
        reader.Append(&tensor->dims);
        TENON_RETURN_IF_ERROR(CheckRank(place, tensor->dims.size()));
        break;
      case 2:
        reader.Get(&tensor->data_type);
        break;
      case 3:
        tensor->has_segment = true;
        break;
      case 4:
        chunk(WireType::kFixed32, &tensor->float_data);
        break;
      case 5:
        chunk(WireType::kVarint, &tensor->int32_data);
        break;
      case 6:
        reader.Append(&tensor->string_data);
        break;
      case 7:
        chunk(WireType::kVarint, &tensor->int64_data);
        break;
      case 8:
        reader.Get(&tensor->name);
        break;
      case 9:
        tensor->raw_data = reader.bytes();
        break;
      case 10:
        chunk(WireType::kFixed64, &tensor->double_data);
        break;
      case 11:
        chunk(WireType::kVarint, &tensor->uint64_data);
        break;
      case 12:
        reader.Get(&tensor->doc_string);
        break;
      case 13:
        TENON_RETURN_IF_ERROR(ParseElement(reader, place, "external_data", &tensor->external_data));
        break;
      case 14:
        reader.Get(&location);
        break;
      case 16:
        TENON_RETURN_IF_ERROR(ParseElement(reader, place, "metadata_props", &tensor->metadata));
        break;
      default:
        break;
    }
  }
  TENON_RETURN_IF_ERROR(reader.status());
  if (location != 0 && location != 1)
    return place.Error(fmt::format("data_location {}, expected 0 (inside) or 1 (external)", location));
  tensor->external = location == 1;
  return Status();
}

Status ParseInto(std::string_view bytes, const Place& place, SparseTensor* tensor) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    switch (reader.number()) {
      case 1:
        TENON_RETURN_IF_ERROR(ParseField(reader, place, "values", &tensor->values));
        break;
      case 2:
        TENON_RETURN_IF_ERROR(ParseField(reader, place, "indices", &tensor->indices));
        break;
      case 3:
        reader.Append(&tensor->dims);
        TENON_RETURN_IF_ERROR(CheckRank(place, tensor->dims.size()));
        break;
      default:
        break;
    }
  }
  return reader.status();
}

Status ParseInto(std::string_view bytes, const Place& place, TypeProto* type) {
  TENON_RETURN_IF_ERROR(place.CheckDepth());
  Reader reader(bytes, place);
  const auto set = [&](TypeKind kind) {
    if (type->kind != TypeKind::kNone && type->kind != kind) reader.Fail("a type that is two kinds at once");
    type->kind = kind;
    return reader.bytes();
  };
  while (reader.Next()) {
    switch (reader.number()) {
      case 1:
        TENON_RETURN_IF_ERROR(ParseTensorType(set(TypeKind::kTensor), Place(place, "tensor_type"), type));
        break;
      case 4:
        TENON_RETURN_IF_ERROR(ParseContainerType(set(TypeKind::kSequence), Place(place, "sequence_type"), 1, type));
        break;
      case 5:
        TENON_RETURN_IF_ERROR(ParseContainerType(set(TypeKind::kMap), Place(place, "map_type"), 2, type));
        break;
      case 6:
        reader.Get(&type->denotation);
        break;
      case 7:
        TENON_RETURN_IF_ERROR(ParseOpaque(set(TypeKind::kOpaque), Place(place, "opaque_type"), type));
        break;
      case 8:
        TENON_RETURN_IF_ERROR(ParseTensorType(set(TypeKind::kSparseTensor), Place(place, "sparse_tensor_type"), type));
        break;
      case 9:
        TENON_RETURN_IF_ERROR(ParseContainerType(set(TypeKind::kOptional), Place(place, "optional_type"), 1, type));
        break;
      default:
        break;
    }
  }
  return reader.status();
}

Status ParseInto(std::string_view bytes, const Place& place, ValueInfo* info) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    switch (reader.number()) {
      case 1:
        reader.Get(&info->name);
        break;
      case 2:
        TENON_RETURN_IF_ERROR(ParseField(reader, place, "type", &info->type));
        break;
      case 3:
        reader.Get(&info->doc_string);
        break;
      case 4:
        TENON_RETURN_IF_ERROR(ParseElement(reader, place, "metadata_props", &info->metadata));
        break;
      default:
        break;
    }
  }
  TENON_RETURN_IF_ERROR(reader.status());
  if (info->name.empty()) return place.Error("a value without a name");
  return Status();
}

}  // namespace tenon::onnx
