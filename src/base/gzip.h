// Gzip files and zlib streams, read into memory.
#pragma once
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "tenon/status.h"

namespace tenon::base {

/// `bytes` starts as a gzip file does.
bool IsGzip(std::span<const std::byte> bytes);

/// The content of a gzip file (all its members) or zlib stream. kDataLoss when it is truncated or damaged,
/// kResourceExhausted when it would grow beyond `limit` bytes. Memory grows with what is really there. `grow`, if
/// given, is asked before memory for the result is taken, with all the bytes that it will then hold (the old ones too,
/// which are copied); its error ends the work and is returned.
Result<std::string> Gunzip(std::span<const std::byte> bytes, std::string_view where,
                           std::size_t limit = std::size_t{1} << 34,
                           const std::function<Status(std::size_t)>& grow = nullptr);

/// The bytes as a gzip file, at the fastest level.
std::string Gzip(std::string_view bytes);

/// A whole file, inflated when it is a gzip file.
Result<std::string> ReadFileOrGzip(const std::string& path);

}  // namespace tenon::base
