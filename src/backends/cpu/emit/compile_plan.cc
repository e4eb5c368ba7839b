#include "backends/cpu/emit/compile_plan.h"

#include <set>

#include "backends/cpu/emit/plan_builder.h"
#include "backends/cpu/loop/loop_ops.h"
#include "base/status_macros.h"
#include "compiler/pass.h"
#include "compiler/passes/passes.h"
#include "compiler/rules/rules.h"
#include "compiler/specialize.h"

namespace tenon::cpu {
namespace {

compiler::FusionKind FusionKindOf(const ir::Graph& graph, const ir::Node& node) {
  const std::optional<LoopOpInfo> info = FindLoopOp(graph, node);
  if (!info) return compiler::FusionKind::kNone;
  switch (info->kind) {
    case LoopClass::kReduce:
      return compiler::FusionKind::kReduce;
    case LoopClass::kAlias:
      if (node.op->name == "broadcast_to") return compiler::FusionKind::kBroadcast;
      return node.op->name == "reshape" ? compiler::FusionKind::kReshape : compiler::FusionKind::kNone;
    case LoopClass::kConstant:
      return compiler::FusionKind::kNone;
    default:
      return compiler::FusionKind::kElementwise;
  }
}

// Ops whose kernels take no half precision.
bool OnlyF32(std::string_view op) {
  static const std::set<std::string_view> kOps = {"conv",
                                                  "conv_input_grad",
                                                  "conv_kernel_grad",
                                                  "max_pool",
                                                  "max_pool_grad",
                                                  "max_pool_gather",
                                                  "avg_pool",
                                                  "avg_pool_grad",
                                                  "cumsum",
                                                  "cumprod",
                                                  "scatter_add",
                                                  "scatter_nd_add",
                                                  "scatter_add_along_axis",
                                                  "argmax",
                                                  "argmin",
                                                  "top_k"};
  return kOps.contains(op);
}

std::vector<compiler::Pass> Passes() {
  const auto keep = [](const ir::Graph& graph, const ir::Node& node) {
    return FindLoopOp(graph, node).has_value() || HasKernel(node.op->name);
  };
  compiler::FusionOptions fusion;
  fusion.kind = FusionKindOf;
  return {
      {"simplify", compiler::Simplify},
      {"lower", [keep](ir::Graph& g) { return compiler::LowerComposites(g, keep); }, true},
      {"simplify_lowered", compiler::Simplify},
      {"widen_half", [](ir::Graph& g) { return compiler::WidenHalf(g, OnlyF32); }, true},
      {"channels_last", compiler::MoveChannelsLast},
      {"gemm", compiler::FormGemms, true},
      {"conv", compiler::FuseConvs},
      {"simplify_gemm", compiler::Simplify},
      {"fuse", [fusion](ir::Graph& g) { return compiler::FuseLoops(g, fusion); }},
  };
}

// Types and attributes: a slice whose place only the run knows may be of a size that is known before.
bool Plannable(const ir::Graph& graph) {
  for (const ir::Node& n : graph.nodes()) {
    for (const ir::Output& o : n.outputs)
      if (!o.type.is_static() || o.type.dtype() == DType::kString) return false;
    for (const auto& [name, attr] : n.attrs)
      if (const Shape* shape = std::get_if<Shape>(&attr); shape != nullptr && !shape->is_static()) return false;
  }
  return true;
}

}  // namespace

Result<std::shared_ptr<const runtime::Plan>> CompilePlan(const ir::Graph& graph,
                                                         const std::vector<std::vector<std::int64_t>>& input_dims,
                                                         const runtime::CompileOptions& options,
                                                         PackedConstants* packed) {
  TENON_ASSIGN_OR_RETURN(ir::Graph specialised, compiler::Specialize(graph, input_dims));
  TENON_RETURN_IF_ERROR(InlineCalls(specialised));  // inside, shapes may depend on data
  if (!Plannable(specialised)) return std::shared_ptr<const runtime::Plan>();
  compiler::PassOptions pass_options;
  pass_options.off = options.passes_off;
  TENON_RETURN_IF_ERROR(compiler::RunPasses(specialised, Passes(), pass_options));
  PlanBuilder builder(specialised, options, packed);
  TENON_ASSIGN_OR_RETURN(std::unique_ptr<runtime::Plan> plan, builder.Build());
  return std::shared_ptr<const runtime::Plan>(std::move(plan));
}

Status InlineCalls(ir::Graph& graph) {
  return compiler::LowerComposites(graph, [](const ir::Graph&, const ir::Node& n) { return n.op->name != "call"; });
}

Status FoldOnce(ir::Graph& graph) {
  static constexpr compiler::Rule kRules[] = {{"fold_constants", compiler::FoldConstants}};
  return compiler::Rewrite(graph, kRules).status();
}

}  // namespace tenon::cpu
