// Gathering, scattering, sorting, counting.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "formats/onnx/ops/families.h"
#include "formats/onnx/ops/run_time.h"
#include "ir/numeric.h"

namespace tenon::onnx {
namespace {

Status Gather(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(0)));
  if (shape.rank() == 0) return n.Fail("got a scalar, expected at least one axis");
  TENON_ASSIGN_OR_RETURN(const int axis, n.Axis(n.Int("axis", 0), shape.rank()));
  if (const std::optional<Literal> indices = n.Const(1);
      indices && !shape[axis].is_symbolic() && is_integer(indices->dtype())) {
    const std::int64_t size = shape[axis].value();
    for (const std::int64_t i : ir::ToInts(*indices))
      if (i < -size || i >= size) return n.Fail(fmt::format("index {} is outside of [{}, {})", i, -size, size));
  }
  n.Out(0, n.Add("gather", {n.in(0), n.in(1)}, {{"axis", std::int64_t{axis}}}));
  return {};
}

// Indices counted from the end, made plain.
Ex Wrap(NodeContext& n, Value indices, const Dim& size, Value x, int axis) {
  const Ex i = n.ex(n.b.Cast(indices, DType::kI64));
  const Ex zero = n.Scalar(0, DType::kI64);
  const Ex count = size.is_symbolic() ? n.Reshape(n.SliceAxis(n.ShapeValue(x), 0, axis, axis + 1), {})
                                      : n.ex(n.b.Constant(Literal::scalar<std::int64_t>(size.value())));
  return Select(Op("less", i, zero), i + count, i);
}

// 0, 1, 2, … along `axis`, with the dims of `shape`.
Ex Coordinate(NodeContext& n, const Shape& shape, int axis) {
  std::vector<Dim> dims(shape.dims().size(), Dim(1));
  dims[static_cast<std::size_t>(axis)] = shape[axis];
  return n.Broadcast(n.Reshape(n.Iota(shape[axis], DType::kI64), std::move(dims)), shape.dims());
}

// A list of index tensors of one shape as one tensor with a last axis of coordinates.
Value Stack(NodeContext& n, const std::vector<Ex>& coordinates, const Shape& shape) {
  std::vector<Dim> dims = shape.dims();
  dims.emplace_back(1);
  std::vector<Value> columns;
  for (const Ex& c : coordinates) columns.push_back(n.Reshape(c, dims));
  return n.Add("concat", std::move(columns), {{"axis", std::int64_t{-1}}});
}

Status GatherElements(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(0)));
  TENON_ASSIGN_OR_RETURN(const Shape wanted, n.ShapeOf(n.in(1)));
  if (shape.rank() != wanted.rank())
    return n.Fail(fmt::format("data of rank {} and indices of rank {}", shape.rank(), wanted.rank()));
  TENON_ASSIGN_OR_RETURN(const int axis, n.Axis(n.Int("axis", 0), shape.rank()));
  // The indices may cover less than the data along the other axes.
  std::vector<Dim> limits = wanted.dims();
  limits[static_cast<std::size_t>(axis)] = shape[axis];
  Value x = n.in(0);
  if (Shape(limits) != shape)
    x = n.Add("slice", {x}, {{"starts", Shape(std::vector<Dim>(limits.size(), Dim(0)))}, {"limits", Shape(limits)}});
  n.Out(0, n.Add("take_along_axis", {x, Wrap(n, n.in(1), shape[axis], n.in(0), axis)}, {{"axis", std::int64_t{axis}}}));
  return {};
}

Status GatherNd(NodeContext& n) {
  const std::int64_t batch = n.Int("batch_dims", 0);
  Value indices = n.b.Cast(n.in(1), DType::kI64);
  if (batch != 0) {
    TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(1)));
    if (batch < 0 || batch >= shape.rank())
      return n.Fail(fmt::format("batch_dims {} for rank {}", batch, shape.rank()));
    std::vector<Dim> lead = shape.dims();
    lead.pop_back();
    std::vector<Value> columns;
    for (int i = 0; i < batch; ++i) {
      std::vector<Dim> dims = lead;
      dims.emplace_back(1);
      columns.push_back(n.Reshape(Coordinate(n, Shape(lead), i), std::move(dims)));
    }
    columns.push_back(indices);
    indices = n.Add("concat", std::move(columns), {{"axis", std::int64_t{-1}}});
  }
  n.Out(0, n.Add("gather_nd", {n.in(0), indices}));
  return {};
}

