// Convolution (cross-correlation, as in all deep-learning tools) and its two gradients, each of which has the other two
// as gradients.
#include "ops/window_util.h"

namespace tenon::ir::ops {
namespace {

struct Layouts {
  DataLayout data, kernel;
};
// c1: known layouts of one number of spatial axes.
Result<Layouts> LayoutsOf(const InferContext& ctx) {
  const std::optional<DataLayout> data = ParseDataLayout(ctx.attrs().String("layout"));
  const std::optional<DataLayout> kernel = ParseKernelLayout(ctx.attrs().String("kernel_layout"));
  if (!data || !kernel || data->rank() != kernel->rank())
    return ctx.Fail(1, "got layout \"" + ctx.attrs().String("layout") + "\" and kernel_layout \"" +
                           ctx.attrs().String("kernel_layout") +
                           "\", expected N[D[H]]WC or NC[D[H]]W and [D[H]]WIO or OI[D[H]]W of as many axes");
  return Layouts{*data, *kernel};
}

// The dims of the convolution of an x of type `x_type` with a kernel; some fresh where ranks are unknown.
// c1: ranks match the layouts. c2: window attributes. c3: the window fits. c4: the channels divide into groups.
Result<Shape> ConvDims(const InferContext& ctx, const Type& x_type, const Type& kernel_type) {
  TENON_ASSIGN_OR_RETURN(const Layouts layouts, LayoutsOf(ctx));
  const std::size_t spatial = layouts.data.spatial.size();
  TENON_RETURN_IF_ERROR(CheckWindow(ctx, spatial));
  const std::int64_t groups = ctx.attrs().Int("groups");
  if (groups < 1) return ctx.Fail(4, "got " + std::to_string(groups) + " groups, expected 1 or more");
  const int rank = layouts.data.rank();
  for (const Type* t : {&x_type, &kernel_type})
    if (t->has_rank() && t->rank() != rank)
      return ctx.Fail(1, "got " + t->to_string() + " for layout " + ctx.attrs().String("layout") + ", expected rank " +
                             std::to_string(rank));
  std::vector<Dim> dims(static_cast<std::size_t>(rank));
  for (Dim& d : dims) d = ctx.FreshDim();
  const auto axis = [](int i) { return static_cast<std::size_t>(i); };
  if (x_type.has_rank()) dims[axis(layouts.data.batch)] = x_type.shape()[layouts.data.batch];
  if (kernel_type.has_rank()) {
    const Dim& out = kernel_type.shape()[layouts.kernel.batch];
    const Dim& in = kernel_type.shape()[layouts.kernel.channel];
    if (Differ(Dim::mod(out, groups), 0))
      return ctx.Fail(4, "got " + out.to_string() + " output channels, expected a multiple of the " +
                             std::to_string(groups) + " groups");
    if (x_type.has_rank() && Differ(x_type.shape()[layouts.data.channel], in * groups))
      return ctx.Fail(4, "got " + x_type.shape()[layouts.data.channel].to_string() + " input channels, expected " +
                             in.to_string() + " of the kernel times " + std::to_string(groups) + " groups");
    dims[axis(layouts.data.channel)] = out;
  }
  if (x_type.has_rank() && kernel_type.has_rank())
    for (std::size_t i = 0; i < spatial; ++i) {
      const Dim& window = kernel_type.shape()[layouts.kernel.spatial[i]];
      if (window == Dim(0)) return ctx.Fail(3, "got a kernel of no taps: " + kernel_type.to_string());
      TENON_ASSIGN_OR_RETURN(dims[axis(layouts.data.spatial[i])],
                             WindowedDim(ctx, i, x_type.shape()[layouts.data.spatial[i]], window, 1, false));
    }
  return Shape(std::move(dims));
}

Status InferConv(InferContext& ctx) {
  TENON_ASSIGN_OR_RETURN(Shape dims, ConvDims(ctx, ctx.type(0), ctx.type(1)));
  ctx.Set(0, ctx.dtype(0), std::move(dims));
  return {};
}
// c5: dy has the dims of the convolution.
Status InferConvGrad(InferContext& ctx, int x, int kernel, int result) {
  TENON_ASSIGN_OR_RETURN(const Shape dims, ConvDims(ctx, ctx.type(x), ctx.type(kernel)));
  if (ctx.ranked(0)) {
    bool same = ctx.rank(0) == dims.rank();
    for (int i = 0; same && i < dims.rank(); ++i) same = !Differ(ctx.shape(0)[i], dims[i]);
    if (!same) return ctx.Fail(5, "got dy " + ctx.shape(0).to_string() + ", expected " + dims.to_string());
  }
  const Type& like = ctx.type(result);
  ctx.Set(0, like.has_rank() ? Type::Tensor(ctx.dtype(0), like.shape()) : Type::TensorOfUnknownRank(ctx.dtype(0)));
  return {};
}
Status InferInputGrad(InferContext& ctx) { return InferConvGrad(ctx, 2, 1, 2); }
Status InferKernelGrad(InferContext& ctx) { return InferConvGrad(ctx, 1, 2, 2); }

// Calls f(x offset, kernel offset, y offset) for every product that takes part.
template <class F>
void ForEachTap(const Attrs& attrs, const std::vector<std::int64_t>& x, const std::vector<std::int64_t>& kernel,
                const std::vector<std::int64_t>& y, F f) {
  const DataLayout data = *ParseDataLayout(attrs.String("layout")),
                   taps = *ParseKernelLayout(attrs.String("kernel_layout"));
  const Steps xs = StepsOf(x, data), ks = StepsOf(kernel, taps), ys = StepsOf(y, data);
  std::array<WindowAxis, 3> w;
  const std::size_t missing = 3 - data.spatial.size();
  for (std::size_t i = 0; i < data.spatial.size(); ++i) {
    const auto axis = static_cast<std::size_t>(data.spatial[i]);
    w[missing + i] = ResolveWindow(attrs, i, x[axis], y[axis], kernel[static_cast<std::size_t>(taps.spatial[i])], 1);
  }
  const std::int64_t batch = x[static_cast<std::size_t>(data.batch)],
                     out = kernel[static_cast<std::size_t>(taps.batch)];
  const std::int64_t in = kernel[static_cast<std::size_t>(taps.channel)];  // of one group
  const std::int64_t out_per_group = out / attrs.Int("groups");
  for (std::int64_t n = 0; n < batch; ++n)
    for (std::int64_t o = 0; o < out; ++o)
      for (std::int64_t o0 = 0; o0 < w[0].out; ++o0)
        for (std::int64_t o1 = 0; o1 < w[1].out; ++o1)
          for (std::int64_t o2 = 0; o2 < w[2].out; ++o2) {
            const std::int64_t y_at =
                n * ys.batch + o * ys.channel + o0 * ys.spatial[0] + o1 * ys.spatial[1] + o2 * ys.spatial[2];
            for (std::int64_t k0 = 0; k0 < w[0].window; ++k0)
              for (std::int64_t k1 = 0; k1 < w[1].window; ++k1)
                for (std::int64_t k2 = 0; k2 < w[2].window; ++k2) {
                  const std::int64_t p0 = w[0].position(o0, k0), p1 = w[1].position(o1, k1), p2 = w[2].position(o2, k2);
                  if (p0 < 0 || p0 >= w[0].in || p1 < 0 || p1 >= w[1].in || p2 < 0 || p2 >= w[2].in) continue;
                  const std::int64_t x_at = n * xs.batch + o / out_per_group * in * xs.channel + p0 * xs.spatial[0] +
                                            p1 * xs.spatial[1] + p2 * xs.spatial[2];
                  const std::int64_t k_at = o * ks.batch + k0 * ks.spatial[0] + k1 * ks.spatial[1] + k2 * ks.spatial[2];
                  for (std::int64_t c = 0; c < in; ++c)
                    f(Size(x_at + c * xs.channel), Size(k_at + c * ks.channel), Size(y_at));
                }
          }
}
Status EvalConv(EvalContext& ctx) {
  VisitWide(ctx.out_dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::vector<T> x = LoadAs<T>(ctx.in(0)), kernel = LoadAs<T>(ctx.in(1));
    std::vector<T> y(Size(Product(ctx.out_dims())), zero);
    ForEachTap(ctx.attrs(), ctx.in(0).dims(), ctx.in(1).dims(), ctx.out_dims(),
               [&](std::size_t i, std::size_t k, std::size_t o) { y[o] = Plus(y[o], Times(x[i], kernel[k])); });
    ctx.Set(0, StoreAs<T>(ctx.out_dtype(), ctx.out_dims(), y));
  });
  return {};
}
Status EvalInputGrad(EvalContext& ctx) {
  VisitWide(ctx.out_dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::vector<T> dy = LoadAs<T>(ctx.in(0)), kernel = LoadAs<T>(ctx.in(1));
    std::vector<T> dx(Size(Product(ctx.out_dims())), zero);
    ForEachTap(ctx.attrs(), ctx.out_dims(), ctx.in(1).dims(), ctx.in(0).dims(),
               [&](std::size_t i, std::size_t k, std::size_t o) { dx[i] = Plus(dx[i], Times(dy[o], kernel[k])); });
    ctx.Set(0, StoreAs<T>(ctx.out_dtype(), ctx.out_dims(), dx));
  });
  return {};
}
Status EvalKernelGrad(EvalContext& ctx) {
  VisitWide(ctx.out_dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::vector<T> dy = LoadAs<T>(ctx.in(0)), x = LoadAs<T>(ctx.in(1));
    std::vector<T> dk(Size(Product(ctx.out_dims())), zero);
    ForEachTap(ctx.attrs(), ctx.in(1).dims(), ctx.out_dims(), ctx.in(0).dims(),
               [&](std::size_t i, std::size_t k, std::size_t o) { dk[k] = Plus(dk[k], Times(dy[o], x[i])); });
    ctx.Set(0, StoreAs<T>(ctx.out_dtype(), ctx.out_dims(), dk));
  });
  return {};
}

