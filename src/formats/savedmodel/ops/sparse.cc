// Sparse tensors: indices [n, rank], values [n], the dense shape [rank].
#include <fmt/format.h>

#include "formats/savedmodel/ops/build.h"

namespace tenon::savedmodel {
namespace {

using ir::Value;

Status SparseToDense(OpContext& c) {  // indices, shape, values, default
  Value indices = Checked(c, c.b.Cast(c.in(0), DType::kI64));
  const auto dims = c.sizes(1);
  Value values = c.in(2);
  const int rank = c.rank(indices);
  if (!c.b.ok()) return {};
  if (!dims) return c.Unsupported("to a shape whose rank is not known");
  if (rank < 2) indices = c.b.Reshape(indices, Shape({rank == 0 ? Dim(1) : c.shape(indices)[0], Dim(1)}));
  if (c.rank(values) == 0) values = c.b.Add("broadcast_to", {values}, {{"dims", Shape({c.shape(indices)[0]})}});
  const Value all = c.b.Add("broadcast_to", {c.in(3)}, {{"dims", Shape(*dims)}});
  c.Set(c.b.Add("scatter_nd", {all, indices, values}));
  return {};
}

/// Rows of b, weighted and added up.
Status SparseTensorDenseMatMul(OpContext& c) {  // indices [n, 2], values, shape, b
  const Value indices = Checked(c, c.b.Cast(c.in(0), DType::kI64)), values = c.in(1);
  Value b = c.in(3);
  if (c.rank(b) == 2 && c.Bool("adjoint_b", false)) b = c.b.Transpose(b, {1, 0});
  const int out = c.Bool("adjoint_a", false) ? 1 : 0;  // which index is a row of the result
  const auto dims = c.sizes(2);
  if (c.rank(indices) != 2 || c.rank(b) != 2 || !dims || dims->size() != 2) return c.Unsupported("of no matrices");
  const Dim n = c.shape(indices)[0];
  const auto column = [&](int k) {
    const Value one = c.b.Add("slice", {indices}, {{"starts", Shape{0, k}}, {"limits", Shape({n, Dim(k + 1)})}});
    return c.b.Reshape(one, Shape({n}));
  };
  const Value rows = c.b.Add("gather", {b, column(1 - out)}, {{"axis", std::int64_t{0}}});
  const Value weighted = c.b.Add("multiply", {rows, c.b.Reshape(values, Shape({n, Dim(1)}))});
  const Value zeros = c.b.Add("broadcast_to", {c.b.Scalar(0, c.b.dtype(b))},
                              {{"dims", Shape({(*dims)[static_cast<std::size_t>(out)], c.shape(b)[1]})}});
  c.Set(c.b.Add("scatter_add", {zeros, column(out), weighted}, {{"axis", std::int64_t{0}}}));
  return {};
}

/// Element k of an integer vector, as a rank-0 i64.
ir::Ex At(OpContext& c, Value v, std::int64_t k) {
  return Ex(c, c.b.Reshape(SliceAxis(c, c.b.Cast(v, DType::kI64), 0, k, k + 1), Shape{}));
}

/// Rows without a value get the default in column 0. Also: which rows those are, and where each value has gone.
Status FillEmptyRows(OpContext& c) {  // indices, values, shape, default
  const Value indices = Checked(c, c.b.Cast(c.in(0), DType::kI64)), values = c.in(1), shape = c.in(2);
  if (c.rank(indices) != 2 || c.rank(values) != 1 || c.rank(shape) != 1) return c.Fail("expected a sparse tensor");
  const Dim n = c.shape(values)[0], rows = AsDim(c, At(c, shape, 0)), rank = c.shape(indices)[1];
  const ir::Ex row = Ex(c, c.b.Reshape(SliceAxis(c, indices, 1, 0, 1), Shape({n})));
  const Value zeros = Filled(c, Shape({rows}), 0, DType::kI64);
  const Value counts = c.b.Add("scatter_add", {zeros, row, c.b.OnesLike(row)}, {{"axis", std::int64_t{0}}});
  const ir::Ex empty = Op("equal", Ex(c, counts), Ex(c, c.b.Scalar(0, DType::kI64)));
  const auto before = [&](Value v) {
    return Ex(c, c.b.Add("cumsum", {c.b.Cast(v, DType::kI64)}, {{"axis", std::int64_t{0}}, {"exclusive", true}}));
  };
  const ir::Ex holes = before(empty), filled = before(counts);
  const Value found = c.b.Add("nonzero", {empty});
  if (!c.b.ok()) return {};
  const Dim extra = c.shape(found)[1];
  const Value which = c.b.Reshape(found, Shape({extra}));
  // The values go by row, those of a row as they stand.
  const std::vector<Value> order = c.b.AddAll("top_k", {row}, {{"k", std::int64_t{-1}}, {"largest", false}});
  if (order.size() != 2) return {};
  const Value numbers = Iota(c, Shape({n}), 0, DType::kI64);
  const Value rank_of = c.b.Add("scatter_nd", {Filled(c, Shape({n}), 0, DType::kI64), Expand(c, order[1], 1), numbers});
  const ir::Ex moved = Ex(c, rank_of) + Take(c, holes, row, 0);
  const ir::Ex places = Join(c, {moved, Take(c, holes + filled, which, 0)}, 0);
  const Value others = Filled(c, Shape({extra, rank - Dim(1)}), 0, DType::kI64);
  const Value all = Join(c, {indices, Join(c, {Expand(c, which, 1), others}, 1)}, 0);
  const Value fill = c.b.Add("broadcast_to", {c.b.Reshape(c.in(3), Shape{})}, {{"dims", Shape({extra})}});
  const auto placed = [&](Value v, Shape dims) {
    return c.b.Add("scatter_nd", {Filled(c, std::move(dims), 0, c.b.dtype(v)), Expand(c, places, 1), v});
  };
  c.Set(0, placed(all, Shape({n + extra, rank})));
  c.Set(1, placed(Join(c, {values, fill}, 0), Shape({n + extra})));
  c.Set(2, empty);
  c.Set(3, moved);
  return {};
}

/// How far apart neighbours along each axis lie in row-major order.
ir::Ex Strides(OpContext& c, Value shape) {
  return Ex(c, c.b.Add("cumprod", {shape}, {{"axis", std::int64_t{0}}, {"exclusive", true}, {"reverse", true}}));
}
/// Places in row-major order, [n].
ir::Ex Places(OpContext& c, Value indices, Value shape) {
  return Ex(c, c.b.ReduceSum(Ex(c, indices) * Strides(c, shape), {1}, false));
}

Status SparseReshape(OpContext& c) {  // indices, shape, new shape
  const Value indices = c.b.Cast(c.in(0), DType::kI64), from = c.b.Cast(c.in(1), DType::kI64);
  const ir::Ex wanted = Ex(c, c.b.Cast(c.in(2), DType::kI64));
  if (c.rank(indices) != 2 || c.rank(from) != 1 || c.rank(wanted) != 1) return c.Fail("expected a sparse tensor");
  const auto product = [&](Value v) {
    return Ex(c, c.b.Add("reduce_prod", {v}, {{"axes", std::vector<std::int64_t>{0}}}));
  };
  // With one -1 the product of the new dims is minus that of the others.
  const ir::Ex open = Op("equal", wanted, Ex(c, c.b.Scalar(-1, DType::kI64)));
  const ir::Ex to = Select(open, Op("floor_divide", product(from), -product(wanted)), wanted);
  const ir::Ex place = Expand(c, Places(c, indices, from), 1);
  c.Set(0, Op("remainder", Op("floor_divide", place, Strides(c, to)), to));
  c.Set(1, to);
  return {};
}

/// In row-major order; no two values have one place.
Status Reorder(OpContext& c) {  // indices, values, shape
  const Value indices = c.b.Cast(c.in(0), DType::kI64);
  if (c.rank(indices) != 2) return c.Fail("expected a sparse tensor");
  const Value place = Places(c, indices, c.b.Cast(c.in(2), DType::kI64));
  const std::vector<Value> order = c.b.AddAll("top_k", {place}, {{"k", std::int64_t{-1}}, {"largest", false}});
  if (order.size() != 2) return {};
  c.Set(0, Take(c, indices, order[1], 0));
  c.Set(1, Take(c, c.in(1), order[1], 0));
  return {};
}

Status SparseSlice(OpContext& c) {  // indices, values, shape, start, size
  const ir::Ex indices = Ex(c, c.b.Cast(c.in(0), DType::kI64)), shape = Ex(c, c.b.Cast(c.in(2), DType::kI64)),
               start = Ex(c, c.b.Cast(c.in(3), DType::kI64)), size = Ex(c, c.b.Cast(c.in(4), DType::kI64));
  if (c.rank(indices) != 2) return c.Fail("expected a sparse tensor");
  const ir::Ex inside = Op("logical_and", Op("greater_equal", indices, start), Op("less", indices, start + size));
  const Value found = c.b.Add("nonzero", {c.b.Add("reduce_all", {inside}, {{"axes", std::vector<std::int64_t>{1}}})});
  if (!c.b.ok()) return {};
  const Value kept = c.b.Reshape(found, Shape({c.shape(found)[1]}));
  const ir::Ex zero = Ex(c, c.b.Scalar(0, DType::kI64));
  c.Set(0, Take(c, indices, kept, 0) - start);
  c.Set(1, Take(c, c.in(1), kept, 0));
  c.Set(2, Op("maximum", Op("minimum", size, shape - start), zero));
  return {};
}

constexpr Rule kRules[] = {
    {"SparseFillEmptyRows", FillEmptyRows},
    {"SparseReshape", SparseReshape},
    {"SparseReorder", Reorder},
    {"SparseSlice", SparseSlice},
    {"SparseToDense", SparseToDense},
    {"SparseTensorDenseMatMul", SparseTensorDenseMatMul},
};

}  // namespace

std::span<const Rule> SparseRules() { return kRules; }

}  // namespace tenon::savedmodel
