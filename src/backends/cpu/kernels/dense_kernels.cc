#include "backends/cpu/kernels/dense_kernels.h"

#include <string_view>

#include "backends/cpu/kernels/loop_kernels.h"

namespace tenon::cpu {

extern const DenseKernels kDenseKernels_avx512, kDenseKernels_avx2, kDenseKernels_baseline;

const DenseKernels& GetDenseKernels() {
  static const DenseKernels& chosen = [&]() -> const DenseKernels& {
    const std::string_view isa = GetLoopKernels().isa;
    if (isa == "avx512") return kDenseKernels_avx512;
    return isa == "avx2" ? kDenseKernels_avx2 : kDenseKernels_baseline;
  }();
  return chosen;
}

}  // namespace tenon::cpu
