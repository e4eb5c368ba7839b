// One form for each change of shape: reshape, broadcast_to and reduce_sum with numbers as attributes.
//   before: reshape(x, shape)   expand_dims(x)  squeeze(x)   broadcast_like(x, y)     sum_like(x, y) zeros_like(x)
//   after:  reshape(x; dims)    reshape(x; …)   reshape(…)   broadcast_to(x; dims)    reduce_sum(x), reshape
//   broadcast_to(0)
// A reduction over axes of 1 only is a reshape.
#include "compiler/rules/rules.h"
#include "ir/op_def.h"

namespace tenon::compiler {

using namespace ir;

Result<Patch> CanonicalShapes(RuleContext& ctx, std::int32_t id) {
  const Node& n = ctx.node(id);
  const std::string_view op = n.op->name;
  if (n.outputs.size() != 1 || !n.outputs[0].type.is_static() || n.inputs.empty() || !n.inputs[0].valid())
    return Patch();
  const std::vector<std::int64_t> dims = ctx.dims({id, 0});
  const Value x = n.inputs[0];
  if ((op == "reshape" && n.inputs.size() > 1) || op == "expand_dims" || op == "squeeze")
    return Patch{ctx.b.Reshape(x, ToShape(dims))};
  if ((op == "broadcast_to" && n.inputs.size() > 1) || op == "broadcast_like")
    return Patch{ctx.b.Add("broadcast_to", {x}, {{"dims", ToShape(dims)}})};
  if (op == "zeros_like" || op == "ones_like")
    return Patch{Splat(ctx, op == "ones_like" ? 1 : 0, n.outputs[0].type.dtype(), dims)};
  if (op == "sum_like") {
    const std::vector<std::int64_t> from = ctx.dims(x);
    std::vector<std::int64_t> axes;
    const std::size_t extra = from.size() - dims.size();
    for (std::size_t i = 0; i < from.size(); ++i)
      if (i < extra || (dims[i - extra] == 1 && from[i] != 1)) axes.push_back(static_cast<std::int64_t>(i));
    if (axes.empty()) return Patch{ctx.b.Reshape(x, ToShape(dims))};
    const Value sum = ctx.b.ReduceSum(x, axes, true);
    return Patch{ctx.dims(sum) == dims ? sum : ctx.b.Reshape(sum, ToShape(dims))};
  }
  if (op == "reduce_sum" || op == "reduce_max" || op == "reduce_min" || op == "reduce_prod" || op == "reduce_any" ||
      op == "reduce_all" || op == "reduce_mean") {
    const std::vector<std::int64_t> from = ctx.dims(x);
    for (const int a : ReducedAxes(n, static_cast<int>(from.size())))
      if (from[static_cast<std::size_t>(a)] != 1) return Patch();
    return Patch{from == dims ? x : ctx.b.Reshape(x, ToShape(dims))};
  }
  return Patch();
}

}  // namespace tenon::compiler
