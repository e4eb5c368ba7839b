#include "ops/text_util.h"

#include <locale.h>
#include <wctype.h>

#include <limits>

namespace tenon::ir::ops {

Point PointAt(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t k) { return static_cast<unsigned char>(text[at + k]); };
  const unsigned first = byte(0);
  if (first < 0x80) return {static_cast<std::int32_t>(first), 1};
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4) return {};
  // The second byte is bounded so that no code point is written longer than it needs, a surrogate or too large.
  const unsigned least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const unsigned most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  unsigned value = first & (0xffU >> (length + 1));
  for (std::size_t k = 1; k < length; ++k) {
    if (at + k >= text.size()) return {-1, k};
    const unsigned next = byte(k);
    if (next < (k == 1 ? least : 0x80U) || next > (k == 1 ? most : 0xbfU)) return {-1, k};
    value = value << 6 | (next & 0x3fU);
  }
  return {static_cast<std::int32_t>(value), length};
}

void AppendPoint(std::string& out, std::uint32_t point) {
  if (point < 0x80) {
    out += static_cast<char>(point);
    return;
  }
  const int extra = point >= 0x10000 ? 3 : point >= 0x800 ? 2 : 1;
  constexpr unsigned kFirst[] = {0, 0xc0, 0xe0, 0xf0};
  out += static_cast<char>(kFirst[extra] | point >> (6 * extra));
  for (int k = extra; k-- > 0;) out += static_cast<char>(0x80U | (point >> (6 * k) & 0x3fU));
}

std::string ChangeCase(const std::string& text, bool upper, bool ascii) {
  static const locale_t kLocale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const char byte = text[at];
    if (static_cast<unsigned char>(byte) < 0x80) {
      const bool letter = upper ? byte >= 'a' && byte <= 'z' : byte >= 'A' && byte <= 'Z';
      out += letter ? static_cast<char>(byte ^ 0x20) : byte;
      ++at;
      continue;
    }
    const Point point = ascii ? Point() : PointAt(text, at);
    if (point.value < 0 || kLocale == nullptr) {
      out += text[at++];
      continue;
    }
    const auto wide = static_cast<wint_t>(point.value);
    AppendPoint(out, static_cast<std::uint32_t>(upper ? towupper_l(wide, kLocale) : towlower_l(wide, kLocale)));
    at += point.length;
  }
  return out;
}

namespace {

// Without a delimiter: the words between runs of white space; the rest keeps its inner white space.
std::vector<std::string> Words(const std::string& text, std::size_t most, bool keep_rest) {
  if (keep_rest && most == 0) return {text};
  std::vector<std::string> out;
  std::size_t at = 0;
  for (;;) {
    while (at < text.size() && IsSpace(text[at])) ++at;
    if (keep_rest && out.size() == most) {
      out.push_back(text.substr(at));
      return out;
    }
    if (at == text.size()) return out;
    std::size_t end = at;
    if (out.size() == most) {
      end = text.size();
      while (IsSpace(text[end - 1])) --end;
      out.push_back(text.substr(at, end - at));
      return out;
    }
    while (end < text.size() && !IsSpace(text[end])) ++end;
    out.push_back(text.substr(at, end - at));
    at = end;
  }
}
std::vector<std::string> Parts(const std::string& text, const std::string& delimiter, std::size_t most) {
  std::vector<std::string> out;
  std::size_t at = 0;
  while (out.size() < most) {
    const std::size_t end = text.find(delimiter, at);
    if (end == std::string::npos) break;
    out.push_back(text.substr(at, end - at));
    at = end + delimiter.size();
  }
  out.push_back(text.substr(at));
  return out;
}

}  // namespace

std::vector<std::string> SplitText(const std::string& text, const std::string& delimiter, std::int64_t limit,
                                   bool keep_rest) {
  const std::size_t most = limit < 0 ? std::numeric_limits<std::size_t>::max() : static_cast<std::size_t>(limit);
  return delimiter.empty() ? Words(text, most, keep_rest) : Parts(text, delimiter, most);
}

}  // namespace tenon::ir::ops
