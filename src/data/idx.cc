// An idx file, all big endian:
//   bytes 0, 1  zero
//   byte 2      the type: 8 u8, 9 i8, 11 i16, 12 i32, 13 f32, 14 f64
//   byte 3      the rank
//   then        each dim in 4 bytes
//   then        the elements in row-major order
#include "data/idx.h"

#include <algorithm>

#include "base/file.h"
#include "base/gzip.h"
#include "base/status_macros.h"

namespace tenon::data {
namespace {

struct Kind {
  int code;
  DType dtype;
};
constexpr Kind kKinds[] = {{8, DType::kU8},   {9, DType::kI8},   {11, DType::kI16},
                           {12, DType::kI32}, {13, DType::kF32}, {14, DType::kF64}};

void CopyReversed(std::span<const std::byte> in, std::span<std::byte> out, std::size_t width) {
  std::copy(in.begin(), in.end(), out.begin());
  if (width > 1)
    for (std::size_t i = 0; i + width <= out.size(); i += width) std::reverse(out.data() + i, out.data() + i + width);
}

}  // namespace

Result<Literal> ParseIdx(std::span<const std::byte> bytes, std::string_view where) {
  const std::string file(where);
  const auto byte = [&](std::size_t i) { return std::to_integer<std::int64_t>(bytes[i]); };
  if (bytes.size() < 4)
    return Status(Code::kDataLoss,
                  file + ": got " + std::to_string(bytes.size()) + " bytes, an idx file has 4 or more");
  const Kind* kind =
      std::find_if(std::begin(kKinds), std::end(kKinds), [&](const Kind& k) { return k.code == byte(2); });
  if (byte(0) != 0 || byte(1) != 0 || kind == std::end(kKinds))
    return Status(Code::kInvalidArgument,
                  file + ": is no idx file: it does not start with 0, 0 and a type from 8 to 14");
  const auto rank = static_cast<std::size_t>(byte(3));
  const std::size_t start = 4 + 4 * rank;
  if (bytes.size() < start) return Status(Code::kDataLoss, file + ": truncated in its dims");
  std::vector<std::int64_t> dims(rank);
  for (std::size_t i = 0; i < rank; ++i)
    for (std::size_t k = 0; k < 4; ++k) dims[i] = (dims[i] << 8) | byte(4 + 4 * i + k);
  const Result<std::size_t> wanted = checked_bytes(kind->dtype, dims);
  if (!wanted.ok()) return wanted.status().with_context(where);
  if (bytes.size() - start != *wanted)
    return Status(bytes.size() - start < *wanted ? Code::kDataLoss : Code::kInvalidArgument,
                  file + ": got " + std::to_string(bytes.size() - start) + " bytes of elements for shape " +
                      Shape(dims).to_string() + ", expected " + std::to_string(*wanted));
  Literal out = Literal::uninitialized(kind->dtype, std::move(dims));
  CopyReversed(bytes.subspan(start), out.mutable_raw(), static_cast<std::size_t>(dtype_bits(kind->dtype)) / 8);
  return out;
}

Result<Literal> ReadIdx(const std::string& path) {
  TENON_ASSIGN_OR_RETURN(const std::shared_ptr<const base::MappedFile> file, base::MappedFile::Open(path));
  if (!base::IsGzip(file->bytes())) return ParseIdx(file->bytes(), path);
  TENON_ASSIGN_OR_RETURN(const std::string content, base::Gunzip(file->bytes(), path));
  return ParseIdx(std::as_bytes(std::span(content)), path);
}

Result<std::string> WriteIdx(const Literal& literal) {
  const Kind* kind =
      std::find_if(std::begin(kKinds), std::end(kKinds), [&](const Kind& k) { return k.dtype == literal.dtype(); });
  if (kind == std::end(kKinds))
    return Status(Code::kInvalidArgument,
                  "idx: got " + std::string(dtype_name(literal.dtype())) + ", expected u8, i8, i16, i32, f32 or f64");
  if (literal.rank() > 255)
    return Status(Code::kInvalidArgument, "idx: got rank " + std::to_string(literal.rank()) + ", expected at most 255");
  std::string out = {0, 0, static_cast<char>(kind->code), static_cast<char>(literal.rank())};
  for (const std::int64_t dim : literal.dims()) {
    if (dim > 0xffffffffLL)
      return Status(Code::kInvalidArgument, "idx: got dim " + std::to_string(dim) + ", expected at most 2^32 - 1");
    for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>((dim >> shift) & 0xff);
  }
  const std::size_t start = out.size();
  out.resize(start + literal.nbytes());
  CopyReversed(literal.raw(), std::as_writable_bytes(std::span(out)).subspan(start),
               static_cast<std::size_t>(dtype_bits(literal.dtype())) / 8);
  return out;
}

}  // namespace tenon::data