// conv(x, k), input_grad(dy, k) and kernel_grad(dy, x) are linear in each argument, and any one's gradient in one
// argument is another of them.
Status GradConv(GradContext& ctx) {
  if (ctx.wants(0)) ctx.Set(0, ctx.b.Add("conv_input_grad", {ctx.d(), ctx.in(1), ctx.in(0)}, ctx.attrs()));
  if (ctx.wants(1)) ctx.Set(1, ctx.b.Add("conv_kernel_grad", {ctx.d(), ctx.in(0), ctx.in(1)}, ctx.attrs()));
  return {};
}
Status GradInputGrad(GradContext& ctx) {
  if (ctx.wants(0)) ctx.Set(0, Op("conv", ctx.d(), ctx.in(1), ctx.attrs()));
  if (ctx.wants(1)) ctx.Set(1, ctx.b.Add("conv_kernel_grad", {ctx.in(0), ctx.d(), ctx.in(1)}, ctx.attrs()));
  return {};
}
Status GradKernelGrad(GradContext& ctx) {
  if (ctx.wants(0)) ctx.Set(0, Op("conv", ctx.in(1), ctx.d(), ctx.attrs()));
  if (ctx.wants(1)) ctx.Set(1, ctx.b.Add("conv_input_grad", {ctx.in(0), ctx.d(), ctx.in(1)}, ctx.attrs()));
  return {};
}

