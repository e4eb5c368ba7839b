// One position of a pooling: all channels of one window.
#pragma once
#include <cstdint>

namespace tenon::cpu {

/// taps: offsets (in elements) of the window's elements in the data; count >= 1. Channels are `channels` contiguous
/// elements from each of them.
struct PoolKernels {
  /// y[c] = max over taps of x[tap + c]; the first NaN wins.
  void (*max)(float* y, const float* x, const std::int64_t* taps, std::int64_t count, std::int64_t channels);
  /// dx[first tap with the maximum + c] += dy[c].
  void (*max_grad)(float* dx, const float* dy, const float* x, const std::int64_t* taps, std::int64_t count,
                   std::int64_t channels);
  /// y[c] = scale * sum over taps.
  void (*sum)(float* y, const float* x, const std::int64_t* taps, std::int64_t count, std::int64_t channels,
              float scale);
  /// dx[tap + c] += scale * dy[c] for every tap.
  void (*spread)(float* dx, const float* dy, const std::int64_t* taps, std::int64_t count, std::int64_t channels,
                 float scale);
};
const PoolKernels& GetPoolKernels();

}  // namespace tenon::cpu
