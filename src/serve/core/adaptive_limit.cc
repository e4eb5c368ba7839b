#include "serve/core/adaptive_limit.h"

#include <algorithm>
#include <bit>

namespace tenon::serve {

void AdaptiveLimit::Learn(std::int64_t rows, std::chrono::nanoseconds took) {
  const double row = static_cast<double>(took.count()) / static_cast<double>(rows);
  if (++batches_ % kForget == 0)
    for (Size& size : sizes_) {
      size.tries = 0;
      if (&size != &sizes_.front()) size.batch.Forget();
    }
  std::size_t at = 0;
  while (at + 1 < sizes_.size() && (std::int64_t{2} << at) <= rows) ++at;
  Size& size = sizes_[at];
  size.row = size.tries == 0 ? row : std::min(size.row, row);
  ++size.tries;
  const bool first = at > 0 && size.batch.estimate().count() < 0 && sizes_[at - 1].batch.estimate().count() >= 0;
  size.batch.Add(first ? std::min(took, 4 * sizes_[at - 1].batch.estimate()) : took);
  limit_ = 1;
  for (std::size_t s = 0; s + 1 < sizes_.size() && (std::int64_t{2} << s) <= most_; ++s) {
    if (sizes_[s].tries < kTries) break;
    if (sizes_[s + 1].tries >= kTries && sizes_[s + 1].row > 0.9 * sizes_[s].row) break;
    limit_ = std::int64_t{2} << s;
  }
}

std::int64_t AdaptiveLimit::Padded(std::int64_t rows) {
  const auto bits = std::bit_width(static_cast<std::uint64_t>(std::max<std::int64_t>(rows, 1) - 1));
  const std::int64_t step = bits <= 3 ? 1 : std::int64_t{1} << (bits - 3);
  return (rows + step - 1) / step * step;
}

std::int64_t AdaptiveLimit::LimitWithin(std::chrono::nanoseconds time) const {
  std::int64_t within = 0;
  std::chrono::nanoseconds batch{-1};
  for (std::size_t s = 0; s < sizes_.size() && (std::int64_t{1} << s) <= limit_; ++s) {
    const std::chrono::nanoseconds known = sizes_[s].batch.estimate();
    batch = known.count() >= 0 ? known : 2 * batch;  // of a size that was not tried: twice that of half
    if (batch.count() < 0 || batch > time) break;
    within = std::int64_t{1} << s;
  }
  return within;
}

}  // namespace tenon::serve
