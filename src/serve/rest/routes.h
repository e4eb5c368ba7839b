// What a URL of the REST API asks for.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tenon/status.h"

namespace tenon::serve {

struct Route {
  enum class Verb { kPredict, kClassify, kRegress, kStatus, kMetadata } verb = Verb::kPredict;
  std::string model = {};  // empty: the URL names none
  std::optional<std::int64_t> version = {};
  std::optional<std::string> label = {};
};

/// Whether the path (without its query) belongs to the API: /v1/ and more, in any case of its letters.
bool IsApiPath(std::string_view target);

/// POST /v1/models/<name>[/versions/<digits>|/labels/<label>]:<classify|regress|predict>
/// GET  /v1/models[/<name>][/versions/<digits>|/labels/<label>][/metadata]
/// Matched as a whole, query string included, in any case; <name> and <label> hold neither "/" nor ":" and are
/// percent-decoded. But the verb of a POST must be in lower case, and a METADATA in another case asks for the status.
/// kInvalidArgument "Malformed request: <METHOD> <target>", or "Failed to convert version: <digits> to numeric." for
/// one above the int64 range.
Result<Route> ParseRoute(std::string_view method, std::string_view target);

}  // namespace tenon::serve
