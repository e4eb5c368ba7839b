// A product with scalars multiplies the scalars first.
//   before: s * (t * x)      (t * x) / s        -(t * x)
//   after:  (s * t) * x      (t / s) * x        (-t) * x
// with s and t of one element (known or not), so that what reaches a large operand is one factor. Floats only.
#include "compiler/rules/rules.h"
#include "ir/op_def.h"

namespace tenon::compiler {

using namespace ir;

Result<Patch> HoistScale(RuleContext& ctx, std::int32_t id) {
  const Node& n = ctx.node(id);
  const std::string_view op = n.op->name;
  const Type& out = n.outputs.empty() ? Type() : n.outputs[0].type;
  if ((op != "multiply" && op != "divide" && op != "neg") || !is_float(out.dtype()) || ctx.elements({id, 0}) < 2)
    return Patch();
  // The operand that is a product of a scalar and something large, used only here.
  const auto product = [&](Value v, Value* scalar, Value* large) {
    if (!ctx.Is(v, "multiply") || ctx.uses(v) != 1) return false;
    for (const int side : {0, 1}) {
      const Value a = ctx.node(v).inputs[static_cast<std::size_t>(side)],
                  b = ctx.node(v).inputs[static_cast<std::size_t>(1 - side)];
      if (ctx.type(a).rank() == 0 && ctx.type(b) == out) return *scalar = a, *large = b, true;
    }
    return false;
  };
  Value t, x;
  if (op == "neg") {
    if (!product(n.inputs[0], &t, &x)) return Patch();
    return Patch{ctx.b.Add("multiply", {ctx.b.Add("neg", {t}), x})};
  }
  for (const int side : {0, 1}) {
    const Value s = n.inputs[static_cast<std::size_t>(side)], other = n.inputs[static_cast<std::size_t>(1 - side)];
    if (ctx.type(s).rank() != 0 || (op == "divide" && side == 0) || !product(other, &t, &x)) continue;
    return Patch{ctx.b.Add("multiply", {ctx.b.Add(op, {t, s}), x})};
  }
  return Patch();
}

}  // namespace tenon::compiler
