// The text form of a Dim:
//   sum := product (('+' product) | ('-' product))*, product := factor ('*' factor)*,
//   factor := '-' factor | number | name | 'quoted name' | function(sum, sum) | (sum)
// A name is a letter or _ and then letters, digits, _ and dots; in a quoted one \ stands before ' and \.
#include <cctype>
#include <charconv>

#include "tenon/types.h"

namespace tenon {
namespace {

constexpr int kMaxDepth = 100;
constexpr std::size_t kMaxText = 65536;

bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }
bool is_name_char(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.'; }

class DimParser {
 public:
  explicit DimParser(std::string_view text) : text_(text) {}
  Dim parse() {
    if (text_.size() > kMaxText) error("at most " + std::to_string(kMaxText) + " characters");
    Dim d = sum(0);
    if (peek() != '\0' || at_ != text_.size()) error("the end");
    return d;
  }

 private:
  [[noreturn]] void error(std::string_view expected) const {
    fail(Code::kInvalidArgument, "Dim \"" + std::string(text_.substr(0, 200)) + "\": expected " +
                                     std::string(expected) + " at offset " + std::to_string(at_));
  }
  // The next character that is no space, 0 at the end.
  char peek() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  Dim sum(int depth) {
    Dim d = product(depth);
    for (;;) {
      if (take('+') || peek() == '-')
        d = d + product(depth);  // the '-' belongs to the first factor
      else
        return d;
    }
  }
  Dim product(int depth) {
    Dim d = factor(depth);
    while (take('*')) d = d * factor(depth);
    return d;
  }
  Dim factor(int depth) {
    if (depth > kMaxDepth) error("at most " + std::to_string(kMaxDepth) + " levels");
    const bool negative = take('-');
    const char next = peek();
    if (is_digit(next)) return number(negative);
    if (negative) return Dim(-1) * factor(depth + 1);
    if (take('(')) {
      Dim d = sum(depth + 1);
      if (!take(')')) error(")");
      return d;
    }
    if (next == '\'') return Dim::symbol(quoted());
    const std::size_t start = at_;
    while (at_ < text_.size() && is_name_char(text_[at_])) ++at_;
    if (at_ == start || next == '.') error("a number, a name or (");
    std::string name(text_.substr(start, at_ - start));
    if (!take('(')) return Dim::symbol(std::move(name));
    const Dim a = sum(depth + 1);
    if (!take(',')) error(",");
    const Dim b = sum(depth + 1);
    if (!take(')')) error(")");
    if (name == "floor_div") return Dim::floor_div(a, b);
    if (name == "ceil_div") return Dim::ceil_div(a, b);
    if (name == "mod") return Dim::mod(a, b);
    if (name == "min") return Dim::min(a, b);
    if (name == "max") return Dim::max(a, b);
    if (name == "broadcast") return Dim::broadcast(a, b);
    error("floor_div, ceil_div, mod, min, max or broadcast before (");
  }
  Dim number(bool negative) {
    std::uint64_t n = 0;
    const auto [end, failed] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), n);
    if (failed != std::errc() || n > (std::uint64_t{1} << 63) - (negative ? 0U : 1U)) error("a 64-bit number");
    at_ = static_cast<std::size_t>(end - text_.data());
    return static_cast<std::int64_t>(negative ? ~n + 1 : n);
  }
  std::string quoted() {
    std::string name;
    for (++at_; at_ < text_.size() && text_[at_] != '\''; ++at_) {
      if (text_[at_] == '\\' && ++at_ == text_.size()) break;
      name += text_[at_];
    }
    if (!take('\'')) error("'");
    if (name.empty()) error("a name between the quotes");
    return name;
  }
  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

Result<Dim> Dim::parse(std::string_view text) {
  try {
    return DimParser(text).parse();
  } catch (const Error& e) {
    return e.status();
  }
}

}  // namespace tenon
