#include "base/json_writer.h"

#include <cassert>
#include <charconv>
#include <cmath>

namespace tenon::base {
namespace {

// The length of the valid UTF-8 character at the start of s, 0 when there is none.
std::size_t Utf8Length(std::string_view s) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t n = first >= 0xc2 && first < 0xe0   ? 2
                        : (first & 0xf0) == 0xe0        ? 3
                        : first >= 0xf0 && first < 0xf5 ? 4
                                                        : 0;
  if (n == 0 || s.size() < n) return 0;
  for (std::size_t i = 1; i < n; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  if ((first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) >= 0xa0) || (first == 0xf0 && byte(1) < 0x90) ||
      (first == 0xf4 && byte(1) >= 0x90))
    return 0;
  return n;
}

template <class T>
void AppendNumber(std::string& out, T value, bool nan_tokens) {
  if (!std::isfinite(value)) {
    out += !nan_tokens ? "null" : std::isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
    return;
  }
  char text[40];
  const auto result = std::to_chars(text, text + sizeof text, value);
  out.append(text, result.ptr);
}

}  // namespace

void AppendJsonString(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  while (!text.empty()) {
    const char c = text[0];
    if (static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\') {
      switch (c) {
        case '"':
          out += "\\\"";
          break;
        case '\\':
          out += "\\\\";
          break;
        case '\n':
          out += "\\n";
          break;
        case '\r':
          out += "\\r";
          break;
        case '\t':
          out += "\\t";
          break;
        case '\b':
          out += "\\b";
          break;
        case '\f':
          out += "\\f";
          break;
        default:
          out += "\\u00";
          out += kHex[c >> 4];
          out += kHex[c & 15];
      }
      text.remove_prefix(1);
      continue;
    }
    const std::size_t n = Utf8Length(text);
    if (n == 0)
      out += "\xef\xbf\xbd";
    else
      out += text.substr(0, n);
    text.remove_prefix(n == 0 ? 1 : n);
  }
  out += '"';
}

void AppendJsonNumber(std::string& out, double value, bool nan_tokens) { AppendNumber(out, value, nan_tokens); }
void AppendJsonNumber(std::string& out, float value, bool nan_tokens) { AppendNumber(out, value, nan_tokens); }

void JsonWriter::NewLine() {
  if (options_.indent == 0) return;
  out_ += '\n';
  out_.append(open_.size() * static_cast<std::size_t>(options_.indent), ' ');
}

void JsonWriter::BeforeValue() {
  assert(!open_.empty() || !started_);  // one value at the top
  started_ = true;
  if (open_.empty()) return;
  if (open_.back() == '{') {
    assert(has_key_);
    has_key_ = false;
    return;
  }
  if (!first_) out_ += ',';
  first_ = false;
  NewLine();
}

JsonWriter& JsonWriter::Open(char bracket) {
  BeforeValue();
  out_ += bracket;
  open_ += bracket;
  first_ = true;
  return *this;
}

JsonWriter& JsonWriter::End() {
  assert(!open_.empty() && !has_key_);
  const char bracket = open_.back();
  open_.pop_back();
  if (!first_) NewLine();
  out_ += bracket == '{' ? '}' : ']';
  first_ = false;
  return *this;
}

JsonWriter& JsonWriter::Key(std::string_view name) {
  assert(!open_.empty() && open_.back() == '{' && !has_key_);
  if (!first_) out_ += ',';
  first_ = false;
  has_key_ = true;
  NewLine();
  AppendJsonString(out_, name);
  out_ += options_.indent == 0 ? ":" : ": ";
  return *this;
}

JsonWriter& JsonWriter::String(std::string_view text) {
  BeforeValue();
  AppendJsonString(out_, text);
  return *this;
}
JsonWriter& JsonWriter::Bool(bool value) { return Raw(value ? "true" : "false"); }
JsonWriter& JsonWriter::Null() { return Raw("null"); }
JsonWriter& JsonWriter::Number(double value) {
  BeforeValue();
  AppendJsonNumber(out_, value, options_.nan_tokens);
  return *this;
}
JsonWriter& JsonWriter::Number(float value) {
  BeforeValue();
  AppendJsonNumber(out_, value, options_.nan_tokens);
  return *this;
}
JsonWriter& JsonWriter::Raw(std::string_view json) {
  BeforeValue();
  out_ += json;
  return *this;
}

std::string JsonWriter::Take() && {
  assert(done());
  if (options_.indent != 0) out_ += '\n';
  return std::move(out_);
}

}  // namespace tenon::base
