// CRC-32C (Castagnoli), as in TFRecord, TensorBundle and the native container.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tenon::base {

/// The checksum of `bytes` appended to data whose checksum is `crc` (0 for none).
std::uint32_t Crc32c(std::string_view bytes, std::uint32_t crc = 0);

/// The form stored in files: rotated and offset, so that a checksum of data that holds checksums stays useful.
inline std::uint32_t MaskCrc(std::uint32_t crc) { return ((crc >> 15) | (crc << 17)) + 0xa282ead8U; }
inline std::uint32_t UnmaskCrc(std::uint32_t masked) {
  const std::uint32_t rotated = masked - 0xa282ead8U;
  return (rotated >> 17) | (rotated << 15);
}

}  // namespace tenon::base
