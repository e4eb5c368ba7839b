// Random numbers for avx512 (the flags of this file are set by CMake).
#include <cstdint>

#include "backends/cpu/kernels/random_kernels.h"

namespace tenon::cpu {
namespace {
namespace avx512 {
#include "backends/cpu/kernels/random_kernels.inc"
}  // namespace avx512
}  // namespace

extern const RandomKernels kRandomKernels_avx512;
constinit const RandomKernels kRandomKernels_avx512 = {avx512::KWords, avx512::KUniform, avx512::KNormal,
                                                       avx512::KBelow};

}  // namespace tenon::cpu
