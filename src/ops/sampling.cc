// Reading images at places that are computed: grid_sample. Images have the channels before the spatial axes.
#include <cmath>

#include "ops/array_util.h"

namespace tenon::ir::ops {
namespace {

bool OneOf(const std::string& text, std::initializer_list<const char*> allowed) {
  for (const char* a : allowed)
    if (text == a) return true;
  return false;
}

// c1: x has 1 to 3 spatial axes and grid its rank, with as many coordinates. c2: the same batch. c3: known mode and
// padding.
Status InferGridSample(InferContext& ctx) {
  if (!OneOf(ctx.attrs().String("mode"), {"linear", "nearest", "cubic"}))
    return ctx.Fail(3, "got mode \"" + ctx.attrs().String("mode") + "\", expected linear, nearest or cubic");
  if (!OneOf(ctx.attrs().String("padding_mode"), {"zeros", "border", "reflection"}))
    return ctx.Fail(
        3, "got padding_mode \"" + ctx.attrs().String("padding_mode") + "\", expected zeros, border or reflection");
  if (!ctx.ranked(0) || !ctx.ranked(1)) {
    ctx.SetUnknownRank(0, ctx.dtype(0));
    return {};
  }
  const Shape &x = ctx.shape(0), &grid = ctx.shape(1);
  const auto wrong = [&](int c) {
    return ctx.Fail(c, "got " + x.to_string() + " and grid " + grid.to_string() +
                           ", expected [N, C, 1 to 3 spatial axes] and [N, as many axes, their number]");
  };
  if (x.rank() < 3 || x.rank() > 5 || grid.rank() != x.rank() || Differ(grid[-1], x.rank() - 2)) return wrong(1);
  if (Differ(x[0], grid[0])) return wrong(2);
  std::vector<Dim> dims = {Merge(x[0], grid[0]), x[1]};
  for (int i = 1; i + 1 < grid.rank(); ++i) dims.push_back(grid[i]);
  ctx.Set(0, ctx.dtype(0), Shape(std::move(dims)));
  return {};
}

// What one spatial axis needs.
struct SampledAxis {
  Ex at;           // [N, P]: position in elements
  Ex size, steps;  // scalars: elements (float) and elements of the flattened image from one to the next (i64)
};

class Sampler {
 public:
  Sampler(Builder& b, Ex x, Ex grid, const Attrs& attrs)
      : b_(b),
        x_(x),
        mode_(attrs.String("mode")),
        padding_(attrs.String("padding_mode")),
        align_(attrs.Bool("align_corners")) {
    const DType given = grid.dtype();
    inner_ = given == DType::kF64 || x.dtype() == DType::kF64 ? DType::kF64 : DType::kF32;
    grid_ = b(b.Cast(grid, inner_));
  }

  Ex Run() {
    const Shape xs = b_.shape(x_), gs = b_.shape(grid_);
    const int axes = xs.rank() - 2;
    Dim image = 1, places = 1;
    for (int i = 0; i < axes; ++i) {
      image = image * xs[i + 2];
      places = places * gs[i + 1];
    }
    batch_ = xs[0];
    places_ = places;
    // [N, image, C]: one gather reads all channels of a place.
    flat_ = b_(b_.Transpose(b_.Reshape(x_, Shape({xs[0], xs[1], image})), {0, 2, 1}));
    const Ex dims = ShapeOf(x_);
    Ex steps = b_(b_.Scalar(1, DType::kI64));
    std::vector<SampledAxis> all(static_cast<std::size_t>(axes));
    for (int i = axes; i-- > 0;) {
      SampledAxis& a = all[static_cast<std::size_t>(i)];
      const Ex size = b_(b_.Reshape(Op("gather", dims, Vector(b_, {i + 2})), Shape()));
      a.size = b_(b_.Cast(size, inner_));
      a.steps = steps;
      steps = steps * size;
      // The last coordinate is that of the first spatial axis.
      const Ex given = b_(b_.Reshape(Op("gather", grid_, Vector(b_, {axes - 1 - i}), {{"axis", std::int64_t{-1}}}),
                                     Shape({batch_, places_})));
      a.at = align_ ? (given + 1.0) / 2.0 * (a.size - 1.0) : ((given + 1.0) * a.size - 1.0) / 2.0;
      if (mode_ != "cubic") a.at = Padded(a.at, a.size);
    }
    Ex sum;
    Corner(all, 0, Ex(), Ex(), Ex(), &sum);
    std::vector<Dim> out = {xs[0], xs[1]};
    for (int i = 0; i < axes; ++i) out.push_back(gs[i + 1]);
    return b_(b_.Reshape(b_.Transpose(b_.Cast(sum, x_.dtype()), {0, 2, 1}), Shape(std::move(out))));
  }

