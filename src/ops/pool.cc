// Pooling over sliding windows. Padding never takes part in a maximum; it counts in an average only when asked.
#include <cmath>

#include "ops/pool_util.h"
#include "ops/window_util.h"

namespace tenon::ir::ops {
namespace {

using Longs = std::vector<std::int64_t>;

// The dims of the pooled x. c1: a known layout and x of its rank. c2: window attributes. c3: the window fits.
Result<Shape> PoolDims(const InferContext& ctx, const Type& x) {
  const std::optional<DataLayout> layout = ParseDataLayout(ctx.attrs().String("layout"));
  if (!layout)
    return ctx.Fail(1, "got layout \"" + ctx.attrs().String("layout") + "\", expected N[D[H]]WC or NC[D[H]]W");
  if (x.has_rank() && x.rank() != layout->rank())
    return ctx.Fail(1, "got " + x.to_string() + " for layout " + ctx.attrs().String("layout") + ", expected rank " +
                           std::to_string(layout->rank()));
  const Longs& window = ctx.attrs().Ints("window");
  if (window.size() != layout->spatial.size())
    return ctx.Fail(
        2, "got a window of " + std::to_string(window.size()) + " axes for layout " + ctx.attrs().String("layout"));
  TENON_RETURN_IF_ERROR(CheckWindow(ctx, window.size()));
  std::vector<Dim> dims = x.has_rank() ? x.shape().dims() : FreshShape(ctx, Size(layout->rank())).dims();
  for (std::size_t i = 0; i < window.size(); ++i) {
    if (window[i] < 1 || window[i] > (std::int64_t{1} << 31))
      return ctx.Fail(2, "got a window of " + std::to_string(window[i]) + ", expected 1 or more");
    Dim& d = dims[static_cast<std::size_t>(layout->spatial[i])];
    if (!x.has_rank()) continue;
    TENON_ASSIGN_OR_RETURN(d, WindowedDim(ctx, i, d, window[i], window[i], ctx.attrs().Bool("ceil_mode")));
  }
  return Shape(std::move(dims));
}
Status InferPool(InferContext& ctx) {
  TENON_ASSIGN_OR_RETURN(Shape dims, PoolDims(ctx, ctx.type(0)));
  ctx.Set(0, ctx.dtype(0), std::move(dims));
  return {};
}
// (dy, x) -> dx. c4: dy has the dims of the pooled x.
Status InferPoolGrad(InferContext& ctx) {
  TENON_ASSIGN_OR_RETURN(const Shape dims, PoolDims(ctx, ctx.type(1)));
  if (ctx.ranked(0)) {
    bool same = ctx.rank(0) == dims.rank();
    for (int i = 0; same && i < dims.rank(); ++i) same = !Differ(ctx.shape(0)[i], dims[i]);
    if (!same) return ctx.Fail(4, "got dy " + ctx.shape(0).to_string() + ", expected " + dims.to_string());
  }
  ctx.Set(0, ctx.ranked(1) ? Type::Tensor(ctx.dtype(0), ctx.shape(1)) : Type::TensorOfUnknownRank(ctx.dtype(0)));
  return {};
}
// (v, x) -> one element of v per window. c4: v has the dims of x.
Status InferMaxPoolGather(InferContext& ctx) {
  TENON_ASSIGN_OR_RETURN(Shape dims, PoolDims(ctx, ctx.type(1)));
  if (ctx.ranked(0) && ctx.ranked(1)) {
    bool same = ctx.rank(0) == ctx.rank(1);
    for (int i = 0; same && i < ctx.rank(0); ++i) same = !Differ(ctx.shape(0)[i], ctx.shape(1)[i]);
    if (!same)
      return ctx.Fail(
          4, "got " + ctx.shape(0).to_string() + " beside x " + ctx.shape(1).to_string() + ", expected equal dims");
  }
  ctx.Set(0, ctx.dtype(0), std::move(dims));
  return {};
}

// Calls window(y offset, taps within the padded extent) before, and tap(x offset) for each position of the window that
// lies in the data; end(y offset) after.
template <class Begin, class Tap, class End>
void ForEachWindow(const Attrs& attrs, const Longs& x, const Longs& y, Begin begin, Tap tap, End end) {
  const DataLayout layout = *ParseDataLayout(attrs.String("layout"));
  const Steps xs = StepsOf(x, layout), ys = StepsOf(y, layout);
  std::array<WindowAxis, 3> w;
  const std::size_t missing = 3 - layout.spatial.size();
  for (std::size_t i = 0; i < layout.spatial.size(); ++i) {
    const auto axis = static_cast<std::size_t>(layout.spatial[i]);
    w[missing + i] = ResolveWindow(attrs, i, x[axis], y[axis], attrs.Ints("window")[i], attrs.Ints("window")[i]);
  }
  const auto inside = [](const WindowAxis& a, std::int64_t p) { return p >= 0 && p < a.in; };
  const auto padded = [](const WindowAxis& a, std::int64_t o) {  // taps before the end of the high padding
    std::int64_t n = 0;
    for (std::int64_t k = 0; k < a.window; ++k) n += a.position(o, k) < a.in + a.high ? 1 : 0;
    return n;
  };
  for (std::int64_t n = 0; n < x[static_cast<std::size_t>(layout.batch)]; ++n)
    for (std::int64_t c = 0; c < x[static_cast<std::size_t>(layout.channel)]; ++c)
      for (std::int64_t o0 = 0; o0 < w[0].out; ++o0)
        for (std::int64_t o1 = 0; o1 < w[1].out; ++o1)
          for (std::int64_t o2 = 0; o2 < w[2].out; ++o2) {
            const std::size_t y_at =
                Size(n * ys.batch + c * ys.channel + o0 * ys.spatial[0] + o1 * ys.spatial[1] + o2 * ys.spatial[2]);
            begin(y_at, padded(w[0], o0) * padded(w[1], o1) * padded(w[2], o2));
            for (std::int64_t k0 = 0; k0 < w[0].window; ++k0)
              for (std::int64_t k1 = 0; k1 < w[1].window; ++k1)
                for (std::int64_t k2 = 0; k2 < w[2].window; ++k2) {
                  const std::int64_t p0 = w[0].position(o0, k0), p1 = w[1].position(o1, k1), p2 = w[2].position(o2, k2);
                  if (!inside(w[0], p0) || !inside(w[1], p1) || !inside(w[2], p2)) continue;
                  tap(Size(n * xs.batch + c * xs.channel + p0 * xs.spatial[0] + p1 * xs.spatial[1] +
                           p2 * xs.spatial[2]));
                }
            end(y_at);
          }
}

// For each window, the offset of its first maximum (the first NaN if there is one); -1 when it lies in padding only.
Longs Winners(const Attrs& attrs, const Literal& x, const Longs& y) {
  Longs out(Size(Product(y)), -1);
  VisitWide(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if constexpr (!std::same_as<T, std::complex<double>>) {
      const std::vector<T> v = LoadAs<T>(x);
      std::int64_t best = -1;
      ForEachWindow(
          attrs, x.dims(), y, [&](std::size_t, std::int64_t) { best = -1; },
          [&](std::size_t at) {
            const T value = v[at];
            bool better = best < 0 || value > v[Size(best)];
            if constexpr (std::same_as<T, double>) better = better || (std::isnan(value) && !std::isnan(v[Size(best)]));
            if (better) best = static_cast<std::int64_t>(at);
          },
          [&](std::size_t at) { out[at] = best; });
    }
  });
  return out;
}
Status EvalMaxPool(EvalContext& ctx) {
  const Longs from = Winners(ctx.attrs(), ctx.in(0), ctx.out_dims());
  const DType dtype = ctx.out_dtype();
  // A window in padding alone gives the lowest value: that of a maximum over nothing.
  const Literal nothing = FromDoubles(dtype, {}, {-HUGE_VAL});
  VisitWide(dtype, [&](auto zero) {
    using T = decltype(zero);
    const std::vector<T> v = LoadAs<T>(ctx.in(0));
    const T lowest = LoadAs<T>(nothing)[0];
    std::vector<T> out;
    for (const std::int64_t at : from) out.push_back(at < 0 ? lowest : v[Size(at)]);
    ctx.Set(0, StoreAs<T>(dtype, ctx.out_dims(), out));
  });
  return {};
}
Status EvalMaxPoolGrad(EvalContext& ctx) {
  const Longs to = Winners(ctx.attrs(), ctx.in(1), ctx.in(0).dims());
  const std::vector<double> dy = ToDoubles(ctx.in(0));
  std::vector<double> dx(Size(ctx.in(1).size()), 0.0);
  for (std::size_t i = 0; i < to.size(); ++i)
    if (to[i] >= 0) dx[Size(to[i])] += dy[i];
  ctx.Set(0, FromDoubles(ctx.out_dtype(), ctx.out_dims(), dx));
  return {};
}
Status EvalMaxPoolGather(EvalContext& ctx) {
  ctx.Set(0, GatherElements(ctx.in(0), ctx.out_dims(), Winners(ctx.attrs(), ctx.in(1), ctx.out_dims())));
  return {};
}

// How many elements each window's average divides by.
double Count(const Attrs& attrs, std::int64_t padded, std::int64_t inside) {
  return static_cast<double>(attrs.Bool("count_include_pad") ? padded : inside);
}
Status EvalAvgPool(EvalContext& ctx) {
  const std::vector<double> x = ToDoubles(ctx.in(0));
  const Longs dims = ctx.out_dims();
  std::vector<double> out(Size(Product(dims)));
  double sum = 0;
  std::int64_t inside = 0, padded = 0;
  ForEachWindow(
      ctx.attrs(), ctx.in(0).dims(), dims,
      [&](std::size_t, std::int64_t taps) {
        sum = 0;
        inside = 0;
        padded = taps;
      },
      [&](std::size_t at) {
        sum += x[at];
        ++inside;
      },
      [&](std::size_t at) {
        const double n = Count(ctx.attrs(), padded, inside);
        out[at] = n == 0 ? 0 : sum / n;
      });
  ctx.Set(0, FromDoubles(ctx.out_dtype(), dims, out));
  return {};
}
Status EvalAvgPoolGrad(EvalContext& ctx) {
  const std::vector<double> dy = ToDoubles(ctx.in(0));
  const Longs dims = ctx.out_dims();
  std::vector<double> dx(Size(Product(dims)), 0.0);
  std::vector<std::size_t> taps;
  std::int64_t padded = 0;
  ForEachWindow(
      ctx.attrs(), dims, ctx.in(0).dims(),
      [&](std::size_t, std::int64_t n) {
        taps.clear();
        padded = n;
      },
      [&](std::size_t at) { taps.push_back(at); },
      [&](std::size_t at) {
        const double n = Count(ctx.attrs(), padded, static_cast<std::int64_t>(taps.size()));
        for (const std::size_t tap : taps) dx[tap] += dy[at] / n;
      });
  ctx.Set(0, FromDoubles(ctx.out_dtype(), dims, dx));
  return {};
}

Status GradMaxPool(GradContext& ctx) {
  ctx.Set(0, Op("max_pool_grad", ctx.d(), ctx.in(0), ctx.attrs()));
  return {};
}
Status GradMaxPoolGrad(GradContext& ctx) {
  ctx.Set(0, Op("max_pool_gather", ctx.d(), ctx.in(1), ctx.attrs()));
  return {};
}
Status GradMaxPoolGather(GradContext& ctx) {
  ctx.Set(0, Op("max_pool_grad", ctx.d(), ctx.in(1), ctx.attrs()));
  return {};
}
Status GradAvgPool(GradContext& ctx) {
  ctx.Set(0, Op("avg_pool_grad", ctx.d(), ctx.in(0), ctx.attrs()));
  return {};
}
Status GradAvgPoolGrad(GradContext& ctx) {
  ctx.Set(0, Op("avg_pool", ctx.d(), ctx.attrs()));
  return {};
}

// c1: a known layout and x of its rank.
Status InferGlobalPool(InferContext& ctx) {
  const std::optional<DataLayout> layout = ParseDataLayout(ctx.attrs().String("layout"));
  if (!layout)
    return ctx.Fail(1, "got layout \"" + ctx.attrs().String("layout") + "\", expected N[D[H]]WC or NC[D[H]]W");
  if (ctx.ranked(0) && ctx.rank(0) != layout->rank())
    return ctx.Fail(1, "got " + ctx.shape(0).to_string() + " for layout " + ctx.attrs().String("layout") +
                           ", expected rank " + std::to_string(layout->rank()));
  const Shape x = ctx.ranked(0) ? ctx.shape(0) : FreshShape(ctx, Size(layout->rank()));
  if (!ctx.attrs().Bool("keep_dims")) {
    ctx.Set(0, ctx.dtype(0), {x[layout->batch], x[layout->channel]});
    return {};
  }
  std::vector<Dim> dims = x.dims();
  for (const int axis : layout->spatial) dims[static_cast<std::size_t>(axis)] = 1;
  ctx.Set(0, ctx.dtype(0), Shape(std::move(dims)));
  return {};
}
Status LowerGlobalPool(LowerContext& ctx) {
  const std::optional<DataLayout> layout = ParseDataLayout(ctx.attrs().String("layout"));
  const Longs axes(layout->spatial.begin(), layout->spatial.end());
  ctx.Set(0, Op("reduce_mean", ctx.in(0), {{"axes", axes}, {"keep_dims", ctx.attrs().Bool("keep_dims")}}));
  return {};
}

constexpr AttrSpec kWindowAttr = Required("window", AttrKind::kInts, "taps of the window, one per spatial axis");
constexpr AttrSpec kPoolStrides = IntsAttr("strides", "one per spatial axis; empty: the window");
constexpr AttrSpec kCeilAttr = BoolAttr(
    "ceil_mode", false, "a last window may reach past the padding if it starts inside the data or the low padding");
constexpr FixedList<AttrSpec, 14> kMaxAttrs = {kWindowAttr,  kPoolStrides, kPaddingAttr, kDilationsAttr,
                                               kAutoPadAttr, kCeilAttr,    kLayoutAttr};
constexpr FixedList<AttrSpec, 14> kAvgAttrs = {
    kWindowAttr,  kPoolStrides,
    kPaddingAttr, kDilationsAttr,
    kAutoPadAttr, kCeilAttr,
    kLayoutAttr,  BoolAttr("count_include_pad", false, "divide by the taps in padding too")};

constinit const OpDef kOps[] = {
    {.name = "max_pool",
     .summary = "Maximum of each window; padding does not take part. The first maximum gets the gradient.",
     .inputs = {{.name = "x", .dtypes = kRealSet}},
     .outputs = {{.name = "y", .dtypes = kRealSet}},
     .attrs = kMaxAttrs,
     .traits = kExact,
     .infer = InferPool,
     .eval = EvalMaxPool,
     .grad = GradMaxPool,
     .samples = MaxPoolSamples},
    {.name = "max_pool_grad",
     .summary =
         "The gradient of max_pool: each dy added where x has the first maximum of its window, in row-major order.",
     .inputs = {{.name = "dy", .dtypes = kFloatSet}, {.name = "x", .dtypes = kFloatSet, .flags = kNotDifferentiable}},
     .outputs = {{.name = "dx", .dtypes = kFloatSet}},
     .attrs = kMaxAttrs,
     .traits = kAccumulates,
     .infer = InferPoolGrad,
     .eval = EvalMaxPoolGrad,
     .grad = GradMaxPoolGrad,
     .samples = MaxPoolGradSamples},
    {.name = "max_pool_gather",
     .summary = "The elements of v where x has the first maximum of each window: the gradient of max_pool_grad in dy. "
                "0 for a window in padding alone.",
     .inputs = {{.name = "v", .dtypes = kFloatSet}, {.name = "x", .dtypes = kFloatSet, .flags = kNotDifferentiable}},
     .outputs = {{.name = "y", .dtypes = kFloatSet}},
     .attrs = kMaxAttrs,
     .traits = kExact,
     .infer = InferMaxPoolGather,
     .eval = EvalMaxPoolGather,
     .grad = GradMaxPoolGather,
     .samples = MaxPoolGatherSamples},
    {.name = "avg_pool",
     .summary =
         "Mean of each window, over the taps in the data (or in data and padding); 0 for a window in padding alone.",
     .inputs = {{.name = "x", .dtypes = kFloatSet}},
     .outputs = {{.name = "y", .dtypes = kFloatSet}},
     .attrs = kAvgAttrs,
     .traits = kAccumulates,
     .infer = InferPool,
     .eval = EvalAvgPool,
     .grad = GradAvgPool,
     .samples = AvgPoolSamples},
    {.name = "avg_pool_grad",
     .summary = "The gradient of avg_pool, of the dims of x_like.",
     .inputs = {{.name = "dy", .dtypes = kFloatSet},
                {.name = "x_like",
                 .type = "L",
                 .dtypes = kStorageSet,
                 .flags = kNotDifferentiable,
                 .doc = "only its dims count"}},
     .outputs = {{.name = "dx", .dtypes = kFloatSet}},
     .attrs = kAvgAttrs,
     .traits = kAccumulates,
     .infer = InferPoolGrad,
     .eval = EvalAvgPoolGrad,
     .grad = GradAvgPoolGrad,
     .samples = AvgPoolGradSamples},
    {.name = "global_average_pool",
     .summary = "Mean over all spatial axes.",
     .inputs = {{.name = "x", .dtypes = kFloatSet}},
     .outputs = {{.name = "y", .dtypes = kFloatSet}},
     .attrs = {kLayoutAttr, BoolAttr("keep_dims", false, "keep the spatial axes as 1")},
     .traits = kAccumulates,
     .infer = InferGlobalPool,
     .lower = LowerGlobalPool,
     .samples = GlobalPoolSamples},
};

}  // namespace
extern const std::span<const OpDef> pool_ops;
constinit const std::span<const OpDef> pool_ops{kOps};
}  // namespace tenon::ir::ops
