// Activations whose attributes or defaults differ from our ops, and those made of others.
#include <fmt/format.h>

#include "formats/onnx/ops/families.h"

namespace tenon::onnx {
namespace {

Status LeakyRelu(NodeContext& n) {
  n.Out(0, n.Add("leaky_relu", {n.in(0)}, {{"negative_slope", n.Float("alpha", 0.01)}}));
  return {};
}

Status WithAlpha(NodeContext& n) {
  n.Out(0, n.Add(n.row.ours, {n.in(0)}, {{"alpha", n.Float("alpha", 1.0)}}));
  return {};
}

// gamma * (alpha * e^x - alpha) below 0, gamma * x above.
Status Selu(NodeContext& n) {
  const double alpha = n.Float("alpha", 1.67326319217681884765625), gamma = n.Float("gamma", 1.05070102214813232421875);
  if (static_cast<float>(alpha) == 1.67326319217681884765625f &&
      static_cast<float>(gamma) == 1.05070102214813232421875f) {
    n.Out(0, n.Add("selu", {n.in(0)}));
    return {};
  }
  const Ex x = n.x(0), zero = n.Scalar(0, n.dtype(0));
  n.Out(0, Select(Op("less_equal", x, zero), Op("expm1", x) * (alpha * gamma), x * gamma));
  return {};
}

Status HardSigmoid(NodeContext& n) {
  const double alpha = n.Float("alpha", 0.2), beta = n.Float("beta", 0.5);
  if (static_cast<float>(alpha) == 1.0f / 6 && beta == 0.5) {
    n.Out(0, n.Add("hard_sigmoid", {n.in(0)}));
    return {};
  }
  n.Out(0, n.Add("clip", {n.x(0) * alpha + beta, n.Scalar(0, n.dtype(0)), n.Scalar(1, n.dtype(0))}));
  return {};
}

Status PRelu(NodeContext& n) {
  const Ex x = n.x(0), zero = n.Scalar(0, n.dtype(0));
  Ex slope = n.x(1);
  if (n.opset < 7) {  // one slope for each channel
    TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(x));
    TENON_ASSIGN_OR_RETURN(const Shape slopes, n.ShapeOf(slope));
    if (slopes.rank() == 1 && shape.rank() > 2) {
      std::vector<Dim> dims(static_cast<std::size_t>(shape.rank() - 1), Dim(1));
      dims[0] = slopes[0];
      slope = n.Reshape(slope, std::move(dims));
    }
  }
  n.Out(0, Select(Op("less", x, zero), x * slope, x));
  return {};
}

Status Gelu(NodeContext& n) {
  const std::string form = n.String("approximate", "none");
  if (form != "none" && form != "tanh") return n.Fail(fmt::format("approximate is \"{}\"", form));
  n.Out(0, n.Add("gelu", {n.in(0)}, {{"approximate", form == "tanh"}}));
  return {};
}

Ex SwishOf(NodeContext& n) {
  const double alpha = n.Float("alpha", 1.0);
  return alpha == 1.0 ? n.Apply("silu", {n.in(0)}) : n.x(0) * Op("sigmoid", n.x(0) * alpha);
}
Status Swish(NodeContext& n) {
  n.Out(0, SwishOf(n));
  return {};
}

Status SwiGlu(NodeContext& n) {
  const ir::Type &gate = n.b.type(n.in(0)), &linear = n.b.type(n.in(1));
  const bool ranks = gate.is_tensor() && gate.has_rank() && linear.is_tensor() && linear.has_rank();
  if (ranks && gate.shape().rank() != linear.shape().rank())
    return n.Fail(fmt::format("got {} and {}, expected the same dims", gate.to_string(), linear.to_string()));
  for (int i = 0; ranks && i < gate.shape().rank(); ++i)
    if (const Dim a = gate.shape()[i], b = linear.shape()[i]; a.try_value() && b.try_value() && !(a == b))
      return n.Fail(fmt::format("got {} and {}, expected the same dims", gate.to_string(), linear.to_string()));
  n.Out(0, SwishOf(n) * n.x(1));
  return {};
}

Status ThresholdedRelu(NodeContext& n) {
  const Ex x = n.x(0), alpha = n.Scalar(n.Float("alpha", 1.0), n.dtype(0));
  n.Out(0, Select(Op("greater", x, alpha), x, n.Scalar(0, n.dtype(0))));
  return {};
}

// x + bias below -lambd, x - bias above lambd, else 0.
Status Shrink(NodeContext& n) {
  const double lambd = n.Float("lambd", 0.5), bias = n.Float("bias", 0.0);
  const Ex x = n.x(0);
  const auto number = [&](double v) { return n.Scalar(v, n.dtype(0)); };
  const Ex above = Select(Op("greater", x, number(lambd)), Op("subtract", x, number(bias)), number(0));
  n.Out(0, Select(Op("less", x, number(-lambd)), Op("add", x, number(bias)), above));
  return {};
}

// The same before opset 13 for a value of unknown rank, through the shape that the run has.
Status SoftmaxOfUnknownRank(NodeContext& n) {
  const std::int64_t axis = n.Int("axis", 1);
  if (n.opset >= 13 || n.row.ours == "hardmax" || axis < 1) return n.Unsupported("an input of unknown rank");
  const Ex shape = n.ex(n.ShapeValue(n.in(0)));
  const Ex before = n.Reshape(n.Reduce("reduce_prod", n.SliceAxis(shape, 0, 0, axis), {0}, false), {1});
  const Value cut = n.Add("concat", {before, n.IntVector({-1})}, {{"axis", std::int64_t{0}}});
  const Ex y = n.Apply(n.row.ours, {n.Add("reshape", {n.in(0), cut})}, {{"axis", std::int64_t{1}}});
  n.Out(0, n.Add("reshape", {y, shape}));
  return {};
}

// Softmax and its like. Before opset 13 the axis (default 1) cuts the dims in two, and all behind it is normalised.
Status Softmax(NodeContext& n) {
  if (n.b.ok() && n.b.type(n.in(0)).is_tensor() && !n.b.ranked(n.in(0))) return SoftmaxOfUnknownRank(n);
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(0)));
  const int rank = shape.rank();
  std::int64_t axis_attr = n.Int("axis", n.opset < 13 ? 1 : -1);
  if (n.opset < 13 && axis_attr == rank) {  // nothing behind the axis: ones
    n.Out(0, n.b.OnesLike(n.in(0)));
    return {};
  }
  if (rank == 0) return n.Fail("got a scalar, expected at least one axis");
  TENON_ASSIGN_OR_RETURN(const int axis, n.Axis(axis_attr, rank));
  const auto apply = [&](Value v, int along) -> Ex {
    if (n.row.ours != "hardmax") return n.Apply(n.row.ours, {v}, {{"axis", std::int64_t{along}}});
    const Dim depth = n.b.shape(v)[along];
    const Value best = n.Add("argmax", {v}, {{"axis", std::int64_t{along}}, {"keep_dims", true}});
    std::vector<Dim> dims(static_cast<std::size_t>(n.b.shape(v).rank()), Dim(1));
    dims[static_cast<std::size_t>(along)] = depth;
    const Ex index = n.Reshape(n.Iota(depth, DType::kI64), std::move(dims));
    return n.ex(n.b.Cast(Op("equal", n.ex(best), index), n.dtype(v)));
  };
  if (n.opset >= 13 || axis == rank - 1) {
    n.Out(0, apply(n.in(0), axis));
    return {};
  }
  Dim before = 1, behind = 1;
  for (int i = 0; i < rank; ++i) (i < axis ? before : behind) = (i < axis ? before : behind) * shape[i];
  n.Out(0, n.Reshape(apply(n.Reshape(n.in(0), {before, behind}), 1), shape.dims()));
  return {};
}

