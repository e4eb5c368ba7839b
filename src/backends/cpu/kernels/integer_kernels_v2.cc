// Products of integers for any processor.
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <cstdint>

#include "backends/cpu/kernels/integer_kernels.h"

namespace tenon::cpu {
namespace {
namespace baseline {
#include "backends/cpu/kernels/integer_kernels.inc"
}  // namespace baseline
}  // namespace

extern const IntegerKernels kIntegerKernels_baseline;
constinit const IntegerKernels kIntegerKernels_baseline = {baseline::kColumns, baseline::KNarrow, baseline::KProduct,
                                                           baseline::KDepthwise};

}  // namespace tenon::cpu
