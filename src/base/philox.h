// Philox 4x32-10: random bits as a function of a key and a counter (Salmon, Moraes, Dror, Shaw, "Parallel random
// numbers: as easy as 1, 2, 3", 2011).
#pragma once
#include <array>
#include <cmath>
#include <cstdint>

namespace tenon::base {

/// The 128 bits of a counter under a key.
constexpr std::array<std::uint32_t, 4> Philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xd2511f53U} * counter[0], b = std::uint64_t{0xcd9e8d57U} * counter[2];
    counter = {static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
               static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)};
    key[0] += 0x9e3779b9U;
    key[1] += 0xbb67ae85U;
  }
  return counter;
}

/// The draws of one (seed, stream): the same on every machine, in any order of the streams. Not thread-safe.
class PhiloxStream {
 public:
  PhiloxStream(std::uint64_t seed, std::uint64_t stream)
      : key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)},
        counter_{0, 0, static_cast<std::uint32_t>(stream), static_cast<std::uint32_t>(stream >> 32)} {}
  std::uint32_t Bits() {
    if (next_ == 4) {
      block_ = Philox(counter_, key_);
      if (++counter_[0] == 0) ++counter_[1];
      next_ = 0;
    }
    return block_[next_++];
  }
  std::uint64_t Bits64() {
    const std::uint64_t high = Bits();
    return (high << 32) | Bits();
  }
  /// In [0, 1), a multiple of 2^-32.
  double Uniform() { return Bits() * 0x1p-32; }
  double Uniform(double low, double high) { return low + (high - low) * Uniform(); }
  /// Mean 0, variance 1 (Box-Muller).
  double Normal() {
    const double radius = std::sqrt(-2 * std::log((Bits() + 1.0) * 0x1p-32));
    return radius * std::cos(6.283185307179586 * Uniform());
  }
  /// In [0, n), n > 0, each with the same chance.
  std::uint64_t Below(std::uint64_t n) {
    const std::uint64_t limit = ~std::uint64_t{0} - (~std::uint64_t{0} % n + 1) % n;
    std::uint64_t bits = Bits64();
    while (bits > limit) bits = Bits64();
    return bits % n;
  }

 private:
  std::array<std::uint32_t, 2> key_;
  std::array<std::uint32_t, 4> counter_;
  std::array<std::uint32_t, 4> block_{};
  std::size_t next_ = 4;
};

}  // namespace tenon::base
