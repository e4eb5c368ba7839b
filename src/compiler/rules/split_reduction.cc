// A reduction over axes that do not stand together becomes two.
//   before: reduce_sum(x; axes=[0, 2])
//   after:  reduce_sum(reduce_sum(x; axes=[2]); axes=[0])
// Axes of 1 between or around them do not part them.
#include "compiler/rules/rules.h"
#include "ir/op_def.h"

namespace tenon::compiler {

using namespace ir;

Result<Patch> SplitReduction(RuleContext& ctx, std::int32_t id) {
  const Node& n = ctx.node(id);
  const std::string_view op = n.op->name;
  if (op != "reduce_sum" && op != "reduce_max" && op != "reduce_min" && op != "reduce_prod" && op != "reduce_any" &&
      op != "reduce_all")
    return Patch();
  const std::vector<std::int64_t> dims = ctx.dims(n.inputs[0]);
  const std::vector<int> axes = ReducedAxes(n, static_cast<int>(dims.size()));
  std::vector<std::int64_t> last;  // the run of reduced axes that ends last
  std::vector<std::int64_t> rest;
  bool open = true, started = false;
  for (std::size_t i = dims.size(); i-- > 0;) {
    bool reduced = false;
    for (const int a : axes) reduced = reduced || a == static_cast<int>(i);
    if (reduced) (open ? last : rest).push_back(static_cast<std::int64_t>(i));
    if (reduced && dims[i] != 1) started = true;
    if (!reduced && dims[i] != 1 && started) open = false;
  }
  bool needed = false;
  for (const std::int64_t a : rest) needed = needed || dims[static_cast<std::size_t>(a)] != 1;
  if (!needed) return Patch();
  const Value inner = ctx.b.Add(op, {n.inputs[0]}, {{"axes", last}, {"keep_dims", true}});
  const Value outer = ctx.b.Add(op, {inner}, {{"axes", rest}, {"keep_dims", true}});
  const std::vector<std::int64_t> want = ctx.dims({id, 0});
  if (!ctx.b.ok()) return ctx.b.status();
  return Patch{ctx.dims(outer) == want ? outer : ctx.b.Reshape(outer, ToShape(want))};
}

}  // namespace tenon::compiler
