// The kernels of the loop IR for baseline (the flags of this file are set by CMake).
#include <cstdint>

#include "backends/cpu/kernels/loop_kernels.h"

namespace tenon::cpu {
namespace {
namespace baseline {
#include "backends/cpu/kernels/loop_kernels.inc"
constexpr LoopKernels kTable = MakeKernels("baseline");
}  // namespace baseline
}  // namespace

extern const LoopKernels kLoopKernels_baseline;
constinit const LoopKernels kLoopKernels_baseline = baseline::kTable;

}  // namespace tenon::cpu
