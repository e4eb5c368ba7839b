#include "formats/proto_wire/text_format.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "base/status_macros.h"

namespace tenon::proto_wire {
namespace {

constexpr int kMaxNesting = 100;

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

void AppendUtf8(std::uint32_t c, std::string& out) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 63))};
  } else if (c < 0x10000) {
    out += {static_cast<char>(0xE0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 63)),
            static_cast<char>(0x80 | (c & 63))};
  } else {
    out += {static_cast<char>(0xF0 | c >> 18), static_cast<char>(0x80 | (c >> 12 & 63)),
            static_cast<char>(0x80 | (c >> 6 & 63)), static_cast<char>(0x80 | (c & 63))};
  }
}

std::string_view WithoutByteOrderMark(std::string_view text) {
  constexpr std::string_view kMark = "\xEF\xBB\xBF";
  return text.starts_with(kMark) ? text.substr(kMark.size()) : text;
}

class Parser {
 public:
  Parser(std::string_view text, std::string_view type) : text_(WithoutByteOrderMark(text)), type_(type) {}

  /// Up to `close`, or to the end of the text when `close` is NUL.
  Status Message(char close, int depth, TextMessage& out) {
    if (depth > kMaxNesting) return Error("Message is too deep, the parser exceeded the configured recursion limit.");
    while (true) {
      Skip();
      if (at_ == text_.size()) {
        if (close == '\0') return {};
        return Error(fmt::format("Expected \"{}\", found end of text.", close));
      }
      if (close != '\0' && text_[at_] == close) {
        Step();
        return {};
      }
      TENON_RETURN_IF_ERROR(Field(depth, out));
      Skip();
      if (at_ < text_.size() && (text_[at_] == ',' || text_[at_] == ';')) Step();
    }
  }

 private:
  Status Field(int depth, TextMessage& out) {
    TextField field;
    field.line = line_;
    field.column = column_;
    field.root_type = type_;
    if (text_[at_] == '[') {
      const std::size_t end = text_.find(']', at_);
      if (end == std::string_view::npos) return Error("Expected \"]\", found end of text.");
      field.name = std::string(text_.substr(at_ + 1, end - at_ - 1));
      while (at_ <= end) Step();
    } else if (IsLetter(text_[at_])) {
      field.name = Word();
    } else {
      return Error(fmt::format("Expected identifier, got: {}", Here()));
    }
    Skip();
    const bool colon = At(':');
    if (colon) {
      Step();
      Skip();
    }
    if (At('[')) {
      Step();
      Skip();
      if (At(']')) {
        Step();
        return {};
      }
      while (true) {
        TextField item = field;
        TENON_RETURN_IF_ERROR(Value(depth, colon, item));
        out.fields.push_back(std::move(item));
        Skip();
        if (At(']')) break;
        if (!At(',')) return Error(fmt::format("Expected \"]\", found \"{}\".", Here()));
        Step();
        Skip();
      }
      Step();
      return {};
    }
    TENON_RETURN_IF_ERROR(Value(depth, colon, field));
    out.fields.push_back(std::move(field));
    return {};
  }

  Status Value(int depth, bool colon, TextField& field) {
    if (At('{') || At('<')) {
      const char close = At('{') ? '}' : '>';
      Step();
      field.kind = TextField::Kind::kMessage;
      field.message.resize(1);
      return Message(close, depth + 1, field.message[0]);
    }
    if (!colon) return Error(fmt::format("Expected \":\", found \"{}\".", Here()));
    if (At('"') || At('\'')) {
      field.kind = TextField::Kind::kString;
      while (At('"') || At('\'')) {
        TENON_RETURN_IF_ERROR(String(field.scalar));
        Skip();
      }
      return {};
    }
    if (At('-')) {
      field.scalar = "-";
      Step();
      Skip();
    }
    if (at_ < text_.size() && IsLetter(text_[at_])) {
      field.kind = TextField::Kind::kIdentifier;
      field.scalar += Word();
      return {};
    }
    if (at_ < text_.size() && (IsDigit(text_[at_]) || text_[at_] == '.')) {
      field.kind = TextField::Kind::kNumber;
      char before = '\0';
      while (at_ < text_.size()) {
        const char c = text_[at_];
        const bool sign = (c == '+' || c == '-') && (before == 'e' || before == 'E');
        if (!IsDigit(c) && !IsLetter(c) && c != '.' && !sign) break;
        field.scalar += before = c;
        Step();
      }
      return {};
    }
    return Error(fmt::format("Expected a value, got: {}", Here()));
  }

