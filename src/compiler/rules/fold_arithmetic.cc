// Arithmetic with neutral constants.
//   before: x + 0    x - 0    x * 1    x / 1    -(-x)    x * -1    0 - x    select(true, x, y)    not(not(x))
//   after:  x        x        x        x        x        -x        -x       x                     x
// Only where the result has the shape of x. (x + 0 turns -0 into 0 in IEEE arithmetic; that difference is accepted.)
#include "compiler/rules/rules.h"
#include "ir/op_def.h"

namespace tenon::compiler {

using namespace ir;

Result<Patch> FoldArithmetic(RuleContext& ctx, std::int32_t id) {
  const Node& n = ctx.node(id);
  const std::string_view op = n.op->name;
  if (n.outputs.size() != 1) return Patch();
  const auto same = [&](Value v) { return ctx.type(v) == ctx.type({id, 0}); };
  if ((op == "neg" || op == "logical_not") && ctx.Is(n.inputs[0], op)) return Patch{ctx.node(n.inputs[0]).inputs[0]};
  if (op == "select") {
    const std::optional<double> c = ScalarOf(ctx, n.inputs[0]);
    if (!c) return Patch();
    const Value chosen = n.inputs[*c != 0 ? 1 : 2];
    return same(chosen) ? Patch{chosen} : Patch();
  }
  if (n.inputs.size() != 2) return Patch();
  const Value x = n.inputs[0], y = n.inputs[1];
  const std::optional<double> a = ScalarOf(ctx, x), c = ScalarOf(ctx, y);
  if (op == "add") {
    if (c == 0.0 && same(x)) return Patch{x};
    if (a == 0.0 && same(y)) return Patch{y};
    if (ctx.Is(y, "neg")) return Patch{ctx.b.Add("subtract", {x, ctx.node(y).inputs[0]})};
    if (ctx.Is(x, "neg")) return Patch{ctx.b.Add("subtract", {y, ctx.node(x).inputs[0]})};
  } else if (op == "subtract") {
    if (c == 0.0 && same(x)) return Patch{x};
    if (a == 0.0 && same(y)) return Patch{ctx.b.Add("neg", {y})};
    if (ctx.Is(y, "neg")) return Patch{ctx.b.Add("add", {x, ctx.node(y).inputs[0]})};
  } else if (op == "multiply") {
    if (c == 1.0 && same(x)) return Patch{x};
    if (a == 1.0 && same(y)) return Patch{y};
    if (c == -1.0 && same(x)) return Patch{ctx.b.Add("neg", {x})};
    if (a == -1.0 && same(y)) return Patch{ctx.b.Add("neg", {y})};
  } else if (op == "divide") {
    if (c == 1.0 && same(x)) return Patch{x};
  }
  return Patch();
}

}  // namespace tenon::compiler
