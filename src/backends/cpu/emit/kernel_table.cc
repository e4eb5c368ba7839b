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
    };
    for (const std::string_view op : LoopOpNames()) all.push_back({op, "single_loop", EmitSingleLoop});
    return all;
  }();
  return kAll;
}

}  // namespace tenon::cpu
