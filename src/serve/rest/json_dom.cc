#include "serve/rest/json_dom.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "serve/rest/json_number.h"
#include "serve/rest/json_string.h"

namespace tenon::serve {

std::string_view JsonKindName(JsonKind kind) {
  static constexpr std::array<std::string_view, 9> kNames = {"Null",   "False",  "True",   "Object", "Array",
                                                             "String", "Number", "Number", "Number"};
  return kNames[static_cast<std::size_t>(kind)];
}

/// The parser: one loop over values, with a stack of open containers.
class JsonReader {
 public:
  explicit JsonReader(std::string_view text) : begin_(text.data()), p_(text.data()), end_(text.data() + text.size()) {}

  Status Read(JsonDocument& out) {
    out_ = &out;
    if (p_ == end_) return Status(Code::kInvalidArgument, "JSON Parse error: The document is empty");
    for (const char c : {'\xef', '\xbb', '\xbf'})
      if (p_ != end_ && *p_ == c) ++p_;
    SkipSpace();
    if (AtEnd() || std::strchr(",:]}", *p_) != nullptr) return Fail("The document is empty.", p_);
    for (;;) {
      // A value begins here, and p_ stands on a byte that is neither a space nor the end.
      if (const Status s = Value(); !s.ok()) return s;
      if (opened_) {
        if (AtEnd()) return Fail(in_object() ? "Missing a name for object member." : "Invalid value.", p_);
        if (*p_ == Closer()) {
          ++p_;
          Close();
        } else {
          if (const Status s = BeginItem(); !s.ok()) return s;
          continue;
        }
      }
      // A value has just ended: close what ends with it, then go on to the next one.
      for (;;) {
        if (open_.empty()) return {};
        SkipSpace();
        if (!AtEnd() && *p_ == ',') {
          ++p_;
          SkipSpace();
          break;
        }
        if (AtEnd() || *p_ != Closer())
          return Fail(in_object() ? "Missing a comma or '}' after an object member."
                                  : "Missing a comma or ']' after an array element.",
                      p_);
        ++p_;
        Close();
      }
      if (const Status s = BeginItem(); !s.ok()) return s;
    }
  }

 private:
  using Node = JsonDocument::Node;
  static std::uint64_t Head(JsonKind kind, std::size_t size = 0) {
    return static_cast<std::uint64_t>(kind) | static_cast<std::uint64_t>(size) << 4;
  }
  bool AtEnd() const { return p_ == end_ || *p_ == '\0'; }
  bool in_object() const {
    return (out_->nodes_[open_.back()].head & 15) == static_cast<std::uint64_t>(JsonKind::kObject);
  }
  char Closer() const { return in_object() ? '}' : ']'; }
  void SkipSpace() {
    while (p_ != end_ && (*p_ == ' ' || *p_ == '\n' || *p_ == '\r' || *p_ == '\t')) ++p_;
  }
  Status Fail(std::string_view why, const char* at) const {
    return Status(Code::kInvalidArgument,
                  "JSON Parse error: " + std::string(why) + " at offset: " + std::to_string(at - begin_));
  }

  /// Up to the first byte of an element, or of a member's value (after its name and colon).
  Status BeginItem() {
    out_->nodes_[open_.back()].head += 16;  // one more element
    if (in_object()) {
      if (AtEnd() || *p_ != '"') return Fail("Missing a name for object member.", p_);
      if (const Status s = String(); !s.ok()) return s;
      SkipSpace();
      if (AtEnd() || *p_ != ':') return Fail("Missing a colon after a name of object member.", p_);
      ++p_;
      SkipSpace();
    }
    if (AtEnd() || std::strchr(",:]}", *p_) != nullptr) return Fail("Invalid value.", p_);
    return {};
  }

  Status Value() {
    opened_ = false;
    switch (*p_) {
      case '{':
      case '[':
        open_.push_back(out_->nodes_.size());
        Add(Head(*p_ == '{' ? JsonKind::kObject : JsonKind::kArray), 0);
        ++p_;
        SkipSpace();
        opened_ = true;
        return {};
      case '"':
        return String();
      case 't':
        return Word("true", JsonKind::kTrue);
      case 'f':
        return Word("false", JsonKind::kFalse);
      case 'n':
        return Word("null", JsonKind::kNull);
      default:
        return Number();
    }
  }

