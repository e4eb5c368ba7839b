// A block of elements from one layout to another.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace tenon::cpu {

/// out[to + i . to_strides] = in[from + i . from_strides] for every index i below dims. Offsets and strides in
/// elements; from_strides may be 0 (broadcast) or negative (reversed).
struct Move {
  int input = 0, output = 0;
  std::int64_t from = 0, to = 0;
  std::vector<std::int64_t> dims = {}, from_strides = {}, to_strides = {};
};
/// Drops axes of 1 and joins neighbours that both sides walk with one stride.
void Collapse(Move& move);
/// `move` collapsed, all dims above 0; `in` and `out` already at from and to. element: 1, 2, 4, 8 or 16 bytes.
void RunMove(const Move& move, std::size_t element, const std::byte* in, std::byte* out, int threads);

}  // namespace tenon::cpu
