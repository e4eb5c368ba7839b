#include "tensor/npy.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/file.h"
#include "base/status_macros.h"
#include "tensor/utf8.h"

namespace tenon::npy {
namespace {

static_assert(std::endian::native == std::endian::little, "Literals are read and written as little endian");

// Calls visit(place in the file, place in row-major order) for every element of a Fortran-ordered array.
template <class Visit>
void EachFortran(const std::vector<std::int64_t>& dims, std::int64_t size, Visit&& visit) {
  const std::size_t rank = dims.size();
  std::array<std::int64_t, kMaxNpyRank> index{}, stride{1};
  for (std::size_t i = 1; i < rank; ++i) stride[i] = stride[i - 1] * dims[i - 1];
  std::int64_t from = 0;
  for (std::int64_t to = 0; to < size; ++to) {
    visit(static_cast<std::size_t>(from), static_cast<std::size_t>(to));
    for (std::size_t axis = rank; axis-- > 0;) {
      from += stride[axis];
      if (++index[axis] < dims[axis]) break;
      from -= stride[axis] * dims[axis];
      index[axis] = 0;
    }
  }
}

template <std::size_t Width>
void Transpose(const NpyHeader& header, std::int64_t size, const std::byte* in, std::byte* out) {
  EachFortran(header.dims, size,
              [&](std::size_t from, std::size_t to) { std::memcpy(out + to * Width, in + from * Width, Width); });
}

template <class Word>
void SwapBytes(std::span<std::byte> bytes) {
  for (std::size_t i = 0; i + sizeof(Word) <= bytes.size(); i += sizeof(Word))
    std::reverse(bytes.data() + i, bytes.data() + i + sizeof(Word));
}

void SwapBytes(std::span<std::byte> bytes, std::size_t word) {
  switch (word) {
    case 2:
      return SwapBytes<std::uint16_t>(bytes);
    case 4:
      return SwapBytes<std::uint32_t>(bytes);
    default:
      return SwapBytes<std::uint64_t>(bytes);
  }
}

Result<Literal> DecodeStrings(const NpyHeader& header, std::span<const std::byte> elements, std::string_view where) {
  Literal out(DType::kString, header.dims);
  std::vector<std::string>& strings = out.mutable_strings();
  std::string bad;
  const auto decode = [&](std::size_t from, std::size_t to) {
    const std::span<const std::byte> item = elements.subspan(from * header.width, header.width);
    std::string& text = strings[to];
    if (header.kind == 'S') {
      text.assign(reinterpret_cast<const char*>(item.data()), item.size());
      text.erase(text.find_last_not_of('\0') + 1);
      return;
    }
    std::size_t characters = header.width / 4;
    const auto character = [&](std::size_t i) {
      std::uint32_t c = 0;
      std::memcpy(&c, item.data() + 4 * i, 4);
      return header.swap ? __builtin_bswap32(c) : c;
    };
    while (characters > 0 && character(characters - 1) == 0) --characters;
    for (std::size_t i = 0; i < characters; ++i)
      if (!AppendUtf8(text, character(i)) && bad.empty())
        bad = "element " + std::to_string(to) + " holds " + std::to_string(character(i)) + ", which is no character";
  };
  if (header.fortran) {
    EachFortran(header.dims, out.size(), decode);
  } else {
    for (std::size_t i = 0; i < strings.size(); ++i) decode(i, i);
  }
  if (!bad.empty()) return Status(Code::kInvalidArgument, std::string(where) + ": " + bad);
  return out;
}

}  // namespace

Result<Literal> DecodeNpy(const NpyHeader& header, std::span<const std::byte> elements, std::string_view where) {
  if (header.dtype == DType::kString) return DecodeStrings(header, elements, where);
  Literal out = Literal::uninitialized(header.dtype, header.dims);
  const std::span<std::byte> raw = out.mutable_raw();
  if (raw.empty()) return out;
  if (header.fortran && out.rank() > 1) {
    switch (header.width) {
      case 1:
        Transpose<1>(header, out.size(), elements.data(), raw.data());
        break;
      case 2:
        Transpose<2>(header, out.size(), elements.data(), raw.data());
        break;
      case 4:
        Transpose<4>(header, out.size(), elements.data(), raw.data());
        break;
      case 8:
        Transpose<8>(header, out.size(), elements.data(), raw.data());
        break;
      default:
        Transpose<16>(header, out.size(), elements.data(), raw.data());
        break;
    }
  } else {
    std::memcpy(raw.data(), elements.data(), raw.size());
  }
  if (header.swap) SwapBytes(raw, header.kind == 'c' ? header.width / 2 : header.width);
  if (header.kind == 'b')
    for (std::byte& b : raw) b = b == std::byte{0} ? std::byte{0} : std::byte{1};
  return out;
}

Result<Literal> ParseNpy(std::span<const std::byte> bytes, std::string_view where) {
  try {
    TENON_ASSIGN_OR_RETURN(const NpyHeader header, ParseNpyHeader(bytes, where));
    const std::size_t left = bytes.size() - header.offset;
    const std::string got = std::string(where) + ": got " + std::to_string(left) + " bytes of elements for shape " +
                            Shape(header.dims).to_string() + ", expected " + std::to_string(header.nbytes);
    if (left < header.nbytes) return Status(Code::kDataLoss, got + ": truncated");
    if (left > header.nbytes) return Status(Code::kInvalidArgument, got + ": save several arrays as .npz");
    return DecodeNpy(header, bytes.subspan(header.offset), where);
  } catch (const Error& e) {  // no memory
    return e.status().with_context(where);
  }
}

Result<Literal> ReadNpy(const std::string& path) {
  TENON_ASSIGN_OR_RETURN(const std::shared_ptr<const base::MappedFile> file, base::MappedFile::Open(path));
  return ParseNpy(file->bytes(), path);
}

Status WriteNpyFile(const std::string& path, const Literal& literal) {
  const NpyParts parts = EncodeNpy(literal);
  TENON_ASSIGN_OR_RETURN(const std::unique_ptr<base::AtomicFile> file, base::AtomicFile::Create(path));
  TENON_RETURN_IF_ERROR(file->Append(parts.header));
  TENON_RETURN_IF_ERROR(file->Append(parts.elements(literal)));
  return file->Commit();
}

}  // namespace tenon::npy
