// What is added to a product.
//   before: add(gemm(x, y), b) with b a row           w - gemm(x, y), w + gemm(x, y), s * w + gemm(x, y)
//   after:  gemm(x, y, bias = b)                      gemm(x, y, c = w; alpha, beta)
// The second form only for a w that is an input of the graph: the update of a variable by its gradient, which then is
// one product in place, w := alpha x y + beta w.
#include "compiler/rules/gemm_util.h"

namespace tenon::compiler {

using namespace ir;

namespace {

// w, or s * w with s known now.
bool Variable(const RuleContext& ctx, Value v, Value* w, double* scale) {
  *scale = 1;
  if (ctx.Is(v, "multiply") && ctx.uses(v) == 1)
    for (const std::size_t side : {std::size_t{0}, std::size_t{1}})
      if (const std::optional<double> s = ScalarOf(ctx, ctx.node(v).inputs[side])) {
        *scale = *s;
        v = ctx.node(v).inputs[1 - side];
        break;
      }
  *w = v;
  return ctx.Is(v, "input");
}

}  // namespace

Result<Patch> AddIntoGemm(RuleContext& ctx, std::int32_t id) {
  const Node& n = ctx.node(id);
  const bool minus = n.op->name == "subtract";
  if (n.op->name != "add" && !minus) return Patch();
  const Type& out = ctx.type({id, 0});
  for (const std::size_t side : {std::size_t{0}, std::size_t{1}}) {
    Value z = n.inputs[side], other = n.inputs[1 - side];
    Value view;
    if (ctx.Is(z, "reshape") && ctx.uses(z) == 1) view = z, z = ctx.node(z).inputs[0];
    if (!OwnGemm(ctx, z)) continue;
    Gemm g = TakeGemm(ctx.node(z));
    if (!g.plain() || !(ctx.type(n.inputs[side]) == out)) continue;
    const std::vector<std::int64_t> dims = ctx.dims(z);
    Value w;
    double scale = 1;
    if (ctx.type(other).shape() == out.shape() && Variable(ctx, other, &w, &scale) && ctx.type(w) == out) {
      if (minus && side == 1) g.attrs.Set("alpha", -g.attrs.Float("alpha"));
      g.attrs.Set("beta", minus && side == 0 ? -scale : scale);
      g.c = view.valid() ? ctx.b.Reshape(w, ToShape(dims)) : w;
    } else if (!minus && ctx.elements(other) == dims.back() && !ctx.dims(other).empty() &&
               ctx.dims(other).back() == dims.back() && ctx.dims({id, 0}).back() == dims.back() && dims.size() == 2 &&
               dims[0] > 0) {
      g.bias = ctx.dims(other).size() == 1 ? other : ctx.b.Reshape(other, Shape({dims.back()}));
    } else {
      continue;
    }
    const Patch patch = PutGemm(ctx, std::move(g));
    if (!ctx.b.ok()) return ctx.b.status();
    return view.valid() ? Patch{ctx.b.Reshape(patch[0], out.shape())} : patch;
  }
  return Patch();
}

}  // namespace tenon::compiler
