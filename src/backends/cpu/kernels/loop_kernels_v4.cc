// The kernels of the loop IR for avx512 (the flags of this file are set by CMake).
#include <cstdint>

#include "backends/cpu/kernels/loop_kernels.h"

namespace tenon::cpu {
namespace {
namespace avx512 {
#include "backends/cpu/kernels/loop_kernels.inc"
constexpr LoopKernels kTable = MakeKernels("avx512");
}  // namespace avx512
}  // namespace

extern const LoopKernels kLoopKernels_avx512;
constinit const LoopKernels kLoopKernels_avx512 = avx512::kTable;

}  // namespace tenon::cpu
