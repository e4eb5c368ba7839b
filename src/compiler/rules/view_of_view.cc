// Views of views.
//   before: reshape(reshape(x))    broadcast_to(broadcast_to(x))    cast(cast(x; wider); t)    reshape(constant)
//   after:  reshape(x)             broadcast_to(x)                  cast(x; t)                 constant
// A broadcast_to that only adds leading or inner ones is a reshape.
#include "compiler/rules/rules.h"
#include "ir/op_def.h"

namespace tenon::compiler {

using namespace ir;

namespace {

// Every value of `from` is one of `to`.
bool Widens(DType from, DType to) {
  if (from == DType::kBool) return true;
  if (is_float(from) != is_float(to)) return false;
  if (is_float(from)) return dtype_bits(to) > dtype_bits(from) && dtype_bits(from) >= 16;
  return dtype_bits(to) > dtype_bits(from) && is_signed_integer(from) == is_signed_integer(to);
}

}  // namespace

Result<Patch> ViewOfView(RuleContext& ctx, std::int32_t id) {
  const Node& n = ctx.node(id);
  const std::string_view op = n.op->name;
  if (n.inputs.size() != 1 || n.outputs.size() != 1) return Patch();
  const Value x = n.inputs[0];
  const std::vector<std::int64_t> dims = ctx.dims({id, 0});
  if (op == "reshape" && ctx.Is(x, "reshape")) return Patch{ctx.b.Reshape(ctx.node(x).inputs[0], ToShape(dims))};
  if (op == "reshape" && ctx.Is(x, "broadcast_to") && ctx.elements(ctx.node(x).inputs[0]) == 1) {
    const Value one = ctx.node(x).inputs[0];
    const Value scalar = ctx.type(one).rank() == 0 ? one : ctx.b.Reshape(one, Shape());
    return Patch{dims.empty() ? scalar : ctx.b.Add("broadcast_to", {scalar}, {{"dims", ToShape(dims)}})};
  }
  if (op == "broadcast_to") {
    if (ctx.Is(x, "broadcast_to"))
      return Patch{ctx.b.Add("broadcast_to", {ctx.node(x).inputs[0]}, {{"dims", ToShape(dims)}})};
    if (ctx.elements(x) == ctx.elements({id, 0})) return Patch{ctx.b.Reshape(x, ToShape(dims))};
  }
  if (op == "cast" && ctx.Is(x, "cast")) {
    const Value inner = ctx.node(x).inputs[0];
    if (Widens(ctx.type(inner).dtype(), ctx.type(x).dtype()))
      return Patch{ctx.b.Cast(inner, ctx.type({id, 0}).dtype())};
  }
  return Patch();
}

}  // namespace tenon::compiler
