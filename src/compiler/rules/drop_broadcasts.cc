// Elementwise ops broadcast by themselves.
//   before: multiply(x, broadcast_to(y; dims of x))
//   after:  multiply(x, y)
// Only where another operand gives the result its shape, so that the type stays. When every operand is broadcast from
// the same dims, the op moves in front of the broadcast: exp(broadcast_to(x)) becomes broadcast_to(exp(x)).
#include "compiler/rules/rules.h"
#include "ir/op_def.h"

namespace tenon::compiler {

using namespace ir;

Result<Patch> DropBroadcasts(RuleContext& ctx, std::int32_t id) {
  const Node& n = ctx.node(id);
  if (!n.op->Is(kElementwise) || n.outputs.size() != 1 || n.inputs.empty()) return Patch();
  bool any = false;
  for (const Value v : n.inputs) any = any || ctx.Is(v, "broadcast_to");
  if (!any) return Patch();
  const Shape& want = n.outputs[0].type.shape();
  std::vector<Value> inputs = n.inputs;
  for (Value& v : inputs)
    if (ctx.Is(v, "broadcast_to")) v = ctx.node(v).inputs[0];
  // Put operands back, one after the other, until the result has its shape again.
  for (std::size_t keep = 0; keep <= inputs.size(); ++keep) {
    std::optional<Shape> shape = Shape();
    for (const Value v : inputs) {
      if (!v.valid() || !shape) continue;
      const Shape& s = ctx.type(v).shape();
      std::vector<Dim> dims;
      const int rank = std::max(s.rank(), shape->rank());
      for (int i = rank; i >= 1; --i) {
        const Dim a = i <= s.rank() ? s[-i] : Dim(1), c = i <= shape->rank() ? (*shape)[-i] : Dim(1);
        dims.push_back(Dim::broadcast(a, c));
      }
      shape = Shape(std::move(dims));
    }
    if (*shape == want) {
      if (inputs == n.inputs) return Patch();
      return Patch{ctx.b.Add(n.op->name, inputs, n.attrs)};
    }
    if (keep == 0) {  // all broadcast from smaller operands: compute small, broadcast once
      if (shape->size().value() * 2 <= want.size().value() && shape->size().value() > 0) {
        const Value small = ctx.b.Add(n.op->name, inputs, n.attrs);
        if (!ctx.b.ok()) return ctx.b.status();
        return Patch{ctx.b.Add("broadcast_to", {small}, {{"dims", want}})};
      }
    }
    if (keep < inputs.size()) inputs[keep] = n.inputs[keep];
  }
  return Patch();
}

}  // namespace tenon::compiler
