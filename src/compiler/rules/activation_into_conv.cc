// An activation after a convolution.
//   before: relu(conv(x, kernel))
//   after:  fused_conv(x, kernel; activation = "relu")
#include "compiler/rules/conv_util.h"

namespace tenon::compiler {

using namespace ir;

Result<Patch> ActivationIntoConv(RuleContext& ctx, std::int32_t id) {
  const Node& n = ctx.node(id);
  if (n.op->name != "relu" || !OwnConv(ctx, n.inputs[0])) return Patch();
  const Node& conv = ctx.node(n.inputs[0]);
  return PutConv(ctx, conv, conv.inputs[1], ConvBias(conv), "relu");
}

}  // namespace tenon::compiler
