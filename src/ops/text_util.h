// What the ops on texts share.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::ir::ops {

/// White space of ASCII.
inline bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
/// Whether a byte continues a code point of UTF-8.
inline bool Continues(char c) { return (static_cast<unsigned char>(c) & 0xc0U) == 0x80U; }

/// Code points changed one by one, by Unicode's simple mappings (`ascii`: letters A to Z alone); bytes that are no
/// UTF-8 stay.
std::string ChangeCase(const std::string& text, bool upper, bool ascii = false);

/// All of a text in another case, by Unicode's full mappings of no language: one letter may become several (ß: SS), a
/// sigma at the end of a word is ς. Bytes that are no UTF-8 become U+FFFD.
std::string FullCase(const std::string& text, bool upper);

/// The pieces between delimiters; an empty delimiter cuts at runs of white space and gives no empty pieces. At most
/// `limit` cuts (-1: no limit); the last piece holds the rest. What an empty delimiter makes of the rest: without
/// `keep_rest` it has no white space around it and is left out when it is empty; with it the rest keeps the white space
/// at its end and stands there whenever all cuts are made, and of no cuts at all it is the text as it is (TensorFlow).
std::vector<std::string> SplitText(const std::string& text, const std::string& delimiter, std::int64_t limit,
                                   bool keep_rest = false);

/// A code point of UTF-8, or -1, and how many bytes it takes: of malformed bytes those that could have begun a code
/// point (Unicode's "maximal subpart"), at least one. `at` < text.size().
struct Point {
  std::int32_t value = -1;
  std::size_t length = 1;
};
Point PointAt(std::string_view text, std::size_t at);
/// Appends a code point that Unicode has.
void AppendPoint(std::string& out, std::uint32_t point);
/// Whether Unicode has it: up to 10FFFF, no surrogate.
inline bool IsPoint(std::int64_t p) { return p >= 0 && p <= 0x10ffff && (p < 0xd800 || p > 0xdfff); }

}  // namespace tenon::ir::ops
