#include "serve/grpc/tensor_writer.h"

#include <fmt/format.h>

#include "base/status_macros.h"
#include "formats/savedmodel/dtype.h"

namespace tenon::serve::rpc {
namespace {

using proto_wire::Writer;

/// The field of TensorProto for values of a type; raw: packed elements are those of the Literal.
struct Field {
  std::uint32_t number;
  bool raw;
};

Field FieldOf(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return {5, true};
    case DType::kF64:
      return {6, true};
    case DType::kC64:
      return {9, true};
    case DType::kC128:
      return {12, true};
    case DType::kF8E4M3FN:
    case DType::kF8E4M3FNUZ:
    case DType::kF8E5M2:
    case DType::kF8E5M2FNUZ:
      return {18, true};
    case DType::kI64:
      return {10, false};
    case DType::kBool:
      return {11, false};
    case DType::kF16:
    case DType::kBF16:
      return {13, false};
    case DType::kU32:
      return {16, false};
    case DType::kU64:
      return {17, false};
    default:
      return {7, false};
  }
}

/// Calls visit(integer) for the elements of a type whose values are varints.
template <class Visit>
void ForEachInteger(const Literal& l, Visit visit) {
  const auto all = [&]<class T>(T) {
    for (const T v : l.data<T>()) visit(v);
  };
  switch (l.dtype()) {
    case DType::kBool:
      return all(bool());
    case DType::kI8:
      return all(std::int8_t());
    case DType::kI16:
      return all(std::int16_t());
    case DType::kI32:
      return all(std::int32_t());
    case DType::kI64:
      return all(std::int64_t());
    case DType::kU8:
      return all(std::uint8_t());
    case DType::kU16:
      return all(std::uint16_t());
    case DType::kU32:
      return all(std::uint32_t());
    case DType::kU64:
      return all(std::uint64_t());
    case DType::kF16:
      for (const Half v : l.data<Half>()) visit(v.bits);
      return;
    case DType::kBF16:
      for (const BFloat16 v : l.data<BFloat16>()) visit(v.bits);
      return;
    default:  // four bits
      for (std::int64_t i = 0; i < l.size(); ++i) visit(static_cast<std::int32_t>(l.at(i)));
  }
}

/// int4 stands in tensor_content as a byte each.
bool IsRaw(const Literal& l) { return !is_packed(l.dtype()); }

std::size_t ShapeSize(const Literal& l) {
  std::size_t size = 0;
  for (const std::int64_t dim : l.dims()) size += 2 + (dim == 0 ? 0 : 1 + Writer::VarintSize(dim));
  return size;
}

std::size_t IntegersSize(const Literal& l) {
  std::size_t size = 0;
  ForEachInteger(l, [&](auto v) { size += Writer::VarintSize(v); });
  return size;
}

std::size_t LengthSize(std::size_t size, std::size_t tag) { return tag + Writer::VarintSize(size) + size; }

}  // namespace

Result<std::size_t> TensorSize(const Literal& l, TensorForm form) {
  const savedmodel::TfType type = savedmodel::TfOfDType(l.dtype());
  if (type == savedmodel::TfType::kInvalid)
    return Status(Code::kUnimplemented,
                  fmt::format("TensorProto: values of {} have no type in TensorFlow", dtype_name(l.dtype())));
  std::size_t size = 1 + Writer::VarintSize(static_cast<std::int32_t>(type)) + LengthSize(ShapeSize(l), 1);
  if (l.size() == 0) return size;
  if (l.dtype() == DType::kString) {
    for (const std::string& text : l.strings()) size += LengthSize(text.size(), 1);
    return size;
  }
  if (form == TensorForm::kContent && IsRaw(l)) return size + LengthSize(l.nbytes(), 1);
  const Field field = FieldOf(l.dtype());
  return size + LengthSize(field.raw ? l.nbytes() : IntegersSize(l), field.number < 16 ? 1 : 2);
}

void WriteTensorBody(Writer& writer, const Literal& l, TensorForm form) {
  writer.Varint(1, savedmodel::TfOfDType(l.dtype()));
  writer.Begin(2, ShapeSize(l));
  for (const std::int64_t dim : l.dims()) {
    writer.Begin(2, dim == 0 ? 0 : 1 + Writer::VarintSize(dim));
    if (dim != 0) writer.Varint(1, dim);
  }
  if (l.size() == 0) return;
  const std::string_view raw(reinterpret_cast<const char*>(l.raw().data()), l.nbytes());
  if (l.dtype() == DType::kString) {
    for (const std::string& text : l.strings()) writer.Bytes(8, text);
  } else if (form == TensorForm::kContent && IsRaw(l)) {
    writer.Bytes(4, raw);
  } else if (const Field field = FieldOf(l.dtype()); field.raw) {
    writer.Bytes(field.number, raw);
  } else {
    writer.Begin(field.number, IntegersSize(l));
    ForEachInteger(l, [&](auto v) { writer.RawInteger(v); });
  }
}

Status WriteTensor(Writer& writer, std::uint32_t field, const std::string* key, const Literal& literal,
                   TensorForm form) {
  TENON_ASSIGN_OR_RETURN(const std::size_t size, TensorSize(literal, form));
  const std::size_t entry = key == nullptr ? size : LengthSize(key->size(), 1) + LengthSize(size, 1);
  writer.Reserve(writer.size() + entry + 64);
  writer.Begin(field, entry);
  if (key != nullptr) {
    writer.Bytes(1, *key);
    writer.Begin(2, size);
  }
  WriteTensorBody(writer, literal, form);
  return {};
}

}  // namespace tenon::serve::rpc
