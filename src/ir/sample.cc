#include "ir/sample.h"

#include <algorithm>

#include "ir/numeric.h"

namespace tenon::ir {
namespace {
// SplitMix64: a fixed, portable stream for sample values.
std::uint64_t Next(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15ULL);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}
std::vector<double> Doubles(std::initializer_list<double> v) { return {v.begin(), v.end()}; }
}  // namespace

Literal Random(std::vector<std::int64_t> dims, int seed, double low, double high) {
  std::uint64_t state = static_cast<std::uint64_t>(seed) * 7919 + 17;
  std::vector<double> values(static_cast<std::size_t>(checked_size(dims).value()));
  // Multiples of 1/64, so that the values are the same in every float dtype down to bf16 for small ranges.
  for (double& v : values) v = low + (high - low) * static_cast<double>(Next(state) % 256) / 256.0;
  return FromDoubles(DType::kF32, std::move(dims), values);
}

Literal Distinct(std::vector<std::int64_t> dims, int seed) {
  std::uint64_t state = static_cast<std::uint64_t>(seed) * 104729 + 3;
  std::vector<double> values(static_cast<std::size_t>(checked_size(dims).value()));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = (static_cast<double>(i) - static_cast<double>(values.size()) / 2) / 4;
  for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[Next(state) % i]);
  return FromDoubles(DType::kF32, std::move(dims), values);
}

Literal Values(std::vector<std::int64_t> dims, std::initializer_list<double> values) {
  return FromDoubles(DType::kF32, std::move(dims), Doubles(values));
}
Literal Ints(std::vector<std::int64_t> dims, std::initializer_list<std::int64_t> values) {
  return Literal::from<std::int64_t>(std::move(dims), values);
}
Literal Bools(std::vector<std::int64_t> dims, std::initializer_list<bool> values) {
  return Literal::from<bool>(std::move(dims), values);
}

}  // namespace tenon::ir
