#include "serve/rest/request_json.h"

#include <fmt/format.h>

namespace tenon::serve {

Status BadRequest(const JsonDocument& body, std::string_view what) {
  return Status(Code::kInvalidArgument, fmt::format("JSON Value: {} {}", body.ToText(JsonDocument::kRoot), what));
}

Result<std::string_view> SignatureNameOf(const JsonDocument& body) {
  if (body.kind(JsonDocument::kRoot) != JsonKind::kObject) return BadRequest(body, "Is not object");
  const JsonDocument::Index at = body.Find(JsonDocument::kRoot, "signature_name");
  if (at == JsonDocument::kNone) return std::string_view();
  if (body.kind(at) != JsonKind::kString)
    return BadRequest(body, "not formatted correctly. 'signature_name' key must be a string value.");
  return body.text(at);
}

}  // namespace tenon::serve
