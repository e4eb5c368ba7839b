// Ragged tensors: values in a row and, for a ragged dim, the row splits (where each row starts, and the end).
#include <fmt/format.h>

#include "base/status_macros.h"
#include "formats/savedmodel/ops/build.h"

namespace tenon::savedmodel {
namespace {

using ir::Value;
using Ints = std::vector<std::int64_t>;

/// The row splits of input 1 that the partition inputs from `first` on describe: ROW_SPLITS, or FIRST_DIM_SIZE and
/// VALUE_ROWIDS.
Result<Value> Splits(OpContext& c, const std::vector<std::string>& kinds, int first) {
  if (kinds == std::vector<std::string>{"ROW_SPLITS"} && c.size() == first + 1)
    return Value(CheckedSplits(c, c.in(first), c.in(1)));
  if (kinds != std::vector<std::string>{"FIRST_DIM_SIZE", "VALUE_ROWIDS"} || c.size() != first + 2)
    return c.Unsupported("of more than one ragged dim");
  const auto rows = c.sizes(first);
  const Value ids = Checked(c, c.b.Cast(c.in(first + 1), DType::kI64));
  if (!rows || rows->size() != 1 || c.rank(ids) != 1)
    return c.Fail("expected a number of rows and a row of each value");
  const Value lengths = c.b.Add("scatter_add", {Filled(c, Shape({(*rows)[0]}), 0, DType::kI64), ids, c.b.OnesLike(ids)},
                                {{"axis", std::int64_t{0}}});
  return Value(SplitsOf(c, lengths));
}

/// Element [i, j] is values[splits[i] + j] while row i has so many, else the default, which stands behind the values.
Status ToTensor(OpContext& c) {  // shape, values, default, partitions…
  const AttrValue* attr = c.Attr("row_partition_types");
  const auto* list = attr == nullptr ? nullptr : attr->get<std::shared_ptr<const AttrList>>();
  if (list == nullptr) return c.Fail("it has no attribute \"row_partition_types\"");
  const Value values = c.in(1);
  TENON_ASSIGN_OR_RETURN(const Value splits, Splits(c, (*list)->s, 3));
  const auto wanted = c.dims(0);
  if (c.rank(splits) != 1 || c.rank(values) < 1) return {};
  if (!wanted) return c.Unsupported("to a shape that is known only at run time");
  const Dim rows = c.shape(splits)[0] - Dim(1);
  const ir::Ex first = Starts(c, splits), lengths = Limits(c, splits) - first;
  Dim width(-1);
  if (wanted->size() > 1) width = (*wanted)[1];
  if (wanted->size() > 1 && (*wanted)[0] != Dim(-1) && (*wanted)[0] != rows)
    return c.Unsupported("to another number of rows");
  if (width == Dim(-1)) width = OneAbove(c, lengths - 1.0);
  if (!c.b.ok()) return {};
  std::vector<Dim> item(c.shape(values).dims().begin() + 1, c.shape(values).dims().end());
  item.insert(item.begin(), Dim(1));
  const Value fill = c.b.Add("broadcast_to", {c.in(2)}, {{"dims", Shape(std::move(item))}});
  const ir::Ex pool = Join(c, {values, fill}, 0);
  const ir::Ex at = Iota(c, Shape({Dim(1), width}), 1, DType::kI64);
  const ir::Ex inside = Op("less", at, Expand(c, lengths, 1));
  const ir::Ex index = Select(inside, Expand(c, first, 1) + at, SizeOf(c, values, 0, DType::kI64));
  c.Set(Take(c, pool, index, 0));
  return {};
}

/// Row splits of chosen rows and where each of their values lies: rows i of lengths[i] values that start at starts[i]
/// and go on by steps[i].
struct Walk {
  ir::Ex splits, places;
};
Walk WalkRows(OpContext& c, ir::Ex starts, ir::Ex lengths, ir::Ex steps) {
  const ir::Ex splits = SplitsOf(c, lengths);
  if (!c.b.ok()) return {splits, splits};
  const Dim total = AsDim(c, c.b.ReduceSum(lengths, {0}, true));
  const ir::Ex row = RowsOf(c, splits, total);
  const ir::Ex inner = Iota(c, Shape({total}), 0, DType::kI64) - Take(c, Starts(c, splits), row, 0);
  const ir::Ex walked = steps.v.valid() ? inner * Take(c, steps, row, 0) : inner;
  return {splits, Take(c, starts, row, 0) + walked};
}

/// Rows of a ragged tensor of one ragged dim: row splits, values, which rows.
Status Gather(OpContext& c) {
  if (c.Int("PARAMS_RAGGED_RANK", 1) != 1 || c.size() != 3) return c.Unsupported("of more than one ragged dim");
  const Value splits = c.in(0), values = c.in(1), rows = Checked(c, c.b.Cast(c.in(2), DType::kI64));
  if (c.rank(splits) != 1 || c.rank(rows) != 1) return c.Unsupported("by indices that are no vector");
  const ir::Ex wide = CheckedSplits(c, splits, values, false), starts = Take(c, Starts(c, wide), rows, 0);
  const Walk walk = WalkRows(c, starts, Take(c, Limits(c, wide), rows, 0) - starts, Ex(c, {}));
  if (!c.b.ok()) return {};
  c.Set(0, c.b.Cast(walk.splits, c.b.dtype(splits)));
  c.Set(1, Take(c, values, walk.places, 0));
  return {};
}

/// Rows start, start + step, … below the limit.
Status Range(OpContext& c) {  // starts, limits, steps: vectors or numbers
  const Value given = c.in(0);
  if (!c.b.ok()) return {};
  if (!is_integer(c.b.dtype(given))) return c.Unsupported("of floats");
  Value like = given;
  for (const Value v : c.ins(0))
    if (c.rank(v) == 1) like = v;
  if (c.rank(like) == 0) like = c.b.Reshape(like, Shape{1});
  const auto part = [&](int i) { return Ex(c, c.b.Cast(c.b.BroadcastLike(c.in(i), like), DType::kI64)); };
  const ir::Ex start = part(0), limit = part(1), step = part(2), zero = Ex(c, c.b.Scalar(0, DType::kI64));
  const ir::Ex count = Op("maximum", zero, -Op("floor_divide", start - limit, step));  // rounded up
  const Walk walk = WalkRows(c, start, count, step);
  if (!c.b.ok()) return {};
  c.Set(0, c.b.Cast(walk.splits, c.Type("Tsplits").value_or(DType::kI64)));
  c.Set(1, c.b.Cast(walk.places, c.b.dtype(given)));
  return {};
}

Status ToSparse(OpContext& c) {  // row splits, values
  if (c.Int("RAGGED_RANK", 1) != 1 || c.size() != 2 || c.rank(c.in(1)) != 1)
    return c.Unsupported("of more than one ragged dim");
  SetSparse(c, c.in(1), c.in(0));
  return {};
}

constexpr Rule kRules[] = {
    {"RaggedTensorToSparse", ToSparse},
    {"RaggedTensorToTensor", ToTensor},
    {"RaggedGather", Gather},
    {"RaggedRange", Range},
};

}  // namespace

std::span<const Rule> RaggedRules() { return kRules; }

}  // namespace tenon::savedmodel
