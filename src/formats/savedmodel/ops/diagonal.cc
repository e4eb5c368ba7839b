// Diagonals of matrices, rolled axes, shifted bits, reversed sequences.
#include <fmt/format.h>

#include "formats/savedmodel/ops/build.h"

namespace tenon::savedmodel {
namespace {

using ir::Value;
using Ints = std::vector<std::int64_t>;

/// The one diagonal on input i (0: the main one, 1: above it); an error when there are several.
std::int64_t OneDiagonal(OpContext& c, int i) {
  const Ints k = c.ints(i);
  if (!c.b.ok()) return 0;
  if (k.empty() || k.front() != k.back() || k.size() > 2 || k[0] < -(1 << 20) || k[0] > 1 << 20) {
    c.b.SetStatus(c.Unsupported("of a band of diagonals"));
    return 0;
  }
  return k[0];
}

/// column - row of every element of those matrices.
ir::Ex Offsets(OpContext& c, const Dim& rows, const Dim& columns) {
  const Shape dims{rows, columns};
  return Iota(c, dims, 1, DType::kI64) - Iota(c, dims, 0, DType::kI64);
}

/// Vectors [..., n] as a diagonal of square matrices; V2 and V3: k, rows, columns, padding.
Status MatrixDiag(OpContext& c) {
  Value x = c.in(0);
  const int rank = c.rank(x);
  if (rank < 1) return c.Fail("expected vectors");
  std::int64_t k = 0;
  Value fill = c.b.dtype(x) == DType::kBool ? c.b.Constant(Literal::scalar(false)) : c.b.Scalar(0, c.b.dtype(x));
  const Dim size = c.shape(x)[rank - 1];
  if (c.size() > 1) {
    k = OneDiagonal(c, 1);
    const Dim square = size + Dim(k < 0 ? -k : k);
    for (const int i : {2, 3}) {
      const auto given = c.dims(i);
      if (!given || given->size() != 1 || ((*given)[0] != Dim(-1) && (*given)[0] != square))
        return c.Unsupported("into matrices that are not square");
    }
    fill = c.in(4);
  }
  if (!c.b.ok()) return {};
  std::vector<Dim> low(static_cast<std::size_t>(rank), Dim(0)), high = low;
  (k < 0 ? low : high).back() = k < 0 ? -k : k;
  if (k != 0) x = c.b.Add("pad", {x}, {{"low", Shape(low)}, {"high", Shape(high)}});  // an element for each row
  const Dim rows = size + Dim(k < 0 ? -k : k);
  const ir::Ex here = Op("equal", Offsets(c, rows, rows), Ex(c, c.b.Scalar(static_cast<double>(k), DType::kI64)));
  c.Set(Select(here, Expand(c, x, -1), Ex(c, fill)));
  return {};
}

/// The main diagonal of matrices, or another one (V2 and V3: k, padding).
Status MatrixDiagPart(OpContext& c) {
  const Value x = c.in(0);
  const int rank = c.rank(x);
  if (rank < 2) return c.Fail("expected matrices");
  const std::int64_t k = c.size() > 1 ? OneDiagonal(c, 1) : 0;
  if (!c.b.ok()) return {};
  std::vector<Dim> dims = c.shape(x).dims();
  const Dim columns = dims.back();
  dims.pop_back();
  const Dim rows = dims.back();
  dims.back() = rows * columns;
  const Dim n = Dim::min(rows + Dim(k < 0 ? k : 0), columns - Dim(k > 0 ? k : 0));
  const ir::Ex at = Iota(c, Shape({n}), 0, DType::kI64);
  const ir::Ex place = (at + static_cast<double>(k < 0 ? -k : 0)) * SizeOf(c, x, rank - 1, DType::kI64) +
                       (at + static_cast<double>(k > 0 ? k : 0));
  c.Set(Take(c, c.b.Reshape(x, Shape(std::move(dims))), place, rank - 2));
  return {};
}

/// Matrices with their main diagonal replaced.
Status MatrixSetDiag(OpContext& c) {
  const Value x = c.in(0), diagonal = c.in(1);
  const int rank = c.rank(x);
  if (rank < 2 || c.rank(diagonal) != rank - 1) return c.Fail("expected matrices and a vector for each");
  if (c.size() > 2 && OneDiagonal(c, 2) != 0) return c.Unsupported("other than the main diagonal");
  const Dim rows = c.shape(x)[rank - 2], columns = c.shape(x)[rank - 1];
  if (rows != columns) return c.Unsupported("of matrices that are not square");
  const ir::Ex here = Op("equal", Offsets(c, rows, columns), Ex(c, c.b.Scalar(0, DType::kI64)));
  c.Set(Select(here, Expand(c, diagonal, -1), Ex(c, x)));
  return {};
}

/// Elements moved along axes, round the end.
Status Roll(OpContext& c) {  // x, shifts, axes
  Value x = c.in(0);
  const Value shifts = c.b.Cast(c.in(1), DType::kI64);
  const int rank = c.rank(x);
  const Ints axes = c.ints(2);
  if (!c.b.ok()) return {};
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const std::int64_t axis = axes[i] < 0 ? axes[i] + rank : axes[i];
    if (axis < 0 || axis >= rank) return c.Fail(fmt::format("axis {} of rank {}", axes[i], rank));
    const Value shift =
        c.rank(shifts) == 0
            ? shifts
            : c.b.Reshape(SliceAxis(c, shifts, 0, static_cast<std::int64_t>(i), static_cast<std::int64_t>(i + 1)),
                          Shape{});
    const ir::Ex at = Iota(c, Shape({c.shape(x)[static_cast<int>(axis)]}), 0, DType::kI64);
    const ir::Ex from = Op("remainder", at - Ex(c, shift), SizeOf(c, x, static_cast<int>(axis), DType::kI64));
    x = Take(c, x, from, axis);
  }
  c.Set(x);
  return {};
}

/// x * 2^y; a shift beyond the bits is one by all but one of them.
Status Shift(OpContext& c) {
  const Value x = c.in(0), y = c.in(1);
  if (!c.b.ok()) return {};
  const DType dtype = c.b.dtype(x);
  const ir::Ex by = Ex(c, c.b.Add("clip", {y, c.b.Scalar(0, dtype), c.b.Scalar(dtype_bits(dtype) - 1, dtype)}));
  const ir::Ex two = Ex(c, c.b.Scalar(2, dtype));
  if (c.node.op == "LeftShift") {
    c.Set(Ex(c, x) * Op("power", two, by));
    return {};
  }
  // In two halves, since 2^(bits - 1) is negative.
  const ir::Ex half = Op("floor_divide", by, two), rest = by - half;
  c.Set(Op("floor_divide", Op("floor_divide", Ex(c, x), Op("power", two, half)), Op("power", two, rest)));
  return {};
}

/// Of each entry of the batch the first lengths[i] elements along an axis in reverse.
Status ReverseSequence(OpContext& c) {  // x, lengths
  const Value x = c.in(0), lengths = c.b.Cast(c.in(1), DType::kI64);
  const std::int64_t seq = c.Int("seq_dim", 0), batch = c.Int("batch_dim", 0);
  const int rank = c.rank(x);
  if (!c.b.ok()) return {};
  if (seq < 0 || batch < 0 || seq >= rank || batch >= rank || seq == batch || c.rank(lengths) != 1)
    return c.Fail("its axes do not fit its input");
  const int b = static_cast<int>(batch);
  std::vector<Dim> tall(static_cast<std::size_t>(rank), Dim(1));
  tall[static_cast<std::size_t>(b)] = c.shape(x)[b];
  const ir::Ex count = Ex(c, c.b.Reshape(lengths, Shape(std::move(tall))));
  const ir::Ex at = Iota(c, c.shape(x), seq, DType::kI64);
  const ir::Ex from = Select(Op("less", at, count), count - 1.0 - at, at);
  c.Set(c.b.Add("take_along_axis", {x, from}, {{"axis", seq}}));
  return {};
}

constexpr Rule kRules[] = {
    {"MatrixDiag", MatrixDiag},
    {"MatrixDiagV2", MatrixDiag},
    {"MatrixDiagV3", MatrixDiag},
    {"MatrixDiagPart", MatrixDiagPart},
    {"MatrixDiagPartV2", MatrixDiagPart},
    {"MatrixDiagPartV3", MatrixDiagPart},
    {"MatrixSetDiag", MatrixSetDiag},
    {"MatrixSetDiagV2", MatrixSetDiag},
    {"MatrixSetDiagV3", MatrixSetDiag},
    {"Roll", Roll},
    {"LeftShift", Shift},
    {"RightShift", Shift},
    {"ReverseSequence", ReverseSequence},
};

}  // namespace

std::span<const Rule> DiagonalRules() { return kRules; }

}  // namespace tenon::savedmodel
