// Pooling for avx512 (the flags of this file are set by CMake).
#include <cstdint>

#include "backends/cpu/kernels/pool_kernels.h"

namespace tenon::cpu {
namespace {
namespace avx512 {
#include "backends/cpu/kernels/pool_kernels.inc"
}  // namespace avx512
}  // namespace

extern const PoolKernels kPoolKernels_avx512;
constinit const PoolKernels kPoolKernels_avx512 = {avx512::KMax, avx512::KMaxGrad, avx512::KSum, avx512::KSpread};

}  // namespace tenon::cpu
