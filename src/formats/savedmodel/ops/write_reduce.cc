// Reductions, arg reductions, cumulative sums, matrix products -> TensorFlow.
#include "base/status_macros.h"
#include "formats/savedmodel/writer.h"

namespace tenon::savedmodel {
namespace {

using Ints = std::vector<std::int64_t>;

/// The axes of a reduction; all of them when the list is empty.
Result<std::string> Axes(WriteContext& c) {
  const Ints& axes = c.attrs().Ints("axes");
  if (!axes.empty()) return c.w.Ints(axes);
  if (!c.type().has_rank()) return c.Unsupported("all axes of a value of unknown rank");
  Ints all;
  for (int d = 0; d < c.rank(); ++d) all.push_back(d);
  return c.w.Ints(all);
}

Status Reduce(WriteContext& c) {
  constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"reduce_sum", "Sum"},   {"reduce_mean", "Mean"}, {"reduce_max", "Max"}, {"reduce_min", "Min"},
      {"reduce_prod", "Prod"}, {"reduce_any", "Any"},   {"reduce_all", "All"}};
  for (const auto& [ours, tf] : kNames) {
    if (ours != c.node.op->name) continue;
    TENON_ASSIGN_OR_RETURN(const std::string axes, Axes(c));
    Attrs attrs{{"Tidx", TypeAttr(DType::kI32)}, {"keep_dims", BoolAttr(c.attrs().Bool("keep_dims"))}};
    if (tf != "Any" && tf != "All") attrs["T"] = TypeAttr(c.dtype());
    c.Set(c.w.Emit(tf, {c.in(0), axes}, std::move(attrs), c.name()));
  }
  return {};
}

Status Arg(WriteContext& c) {
  const std::int64_t axis = c.attrs().Int("axis");
  const DType wanted = c.attrs().Dtype("dtype");
  const DType made = wanted == DType::kI32 ? DType::kI32 : DType::kI64;
  std::string value = c.w.Emit(
      c.node.op->name == "argmax" ? "ArgMax" : "ArgMin", {c.in(0), c.w.Int(axis)},
      {{"T", TypeAttr(c.dtype())}, {"Tidx", TypeAttr(DType::kI32)}, {"output_type", TypeAttr(made)}}, c.name());
  if (c.attrs().Bool("keep_dims"))
    value = c.w.Emit("ExpandDims", {value, c.w.Int(axis)}, {{"T", TypeAttr(made)}, {"Tdim", TypeAttr(DType::kI32)}});
  if (wanted != made) value = c.w.Emit("Cast", {value}, {{"SrcT", TypeAttr(made)}, {"DstT", TypeAttr(wanted)}});
  c.Set(value);
  return {};
}
bool CanArg(const ir::Graph&, const ir::Node& node) { return !node.attrs.Bool("select_last"); }

Status Cumulate(WriteContext& c) {
  c.Set(c.w.Emit(c.node.op->name == "cumsum" ? "Cumsum" : "Cumprod", {c.in(0), c.w.Int(c.attrs().Int("axis"))},
                 {{"T", TypeAttr(c.dtype())},
                  {"Tidx", TypeAttr(DType::kI32)},
                  {"exclusive", BoolAttr(c.attrs().Bool("exclusive"))},
                  {"reverse", BoolAttr(c.attrs().Bool("reverse"))}},
                 c.name()));
  return {};
}

Status MatMul(WriteContext& c) {
  const bool x = c.attrs().Bool("transpose_x"), y = c.attrs().Bool("transpose_y");
  if (c.rank(0) == 2 && c.rank(1) == 2)
    c.Set(c.w.Emit("MatMul", c.ins(),
                   {{"T", TypeAttr(c.dtype())}, {"transpose_a", BoolAttr(x)}, {"transpose_b", BoolAttr(y)}}, c.name()));
  else
    c.Set(c.w.Emit("BatchMatMulV2", c.ins(),
                   {{"T", TypeAttr(c.dtype())}, {"adj_x", BoolAttr(x)}, {"adj_y", BoolAttr(y)}}, c.name()));
  return {};
}
bool CanMatMul(const ir::Graph& graph, const ir::Node& node) {
  const bool transposed = node.attrs.Bool("transpose_x") || node.attrs.Bool("transpose_y");
  for (const ir::Value v : node.inputs) {
    const ir::Type& type = graph.type(v);
    if (!type.has_rank() || type.rank() < 2) return false;
    if (transposed && type.rank() > 2 && is_complex(type.dtype())) return false;  // it would conjugate
  }
  return true;
}

/// Any contraction is an Einsum.
Status DotGeneral(WriteContext& c) {
  const auto normal = [](Ints axes, int rank) {
    for (std::int64_t& axis : axes) axis += axis < 0 ? rank : 0;
    return axes;
  };
  const Ints lhs_contract = normal(c.attrs().Ints("lhs_contract"), c.rank(0)),
             rhs_contract = normal(c.attrs().Ints("rhs_contract"), c.rank(1));
  const Ints lhs_batch = normal(c.attrs().Ints("lhs_batch"), c.rank(0)),
             rhs_batch = normal(c.attrs().Ints("rhs_batch"), c.rank(1));
  std::string lhs(static_cast<std::size_t>(c.rank(0)), ' '), rhs(static_cast<std::size_t>(c.rank(1)), ' '), out;
  char next = 'a';
  for (std::size_t i = 0; i < lhs_batch.size(); ++i) {
    out += next;
    lhs[static_cast<std::size_t>(lhs_batch[i])] = rhs[static_cast<std::size_t>(rhs_batch[i])] = next++;
  }
  for (std::size_t i = 0; i < lhs_contract.size(); ++i)
    lhs[static_cast<std::size_t>(lhs_contract[i])] = rhs[static_cast<std::size_t>(rhs_contract[i])] = next++;
  for (std::string* side : {&lhs, &rhs})
    for (char& label : *side)
      if (label == ' ') out += label = next++;
  if (next > 'z' + 1) return c.Unsupported("more than 26 axes");
  c.Set(
      c.w.Emit("Einsum", c.ins(),
               {{"N", IntAttr(2)}, {"T", TypeAttr(c.dtype())}, {"equation", StringAttr(lhs + "," + rhs + "->" + out)}},
               c.name()));
  return {};
}
bool CanDot(const ir::Graph& graph, const ir::Node& node) {
  return graph.type(node.inputs[0]).has_rank() && graph.type(node.inputs[1]).has_rank();
}

constexpr WriteRule kRules[] = {
    {"reduce_sum", Reduce},
    {"reduce_mean", Reduce},
    {"reduce_max", Reduce},
    {"reduce_min", Reduce},
    {"reduce_prod", Reduce},
    {"reduce_any", Reduce},
    {"reduce_all", Reduce},
    {"argmax", Arg, CanArg},
    {"argmin", Arg, CanArg},
    {"cumsum", Cumulate},
    {"cumprod", Cumulate},
    {"matmul", MatMul, CanMatMul},
    {"dot_general", DotGeneral, CanDot},
};

}  // namespace

std::span<const WriteRule> WriteReduceRules() { return kRules; }

}  // namespace tenon::savedmodel
