// Thin products for avx2 (the flags of this file are set by CMake).
#include <cstdint>

#include "backends/cpu/kernels/dense_kernels.h"

namespace tenon::cpu {
namespace {
namespace avx2 {
#include "backends/cpu/kernels/dense_kernels.inc"
}  // namespace avx2
}  // namespace

extern const DenseKernels kDenseKernels_avx2;
constinit const DenseKernels kDenseKernels_avx2 = {avx2::KGemvRows, avx2::KGemvDots, avx2::KSmall<float>,
                                                   avx2::KSmall<double>, avx2::KBiasRelu};

}  // namespace tenon::cpu
