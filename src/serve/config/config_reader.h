// Readers of text-format messages by the names of their fields: what the readers of the config files share.
#pragma once
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "formats/proto_wire/text_format.h"
#include "tenon/serve.h"
#include "tenon/status.h"

namespace tenon::serve {

/// What to do with one field.
using FieldReader = std::function<Status(const proto_wire::TextField&)>;

/// The fields of one message type. A name that ends in "*" is a repeated field; any other may be there once. Names with
/// the same mark before "|" ("policy|all") are of one oneof, of which one may be there.
using FieldReaders = std::initializer_list<std::pair<std::string_view, FieldReader>>;

/// Gives each field to the reader of its name. kInvalidArgument with the texts of protobuf's parser for a field without
/// one, one that is there twice, and two of a oneof.
Status ReadFields(const proto_wire::TextMessage& message, std::string_view type, FieldReaders readers);
/// The same for a field that is a message.
Status ReadMessage(const proto_wire::TextField& field, std::string_view type, FieldReaders readers);

template <class T>
FieldReader Into(T* value) {
  return [value](const proto_wire::TextField& field) { return field.Get(value); };
}

/// Int64Value and its like: { value: … }.
template <class T>
FieldReader Wrapped(T* value, std::string_view type = "google.protobuf.Int64Value") {
  return
      [value, type](const proto_wire::TextField& field) { return ReadMessage(field, type, {{"value", Into(value)}}); };
}

/// A field that says nothing to us.
inline Status Ignore(const proto_wire::TextField&) { return {}; }

/// The fields of a BatchingParameters.
Status ReadBatching(const proto_wire::TextMessage& message, Batching* batching);

/// What `parse` makes of the file's text. A parse error is logged, and the status is "Invalid protobuf file: 'PATH'".
template <class T, class Parse>
Result<T> FromFile(const std::string& path, Parse parse) {
  TENON_ASSIGN_OR_RETURN(const std::string text, base::ReadFile(path));
  Result<T> parsed = parse(text);
  if (parsed.ok() || parsed.status().message().find("Error parsing text-format") == std::string::npos) return parsed;
  base::Log(base::LogLevel::kError, parsed.status().message());
  return Status(Code::kInvalidArgument, "Invalid protobuf file: '" + path + "'");
}

}  // namespace tenon::serve
