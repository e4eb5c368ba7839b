#include "base/status_macros.h"
#include "compiler/passes/passes.h"
#include "compiler/rewriter.h"
#include "ir/op_def.h"

namespace tenon::compiler {

using namespace ir;

Status LowerComposites(Graph& graph, const KeepFn& keep) {
  return Rewrite(graph,
                 [&](RuleContext& ctx, std::int32_t id) -> Result<Patch> {
                   const Node& n = ctx.node(id);
                   if (n.op->lower == nullptr || keep(ctx.graph(), n)) return Patch();
                   TENON_ASSIGN_OR_RETURN(Patch patch, Lower(ctx.b, *n.op, n.inputs, n.attrs));
                   for (std::size_t k = 0; k < patch.size(); ++k)
                     if (!(ctx.type(patch[k]) == n.outputs[k].type)) return Patch();  // dims that only the run decides
                   return patch;
                 })
      .status();
}

}  // namespace tenon::compiler
