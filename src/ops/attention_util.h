// What attention and rotary_embedding share: values of many heads, [batch, heads, length, depth] or, packed,
// [batch, length, heads depth].
#pragma once
#include "ops/array_util.h"

namespace tenon::ir::ops {

/// [batch, heads, length, depth] of input i, packed when `heads` is above 0; c1: the rank is 4, or 3 when packed, and
/// the heads divide the features.
Result<std::vector<Dim>> HeadDims(const InferContext& ctx, int i, std::int64_t heads);

/// Where the elements of such a value lie.
struct HeadView {
  HeadView(std::span<const std::int64_t> dims, std::int64_t packed_heads);
  std::int64_t batch, heads, length, depth;
  /// The index of element 0 of that vector.
  std::size_t At(std::int64_t b, std::int64_t h, std::int64_t i) const {
    return Size(packed ? ((b * length + i) * heads + h) * depth : ((b * heads + h) * length + i) * depth);
  }
  bool packed;
};

/// x of known rank as [batch, heads, length, depth]; `packed_heads` 0: it is that already.
Ex HeadsOut(Ex x, std::int64_t packed_heads);
/// [batch, heads, length, depth] packed.
Ex HeadsIn(Ex x);

std::vector<Sample> AttentionSamples();

}  // namespace tenon::ir::ops