const OpRow kRows[] = {
    {"LeakyRelu", 1, 1, 1, "alpha:f", LeakyRelu},
    {"Elu", 1, 1, 1, "alpha:f", WithAlpha, "elu"},
    {"Celu", 1, 1, 1, "alpha:f", WithAlpha, "celu"},
    {"Selu", 1, 1, 1, "alpha:f gamma:f", Selu},
    {"HardSigmoid", 1, 1, 1, "alpha:f beta:f", HardSigmoid},
    {"PRelu", 2, 2, 1, "", PRelu},
    {"Gelu", 1, 1, 1, "approximate:s", Gelu},
    {"Swish", 1, 1, 1, "alpha:f", Swish},
    {"SwiGLU", 2, 2, 1, "alpha:f", SwiGlu},
    {"ThresholdedRelu", 1, 1, 1, "alpha:f", ThresholdedRelu},
    {"Shrink", 1, 1, 1, "lambd:f bias:f", Shrink},
    {"Softmax", 1, 1, 1, "axis:i", Softmax, "softmax"},
    {"LogSoftmax", 1, 1, 1, "axis:i", Softmax, "log_softmax"},
    {"Hardmax", 1, 1, 1, "axis:i", Softmax, "hardmax"},
};

}  // namespace
const std::span<const OpRow> kActivationRows = kRows;
}  // namespace tenon::onnx