// Samples as (x, kernel, y dims, attributes); the three ops pick what they take.
struct Case {
  std::string name;
  std::vector<std::int64_t> x, kernel, y;
  Attrs attrs;
  std::string error;
};
std::vector<Case> Cases() {
  using L = std::vector<std::int64_t>;
  const std::string same_upper = "same_upper", same_lower = "same_lower", valid = "valid", nchw = "NCHW", oihw = "OIHW";
  return {
      {"plain", {2, 4, 5, 2}, {3, 2, 2, 3}, {2, 2, 4, 3}, {}, ""},
      {"asymmetric", {1, 5, 4, 2}, {3, 3, 2, 2}, {1, 3, 3, 2}, {{"strides", L{2, 1}}, {"padding", L{1, 1, 0, 1}}}, ""},
      {"dilated", {1, 7, 5, 1}, {2, 3, 1, 2}, {1, 4, 3, 2}, {{"dilations", L{3, 1}}}, ""},
      {"groups", {1, 3, 3, 4}, {2, 2, 2, 6}, {1, 2, 2, 6}, {{"groups", std::int64_t{2}}}, ""},
      {"depthwise",
       {1, 3, 3, 3},
       {3, 3, 1, 6},
       {1, 3, 3, 6},
       {{"groups", std::int64_t{3}}, {"auto_pad", same_upper}},
       ""},
      {"same_upper", {1, 5, 4, 1}, {2, 2, 1, 1}, {1, 3, 2, 1}, {{"strides", L{2, 2}}, {"auto_pad", same_upper}}, ""},
      {"same_lower", {1, 5, 4, 1}, {2, 2, 1, 1}, {1, 3, 2, 1}, {{"strides", L{2, 2}}, {"auto_pad", same_lower}}, ""},
      {"valid", {1, 5, 4, 1}, {2, 2, 1, 1}, {1, 2, 2, 1}, {{"strides", L{2, 2}}, {"auto_pad", valid}}, ""},
      {"channels_first", {2, 2, 4, 3}, {3, 2, 2, 2}, {2, 3, 3, 2}, {{"layout", nchw}, {"kernel_layout", oihw}}, ""},
      {"mixed_layouts", {1, 2, 4, 3}, {2, 2, 2, 3}, {1, 3, 3, 2}, {{"layout", nchw}}, ""},
      {"line",
       {2, 5, 2},
       {3, 2, 2},
       {2, 3, 2},
       {{"layout", std::string("NWC")}, {"kernel_layout", std::string("WIO")}},
       ""},
      {"volume",
       {1, 1, 3, 2, 3},
       {2, 1, 2, 2, 1},
       {1, 2, 2, 2, 3},
       {{"layout", std::string("NCDHW")}, {"kernel_layout", std::string("OIDHW")}, {"padding", L{0, 0, 1, 0, 0, 0}}},
       ""},
      {"empty_batch", {0, 3, 3, 1}, {2, 2, 1, 2}, {0, 2, 2, 2}, {}, ""},
      {"layout", {1, 3, 3, 1}, {2, 2, 1, 1}, {1, 2, 2, 1}, {{"layout", std::string("CHWN")}}, "c1"},
      {"rank", {3, 3, 1}, {2, 2, 1, 1}, {2, 2, 1}, {}, "c1"},
      {"strides", {1, 3, 3, 1}, {2, 2, 1, 1}, {1, 2, 2, 1}, {{"strides", L{1}}}, "c2"},
      {"zero_stride", {1, 3, 3, 1}, {2, 2, 1, 1}, {1, 2, 2, 1}, {{"strides", L{1, 0}}}, "c2"},
      {"negative_padding", {1, 3, 3, 1}, {2, 2, 1, 1}, {1, 2, 2, 1}, {{"padding", L{0, -1, 0, 0}}}, "c2"},
      {"auto_pad", {1, 3, 3, 1}, {2, 2, 1, 1}, {1, 2, 2, 1}, {{"auto_pad", std::string("same")}}, "c2"},
      {"padding_twice",
       {1, 3, 3, 1},
       {2, 2, 1, 1},
       {1, 3, 3, 1},
       {{"auto_pad", same_upper}, {"padding", L{1, 1, 1, 1}}},
       "c2"},
      {"too_small", {1, 3, 3, 1}, {4, 2, 1, 1}, {1, 1, 2, 1}, {}, "c3"},
      {"channels", {1, 3, 3, 2}, {2, 2, 1, 1}, {1, 2, 2, 1}, {}, "c4"},
      {"groups_of_out", {1, 3, 3, 4}, {2, 2, 2, 3}, {1, 2, 2, 3}, {{"groups", std::int64_t{2}}}, "c4"},
  };
}
std::vector<Sample> SamplesFor(int which) {
  std::vector<Sample> samples;
  for (const Case& c : Cases()) {
    Sample s{.name = c.name, .attrs = c.attrs, .error = c.error};
    const Literal x = Random(c.x, 1), kernel = Random(c.kernel, 2), y = Random(c.y, 3);
    if (which == 0) s.inputs = {x, kernel};
    if (which == 1) s.inputs = {y, kernel, x};
    if (which == 2) s.inputs = {y, x, kernel};
    samples.push_back(std::move(s));
  }
  if (which == 1)
    samples.push_back({.name = "dy_dims",
                       .inputs = {Random({1, 3, 3, 1}, 1), Random({2, 2, 1, 1}, 2), Random({1, 3, 3, 1}, 3)},
                       .error = "c5"});
  if (which == 2)
    samples.push_back({.name = "dy_dims",
                       .inputs = {Random({1, 3, 3, 1}, 1), Random({1, 3, 3, 1}, 2), Random({2, 2, 1, 1}, 3)},
                       .error = "c5"});
  return samples;
}
std::vector<Sample> ConvSamples() { return SamplesFor(0); }
std::vector<Sample> InputGradSamples() { return SamplesFor(1); }
std::vector<Sample> KernelGradSamples() { return SamplesFor(2); }

