// im2col and col2im: windows of an image as columns, and columns added up to an image. Each is the other's gradient.
#include "ops/array_util.h"

namespace tenon::ir::ops {
namespace {

using Longs = std::vector<std::int64_t>;

// The windows of an image [N, C, spatial].
struct Unfold {
  std::vector<Dim> image, block;
  Longs strides, dilations, low, high;
  std::size_t axes() const { return block.size(); }
  Dim count(std::size_t i) const {
    return Dim::floor_div(image[i] + (low[i] + high[i] - 1) - (block[i] - 1) * dilations[i], strides[i]) + 1;
  }
};

// c2: lists of one length per spatial axis, positive; padding not negative; every window axis fits.
Result<Unfold> ReadUnfold(const InferContext& ctx, std::vector<Dim> image) {
  Unfold u;
  u.image = std::move(image);
  u.block = std::get<Shape>(*ctx.attrs().Find("block_shape")).dims();
  const std::size_t axes = u.axes();
  const auto list = [&](const char* name, Longs* out) {
    *out = ctx.attrs().Ints(name);
    if (out->empty()) out->assign(axes, 1);
    if (out->size() != axes) return false;
    for (const std::int64_t v : *out)
      if (v < 1 || v > (std::int64_t{1} << 31)) return false;
    return true;
  };
  const auto bad = [&] {
    return ctx.Fail(2, "got a block of " + std::to_string(axes) + " axes for " + std::to_string(u.image.size()) +
                           ", or a list that does not fit it");
  };
  Longs padding = ctx.attrs().Ints("padding");
  if (padding.empty()) padding.assign(2 * axes, 0);
  if (axes == 0 || axes != u.image.size() || !list("strides", &u.strides) || !list("dilations", &u.dilations) ||
      padding.size() != 2 * axes)
    return bad();
  for (std::size_t i = 0; i < axes; ++i) {
    u.low.push_back(padding[2 * i]);
    u.high.push_back(padding[2 * i + 1]);
    for (const std::int64_t p : {u.low[i], u.high[i]})
      if (p < 0 || p > (std::int64_t{1} << 31)) return bad();
    if (u.block[i].try_value().value_or(1) < 1 || u.image[i].try_value().value_or(0) < 0) return bad();
    if (u.count(i).try_value().value_or(1) < 1) return bad();
  }
  return u;
}

// c1: x is [N, C * block, windows].
Status InferCol2Im(InferContext& ctx) {
  TENON_ASSIGN_OR_RETURN(const Unfold u, ReadUnfold(ctx, std::get<Shape>(*ctx.attrs().Find("image_shape")).dims()));
  Dim windows = 1, block = 1;
  for (std::size_t i = 0; i < u.axes(); ++i) {
    windows = windows * u.count(i);
    block = block * u.block[i];
  }
  const bool known = ctx.ranked(0) && ctx.rank(0) == 3 && !ctx.shape(0)[1].is_symbolic() && !block.is_symbolic();
  if (ctx.ranked(0) &&
      (ctx.rank(0) != 3 || Differ(ctx.shape(0)[2], windows) || (known && ctx.shape(0)[1].value() % block.value() != 0)))
    return ctx.Fail(1, "got " + ctx.shape(0).to_string() + ", expected [N, multiple of " + block.to_string() + ", " +
                           windows.to_string() + "]");
  std::vector<Dim> dims = {ctx.ranked(0) ? ctx.shape(0)[0] : ctx.FreshDim(),
                           ctx.ranked(0) ? Dim::floor_div(ctx.shape(0)[1], block) : ctx.FreshDim()};
  dims.insert(dims.end(), u.image.begin(), u.image.end());
  ctx.Set(0, ctx.dtype(0), Shape(std::move(dims)));
  return {};
}

// c1: x is [N, C, spatial], one axis for each of the block.
Status InferIm2Col(InferContext& ctx) {
  const std::size_t axes = std::get<Shape>(*ctx.attrs().Find("block_shape")).dims().size();
  if (ctx.ranked(0) && ctx.rank(0) != static_cast<int>(axes) + 2)
    return ctx.Fail(1, "got " + ctx.shape(0).to_string() + " for a block of " + std::to_string(axes) + " axes");
  if (!ctx.ranked(0)) {
    ctx.Set(0, ctx.dtype(0), FreshShape(ctx, 3));
    return {};
  }
  const std::vector<Dim>& x = ctx.shape(0).dims();
  TENON_ASSIGN_OR_RETURN(const Unfold u, ReadUnfold(ctx, {x.begin() + 2, x.end()}));
  Dim windows = 1, block = 1;
  for (std::size_t i = 0; i < axes; ++i) {
    windows = windows * u.count(i);
    block = block * u.block[i];
  }
  ctx.Set(0, ctx.dtype(0), Shape({x[0], x[1] * block, windows}));
  return {};
}

// For each element of the columns [images, block, windows], the element of the image that it means; -1 in padding.
Longs Sources(const Attrs& attrs, std::int64_t images, const Longs& image) {
  const Longs block = std::get<Shape>(*attrs.Find("block_shape")).values();
  const std::size_t axes = block.size();
  const auto list = [&](const char* name) {
    Longs out = attrs.Ints(name);
    if (out.empty()) out.assign(axes, 1);
    return out;
  };
  const Longs strides = list("strides"), dilations = list("dilations");
  Longs padding = attrs.Ints("padding");
  if (padding.empty()) padding.assign(2 * axes, 0);
  Longs counts;
  for (std::size_t i = 0; i < axes; ++i)
    counts.push_back((image[i] + padding[2 * i] + padding[2 * i + 1] - (block[i] - 1) * dilations[i] - 1) / strides[i] +
                     1);
  const Longs steps = Strides(image);
  const std::int64_t size = Product(image);
  Longs from;
  for (std::int64_t n = 0; n < images; ++n)
    ForEachIndex(block, [&](std::span<const std::int64_t> tap) {
      const Longs k(tap.begin(), tap.end());
      ForEachIndex(counts, [&](std::span<const std::int64_t> window) {
        std::int64_t at = n * size;
        for (std::size_t i = 0; i < axes && at >= 0; ++i) {
          const std::int64_t p = window[i] * strides[i] + k[i] * dilations[i] - padding[2 * i];
          at = p < 0 || p >= image[i] ? -1 : at + p * steps[i];
        }
        from.push_back(at);
      });
    });
  return from;
}

Status EvalCol2Im(EvalContext& ctx) {
  const Longs dims = ctx.out_dims(), image(dims.begin() + 2, dims.end());
  const Longs to = Sources(ctx.attrs(), dims[0] * dims[1], image);
  if (static_cast<std::int64_t>(to.size()) != ctx.in(0).size())
    return ctx.Fail("got " + ctx.in(0).shape().to_string() + " for an image " + ctx.out_type().to_string());
  VisitWide(ctx.out_dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::vector<T> x = LoadAs<T>(ctx.in(0));
    std::vector<T> out(Size(Product(dims)), T(0));
    for (std::size_t i = 0; i < to.size(); ++i)
      if (to[i] >= 0) out[Size(to[i])] = Plus(out[Size(to[i])], x[i]);
    ctx.Set(0, StoreAs<T>(ctx.out_dtype(), dims, out));
  });
  return {};
}
Status EvalIm2Col(EvalContext& ctx) {
  const Longs& dims = ctx.in(0).dims();
  const Longs image(dims.begin() + 2, dims.end());
  ctx.Set(0, GatherElements(ctx.in(0), ctx.out_dims(), Sources(ctx.attrs(), dims[0] * dims[1], image)));
  return {};
}

Attrs WindowAttrs(const Attrs& attrs) {
  Attrs out;
  for (const char* name : {"block_shape", "strides", "padding", "dilations"}) out.Set(name, *attrs.Find(name));
  return out;
}
Status GradCol2Im(GradContext& ctx) {
  ctx.Set(0, Op("im2col", ctx.d(), WindowAttrs(ctx.attrs())));
  return {};
}
Status GradIm2Col(GradContext& ctx) {
  if (!ctx.b.ranked(ctx.in(0))) return Status(Code::kUnimplemented, "im2col: no gradient for an input of unknown rank");
  Attrs attrs = WindowAttrs(ctx.attrs());
  const std::vector<Dim>& x = ctx.b.shape(ctx.in(0)).dims();
  attrs.Set("image_shape", Shape(std::vector<Dim>(x.begin() + 2, x.end())));
  ctx.Set(0, Op("col2im", ctx.d(), std::move(attrs)));
  return {};
}

std::vector<Sample> Col2ImSamples() {
  const auto shape = [](std::initializer_list<Dim> dims) { return Shape(dims); };
  return {{.name = "plain",
           .inputs = {Random({1, 8, 4}, 1)},
           .attrs = {{"image_shape", shape({3, 3})}, {"block_shape", shape({2, 2})}}},
          {.name = "window",
           .inputs = {Random({2, 6, 4}, 2)},
           .attrs = {{"image_shape", shape({4, 3})},
                     {"block_shape", shape({3, 2})},
                     {"strides", Longs{2, 1}},
                     {"dilations", Longs{1, 2}},
                     {"padding", Longs{1, 0, 0, 1}}}},
          {.name = "line",
           .inputs = {Random({1, 4, 3}, 3)},
           .attrs = {{"image_shape", shape({4})}, {"block_shape", shape({2})}}},
          {.name = "columns",
           .inputs = {Random({1, 8, 5}, 4)},
           .attrs = {{"image_shape", shape({3, 3})}, {"block_shape", shape({2, 2})}},
           .error = "c1"},
          {.name = "block",
           .inputs = {Random({1, 8, 4}, 5)},
           .attrs = {{"image_shape", shape({3, 3})}, {"block_shape", shape({4})}},
           .error = "c2"}};
}
std::vector<Sample> Im2ColSamples() {
  const auto shape = [](std::initializer_list<Dim> dims) { return Shape(dims); };
  return {{.name = "plain", .inputs = {Random({1, 2, 3, 3}, 1)}, .attrs = {{"block_shape", shape({2, 2})}}},
          {.name = "window",
           .inputs = {Random({2, 1, 4, 3}, 2)},
           .attrs = {{"block_shape", shape({3, 2})},
                     {"strides", Longs{2, 1}},
                     {"dilations", Longs{1, 2}},
                     {"padding", Longs{1, 0, 0, 1}}}},
          {.name = "rank", .inputs = {Random({1, 3, 3}, 3)}, .attrs = {{"block_shape", shape({2, 2})}}, .error = "c1"},
          {.name = "large", .inputs = {Random({1, 1, 3}, 4)}, .attrs = {{"block_shape", shape({4})}}, .error = "c2"}};
}

#define TENON_UNFOLD_ATTRS                                                                                    \
  Required("block_shape", AttrKind::kDims, "of a window"), IntsAttr("strides", "one per axis; empty: all 1"), \
      IntsAttr("padding", "[low, high] of each spatial axis in turn; empty: none"),                           \
      IntsAttr("dilations", "steps between taps; empty: all 1")

constinit const OpDef kOps[] = {
    {.name = "im2col",
     .summary = "The windows of an image [N, C, spatial] as columns: [N, C * block, windows]; 0 in padding.",
     .inputs = {{.name = "x"}},
     .outputs = {{.name = "y"}},
     .attrs = {TENON_UNFOLD_ATTRS},
     .traits = kExact,
     .infer = InferIm2Col,
     .eval = EvalIm2Col,
     .grad = GradIm2Col,
     .samples = Im2ColSamples},
    {.name = "col2im",
     .summary = "Columns [N, C * block, windows] added up at their places in an image [N, C, image_shape].",
     .inputs = {{.name = "x"}},
     .outputs = {{.name = "y"}},
     .attrs = {Required("image_shape", AttrKind::kDims, "the spatial axes of the result"), TENON_UNFOLD_ATTRS},
     .traits = kAccumulates,
     .infer = InferCol2Im,
     .eval = EvalCol2Im,
     .grad = GradCol2Im,
     .samples = Col2ImSamples},
};

}  // namespace
extern const std::span<const OpDef> unfold_ops;
constinit const std::span<const OpDef> unfold_ops{kOps};
}  // namespace tenon::ir::ops