  Status Word(std::string_view word, JsonKind kind) {
    for (const char c : word) {
      if (p_ == end_ || *p_ != c) return Fail("Invalid value.", p_);
      ++p_;
    }
    Add(Head(kind), 0);
    return {};
  }

  Status Number() {
    JsonNumber number;
    NumberError error;
    const char* stop = ScanNumber(p_, end_, number, error);
    switch (error) {
      case NumberError::kNone:
        break;
      case NumberError::kInvalid:
        return Fail("Invalid value.", stop);
      case NumberError::kTooBig:
        return Fail("Number too big to be stored in double.", stop);
      case NumberError::kMissFraction:
        return Fail("Miss fraction part in number.", stop);
      case NumberError::kMissExponent:
        return Fail("Miss exponent in number.", stop);
    }
    p_ = stop;
    const JsonKind kind = number.kind == JsonNumber::Kind::kInt    ? JsonKind::kInt
                          : number.kind == JsonNumber::Kind::kUint ? JsonKind::kUint
                                                                   : JsonKind::kDouble;
    Add(Head(kind), number.u);
    return {};
  }

  Status String() {
    std::string_view text;
    std::string decoded;
    const char* at = p_;
    switch (ScanString(p_, end_, text, decoded, at)) {
      case StringError::kNone:
        break;
      case StringError::kMissingQuote:
        return Fail("Missing a closing quotation mark in string.", at);
      case StringError::kBadEscape:
        return Fail("Invalid escape character in string.", at);
      case StringError::kBadHex:
        return Fail("Incorrect hex digit after \\u escape in string.", at);
      case StringError::kBadSurrogate:
        return Fail("The surrogate pair in string is invalid.", at);
    }
    p_ = at;
    if (text.data() == nullptr) text = out_->decoded_.emplace_back(std::move(decoded));
    Node node;
    node.head = Head(JsonKind::kString, text.size());
    node.s = text.data();
    out_->nodes_.push_back(node);
    return {};
  }

  void Add(std::uint64_t head, std::uint64_t data) {
    Node node;
    node.head = head;
    node.u = data;
    out_->nodes_.push_back(node);
  }

  void Close() {
    out_->nodes_[open_.back()].u = out_->nodes_.size();
    open_.pop_back();
  }

  const char* const begin_;
  const char* p_;
  const char* const end_;
  JsonDocument* out_ = nullptr;
  std::vector<std::size_t> open_;
  bool opened_ = false;  // the value just read was an opening bracket
};

Result<JsonDocument> JsonDocument::Parse(std::string_view text, ByteBudget* budget) {
  constexpr std::size_t kLarge = 256 << 10;
  JsonDocument out;
  std::size_t nodes = 64;
  if (text.size() > kLarge) {
    // Every value but the first, and every name, stands behind one of these.
    nodes = 1 + static_cast<std::size_t>(
                    std::ranges::count_if(text, [](char c) { return c == ',' || c == ':' || c == '[' || c == '{'; }));
    const std::size_t bytes = nodes * sizeof(Node);
    out.held_ = std::make_unique<HeldBytes>(budget);
    if (const Status room = out.held_->Grow(bytes); !room.ok())
      return Status(bytes <= budget->most() ? Code::kUnavailable : Code::kInvalidArgument, room.message());
  }
  out.nodes_.reserve(nodes);
  if (Status s = JsonReader(text).Read(out); !s.ok()) return s;
  return out;
}

double JsonDocument::number(Index i) const {
  switch (kind(i)) {
    case JsonKind::kInt:
      return static_cast<double>(nodes_[i].i);
    case JsonKind::kUint:
      return static_cast<double>(nodes_[i].u);
    default:
      return nodes_[i].d;
  }
}

JsonDocument::Index JsonDocument::Find(Index object, std::string_view name) const {
  for (Index i = first(object); i != end(object); i = end(i + 1))
    if (text(i) == name) return i + 1;
  return kNone;
}

std::string_view JsonDocument::Base64Member(Index i) const {
  if (kind(i) != JsonKind::kObject || size(i) != 1) return {};
  const Index name = first(i);
  if (text(name) != "b64" || kind(name + 1) != JsonKind::kString) return {};
  return text(name + 1);
}

}  // namespace tenon::serve