  Status String(std::string& out) {
    const char quote = text_[at_];
    Step();
    while (true) {
      if (at_ == text_.size() || text_[at_] == '\n') return Error("String literals cannot cross line boundaries.");
      const char c = text_[at_];
      Step();
      if (c == quote) return {};
      if (c != '\\') {
        out += c;
        continue;
      }
      if (at_ == text_.size()) return Error("Expected an escape sequence, found end of text.");
      TENON_RETURN_IF_ERROR(Escape(out));
    }
  }

  Status Escape(std::string& out) {
    const char c = text_[at_];
    Step();
    static constexpr std::string_view kNames = "abfnrtv\\'\"?", kValues = "\a\b\f\n\r\t\v\\'\"?";
    if (const std::size_t i = kNames.find(c); i != std::string_view::npos) {
      out += kValues[i];
      return {};
    }
    if (c >= '0' && c <= '7') {
      std::uint32_t value = static_cast<std::uint32_t>(c - '0');
      for (int i = 0; i < 2 && at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '7'; ++i, Step())
        value = value * 8 + static_cast<std::uint32_t>(text_[at_] - '0');
      out += static_cast<char>(value);
      return {};
    }
    const int digits = c == 'x' || c == 'X' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits == 0) return Error(fmt::format("Invalid escape sequence in string literal: \\{}", c));
    std::uint32_t value = 0;
    int got = 0;
    for (; got < digits && at_ < text_.size(); ++got, Step()) {
      const char d = text_[at_];
      const int nibble = IsDigit(d)             ? d - '0'
                         : d >= 'a' && d <= 'f' ? d - 'a' + 10
                         : d >= 'A' && d <= 'F' ? d - 'A' + 10
                                                : -1;
      if (nibble < 0) break;
      value = value << 4 | static_cast<std::uint32_t>(nibble);
    }
    if (got == 0 || (digits > 2 && got < digits)) return Error("Expected hex digits for escape sequence.");
    if (digits == 2)
      out += static_cast<char>(value);
    else if (value > 0x10FFFF)
      return Error("An escape sequence names no character of Unicode.");
    else
      AppendUtf8(value, out);
    return {};
  }

  std::string Word() {
    std::string out;
    while (at_ < text_.size() && (IsLetter(text_[at_]) || IsDigit(text_[at_]) || text_[at_] == '.')) {
      out += text_[at_];
      Step();
    }
    return out;
  }

  bool At(char c) const { return at_ < text_.size() && text_[at_] == c; }
  std::string Here() const {
    if (at_ == text_.size()) return "end of text";
    const auto byte = static_cast<unsigned char>(text_[at_]);
    return byte < 0x20 || byte > 0x7E ? fmt::format("\\x{:02x}", byte) : std::string(1, text_[at_]);
  }
  void Step() {
    if (text_[at_] == '\n') {
      ++line_;
      column_ = 0;
    }
    ++column_;
    ++at_;
  }
  void Skip() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '#') {
        while (at_ < text_.size() && text_[at_] != '\n') Step();
      } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f') {
        Step();
      } else {
        return;
      }
    }
  }
  Status Error(std::string_view what) const {
    return Status(Code::kInvalidArgument,
                  fmt::format("Error parsing text-format {}: {}:{}: {}", type_, line_, column_, what));
  }

  const std::string_view text_, type_;
  std::size_t at_ = 0;
  int line_ = 1, column_ = 1;
};

/// Sign and magnitude of an integer; nullopt when it is none or above 64 bits.
std::optional<std::pair<bool, std::uint64_t>> Integer(const TextField& field) {
  if (field.kind != TextField::Kind::kNumber) return std::nullopt;
  std::string_view text = field.scalar;
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  int base = 10;
  if (text.starts_with("0x") || text.starts_with("0X")) {
    base = 16;
    text.remove_prefix(2);
  } else if (text.size() > 1 && text[0] == '0') {
    base = 8;
  }
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return std::pair(negative, value);
}