// x with updates written at tuples of coordinates, or joined with what is there.
Result<Value> ScatterCoordinates(NodeContext& n, Value x, Value coordinates, Value updates,
                                 const std::string& reduction) {
  if (reduction == "add") return n.Add("scatter_nd_add", {x, coordinates, updates});
  const char* ours = reduction == "none"  ? "none"
                     : reduction == "mul" ? "multiply"
                     : reduction == "max" ? "maximum"
                     : reduction == "min" ? "minimum"
                                          : nullptr;
  if (ours == nullptr) return n.Fail(fmt::format("reduction is \"{}\"", reduction));
  return n.Add("scatter_nd", {x, coordinates, updates}, {{"reduction", std::string(ours)}});
}

Status ScatterNd(NodeContext& n) {
  const Value indices = n.b.Cast(n.in(1), DType::kI64);
  TENON_ASSIGN_OR_RETURN(const Value out,
                         ScatterCoordinates(n, n.in(0), indices, n.in(2), n.String("reduction", "none")));
  n.Out(0, out);
  return {};
}

Status ScatterElements(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(0)));
  TENON_ASSIGN_OR_RETURN(const Shape wanted, n.ShapeOf(n.in(1)));
  if (shape.rank() != wanted.rank())
    return n.Fail(fmt::format("data of rank {} and indices of rank {}", shape.rank(), wanted.rank()));
  TENON_ASSIGN_OR_RETURN(const int axis, n.Axis(n.Int("axis", 0), shape.rank()));
  if (const std::optional<Literal> indices = n.Const(1); indices && !shape[axis].is_symbolic()) {
    const std::int64_t size = shape[axis].value();
    for (const std::int64_t i : ir::ToInts(*indices))
      if (i < -size || i >= size) return n.Fail(fmt::format("index {} is outside of [{}, {})", i, -size, size));
  }
  std::vector<Ex> coordinates;
  for (int i = 0; i < shape.rank(); ++i)
    coordinates.push_back(i == axis ? Wrap(n, n.in(1), shape[axis], n.in(0), axis) : Coordinate(n, wanted, i));
  TENON_ASSIGN_OR_RETURN(const Value out, ScatterCoordinates(n, n.in(0), Stack(n, coordinates, wanted), n.in(2),
                                                             n.String("reduction", "none")));
  n.Out(0, out);
  return {};
}

Status OneHot(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const int rank, n.Rank(n.in(0)));
  TENON_ASSIGN_OR_RETURN(const int axis, n.Axis(n.Int("axis", -1), rank + 1));
  const Ex raw = n.ex(n.b.Cast(n.in(0), DType::kI64));
  const Ex depth = ScalarOf(n, n.in(1));
  const Ex indices = Select(Op("less", raw, n.Scalar(0, DType::kI64)), raw + depth, raw);
  Ex on;
  if (const std::optional<Literal> known = n.Const(1); known && known->size() == 1) {
    const Value hot = n.Add("one_hot", {indices},
                            {{"depth", ir::ToInts(*known)[0]}, {"axis", std::int64_t{axis}}, {"dtype", DType::kI32}});
    on = Op("greater", n.ex(hot), n.Scalar(0, DType::kI32));
  } else {
    TENON_ASSIGN_OR_RETURN(const Dim count, DimOf(n, n.b.Cast(n.in(1), DType::kI64), "depth"));
    std::vector<Dim> dims(static_cast<std::size_t>(rank) + 1, Dim(1));
    dims[static_cast<std::size_t>(axis)] = count;
    on = Op("equal", n.Apply("expand_dims", {indices}, {{"axes", Ints{axis}}}),
            n.Reshape(n.Iota(count, DType::kI64), std::move(dims)));
  }
  const Ex off_value = n.Reshape(n.SliceAxis(n.in(2), 0, 0, 1), {}),
           on_value = n.Reshape(n.SliceAxis(n.in(2), 0, 1, 2), {});
  n.Out(0, Select(on, on_value, off_value));
  return {};
}

