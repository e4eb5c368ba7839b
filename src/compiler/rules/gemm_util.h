// A gemm node taken apart and put together again.
#pragma once
#include "compiler/internal_ops.h"
#include "compiler/rules/rules.h"
#include "ir/op_def.h"

namespace tenon::compiler {

struct Gemm {
  ir::Value x, y, c, bias, factor;
  ir::Attrs attrs;
  bool plain() const { return !c.valid() && !bias.valid() && attrs.String("activation").empty(); }
};
inline Gemm TakeGemm(const ir::Node& n) {
  const auto at = [&](std::size_t i) { return i < n.inputs.size() ? n.inputs[i] : ir::Value(); };
  return {at(0), at(1), at(2), at(3), at(4), n.attrs};
}
inline Patch PutGemm(RuleContext& ctx, Gemm g) {
  return ctx.b.AddAll(GemmOp(), {g.x, g.y, g.c, g.bias, g.factor}, std::move(g.attrs));
}
/// `v` is a gemm that only one node uses (so that it may be changed).
inline bool OwnGemm(const RuleContext& ctx, ir::Value v) {
  return v.valid() && ctx.node(v).op == &GemmOp() && ctx.uses(v) == 1;
}

}  // namespace tenon::compiler
