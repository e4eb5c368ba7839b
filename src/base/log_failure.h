// LogFailure: for places where a failure ends and must not become another one.
#pragma once
#include <algorithm>
#include <cstdio>
#include <exception>
#include <string_view>

#include "base/log.h"

namespace tenon::base {

/// One line, "WHAT: the error", cut at 500 bytes. Any thread. Without memory for it there is no line; throws nothing.
inline void LogFailure(LogLevel level, std::string_view what, const std::exception& error) noexcept {
  char line[501];
  const int n = std::snprintf(line, sizeof line, "%.*s: %s", static_cast<int>(std::min<std::size_t>(what.size(), 300)),
                              what.data(), error.what());
  if (n <= 0) return;
  try {
    Log(level, std::string_view(line, std::min<std::size_t>(static_cast<std::size_t>(n), sizeof line - 1)));
  } catch (const std::exception&) {  // a line less
  }
}

}  // namespace tenon::base
