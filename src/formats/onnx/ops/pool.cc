// Poolings.
#include <fmt/format.h>

#include <cmath>

#include "formats/onnx/ops/families.h"
#include "formats/onnx/ops/window.h"

namespace tenon::onnx {
namespace {

ir::Attrs PoolAttrs(NodeContext& n, const Window& w) {
  return {{"window", w.kernel},       {"strides", w.strides},   {"padding", w.Padding()},
          {"dilations", w.dilations}, {"auto_pad", w.auto_pad}, {"ceil_mode", n.Int("ceil_mode", 0) != 0},
          {"layout", w.layout}};
}

Status MaxPool(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Window w, ReadWindow(n, n.in(0), {}));
  const ir::Attrs attrs = PoolAttrs(n, w);
  n.Out(0, n.Add("max_pool", {n.in(0)}, attrs));
  if (!n.wants(1)) return {};
  // The flat index of each maximum, by pooling the indices (exact in f64) where x has its maxima. Column major turns
  // the spatial axes round.
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(0)));
  Ex index = n.Iota(shape.size(), DType::kF64);
  if (n.Int("storage_order", 0) == 0) {
    index = n.Reshape(index, shape.dims());
  } else {
    std::vector<Dim> dims = {shape[0], shape[1]};
    Ints order = {0, 1};
    for (int i = shape.rank(); i-- > 2;) {
      dims.push_back(shape[i]);
      order.push_back(i);
    }
    index = n.Transpose(n.Reshape(index, dims), order);
  }
  n.Out(1, n.b.Cast(n.Add("max_pool_gather", {index, n.b.Cast(n.in(0), DType::kF64)}, attrs), DType::kI64));
  return {};
}

Status AveragePool(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Window w, ReadWindow(n, n.in(0), {}));
  ir::Attrs attrs = PoolAttrs(n, w);
  attrs.Set("count_include_pad", n.Int("count_include_pad", 0) != 0);
  n.Out(0, n.Add("avg_pool", {n.in(0)}, std::move(attrs)));
  return {};
}

// An int, but a float in opset 1; 0: not a whole number.
std::int64_t PowerOf(NodeContext& n) {
  const Attribute* p = n.Find("p");
  if (p == nullptr || p->type != AttributeType::kFloat) return n.Int("p", 2);
  const double value = n.Float("p", 2);
  return value >= 1 && value <= 1024 && value == std::floor(value) ? static_cast<std::int64_t>(value) : 0;
}
Result<Ex> ToPower(NodeContext& n, Ex x, std::int64_t p) {
  if (p < 1) return n.Fail(fmt::format("p is {}", p));
  const Ex magnitude = Op("abs", x);
  return p == 1 ? magnitude : Op("power", magnitude, n.Scalar(static_cast<double>(p), x.dtype()));
}
Ex Root(NodeContext& n, Ex x, std::int64_t p) {
  return p == 1 ? x : Op("power", x, n.Scalar(1.0 / static_cast<double>(p), x.dtype()));
}

// (sum of |x|^p over the window)^(1/p): an average times its number of elements.
Status LpPool(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Window w, ReadWindow(n, n.in(0), {}));
  const std::int64_t p = PowerOf(n);
  TENON_ASSIGN_OR_RETURN(const Ex powers, ToPower(n, n.x(0), p));
  ir::Attrs attrs = PoolAttrs(n, w);
  attrs.Set("count_include_pad", true);
  if (n.Int("ceil_mode", 0) != 0) return n.Unsupported("ceil_mode");
  double count = 1;
  for (const std::int64_t k : w.kernel) count *= static_cast<double>(k);
  n.Out(0, Root(n, n.Apply("avg_pool", {powers}, std::move(attrs)) * count, p));
  return {};
}

Result<Ints> SpatialAxes(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const int rank, n.Rank(n.in(0)));
  if (rank < 2) return n.Fail(fmt::format("got rank {}, expected at least 2", rank));
  Ints axes;
  for (int i = 2; i < rank; ++i) axes.push_back(i);
  return axes;
}

Status GlobalPool(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Ints axes, SpatialAxes(n));
  if (axes.empty()) {
    n.Out(0, n.Add("identity", {n.in(0)}));
  } else if (n.row.ours == "reduce_mean" && axes.size() <= 3) {
    const char* layout = axes.size() == 1 ? "NCW" : axes.size() == 2 ? "NCHW" : "NCDHW";
    n.Out(0, n.Add("global_average_pool", {n.in(0)}, {{"layout", layout}, {"keep_dims", true}}));
  } else {
    n.Out(0, n.Reduce(n.row.ours, n.in(0), axes, true));
  }
  return {};
}

Status GlobalLpPool(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Ints axes, SpatialAxes(n));
  const std::int64_t p = PowerOf(n);
  TENON_ASSIGN_OR_RETURN(const Ex powers, ToPower(n, n.x(0), p));
  n.Out(0, Root(n, n.Reduce("reduce_sum", powers, axes, true), p));
  return {};
}

const OpRow kRows[] = {
    {"MaxPool", 1, 1, 2, "auto_pad:s ceil_mode:i dilations:is kernel_shape:is pads:is storage_order:i strides:is",
     MaxPool},
    {"AveragePool", 1, 1, 1,
     "auto_pad:s ceil_mode:i count_include_pad:i dilations:is kernel_shape:is pads:is strides:is", AveragePool},
    {"LpPool", 1, 1, 1, "auto_pad:s ceil_mode:i dilations:is kernel_shape:is p:f/i pads:is strides:is", LpPool},
    {"GlobalAveragePool", 1, 1, 1, "", GlobalPool, "reduce_mean"},
    {"GlobalMaxPool", 1, 1, 1, "", GlobalPool, "reduce_max"},
    {"GlobalLpPool", 1, 1, 1, "p:f/i", GlobalLpPool},
};

}  // namespace
const std::span<const OpRow> kPoolRows = kRows;
}  // namespace tenon::onnx
