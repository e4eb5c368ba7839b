#include "serve/rest/tensor_reader.h"

#include <fmt/format.h>

#include <cstring>
#include <limits>

#include "serve/core/tf_names.h"
#include "serve/rest/base64.h"

namespace tenon::serve {
namespace {

using Index = JsonDocument::Index;

Status Invalid(std::string message) { return Status(Code::kInvalidArgument, std::move(message)); }

/// Lists deeper than any model takes are refused where the shape is built, not by every model.
constexpr std::size_t kMaxRank = 254;

void ShapeOf(const JsonDocument& json, Index value, std::vector<std::int64_t>& dims) {
  dims.clear();
  while (json.kind(value) == JsonKind::kArray) {
    dims.push_back(static_cast<std::int64_t>(json.size(value)));
    if (json.size(value) == 0) return;
    value = json.first(value);
  }
}

}  // namespace

Status WrongJsonType(const JsonDocument& json, Index value, DType dtype) {
  return Invalid(fmt::format("JSON Value: {} Type: {} is not of expected type: {}", json.ToText(value),
                             JsonKindName(json.kind(value)), TfTypeName(dtype)));
}

template <class T>
void TensorReader::Put(T value) {
  const std::size_t at = bytes_.size();
  bytes_.resize(at + sizeof(T));
  std::memcpy(bytes_.data() + at, &value, sizeof(T));
  ++count_;
}

Status TensorReader::Leaf(const JsonDocument& json, Index value) {
  const JsonKind kind = json.kind(value);
  if (kind == JsonKind::kObject) {
    if (dtype_ != DType::kString) return WrongJsonType(json, value, dtype_);
    const std::string_view text = json.Base64Member(value);
    if (text.data() == nullptr)
      return Invalid(fmt::format("JSON Value: {} not formatted correctly for base64 data", json.ToText(value)));
    if (!Base64Decode(text, strings_.emplace_back())) return Invalid("Unable to base64 decode");
    return {};
  }
  bool good = false;
  const std::int64_t i = kind == JsonKind::kInt ? json.int_value(value) : 0;
  const auto fits = [&]<class T>(T) {
    return kind == JsonKind::kInt && i >= std::numeric_limits<T>::min() && i <= std::numeric_limits<T>::max();
  };
  switch (dtype_) {
    case DType::kF32:
      if ((good = json.is_number(value)))
        Put(kind == JsonKind::kInt    ? static_cast<float>(i)
            : kind == JsonKind::kUint ? static_cast<float>(json.uint_value(value))
                                      : static_cast<float>(json.double_value(value)));
      break;
    case DType::kF64:
      if ((good = json.is_number(value))) Put(json.number(value));
      break;
    // The four share one range: the narrow ones keep the low bits.
    case DType::kI32:
      if ((good = fits(std::int32_t{}))) Put(static_cast<std::int32_t>(i));
      break;
    case DType::kI16:
      if ((good = fits(std::int32_t{}))) Put(static_cast<std::int16_t>(i));
      break;
    case DType::kI8:
      if ((good = fits(std::int32_t{}))) Put(static_cast<std::int8_t>(i));
      break;
    case DType::kU8:
      if ((good = fits(std::int32_t{}))) Put(static_cast<std::uint8_t>(i));
      break;
    case DType::kI64:
      if ((good = kind == JsonKind::kInt)) Put(i);
      break;
    case DType::kU32:
      if ((good = fits(std::uint32_t{}))) Put(static_cast<std::uint32_t>(i));
      break;
    case DType::kU64:
      if (kind == JsonKind::kUint) {
        good = true;
        Put(json.uint_value(value));
      } else if ((good = kind == JsonKind::kInt && i >= 0)) {
        Put(static_cast<std::uint64_t>(i));
      }
      break;
    case DType::kBool:
      if ((good = kind == JsonKind::kTrue || kind == JsonKind::kFalse))
        Put(static_cast<std::uint8_t>(kind == JsonKind::kTrue));
      break;
    case DType::kString:
      if ((good = kind == JsonKind::kString)) strings_.emplace_back(json.text(value));
      break;
    default:
      return Status(Code::kUnimplemented,
                    fmt::format("Conversion of JSON Value: {} to type: {}", json.ToText(value), TfTypeName(dtype_)));
  }
  return good ? Status() : WrongJsonType(json, value, dtype_);
}

Status TensorReader::Read(const JsonDocument& json, Index value, std::vector<std::int64_t>& dims) {
  ShapeOf(json, value, dims);
  const std::size_t rank = dims.size();
  if (rank > kMaxRank)
    return Invalid(fmt::format("JSON Value: got a list of {} levels, expected at most {}", rank, kMaxRank));
  // Ends of the lists that are open; their number is the level.
  std::vector<Index> ends;
  const Index stop = json.end(value);
  for (Index i = value; i != stop;) {
    const std::size_t level = ends.size();
    if (json.kind(i) != JsonKind::kArray) {
      if (level != rank)
        return Invalid(fmt::format("JSON Value: {} found at incorrect level: {} in the JSON DOM. Expected at level: {}",
                                   json.ToText(i), level + 1, rank));
      if (Status s = Leaf(json, i); !s.ok()) return s;
      i = json.end(i);
    } else {
      if (level >= rank)
        return Invalid(fmt::format("Encountered list at unexpected level: {} expected < {}", level, rank));
      if (json.size(i) != static_cast<std::size_t>(dims[level]))
        return Invalid(fmt::format("Encountered list at unexpected size: {} at level: {} expected size: {}",
                                   json.size(i), level, dims[level]));
      ends.push_back(json.end(i));
      ++i;
    }
    while (!ends.empty() && ends.back() == i) ends.pop_back();
  }
  return {};
}

Result<Literal> TensorReader::Take(std::vector<std::int64_t> dims) {
  if (dtype_ == DType::kString) return Literal::from_strings(std::move(dims), std::move(strings_));
  Literal out = Literal::uninitialized(dtype_, std::move(dims));
  const std::span<std::byte> to = out.mutable_raw();
  if (to.size() != bytes_.size())
    return Status(Code::kInternal, fmt::format("JSON tensor: got {} bytes for {}", bytes_.size(), out.to_string(0)));
  if (!to.empty()) std::memcpy(to.data(), bytes_.data(), to.size());
  return out;
}

}  // namespace tenon::serve
