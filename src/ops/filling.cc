// Ops that make elements: padding, tiling, counting, one-hot.
#include <algorithm>
#include <cmath>

#include "ops/array_util.h"

namespace tenon::ir::ops {
namespace {

using Longs = std::vector<std::int64_t>;

bool KnownMode(std::string_view mode) {
  return mode == "constant" || mode == "reflect" || mode == "symmetric" || mode == "edge" || mode == "wrap";
}

// c1: one low and high per axis, not negative. c2: the mode is known. c3: every mode but constant needs elements.
Status InferPad(InferContext& ctx) {
  const Shape &low = ctx.attrs().Dims("low"), &high = ctx.attrs().Dims("high");
  const std::string& mode = ctx.attrs().String("mode");
  if (!KnownMode(mode))
    return ctx.Fail(2, "got mode \"" + mode + "\", expected constant, reflect, symmetric, edge or wrap");
  if (low.rank() != high.rank() || (ctx.ranked(0) && ctx.rank(0) != low.rank()))
    return ctx.Fail(1, "got " + std::to_string(low.rank()) + " low and " + std::to_string(high.rank()) +
                           " high paddings" + (ctx.ranked(0) ? " for rank " + std::to_string(ctx.rank(0)) : "") +
                           ", expected one per axis");
  std::vector<Dim> dims;
  for (int i = 0; i < low.rank(); ++i) {
    if (KnownLess(low[i], 0) || KnownLess(high[i], 0))
      return ctx.Fail(1, "got padding " + low[i].to_string() + " and " + high[i].to_string() +
                             ", expected none below 0 (slice cuts)");
    if (!ctx.ranked(0)) {
      dims.push_back(ctx.FreshDim());
      continue;
    }
    const Dim& d = ctx.shape(0)[i];
    if (mode != "constant" && d == Dim(0) && (KnownLess(0, low[i]) || KnownLess(0, high[i])))
      return ctx.Fail(3, "got an empty axis " + std::to_string(i) + ", which mode " + mode + " cannot repeat");
    dims.push_back(low[i] + d + high[i]);
  }
  ctx.Set(0, ctx.dtype(0), Shape(std::move(dims)));
  return {};
}
// Where position i (0 = first element of x, negative before it) of a padded axis of n elements comes from; -1: nowhere.
std::int64_t PadSource(std::string_view mode, std::int64_t i, std::int64_t n) {
  const auto mod = [](std::int64_t a, std::int64_t m) { return (a % m + m) % m; };
  if (i >= 0 && i < n) return i;
  if (mode == "edge") return std::clamp<std::int64_t>(i, 0, n - 1);
  if (mode == "wrap") return mod(i, n);
  if (mode == "symmetric") return std::min(mod(i, 2 * n), 2 * n - 1 - mod(i, 2 * n));
  if (mode != "reflect") return -1;
  if (n == 1) return 0;
  return std::min(mod(i, 2 * n - 2), 2 * n - 2 - mod(i, 2 * n - 2));
}
Status EvalPad(EvalContext& ctx) {
  const Literal& x = ctx.in(0);
  const Longs dims = ctx.out_dims(), low = ctx.attrs().Dims("low").values(), steps = Strides(x.dims());
  const std::string& mode = ctx.attrs().String("mode");
  Longs from;
  ForEachIndex(dims, [&](std::span<const std::int64_t> index) {
    std::int64_t at = 0;
    for (std::size_t i = 0; i < index.size() && at >= 0; ++i) {
      const std::int64_t source = PadSource(mode, index[i] - low[i], x.dims()[i]);
      at = source < 0 ? -1 : at + source * steps[i];
    }
    from.push_back(at);
  });
  const double value = ctx.attrs().Float("value");
  if (mode != "constant" || (value == 0 && !std::signbit(value))) {
    ctx.Set(0, GatherElements(x, dims, from));
    return {};
  }
  VisitWide(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::vector<T> v = LoadAs<T>(x);
    const T fill = LoadAs<T>(ScalarLiteral(value, x.dtype()))[0];
    std::vector<T> out;
    for (const std::int64_t at : from) out.push_back(at < 0 ? fill : v[Size(at)]);
    ctx.Set(0, StoreAs<T>(x.dtype(), dims, out));
  });
  return {};
}
// The source of every position of a padded axis, as an index vector: PadSource over iota.
Ex PadSources(Builder& b, std::string_view mode, Ex count, const Dim& low, const Dim& n, const Dim& high) {
  if (!low.is_symbolic() && !n.is_symbolic() && !high.is_symbolic()) {
    Longs sources;
    for (std::int64_t i = -low.value(); i < n.value() + high.value(); ++i)
      sources.push_back(PadSource(mode, i, n.value()));
    return Vector(b, sources);
  }
  const auto iota = [&](const Dim& size) { return b(b.Add("iota", {}, {{"dims", Shape({size})}})); };
  // The number low as a value: how many positions lie before x.
  const Ex before = low.is_symbolic() ? ShapeOf(iota(low)) : Vector(b, {low.value()});
  const Ex i = iota(low + n + high) - before;
  if (mode == "edge") return Op("minimum", Op("maximum", i, b(b.Scalar(0, DType::kI64))), count - 1.0);
  if (mode == "wrap") return Op("remainder", i, count);
  if (mode == "symmetric") {
    const Ex m = Op("remainder", i, count * 2.0);
    return Op("minimum", m, count * 2.0 - 1.0 - m);
  }
  const Ex period = count * 2.0 - 2.0;
  const Ex m = Op("remainder", i, Op("maximum", period, b(b.Scalar(1, DType::kI64))));
  return Op("minimum", m, period - m);
}
Status GradPad(GradContext& ctx) {
  Builder& b = ctx.b;
  const Shape &low = ctx.attrs().Dims("low"), &high = ctx.attrs().Dims("high");
  const std::string& mode = ctx.attrs().String("mode");
  Ex d = ctx.d();
  const Shape out = b.shape(ctx.out());
  if (mode == "constant") {
    std::vector<Dim> limits;
    for (int i = 0; i < low.rank(); ++i)
      limits.push_back(b.ranked(ctx.in(0)) ? low[i] + b.shape(ctx.in(0))[i] : out[i] - high[i]);
    ctx.Set(0, Op("slice", d, {{"starts", low}, {"limits", Shape(std::move(limits))}}));
    return {};
  }
  if (!b.ranked(ctx.in(0))) return Status(Code::kFailedPrecondition, "pad: the gradient needs the rank of its input");
  const Shape x = b.shape(ctx.in(0));
  std::vector<Dim> dims = out.dims();
  for (int axis = 0; axis < x.rank(); ++axis) {  // one axis after the other shrinks back
    if (low[axis] == Dim(0) && high[axis] == Dim(0)) continue;
    const Ex count = Op("slice", ShapeOf(ctx.in(0)), {{"starts", Shape({axis})}, {"limits", Shape({axis + 1})}});
    dims[static_cast<std::size_t>(axis)] = x[axis];
    d = b(b.Add("scatter_add",
                {Zeros(b, d.dtype(), Shape(dims)), PadSources(b, mode, count, low[axis], x[axis], high[axis]), d},
                {{"axis", std::int64_t{axis}}}));
  }
  ctx.Set(0, d);
  return {};
}

// c1: one repeat per axis, not negative.
Status InferTile(InferContext& ctx) {
  const Shape& repeats = ctx.attrs().Dims("repeats");
  if (ctx.ranked(0) && ctx.rank(0) != repeats.rank())
    return ctx.Fail(1, "got " + std::to_string(repeats.rank()) + " repeats for rank " + std::to_string(ctx.rank(0)) +
                           ", expected one per axis");
  std::vector<Dim> dims;
  for (int i = 0; i < repeats.rank(); ++i) {
    if (KnownLess(repeats[i], 0)) return ctx.Fail(1, "got repeats " + repeats.to_string() + ", expected none below 0");
    dims.push_back(ctx.ranked(0) ? ctx.shape(0)[i] * repeats[i] : ctx.FreshDim());
  }
  ctx.Set(0, ctx.dtype(0), Shape(std::move(dims)));
  return {};
}
Status EvalTile(EvalContext& ctx) {
  const Literal& x = ctx.in(0);
  const Longs dims = ctx.out_dims(), steps = Strides(x.dims());
  Longs from;
  ForEachIndex(dims, [&](std::span<const std::int64_t> index) {
    std::int64_t at = 0;
    for (std::size_t i = 0; i < index.size(); ++i) at += index[i] % x.dims()[i] * steps[i];
    from.push_back(at);
  });
  ctx.Set(0, GatherElements(x, dims, from));
  return {};
}
// [r0, d0, r1, d1, …] and the axes of the repeats.
struct TileView {
  Shape split, ones, joined;
  Longs repeat_axes;
};
Result<TileView> ViewOfTile(Builder& b, Value x, const Shape& repeats) {
  if (!b.ok()) return b.status();
  if (!b.ranked(x)) return Status(Code::kFailedPrecondition, "tile: the rank of its input is not known");
  std::vector<Dim> split, ones, joined;
  TileView v;
  for (int i = 0; i < repeats.rank(); ++i) {
    const Dim& d = b.shape(x)[i];
    v.repeat_axes.push_back(2 * i);
    split.insert(split.end(), {repeats[i], d});
    ones.insert(ones.end(), {1, d});
    joined.push_back(repeats[i] * d);
  }
  v.split = Shape(std::move(split));
  v.ones = Shape(std::move(ones));
  v.joined = Shape(std::move(joined));
  return v;
}
Status LowerTile(LowerContext& ctx) {
  TENON_ASSIGN_OR_RETURN(const TileView v, ViewOfTile(ctx.b, ctx.in(0), ctx.attrs().Dims("repeats")));
  const Ex wide = Op("broadcast_to", ctx.b(ctx.b.Reshape(ctx.in(0), v.ones)), {{"dims", v.split}});
  ctx.Set(0, ctx.b.Reshape(wide, v.joined));
  return {};
}
Status GradTile(GradContext& ctx) {
  TENON_ASSIGN_OR_RETURN(const TileView v, ViewOfTile(ctx.b, ctx.in(0), ctx.attrs().Dims("repeats")));
  if (v.repeat_axes.empty())
    ctx.Set(0, ctx.d());
  else
    ctx.Set(0, ctx.b.ReduceSum(ctx.b.Reshape(ctx.d(), v.split), v.repeat_axes, false));
  return {};
}

// c1: the axis is in range. c2: dims not negative.
Status InferIota(InferContext& ctx) {
  const Shape& dims = ctx.attrs().Dims("dims");
  const DType dtype = ctx.attrs().Dtype("dtype");
  if ((kRealSet & Only(dtype)) == 0)
    return ctx.Fail(3, "got dtype " + std::string(dtype_name(dtype)) + ", expected an integer or float dtype");
  TENON_RETURN_IF_ERROR(as_status(ctx.Axis(ctx.attrs().Int("axis"), dims.rank(), 1)));
  for (const Dim& d : dims.dims())
    if (KnownLess(d, 0)) return ctx.Fail(2, "got dims " + dims.to_string() + ", expected none below 0");
  ctx.Set(0, dtype, dims);
  if (is_integer(dtype) && dims.rank() == 1 && !dims[0].is_symbolic() && dims[0].value() <= 64) {
    std::vector<Dim> elements;
    for (std::int64_t i = 0; i < dims[0].value(); ++i) elements.emplace_back(i);
    ctx.SetValue(0, std::move(elements));
  }
  return {};
}
Status EvalIota(EvalContext& ctx) {
  const Longs dims = ctx.out_dims();
  TENON_RETURN_IF_ERROR(as_status(checked_size(dims)));
  const Around a = SplitAt(dims, NormalAxis(ctx.attrs().Int("axis"), static_cast<int>(dims.size())));
  Longs out(Size(Product(dims)));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::int64_t>(i) / a.inner % a.count;
  ctx.Set(0, FromInts(ctx.out_dtype(), dims, out));
  return {};
}

// c1: the axis is in range of the result. c2: the depth is not negative.
Status InferOneHot(InferContext& ctx) {
  const std::int64_t depth = ctx.attrs().Int("depth");
  const DType dtype = ctx.attrs().Dtype("dtype");
  if (depth < 0) return ctx.Fail(2, "got depth " + std::to_string(depth) + ", expected 0 or more");
  if ((kFixedSet & Only(dtype)) == 0)
    return ctx.Fail(3, "got dtype " + std::string(dtype_name(dtype)) + ", which is not computed with");
  if (!ctx.ranked(0)) {
    ctx.SetUnknownRank(0, dtype);
    return {};
  }
  TENON_ASSIGN_OR_RETURN(const int axis, ctx.Axis(ctx.attrs().Int("axis"), ctx.rank(0), 1, 1));
  std::vector<Dim> dims = ctx.shape(0).dims();
  dims.insert(dims.begin() + axis, Dim(depth));
  ctx.Set(0, dtype, Shape(std::move(dims)));
  return {};
}
Status EvalOneHot(EvalContext& ctx) {
  const Longs dims = ctx.out_dims();
  TENON_RETURN_IF_ERROR(as_status(checked_size(dims)));
  const Around a = SplitAt(dims, NormalAxis(ctx.attrs().Int("axis"), static_cast<int>(dims.size())));
  const Longs index = ToInts(ctx.in(0));
  std::vector<double> out(Size(Product(dims)), ctx.attrs().Float("off_value"));
  for (std::size_t i = 0; i < index.size(); ++i) {
    if (index[i] < 0 || index[i] >= a.count) continue;
    const auto outer = static_cast<std::int64_t>(i) / a.inner, inner = static_cast<std::int64_t>(i) % a.inner;
    out[Size((outer * a.count + index[i]) * a.inner + inner)] = ctx.attrs().Float("on_value");
  }
  ctx.Set(0, FromDoubles(ctx.out_dtype(), dims, out));
  return {};
}

std::vector<Sample> PadSamples() {
  const auto attrs = [](Shape low, Shape high, std::string mode, double value = 0) {
    return Attrs{{"low", std::move(low)}, {"high", std::move(high)}, {"mode", std::move(mode)}, {"value", value}};
  };
  return {{.name = "constant", .inputs = {Random({2, 3}, 1)}, .attrs = attrs({1, 0}, {0, 2}, "constant")},
          {.name = "value", .inputs = {Random({2, 3}, 2)}, .attrs = attrs({1, 1}, {1, 1}, "constant", 2.5)},
          {.name = "reflect", .inputs = {Random({3, 4}, 3)}, .attrs = attrs({2, 1}, {1, 3}, "reflect")},
          {.name = "reflect_far", .inputs = {Random({3}, 4)}, .attrs = attrs({5}, {7}, "reflect")},
          {.name = "reflect_one", .inputs = {Random({1}, 5)}, .attrs = attrs({2}, {1}, "reflect")},
          {.name = "symmetric", .inputs = {Random({3, 2}, 6)}, .attrs = attrs({2, 0}, {1, 3}, "symmetric")},
          {.name = "edge", .inputs = {Random({3, 2}, 7)}, .attrs = attrs({2, 0}, {1, 3}, "edge")},
          {.name = "wrap", .inputs = {Random({3, 2}, 8)}, .attrs = attrs({2, 0}, {1, 3}, "wrap")},
          {.name = "nothing", .inputs = {Random({2}, 9)}, .attrs = attrs({0}, {0}, "reflect")},
          {.name = "scalar", .inputs = {Random({}, 10)}, .attrs = attrs({}, {}, "constant")},
          {.name = "empty", .inputs = {Random({0, 2}, 11)}, .attrs = attrs({1, 1}, {1, 0}, "constant", 1)},
          {.name = "count", .inputs = {Random({2}, 12)}, .attrs = attrs({1, 1}, {1, 1}, "constant"), .error = "c1"},
          {.name = "negative", .inputs = {Random({2}, 12)}, .attrs = attrs({-1}, {0}, "constant"), .error = "c1"},
          {.name = "mode", .inputs = {Random({2}, 13)}, .attrs = attrs({1}, {1}, "mirror"), .error = "c2"},
          {.name = "no_elements", .inputs = {Random({0}, 14)}, .attrs = attrs({1}, {0}, "edge"), .error = "c3"}};
}
std::vector<Sample> TileSamples() {
  return {{.name = "plain", .inputs = {Random({2, 3}, 1)}, .attrs = {{"repeats", Shape({2, 1})}}},
          {.name = "both", .inputs = {Random({2, 1}, 2)}, .attrs = {{"repeats", Shape({3, 2})}}},
          {.name = "none", .inputs = {Random({2}, 3)}, .attrs = {{"repeats", Shape({0})}}},
          {.name = "scalar", .inputs = {Random({}, 4)}, .attrs = {{"repeats", Shape()}}},
          {.name = "empty", .inputs = {Random({0, 2}, 5)}, .attrs = {{"repeats", Shape({2, 2})}}},
          {.name = "count", .inputs = {Random({2}, 6)}, .attrs = {{"repeats", Shape({2, 2})}}, .error = "c1"},
          {.name = "negative", .inputs = {Random({2}, 6)}, .attrs = {{"repeats", Shape({-1})}}, .error = "c1"}};
}
std::vector<Sample> IotaSamples() {
  return {{.name = "vector", .attrs = {{"dims", Shape({5})}}},
          {.name = "columns", .attrs = {{"dims", Shape({2, 3})}, {"axis", std::int64_t{-1}}, {"dtype", DType::kF32}}},
          {.name = "rows", .attrs = {{"dims", Shape({2, 3})}}},
          {.name = "empty", .attrs = {{"dims", Shape({0})}}},
          {.name = "scalar", .attrs = {{"dims", Shape()}}, .error = "c1"},
          {.name = "negative", .attrs = {{"dims", Shape({-1})}}, .error = "c2"},
          {.name = "bool", .attrs = {{"dims", Shape({2})}, {"dtype", DType::kBool}}, .error = "c3"}};
}
std::vector<Sample> OneHotSamples() {
  const auto depth = [](std::int64_t n) { return std::pair<std::string_view, Attr>{"depth", n}; };
  return {
      {.name = "vector", .inputs = {Ints({3}, {0, 2, 1})}, .attrs = {depth(3)}},
      {.name = "outside", .inputs = {Ints({2, 2}, {0, 4, -1, 1})}, .attrs = {depth(3)}},
      {.name = "first",
       .inputs = {Ints({2}, {1, 0})},
       .attrs = {depth(2), {"axis", std::int64_t{0}}, {"on_value", 3.0}, {"off_value", -1.0}, {"dtype", DType::kI32}}},
      {.name = "scalar", .inputs = {Ints({}, {1})}, .attrs = {depth(2), {"dtype", DType::kBool}}},
      {.name = "empty", .inputs = {Ints({0}, {})}, .attrs = {depth(2)}},
      {.name = "no_depth", .inputs = {Ints({1}, {0})}, .attrs = {depth(0)}},
      {.name = "bad_axis", .inputs = {Ints({1}, {0})}, .attrs = {depth(2), {"axis", std::int64_t{2}}}, .error = "c1"},
      {.name = "negative", .inputs = {Ints({1}, {0})}, .attrs = {depth(-1)}, .error = "c2"},
      {.name = "string", .inputs = {Ints({1}, {0})}, .attrs = {depth(1), {"dtype", DType::kString}}, .error = "c3"}};
}

constinit const OpDef kOps[] = {
    {.name = "pad",
     .summary = "x with low and high more elements around every axis: a value, or its own elements mirrored (without "
                "or with the edge), repeated or wrapped.",
     .inputs = {{.name = "x", .dtypes = kFixedSet}},
     .outputs = {{.name = "y", .dtypes = kFixedSet}},
     .attrs = {Required("low", AttrKind::kDims, "how many before, per axis"),
               Required("high", AttrKind::kDims, "how many after, per axis"),
               StringAttr("mode", "constant", "constant, reflect, symmetric, edge or wrap"),
               FloatAttr("value", 0, "what constant fills in")},
     .traits = kExact,
     .infer = InferPad,
     .eval = EvalPad,
     .grad = GradPad,
     .samples = PadSamples},
    {.name = "tile",
     .summary = "x repeated as a whole, repeats[i] times along axis i.",
     .inputs = {{.name = "x", .dtypes = kFixedSet}},
     .outputs = {{.name = "y", .dtypes = kFixedSet}},
     .attrs = {Required("repeats", AttrKind::kDims, "how often, per axis")},
     .traits = kExact,
     .infer = InferTile,
     .eval = EvalTile,
     .grad = GradTile,
     .lower = LowerTile,
     .samples = TileSamples},
    {.name = "iota",
     .summary = "0, 1, 2, … along an axis.",
     .outputs = {{.name = "y", .dtypes = kRealSet}},
     .attrs = {Required("dims", AttrKind::kDims, "dims of the result"),
               IntAttr("axis", 0, "the axis along which it counts"),
               DTypeAttr("dtype", DType::kI64, "an integer or float dtype")},
     .traits = kExact,
     .infer = InferIota,
     .eval = EvalIota,
     .samples = IotaSamples},
    {.name = "one_hot",
     .summary = "on_value where the new axis counts to the index, off_value elsewhere; an index outside [0, depth) "
                "gives all off_value.",
     .inputs = {{.name = "indices", .type = "I", .dtypes = kIntegerSet, .flags = kNotDifferentiable}},
     .outputs = {{.name = "y", .type = "D", .dtypes = kFixedSet}},
     .attrs = {Required("depth", AttrKind::kInt, "the dim of the new axis"),
               IntAttr("axis", -1, "where the new axis stands in the result"),
               DTypeAttr("dtype", DType::kF32, "dtype of the result"), FloatAttr("on_value", 1, ""),
               FloatAttr("off_value", 0, "")},
     .traits = kExact | kDiscrete,
     .infer = InferOneHot,
     .eval = EvalOneHot,
     .samples = OneHotSamples},
};

}  // namespace
extern const std::span<const OpDef> filling_ops;
constinit const std::span<const OpDef> filling_ops{kOps};
}  // namespace tenon::ir::ops
