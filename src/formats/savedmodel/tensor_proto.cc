#include "formats/savedmodel/tensor_proto.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/status_macros.h"

namespace tenon::savedmodel {
namespace {

using proto_wire::Place;
using proto_wire::Reader;
using proto_wire::WireType;
using proto_wire::Writer;

constexpr std::size_t kMaxDims = 254;
constexpr std::size_t kMaxSplatBytes = std::size_t{1} << 28;

/// The field of TensorProto that holds values of `dtype`, and how its elements are encoded.
struct ValueField {
  std::uint32_t number;
  WireType element;
};

ValueField FieldOf(DType dtype) {
  switch (dtype) {
    case DType::kF16:
    case DType::kBF16:
      return {13, WireType::kVarint};
    case DType::kF32:
      return {5, WireType::kFixed32};
    case DType::kF64:
      return {6, WireType::kFixed64};
    case DType::kC64:
      return {9, WireType::kFixed32};
    case DType::kC128:
      return {12, WireType::kFixed64};
    case DType::kI64:
      return {10, WireType::kVarint};
    case DType::kBool:
      return {11, WireType::kVarint};
    case DType::kU32:
      return {16, WireType::kVarint};
    case DType::kU64:
      return {17, WireType::kVarint};
    case DType::kString:
      return {8, WireType::kLength};
    case DType::kF8E4M3FN:
    case DType::kF8E4M3FNUZ:
    case DType::kF8E5M2:
    case DType::kF8E5M2FNUZ:
      return {18, WireType::kLength};
    default:
      return {7, WireType::kVarint};
  }
}

/// Elements as TensorFlow stores them: int4 takes a byte each, all else is as in a Literal.
std::size_t ElementBytes(DType dtype) { return static_cast<std::size_t>(std::max(dtype_bits(dtype) + 7, 8) / 8); }

/// One byte per element -> two elements per byte, low nibble first.
void PackNibbles(std::string_view bytes, std::span<std::byte> out) {
  std::fill(out.begin(), out.end(), std::byte{0});
  for (std::size_t i = 0; i < bytes.size(); ++i)
    out[i / 2] |= (static_cast<std::byte>(bytes[i]) & std::byte{15}) << (i % 2 == 0 ? 0 : 4);
}

/// The packed values when they are elements as they stand in a Literal, in one piece, and all of them: the usual form
/// of a large float tensor. Empty otherwise, which says nothing about them.
std::string_view WholeValues(const TensorProto& tensor, DType dtype, const Place& place, std::size_t size) {
  const ValueField field = FieldOf(dtype);
  if (field.element != WireType::kFixed32 && field.element != WireType::kFixed64) return {};
  std::string_view found;
  Reader reader(tensor.encoded, place);
  while (reader.Next()) {
    if (reader.number() != field.number) continue;
    if (!found.empty()) return {};
    found = reader.scalar_bytes(field.element);
  }
  return reader.status().ok() && found.size() == size ? found : std::string_view();
}

/// Decodes the value fields to raw elements, at most `limit` bytes; more are an error or are left out.
Result<std::string> ReadValues(const TensorProto& tensor, DType dtype, const Place& place, std::size_t limit,
                               bool ignore_surplus) {
  const ValueField field = FieldOf(dtype);
  const std::size_t width = ElementBytes(dtype);
  std::string out;
  Reader reader(tensor.encoded, place);
  while (reader.Next()) {
    if (reader.number() != field.number) continue;
    if (field.element == WireType::kLength) {
      out.append(reader.bytes());
    } else if (field.element != WireType::kVarint) {
      out.append(reader.scalar_bytes(field.element));
    } else {
      std::vector<std::uint64_t> values;
      reader.Append(&values);
      for (const std::uint64_t value : values) {
        if (out.size() > limit) break;
        const std::uint64_t element = dtype == DType::kBool ? static_cast<std::uint64_t>(value != 0) : value;
        out.append(reinterpret_cast<const char*>(&element), width);
      }
    }
    if (out.size() > limit && !ignore_surplus) return place.Error("more values than its shape has elements");
  }
  if (!reader.status().ok()) return reader.status();
  if (out.size() % width != 0) return place.Error("half a value at the end of its values");
  if (out.size() > limit) out.resize(limit);
  return out;
}

Result<Literal> StringsOf(const TensorProto& tensor, const Place& place, std::vector<std::int64_t> dims,
                          bool ignore_surplus) {
  TENON_ASSIGN_OR_RETURN(const std::int64_t size, checked_size(dims));
  std::vector<std::string> strings;
  Reader reader(tensor.encoded, place);
  while (reader.Next())
    if (reader.number() == 8) reader.Append(&strings);
  if (!reader.status().ok()) return reader.status();
  const auto wanted = static_cast<std::size_t>(size);
  if (strings.size() > wanted) {
    if (!ignore_surplus) return place.Error("more strings than its shape has elements");
    strings.resize(wanted);
  }
  const std::size_t repeated = strings.empty() ? 0 : strings.back().size();
  if (wanted - strings.size() > kMaxSplatBytes / (repeated + sizeof(std::string)))
    return Status(Code::kResourceExhausted, place.Error("too many repeated strings").message());
  strings.resize(wanted, strings.empty() ? std::string() : strings.back());
  return Literal::from_strings(std::move(dims), std::move(strings));
}

}  // namespace

Status ParseShape(std::string_view bytes, const Place& place, TfShape* shape) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() == 3) reader.Get(&shape->unknown_rank);
    if (reader.number() != 2) continue;
    std::int64_t size = 0;
    Reader dim(reader.bytes(), place);
    while (dim.Next())
      if (dim.number() == 1) dim.Get(&size);
    TENON_RETURN_IF_ERROR(dim.status());
    if (size < -1) return place.Error(fmt::format("got a dim of {}, expected -1 or more", size));
    if (shape->dims.size() == kMaxDims) return place.Error("got more than 254 dims");
    shape->dims.push_back(size);
  }
  return reader.status();
}

