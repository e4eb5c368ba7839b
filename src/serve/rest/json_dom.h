// A JSON document as a flat list of nodes, read the way TensorFlow Serving reads requests: its REST clients see the
// parser's messages and offsets, and the order in which errors are found.
#pragma once
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "serve/core/byte_budget.h"
#include "tenon/status.h"

namespace tenon::serve {

enum class JsonKind : std::uint8_t { kNull, kFalse, kTrue, kObject, kArray, kString, kInt, kUint, kDouble };

/// "Null", "False", "True", "Object", "Array", "String", "Number".
std::string_view JsonKindName(JsonKind kind);

/// The document owns decoded strings and refers to the text for all others; the text must outlive it.
class JsonDocument {
 public:
  /// The rules beside RFC 8259: NaN, Inf, Infinity and their negatives are numbers; a byte order mark is skipped; what
  /// follows the root is not looked at; bytes above 0x7f are not checked; a zero byte ends the text. Nesting is not
  /// limited (no recursion). kInvalidArgument "JSON Parse error: <reason> at offset: <n>".
  /// A document takes up to sixteen times its text: that of a large text is counted by `budget` (may be null) while the
  /// document lives. kUnavailable while there is no room for it, kInvalidArgument when there will never be.
  static Result<JsonDocument> Parse(std::string_view text, ByteBudget* budget = nullptr);

  /// A place in the document. Children of an object are name, value, name, value.
  using Index = std::size_t;
  static constexpr Index kRoot = 0;
  static constexpr Index kNone = static_cast<Index>(-1);

  JsonKind kind(Index i) const { return static_cast<JsonKind>(nodes_[i].head & 15); }
  /// Elements of an array, members of an object.
  std::size_t size(Index i) const { return static_cast<std::size_t>(nodes_[i].head >> 4); }
  std::string_view text(Index i) const { return {nodes_[i].s, size(i)}; }  // kString
  std::int64_t int_value(Index i) const { return nodes_[i].i; }            // kInt
  std::uint64_t uint_value(Index i) const { return nodes_[i].u; }          // kUint: above the int64 range
  double double_value(Index i) const { return nodes_[i].d; }               // kDouble
  bool is_number(Index i) const { return kind(i) >= JsonKind::kInt; }
  double number(Index i) const;  // any number
  /// The first child of a container (end(i) when there is none), and the node after a value and all that is in it.
  Index first(Index i) const { return i + 1; }
  Index end(Index i) const {
    return kind(i) == JsonKind::kObject || kind(i) == JsonKind::kArray ? static_cast<Index>(nodes_[i].u) : i + 1;
  }
  /// The value of an object's first member of that name; kNone when there is none.
  Index Find(Index object, std::string_view name) const;
  /// The base64 text of {"b64": "…"}; nullptr data for anything else.
  std::string_view Base64Member(Index i) const;

  /// The value as indented text, cut after `limit` bytes; for messages.
  std::string ToText(Index i, std::size_t limit = 256) const;

 private:
  friend class JsonReader;
  struct Node {
    std::uint64_t head = 0;  // kind in the low four bits, size above
    union {
      std::uint64_t u = 0;
      std::int64_t i;
      double d;
      const char* s;
    };
  };
  std::unique_ptr<HeldBytes> held_;  // of nodes_
  std::vector<Node> nodes_;
  std::deque<std::string> decoded_;
};

}  // namespace tenon::serve
