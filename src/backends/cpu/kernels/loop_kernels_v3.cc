// The kernels of the loop IR for avx2 (the flags of this file are set by CMake).
#include <cstdint>

#include "backends/cpu/kernels/loop_kernels.h"

namespace tenon::cpu {
namespace {
namespace avx2 {
#include "backends/cpu/kernels/loop_kernels.inc"
constexpr LoopKernels kTable = MakeKernels("avx2");
}  // namespace avx2
}  // namespace

extern const LoopKernels kLoopKernels_avx2;
constinit const LoopKernels kLoopKernels_avx2 = avx2::kTable;

}  // namespace tenon::cpu
