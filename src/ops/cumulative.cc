// Running sums and products along one axis.
#include "ops/array_util.h"

namespace tenon::ir::ops {
namespace {

// c1: the axis is in range (so x is no scalar).
Status InferCumulative(InferContext& ctx) {
  if (ctx.ranked(0)) TENON_RETURN_IF_ERROR(as_status(ctx.Axis(ctx.attrs().Int("axis"), ctx.rank(0), 1)));
  return InferSameAsFirst(ctx);
}

template <class T, class F>
void Run(EvalContext& ctx, T first, F combine) {
  const Literal& x = ctx.in(0);
  const bool exclusive = ctx.attrs().Bool("exclusive"), reverse = ctx.attrs().Bool("reverse");
  const Around a = SplitAt(x.dims(), NormalAxis(ctx.attrs().Int("axis"), x.rank()));
  const std::vector<T> v = LoadAs<T>(x);
  std::vector<T> out(v.size());
  for (std::int64_t o = 0; o < a.outer; ++o)
    for (std::int64_t i = 0; i < a.inner; ++i) {
      T total = first;
      for (std::int64_t step = 0; step < a.count; ++step) {
        const std::int64_t n = reverse ? a.count - 1 - step : step;
        const std::size_t at = Size((o * a.count + n) * a.inner + i);
        const T next = combine(total, v[at]);
        out[at] = exclusive ? total : next;
        total = next;
      }
    }
  ctx.Set(0, StoreAs<T>(x.dtype(), x.dims(), out));
}
Status EvalCumsum(EvalContext& ctx) {
  VisitWide(ctx.out_dtype(), [&](auto zero) { Run(ctx, zero, Plus<decltype(zero)>); });
  return {};
}
Status EvalCumprod(EvalContext& ctx) {
  VisitWide(ctx.out_dtype(), [&](auto zero) { Run(ctx, decltype(zero)(1), Times<decltype(zero)>); });
  return {};
}

Status GradCumsum(GradContext& ctx) {
  Attrs attrs = ctx.attrs();
  attrs.Set("reverse", !attrs.Bool("reverse"));
  ctx.Set(0, Op("cumsum", ctx.d(), attrs));
  return {};
}
// d y_i / d x_k is the running product at i of x with x_k replaced by 1, where x_k is a factor of y_i: an n x n table,
// exact where elements are zero.
Status GradCumprod(GradContext& ctx) {
  Builder& b = ctx.b;
  const Ex x = ctx.in(0);
  if (!b.ranked(x)) return Status(Code::kFailedPrecondition, "cumprod: the gradient needs the rank of its input");
  const int rank = b.shape(x).rank(), axis = NormalAxis(ctx.attrs().Int("axis"), rank);
  const bool exclusive = ctx.attrs().Bool("exclusive"), reverse = ctx.attrs().Bool("reverse");
  const Dim n = b.shape(x)[axis];
  std::vector<std::int64_t> trailing;  // the table stands at axes (axis, axis + 1)
  for (int i = axis + 1; i < rank; ++i) trailing.push_back(-1 - (i - axis - 1));
  const auto index = [&](std::int64_t along) {
    return ExpandDims(b(b.Add("iota", {}, {{"dims", Shape({n, n})}, {"axis", along}})), trailing);
  };
  const Ex k = index(0), i = index(1);
  const Ex others = Select(Op("equal", k, i), b(b.Scalar(1, x.dtype())), ExpandDims(x, {axis}));
  const Ex products =
      Op("cumprod", others, {{"axis", std::int64_t{axis} + 1}, {"exclusive", exclusive}, {"reverse", reverse}});
  const Ex factor = Op(exclusive ? (reverse ? "less" : "greater") : (reverse ? "less_equal" : "greater_equal"), i, k);
  const Ex terms = Select(factor, products * ExpandDims(ctx.d(), {axis}), b(b.Scalar(0, x.dtype())));
  ctx.Set(0, b.ReduceSum(terms, {axis + 1}, false));
  return {};
}

std::vector<Sample> CumulativeSamples() {
  return {{.name = "last", .inputs = {Random({2, 4}, 1)}},
          {.name = "first", .inputs = {Random({3, 2}, 2)}, .attrs = {{"axis", std::int64_t{0}}}},
          {.name = "middle", .inputs = {Random({2, 3, 2}, 3)}, .attrs = {{"axis", std::int64_t{-2}}}},
          {.name = "exclusive", .inputs = {Random({2, 4}, 4)}, .attrs = {{"exclusive", true}}},
          {.name = "reverse", .inputs = {Random({2, 4}, 5)}, .attrs = {{"reverse", true}}},
          {.name = "both",
           .inputs = {Random({4, 2}, 6)},
           .attrs = {{"axis", std::int64_t{0}}, {"exclusive", true}, {"reverse", true}}},
          {.name = "zeros", .inputs = {Values({2, 4}, {1, 0, 3, 2, 0, 5, 0, 2})}},
          {.name = "empty", .inputs = {Random({2, 0}, 7)}},
          {.name = "no_rows", .inputs = {Random({0, 2}, 8)}},
          {.name = "long", .inputs = {Random({300}, 9, 0.875, 1.125)}, .gradient = false},
          {.name = "scalar", .inputs = {Random({}, 10)}, .error = "c1"},
          {.name = "bad_axis", .inputs = {Random({2, 3}, 11)}, .attrs = {{"axis", std::int64_t{2}}}, .error = "c1"}};
}

constexpr FixedList<AttrSpec, 14> kAttrs = {IntAttr("axis", -1, "the axis to run along"),
                                            BoolAttr("exclusive", false, "leave out the element itself"),
                                            BoolAttr("reverse", false, "run from the end")};

constinit const OpDef kOps[] = {
    {.name = "cumsum",
     .summary = "Running sum along an axis: y_i = x_0 + … + x_i.",
     .inputs = {{.name = "x"}},
     .outputs = {{.name = "y"}},
     .attrs = kAttrs,
     .traits = kAccumulates,
     .infer = InferCumulative,
     .eval = EvalCumsum,
     .grad = GradCumsum,
     .samples = CumulativeSamples},
    {.name = "cumprod",
     .summary = "Running product along an axis: y_i = x_0 * … * x_i.",
     .inputs = {{.name = "x"}},
     .outputs = {{.name = "y"}},
     .attrs = kAttrs,
     .traits = kAccumulates,
     .infer = InferCumulative,
     .eval = EvalCumprod,
     .grad = GradCumprod,
     .samples = CumulativeSamples},
};

}  // namespace
extern const std::span<const OpDef> cumulative_ops;
constinit const std::span<const OpDef> cumulative_ops{kOps};
}  // namespace tenon::ir::ops
