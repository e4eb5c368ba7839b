// The rewrite rules, one a file. All work on static graphs (every type has known dims) and give back values of the same
// types; each file's comment shows before and after.
#pragma once
#include "compiler/rewriter.h"

namespace tenon::compiler {

#define TENON_RULE(Name) Result<Patch> Name(RuleContext& ctx, std::int32_t id)
// Always.
TENON_RULE(DropNoOps);
TENON_RULE(CanonicalShapes);
TENON_RULE(FoldConstants);
TENON_RULE(FoldArithmetic);
TENON_RULE(SimplifyPower);
TENON_RULE(DropBroadcasts);
TENON_RULE(ViewOfView);
TENON_RULE(TransposeOfTranspose);
TENON_RULE(SplitReduction);
TENON_RULE(HoistScale);
// Towards gemm.
TENON_RULE(DotToGemm);
TENON_RULE(TransposeIntoGemm);
TENON_RULE(GemmTranspose);
TENON_RULE(ScaleIntoGemm);
TENON_RULE(AddIntoGemm);
TENON_RULE(ActivationIntoGemm);
// Around convolutions.
TENON_RULE(BiasIntoConv);
TENON_RULE(ActivationIntoConv);
TENON_RULE(ScaleIntoConv);
TENON_RULE(ChannelsLast);
TENON_RULE(SinkTransposes);
TENON_RULE(WidenFloats);  // for nodes that the caller has chosen
#undef TENON_RULE

/// A window (conv, pool, …) over data whose layout starts with NC.
bool ChannelsFirst(const ir::Node& node);

/// Simplification, in the order in which the rules are tried.
std::span<const Rule> SimplifyRules();
std::span<const Rule> GemmRules();
std::span<const Rule> ConvRules();

// ---- what rules share ----

/// The op's attribute axes of an input of that rank as 0..rank-1, sorted; all when empty.
std::vector<int> ReducedAxes(const ir::Node& node, int rank);
/// A constant of one repeated value: rank 0, then broadcast where dims are not empty.
ir::Value Splat(RuleContext& ctx, double value, DType dtype, const std::vector<std::int64_t>& dims);
Shape ToShape(const std::vector<std::int64_t>& dims);
/// The scalar constant behind broadcasts and reshapes of one element, or nullopt.
std::optional<double> ScalarOf(const RuleContext& ctx, ir::Value v);
/// The value behind broadcast_to when it has one element (a scalar known at run time), else an invalid value.
ir::Value OneElement(const RuleContext& ctx, ir::Value v);

}  // namespace tenon::compiler
