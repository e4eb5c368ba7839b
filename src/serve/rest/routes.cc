#include "serve/rest/routes.h"

#include <charconv>

namespace tenon::serve {
namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

/// Removes the prefix, compared without regard to case.
bool Take(std::string_view& text, std::string_view prefix) {
  if (text.size() < prefix.size()) return false;
  for (std::size_t i = 0; i < prefix.size(); ++i)
    if (Lower(text[i]) != prefix[i]) return false;
  text.remove_prefix(prefix.size());
  return true;
}

/// A non-empty piece up to the next "/" or ":".
bool TakeName(std::string_view& text, std::string_view& name) {
  name = text.substr(0, text.find_first_of("/:"));
  text.remove_prefix(name.size());
  return !name.empty();
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = Lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/// A "%" that two hex digits do not follow stands for itself.
std::string PercentDecoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && HexValue(text[i + 1]) >= 0 && HexValue(text[i + 2]) >= 0) {
      out.push_back(static_cast<char>(HexValue(text[i + 1]) * 16 + HexValue(text[i + 2])));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

struct Pieces {
  std::string_view name, digits, label, rest;
};

/// [/versions/<digits>|/labels/<label>]; an attempt that fails takes nothing.
void TakeChoice(Pieces& pieces) {
  std::string_view text = pieces.rest;
  if (Take(text, "/versions/")) {
    std::size_t n = 0;
    while (n < text.size() && text[n] >= '0' && text[n] <= '9') ++n;
    if (n == 0) return;
    pieces.digits = text.substr(0, n);
    pieces.rest = text.substr(n);
  } else if (Take(text, "/labels/")) {
    std::string_view label;
    if (!TakeName(text, label)) return;
    pieces.label = label;
    pieces.rest = text;
  }
}

Result<Route> Make(const Pieces& pieces, Route::Verb verb) {
  Route route;
  route.verb = verb;
  route.model = PercentDecoded(pieces.name);
  if (pieces.label.data() != nullptr) route.label = PercentDecoded(pieces.label);
  if (!pieces.digits.empty()) {
    std::int64_t version = 0;
    if (std::from_chars(pieces.digits.data(), pieces.digits.data() + pieces.digits.size(), version).ec != std::errc())
      return Status(Code::kInvalidArgument,
                    "Failed to convert version: " + std::string(pieces.digits) + " to numeric.");
    route.version = version;
  }
  return route;
}

}  // namespace

bool IsApiPath(std::string_view target) { return Take(target, "/v1/"); }

Result<Route> ParseRoute(std::string_view method, std::string_view target) {
  const auto malformed = [&] {
    return Status(Code::kInvalidArgument, "Malformed request: " + std::string(method) + " " + std::string(target));
  };
  Pieces pieces;
  if (method == "POST") {
    pieces.rest = target;
    if (!Take(pieces.rest, "/v1/models/") || !TakeName(pieces.rest, pieces.name)) return malformed();
    TakeChoice(pieces);
    if (pieces.rest == ":predict") return Make(pieces, Route::Verb::kPredict);
    if (pieces.rest == ":classify") return Make(pieces, Route::Verb::kClassify);
    if (pieces.rest == ":regress") return Make(pieces, Route::Verb::kRegress);
    return malformed();
  }
  if (method != "GET") return malformed();
  // "/v1/models/versions/1" may be read with and without a model's name; with one is tried first.
  for (const bool named : {true, false}) {
    pieces = {};
    pieces.rest = target;
    if (!Take(pieces.rest, "/v1/models")) return malformed();
    if (named && (!Take(pieces.rest, "/") || !TakeName(pieces.rest, pieces.name))) continue;
    TakeChoice(pieces);
    Route::Verb verb = Route::Verb::kStatus;
    if (std::string_view text = pieces.rest; Take(text, "/metadata")) {
      if (pieces.rest.substr(0, 9) == "/metadata") verb = Route::Verb::kMetadata;
      pieces.rest = text;
    }
    if (pieces.rest.empty()) return Make(pieces, verb);
  }
  return malformed();
}

}  // namespace tenon::serve
