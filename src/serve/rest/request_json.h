// What the bodies of the requests that run a model have in common. Messages are those of TensorFlow Serving.
#pragma once
#include <string_view>

#include "serve/rest/json_dom.h"

namespace tenon::serve {

/// kInvalidArgument "JSON Value: <the body> <what>".
Status BadRequest(const JsonDocument& body, std::string_view what);

/// The body's "signature_name", empty when there is none; a view into the document. kInvalidArgument when the body is
/// no object, or the name no string.
Result<std::string_view> SignatureNameOf(const JsonDocument& body);

}  // namespace tenon::serve
