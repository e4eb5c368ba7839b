#include "ops/index_util.h"

namespace tenon::ir::ops {

std::string RangeText(std::int64_t index, std::int64_t count) {
  return "got index " + std::to_string(index) + " for " + std::to_string(count) + " elements, expected one in [" +
         std::to_string(-count) + ", " + std::to_string(count) + ")";
}

Status CheckUpdates(const InferContext& ctx, const std::optional<Shape>& want) {
  if (!want || !ctx.ranked(2)) return {};
  const Shape& got = ctx.shape(2);
  bool same = got.rank() == want->rank();
  for (int i = 0; same && i < got.rank(); ++i) same = !Differ(got[i], (*want)[i]);
  if (same) return {};
  return ctx.Fail(4, "got updates " + got.to_string() + ", expected " + want->to_string());
}

Status AddAt(EvalContext& ctx, const std::vector<std::int64_t>& to) {
  const Literal& x = ctx.in(0);
  VisitWide(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    std::vector<T> out = LoadAs<T>(x);
    const std::vector<T> updates = LoadAs<T>(ctx.in(2));
    for (std::size_t i = 0; i < to.size(); ++i) out[Size(to[i])] = Plus(out[Size(to[i])], updates[i]);
    ctx.Set(0, StoreAs<T>(x.dtype(), x.dims(), out));
  });
  return {};
}

Status GradScatter(GradContext& ctx, std::string_view read) {
  ctx.Set(0, ctx.d());
  if (ctx.wants(2)) ctx.Set(2, Op(read, ctx.d(), ctx.in(1), ctx.attrs()));
  return {};
}

}  // namespace tenon::ir::ops
