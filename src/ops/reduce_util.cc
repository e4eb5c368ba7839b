#include "ops/reduce_util.h"

#include <algorithm>

namespace tenon::ir::ops {

Status InferReduce(InferContext& ctx) {
  const std::vector<std::int64_t>& axes = ctx.attrs().Ints("axes");
  const bool keep = ctx.attrs().Bool("keep_dims");
  if (!ctx.ranked(0)) {
    if (axes.empty() && !keep)
      ctx.Set(0, ctx.dtype(0), {});
    else
      ctx.SetUnknownRank(0, ctx.dtype(0));
    return {};
  }
  TENON_ASSIGN_OR_RETURN(const std::vector<int> reduced, ctx.Axes(axes, ctx.rank(0), 1, true));
  std::vector<Dim> dims;
  for (int i = 0; i < ctx.rank(0); ++i) {
    if (std::find(reduced.begin(), reduced.end(), i) == reduced.end())
      dims.push_back(ctx.shape(0)[i]);
    else if (keep)
      dims.emplace_back(1);
  }
  ctx.Set(0, ctx.dtype(0), Shape(std::move(dims)));
  return {};
}

Ex Spread(GradContext& ctx, Ex v) { return ctx.b(ctx.b.BroadcastLike(WithAxes(ctx, v), ctx.in(0))); }

std::vector<Sample> AxesSamples(bool distinct, bool empty_axis) {
  const auto input = [&](std::vector<std::int64_t> dims, int seed) {
    return distinct ? Distinct(std::move(dims), seed) : Random(std::move(dims), seed);
  };
  using L = std::vector<std::int64_t>;
  std::vector<Sample> s = {
      {.name = "all", .inputs = {input({2, 3}, 1)}},
      {.name = "last", .inputs = {input({2, 3, 4}, 2)}, .attrs = {{"axes", L{-1}}}},
      {.name = "outer_keep", .inputs = {input({2, 3, 4}, 3)}, .attrs = {{"axes", L{0, 2}}, {"keep_dims", true}}},
      {.name = "unordered", .inputs = {input({2, 3, 4}, 4)}, .attrs = {{"axes", L{-1, 0}}}},
      {.name = "scalar", .inputs = {input({}, 5)}},
      {.name = "no_rows", .inputs = {input({0, 3}, 6)}, .attrs = {{"axes", L{1}}}},
      {.name = "long", .inputs = {input({3, 211}, 7)}, .attrs = {{"axes", L{1}}}, .gradient = false},
      {.name = "bad_axis", .inputs = {input({2, 3}, 8)}, .attrs = {{"axes", L{2}}}, .error = "c1"},
      {.name = "repeated_axis", .inputs = {input({2, 3}, 9)}, .attrs = {{"axes", L{1, -1}}}, .error = "c1"}};
  if (empty_axis) s.push_back({.name = "empty_axis", .inputs = {input({0, 3}, 10)}, .attrs = {{"axes", L{0}}}});
  return s;
}

}  // namespace tenon::ir::ops
