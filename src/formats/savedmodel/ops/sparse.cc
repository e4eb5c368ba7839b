// Sparse tensors (indices, values, shape) and ragged ones (values, row splits) made dense.
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

/// One ragged dim, given by its row splits: element [i, j] is values[splits[i] + j] while row i has so many, else the
/// default, which stands behind the values.
Status RaggedTensorToTensor(OpContext& c) {  // shape, values, default, partitions…
  const AttrValue* attr = c.Attr("row_partition_types");
  const auto* list = attr == nullptr ? nullptr : attr->get<std::shared_ptr<const AttrList>>();
  if (list == nullptr || (*list)->s != std::vector<std::string>{"ROW_SPLITS"} || c.size() != 4)
    return c.Unsupported("of more than one ragged dim");
  const Value values = c.in(1), splits = c.b.Cast(c.in(3), DType::kI64);
  const auto wanted = c.dims(0);
  if (c.rank(splits) != 1 || c.rank(values) < 1) return {};
  if (!wanted) return c.Unsupported("to a shape that is known only at run time");
  const Dim count = c.shape(splits)[0], rows = count - Dim(1), n = c.shape(values)[0];
  const Value next = c.b.Add("slice", {splits}, {{"starts", Shape{1}}, {"limits", Shape{count}}});
  const Value first = c.b.Add("slice", {splits}, {{"starts", Shape{0}}, {"limits", Shape{rows}}});
  const Value lengths = c.b.Add("subtract", {next, first});
  Dim width(-1);
  if (wanted->size() > 1) width = (*wanted)[1];
  if (wanted->size() > 1 && (*wanted)[0] != Dim(-1) && (*wanted)[0] != rows)
    return c.Unsupported("to another number of rows");
  if (width == Dim(-1)) {
    const Value none = c.b.Constant(Literal::from<std::int64_t>({1}, {0}));
    const Value all = c.b.Add("concat", {none, lengths}, {{"axis", std::int64_t{0}}});
    const Value longest = c.b.Add("reduce_max", {all}, {{"axes", std::vector<std::int64_t>{0}}, {"keep_dims", true}});
    width = Dim::any();
    (void)c.b.Add("as_dims", {longest}, {{"symbols", std::vector<std::string>{std::string(width.symbol_name())}}});
  }
  std::vector<Dim> item(c.shape(values).dims().begin() + 1, c.shape(values).dims().end());
  item.insert(item.begin(), Dim(1));
  const Value fill = c.b.Add("broadcast_to", {c.in(2)}, {{"dims", Shape(std::move(item))}});
  const Value pool = c.b.Add("concat", {values, fill}, {{"axis", std::int64_t{0}}});
  const auto tall = [&](Value v) { return c.b.Reshape(v, Shape({rows, Dim(1)})); };
  const Value at =
      c.b.Add("iota", {}, {{"dims", Shape({Dim(1), width})}, {"axis", std::int64_t{1}}, {"dtype", DType::kI64}});
  const Value behind = c.b.Add("slice", {c.b.Add("shape_of", {values}, {{"dtype", DType::kI64}})},
                               {{"starts", Shape{0}}, {"limits", Shape{1}}});
  const Value inside = c.b.Add("less", {at, tall(lengths)});
  const Value index = c.b.Add("select", {inside, c.b.Add("add", {tall(first), at}), c.b.Reshape(behind, Shape{1, 1})});
  c.Set(c.b.Add("gather", {pool, index}, {{"axis", std::int64_t{0}}}));
  return {};
}

constexpr Rule kRules[] = {
    {"SparseToDense", SparseToDense},
    {"SparseTensorDenseMatMul", SparseTensorDenseMatMul},
    {"RaggedTensorToTensor", RaggedTensorToTensor},
};

}  // namespace

std::span<const Rule> SparseRules() { return kRules; }

}  // namespace tenon::savedmodel
