// Reductions. Their axes are an attribute before opset 18 (ReduceSum: 13) and an input since.
#include <fmt/format.h>

#include "formats/onnx/ops/families.h"
#include "formats/onnx/ops/run_time.h"

namespace tenon::onnx {
namespace {

Ex Finish(NodeContext& n, std::string_view kind, Ex x, const Ints& axes, bool keep) {
  if (kind == "l1") return n.Reduce("reduce_sum", Op("abs", x), axes, keep);
  if (kind == "l2") return Op("sqrt", n.Reduce("reduce_sum", x * x, axes, keep));
  if (kind == "sum_square") return n.Reduce("reduce_sum", x * x, axes, keep);
  if (kind == "log_sum") return Op("log", n.Reduce("reduce_sum", x, axes, keep));
  if (x.dtype() == DType::kBool) return n.Reduce(kind == "reduce_max" ? "reduce_any" : "reduce_all", x, axes, keep);
  return n.Reduce(kind, x, axes, keep);
}

// Axes that only the run knows: each axis is reduced or left alone, with its dim of 1 kept, and then dropped if wanted.
// Without axes all are reduced, unless that means none.
Status ReduceRunTimeAxes(NodeContext& n, bool keep, bool none_is_none) {
  TENON_ASSIGN_OR_RETURN(const int rank, n.Rank(n.in(0)));
  TENON_ASSIGN_OR_RETURN(const Shape count, n.ShapeOf(n.in(1)));
  Ex mask = AxisMask(n, n.in(1), rank);
  if (!none_is_none) mask = Op("logical_or", mask, Op("equal", DimValue(n, n.in(1), 0), n.Scalar(0, DType::kI64)));
  std::string_view kind = n.row.ours;
  Ex y = n.x(0);
  if (kind == "l1") y = Op("abs", y);
  if (kind == "l2" || kind == "sum_square") y = y * y;
  if (y.dtype() == DType::kBool) kind = kind == "reduce_max" ? "reduce_any" : "reduce_all";
  const bool adds = kind == "l1" || kind == "l2" || kind == "sum_square" || kind == "log_sum";
  const std::string_view op = adds ? "reduce_sum" : kind;
  for (int axis = 0; axis < rank; ++axis) {
    const Ex here = ElementOf(n, mask, axis);
    y = n.ex(Switch(n, n.b.Cast(here, DType::kI64), 2, {y}, [&](ir::Builder& b, const std::vector<Value>& in, int i) {
      return i == 0 ? b.Add("identity", {in[0]}) : b.Add(op, {in[0]}, {{"axes", Ints{axis}}, {"keep_dims", true}});
    }));
  }
  if (kind == "l2") y = Op("sqrt", y);
  if (kind == "log_sum") y = Op("log", y);
  if (!keep) {
    if (count.rank() != 1 || count[0].is_symbolic())
      return n.Unsupported("keepdims = 0 with a number of axes that only the run knows");
    const std::int64_t left = count[0].value() == 0 ? (none_is_none ? rank : 0) : rank - count[0].value();
    if (left < 0) return n.Fail(fmt::format("{} axes for rank {}", count[0].value(), rank));
    const Ex kept = n.Reshape(n.Add("nonzero", {Op("logical_not", mask)}), {left});
    TENON_ASSIGN_OR_RETURN(
        std::vector<Dim> dims,
        DimsOf(n, n.Add("gather", {n.ShapeValue(y), kept}, {{"axis", std::int64_t{0}}}), "the dims that are kept"));
    y = n.Reshape(y, std::move(dims));
  }
  n.Out(0, y);
  return {};
}

Status Reduction(NodeContext& n) {
  const bool input = n.opset >= (n.node.op_type == "ReduceSum" ? 13 : 18);
  Ints axes = n.IntList("axes");
  if (input && n.has(1) && !n.Const(1)) {
    TENON_ASSIGN_OR_RETURN(const Shape count, n.ShapeOf(n.in(1)));
    if (count.rank() != 1 || count[0] != Dim(0))
      return ReduceRunTimeAxes(n, n.Int("keepdims", 1) != 0, n.Int("noop_with_empty_axes", 0) != 0);
  } else if (input && n.has(1)) {
    TENON_ASSIGN_OR_RETURN(axes, n.NeedInts(1, "axes"));
  }
  if (input && n.HasAttr("axes")) return n.Fail("the axes are an input since this opset");
  if (axes.empty() && n.Int("noop_with_empty_axes", 0) != 0) {
    n.Out(0, n.Add("identity", {n.in(0)}));
    return {};
  }
  if (!axes.empty()) {
    TENON_ASSIGN_OR_RETURN(const int rank, n.Rank(n.in(0)));
    TENON_ASSIGN_OR_RETURN(axes, n.Axes(axes, rank));
  }
  n.Out(0, Finish(n, n.row.ours, n.x(0), axes, n.Int("keepdims", 1) != 0));
  return {};
}

Status Arg(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const int rank, n.Rank(n.in(0)));
  TENON_ASSIGN_OR_RETURN(const int axis, n.Axis(n.Int("axis", 0), rank));
  n.Out(0, n.Add(n.row.ours, {n.in(0)},
                 {{"axis", std::int64_t{axis}},
                  {"keep_dims", n.Int("keepdims", 1) != 0},
                  {"select_last", n.Int("select_last_index", 0) != 0}}));
  return {};
}

// x divided by its norm of order p along an axis.
Status LpNormalization(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const int rank, n.Rank(n.in(0)));
  TENON_ASSIGN_OR_RETURN(const int axis, n.Axis(n.Int("axis", -1), rank));
  const std::int64_t p = n.Int("p", 2);
  if (p != 1 && p != 2) return n.Fail(fmt::format("p is {}, expected 1 or 2", p));
  const Ex norm = Finish(n, p == 1 ? "l1" : "l2", n.x(0), {axis}, true), zero = n.Scalar(0, n.dtype(0));
  n.Out(0, Select(Op("equal", norm, zero), zero, n.x(0) / norm));
  return {};
}

constexpr std::string_view kAttrs = "axes:is keepdims:i noop_with_empty_axes:i";
constexpr std::string_view kArgAttrs = "axis:i keepdims:i select_last_index:i";

const OpRow kRows[] = {
    {"ReduceSum", 1, 2, 1, kAttrs, Reduction, "reduce_sum"},
    {"ReduceMean", 1, 2, 1, kAttrs, Reduction, "reduce_mean"},
    {"ReduceMax", 1, 2, 1, kAttrs, Reduction, "reduce_max"},
    {"ReduceMin", 1, 2, 1, kAttrs, Reduction, "reduce_min"},
    {"ReduceProd", 1, 2, 1, kAttrs, Reduction, "reduce_prod"},
    {"ReduceL1", 1, 2, 1, kAttrs, Reduction, "l1"},
    {"ReduceL2", 1, 2, 1, kAttrs, Reduction, "l2"},
    {"ReduceSumSquare", 1, 2, 1, kAttrs, Reduction, "sum_square"},
    {"ReduceLogSum", 1, 2, 1, kAttrs, Reduction, "log_sum"},
    {"ReduceLogSumExp", 1, 2, 1, kAttrs, Reduction, "logsumexp"},
    {"ArgMax", 1, 1, 1, kArgAttrs, Arg, "argmax"},
    {"ArgMin", 1, 1, 1, kArgAttrs, Arg, "argmin"},
    {"LpNormalization", 1, 1, 1, "axis:i p:i", LpNormalization},
};

}  // namespace
const std::span<const OpRow> kReduceRows = kRows;
}  // namespace tenon::onnx
