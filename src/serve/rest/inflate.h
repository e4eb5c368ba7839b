// gzip and zlib streams.
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace tenon::serve {

/// The bytes of a whole gzip (or zlib) stream; nullopt when it is damaged, cut off, or longer than `limit` inflated.
std::optional<std::string> Inflate(std::string_view stream, std::size_t limit);

}  // namespace tenon::serve
