#include "serve/core/adaptive_limit.h"

#include <algorithm>

namespace tenon::serve {

void AdaptiveLimit::Learn(std::int64_t rows, std::chrono::nanoseconds took) {
  row_ = static_cast<double>(took.count()) / static_cast<double>(rows);
  if (++batches_ % kForget == 0) sizes_.fill({});
  std::size_t at = 0;
  while (at + 1 < sizes_.size() && (std::int64_t{2} << at) <= rows) ++at;
  Size& size = sizes_[at];
  size.row = size.tries == 0 ? row_ : std::min(size.row, row_);
  ++size.tries;
  limit_ = 1;
  for (std::size_t s = 0; s + 1 < sizes_.size() && (std::int64_t{2} << s) <= most_; ++s) {
    if (sizes_[s].tries < kTries) break;
    if (sizes_[s + 1].tries >= kTries && sizes_[s + 1].row > 0.9 * sizes_[s].row) break;
    limit_ = std::int64_t{2} << s;
  }
}

std::int64_t AdaptiveLimit::LimitWithin(std::chrono::nanoseconds time) const {
  if (batches_ == 0) return 0;
  std::int64_t within = 0;
  double row = row_;  // of a size that was not tried: what it costs at half
  for (std::size_t s = 0; s < sizes_.size() && (std::int64_t{1} << s) <= limit_; ++s) {
    const std::int64_t rows = std::int64_t{1} << s;
    if (sizes_[s].tries > 0) row = sizes_[s].row;
    if (row * static_cast<double>(rows) > static_cast<double>(time.count())) break;
    within = rows;
  }
  return within;
}

}  // namespace tenon::serve
