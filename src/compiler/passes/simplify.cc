#include "base/status_macros.h"
#include "compiler/passes/passes.h"
#include "compiler/rules/rules.h"
#include "ir/op_def.h"

namespace tenon::compiler {

Status Simplify(ir::Graph& graph) {
  for (int round = 0; round < 10; ++round) {
    const int merged = MergeCommon(graph);
    TENON_ASSIGN_OR_RETURN(const int applied, Rewrite(graph, SimplifyRules()));
    if (merged + applied == 0) break;
  }
  return {};
}

Status FormGemms(ir::Graph& graph) { return Rewrite(graph, GemmRules()).status(); }

Status FuseConvs(ir::Graph& graph) { return Rewrite(graph, ConvRules()).status(); }

Status MoveChannelsLast(ir::Graph& graph) {
  int windows = 0;
  for (const ir::Node& n : graph.nodes()) windows += ChannelsFirst(n) ? 1 : 0;
  if (windows < 2) return {};
  static constexpr Rule kRules[] = {{"transpose_of_transpose", TransposeOfTranspose},
                                    {"channels_last", ChannelsLast},
                                    {"sink_transposes", SinkTransposes}};
  TENON_RETURN_IF_ERROR(as_status(Rewrite(graph, kRules)));
  return Simplify(graph);
}

Status WidenHalf(ir::Graph& graph, const std::function<bool(std::string_view)>& chosen) {
  return Rewrite(graph,
                 [&](RuleContext& ctx, std::int32_t id) -> Result<Patch> {
                   return chosen(ctx.node(id).op->name) ? WidenFloats(ctx, id) : Result<Patch>(Patch());
                 })
      .status();
}

}  // namespace tenon::compiler
