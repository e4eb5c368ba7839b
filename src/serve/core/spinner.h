// Spinner: whether an I/O thread that has nothing to do looks for events a while longer before it sleeps. Waking a
// thread takes the system longer than a small model takes.
#pragma once
#include <algorithm>
#include <chrono>

namespace tenon::serve {

/// How long I/O threads look for events before they sleep. Adaptive: only while clients send that soon after an answer,
/// so that a quiet server sleeps; a fixed time: always; zero: never.
struct SpinOptions {
  std::chrono::microseconds time{50};
  bool adaptive = true;
  /// From the option spin_us: below zero stands for the adaptive default.
  static SpinOptions Of(int microseconds) {
    if (microseconds < 0) return {};
    return {.time = std::chrono::microseconds(microseconds), .adaptive = false};
  }
};

/// One thread's. Each wait for events is asked for with MaySleep and reported with Waited.
class Spinner {
 public:
  using Clock = std::chrono::steady_clock;
  explicit Spinner(SpinOptions options) : options_(options) {}

  /// Whether the wait that begins now may sleep; else it must return at once. `working`: other threads have work of
  /// this one's clients under way, which its looking would only disturb.
  bool MaySleep(bool working = false) {
    const Clock::time_point now = Clock::now();
    if (busy_) idle_since_ = now;
    busy_ = false;
    const bool on = options_.adaptive ? credit_ > kLoss : options_.time > options_.time.zero();
    slept_ = !on || working || now - idle_since_ >= options_.time;
    return slept_;
  }
  /// `events`: whether there were any.
  void Waited(Clock::time_point now, bool events) {
    if (!events) return;
    busy_ = true;
    // A thread that slept was woken late: what it would have seen in time shows as a longer gap.
    const bool soon = now - idle_since_ < (slept_ ? 3 * options_.time : options_.time);
    if (soon)
      credit_ = std::min(credit_ + 1, kMost);
    else
      credit_ = std::max(credit_ - kLoss, 0);
  }

 private:
  static constexpr int kMost = 16, kLoss = 4;  // a look in vain costs what several events that came soon have earned
  const SpinOptions options_;
  Clock::time_point idle_since_ = Clock::now();
  bool busy_ = false, slept_ = false;
  int credit_ = 0;
};

}  // namespace tenon::serve
