// A scale behind a convolution with a constant kernel (batch normalisation at inference).
//   before: multiply(fused_conv(x, kernel, b), s)          s: one number an output channel
//   after:  fused_conv(x, kernel * s, b * s)
// The products with constants fold away.
#include "compiler/rules/conv_util.h"

namespace tenon::compiler {

using namespace ir;

Result<Patch> ScaleIntoConv(RuleContext& ctx, std::int32_t id) {
  const Node& n = ctx.node(id);
  if (n.op->name != "multiply") return Patch();
  for (const std::size_t side : {std::size_t{0}, std::size_t{1}}) {
    const Value z = n.inputs[side];
    if (!OwnConv(ctx, z) || !(ctx.type(z) == ctx.type({id, 0}))) continue;
    const Node& conv = ctx.node(z);
    if (ctx.ConstantOf(conv.inputs[1]) == nullptr) continue;
    const Value s = PerChannel(ctx, conv, n.inputs[1 - side]);
    if (!s.valid()) continue;
    const std::string& layout = conv.attrs.String("kernel_layout");
    std::vector<Dim> dims(layout.size(), Dim(1));
    dims[layout.find('O')] = ctx.type(s).shape()[0];
    const Value kernel = ctx.b.Add("multiply", {conv.inputs[1], ctx.b.Reshape(s, Shape(std::move(dims)))});
    const Value bias = ConvBias(conv).valid() ? ctx.b.Add("multiply", {ConvBias(conv), s}) : Value();
    return PutConv(ctx, conv, kernel, bias, "");
  }
  return Patch();
}

}  // namespace tenon::compiler
