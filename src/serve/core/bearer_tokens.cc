#include "serve/core/bearer_tokens.h"

#include <algorithm>

namespace tenon::serve {
namespace {

constexpr std::string_view kScheme = "bearer ";

/// Takes the same time whatever the first difference is.
bool SameSecret(std::string_view given, std::string_view secret) {
  if (secret.empty()) return false;
  unsigned difference = given.size() == secret.size() ? 0 : 1;
  for (std::size_t i = 0; i < given.size(); ++i)
    difference |= static_cast<unsigned char>(given[i] ^ secret[i % secret.size()]);
  return difference == 0;
}

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

bool BearerTokens::Admit(std::string_view authorization) const {
  if (tokens_.empty()) return true;
  if (!std::ranges::equal(authorization.substr(0, kScheme.size()), kScheme, {}, Lower)) return false;
  authorization.remove_prefix(kScheme.size());
  bool found = false;
  for (const std::string& token : tokens_) found |= SameSecret(authorization, token);
  return found;
}

}  // namespace tenon::serve