Status GetSigned(const TextField& field, std::int64_t low, std::int64_t high, std::int64_t* value) {
  const auto parsed = Integer(field);
  if (!parsed) return field.Error(fmt::format("Expected integer, got: {}", field.scalar));
  const auto [negative, magnitude] = *parsed;
  const std::uint64_t limit = negative ? static_cast<std::uint64_t>(-(low + 1)) + 1 : static_cast<std::uint64_t>(high);
  if (magnitude > limit) return field.Error(fmt::format("Integer out of range ({})", field.scalar));
  *value = static_cast<std::int64_t>(negative ? ~magnitude + 1 : magnitude);
  return {};
}

}  // namespace

Status TextField::Get(std::int64_t* value) const {
  return GetSigned(*this, std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max(), value);
}

Status TextField::Get(std::int32_t* value) const {
  std::int64_t wide = 0;
  TENON_RETURN_IF_ERROR(
      GetSigned(*this, std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max(), &wide));
  *value = static_cast<std::int32_t>(wide);
  return {};
}

Status TextField::Get(std::uint32_t* value) const {
  std::int64_t wide = 0;
  TENON_RETURN_IF_ERROR(GetSigned(*this, 0, std::numeric_limits<std::uint32_t>::max(), &wide));
  *value = static_cast<std::uint32_t>(wide);
  return {};
}

Status TextField::Get(double* value) const {
  std::string_view text = scalar;
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  if (kind == Kind::kIdentifier && (text == "inf" || text == "infinity")) {
    *value = std::numeric_limits<double>::infinity();
  } else if (kind == Kind::kIdentifier && text == "nan") {
    *value = std::numeric_limits<double>::quiet_NaN();
  } else if (const auto whole = Integer(*this)) {
    *value = static_cast<double>(whole->second);
  } else {
    if (!text.empty() && (text.back() == 'f' || text.back() == 'F')) text.remove_suffix(1);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
    if (kind != Kind::kNumber || error != std::errc() || end != text.data() + text.size())
      return Error(fmt::format("Expected double, got: {}", scalar));
  }
  if (negative) *value = -*value;
  return {};
}

Status TextField::Get(bool* value) const {
  if (kind == Kind::kIdentifier || kind == Kind::kNumber) {
    for (const std::string_view yes : {"true", "True", "t", "1"})
      if (scalar == yes) return *value = true, Status();
    for (const std::string_view no : {"false", "False", "f", "0"})
      if (scalar == no) return *value = false, Status();
  }
  return Error(fmt::format("Invalid value for boolean field \"{}\". Value: \"{}\".", name, scalar));
}

Status TextField::Get(std::string* value) const {
  if (kind != Kind::kString) return Error(fmt::format("Expected string, got: {}", scalar));
  *value = scalar;
  return {};
}

Status TextField::GetEnum(std::string* value) const {
  if (kind != Kind::kIdentifier && kind != Kind::kNumber)
    return Error(fmt::format("Expected integer or identifier, got: {}", scalar));
  *value = scalar;
  return {};
}

Status TextField::Get(const TextMessage** value) const {
  if (kind != Kind::kMessage) return Error(fmt::format("Expected \"{{\", found \"{}\".", scalar));
  *value = message.data();
  return {};
}

Status TextField::Error(std::string_view what) const {
  return Status(Code::kInvalidArgument,
                fmt::format("Error parsing text-format {}: {}:{}: {}", root_type, line, column, what));
}

const TextField* TextMessage::Find(std::string_view name) const {
  for (auto it = fields.rbegin(); it != fields.rend(); ++it)
    if (it->name == name) return &*it;
  return nullptr;
}

Result<TextMessage> ParseTextFormat(std::string_view text, std::string_view type) {
  TextMessage out;
  TENON_RETURN_IF_ERROR(Parser(text, type).Message('\0', 0, out));
  return out;
}

Status UnknownField(const TextField& field, std::string_view message_type) {
  return field.Error(fmt::format("Message type \"{}\" has no field named \"{}\".", message_type, field.name));
}

}  // namespace tenon::proto_wire
