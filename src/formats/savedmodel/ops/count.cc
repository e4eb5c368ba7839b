// Counting and segments: Bincount and its kin, Bucketize, Unique, the Segment family, DynamicPartition and
// DynamicStitch.
#include <fmt/format.h>

#include <limits>

#include "formats/savedmodel/ops/build.h"

namespace tenon::savedmodel {
namespace {

using ir::Value;
using Ints = std::vector<std::int64_t>;

/// A rank-0 i64 of an input with one element.
ir::Ex Number(OpContext& c, int i) { return Ex(c, c.b.Reshape(c.b.Cast(c.in(i), DType::kI64), Shape{})); }

/// Bins of values: those from `size` on fall into one bin more, which is cut off; one below 0 is an error of the run.
ir::Ex Bins(OpContext& c, Value x, ir::Ex size) {
  const ir::Ex wide = Ex(c, c.b.Cast(x, DType::kI64));
  const ir::Ex inside = Op("minimum", wide, size);
  return Select(Op("less", wide, Ex(c, c.b.Scalar(0, DType::kI64))), size + 1.0, inside);
}

/// What a value adds to its bin: its weight, or 1.
ir::Ex Weights(OpContext& c, Value like, int input, DType dtype, bool binary) {
  const Value given = c.in(input);
  if (!c.b.ok()) return Ex(c, {});
  const bool none = c.b.ranked(given) && c.shape(given).size() == Dim(0);
  if (none || binary) return Ex(c, c.b.BroadcastLike(c.b.Scalar(1, dtype), like));
  return Ex(c, c.b.Cast(given, dtype));
}

ir::Ex Capped(OpContext& c, ir::Ex counts, bool binary) {
  return binary ? Op("minimum", counts, Ex(c, c.b.Scalar(1, counts.dtype()))) : counts;
}

/// DenseBincount and Bincount: values [n] or [rows, n], size, weights.
Status Bincount(OpContext& c) {
  const bool dense = c.node.op == "DenseBincount", binary = dense && c.Bool("binary_output", false);
  Value x = c.in(0);
  const auto size = c.sizes(1);
  const std::optional<DType> dtype = c.Type("T");
  const int rank = c.rank(x);
  if (!c.b.ok()) return {};
  if (!size || size->size() != 1 || !dtype || rank > 2) return c.Fail("expected values of rank 1 or 2 and one size");
  if (rank == 0 || !dense) x = Flat(c, x);
  const std::int64_t axis = c.shape(x).rank() - 1;
  ir::Ex weights = Weights(c, x, 2, *dtype, binary);
  if (!c.b.ok()) return {};
  if (!dense) weights = Flat(c, weights);
  std::vector<Dim> dims = c.shape(x).dims();
  dims.back() = (*size)[0] + Dim(1);
  const Value counts =
      c.b.Add("scatter_add_along_axis",
              {Filled(c, Shape(std::move(dims)), 0, *dtype), Bins(c, x, Number(c, 1)), weights}, {{"axis", axis}});
  c.Set(Capped(c, SliceAxis(c, counts, static_cast<int>(axis), 0, (*size)[0]), binary));
  return {};
}

/// Row splits, values, size, weights: [rows, size].
Status RaggedBincount(OpContext& c) {
  const bool binary = c.Bool("binary_output", false);
  const Value splits = c.b.Cast(c.in(0), DType::kI64), x = c.in(1);
  const auto size = c.sizes(2);
  const std::optional<DType> dtype = c.Type("T");
  if (c.rank(splits) != 1 || c.rank(x) != 1 || !size || size->size() != 1 || !dtype)
    return c.Fail("expected row splits, a vector of values and one size");
  const Dim rows = c.shape(splits)[0] - Dim(1), width = (*size)[0] + Dim(1);
  const ir::Ex number = Number(c, 2);
  const ir::Ex at = RowsOf(c, splits, c.shape(x)[0]) * (number + 1.0) + Bins(c, x, number);
  const Value counts =
      c.b.Add("scatter_add", {Filled(c, Shape({rows * width}), 0, *dtype), at, Weights(c, x, 3, *dtype, binary)},
              {{"axis", std::int64_t{0}}});
  if (!c.b.ok()) return {};
  c.Set(Capped(c, SliceAxis(c, c.b.Reshape(counts, Shape({rows, width})), 1, 0, (*size)[0]), binary));
  return {};
}

/// How many boundaries are not above x; NaN is above all.
Status Bucketize(OpContext& c) {
  const AttrValue* attr = c.Attr("boundaries");
  const auto* list = attr == nullptr ? nullptr : attr->get<std::shared_ptr<const AttrList>>();
  Value x = c.in(0);
  if (c.rank(x) < 0) return {};
  if (c.b.dtype(x) != DType::kF64) x = c.b.Cast(x, DType::kF32);
  std::vector<float> limits;
  if (list != nullptr) limits = (*list)->f;
  const auto n = static_cast<std::int64_t>(limits.size());
  const Value line = c.b.Cast(c.b.Constant(Literal::from<float>({n}, limits)), c.b.dtype(x));
  const Value below = c.b.Add("less", {Expand(c, x, -1), line});
  c.Set(c.b.ReduceSum(c.b.Cast(c.b.Add("logical_not", {below}), DType::kI32), {-1}, false));
  return {};
}

Status Unique(OpContext& c) {  // x, axis (of V2)
  ir::Attrs attrs{{"sorted", false}};
  if (c.node.op.ends_with("V2")) {
    const Ints axis = c.ints(1);
    if (!c.b.ok()) return {};
    if (axis.size() > 1) return c.Fail("more than one axis");
    if (axis.size() == 1) attrs.Set("axis", axis[0]);
  }
  const std::vector<Value> out = c.b.AddAll("unique", {c.in(0)}, std::move(attrs));
  if (out.size() < 4) return {};
  const DType index = c.Type("out_idx").value_or(DType::kI32);
  c.Set(0, out[0]);
  c.Set(1, c.b.Cast(out[2], index));
  if (c.node.op.find("Counts") != std::string::npos) c.Set(2, c.b.Cast(out[3], index));
  return {};
}

// Segments.

enum class Joined { kSum, kMean, kSqrtN, kMax, kMin, kProd };

Joined KindOf(std::string_view op) {
  const auto has = [op](std::string_view part) { return op.find(part) != std::string_view::npos; };
  if (has("SqrtN")) return Joined::kSqrtN;
  if (has("Mean")) return Joined::kMean;
  if (has("Max")) return Joined::kMax;
  if (has("Min")) return Joined::kMin;
  return has("Prod") ? Joined::kProd : Joined::kSum;
}

double Extreme(DType dtype, bool lowest) {
  if (dtype == DType::kF64) return lowest ? -std::numeric_limits<double>::max() : std::numeric_limits<double>::max();
  if (dtype == DType::kBF16) return lowest ? -0x1.fep127 : 0x1.fep127;
  if (is_float(dtype) && dtype != DType::kF16)
    return lowest ? -double{std::numeric_limits<float>::max()} : double{std::numeric_limits<float>::max()};
  if (dtype == DType::kF16) return lowest ? -65504 : 65504;
  return lowest ? -0x1p63 : 0x1p64;  // saturates
}

/// Rows [n, …] joined by their segment into `count` rows. Segments of no rows hold `empty`. Rows of a negative segment
/// are left out; the run fails when one is `count` (also given as `number`) or more.
ir::Ex Segments(OpContext& c, Value data, ir::Ex ids, const Dim& count, ir::Ex number, Joined kind, double empty) {
  if (!c.b.ok()) return Ex(c, {});
  const DType dtype = c.b.dtype(data);
  std::vector<Dim> dims = c.shape(data).dims();
  dims[0] = count + Dim(1);  // the last row takes what is left out
  const ir::Ex zero = Ex(c, c.b.Scalar(0, DType::kI64));
  const ir::Ex rows = Select(Op("less", ids, zero), number, Checked(c, ids, Op("less", ids, number)));
  const auto cut = [&](Value whole) { return SliceAxis(c, whole, 0, 0, count); };
  const auto sum = [&](Value of, Shape shape) {
    return c.b.Add("scatter_add", {Filled(c, std::move(shape), 0, c.b.dtype(of)), rows, of},
                   {{"axis", std::int64_t{0}}});
  };
  if (kind == Joined::kMax || kind == Joined::kMin || kind == Joined::kProd) {
    const char* reduction = kind == Joined::kMax ? "maximum" : kind == Joined::kMin ? "minimum" : "multiply";
    return cut(c.b.Add("scatter_nd", {Filled(c, Shape(std::move(dims)), empty, dtype), Expand(c, rows, -1), data},
                       {{"reduction", std::string(reduction)}}));
  }
  const ir::Ex total = cut(sum(data, Shape(dims)));
  if (kind == Joined::kSum || !c.b.ok()) return total;
  std::vector<Dim> tall(dims.size(), Dim(1));
  tall[0] = count;
  const Value each = c.b.BroadcastLike(c.b.Scalar(1, dtype), rows);
  ir::Ex n = Op("maximum", cut(sum(each, Shape({count + Dim(1)}))), Ex(c, c.b.Scalar(1, dtype)));
  if (kind == Joined::kSqrtN) n = Op("sqrt", n);
  return total / Ex(c, c.b.Reshape(n, Shape(std::move(tall))));
}

/// UnsortedSegmentX: data, ids (of a prefix of the data's shape), count. An empty maximum is the lowest number.
Status UnsortedSegment(OpContext& c) {
  Value data = c.in(0), ids = c.b.Cast(c.in(1), DType::kI64);
  const auto count = c.sizes(2);
  const int rank = c.rank(data), prefix = c.rank(ids);
  if (!c.b.ok()) return {};
  if (!count || count->size() != 1) return c.Unsupported("a number of segments that is known only at run time");
  if (prefix > rank) return c.Fail("segments of a higher rank than its data");
  if (prefix != 1) {
    std::vector<Dim> dims{c.shape(ids).size()};
    for (int d = prefix; d < rank; ++d) dims.push_back(c.shape(data)[d]);
    data = c.b.Reshape(data, Shape(std::move(dims)));
    ids = Flat(c, ids);
  }
  const Joined kind = KindOf(c.node.op);
  if (!c.b.ok()) return {};
  const double empty = kind == Joined::kProd ? 1 : Extreme(c.b.dtype(data), kind == Joined::kMax);
  c.Set(Segments(c, data, Ex(c, ids), (*count)[0], Number(c, 2), kind, empty));
  return {};
}

/// Segments as they are; the run fails unless they ascend from 0 or more.
ir::Ex Ascending(OpContext& c, Value ids) {
  if (c.rank(ids) != 1) return Ex(c, {});
  const Value before = Join(c, {c.b.Constant(Literal::from<std::int64_t>({1}, {0})), ids}, 0);
  const Value ascends = c.b.Add("less_equal", {Starts(c, before), ids});
  return Required(c, ids, c.b.Add("reduce_all", {ascends}, {{"axes", Ints{0}}}));
}

/// SegmentX: data, ascending ids; as many rows as the last id says. Empty ones hold 0, of a product 1.
/// SparseSegmentX: data, which rows of it, ids[, the number of segments].
Status Segment(OpContext& c) {
  const bool sparse = c.node.op.starts_with("Sparse");
  Value data = c.in(0);
  if (sparse) data = Take(c, data, Checked(c, c.in(1)), 0);
  const ir::Ex ids = Ascending(c, c.b.Cast(c.in(sparse ? 2 : 1), DType::kI64));
  if (c.rank(data) < 1 || c.rank(ids) != 1) return c.Fail("expected rows and a vector of segments");
  Dim count;
  ir::Ex number;
  if (c.node.op.ends_with("WithNumSegments")) {
    const auto given = c.sizes(3);
    if (!given || given->size() != 1) return c.Unsupported("a number of segments that is known only at run time");
    count = (*given)[0];
    number = Number(c, 3);
  } else {
    count = OneAbove(c, ids);
    number = SizeOf(c, Filled(c, Shape({count}), 0, DType::kBool), 0, DType::kI64);
  }
  const Joined kind = KindOf(c.node.op);
  if (!c.b.ok()) return {};
  const DType dtype = c.b.dtype(data);
  if (kind != Joined::kMax && kind != Joined::kMin) {
    c.Set(Segments(c, data, ids, count, number, kind, 1));
    return {};
  }
  const ir::Ex most = Segments(c, data, ids, count, number, kind, Extreme(dtype, kind == Joined::kMax));
  const ir::Ex filled = Segments(c, c.b.OnesLike(data), ids, count, number, Joined::kSum, 0);
  const ir::Ex zero = Ex(c, c.b.Scalar(0, dtype));
  c.Set(Select(Op("equal", filled, zero), zero, most));
  return {};
}

/// Rows of the data by the partition that each belongs to.
Status DynamicPartition(OpContext& c) {
  Value data = c.in(0), partitions = c.in(1);
  const int rank = c.rank(data), prefix = c.rank(partitions);
  const std::int64_t count = c.Int("num_partitions", 1);
  if (!c.b.ok()) return {};
  if (prefix > rank || count < 1 || count > 4096) return c.Fail("its partitions do not fit its data");
  std::vector<Dim> dims{c.shape(partitions).size()};
  for (int d = prefix; d < rank; ++d) dims.push_back(c.shape(data)[d]);
  if (prefix != 1) data = c.b.Reshape(data, Shape(std::move(dims)));
  // Numbers up to count at the partitions are the partitions again, and refuse others.
  partitions = Take(c, Iota(c, Shape({count}), 0, DType::kI32), Checked(c, Flat(c, partitions)), 0);
  for (std::int64_t k = 0; k < count && c.b.ok(); ++k) {
    const Value here = c.b.Add("equal", {partitions, c.b.Scalar(static_cast<double>(k), c.b.dtype(partitions))});
    const Value found = c.b.Add("nonzero", {here});
    if (!c.b.ok()) break;
    c.Set(static_cast<int>(k), Take(c, data, c.b.Reshape(found, Shape({c.shape(found)[1]})), 0));
  }
  return {};
}

/// Indices…, data…: row indices[m][i] of the result is data[m][i]; the last of equal ones stays.
Status DynamicStitch(OpContext& c) {
  const int n = c.size() / 2;
  if (n < 1 || c.size() != 2 * n) return c.Fail("expected as many indices as data");
  std::vector<Value> indices, rows;
  std::int64_t known = 0;
  bool fixed = true;
  std::vector<Dim> item;
  for (int m = 0; m < n; ++m) {
    const Value index = Checked(c, c.b.Cast(c.in(m), DType::kI64)), data = c.in(n + m);
    const int prefix = c.rank(index), rank = c.rank(data);
    if (!c.b.ok()) return {};
    if (prefix > rank) return c.Fail("indices of a higher rank than their data");
    item.assign(c.shape(data).dims().begin() + prefix, c.shape(data).dims().end());
    std::vector<Dim> dims = item;
    dims.insert(dims.begin(), c.shape(index).size());
    indices.push_back(Flat(c, index));
    rows.push_back(prefix == 1 ? data : c.b.Reshape(data, Shape(std::move(dims))));
    const auto values = c.dims(m);
    fixed = fixed && values.has_value();
    for (std::size_t i = 0; fixed && i < values->size(); ++i) {
      fixed = !(*values)[i].is_symbolic();
      if (fixed) known = std::max(known, (*values)[i].value() + 1);
    }
  }
  const ir::Ex where = Join(c, indices, 0);
  item.insert(item.begin(), fixed ? Dim(known) : OneAbove(c, where));
  if (!c.b.ok()) return {};
  const ir::Ex empty = Filled(c, Shape(std::move(item)), 0, c.b.dtype(rows[0]));
  c.Set(c.b.Add("scatter_nd", {empty, Expand(c, where, -1), Join(c, rows, 0)}));
  return {};
}

constexpr Rule kRules[] = {
    {"DenseBincount", Bincount},
    {"Bincount", Bincount},
    {"RaggedBincount", RaggedBincount},
    {"Bucketize", Bucketize},
    {"Unique", Unique},
    {"UniqueV2", Unique},
    {"UniqueWithCounts", Unique},
    {"UniqueWithCountsV2", Unique},
    {"UnsortedSegmentSum", UnsortedSegment},
    {"UnsortedSegmentMax", UnsortedSegment},
    {"UnsortedSegmentMin", UnsortedSegment},
    {"UnsortedSegmentProd", UnsortedSegment},
    {"SegmentSum", Segment},
    {"SegmentMean", Segment},
    {"SegmentMax", Segment},
    {"SegmentMin", Segment},
    {"SegmentProd", Segment},
    {"SparseSegmentSum", Segment},
    {"SparseSegmentMean", Segment},
    {"SparseSegmentSqrtN", Segment},
    {"SparseSegmentSumWithNumSegments", Segment},
    {"SparseSegmentMeanWithNumSegments", Segment},
    {"SparseSegmentSqrtNWithNumSegments", Segment},
    {"DynamicPartition", DynamicPartition},
    {"DynamicStitch", DynamicStitch},
    {"ParallelDynamicStitch", DynamicStitch},
};

}  // namespace

std::span<const Rule> CountRules() { return kRules; }

}  // namespace tenon::savedmodel
