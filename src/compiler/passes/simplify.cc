#include "base/status_macros.h"
#include "compiler/passes/passes.h"
#include "compiler/rules/rules.h"

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

}  // namespace tenon::compiler
