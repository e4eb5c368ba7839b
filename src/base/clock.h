// Time: a steady clock to measure with, and text of the wall clock.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>

namespace tenon::base {

/// Seconds since the object was made or Reset().
class Stopwatch {
 public:
  double Seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }
  void Reset() { start_ = std::chrono::steady_clock::now(); }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// Microseconds since 1970, UTC. SOURCE_DATE_EPOCH (seconds) replaces it, so that what we write can be reproduced.
std::int64_t WallMicroseconds();
/// "2025-01-31T23:59:59Z".
std::string Iso8601(std::int64_t microseconds);

}  // namespace tenon::base
