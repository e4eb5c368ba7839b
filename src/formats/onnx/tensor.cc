#include "formats/onnx/tensor.h"

#include <fmt/format.h>

#include <cstring>

#include "formats/onnx/data_type.h"
#include "formats/onnx/parse_util.h"

namespace tenon::onnx {
namespace {

using Chunks = std::vector<std::string_view>;

constexpr std::size_t kLargeWeight = 65536;

std::size_t TotalBytes(const Chunks& chunks) {
  std::size_t total = 0;
  for (const std::string_view chunk : chunks) total += chunk.size();
  return total;
}

// What one element of a dtype occupies, 1 for those of 4 and 2 bits: the alignment that reading in place needs.
std::size_t ElementBytes(DType dtype) { return static_cast<std::size_t>((dtype_bits(dtype) + 7) / 8); }
std::size_t Alignment(DType dtype) { return is_complex(dtype) ? ElementBytes(dtype) / 2 : ElementBytes(dtype); }

// How many bits of the last byte hold elements.
unsigned UsedBits(DType dtype, std::int64_t size) {
  if (!is_packed(dtype)) return 8;
  const std::int64_t over = size % (8 / dtype_bits(dtype));
  return over == 0 ? 8 : static_cast<unsigned>(over * dtype_bits(dtype));
}

// A bool must be 0 or 1, and unused bits of the last byte 0: otherwise the bytes are copied and set right.
bool IsCanonical(DType dtype, std::int64_t size, std::string_view bytes) {
  if (dtype == DType::kBool) {
    for (const char c : bytes)
      if (c != 0 && c != 1) return false;
  }
  if (const unsigned used = UsedBits(dtype, size); used != 8)
    return (static_cast<unsigned>(static_cast<unsigned char>(bytes.back())) >> used) == 0;
  return true;
}

void MakeCanonical(Literal* literal) {
  const std::span<std::byte> bytes = literal->mutable_raw();
  if (literal->dtype() == DType::kBool)
    for (std::byte& b : bytes) b = b == std::byte{0} ? b : std::byte{1};
  if (!bytes.empty()) bytes.back() &= static_cast<std::byte>((1U << UsedBits(literal->dtype(), literal->size())) - 1);
}

Result<Literal> FromBytes(const Tensor& tensor, DType dtype, std::int64_t size, std::string_view bytes,
                          std::shared_ptr<const void> owner) {
  const bool aligned = reinterpret_cast<std::uintptr_t>(bytes.data()) % Alignment(dtype) == 0;
  const bool canonical = bytes.empty() || IsCanonical(dtype, size, bytes);
  // Large weights stay in the file wherever they stand in it (tensor/aligned.h).
  const bool in_place = aligned || (is_float(dtype) && bytes.size() >= kLargeWeight);
  if (owner != nullptr && in_place && canonical && !bytes.empty())
    return Literal::from_buffer(
        dtype, tensor.dims,
        Buffer::view(reinterpret_cast<const std::byte*>(bytes.data()), bytes.size(), std::move(owner)));
  Literal literal = Literal::uninitialized(dtype, tensor.dims);
  if (!bytes.empty()) std::memcpy(literal.mutable_raw().data(), bytes.data(), bytes.size());
  if (!canonical) MakeCanonical(&literal);
  return literal;
}

Status CountError(std::string_view field, std::size_t got, std::size_t wanted) {
  return Status(Code::kInvalidArgument, fmt::format("{} holds {} values, expected {}", field, got, wanted));
}

// float_data and double_data: the bytes are the elements.
Result<Literal> FromFixed(const Tensor& tensor, DType dtype, std::string_view field, const Chunks& chunks,
                          std::size_t bytes, std::size_t width) {
  if (TotalBytes(chunks) != bytes) return CountError(field, TotalBytes(chunks) / width, bytes / width);
  Literal literal = Literal::uninitialized(dtype, tensor.dims);
  std::byte* out = bytes == 0 ? nullptr : literal.mutable_raw().data();
  for (const std::string_view chunk : chunks) {
    std::memcpy(out, chunk.data(), chunk.size());
    out += chunk.size();
  }
  return literal;
}

struct Range {
  std::int64_t low, high;
};

// What may stand in int32_data for one element, or for two packed ones. 8-bit patterns of either sign are met.
Range AllowedRange(DType dtype) {
  switch (dtype) {
    case DType::kBool:
      return {0, 1};
    case DType::kI8:
      return {-128, 127};
    case DType::kU8:
      return {0, 255};
    case DType::kI16:
      return {-32768, 32767};
    case DType::kU16:
    case DType::kF16:
    case DType::kBF16:
      return {0, 65535};
    case DType::kI32:
      return {INT32_MIN, INT32_MAX};
    case DType::kU32:
      return {0, UINT32_MAX};
    case DType::kI64:
    case DType::kU64:
      return {INT64_MIN, INT64_MAX};
    default:
      return {-128, 255};  // f8 and packed values
  }
}

// int32_data, int64_data and uint64_data: varints, each stored in `width` bytes.
Result<Literal> FromVarints(const Tensor& tensor, DType dtype, std::string_view field, const Chunks& chunks,
                            std::size_t bytes) {
  const std::size_t width = ElementBytes(dtype), count = bytes / width;
  if (TotalBytes(chunks) < count) return CountError(field, TotalBytes(chunks), count);  // a varint takes >= 1 byte
  const Range range = AllowedRange(dtype);
  Literal literal = Literal::uninitialized(dtype, tensor.dims);
  std::byte* out = bytes == 0 ? nullptr : literal.mutable_raw().data();
  std::size_t n = 0;
  for (const std::string_view chunk : chunks) {
    const char* end = chunk.data() + chunk.size();
    for (const char* p = chunk.data(); p != end; ++n) {
      std::uint64_t value = 0;
      if (!proto_wire::ReadVarint(&p, end, &value))
        return Status(Code::kInvalidArgument, fmt::format("{}: bad varint at value {}", field, n));
      if (n == count) return CountError(field, n + 1, count);
      const auto wide = static_cast<std::int64_t>(value);
      if (wide < range.low || wide > range.high)
        return Status(Code::kInvalidArgument, fmt::format("{}: value {} at {} is outside of {}", field, wide, n,
                                                          DataTypeName(tensor.data_type)));
      std::memcpy(out + n * width, &value, width);
    }
  }
  if (n != count) return CountError(field, n, count);
  if (is_packed(dtype)) MakeCanonical(&literal);
  return literal;
}

struct Payload {
  std::string_view field;
  const Chunks* chunks;
};

// The typed field of the data type.
Payload TypedField(const Tensor& tensor, DType dtype) {
  switch (dtype) {
    case DType::kF32:
    case DType::kC64:
      return {"float_data", &tensor.float_data};
    case DType::kF64:
    case DType::kC128:
      return {"double_data", &tensor.double_data};
    case DType::kI64:
      return {"int64_data", &tensor.int64_data};
    case DType::kU32:
    case DType::kU64:
      return {"uint64_data", &tensor.uint64_data};
    case DType::kString:
      return {"string_data", &tensor.string_data};
    default:
      return {"int32_data", &tensor.int32_data};
  }
}

// Exactly the field that the type wants, or raw_data, may be filled.
Status CheckFields(const Tensor& tensor, const Payload& wanted) {
  const Payload all[] = {{"float_data", &tensor.float_data},   {"int32_data", &tensor.int32_data},
                         {"string_data", &tensor.string_data}, {"int64_data", &tensor.int64_data},
                         {"double_data", &tensor.double_data}, {"uint64_data", &tensor.uint64_data}};
  for (const Payload& payload : all) {
    if (payload.chunks->empty()) continue;
    if (payload.field != wanted.field)
      return Status(Code::kInvalidArgument, fmt::format("a tensor of {} has {}, expected {} or raw_data",
                                                        DataTypeName(tensor.data_type), payload.field, wanted.field));
    if (tensor.raw_data && !tensor.raw_data->empty())
      return Status(Code::kInvalidArgument, fmt::format("both raw_data and {} are set", payload.field));
  }
  return Status();
}

Result<Literal> FromStrings(const Tensor& tensor, std::int64_t size) {
  if (tensor.raw_data || tensor.external)
    return Status(Code::kInvalidArgument, "strings in raw_data or external data, expected string_data");
  if (tensor.string_data.size() != static_cast<std::size_t>(size))
    return CountError("string_data", tensor.string_data.size(), static_cast<std::size_t>(size));
  return Literal::from_strings(tensor.dims,
                               std::vector<std::string>(tensor.string_data.begin(), tensor.string_data.end()));
}

}  // namespace

Result<Literal> TensorReader::Read(const Tensor& tensor) {
  if (tensor.value) return *tensor.value;
  const auto read = [&]() -> Result<Literal> {
    TENON_ASSIGN_OR_RETURN(const DType dtype, ToDType(tensor.data_type));
    if (tensor.has_segment) return Status(Code::kUnimplemented, "tensors in segments are not supported");
    TENON_ASSIGN_OR_RETURN(const std::int64_t size, checked_size(tensor.dims));
    const Payload typed = TypedField(tensor, dtype);
    TENON_RETURN_IF_ERROR(CheckFields(tensor, typed));
    if (dtype == DType::kString) return FromStrings(tensor, size);
    TENON_ASSIGN_OR_RETURN(const std::size_t bytes, checked_bytes(dtype, tensor.dims));
    if (tensor.external) {
      if (tensor.raw_data || !typed.chunks->empty())
        return Status(Code::kInvalidArgument, "external data and data in the model are both set");
      std::shared_ptr<const void> owner;
      TENON_ASSIGN_OR_RETURN(const std::string_view data, External(tensor, bytes, &owner));
      return FromBytes(tensor, dtype, size, data, std::move(owner));
    }
    if (tensor.raw_data && typed.chunks->empty()) {
      if (tensor.raw_data->size() != bytes)
        return Status(Code::kInvalidArgument,
                      fmt::format("raw_data holds {} bytes, expected {} for {}{}", tensor.raw_data->size(), bytes,
                                  dtype_name(dtype), Shape(std::span(tensor.dims)).to_string()));
      return FromBytes(tensor, dtype, size, *tensor.raw_data, owner_);
    }
    if (typed.field == "float_data") return FromFixed(tensor, dtype, typed.field, *typed.chunks, bytes, 4);
    if (typed.field == "double_data") return FromFixed(tensor, dtype, typed.field, *typed.chunks, bytes, 8);
    return FromVarints(tensor, dtype, typed.field, *typed.chunks, bytes);
  };
  Result<Literal> literal = read();
  if (literal.ok()) return literal;
  return literal.status().with_context(fmt::format("tensor \"{}\"", tensor.name)).with_context(path_);
}

Result<Literal> TensorReader::Read(const SparseTensor& tensor) {
  const auto read = [&]() -> Result<Literal> {
    TENON_ASSIGN_OR_RETURN(const Literal values, Read(tensor.values));
    TENON_ASSIGN_OR_RETURN(const Literal indices, Read(tensor.indices));
    TENON_ASSIGN_OR_RETURN(const std::int64_t size, checked_size(tensor.dims));
    const std::int64_t rank = static_cast<std::int64_t>(tensor.dims.size()), count = values.size();
    if (values.rank() != 1 || values.dtype() == DType::kString || dtype_bits(values.dtype()) < 8)
      return Status(Code::kInvalidArgument, "the values of a sparse tensor must be a vector of whole-byte elements");
    const bool linear = indices.rank() == 1 && indices.size() == count;
    // ONNX asks for i64; ONNX Runtime writes the narrowest type that holds them.
    const DType narrow = indices.dtype();
    const bool integers =
        narrow == DType::kI64 || narrow == DType::kI32 || narrow == DType::kI16 || narrow == DType::kI8;
    if (!integers || !(linear || (indices.rank() == 2 && indices.dims()[0] == count && indices.dims()[1] == rank)))
      return Status(Code::kInvalidArgument, fmt::format("the indices are {}, expected i64[{}] or i64[{}, {}]",
                                                        indices.to_string(0), count, count, rank));
    TENON_ASSIGN_OR_RETURN(const std::size_t bytes, checked_bytes(values.dtype(), tensor.dims));
    const std::size_t limit = (std::size_t{64} << 20) + 64 * (values.nbytes() + indices.nbytes());
    if (bytes > limit)
      return Status(Code::kResourceExhausted,
                    fmt::format("the dense form takes {} bytes, more than the limit of {}", bytes, limit));
    Literal dense(values.dtype(), tensor.dims);
    std::vector<std::int64_t> widened;
    if (narrow != DType::kI64)
      for (std::int64_t i = 0; i < indices.size(); ++i) widened.push_back(static_cast<std::int64_t>(indices.at(i)));
    const std::span<const std::int64_t> at =
        narrow == DType::kI64 ? indices.data<std::int64_t>() : std::span<const std::int64_t>(widened);
    const std::size_t width = ElementBytes(values.dtype());
    for (std::int64_t i = 0; i < count; ++i) {
      std::int64_t offset = 0;
      for (std::int64_t axis = 0; axis < (linear ? 1 : rank); ++axis) {
        const std::int64_t index = at[static_cast<std::size_t>(linear ? i : i * rank + axis)];
        const std::int64_t bound = linear ? size : tensor.dims[static_cast<std::size_t>(axis)];
        if (index < 0 || index >= bound)
          return Status(Code::kOutOfRange, fmt::format("index {} of value {} is outside of [0, {})", index, i, bound));
        offset = linear ? index : offset * bound + index;
      }
      std::memcpy(dense.mutable_raw().data() + static_cast<std::size_t>(offset) * width,
                  values.raw().data() + static_cast<std::size_t>(i) * width, width);
    }
    return dense;
  };
  Result<Literal> literal = read();
  if (literal.ok()) return literal;
  return literal.status().with_context(fmt::format("{}: sparse tensor \"{}\"", path_, tensor.values.name));
}

}  // namespace tenon::onnx
