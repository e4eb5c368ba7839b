// BearerTokens: who may call, on every protocol.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tenon::serve {

/// The tokens of --bearer_token_file. Immutable.
class BearerTokens {
 public:
  /// None: every call is admitted. An empty token admits nobody.
  explicit BearerTokens(std::vector<std::string> tokens) : tokens_(std::move(tokens)) {}

  bool empty() const { return tokens_.empty(); }
  /// Whether `authorization`, the header or metadata of that name, is "Bearer TOKEN" (the scheme in any case) with one
  /// of the tokens. How long that takes tells the length of what was given, and nothing of the tokens' bytes.
  bool Admit(std::string_view authorization) const;

 private:
  const std::vector<std::string> tokens_;
};

}  // namespace tenon::serve