 private:
  Ex Number(double v) { return b_(b_.Scalar(v, inner_)); }
  Ex Clip(Ex at, Ex size) { return Op("minimum", Op("maximum", at, Number(0)), size - 1.0); }
  // A position outside of the image moved into it, as the padding says; zeros are left where they are.
  Ex Padded(Ex at, Ex size) {
    if (padding_ == "zeros") return at;
    if (padding_ == "border") return Clip(at, size);
    // Reflected at the centres of the border elements, or at their outer edges.
    const double low = align_ ? 0 : -0.5;
    const Ex span = align_ ? Op("maximum", size - 1.0, Number(1)) : size;
    const Ex turns = Op("remainder", at - low, span * 2.0);
    return Clip(Op("minimum", turns, span * 2.0 - turns) + low, size);
  }

  // The taps of one axis: their places (floats) and weights; no weight means 1.
  std::vector<std::pair<Ex, Ex>> Taps(const SampledAxis& a) {
    if (mode_ == "nearest") return {{Op("round", a.at), Ex()}};
    const Ex base = Op("floor", a.at), t = a.at - base;
    if (mode_ == "linear") return {{base, 1.0 - t}, {base + 1.0, t}};
    // Keys' cubic kernel with a = -0.75.
    const double k = -0.75;
    const auto near = [&](Ex d) { return ((k + 2) * d - (k + 3)) * d * d + 1.0; };
    const auto far = [&](Ex d) { return ((k * d - 5 * k) * d + 8 * k) * d - 4 * k; };
    const Ex r = 1.0 - t;
    return {{base - 1.0, far(t + 1.0)}, {base, near(t)}, {base + 1.0, near(r)}, {base + 2.0, far(r + 1.0)}};
  }

  // Adds up the taps of the axes from `axis` on: the flat index, weight and "inside the image" of the axes before it.
  void Corner(const std::vector<SampledAxis>& all, std::size_t axis, Ex index, Ex weight, Ex inside, Ex* sum) {
    if (!b_.ok()) return;
    if (axis == all.size()) {
      Ex value = Op("gather", flat_, index, {{"axis", std::int64_t{1}}, {"batch_dims", std::int64_t{1}}});
      value = b_(b_.Cast(value, inner_));
      const auto column = [&](Ex v) { return ExpandDims(v, {-1}); };
      if (inside.v.valid()) value = Select(column(inside), value, Number(0));
      if (weight.v.valid()) value = column(weight) * value;
      *sum = sum->v.valid() ? *sum + value : value;
      return;
    }
    const SampledAxis& a = all[axis];
    for (const auto& [at, w] : Taps(a)) {
      const Ex place = mode_ == "cubic" ? Padded(at, a.size) : at;
      Ex in = inside;
      if (padding_ == "zeros") {
        const Ex here = Op("logical_and", Op("greater_equal", place, Number(0)), Op("less", place, a.size));
        in = in.v.valid() ? Op("logical_and", in, here) : here;
      }
      // A reflected tap may lie between two elements by rounding: the cast cuts it off, as the position's floor does.
      const Ex step = b_(b_.Cast(Clip(place, a.size), DType::kI64)) * a.steps;
      const Ex total = !w.v.valid() ? weight : weight.v.valid() ? weight * w : w;
      Corner(all, axis + 1, index.v.valid() ? index + step : step, total, in, sum);
    }
  }

