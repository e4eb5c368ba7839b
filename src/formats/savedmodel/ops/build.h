// What the rules that are compositions share: index arithmetic on values whose dims may be symbols.
#pragma once
#include <vector>

#include "formats/savedmodel/ops/context.h"

namespace tenon::savedmodel {

/// 0, 1, 2, … along `axis` of a tensor of those dims.
ir::Ex Iota(OpContext& c, Shape dims, std::int64_t axis, DType dtype);
/// A tensor of one repeated number; of texts the empty one, of bools false.
ir::Ex Filled(OpContext& c, Shape dims, double value, DType dtype);
/// The elements [start, limit) along one axis.
ir::Ex SliceAxis(OpContext& c, ir::Value x, int axis, const Dim& start, const Dim& limit);
/// The size of an axis as a rank-0 number of that dtype: a constant when it is known.
ir::Ex SizeOf(OpContext& c, ir::Value x, int axis, DType dtype);
/// An integer that only the run knows (one element) as a dim, which is checked there not to be below 0.
Dim AsDim(OpContext& c, ir::Value x);
/// The largest element of an integer vector plus one as a dim; 0 of an empty one.
Dim OneAbove(OpContext& c, ir::Value x);
ir::Ex Expand(OpContext& c, ir::Value x, std::int64_t axis);
ir::Ex Join(OpContext& c, std::vector<ir::Value> parts, std::int64_t axis);
ir::Ex Take(OpContext& c, ir::Value x, ir::Value indices, std::int64_t axis);
/// The elements in one row: [n].
ir::Ex Flat(OpContext& c, ir::Value x);
inline ir::Ex Ex(OpContext& c, ir::Value v) { return {&c.b, v}; }

/// Row splits [r + 1] of a ragged dim with n values: for each value its row, i64[n].
ir::Ex RowsOf(OpContext& c, ir::Value splits, const Dim& n);
/// Lengths [r] as row splits [r + 1].
ir::Ex SplitsOf(OpContext& c, ir::Value lengths);
/// The first r of r + 1 row splits, and the last r.
ir::Ex Starts(OpContext& c, ir::Value splits);
ir::Ex Limits(OpContext& c, ir::Value splits);
/// Values [m] with their row splits as the sparse tensor of outputs 0 to 2: indices [m, 2], values, dense shape.
void SetSparse(OpContext& c, ir::Value values, ir::Value splits);

}  // namespace tenon::savedmodel
