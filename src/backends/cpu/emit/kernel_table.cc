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
        {"fused_conv", "onednn_conv", EmitConv},
        {"conv_input_grad", "onednn_conv", EmitConvInputGrad},
        {"conv_kernel_grad", "onednn_conv", EmitConvKernelGrad},
        {"max_pool", "pool", EmitPool},
        {"max_pool_grad", "pool", EmitPool},
        {"avg_pool", "pool", EmitPool},
        {"avg_pool_grad", "pool", EmitPool},
    };
    for (const std::string_view op : LoopOpNames()) all.push_back({op, "single_loop", EmitSingleLoop});
    return all;
  }();
  return kAll;
}

}  // namespace tenon::cpu
