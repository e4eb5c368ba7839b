// Varints, little-endian words and the block reader's cursor: bounds-checked, nothing thrown.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace tenon::savedmodel {

/// Takes a varint of up to 64 bits off the front of `bytes`; false when it is cut off or longer than ten bytes.
inline bool TakeVarint(std::string_view& bytes, std::uint64_t& value) {
  value = 0;
  for (unsigned i = 0; i < 10 && i < bytes.size(); ++i) {
    const auto byte = static_cast<std::uint8_t>(bytes[i]);
    if (i == 9 && byte > 1) return false;
    value |= static_cast<std::uint64_t>(byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      bytes.remove_prefix(i + 1);
      return true;
    }
  }
  return false;
}

inline void PutVarint(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

/// The four bytes at `bytes[0..4)`, little endian; the caller has checked that they are there.
inline std::uint32_t LoadLe32(std::string_view bytes) {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < 4; ++i) value |= static_cast<std::uint32_t>(static_cast<std::uint8_t>(bytes[i])) << (8 * i);
  return value;
}

inline void PutLe32(std::string& out, std::uint32_t value) {
  for (unsigned i = 0; i < 4; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

inline void PutLe64(std::string& out, std::uint64_t value) {
  PutLe32(out, static_cast<std::uint32_t>(value));
  PutLe32(out, static_cast<std::uint32_t>(value >> 32));
}

}  // namespace tenon::savedmodel
