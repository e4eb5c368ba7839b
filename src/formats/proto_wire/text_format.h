// The text format of protocol buffers, read into a tree that knows no schema: config files of the server.
//
// The text. A message is a sequence of fields. A field is a name, then ":" and a value, or (the ":" may be left out) a
// message in braces or angle brackets, or a list of either in square brackets, which means the same as that many
// fields. Names are identifiers; a name in square brackets is an extension or, with "/", the type URL of an Any. Values
// are numbers (decimal, 0x, octal, with a sign; floats, inf, nan), identifiers (true, enumerators), strings in either
// quote with C's escapes; strings that follow each other are one. "," or ";" may end a field; "#" begins a comment.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tenon/status.h"

namespace tenon::proto_wire {

struct TextMessage;

/// One field. Its getters convert the scalar; on a wrong kind or range they give kInvalidArgument with the place.
struct TextField {
  enum class Kind { kNumber, kIdentifier, kString, kMessage };
  std::string name = {};
  Kind kind = Kind::kNumber;
  std::string scalar = {};           // a number or identifier as written (the sign included), a string unescaped
  std::vector<TextMessage> message;  // exactly one when kind is kMessage
  int line = 1, column = 1;          // of the name, from 1

  Status Get(std::int64_t* value) const;
  Status Get(std::int32_t* value) const;
  Status Get(std::uint32_t* value) const;
  Status Get(double* value) const;
  Status Get(bool* value) const;  // true, false, t, f, True, False, 1, 0
  Status Get(std::string* value) const;
  /// An enumerator's name, or its number as text.
  Status GetEnum(std::string* value) const;
  /// The nested message.
  Status Get(const TextMessage** value) const;
  /// kInvalidArgument "Error parsing text-format TYPE: line:column: what".
  Status Error(std::string_view what) const;

  std::string_view root_type = {};  // of the outermost message, for errors
};

struct TextMessage {
  std::vector<TextField> fields = {};  // in their order
  /// The last field of that name; nullptr when there is none.
  const TextField* Find(std::string_view name) const;
};

/// `type` names the outermost message in errors ("tensorflow.serving.ModelServerConfig"); it must outlive the tree.
/// kInvalidArgument for malformed text, and for messages nested deeper than 100.
Result<TextMessage> ParseTextFormat(std::string_view text, std::string_view type);

/// The error for a field that a message has not: "Message type "TYPE" has no field named "name".".
Status UnknownField(const TextField& field, std::string_view message_type);

}  // namespace tenon::proto_wire
