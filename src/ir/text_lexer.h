// Tokens of the text form, shared by the parser's parts.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "tenon/status.h"

namespace tenon::ir {

/// A cursor over the text. Errors carry line and column. Blanks and newlines separate tokens and mean nothing else.
class TextLexer {
 public:
  explicit TextLexer(std::string_view text) : text_(text) {}
  bool AtEnd();
  /// The next character without taking it; 0 at the end.
  char Peek();
  /// Takes `token` when it comes next (a word only as a whole word).
  bool Take(std::string_view token);
  Status Expect(std::string_view token);
  Result<std::string> Word();  // letters, digits, _ and .
  Result<std::string> QuotedString();
  Result<std::int64_t> Integer();  // optional sign
  Result<std::uint64_t> Unsigned();
  Result<double> Float();  // also inf, -inf, nan
  /// Up to the matching closing bracket of the one that comes next ([…] or <…>), both included.
  Result<std::string_view> Bracketed(char open, char close);
  std::size_t position() const { return at_; }
  std::string_view Since(std::size_t start) const { return text_.substr(start, at_ - start); }
  Status Error(std::string_view expected);

 private:
  void SkipBlanks();
  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace tenon::ir
