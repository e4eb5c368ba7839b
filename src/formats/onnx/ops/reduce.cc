// Reductions. Their axes are an attribute before opset 18 (ReduceSum: 13) and an input since.
#include <fmt/format.h>

#include "formats/onnx/ops/families.h"

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

Status Reduction(NodeContext& n) {
  const bool input = n.opset >= (n.node.op_type == "ReduceSum" ? 13 : 18);
  Ints axes = n.IntList("axes");
  if (input && n.has(1)) {
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
