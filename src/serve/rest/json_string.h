// Strings of JSON text: reading and writing.
#pragma once
#include <string>
#include <string_view>

namespace tenon::serve {

enum class StringError { kNone, kMissingQuote, kBadEscape, kBadHex, kBadSurrogate };

/// Reads the string whose opening quote stands at `p`. Without escapes `text` is a view of the source; with escapes it
/// is a null view and `decoded` holds the bytes. `at` is the byte after the closing quote, or the place of the error.
/// Bytes above 0x7f pass unchecked; a lone low surrogate is encoded as it stands.
StringError ScanString(const char* p, const char* end, std::string_view& text, std::string& decoded, const char*& at);

/// Appends the string in quotes: ", \ and the bytes below 0x20 are escaped (\b \t \n \f \r, else \u00XX), others go out
/// as they are, valid UTF-8 or not.
void AppendQuoted(std::string& out, std::string_view text);

}  // namespace tenon::serve