Status TopK(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const int rank, n.Rank(n.in(0)));
  TENON_ASSIGN_OR_RETURN(const int axis, n.Axis(n.Int("axis", -1), rank));
  Dim k = n.Int("k", -1);
  if (n.opset >= 10) {
    TENON_ASSIGN_OR_RETURN(k, DimOf(n, n.in(1), "k"));
  }
  // With a k that only the run knows: all of them, sorted, and the first k of these.
  const Dim most = k.is_symbolic() ? n.b.shape(n.in(0))[axis] : k;
  if (most.is_symbolic()) return n.Unsupported("a k that is computed when the model runs, of an axis of unknown size");
  if (most.value() < 0) return n.Fail(fmt::format("k is {}", most.value()));
  std::vector<Value> out = n.b.AddAll("top_k", {n.in(0)},
                                      {{"k", most.value()},
                                       {"axis", std::int64_t{axis}},
                                       {"largest", n.Int("largest", 1) != 0},
                                       {"sorted", n.Int("sorted", 1) != 0 || k.is_symbolic()}});
  for (std::size_t i = 0; i < out.size(); ++i)
    n.Out(static_cast<int>(i), k.is_symbolic() ? n.SliceAxis(out[i], axis, 0, k).v : out[i]);
  return {};
}

Status NonZero(NodeContext& n) {
  n.Out(0, n.Add("nonzero", {n.in(0)}));
  return {};
}

// The places where a vector is not zero, i64 [n].
Value Places(NodeContext& n, Value v) { return n.Add("squeeze", {n.Add("nonzero", {v})}, {{"axes", Ints{0}}}); }

Status Compress(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(0)));
  Value x = n.in(0);
  int axis = 0;
  if (n.HasAttr("axis")) {
    TENON_ASSIGN_OR_RETURN(axis, n.Axis(n.Int("axis", 0), shape.rank()));
  } else {
    x = n.Reshape(x, {shape.size()});
  }
  n.Out(0, n.Add("gather", {x, Places(n, n.in(1))}, {{"axis", std::int64_t{axis}}}));
  return {};
}

// start, start + delta, … below limit.
Status Range(NodeContext& n) {
  const DType dtype = n.dtype(0);
  const std::optional<std::vector<Dim>> start = n.Symbolic(n.in(0)), limit = n.Symbolic(n.in(1)),
                                        delta = n.Symbolic(n.in(2));
  const std::optional<Literal> a = n.Const(0), b = n.Const(1), c = n.Const(2);
  std::optional<Dim> count;
  if (c && c->size() == 1 && c->at(0) == 0) return n.Fail("a step of 0");
  if (a && b && c && is_float(dtype)) {
    const double steps = std::ceil((b->at(0) - a->at(0)) / c->at(0));
    if (!(steps < 1e15)) return n.Fail(fmt::format("{} elements", steps));
    count = static_cast<std::int64_t>(std::max(steps, 0.0));
  } else if (start && limit && delta && start->size() == 1 && limit->size() == 1 && delta->size() == 1) {
    const Dim step = (*delta)[0];
    if (!step.is_symbolic()) {
      const Dim span = step.value() > 0 ? (*limit)[0] - (*start)[0] : (*start)[0] - (*limit)[0];
      const Dim steps = Dim::ceil_div(span, step.value() > 0 ? step : Dim(-1) * step);
      count = steps.is_symbolic() ? ((*start)[0] == Dim(0) && step.value() > 0 ? steps : Dim::max(steps, 0))
                                  : Dim(std::max<std::int64_t>(steps.value(), 0));
    }
  }
  const auto scalar = [&](int i) { return n.Reshape(n.in(i), {}); };
  Value index;
  if (count) {
    index = n.Iota(*count, DType::kI64);
  } else {
    // As many places as the run says: those of a vector of ones.
    const Ex span = scalar(1) - scalar(0);
    Ex steps;
    if (is_float(dtype)) {
      steps = n.ex(n.b.Cast(Op("ceil", span / scalar(2)), DType::kI64));
    } else {
      steps = -Op("floor_divide", n.ex(n.b.Cast(-span, DType::kI64)), n.ex(n.b.Cast(scalar(2), DType::kI64)));
    }
    steps = n.Reshape(Op("maximum", steps, n.Scalar(0, DType::kI64)), {1});
    index = Places(n, n.Add("broadcast_to", {n.b.Scalar(1, DType::kI32), steps}));
  }
  n.Out(0, n.ex(n.b.Cast(index, dtype)) * scalar(2) + scalar(0));
  return {};
}

