// Contractions become products of matrices.
//   before: dot_general(x, y; contracted and batch axes anywhere)
//   after:  reshape(gemm(reshape(transpose(x)), reshape(transpose(y)); transpose_x, transpose_y))
// with the transposes left out, or turned into the flags, where the axes stand together already. f16 and bf16 are
// computed in f32; other dtypes than floats stay.
#include <algorithm>
#include <numeric>

#include "compiler/internal_ops.h"
#include "compiler/rules/rules.h"
#include "ir/op_def.h"

namespace tenon::compiler {

using namespace ir;

namespace {

using Dims = std::vector<std::int64_t>;

Dims Normal(const Dims& axes, std::size_t rank) {
  Dims out;
  for (const std::int64_t a : axes) out.push_back(a < 0 ? a + static_cast<std::int64_t>(rank) : a);
  return out;
}
Dims FreeAxes(const Dims& a, const Dims& b, std::size_t rank) {
  Dims out;
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(rank); ++i)
    if (std::ranges::find(a, i) == a.end() && std::ranges::find(b, i) == b.end()) out.push_back(i);
  return out;
}
Dims Join(const Dims& a, const Dims& b, const Dims& c) {
  Dims out = a;
  out.insert(out.end(), b.begin(), b.end());
  out.insert(out.end(), c.begin(), c.end());
  return out;
}
// Whether a transpose to this order moves nothing (axes of 1 aside).
bool InPlace(const Dims& order, const Dims& dims) {
  Dims moved;
  for (const std::int64_t a : order)
    if (dims[static_cast<std::size_t>(a)] != 1) moved.push_back(a);
  return std::ranges::is_sorted(moved);
}
std::int64_t Product(const Dims& axes, const Dims& dims) {
  std::int64_t n = 1;
  for (const std::int64_t a : axes) n *= dims[static_cast<std::size_t>(a)];
  return n;
}

}  // namespace

Result<Patch> DotToGemm(RuleContext& ctx, std::int32_t id) {
  const Node& n = ctx.node(id);
  if (n.op->name != "dot_general") return Patch();
  const DType dtype = ctx.type({id, 0}).dtype();
  if (dtype != DType::kF32 && dtype != DType::kF64 && dtype != DType::kF16 && dtype != DType::kBF16) return Patch();
  if (dtype == DType::kF16 || dtype == DType::kBF16) {
    const Value wide =
        ctx.b.Add("dot_general", {ctx.b.Cast(n.inputs[0], DType::kF32), ctx.b.Cast(n.inputs[1], DType::kF32)}, n.attrs);
    return Patch{ctx.b.Cast(wide, dtype)};
  }
  Value x = n.inputs[0], y = n.inputs[1];
  const Dims xd = ctx.dims(x), yd = ctx.dims(y);
  const Dims xb = Normal(n.attrs.Ints("lhs_batch"), xd.size()), yb = Normal(n.attrs.Ints("rhs_batch"), yd.size());
  Dims xc = Normal(n.attrs.Ints("lhs_contract"), xd.size()), yc = Normal(n.attrs.Ints("rhs_contract"), yd.size());
  const Dims xf = FreeAxes(xb, xc, xd.size()), yf = FreeAxes(yb, yc, yd.size());
  // The order of the contracted pairs is free: the one in which x or y needs no transpose.
  const auto moves = [&](const Dims& c, const Dims& e) {
    return (InPlace(Join(xb, xf, c), xd) || InPlace(Join(xb, c, xf), xd) ? 0 : 1) +
           (InPlace(Join(yb, e, yf), yd) || InPlace(Join(yb, yf, e), yd) ? 0 : 1);
  };
  Dims order(xc.size());
  std::iota(order.begin(), order.end(), 0);
  Dims best_x = xc, best_y = yc;
  for (const Dims* key : {&xc, &yc}) {
    Dims sorted = order, c, e;
    std::ranges::sort(sorted, {}, [&](std::int64_t i) { return (*key)[static_cast<std::size_t>(i)]; });
    for (const std::int64_t i : sorted)
      c.push_back(xc[static_cast<std::size_t>(i)]), e.push_back(yc[static_cast<std::size_t>(i)]);
    if (moves(c, e) < moves(best_x, best_y)) best_x = c, best_y = e;
  }
  xc = best_x, yc = best_y;
  const bool tx = !InPlace(Join(xb, xf, xc), xd) && InPlace(Join(xb, xc, xf), xd);
  const bool ty = !InPlace(Join(yb, yc, yf), yd) && InPlace(Join(yb, yf, yc), yd);
  const Dims xo = tx ? Join(xb, xc, xf) : Join(xb, xf, xc), yo = ty ? Join(yb, yf, yc) : Join(yb, yc, yf);
  const auto arrange = [&](Value v, const Dims& dims, const Dims& perm, const Dims& matrix) {
    if (!InPlace(perm, dims)) v = ctx.b.Transpose(v, perm);
    return !ctx.b.ok() || ctx.dims(v) == matrix ? v : ctx.b.Reshape(v, ToShape(matrix));
  };
  const std::int64_t m = Product(xf, xd), k = Product(xc, xd), nn = Product(yf, yd), batch = Product(xb, xd);
  Dims xm, ym;
  if (!xb.empty()) xm = ym = {batch};
  for (const std::int64_t d : tx ? Dims{k, m} : Dims{m, k}) xm.push_back(d);
  for (const std::int64_t d : ty ? Dims{nn, k} : Dims{k, nn}) ym.push_back(d);
  x = arrange(x, xd, xo, xm);
  y = arrange(y, yd, yo, ym);
  const std::vector<Value> z = ctx.b.AddAll(GemmOp(), {x, y}, {{"transpose_x", tx}, {"transpose_y", ty}});
  if (!ctx.b.ok()) return ctx.b.status();
  const Dims want = ctx.dims({id, 0});
  return Patch{ctx.dims(z[0]) == want ? z[0] : ctx.b.Reshape(z[0], ToShape(want))};
}

}  // namespace tenon::compiler
