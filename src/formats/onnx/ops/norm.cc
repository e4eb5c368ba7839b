// Normalisations.
#include <fmt/format.h>

#include "formats/onnx/ops/families.h"
#include "formats/onnx/ops/window.h"

namespace tenon::onnx {
namespace {

Status BatchNormalization(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const int rank, n.Rank(n.in(0)));
  if (rank < 2) return n.Fail(fmt::format("got rank {}, expected at least 2", rank));
  if (n.Int("spatial", 1) != 1 && rank > 2) return n.Unsupported("spatial = 0");
  const double epsilon = n.Float("epsilon", 1e-5), momentum = n.Float("momentum", 0.9);
  const DType dtype = n.dtype(0);
  const auto like = [&](int i) { return n.b.Cast(n.in(i), dtype); };
  bool training = n.Int("training_mode", 0) != 0;
  if (n.opset < 7) training = n.Int("is_test", 0) == 0 && (n.wants(1) || n.wants(2));
  if (n.opset >= 7 && n.opset < 14) training = n.wants(1) || n.wants(2) || n.wants(3) || n.wants(4);
  if (!training) {
    n.Out(0, n.Add("batch_norm", {n.in(0), like(3), like(4), like(1), like(2)},
                   {{"axis", std::int64_t{1}}, {"epsilon", epsilon}}));
    return {};
  }
  const std::vector<Value> out =
      n.b.AddAll("batch_norm_training", {n.in(0), like(1), like(2)}, {{"axis", std::int64_t{1}}, {"epsilon", epsilon}});
  if (out.size() < 3) return n.b.status();
  n.Out(0, out[0]);
  for (int i = 1; i <= 2; ++i) {
    const Ex old = n.x(i + 2), batch = n.ex(n.b.Cast(out[static_cast<std::size_t>(i)], n.dtype(old)));
    n.Out(i, old * momentum + batch * (1 - momentum));
    if (n.opset < 14 && n.wants(i + 2)) n.Out(i + 2, out[static_cast<std::size_t>(i)]);
  }
  return {};
}

Ints AxesFrom(int first, int rank) {
  Ints axes;
  for (int i = first; i < rank; ++i) axes.push_back(i);
  return axes;
}

Status InstanceNormalization(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const int rank, n.Rank(n.in(0)));
  if (rank < 3) return n.Fail(fmt::format("got rank {}, expected at least 3", rank));
  n.Out(0, n.Add("group_norm", n.inputs(),
                 {{"groups", std::int64_t{-1}}, {"axis", std::int64_t{1}}, {"epsilon", n.Float("epsilon", 1e-5)}}));
  return {};
}

// Scale and bias are for each group before opset 21, for each channel since.
Status GroupNormalization(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(0)));
  const std::int64_t groups = n.Int("num_groups", 0);
  if (shape.rank() < 3 || groups < 1 || shape[1].is_symbolic() || shape[1].value() % groups != 0)
    return n.Fail(fmt::format("{} groups for {}", groups, shape.to_string()));
  const Dim each = shape[1].value() / groups;
  const auto by_channel = [&](int i) -> Value {
    if (n.opset >= 21) return n.in(i);
    return n.Reshape(n.Broadcast(n.Reshape(n.in(i), {groups, 1}), {groups, each}), {shape[1]});
  };
  n.Out(0, n.Add("group_norm", {n.in(0), by_channel(1), by_channel(2)},
                 {{"groups", groups}, {"axis", std::int64_t{1}}, {"epsilon", n.Float("epsilon", 1e-5)}}));
  return {};
}

Status LayerNormalization(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(0)));
  TENON_ASSIGN_OR_RETURN(const int axis, n.Axis(n.Int("axis", -1), shape.rank()));
  const double epsilon = n.Float("epsilon", 1e-5);
  const DType dtype = n.dtype(0);
  const DType inner = dtype == DType::kF16 || dtype == DType::kBF16 ? DType::kF32 : dtype;
  const Ints axes = AxesFrom(axis, shape.rank());
  const Ex x = n.ex(n.b.Cast(n.in(0), inner));
  const Shape normalised(std::vector<Dim>(shape.dims().begin() + axis, shape.dims().end()));
  bool plain = true;  // scale and bias have just the normalised dims
  for (int i = 1; i <= 2; ++i) {
    if (!n.has(i)) continue;
    TENON_ASSIGN_OR_RETURN(const Shape own, n.ShapeOf(n.in(i)));
    plain = plain && own == normalised;
  }
  const ir::Attrs attrs = {{"axis", std::int64_t{axis}}, {"epsilon", epsilon}};
  if (plain) {
    n.Out(0, n.Add("layer_norm", {n.in(0), n.in(1), n.in(2)}, attrs));
  } else {
    const Ex y = n.Apply("layer_norm", {n.in(0)}, attrs) * n.x(1);
    n.Out(0, n.has(2) ? y + n.x(2) : y);
  }
  if (n.wants(1) || n.wants(2)) {
    const Ex mean = n.Reduce("reduce_mean", x, axes, true), centred = x - mean;
    n.Out(1, mean);
    n.Out(2, Op("rsqrt", n.Reduce("reduce_mean", centred * centred, axes, true) + epsilon));
  }
  return {};
}

