#include "formats/savedmodel/ops/build.h"

#include <algorithm>

#include "formats/savedmodel/fold.h"
#include "ir/numeric.h"

namespace tenon::savedmodel {

using ir::Value;
using Ints = std::vector<std::int64_t>;

ir::Ex Iota(OpContext& c, Shape dims, std::int64_t axis, DType dtype) {
  return Ex(c, c.b.Add("iota", {}, {{"dims", std::move(dims)}, {"axis", axis}, {"dtype", dtype}}));
}

Value Filled(ir::Builder& b, Shape dims, double value, DType dtype) {
  const Value one = dtype == DType::kString ? b.Constant(Literal::scalar(std::string()))
                    : dtype == DType::kBool ? b.Constant(Literal::scalar(value != 0))
                                            : b.Scalar(value, dtype);
  return b.Add("broadcast_to", {one}, {{"dims", std::move(dims)}});
}

ir::Ex SliceAxis(OpContext& c, Value x, int axis, const Dim& start, const Dim& limit) {
  if (c.rank(x) <= axis || axis < 0) return Ex(c, {});
  std::vector<Dim> starts(static_cast<std::size_t>(c.shape(x).rank()), Dim(0)), limits = c.shape(x).dims();
  starts[static_cast<std::size_t>(axis)] = start;
  limits[static_cast<std::size_t>(axis)] = limit;
  return Ex(c, c.b.Add("slice", {x}, {{"starts", Shape(std::move(starts))}, {"limits", Shape(std::move(limits))}}));
}

ir::Ex SizeOf(OpContext& c, Value x, int axis, DType dtype) {
  if (c.rank(x) <= axis || axis < 0) return Ex(c, {});
  if (const std::optional<std::int64_t> known = c.shape(x)[axis].try_value())
    return Ex(c, c.b.Scalar(static_cast<double>(*known), dtype));
  const Value all = c.b.Add("shape_of", {x}, {{"dtype", DType::kI64}});
  return Ex(c, c.b.Cast(c.b.Reshape(SliceAxis(c, all, 0, axis, axis + 1), Shape{}), dtype));
}

Dim AsDim(OpContext& c, Value x) {
  if (!c.b.ok()) return 0;
  const Dim dim = Dim::any();
  const Value wide = c.b.Reshape(c.b.Cast(x, DType::kI64), Shape{1});
  const Value made =
      c.b.Add("as_dims", {wide}, {{"symbols", std::vector<std::string>{std::string(dim.symbol_name())}}});
  if (!c.b.ok()) return 0;
  const ir::SymbolicValue& symbolic = c.b.graph().output(made).symbolic;
  return symbolic && symbolic->size() == 1 ? (*symbolic)[0] : dim;
}

Dim OneAbove(OpContext& c, Value x) {
  const Value none = c.b.Constant(Literal::from<std::int64_t>({1}, {-1}));
  const Value all = Join(c, {none, c.b.Cast(x, DType::kI64)}, 0);
  const Value largest = c.b.Add("reduce_max", {all}, {{"axes", Ints{0}}, {"keep_dims", true}});
  return AsDim(c, Ex(c, largest) + 1.0);
}

ir::Ex Checked(OpContext& c, Value indices, Value good) {
  if (!c.b.ok()) return Ex(c, {});
  const DType dtype = c.b.dtype(indices);
  const double lowest = dtype == DType::kI32 ? -0x1p31 : -0x1p63;
  return Select(Ex(c, good), Ex(c, indices), Ex(c, c.b.Scalar(lowest, dtype)));
}

ir::Ex Checked(OpContext& c, Value indices) {
  if (!c.b.ok()) return Ex(c, {});
  if (const std::optional<Literal> known = KnownLiteral(c.b.graph(), indices); known) {
    const Ints all = ir::ToInts(*known);
    if (std::ranges::all_of(all, [](std::int64_t i) { return i >= 0; })) return Ex(c, indices);
  }
  return Checked(c, indices, c.b.Add("greater_equal", {indices, c.b.Scalar(0, c.b.dtype(indices))}));
}

ir::Ex Required(OpContext& c, Value x, Value good) {
  if (c.rank(x) < 1) return Ex(c, {});
  return Take(c, x, Checked(c, Iota(c, Shape({c.shape(x)[0]}), 0, DType::kI64), good), 0);
}

ir::Ex CheckedSplits(OpContext& c, Value splits, Value values, bool whole) {
  const Value wide = c.b.Cast(splits, DType::kI64);
  if (c.rank(wide) != 1 || c.rank(values) < 1) return Ex(c, {});
  const Value n = c.b.Reshape(SizeOf(c, values, 0, DType::kI64), Shape{1});
  const Value around = Join(c, {c.b.Constant(Literal::from<std::int64_t>({1}, {0})), wide, n}, 0);
  const Value ascends = c.b.Add("less_equal", {Starts(c, around), Limits(c, around)});
  Value good = c.b.Add("reduce_all", {ascends}, {{"axes", Ints{0}}});
  if (whole) {
    const Value first = c.b.Reshape(SliceAxis(c, wide, 0, 0, 1), Shape{});
    good = c.b.Add("logical_and", {good, c.b.Add("equal", {first, c.b.Scalar(0, DType::kI64)})});
  }
  return Required(c, wide, good);
}

ir::Ex Expand(OpContext& c, Value x, std::int64_t axis) {
  return Ex(c, c.b.Add("expand_dims", {x}, {{"axes", Ints{axis}}}));
}

ir::Ex Join(OpContext& c, std::vector<Value> parts, std::int64_t axis) {
  return Ex(c, parts.size() == 1 ? parts[0] : c.b.Add("concat", std::move(parts), {{"axis", axis}}));
}

ir::Ex Take(OpContext& c, Value x, Value indices, std::int64_t axis) {
  return Ex(c, c.b.Add("gather", {x, indices}, {{"axis", axis}}));
}

ir::Ex Flat(OpContext& c, Value x) {
  if (c.rank(x) < 0) return Ex(c, {});
  return Ex(c, c.shape(x).rank() == 1 ? x : c.b.Reshape(x, Shape{c.shape(x).size()}));
}

ir::Ex RowsOf(OpContext& c, Value splits, const Dim& n) {
  if (c.rank(splits) != 1) return Ex(c, {});
  // A mark where each row but the first starts; their running sum counts the rows. Marks behind the values stay unread.
  const Value inner = SliceAxis(c, c.b.Cast(splits, DType::kI64), 0, 1, c.shape(splits)[0]);
  const Value ones = c.b.OnesLike(inner);
  const Value marks = c.b.Add("scatter_add", {Filled(c, Shape({n + Dim(1)}), 0, DType::kI64), inner, ones},
                              {{"axis", std::int64_t{0}}});
  return SliceAxis(c, c.b.Add("cumsum", {marks}, {{"axis", std::int64_t{0}}}), 0, 0, n);
}

ir::Ex SplitsOf(OpContext& c, Value lengths) {
  const Value zero = c.b.Cast(c.b.Constant(Literal::from<std::int64_t>({1}, {0})), c.b.dtype(lengths));
  return Join(c, {zero, c.b.Add("cumsum", {lengths}, {{"axis", std::int64_t{0}}})}, 0);
}

ir::Ex Starts(OpContext& c, Value splits) {
  if (c.rank(splits) != 1) return Ex(c, {});
  return SliceAxis(c, splits, 0, 0, c.shape(splits)[0] - Dim(1));
}

ir::Ex Limits(OpContext& c, Value splits) {
  if (c.rank(splits) != 1) return Ex(c, {});
  return SliceAxis(c, splits, 0, 1, c.shape(splits)[0]);
}

void SetSparse(OpContext& c, Value values, Value splits) {
  if (c.rank(values) < 1 || c.rank(splits) != 1) return;
  const Value wide = c.b.Cast(splits, DType::kI64);
  const Dim count = c.shape(values)[0];
  const ir::Ex row = RowsOf(c, wide, count), starts = Starts(c, wide);
  const ir::Ex column = Iota(c, Shape({count}), 0, DType::kI64) - Take(c, starts, row, 0);
  c.Set(0, Join(c, {Expand(c, row, 1), Expand(c, column, 1)}, 1));
  c.Set(1, values);
  const Value none = c.b.Constant(Literal::from<std::int64_t>({1}, {0}));
  const Value lengths = Join(c, {none, Limits(c, wide) - starts}, 0);
  const Value longest = c.b.Add("reduce_max", {lengths}, {{"axes", Ints{0}}, {"keep_dims", true}});
  c.Set(2, Join(c, {c.b.Reshape(SizeOf(c, starts, 0, DType::kI64), Shape{1}), longest}, 0));
}

}  // namespace tenon::savedmodel
