// An activation after a product.
//   before: relu(gemm(x, y, bias))
//   after:  gemm(x, y, bias; activation = "relu")
// relu alone: what costs no more than a comparison is done while the product is in registers.
#include "compiler/rules/gemm_util.h"

namespace tenon::compiler {

using namespace ir;

Result<Patch> ActivationIntoGemm(RuleContext& ctx, std::int32_t id) {
  const Node& n = ctx.node(id);
  if (n.op->name != "relu") return Patch();
  Value z = n.inputs[0];
  Value view;
  if (ctx.Is(z, "reshape") && ctx.uses(z) == 1) view = z, z = ctx.node(z).inputs[0];
  if (!OwnGemm(ctx, z)) return Patch();
  Gemm g = TakeGemm(ctx.node(z));
  if (!g.attrs.String("activation").empty() || g.c.valid()) return Patch();
  g.attrs.Set("activation", std::string(n.op->name));
  const Patch patch = PutGemm(ctx, std::move(g));
  if (!ctx.b.ok()) return ctx.b.status();
  return view.valid() ? Patch{ctx.b.Reshape(patch[0], ctx.type({id, 0}).shape())} : patch;
}

}  // namespace tenon::compiler
