// What is added to a convolution, one number a channel.
//   before: add(conv(x, kernel), b)       subtract(fused_conv(x, kernel, c), b)
//   after:  fused_conv(x, kernel, b)      fused_conv(x, kernel, c - b)
#include "compiler/rules/conv_util.h"

namespace tenon::compiler {

using namespace ir;

Value PerChannel(RuleContext& ctx, const Node& conv, Value v) {
  const std::string& layout = conv.attrs.String("layout");
  const std::vector<std::int64_t> dims = ctx.dims(v), out = conv.outputs[0].type.shape().values();
  const std::size_t channel = layout.find('C');
  const std::int64_t channels = out[channel];
  if (dims.size() > out.size() || ctx.elements(v) != channels || channels < 2) return {};
  const std::size_t missing = out.size() - dims.size();
  if (channel < missing || dims[channel - missing] != channels) return {};
  return dims.size() == 1 ? v : ctx.b.Reshape(v, Shape({channels}));
}

Result<Patch> BiasIntoConv(RuleContext& ctx, std::int32_t id) {
  const Node& n = ctx.node(id);
  const bool minus = n.op->name == "subtract";
  if (n.op->name != "add" && !minus) return Patch();
  for (const std::size_t side : {std::size_t{0}, std::size_t{1}}) {
    if (minus && side == 1) break;
    const Value z = n.inputs[side];
    if (!OwnConv(ctx, z) || !(ctx.type(z) == ctx.type({id, 0}))) continue;
    const Node& conv = ctx.node(z);
    Value b = PerChannel(ctx, conv, n.inputs[1 - side]);
    if (!b.valid()) continue;
    const Value old = ConvBias(conv);
    if (old.valid())
      b = ctx.b.Add(minus ? "subtract" : "add", {old, b});
    else if (minus)
      b = ctx.b.Add("neg", {b});
    return PutConv(ctx, conv, conv.inputs[1], b, "");
  }
  return Patch();
}

}  // namespace tenon::compiler
