// UTF-8 and code points.
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace tenon::npy {

/// Appends a code point; false (and nothing appended) for a surrogate or one above 0x10ffff.
bool AppendUtf8(std::string& out, std::uint32_t code_point);
/// The code points of valid UTF-8 (no overlong form, no surrogate); nothing when it is not valid.
std::optional<std::u32string> DecodeUtf8(std::string_view text);

}  // namespace tenon::npy
