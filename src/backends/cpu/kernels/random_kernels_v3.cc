// Random numbers for avx2 (the flags of this file are set by CMake).
#include <cstdint>

#include "backends/cpu/kernels/random_kernels.h"

namespace tenon::cpu {
namespace {
namespace avx2 {
#include "backends/cpu/kernels/random_kernels.inc"
}  // namespace avx2
}  // namespace

extern const RandomKernels kRandomKernels_avx2;
constinit const RandomKernels kRandomKernels_avx2 = {avx2::KWords, avx2::KUniform, avx2::KNormal, avx2::KBelow};

}  // namespace tenon::cpu