Status Cumulative(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const int rank, n.Rank(n.in(0)));
  const auto along = [&](ir::Builder& b, const std::vector<Value>& in, int axis) {
    return b.Add(n.row.ours, {in[0]},
                 {{"axis", std::int64_t{axis}},
                  {"exclusive", n.Int("exclusive", 0) != 0},
                  {"reverse", n.Int("reverse", 0) != 0}});
  };
  if (!n.Const(1)) {
    n.Out(0, SwitchAxis(n, n.in(1), rank, {n.in(0)}, along));
    return {};
  }
  TENON_ASSIGN_OR_RETURN(const std::int64_t axis_value, n.NeedInt(1, "axis"));
  TENON_ASSIGN_OR_RETURN(const int axis, n.Axis(axis_value, rank));
  n.Out(0, along(n.b, {n.in(0)}, axis));
  return {};
}

// The first `length` elements of each row, turned round.
Status ReverseSequence(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(0)));
  const std::int64_t batch = n.Int("batch_axis", 1), time = n.Int("time_axis", 0);
  if (shape.rank() < 2 || batch + time != 1 || batch * time != 0)
    return n.Fail(fmt::format("batch_axis {} and time_axis {}, expected 0 and 1 or 1 and 0", batch, time));
  Ints swap;
  for (int i = 0; i < shape.rank(); ++i) swap.push_back(i);
  if (batch == 1) std::swap(swap[0], swap[1]);
  const Ex x = batch == 1 ? n.Transpose(n.in(0), swap) : n.x(0);
  const Dim rows = shape[static_cast<int>(batch)], steps = shape[static_cast<int>(time)];
  const Ex t = n.Iota(steps, DType::kI64), length = n.Reshape(n.b.Cast(n.in(1), DType::kI64), {rows, 1});
  const Ex index = Select(Op("less", t, length), length - t - 1.0, t);
  const Ex out = n.Apply("gather", {x, index}, {{"axis", std::int64_t{1}}, {"batch_dims", std::int64_t{1}}});
  n.Out(0, batch == 1 ? n.Transpose(out, swap) : out);
  return {};
}

const OpRow kRows[] = {
    {"Gather", 2, 2, 1, "axis:i", Gather},
    {"GatherElements", 2, 2, 1, "axis:i", GatherElements},
    {"GatherND", 2, 2, 1, "batch_dims:i", GatherNd},
    {"ScatterND", 3, 3, 1, "reduction:s", ScatterNd},
    {"ScatterElements", 3, 3, 1, "axis:i reduction:s", ScatterElements},
    {"Scatter", 3, 3, 1, "axis:i", ScatterElements},
    {"OneHot", 3, 3, 1, "axis:i", OneHot},
    {"TopK", 1, 2, 2, "k:i axis:i largest:i sorted:i", TopK},
    {"NonZero", 1, 1, 1, "", NonZero},
    {"Compress", 2, 2, 1, "axis:i", Compress},
    {"Range", 3, 3, 1, "stash_type:i", Range},
    {"CumSum", 2, 2, 1, "exclusive:i reverse:i", Cumulative, "cumsum"},
    {"CumProd", 2, 2, 1, "exclusive:i reverse:i", Cumulative, "cumprod"},
    {"ReverseSequence", 2, 2, 1, "batch_axis:i time_axis:i", ReverseSequence},
};

}  // namespace
const std::span<const OpRow> kIndexRows = kRows;
}  // namespace tenon::onnx