// The scale may have another type, which the result has, and fewer dims than what it scales.
Status RmsNormalization(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(0)));
  TENON_ASSIGN_OR_RETURN(const Shape own, n.ShapeOf(n.in(1)));
  TENON_ASSIGN_OR_RETURN(const int axis, n.Axis(n.Int("axis", -1), shape.rank()));
  const ir::Attrs attrs = {{"axis", std::int64_t{axis}}, {"epsilon", n.Float("epsilon", 1e-5)}};
  if (n.dtype(0) == n.dtype(1) && own == Shape(std::vector<Dim>(shape.dims().begin() + axis, shape.dims().end()))) {
    n.Out(0, n.Add("rms_norm", {n.in(0), n.in(1)}, attrs));
  } else {
    n.Out(0, n.ex(n.b.Cast(n.Add("rms_norm", {n.in(0)}, attrs), n.dtype(1))) * n.x(1));
  }
  return {};
}

Status MeanVarianceNormalization(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const int rank, n.Rank(n.in(0)));
  TENON_ASSIGN_OR_RETURN(const Ints axes, n.Axes(n.HasAttr("axes") ? n.IntList("axes") : Ints{0, 2, 3}, rank));
  const Ex centred = n.x(0) - n.Reduce("reduce_mean", n.in(0), axes, true);
  const Ex deviation = Op("sqrt", n.Reduce("reduce_mean", centred * centred, axes, true));
  n.Out(0, centred / (deviation + 1e-9));
  return {};
}

// x / (bias + alpha / size * sum of squares over `size` channels around)^beta.
Status Lrn(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(0)));
  const std::int64_t size = n.Int("size", 0);
  if (size < 1 || size > 1024 || shape.rank() < 2) return n.Fail(fmt::format("size is {}", size));
  std::vector<Dim> low(shape.dims().size(), Dim(0)), high = low;
  low[1] = (size - 1) / 2;
  high[1] = size - 1 - (size - 1) / 2;
  const Ex padded = n.Apply("pad", {n.x(0) * n.x(0)}, {{"low", Shape(low)}, {"high", Shape(high)}});
  Ex sum = n.SliceAxis(padded, 1, 0, shape[1]);
  for (std::int64_t i = 1; i < size; ++i) sum = sum + n.SliceAxis(padded, 1, i, shape[1] + i);
  const Ex base = sum * (n.Float("alpha", 1e-4) / static_cast<double>(size)) + n.Float("bias", 1.0);
  n.Out(0, n.x(0) / Op("power", base, n.Scalar(n.Float("beta", 0.75), n.dtype(0))));
  return {};
}

const OpRow kRows[] = {
    {"BatchNormalization", 5, 5, 5, "epsilon:f momentum:f training_mode:i spatial:i is_test:i", BatchNormalization},
    {"InstanceNormalization", 3, 3, 1, "epsilon:f", InstanceNormalization},
    {"GroupNormalization", 3, 3, 1, "epsilon:f num_groups:i stash_type:i", GroupNormalization},
    {"LayerNormalization", 2, 3, 3, "axis:i epsilon:f stash_type:i", LayerNormalization},
    {"RMSNormalization", 2, 2, 1, "axis:i epsilon:f stash_type:i", RmsNormalization},
    // ONNX Runtime's name for the same, in both domains.
    {"SimplifiedLayerNormalization", 2, 2, 1, "axis:i epsilon:f stash_type:i", RmsNormalization},
    {"SimplifiedLayerNormalization", 2, 2, 1, "axis:i epsilon:f stash_type:i", RmsNormalization, {}, "com.microsoft"},
    {"MeanVarianceNormalization", 1, 1, 1, "axes:is", MeanVarianceNormalization},
    {"LRN", 1, 1, 1, "alpha:f beta:f bias:f size:i", Lrn},
};

}  // namespace
const std::span<const OpRow> kNormRows = kRows;
}  // namespace tenon::onnx
