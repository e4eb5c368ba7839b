// RunCost: what is known of the time that runs take.
#pragma once
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>

namespace tenon::serve {

/// What takes at most this long may run on an I/O thread.
inline constexpr std::chrono::microseconds kShortRun{250};

/// The slowest of the recent ones. One run alone at most doubles
/// it (the system may have taken the processor away meanwhile); several in a row are believed. Any thread.
class RunCost {
 public:
  void Add(std::chrono::nanoseconds took) {
    constexpr std::int64_t kStep = 20'000;  // a run this short is never held against a version
    const std::int64_t old = slowest_.load(std::memory_order_relaxed);
    const std::int64_t decayed = old - old / 64;
    const std::int64_t seen = old < 0 ? took.count() : std::min<std::int64_t>(took.count(), 2 * decayed + kStep);
    slowest_.store(std::max(seen, decayed), std::memory_order_relaxed);
  }
  /// As if nothing had run.
  void Forget() { slowest_.store(-1, std::memory_order_relaxed); }
  /// Below zero while nothing has run yet.
  std::chrono::nanoseconds estimate() const {
    return std::chrono::nanoseconds(slowest_.load(std::memory_order_relaxed));
  }

 private:
  std::atomic<std::int64_t> slowest_{-1};
};

}  // namespace tenon::serve
