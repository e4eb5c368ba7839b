#include "ir/text_lexer.h"

#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>

namespace tenon::ir {
namespace {
bool IsWord(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.'; }
int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}
}  // namespace

void TextLexer::SkipBlanks() {
  while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
}

bool TextLexer::AtEnd() {
  SkipBlanks();
  return at_ == text_.size();
}

char TextLexer::Peek() {
  SkipBlanks();
  return at_ < text_.size() ? text_[at_] : '\0';
}

bool TextLexer::Take(std::string_view token) {
  SkipBlanks();
  if (text_.substr(at_, token.size()) != token) return false;
  const std::size_t end = at_ + token.size();
  if (IsWord(token.back()) && end < text_.size() && IsWord(text_[end])) return false;
  at_ = end;
  return true;
}

Status TextLexer::Error(std::string_view expected) {
  SkipBlanks();
  std::size_t line = 1, column = 1;
  for (std::size_t i = 0; i < at_ && i < text_.size(); ++i) {
    ++column;
    if (text_[i] == '\n') {
      ++line;
      column = 1;
    }
  }
  const std::string got = at_ == text_.size() ? "the end" : "\"" + std::string(text_.substr(at_, 24)) + "\"";
  return Status(Code::kInvalidArgument, "text " + std::to_string(line) + ":" + std::to_string(column) + ": got " + got +
                                            ", expected " + std::string(expected));
}

Status TextLexer::Expect(std::string_view token) {
  return Take(token) ? Status() : Error("\"" + std::string(token) + "\"");
}

Result<std::string> TextLexer::Word() {
  SkipBlanks();
  std::size_t end = at_;
  while (end < text_.size() && IsWord(text_[end])) ++end;
  if (end == at_) return Error("a word");
  std::string out(text_.substr(at_, end - at_));
  at_ = end;
  return out;
}

Result<std::string> TextLexer::QuotedString() {
  if (Peek() != '"') return Error("a string in quotes");
  std::string out;
  for (std::size_t i = at_ + 1; i < text_.size(); ++i) {
    const char c = text_[i];
    if (c == '"') {
      at_ = i + 1;
      return out;
    }
    if (c != '\\') {
      out += c;
      continue;
    }
    if (++i >= text_.size()) break;
    if (text_[i] == 'n') {
      out += '\n';
    } else if (text_[i] == 'x') {
      if (i + 2 >= text_.size() || HexDigit(text_[i + 1]) < 0 || HexDigit(text_[i + 2]) < 0) break;
      out += static_cast<char>(HexDigit(text_[i + 1]) * 16 + HexDigit(text_[i + 2]));
      i += 2;
    } else if (text_[i] == '"' || text_[i] == '\\') {
      out += text_[i];
    } else {
      break;
    }
  }
  return Error("a string that ends, with the escapes \\\" \\\\ \\n \\xHH");
}

Result<std::int64_t> TextLexer::Integer() {
  SkipBlanks();
  std::int64_t v = 0;
  const auto [end, ec] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), v);
  if (ec != std::errc()) return Error("a whole number");
  at_ = static_cast<std::size_t>(end - text_.data());
  return v;
}

Result<std::uint64_t> TextLexer::Unsigned() {
  SkipBlanks();
  std::uint64_t v = 0;
  const auto [end, ec] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), v);
  if (ec != std::errc()) return Error("a whole number of 0 or more");
  at_ = static_cast<std::size_t>(end - text_.data());
  return v;
}

Result<double> TextLexer::Float() {
  if (Take("nan")) return std::numeric_limits<double>::quiet_NaN();
  if (Take("inf")) return std::numeric_limits<double>::infinity();
  if (Take("-inf")) return -std::numeric_limits<double>::infinity();
  SkipBlanks();
  double v = 0;
  const auto [end, ec] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), v);
  if (ec != std::errc()) return Error("a number");
  at_ = static_cast<std::size_t>(end - text_.data());
  return v;
}

Result<std::string_view> TextLexer::Bracketed(char open, char close) {
  if (Peek() != open) return Error(std::string(1, open));
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = at_; i < text_.size(); ++i) {
    const char c = text_[i];
    if (c == '\'') quoted = !quoted;
    if (quoted) continue;
    if (c == open) ++depth;
    if (c == close && --depth == 0) {
      const std::string_view out = text_.substr(at_, i + 1 - at_);
      at_ = i + 1;
      return out;
    }
  }
  return Error(std::string("a closing ") + close);
}

}  // namespace tenon::ir
