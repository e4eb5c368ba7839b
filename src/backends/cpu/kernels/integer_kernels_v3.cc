// Products of integers for avx2 (the flags of this file are set by CMake).
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <cstdint>

#include "backends/cpu/kernels/integer_kernels.h"

namespace tenon::cpu {
namespace {
namespace avx2 {
#include "backends/cpu/kernels/integer_kernels.inc"
}  // namespace avx2
}  // namespace

extern const IntegerKernels kIntegerKernels_avx2;
constinit const IntegerKernels kIntegerKernels_avx2 = {avx2::kColumns, avx2::KNarrow, avx2::KProduct, avx2::KDepthwise};

}  // namespace tenon::cpu
