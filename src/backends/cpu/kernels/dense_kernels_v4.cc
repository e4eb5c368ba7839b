// Thin products for avx512 (the flags of this file are set by CMake).
#include <cstdint>

#include "backends/cpu/kernels/dense_kernels.h"

namespace tenon::cpu {
namespace {
namespace avx512 {
#include "backends/cpu/kernels/dense_kernels.inc"
}  // namespace avx512
}  // namespace

extern const DenseKernels kDenseKernels_avx512;
constinit const DenseKernels kDenseKernels_avx512 = {avx512::KGemvRows, avx512::KGemvDots, avx512::KSmall<float>,
                                                     avx512::KSmall<double>, avx512::KBiasRelu};

}  // namespace tenon::cpu
