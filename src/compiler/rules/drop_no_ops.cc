// Ops that change nothing.
//   before: y = identity(x)       y = cast(x; its own dtype)      y = reshape(x; its own dims)     y = concat(x)
//   after:  x
#include "compiler/rules/rules.h"
#include "ir/op_def.h"

namespace tenon::compiler {

using namespace ir;

Result<Patch> DropNoOps(RuleContext& ctx, std::int32_t id) {
  const Node& n = ctx.node(id);
  const std::string_view op = n.op->name;
  if (n.inputs.empty() || !n.inputs[0].valid() || n.outputs.size() != 1) return Patch();
  const Value x = n.inputs[0];
  if (!(ctx.type(x) == n.outputs[0].type)) return Patch();
  if (op == "identity" || op == "stop_gradient" || op == "cast" || op == "reshape" || op == "broadcast_to" ||
      op == "broadcast_like" || op == "sum_like" || op == "expand_dims" || op == "squeeze")
    return Patch{x};
  if (op == "concat" && n.inputs.size() == 1) return Patch{x};
  if (op == "slice" || op == "pad" || op == "tile") {  // the type says that it takes, adds or repeats nothing
    for (const std::int64_t d : ctx.dims(x))
      if (d == 0) return Patch();
    if (op == "slice") {
      for (const std::int64_t s : n.attrs.Ints("strides"))
        if (s != 1) return Patch();
      return Patch{x};
    }
    if (op == "tile") return Patch{x};
    for (const std::int64_t d : n.attrs.Dims("low").values())
      if (d != 0) return Patch();
    return Patch{x};
  }
  if (op.starts_with("reduce_") && op != "reduce_any" && op != "reduce_all") {  // over axes of 1, kept
    return Patch{x};
  }
  return Patch();
}

}  // namespace tenon::compiler
