// Random numbers for baseline (the flags of this file are set by CMake).
#include <cstdint>

#include "backends/cpu/kernels/random_kernels.h"

namespace tenon::cpu {
namespace {
namespace baseline {
#include "backends/cpu/kernels/random_kernels.inc"
}  // namespace baseline
}  // namespace

extern const RandomKernels kRandomKernels_baseline;
constinit const RandomKernels kRandomKernels_baseline = {baseline::KWords, baseline::KUniform, baseline::KNormal,
                                                         baseline::KBelow};

}  // namespace tenon::cpu
