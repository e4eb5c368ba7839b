// Philox 4x32-10 in bulk, and the draws made from its words (ops/random.cc says what each element is).
#pragma once
#include <cstdint>

namespace tenon::cpu {

struct RandomKernels {
  /// words[i] = word i % 4 of the block with counter {low, high of i / 4, low, high of counter}, for first <= i < first
  /// + n; first and n multiples of 64; words is 64-byte aligned.
  void (*words)(std::uint32_t* words, std::uint64_t seed, std::uint64_t counter, std::int64_t first, std::int64_t n);
  /// out[i] = low + (high - low) * (words[i] >> 8) / 2^24.
  void (*uniform)(float* out, const std::uint32_t* words, std::int64_t n, float low, float high);
  /// Box-Muller on pairs; n even.
  void (*normal)(float* out, const std::uint32_t* words, std::int64_t n, float mean, float stddev);
  /// out[i] = (words[i] >> 8) < threshold.
  void (*below)(std::uint8_t* out, const std::uint32_t* words, std::int64_t n, std::uint32_t threshold);
};
const RandomKernels& GetRandomKernels();

}  // namespace tenon::cpu
