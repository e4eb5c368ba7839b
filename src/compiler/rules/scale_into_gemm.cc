// A scaled product.
//   before: multiply(s, gemm(x, y))     divide(gemm(x, y), s)    neg(gemm(x, y))
//   after:  gemm(x, y; alpha * s), or with s as the factor where it is known at run time only
#include "compiler/rules/gemm_util.h"

namespace tenon::compiler {

using namespace ir;

Result<Patch> ScaleIntoGemm(RuleContext& ctx, std::int32_t id) {
  const Node& n = ctx.node(id);
  const std::string_view op = n.op->name;
  if (op != "multiply" && op != "divide" && op != "neg") return Patch();
  for (const std::size_t side : {std::size_t{0}, std::size_t{1}}) {
    if (side >= n.inputs.size() || (side == 1 && op != "multiply")) break;
    Value z = n.inputs[side];
    Value view;  // a reshape between them
    if (ctx.Is(z, "reshape") && ctx.uses(z) == 1) view = z, z = ctx.node(z).inputs[0];
    if (!OwnGemm(ctx, z)) continue;
    Gemm g = TakeGemm(ctx.node(z));
    if (!g.plain()) continue;
    if (op == "neg") {
      g.attrs.Set("alpha", -g.attrs.Float("alpha"));
    } else {
      const Value other = n.inputs[1 - side];
      const std::optional<double> s = ScalarOf(ctx, other);
      if (s) {
        g.attrs.Set("alpha", op == "divide" ? g.attrs.Float("alpha") / *s : g.attrs.Float("alpha") * *s);
      } else {
        Value one = OneElement(ctx, other);
        if (!one.valid() || g.factor.valid()) continue;
        if (ctx.type(one).rank() != 0) one = ctx.b.Reshape(one, Shape());
        g.factor = op == "divide" ? ctx.b.Add("reciprocal", {one}) : one;
      }
    }
    if (!(ctx.type({id, 0}) == ctx.type(n.inputs[side]))) continue;
    const Patch out = PutGemm(ctx, std::move(g));
    if (!ctx.b.ok()) return ctx.b.status();
    return view.valid() ? Patch{ctx.b.Reshape(out[0], ctx.type({id, 0}).shape())} : out;
  }
  return Patch();
}

}  // namespace tenon::compiler
