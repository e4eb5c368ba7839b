// What the rules around convolutions share.
#pragma once
#include "compiler/internal_ops.h"
#include "compiler/rules/rules.h"
#include "ir/op_def.h"

namespace tenon::compiler {

/// `v` is a conv or fused_conv of floats, without activation, that only one node uses.
inline bool OwnConv(const RuleContext& ctx, ir::Value v) {
  if (!v.valid() || ctx.uses(v) != 1) return false;
  const ir::Node& n = ctx.node(v);
  if (!is_float(ctx.type(v).dtype())) return false;
  return n.op->name == "conv" || (n.op == &FusedConvOp() && n.attrs.String("activation").empty());
}
inline ir::Value ConvBias(const ir::Node& n) { return n.inputs.size() > 2 ? n.inputs[2] : ir::Value(); }
/// The node as a fused_conv with these operands.
inline Patch PutConv(RuleContext& ctx, const ir::Node& conv, ir::Value kernel, ir::Value bias,
                     const std::string& activation) {
  ir::Attrs attrs = conv.attrs;
  attrs.Set("activation", activation);
  return ctx.b.AddAll(FusedConvOp(), {conv.inputs[0], kernel, bias}, std::move(attrs));
}
/// `v`, added to or multiplied with the convolution's result, has one element for each output channel: that as a vector
/// [O]; an invalid value otherwise.
ir::Value PerChannel(RuleContext& ctx, const ir::Node& conv, ir::Value v);

}  // namespace tenon::compiler
