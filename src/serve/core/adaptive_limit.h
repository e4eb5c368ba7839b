// AdaptiveLimit: how many rows a batch should have, learned from what batches took.
#pragma once
#include <array>
#include <chrono>
#include <cstdint>

#include "serve/core/run_cost.h"

namespace tenon::serve {

/// The largest power of two at which a row costs at least a tenth less than at half the size. A size is tried kTries
/// times before it is judged, by the least that a row took: more than that is the machine's (a cold cache, a plan made
/// for the size, other work). That, and how long batches of several rows take, is forgotten after every kForget
/// batches: the machine may have changed, and a size that once looked slow is not tried by itself. Not thread-safe.
class AdaptiveLimit {
 public:
  static constexpr int kTries = 8, kForget = 1000;
  explicit AdaptiveLimit(std::int64_t most) : most_(most) {}

  /// A batch of `rows` > 0 took that long. Only of batches that the model has run to their end.
  void Learn(std::int64_t rows, std::chrono::nanoseconds took);
  /// Rows to join; 1 until something is known.
  std::int64_t limit() const { return limit_; }
  /// The largest power of two up to limit() whose batches take at most `time`, by the slowest of the recent ones
  /// (RunCost; the first of a size, which may include its plan, counts as at most four times that of half). 0: not even
  /// one row, or nothing is known.
  std::int64_t LimitWithin(std::chrono::nanoseconds time) const;

  /// `rows` rounded up to a size that batches are padded to: 1 to 8, then four sizes in each power of two, so that the
  /// model sees few shapes (each has a plan) and computes at most a quarter more.
  static std::int64_t Padded(std::int64_t rows);

 private:
  struct Size {
    double row = 0;  // the least nanoseconds of a row
    int tries = 0;
    RunCost batch;
  };
  const std::int64_t most_;
  std::array<Size, 16> sizes_{};  // batches of 1, of 2 or 3, of 4 to 7, …
  int batches_ = 0;
  std::int64_t limit_ = 1;
};

}  // namespace tenon::serve