constexpr FixedList<AttrSpec, 14> kAttrs = {
    kStridesAttr,
    kPaddingAttr,
    kDilationsAttr,
    IntAttr("groups", 1, "input and output channels fall into that many groups, each seen by its own kernels"),
    kAutoPadAttr,
    kLayoutAttr,
    StringAttr("kernel_layout", "HWIO", "axes of the kernel: [D[H]]WIO or OI[D[H]]W; I counts one group")};
constexpr Port Like(std::string_view name) {
  return {.name = name, .type = "L", .dtypes = kStorageSet, .flags = kNotDifferentiable, .doc = "only its dims count"};
}

constinit const OpDef kOps[] = {
    {.name = "conv",
     .summary = "y[n, o, p] = sum over taps k and channels i of the group of x[n, i, p * stride + k * dilation - low] "
                "* kernel[k, i, o].",
     .inputs = {{.name = "x"}, {.name = "kernel"}},
     .outputs = {{.name = "y"}},
     .attrs = kAttrs,
     .traits = kAccumulates,
     .infer = InferConv,
     .eval = EvalConv,
     .grad = GradConv,
     .samples = ConvSamples},
    {.name = "conv_input_grad",
     .summary =
         "The gradient of conv in x, also called transposed convolution: dy spread back over the dims of x_like.",
     .inputs = {{.name = "dy"}, {.name = "kernel"}, Like("x_like")},
     .outputs = {{.name = "dx"}},
     .attrs = kAttrs,
     .traits = kAccumulates,
     .infer = InferInputGrad,
     .eval = EvalInputGrad,
     .grad = GradInputGrad,
     .samples = InputGradSamples},
    {.name = "conv_kernel_grad",
     .summary = "The gradient of conv in its kernel, of the dims of kernel_like.",
     .inputs = {{.name = "dy"}, {.name = "x"}, Like("kernel_like")},
     .outputs = {{.name = "dkernel"}},
     .attrs = kAttrs,
     .traits = kAccumulates,
     .infer = InferKernelGrad,
     .eval = EvalKernelGrad,
     .grad = GradKernelGrad,
     .samples = KernelGradSamples},
};

}  // namespace
extern const std::span<const OpDef> conv_ops;
constinit const std::span<const OpDef> conv_ops{kOps};
}  // namespace tenon::ir::ops
