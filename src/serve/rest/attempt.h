// Attempt: work for one connection that may throw.
#pragma once
#include <exception>
#include <string_view>

#include "base/log_failure.h"

namespace tenon::serve {

/// What throws (no memory to read, to answer) ends the connection and not the process. `who` begins the line of the
/// log.
template <class Connection, class Work>
void Attempt(std::string_view who, Connection& connection, const Work& work) {
  try {
    work();
  } catch (const std::exception& error) {
    base::LogFailure(base::LogLevel::kWarning, who, error);
    connection.Broken();
  }
}

}  // namespace tenon::serve
