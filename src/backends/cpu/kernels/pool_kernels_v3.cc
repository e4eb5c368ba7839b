// Pooling for avx2 (the flags of this file are set by CMake).
#include <cstdint>

#include "backends/cpu/kernels/pool_kernels.h"

namespace tenon::cpu {
namespace {
namespace avx2 {
#include "backends/cpu/kernels/pool_kernels.inc"
}  // namespace avx2
}  // namespace

extern const PoolKernels kPoolKernels_avx2;
constinit const PoolKernels kPoolKernels_avx2 = {avx2::KMax, avx2::KMaxGrad, avx2::KSum, avx2::KSpread};

}  // namespace tenon::cpu
