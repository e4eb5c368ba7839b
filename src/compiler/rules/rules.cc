#include "compiler/rules/rules.h"

#include <algorithm>

#include "ir/numeric.h"
#include "ir/op_def.h"

namespace tenon::compiler {

using namespace ir;

std::span<const Rule> SimplifyRules() {
  static constexpr Rule kRules[] = {
      {"drop_no_ops", DropNoOps},          {"canonical_shapes", CanonicalShapes},
      {"fold_constants", FoldConstants},   {"fold_arithmetic", FoldArithmetic},
      {"simplify_power", SimplifyPower},   {"drop_broadcasts", DropBroadcasts},
      {"view_of_view", ViewOfView},        {"transpose_of_transpose", TransposeOfTranspose},
      {"split_reduction", SplitReduction}, {"hoist_scale", HoistScale},
  };
  return kRules;
}

std::span<const Rule> GemmRules() {
  static constexpr Rule kRules[] = {
      {"dot_to_gemm", DotToGemm},        {"transpose_into_gemm", TransposeIntoGemm},
      {"gemm_transpose", GemmTranspose}, {"scale_into_gemm", ScaleIntoGemm},
      {"add_into_gemm", AddIntoGemm},    {"activation_into_gemm", ActivationIntoGemm},
  };
  return kRules;
}

std::span<const Rule> ConvRules() {
  static constexpr Rule kRules[] = {{"bias_into_conv", BiasIntoConv},
                                    {"scale_into_conv", ScaleIntoConv},
                                    {"activation_into_conv", ActivationIntoConv}};
  return kRules;
}

std::vector<int> ReducedAxes(const Node& node, int rank) {
  std::vector<int> axes;
  for (const std::int64_t a : node.attrs.Ints("axes")) axes.push_back(static_cast<int>(a < 0 ? a + rank : a));
  if (axes.empty())
    for (int i = 0; i < rank; ++i) axes.push_back(i);
  std::ranges::sort(axes);
  return axes;
}

Shape ToShape(const std::vector<std::int64_t>& dims) { return Shape(std::span<const std::int64_t>(dims)); }

Value Splat(RuleContext& ctx, double value, DType dtype, const std::vector<std::int64_t>& dims) {
  const Value scalar = ctx.b.Scalar(value, dtype);
  return dims.empty() ? scalar : ctx.b.Add("broadcast_to", {scalar}, {{"dims", ToShape(dims)}});
}

std::optional<double> ScalarOf(const RuleContext& ctx, Value v) {
  for (int hops = 0; hops < 100 && v.valid(); ++hops) {
    if (const Literal* l = ctx.ConstantOf(v)) {
      if (l->size() != 1 || l->dtype() == DType::kString || is_complex(l->dtype())) return std::nullopt;
      return l->at(0);
    }
    if (!ctx.Is(v, "broadcast_to") && !ctx.Is(v, "reshape")) return std::nullopt;
    v = ctx.node(v).inputs[0];
  }
  return std::nullopt;
}

Value OneElement(const RuleContext& ctx, Value v) {
  if (ctx.elements(v) == 1) return v;
  if (ctx.Is(v, "broadcast_to") && ctx.elements(ctx.node(v).inputs[0]) == 1) return ctx.node(v).inputs[0];
  return {};
}

}  // namespace tenon::compiler
