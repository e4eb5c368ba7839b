#include "base/clock.h"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace tenon::base {

std::int64_t WallMicroseconds() {
  if (const char* text = std::getenv("SOURCE_DATE_EPOCH"); text != nullptr) {
    std::int64_t seconds = 0;
    const char* end = text + std::strlen(text);
    const auto [at, error] = std::from_chars(text, end, seconds);
    if (error == std::errc() && at == end && seconds >= 0 && seconds < (std::int64_t{1} << 40))
      return seconds * 1000000;
  }
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::microseconds>(now).count();
}

std::string Iso8601(std::int64_t microseconds) {
  const std::time_t seconds = microseconds / 1000000 - (microseconds % 1000000 < 0 ? 1 : 0);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[64];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

}  // namespace tenon::base
