#include "backends/cpu/kernels/integer_kernels.h"

#include <string_view>

#include "backends/cpu/kernels/loop_kernels.h"

namespace tenon::cpu {

extern const IntegerKernels kIntegerKernels_avx512, kIntegerKernels_avx2, kIntegerKernels_baseline;

const IntegerKernels& GetIntegerKernels() {
  static const IntegerKernels& chosen = [&]() -> const IntegerKernels& {
    const std::string_view isa = GetLoopKernels().isa;
    if (isa == "avx512") return kIntegerKernels_avx512;
    return isa == "avx2" ? kIntegerKernels_avx2 : kIntegerKernels_baseline;
  }();
  return chosen;
}

}  // namespace tenon::cpu
