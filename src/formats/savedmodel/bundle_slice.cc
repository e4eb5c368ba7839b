// Slices of partitioned tensors: their keys, and putting them together.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/status_macros.h"
#include "formats/savedmodel/bundle.h"

namespace tenon::savedmodel {
namespace {

// The ordered code: byte strings that sort as the values do.
void PutOrderedUnsigned(std::string& out, std::uint64_t value) {  // a byte count, then big-endian bytes
  const int bytes = (static_cast<int>(std::bit_width(value)) + 7) / 8;
  out.push_back(static_cast<char>(bytes));
  for (int i = bytes - 1; i >= 0; --i) out.push_back(static_cast<char>(value >> (8 * i)));
}

void PutOrderedString(std::string& out, std::string_view text) {  // 00 -> 00 ff, ff -> ff 00; ends with 00 01
  for (const char c : text) {
    out.push_back(c);
    if (c == '\0') out.push_back('\xff');
    if (c == '\xff') out.push_back('\0');
  }
  out.append("\0\1", 2);
}

// n bytes hold 7n - 1 bits of two's complement, big endian, under a prefix of n one bits and a zero; the whole prefix
// is inverted for a negative number, which exclusive or with the sign-extended number does.
void PutOrderedSigned(std::string& out, std::int64_t value) {
  const std::uint64_t magnitude = static_cast<std::uint64_t>(value < 0 ? ~value : value);
  const int bytes = static_cast<int>(std::bit_width(magnitude)) / 7 + 1;
  std::uint8_t buffer[10];
  for (int i = 0; i < 10; ++i) {
    const int shift = 8 * (9 - i);
    buffer[i] = static_cast<std::uint8_t>(shift >= 64 ? value >> 63 : value >> shift);
  }
  std::uint8_t* begin = buffer + 10 - bytes;
  for (int bit = 0; bit < bytes; ++bit)
    begin[bit / 8] = static_cast<std::uint8_t>(begin[bit / 8] ^ (0x80 >> (bit % 8)));
  out.append(reinterpret_cast<const char*>(begin), static_cast<std::size_t>(bytes));
}

using Box = std::vector<std::pair<std::int64_t, std::int64_t>>;  // start and length, resolved

Result<Box> Resolve(const std::string& name, const std::vector<std::int64_t>& dims, const Slice& slice) {
  if (slice.size() != dims.size())
    return Status(Code::kDataLoss,
                  fmt::format("{}: a slice of {} dims of a tensor of {}", name, slice.size(), dims.size()));
  Box box;
  for (std::size_t d = 0; d < dims.size(); ++d) {
    const auto [start, length] = slice[d];
    if (length == -1) {
      box.emplace_back(0, dims[d]);
      continue;
    }
    if (start < 0 || length < 0 || start > dims[d] || length > dims[d] - start)
      return Status(Code::kDataLoss,
                    fmt::format("{}: slice {}+{} of dim {} lies outside {}", name, start, length, d, dims[d]));
    box.emplace_back(start, length);
  }
  return box;
}

bool Overlap(const Box& a, const Box& b) {
  for (std::size_t d = 0; d < a.size(); ++d)
    if (a[d].first >= b[d].first + b[d].second || b[d].first >= a[d].first + a[d].second) return false;
  return true;
}

/// Copies `part` into `whole` at the box; rows of the last dim at a time.
void Place(Literal& whole, const Literal& part, const Box& box) {
  const std::size_t width = static_cast<std::size_t>(dtype_bits(whole.dtype())) / 8;
  const std::vector<std::int64_t>& dims = whole.dims();
  const std::size_t rank = dims.size();
  const std::int64_t row = rank == 0 ? 1 : box[rank - 1].second;
  if (part.size() == 0) return;
  std::byte* out = whole.mutable_raw().data();
  const std::byte* in = part.raw().data();
  std::vector<std::int64_t> at(rank, 0);  // the last dim's stays 0
  for (std::int64_t done = 0; done < part.size(); done += row) {
    std::int64_t flat = 0;
    for (std::size_t d = 0; d < rank; ++d) flat = flat * dims[d] + box[d].first + at[d];
    std::memcpy(out + static_cast<std::size_t>(flat) * width, in + static_cast<std::size_t>(done) * width,
                static_cast<std::size_t>(row) * width);
    for (std::size_t d = rank < 2 ? 0 : rank - 1; d-- > 0;) {
      if (++at[d] < box[d].second) break;
      at[d] = 0;
    }
  }
}

}  // namespace

std::string SliceKey(std::string_view name, const Slice& slice) {
  std::string key;
  PutOrderedUnsigned(key, 0);
  PutOrderedString(key, name);
  PutOrderedUnsigned(key, slice.size());
  for (const auto& [start, length] : slice) {
    PutOrderedSigned(key, start);
    PutOrderedSigned(key, length);
  }
  return key;
}

Result<Literal> BundleReader::ReadSlices(const std::string& name, const BundleTensor& tensor) const {
  const std::optional<DType> dtype = DTypeOfTf(tensor.dtype);
  const std::string what = prefix_ + ": " + name;
  if (!dtype || dtype_bits(*dtype) < 8)
    return Status(Code::kUnimplemented, fmt::format("{}: cannot join slices of {}", what, TfTypeName(tensor.dtype)));
  TENON_ASSIGN_OR_RETURN(const std::int64_t total, checked_size(tensor.dims));
  std::vector<Box> boxes;
  std::vector<Literal> parts;
  std::int64_t covered = 0;
  for (const Slice& slice : tensor.slices) {
    TENON_ASSIGN_OR_RETURN(Box box, Resolve(what, tensor.dims, slice));
    std::vector<std::int64_t> dims;
    for (const auto& [start, length] : box) dims.push_back(length);
    const auto stored = stored_.find(SliceKey(name, slice));
    if (stored == stored_.end()) return Status(Code::kDataLoss, what + ": the data of a slice is missing");
    if (stored->second.dtype != tensor.dtype || stored->second.dims != dims)
      return Status(Code::kDataLoss, what + ": a slice differs from the tensor in type or shape");
    TENON_ASSIGN_OR_RETURN(Literal part, ReadStored(what, stored->second));
    if (part.size() == 0) continue;
    for (const Box& other : boxes)
      if (Overlap(box, other)) return Status(Code::kDataLoss, what + ": its slices overlap");
    covered += part.size();
    boxes.push_back(std::move(box));
    parts.push_back(std::move(part));
  }
  if (covered != total) return Status(Code::kDataLoss, what + ": its slices do not cover the tensor");
  Literal whole(*dtype, tensor.dims);
  for (std::size_t i = 0; i < parts.size(); ++i) Place(whole, parts[i], boxes[i]);
  return whole;
}

}  // namespace tenon::savedmodel