void WriteShape(Writer& writer, std::uint32_t field, const TfShape& shape) {
  writer.Message(field, [&] {
    for (const std::int64_t size : shape.dims)
      writer.Message(2, [&] {
        if (size != 0) writer.Varint(1, size);
      });
    if (shape.unknown_rank) writer.Varint(3, true);
  });
}

Status ParseTensor(std::string_view bytes, const Place& place, TensorProto* tensor) {
  tensor->encoded = bytes;
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() == 1) reader.Get(&tensor->dtype);
    if (reader.number() == 2)
      TENON_RETURN_IF_ERROR(ParseShape(reader.bytes(), Place(place, "tensor_shape"), &tensor->shape));
  }
  return reader.status();
}

void WriteTensor(Writer& writer, std::uint32_t field, const TensorProto& tensor) {
  if (!tensor.literal) return writer.Bytes(field, tensor.encoded);
  const Literal& literal = *tensor.literal;
  writer.Message(field, [&] {
    writer.Varint(1, tensor.dtype);
    WriteShape(writer, 2, TfShape{false, literal.dims()});
    if (literal.dtype() == DType::kString) {
      for (const std::string& text : literal.strings()) writer.Bytes(8, text);
    } else if (literal.dtype() == DType::kI4 || literal.dtype() == DType::kU4) {
      std::string wide;
      for (std::int64_t i = 0; i < literal.size(); ++i)
        wide.push_back(static_cast<char>(static_cast<std::int8_t>(literal.at(i))));
      writer.Text(4, wide);
    } else {
      writer.Text(4, {reinterpret_cast<const char*>(literal.raw().data()), literal.nbytes()});
    }
  });
}

Result<Literal> LiteralOf(const TensorProto& tensor, const std::string& what, const std::shared_ptr<const void>& owner,
                          bool ignore_surplus) {
  if (tensor.literal) return *tensor.literal;
  const Place place(what, tensor.encoded);
  const std::optional<DType> dtype = DTypeOfTf(tensor.dtype);
  if (!dtype) return place.Error(fmt::format("cannot hold values of {}", TfTypeName(tensor.dtype)));
  std::vector<std::int64_t> dims = tensor.shape.dims;
  if (tensor.shape.unknown_rank || std::ranges::count(dims, -1) > 0)
    return place.Error("the shape of a value is not fully known");
  if (*dtype == DType::kString) return StringsOf(tensor, place, std::move(dims), ignore_surplus);

  TENON_RETURN_IF_ERROR(checked_bytes(*dtype, dims).status().with_context(what));
  const std::size_t width = ElementBytes(*dtype);
  TENON_ASSIGN_OR_RETURN(const std::int64_t elements, checked_size(dims));
  const auto size = static_cast<std::size_t>(elements) * width;
  const bool nibbles = dtype_bits(*dtype) == 4;

  std::string_view content;
  Reader reader(tensor.encoded, place);
  while (reader.Next())
    if (reader.number() == 4) content = reader.bytes();
  if (!reader.status().ok()) return reader.status();
  std::string values;
  if (content.empty()) content = WholeValues(tensor, *dtype, place, size);
  if (content.empty()) {
    TENON_ASSIGN_OR_RETURN(values, ReadValues(tensor, *dtype, place, size, ignore_surplus));
    content = values;
    if (content.size() < size && size > kMaxSplatBytes)
      return Status(Code::kResourceExhausted,
                    fmt::format("{}: {} bytes of one repeated value are refused", what, size));
  } else if (content.size() != size) {
    return place.Error(fmt::format("its content has {} bytes, its shape needs {}", content.size(), size));
  } else if (owner && !nibbles &&
             reinterpret_cast<std::uintptr_t>(content.data()) % std::min<std::size_t>(width, 8) == 0) {
    return Literal::from_buffer(*dtype, std::move(dims),
                                Buffer::view(reinterpret_cast<const std::byte*>(content.data()), size, owner));
  }
  if (content.size() < size && !nibbles) {
    Literal out(*dtype, std::move(dims));
    std::span<std::byte> raw = out.mutable_raw();
    if (content.empty()) return out;
    std::memcpy(raw.data(), content.data(), content.size());
    const std::string_view last = content.substr(content.size() - width);
    for (std::size_t at = content.size(); at < size; at += width) std::memcpy(raw.data() + at, last.data(), width);
    return out;
  }
  if (nibbles) {
    std::string wide(content);
    wide.resize(size, wide.empty() ? '\0' : wide.back());
    Literal out(*dtype, std::move(dims));
    PackNibbles(wide, out.mutable_raw());
    return out;
  }
  Literal out = Literal::uninitialized(*dtype, std::move(dims));
  if (size > 0) std::memcpy(out.mutable_raw().data(), content.data(), size);
  return out;
}

TensorProto TensorOf(Literal literal) {
  TensorProto tensor;
  tensor.dtype = TfOfDType(literal.dtype());
  tensor.shape.dims = literal.dims();
  tensor.literal = std::make_shared<const Literal>(std::move(literal));
  return tensor;
}

}  // namespace tenon::savedmodel
