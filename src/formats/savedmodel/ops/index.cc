// Gather, scatter, OneHot, TopK, Where.
#include <fmt/format.h>

#include "base/status_macros.h"
#include "formats/savedmodel/ops/build.h"

namespace tenon::savedmodel {
namespace {

using ir::Value;

Status Gather(OpContext& c) {
  const bool v2 = c.node.op == "GatherV2";
  const Value x = c.in(0), indices = c.in(1);
  const std::int64_t axis = v2 ? c.integer(2) : 0;
  const auto elements = c.dims(0), which = c.dims(1);
  c.Set(c.b.Add("gather", {x, Checked(c, indices)}, {{"axis", axis}, {"batch_dims", v2 ? c.Int("batch_dims", 0) : 0}}));
  if (!c.b.ok() || !elements || !which || !c.b.ranked(x) || c.shape(x).rank() != 1) return {};
  std::vector<Dim> out;
  for (const Dim& index : *which) {
    if (index.is_symbolic() || index.value() < 0 || static_cast<std::size_t>(index.value()) >= elements->size())
      return {};
    out.push_back((*elements)[static_cast<std::size_t>(index.value())]);
  }
  c.SetDims(0, std::move(out));
  return {};
}

Status ResourceGather(OpContext& c) {
  const int cell = c.cell(0);
  if (cell < 0) return {};
  TENON_ASSIGN_OR_RETURN(const Value table, c.t.Read(cell));
  if (c.node.op == "ResourceGatherNd") {
    c.Set(c.b.Add("gather_nd", {table, Checked(c, c.in(1))}));
  } else {
    const std::int64_t batch = c.Int("batch_dims", 0);
    c.Set(c.b.Add("gather", {table, Checked(c, c.in(1))}, {{"axis", batch}, {"batch_dims", batch}}));
  }
  return {};
}

Status GatherNd(OpContext& c) {
  c.Set(c.b.Add("gather_nd", {c.in(0), Checked(c, c.in(1))}));
  return {};
}

Status OneHot(OpContext& c) {
  const std::int64_t depth = c.integer(1);
  const Literal *on = c.constant(2), *off = c.constant(3);
  const std::optional<DType> dtype = c.Type("T");
  if (!c.b.ok()) return {};
  if (on == nullptr || off == nullptr || !dtype || on->size() != 1 || off->size() != 1)
    return c.Unsupported("its values are no constants");
  if (on->dtype() == DType::kString) return c.Unsupported("of strings");
  c.Set(c.b.Add("one_hot", {c.in(0)},
                {{"depth", depth},
                 {"axis", c.Int("axis", -1)},
                 {"dtype", *dtype},
                 {"on_value", on->at(0)},
                 {"off_value", off->at(0)}}));
  return {};
}

/// A number that only the run knows takes all in order, and the first of these.
Status TopK(OpContext& c) {
  std::optional<std::vector<Dim>> k;
  if (c.node.op == "TopK")
    k = std::vector<Dim>{Dim(c.Int("k", 1))};
  else
    k = c.sizes(1);
  const Value x = c.in(0);
  const int rank = c.rank(x);
  if (!c.b.ok()) return {};
  if (rank < 1 || !k || k->size() != 1) return c.Fail("expected rank 1 or more and one number");
  const bool fixed = !(*k)[0].is_symbolic();
  const std::vector<Value> out = c.b.AddAll(
      "top_k", {x}, {{"k", fixed ? (*k)[0].value() : std::int64_t{-1}}, {"sorted", !fixed || c.Bool("sorted", true)}});
  if (out.size() < 2) return {};
  const auto first = [&](Value v) { return fixed ? v : Value(SliceAxis(c, v, rank - 1, 0, (*k)[0])); };
  c.Set(0, first(out[0]));
  c.Set(1, c.b.Cast(first(out[1]), c.Type("index_type").value_or(DType::kI32)));
  return {};
}

Status Where(OpContext& c) {  // [n, rank]; ours is [rank, n]
  c.Set(c.b.Transpose(c.b.Add("nonzero", {c.in(0)}), {1, 0}));
  return {};
}

/// Zeros of the shape on input `shape`, with updates added.
Status ScatterNd(OpContext& c) {
  const auto dims = c.sizes(2);
  if (!dims) return c.Unsupported("to a shape that is known only at run time");
  const Value updates = c.in(1);
  const Value zeros = c.b.Add("broadcast_to", {c.b.Scalar(0, c.b.dtype(updates))}, {{"dims", Shape(*dims)}});
  c.Set(c.b.Add("scatter_nd_add", {zeros, Checked(c, c.in(0)), updates}));
  return {};
}

Status TensorScatterAdd(OpContext& c) {
  Value updates = c.in(2);
  if (c.node.op == "TensorScatterSub") updates = c.b.Add("neg", {updates});
  c.Set(c.b.Add("scatter_nd_add", {c.in(0), Checked(c, c.in(1)), updates}));
  return {};
}

/// ResourceScatterAdd, -Sub, -Update and the same with Nd: the variable with updates added or written.
Status ScatterVariable(OpContext& c) {
  const int cell = c.cell(0);
  if (cell < 0) return {};
  TENON_ASSIGN_OR_RETURN(const Value before, c.t.Read(cell));
  const Value indices = Checked(c, c.in(1));
  Value updates = c.in(2);
  if (c.node.op.ends_with("Sub")) updates = c.b.Add("neg", {updates});
  const bool nd = c.node.op.find("Nd") != std::string::npos;
  Value after;
  if (c.node.op.ends_with("Update"))
    after = c.b.Add("scatter_nd", {before, nd ? indices : Value(Expand(c, indices, -1)), updates});
  else if (nd)
    after = c.b.Add("scatter_nd_add", {before, indices, updates});
  else
    after = c.b.Add("scatter_add", {before, indices, updates}, {{"axis", std::int64_t{0}}});
  TENON_RETURN_IF_ERROR(c.b.status());
  c.t.Write(cell, after);
  c.SetSlot(0, c.inputs[0]);
  return {};
}

Status TensorScatterJoin(OpContext& c) {
  const std::string reduction = c.node.op == "TensorScatterMax"   ? "maximum"
                                : c.node.op == "TensorScatterMin" ? "minimum"
                                                                  : "none";
  c.Set(c.b.Add("scatter_nd", {c.in(0), Checked(c, c.in(1)), c.in(2)}, {{"reduction", reduction}}));
  return {};
}

/// Of rows in order [b, n] and values [b, m]: how many elements of its row are below a value (UpperBound: not above).
Status Bound(OpContext& c) {
  const Value rows = c.in(0), values = c.in(1);
  if (c.rank(rows) != 2 || c.rank(values) != 2) return c.Fail("expected rank 2");
  const ir::Ex before = Op(c.node.op == "LowerBound" ? "less" : "less_equal", Expand(c, rows, 1), Expand(c, values, 2));
  c.Set(c.b.ReduceSum(c.b.Cast(before, c.Type("out_type").value_or(DType::kI32)), {2}, false));
  return {};
}

constexpr Rule kRules[] = {
    {"Gather", Gather},
    {"GatherV2", Gather},
    {"ResourceGather", ResourceGather},
    {"ResourceGatherNd", ResourceGather},
    {"GatherNd", GatherNd},
    {"OneHot", OneHot},
    {"TopK", TopK},
    {"TopKV2", TopK},
    {"Where", Where},
    {"ScatterNd", ScatterNd},
    {"TensorScatterAdd", TensorScatterAdd},
    {"TensorScatterSub", TensorScatterAdd},
    {"ResourceScatterAdd", ScatterVariable},
    {"ResourceScatterSub", ScatterVariable},
    {"ResourceScatterNdAdd", ScatterVariable},
    {"ResourceScatterNdSub", ScatterVariable},
    {"ResourceScatterUpdate", ScatterVariable},
    {"ResourceScatterNdUpdate", ScatterVariable},
    {"ScatterAdd", ScatterVariable},
    {"ScatterSub", ScatterVariable},
    {"ScatterUpdate", ScatterVariable},
    {"TensorScatterMax", TensorScatterJoin},
    {"TensorScatterMin", TensorScatterJoin},
    {"TensorScatterUpdate", TensorScatterJoin},
    {"LowerBound", Bound},
    {"UpperBound", Bound},
};

}  // namespace

std::span<const Rule> IndexRules() { return kRules; }

}  // namespace tenon::savedmodel
