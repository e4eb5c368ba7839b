// What the records of reductions share.
#pragma once
#include "ops/array_util.h"

namespace tenon::ir::ops {

/// c1: each axis in range, once.
Status InferReduce(InferContext& ctx);

/// out[k] = combine(…combine(first, x)…) over the elements that fall on k.
template <class T, class F>
std::vector<T> Fold(EvalContext& ctx, T first, F combine) {
  const Literal& x = ctx.in(0);
  const std::vector<std::int64_t> kept = Kept(x.dims(), NormalAxes(ctx.attrs().Ints("axes"), x.rank(), true));
  const std::vector<std::int64_t> to = BroadcastIndices(kept, x.dims());
  const std::vector<T> v = LoadAs<T>(x);
  std::vector<T> out(Size(Product(kept)), first);
  for (std::size_t i = 0; i < v.size(); ++i) out[Size(to[i])] = combine(out[Size(to[i])], v[i]);
  return out;
}
template <class T>
void SetOut(EvalContext& ctx, const std::vector<T>& values) {
  ctx.Set(0, StoreAs<T>(ctx.out_dtype(), ctx.out_dims(), values));
}

/// A result or cotangent with the reduced axes back as 1.
inline Ex WithAxes(GradContext& ctx, Ex v) {
  return ctx.attrs().Bool("keep_dims") ? v : ExpandDims(v, ctx.attrs().Ints("axes"));
}
/// The same, spread over the dims of x.
Ex Spread(GradContext& ctx, Ex v);

/// Samples of each kind of axes; `distinct` elements for an extreme, `empty_axis` where nothing has a value.
std::vector<Sample> AxesSamples(bool distinct, bool empty_axis);

inline constexpr FixedList<AttrSpec, 14> kReduceAttrs = {
    IntsAttr("axes", "axes to reduce, negative ones from the end; empty: all"),
    BoolAttr("keep_dims", false, "keep the reduced axes as 1")};

}  // namespace tenon::ir::ops
