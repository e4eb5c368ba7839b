// The kernels of the cpu backend, in order of preference for each op.
#include "backends/cpu/emit/plan_builder.h"
#include "backends/cpu/loop/loop_ops.h"
#include "backends/cpu/onednn/kernels.h"
#include "backends/cpu/steps/steps.h"

namespace tenon::cpu {

std::span<const Kernel> Kernels() {
  static const std::vector<Kernel> kAll = [] {
    std::vector<Kernel> all = {
        {"fused_loop", "loop", EmitLoop},
        {"gemm", "onednn_matmul", EmitMatmulPrimitive},
        {"gemm", "gemm", EmitGemm},
        {"conv", "onednn_conv", EmitConv},
        {"conv", "integer", EmitIntegerConv},
        {"dot_general", "integer", EmitIntegerDot},
        {"fused_conv", "onednn_conv", EmitConv},
        {"conv_input_grad", "onednn_conv", EmitConvInputGrad},
        {"conv_kernel_grad", "onednn_conv", EmitConvKernelGrad},
        {"max_pool", "pool", EmitPool},
        {"max_pool_grad", "pool", EmitPool},
        {"avg_pool", "pool", EmitPool},
        {"avg_pool_grad", "pool", EmitPool},
        {"transpose", "onednn_reorder", EmitTransposeReorder},
        {"transpose", "move", EmitMove},
        {"slice", "move", EmitMove},
        {"concat", "move", EmitMove},
        {"split", "move", EmitMove},
        {"reverse", "move", EmitMove},
        {"pad", "move", EmitMove},
        {"gather", "index", EmitIndex},
        {"gather_nd", "index", EmitIndex},
        {"scatter_add", "index", EmitIndex},
        {"scatter_nd_add", "index", EmitIndex},
        {"scatter_nd", "index", EmitIndex},
        {"take_along_axis", "along", EmitAlong},
        {"scatter_add_along_axis", "along", EmitAlong},
        {"argmax", "line", EmitLine},
        {"argmin", "line", EmitLine},
        {"top_k", "line", EmitLine},
        {"cumsum", "line", EmitLine},
        {"cumprod", "line", EmitLine},
        {"im2col", "unfold", EmitUnfold},
        {"col2im", "unfold", EmitUnfold},
        {"roi_align", "roi_align", EmitRoiAlign},
        {"tree_ensemble", "trees", EmitTrees},
        {"one_hot", "one_hot", EmitOneHot},
        {"iota", "iota", EmitIota},
        {"random_uniform", "philox", EmitRandom},
        {"random_normal", "philox", EmitRandom},
        {"random_bernoulli", "philox", EmitRandom},
        {"cond", "control", EmitControl},
        {"while_loop", "control", EmitControl},
        {"scan", "control", EmitControl},
    };
    for (const std::string_view op : LoopOpNames()) all.push_back({op, "single_loop", EmitSingleLoop});
    all.push_back({"broadcast_to", "move", EmitMove});
    return all;
  }();
  return kAll;
}

}  // namespace tenon::cpu
