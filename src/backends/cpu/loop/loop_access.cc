#include "backends/cpu/loop/loop_access.h"

#include <limits>

namespace tenon::cpu {
namespace {

using Dims = std::vector<std::int64_t>;

// Strides of the operand over the axes of the space, 0 where it is broadcast.
Dims SpaceStrides(const LoopSpace& space, std::size_t user_rank, Frame frame, std::span<const std::int64_t> dims) {
  Dims strides(space.dims.size(), 0);
  std::int64_t stride = 1;
  const auto shift = static_cast<std::int64_t>(frame == Frame::kLeft ? 0 : space.dims.size()) -
                     static_cast<std::int64_t>(frame == Frame::kLeft ? 0 : user_rank);
  for (std::size_t k = dims.size(); k-- > 0;) {
    const std::int64_t axis = static_cast<std::int64_t>(k + user_rank - dims.size()) + shift;
    if (dims[k] != 1 && axis >= 0 && axis < static_cast<std::int64_t>(strides.size()))
      strides[static_cast<std::size_t>(axis)] = stride;
    stride *= dims[k];
  }
  return strides;
}

struct Merged {
  Dims dims, strides;
};
// Axes [begin, end) without ones, neighbours joined where one stride walks both.
Merged Merge(const Dims& dims, const Dims& strides, std::size_t begin, std::size_t end) {
  Merged m;
  for (std::size_t i = begin; i < end; ++i) {
    if (dims[i] == 1) continue;
    if (!m.dims.empty() && m.strides.back() == strides[i] * dims[i]) {
      m.dims.back() *= dims[i];
      m.strides.back() = strides[i];
    } else {
      m.dims.push_back(dims[i]);
      m.strides.push_back(strides[i]);
    }
  }
  return m;
}
bool AllZero(const Dims& strides) {
  for (const std::int64_t s : strides)
    if (s != 0) return false;
  return true;
}

}  // namespace

LoopAccess MakeAccess(const LoopSpace& space, std::span<const std::int64_t> user, Frame frame,
                      std::span<const std::int64_t> dims, Level* level) {
  const Dims strides = SpaceStrides(space, user.size(), frame, dims);
  const auto split = static_cast<std::size_t>(space.row_rank);
  LoopAccess access;
  const Merged rows = Merge(space.dims, strides, 0, split), cols = Merge(space.dims, strides, split, space.dims.size());
  const bool by_row = !AllZero(rows.strides), by_col = !AllZero(cols.strides);
  *level = by_row ? (by_col ? Level::kFull : Level::kRow) : by_col ? Level::kCol : Level::kScalar;
  if (by_row) access.row_dims = rows.dims, access.row_strides = rows.strides;
  if (cols.dims.size() == 1) access.col_stride = cols.strides[0];
  if (by_col && cols.dims.size() > 1) {
    std::int64_t n = 1;
    for (const std::int64_t d : cols.dims) n *= d;
    access.col_table.resize(static_cast<std::size_t>(n));
    for (std::int64_t c = 0; c < n; ++c) {
      std::int64_t rest = c, at = 0;
      for (std::size_t k = cols.dims.size(); k-- > 0; rest /= cols.dims[k]) at += rest % cols.dims[k] * cols.strides[k];
      access.col_table[static_cast<std::size_t>(c)] = at;
    }
  }
  std::int64_t expected = 1;
  access.dense = true;
  for (std::size_t i = space.dims.size(); i-- > 0;) {
    if (space.dims[i] != 1 && strides[i] != expected) access.dense = false;
    expected *= space.dims[i];
  }
  if (access.dense) {
    // One element a row or one row alone is dense too, but keeps its level: nothing is to be expanded then.
    access.row_dims.clear(), access.row_strides.clear(), access.col_table.clear();
    access.col_stride = 1;
    *level = Level::kFull;
  }
  return access;
}

int ChooseSplit(const LoopSpace& space, std::span<const std::vector<std::int64_t>> operand_dims) {
  LoopSpace trial = space;
  int best = 0, best_bad = std::numeric_limits<int>::max();
  for (int k = 0; k <= static_cast<int>(space.dims.size()); ++k) {
    trial.row_rank = k;
    int bad = 0;
    for (const auto& dims : operand_dims) {
      const Dims strides = SpaceStrides(trial, space.dims.size(), Frame::kRight, dims);
      const Merged cols = Merge(space.dims, strides, static_cast<std::size_t>(k), space.dims.size());
      if (!AllZero(cols.strides) && (cols.dims.size() > 1 || cols.strides[0] != 1)) ++bad;
    }
    std::int64_t n = 1;
    for (std::size_t i = static_cast<std::size_t>(k); i < space.dims.size(); ++i) n *= space.dims[i];
    if (k > 0 && n < 8) bad += 1;  // short rows pay for each row
    if (bad < best_bad) best = k, best_bad = bad;
  }
  return best;
}

}  // namespace tenon::cpu