  Builder& b_;
  Ex x_, grid_, flat_;
  std::string mode_, padding_;
  bool align_;
  DType inner_ = DType::kF32;
  Dim batch_, places_;
};

Status LowerGridSample(LowerContext& ctx) {
  if (!ctx.b.ok() || !ctx.b.ranked(ctx.in(0)) || !ctx.b.ranked(ctx.in(1)))
    return Status(Code::kUnimplemented, "grid_sample: the ranks are not known");
  ctx.Set(0, Sampler(ctx.b, ctx.in(0), ctx.in(1), ctx.attrs()).Run());
  return {};
}

// Odd multiples of 1/64 in [-1.4, 1.4]: in every float dtype, and never at an element or a border of sizes 2, 3 and 5,
// where the gradient jumps.
Literal Coordinates(std::vector<std::int64_t> dims, int seed) {
  std::vector<double> values = ToDoubles(Random(dims, seed, 0, 256));
  for (double& v : values) v = (2 * std::floor(v * 89 / 255) - 89) / 64;
  return FromDoubles(DType::kF32, std::move(dims), values);
}

std::vector<Sample> GridSampleSamples() {
  const Literal x = Random({2, 2, 5, 3}, 1), grid = Coordinates({2, 3, 2, 2}, 2);
  const auto sample = [&](const char* name, const char* mode, const char* padding, bool align) {
    return Sample{
        .name = name,
        .inputs = {x, grid},
        .attrs = {{"mode", std::string(mode)}, {"padding_mode", std::string(padding)}, {"align_corners", align}},
        .gradient = std::string_view(mode) != "nearest"};
  };
  Sample mode = sample("unknown", "area", "zeros", false);
  mode.error = "c3";
  return {sample("linear", "linear", "zeros", false),
          sample("aligned", "linear", "zeros", true),
          sample("border", "linear", "border", false),
          sample("reflection", "linear", "reflection", false),
          sample("reflection_aligned", "linear", "reflection", true),
          sample("nearest", "nearest", "zeros", false),
          sample("nearest_border", "nearest", "border", true),
          sample("cubic", "cubic", "zeros", false),
          sample("cubic_border", "cubic", "border", true),
          sample("cubic_reflection", "cubic", "reflection", false),
          {.name = "volume", .inputs = {Random({1, 2, 3, 2, 3}, 3), Coordinates({1, 2, 2, 2, 3}, 4)}},
          {.name = "empty", .inputs = {x, Random({2, 0, 2, 2}, 5)}},
          mode,
          {.name = "coordinates", .inputs = {x, Random({2, 3, 2, 3}, 6)}, .error = "c1"},
          {.name = "batch", .inputs = {x, Random({1, 3, 2, 2}, 7)}, .error = "c2"}};
}

// The lowering in f64, rounded once at the end.
Status EvalGridSample(EvalContext& ctx) {
  Graph graph;
  Builder b(&graph);
  std::vector<Value> values;
  std::vector<Datum> wide;
  for (int i = 0; i < ctx.num_inputs(); ++i) {
    TENON_ASSIGN_OR_RETURN(Literal x, Convert(ctx.in(i), DType::kF64));
    values.push_back(b.Input("", Type::Of(x)));
    wide.emplace_back(std::move(x));
  }
  TENON_ASSIGN_OR_RETURN(std::vector<Value> out, Lower(b, ctx.op(), values, ctx.attrs()));
  graph.set_outputs(std::move(out));
  TENON_ASSIGN_OR_RETURN(const std::vector<Datum> y, EvalGraph(graph, std::move(wide)));
  TENON_ASSIGN_OR_RETURN(Literal rounded, Convert(y[0].literal(), ctx.out_dtype()));
  ctx.Set(0, std::move(rounded));
  return {};
}

constinit const OpDef kOps[] = {
    {.name = "grid_sample",
     .summary =
         "An image [N, C, spatial] read at the places of a grid [N, out, spatial axes]: coordinates from -1 to 1 "
         "over the image, that of the last axis first.",
     .inputs = {{.name = "x", .dtypes = kFloatSet}, {.name = "grid", .type = "G", .dtypes = kFloatSet}},
     .outputs = {{.name = "y", .dtypes = kFloatSet}},
     .attrs = {StringAttr("mode", "linear", "linear, nearest (halves to even), or cubic (a = -0.75)"),
               StringAttr("padding_mode", "zeros", "what lies outside: zeros, the border, or the image reflected"),
               BoolAttr("align_corners", false,
                        "-1 and 1 are the centres of the border elements; else their outer edges")},
     .traits = kAccumulates,
     .infer = InferGridSample,
     .eval = EvalGridSample,
     .lower = LowerGridSample,
     .samples = GridSampleSamples},
};

}  // namespace
extern const std::span<const OpDef> sampling_ops;
constinit const std::span<const OpDef> sampling_ops{kOps};
}  // namespace tenon::ir::ops
