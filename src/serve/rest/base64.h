// Base64 (RFC 4648, the standard alphabet).
#pragma once
#include <string>
#include <string_view>

namespace tenon::serve {

/// Appends the decoded bytes. White space is skipped, padding may be missing but not be wrong; false on anything else
/// (`out` is then unspecified).
bool Base64Decode(std::string_view text, std::string& out);
/// Appends the text, padded.
void Base64Encode(std::string_view bytes, std::string& out);

}  // namespace tenon::serve
