#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <memory>

namespace tenon::base {
namespace {

spdlog::level::level_enum Translate(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kOff:
      return spdlog::level::off;
  }
  return spdlog::level::off;
}

spdlog::logger& Logger() {
  static const std::shared_ptr<spdlog::logger> logger = [] {
    auto made = std::make_shared<spdlog::logger>("tenon", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    made->set_pattern("%Y-%m-%d %H:%M:%S.%e %L %v");
    const char* name = std::getenv("TENON_LOG");
    spdlog::level::level_enum level = name != nullptr ? spdlog::level::from_str(name) : spdlog::level::warn;
    if (level == spdlog::level::off &&
        std::string_view(name) != "off") {  // from_str gives off for what it does not know
      level = spdlog::level::warn;
      made->warn("TENON_LOG: got \"{}\", expected debug, info, warning, error or off", name);
    }
    made->set_level(level);
    return made;
  }();
  return *logger;
}

}  // namespace

void SetLogLevel(LogLevel level) { Logger().set_level(Translate(level)); }
bool LogEnabled(LogLevel level) { return Logger().should_log(Translate(level)); }
void Log(LogLevel level, std::string_view message) {
  Logger().log(Translate(level), spdlog::string_view_t(message.data(), message.size()));
}

}  // namespace tenon::base
