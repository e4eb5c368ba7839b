#include "serve/rest/json_string.h"

#include <cstdint>

namespace tenon::serve {
namespace {

bool Hex4(const char*& p, const char* end, unsigned& out) {
  out = 0;
  for (int i = 0; i < 4; ++i, ++p) {
    const char c = p == end ? '\0' : *p;
    unsigned digit = 0;
    if (c >= '0' && c <= '9')
      digit = static_cast<unsigned>(c - '0');
    else if (c >= 'a' && c <= 'f')
      digit = static_cast<unsigned>(c - 'a') + 10;
    else if (c >= 'A' && c <= 'F')
      digit = static_cast<unsigned>(c - 'A') + 10;
    else
      return false;
    out = out << 4 | digit;
  }
  return true;
}

void AppendUtf8(std::string& out, unsigned c) {
  const auto put = [&](unsigned byte) { out.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xc0 | c >> 6);
    put(0x80 | (c & 63));
  } else if (c < 0x10000) {
    put(0xe0 | c >> 12);
    put(0x80 | (c >> 6 & 63));
    put(0x80 | (c & 63));
  } else {
    put(0xf0 | c >> 18);
    put(0x80 | (c >> 12 & 63));
    put(0x80 | (c >> 6 & 63));
    put(0x80 | (c & 63));
  }
}

char Unescaped(char c) {
  switch (c) {
    case '"':
    case '\\':
    case '/':
      return c;
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return '\0';
  }
}

/// `p` stands behind "\u"; `at` is set to the backslash on failure.
StringError Unicode(const char*& p, const char* end, std::string& out) {
  unsigned c = 0, low = 0;
  if (!Hex4(p, end, c)) return StringError::kBadHex;
  if (c >= 0xd800 && c <= 0xdbff) {
    if (end - p < 2 || p[0] != '\\' || p[1] != 'u') return StringError::kBadSurrogate;
    p += 2;
    if (!Hex4(p, end, low)) return StringError::kBadHex;
    if (low < 0xdc00 || low > 0xdfff) return StringError::kBadSurrogate;
    c = ((c - 0xd800) << 10 | (low - 0xdc00)) + 0x10000;
  }
  AppendUtf8(out, c);
  return StringError::kNone;
}

bool IsPlain(char c) { return c != '"' && c != '\\' && static_cast<unsigned char>(c) >= 0x20; }

}  // namespace

StringError ScanString(const char* p, const char* end, std::string_view& text, std::string& decoded, const char*& at) {
  ++p;
  const char* start = p;
  bool escaped = false;
  for (;;) {
    while (p != end && IsPlain(*p)) ++p;
    if (p == end || *p == '\0') {
      at = p;
      return StringError::kMissingQuote;
    }
    if (*p == '"') break;
    if (*p != '\\') {  // a control character
      at = p;
      return StringError::kBadEscape;
    }
    escaped = true;
    decoded.append(start, p);
    at = p++;
    const char c = p == end ? '\0' : *p;
    if (const char plain = Unescaped(c); plain != '\0') {
      decoded.push_back(plain);
      ++p;
    } else if (c == 'u') {
      ++p;
      if (const StringError error = Unicode(p, end, decoded); error != StringError::kNone) return error;
    } else {
      return StringError::kBadEscape;
    }
    start = p;
  }
  if (escaped) {
    decoded.append(start, p);
    text = {};
  } else {
    text = std::string_view(start, static_cast<std::size_t>(p - start));
  }
  at = p + 1;
  return StringError::kNone;
}

void AppendQuoted(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  out.push_back('"');
  std::size_t start = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (IsPlain(c)) continue;
    out.append(text, start, i - start);
    start = i + 1;
    out.push_back('\\');
    switch (c) {
      case '"':
      case '\\':
        out.push_back(c);
        break;
      case '\b':
        out.push_back('b');
        break;
      case '\t':
        out.push_back('t');
        break;
      case '\n':
        out.push_back('n');
        break;
      case '\f':
        out.push_back('f');
        break;
      case '\r':
        out.push_back('r');
        break;
      default:
        out += "u00";
        out.push_back(kHex[static_cast<unsigned char>(c) >> 4]);
        out.push_back(kHex[static_cast<unsigned char>(c) & 15]);
    }
  }
  out.append(text, start);
  out.push_back('"');
}

}  // namespace tenon::serve
