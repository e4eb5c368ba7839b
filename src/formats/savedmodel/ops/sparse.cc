// Sparse tensors (indices, values, shape) made dense.
#include <fmt/format.h>

#include "formats/savedmodel/ops/context.h"

namespace tenon::savedmodel {
namespace {

using ir::Value;

Status SparseToDense(OpContext& c) {  // indices, shape, values, default
  Value indices = c.b.Cast(c.in(0), DType::kI64);
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
  if (c.Bool("adjoint_a", false) || c.Bool("adjoint_b", false)) return c.Unsupported("of an adjoint");
  const Value indices = c.b.Cast(c.in(0), DType::kI64), values = c.in(1), b = c.in(3);
  const auto dims = c.sizes(2);
  if (c.rank(indices) != 2 || c.rank(b) != 2 || !dims || dims->size() != 2) return c.Unsupported("of no matrices");
  const Dim n = c.shape(indices)[0];
  const auto column = [&](int k) {
    const Value one = c.b.Add("slice", {indices}, {{"starts", Shape{0, k}}, {"limits", Shape({n, Dim(k + 1)})}});
    return c.b.Reshape(one, Shape({n}));
  };
  const Value rows = c.b.Add("gather", {b, column(1)}, {{"axis", std::int64_t{0}}});
  const Value weighted = c.b.Add("multiply", {rows, c.b.Reshape(values, Shape({n, Dim(1)}))});
  const Value zeros =
      c.b.Add("broadcast_to", {c.b.Scalar(0, c.b.dtype(b))}, {{"dims", Shape({(*dims)[0], c.shape(b)[1]})}});
  c.Set(c.b.Add("scatter_add", {zeros, column(0), weighted}, {{"axis", std::int64_t{0}}}));
  return {};
}

constexpr Rule kRules[] = {
    {"SparseToDense", SparseToDense},
    {"SparseTensorDenseMatMul", SparseTensorDenseMatMul},
};

}  // namespace

std::span<const Rule> SparseRules() { return kRules; }

}  // namespace tenon::savedmodel
