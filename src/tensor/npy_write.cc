#include <algorithm>
#include <cstring>

#include "tensor/npy.h"
#include "tensor/utf8.h"

namespace tenon::npy {
namespace {

const char* Descr(DType dtype) {
  switch (dtype) {
    case DType::kBool:
      return "|b1";
    case DType::kI4:
    case DType::kI2:
    case DType::kI8:
      return "|i1";
    case DType::kI16:
      return "<i2";
    case DType::kI32:
      return "<i4";
    case DType::kI64:
      return "<i8";
    case DType::kU4:
    case DType::kU2:
    case DType::kF8E8M0:
    case DType::kF4E2M1:
    case DType::kF8E4M3FN:
    case DType::kF8E4M3FNUZ:
    case DType::kF8E5M2:
    case DType::kF8E5M2FNUZ:
    case DType::kU8:
      return "|u1";
    case DType::kBF16:
    case DType::kU16:
      return "<u2";
    case DType::kU32:
      return "<u4";
    case DType::kU64:
      return "<u8";
    case DType::kF16:
      return "<f2";
    case DType::kF32:
      return "<f4";
    case DType::kF64:
      return "<f8";
    case DType::kC64:
      return "<c8";
    case DType::kC128:
      return "<c16";
    case DType::kString:
      break;  // depends on the elements
  }
  return "";
}

// Elements of one width, padded with zeros; gives the descr.
std::string EncodeStrings(const std::vector<std::string>& strings, std::string& out) {
  const bool unicode =
      std::all_of(strings.begin(), strings.end(), [](const std::string& s) { return DecodeUtf8(s).has_value(); });
  std::size_t longest = 1;  // NumPy has no strings of width 0
  if (!unicode) {
    for (const std::string& s : strings) longest = std::max(longest, s.size());
    out.assign(strings.size() * longest, '\0');
    for (std::size_t i = 0; i < strings.size(); ++i) std::copy(strings[i].begin(), strings[i].end(), &out[i * longest]);
    return "|S" + std::to_string(longest);
  }
  for (const std::string& s : strings) longest = std::max(longest, DecodeUtf8(s)->size());
  out.assign(strings.size() * longest * 4, '\0');
  for (std::size_t i = 0; i < strings.size(); ++i) {
    const std::u32string characters = *DecodeUtf8(strings[i]);
    std::memcpy(&out[i * longest * 4], characters.data(), characters.size() * 4);
  }
  return "<U" + std::to_string(longest);
}

}  // namespace

NpyParts EncodeNpy(const Literal& literal) {
  NpyParts parts;
  std::string descr = Descr(literal.dtype());
  if (literal.dtype() == DType::kString) {
    descr = EncodeStrings(literal.strings(), parts.storage);
    parts.converted = true;
  } else if (literal.dtype() == DType::kF4E2M1) {
    for (std::int64_t i = 0; i < literal.size(); ++i)  // the codes
      parts.storage += static_cast<char>(
          (static_cast<unsigned>(literal.raw()[static_cast<std::size_t>(i / 2)]) >> (i % 2 * 4)) & 15U);
    parts.converted = true;
  } else if (is_packed(literal.dtype())) {
    for (std::int64_t i = 0; i < literal.size(); ++i)
      parts.storage += static_cast<char>(static_cast<std::int8_t>(literal.at(i)));
    parts.converted = true;
  }
  std::string text = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': (";
  for (const std::int64_t d : literal.dims()) text += std::to_string(d) + (literal.rank() == 1 ? "," : ", ");
  if (literal.rank() > 1) text.erase(text.size() - 2);
  text += "), }";
  text.append(63 - (10 + text.size()) % 64, ' ');  // the elements start at a multiple of 64
  text += '\n';
  parts.header = "\x93NUMPY";
  parts.header += {1, 0, static_cast<char>(text.size() & 0xff), static_cast<char>(text.size() >> 8)};
  parts.header += text;
  return parts;
}

std::string WriteNpy(const Literal& literal) {
  NpyParts parts = EncodeNpy(literal);
  return std::move(parts.header) + std::string(parts.elements(literal));
}

}  // namespace tenon::npy
