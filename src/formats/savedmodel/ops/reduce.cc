// Reductions, arg reductions and cumulative sums.
#include "formats/savedmodel/ops/context.h"

namespace tenon::savedmodel {
namespace {

using ir::Value;

std::string_view OurName(std::string_view op) {
  if (op == "Mean") return "reduce_mean";
  if (op == "Sum") return "reduce_sum";
  if (op == "Max") return "reduce_max";
  if (op == "Min") return "reduce_min";
  if (op == "Prod") return "reduce_prod";
  if (op == "Any") return "reduce_any";
  return "reduce_all";
}

Status Reduce(OpContext& c) {
  const Value x = c.in(0);
  if (c.has(1) && c.inputs[1].kind == Slot::Kind::kSumTo && c.node.op == "Sum") {
    c.Set(c.b.Add("sum_like", {x, c.inputs[1].value}));
    return {};
  }
  const std::vector<std::int64_t> axes = c.ints(1);
  const bool keep = c.Bool("keep_dims", false);
  const auto elements = c.dims(0);
  if (!c.b.ok()) return {};
  if (axes.empty()) {  // no axes: nothing is reduced (with us an empty list means all)
    c.Set(c.b.Add("identity", {x}));
    return {};
  }
  if (c.node.op == "EuclideanNorm") {
    c.Set(c.b.Add("sqrt", {c.b.ReduceSum(c.b.Add("square", {x}), axes, keep)}));
    return {};
  }
  c.Set(c.b.Add(OurName(c.node.op), {x}, {{"axes", axes}, {"keep_dims", keep}}));
  if (!elements || !c.b.ok() || !c.b.ranked(x) || c.shape(x).rank() != 1 || elements->empty()) return {};
  Dim value = elements->front();
  for (std::size_t i = 1; i < elements->size(); ++i) {
    if (c.node.op == "Prod")
      value = value * (*elements)[i];
    else if (c.node.op == "Sum")
      value = value + (*elements)[i];
    else if (c.node.op == "Max")
      value = Dim::max(value, (*elements)[i]);
    else if (c.node.op == "Min")
      value = Dim::min(value, (*elements)[i]);
    else
      return {};
  }
  c.SetDims(0, {value});
  return {};
}

Status Arg(OpContext& c) {
  const std::int64_t axis = c.has(1) ? c.integer(1) : 0;
  c.Set(c.b.Add(c.node.op == "ArgMax" ? "argmax" : "argmin", {c.in(0)},
                {{"axis", axis}, {"dtype", c.Type("output_type").value_or(DType::kI64)}}));
  return {};
}

Status Cumulate(OpContext& c) {
  c.Set(c.b.Add(
      c.node.op == "Cumsum" ? "cumsum" : "cumprod", {c.in(0)},
      {{"axis", c.integer(1)}, {"exclusive", c.Bool("exclusive", false)}, {"reverse", c.Bool("reverse", false)}}));
  return {};
}

Status L2Loss(OpContext& c) {
  const Value sum = c.b.ReduceSum(c.b.Add("square", {c.in(0)}), {}, false);
  c.Set(c.b.Add("multiply", {sum, c.b.Scalar(0.5, c.b.dtype(sum))}));
  return {};
}

constexpr Rule kRules[] = {
    {"Mean", Reduce},     {"Sum", Reduce},       {"Max", Reduce},           {"Min", Reduce}, {"Prod", Reduce},
    {"Any", Reduce},      {"All", Reduce},       {"EuclideanNorm", Reduce}, {"ArgMax", Arg}, {"ArgMin", Arg},
    {"Cumsum", Cumulate}, {"Cumprod", Cumulate}, {"L2Loss", L2Loss},
};

}  // namespace

std::span<const Rule> ReduceRules() { return kRules; }

}  // namespace tenon::savedmodel
