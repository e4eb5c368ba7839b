// What the rules that are compositions share: index arithmetic on values whose dims may be symbols.
#pragma once
#include <vector>

#include "formats/savedmodel/ops/context.h"

namespace tenon::savedmodel {

/// 0, 1, 2, … along `axis` of a tensor of those dims.
ir::Ex Iota(OpContext& c, Shape dims, std::int64_t axis, DType dtype);
/// A tensor of one repeated number; of texts the empty one, of bools whether it is not 0.
ir::Value Filled(ir::Builder& b, Shape dims, double value, DType dtype);
inline ir::Ex Filled(OpContext& c, Shape dims, double value, DType dtype) {
  return {&c.b, Filled(c.b, std::move(dims), value, dtype)};
}
/// The elements [start, limit) along one axis.
ir::Ex SliceAxis(OpContext& c, ir::Value x, int axis, const Dim& start, const Dim& limit);
/// The size of an axis as a rank-0 number of that dtype: a constant when it is known.
ir::Ex SizeOf(OpContext& c, ir::Value x, int axis, DType dtype);
/// An integer that only the run knows (one element) as a dim, which is checked there not to be below 0.
Dim AsDim(OpContext& c, ir::Value x);
/// The largest element of an integer vector plus one as a dim; 0 of an empty one.
Dim OneAbove(OpContext& c, ir::Value x);
/// Indices as they are where `good` holds, elsewhere a number that every gather and scatter refuses.
ir::Ex Checked(OpContext& c, ir::Value indices, ir::Value good);
/// Indices that a gather or scatter takes: those below 0 count from the end in ours and are refused in TensorFlow's.
ir::Ex Checked(OpContext& c, ir::Value indices);
/// x (of rank 1 or more) as it is; the run fails where `good` (one bool) does not hold and x has a row.
ir::Ex Required(OpContext& c, ir::Value x, ir::Value good);
ir::Ex Expand(OpContext& c, ir::Value x, std::int64_t axis);
ir::Ex Join(OpContext& c, std::vector<ir::Value> parts, std::int64_t axis);
ir::Ex Take(OpContext& c, ir::Value x, ir::Value indices, std::int64_t axis);
/// The elements in one row: [n].
ir::Ex Flat(OpContext& c, ir::Value x);
inline ir::Ex Ex(OpContext& c, ir::Value v) { return {&c.b, v}; }

/// Row splits [r + 1] of a ragged dim with n values: for each value its row, i64[n].
ir::Ex RowsOf(OpContext& c, ir::Value splits, const Dim& n);
/// Row splits [r + 1] of values [n, …] as i64; the run fails unless they ascend from 0 (`whole`: else from 0 or more)
/// and end at n at most.
ir::Ex CheckedSplits(OpContext& c, ir::Value splits, ir::Value values, bool whole = true);
/// Lengths [r] as row splits [r + 1].
ir::Ex SplitsOf(OpContext& c, ir::Value lengths);
/// The first r of r + 1 row splits, and the last r.
ir::Ex Starts(OpContext& c, ir::Value splits);
ir::Ex Limits(OpContext& c, ir::Value splits);
/// Values [m] with their row splits as the sparse tensor of outputs 0 to 2: indices [m, 2], values, dense shape.
void SetSparse(OpContext& c, ir::Value values, ir::Value splits);

}  // namespace tenon::savedmodel
