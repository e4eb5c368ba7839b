// Logging to stderr. TENON_LOG=debug|info|warning|error|off sets the level (default warning; the server says info).
#pragma once
#include <string_view>

namespace tenon::base {

enum class LogLevel { kDebug, kInfo, kWarning, kError, kOff };
void SetLogLevel(LogLevel level);
bool LogEnabled(LogLevel level);
/// One line; any thread.
void Log(LogLevel level, std::string_view message);

}  // namespace tenon::base
