// Pooling for baseline (the flags of this file are set by CMake).
#include <cstdint>

#include "backends/cpu/kernels/pool_kernels.h"

namespace tenon::cpu {
namespace {
namespace baseline {
#include "backends/cpu/kernels/pool_kernels.inc"
}  // namespace baseline
}  // namespace

extern const PoolKernels kPoolKernels_baseline;
constinit const PoolKernels kPoolKernels_baseline = {baseline::KMax, baseline::KMaxGrad, baseline::KSum,
                                                     baseline::KSpread};

}  // namespace tenon::cpu
