// The steps that are not library calls.
#pragma once
#include <memory>

#include "backends/cpu/emit/plan_builder.h"
#include "backends/cpu/loop/loop_program.h"

namespace tenon::cpu {

std::unique_ptr<runtime::Step> MakeCopyStep(BufferId from, BufferId to, std::size_t bytes);
/// inputs and outputs in the order of the program; scratch of program.scratch_bytes(threads).
std::unique_ptr<runtime::Step> MakeLoopStep(LoopProgram program, std::vector<BufferId> inputs,
                                            std::vector<BufferId> outputs, BufferId scratch);

/// The node through OpDef::eval: correct and slow. Logs a warning, once for each op in a process.
Status EmitReference(PlanBuilder& b, std::int32_t node);

// Kernels (emit functions of the table).
/// max_pool, avg_pool and their gradients, f32, any layout.
Result<std::string> EmitPool(PlanBuilder& b, std::int32_t node);
/// transpose, slice, concat, split, reverse, pad, and broadcast_to of dtypes that loops do not take.
Result<std::string> EmitMove(PlanBuilder& b, std::int32_t node);
/// gather, gather_nd, scatter_add, scatter_nd_add, scatter_nd.
Result<std::string> EmitIndex(PlanBuilder& b, std::int32_t node);
/// take_along_axis, scatter_add_along_axis.
Result<std::string> EmitAlong(PlanBuilder& b, std::int32_t node);
/// argmax, argmin, top_k, cumsum, cumprod.
Result<std::string> EmitLine(PlanBuilder& b, std::int32_t node);
/// dot_general and conv of i32.
Result<std::string> EmitIntegerDot(PlanBuilder& b, std::int32_t node);
Result<std::string> EmitIntegerConv(PlanBuilder& b, std::int32_t node);
/// im2col, col2im.
Result<std::string> EmitUnfold(PlanBuilder& b, std::int32_t node);
/// tree_ensemble.
Result<std::string> EmitTrees(PlanBuilder& b, std::int32_t node);
Result<std::string> EmitRoiAlign(PlanBuilder& b, std::int32_t node);
Result<std::string> EmitOneHot(PlanBuilder& b, std::int32_t node);
Result<std::string> EmitIota(PlanBuilder& b, std::int32_t node);
/// random_uniform, random_normal, random_bernoulli.
Result<std::string> EmitRandom(PlanBuilder& b, std::int32_t node);
/// cond, while_loop, scan with sub-graphs of static shapes.
Result<std::string> EmitControl(PlanBuilder& b, std::int32_t node);
Result<std::string> EmitLoop(PlanBuilder& b, std::int32_t node);
/// One elementwise node or reduction as a loop of its own (when fusion is switched off).
Result<std::string> EmitSingleLoop(PlanBuilder& b, std::int32_t node);

}  // namespace tenon::cpu
