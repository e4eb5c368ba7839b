// What the rest of the backend sees of this folder: kernels for its table. No dnnl type.
#pragma once
#include "backends/cpu/emit/plan_builder.h"

namespace tenon::cpu {

Result<std::string> EmitMatmulPrimitive(PlanBuilder& b, std::int32_t node);
Result<std::string> EmitGemm(PlanBuilder& b, std::int32_t node);
Result<std::string> EmitConv(PlanBuilder& b, std::int32_t node);  // and fused_conv
Result<std::string> EmitConvInputGrad(PlanBuilder& b, std::int32_t node);
Result<std::string> EmitConvKernelGrad(PlanBuilder& b, std::int32_t node);
Result<std::string> EmitTransposeReorder(PlanBuilder& b, std::int32_t node);

namespace onednn {
/// Row-major z = alpha x' y' + beta z; 0 when it worked.
int Sgemm(bool transpose_x, bool transpose_y, std::int64_t m, std::int64_t n, std::int64_t k, float alpha,
          const float* x, std::int64_t ldx, const float* y, std::int64_t ldy, float beta, float* z, std::int64_t ldz);
}  // namespace onednn

}  // namespace tenon::cpu
