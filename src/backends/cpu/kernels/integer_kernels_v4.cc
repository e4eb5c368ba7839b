// Products of integers for avx512 (the flags of this file are set by CMake).
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <cstdint>

#include "backends/cpu/kernels/integer_kernels.h"

namespace tenon::cpu {
namespace {
namespace avx512 {
#include "backends/cpu/kernels/integer_kernels.inc"
}  // namespace avx512
}  // namespace

extern const IntegerKernels kIntegerKernels_avx512;
constinit const IntegerKernels kIntegerKernels_avx512 = {avx512::kColumns, avx512::KNarrow, avx512::KProduct,
                                                         avx512::KDepthwise};

}  // namespace tenon::cpu
