// Thin products for baseline (the flags of this file are set by CMake).
#include <cstdint>

#include "backends/cpu/kernels/dense_kernels.h"

namespace tenon::cpu {
namespace {
namespace baseline {
#include "backends/cpu/kernels/dense_kernels.inc"
}  // namespace baseline
}  // namespace

extern const DenseKernels kDenseKernels_baseline;
constinit const DenseKernels kDenseKernels_baseline = {
    baseline::KGemvRows, baseline::KGemvDots, baseline::KSmall<float>, baseline::KSmall<double>, baseline::KBiasRelu};

}  // namespace tenon::cpu
