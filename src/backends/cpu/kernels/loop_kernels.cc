#include "backends/cpu/kernels/loop_kernels.h"

#include <cstdlib>
#include <string_view>

namespace tenon::cpu {

extern const LoopKernels kLoopKernels_avx512, kLoopKernels_avx2, kLoopKernels_baseline;

namespace {

struct Available {
  const LoopKernels* list[3] = {};
  int count = 0;
};

const Available& Found() {
  static const Available kFound = [] {
    Available a;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512cd"))
      a.list[a.count++] = &kLoopKernels_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
      a.list[a.count++] = &kLoopKernels_avx2;
#endif
    a.list[a.count++] = &kLoopKernels_baseline;
    return a;
  }();
  return kFound;
}

}  // namespace

const LoopKernels& GetLoopKernels() {
  static const LoopKernels& chosen = *[] {
    const char* wanted = std::getenv("TENON_ISA");
    for (int i = 0; wanted != nullptr && i < Found().count; ++i)
      if (std::string_view(wanted) == Found().list[i]->isa) return Found().list[i];
    return Found().list[0];
  }();
  return chosen;
}

int AvailableLoopKernels(const LoopKernels* const** list) {
  *list = Found().list;
  return Found().count;
}

bool CTypeOf(DType dtype, CType* ctype) {
  switch (dtype) {
    case DType::kBool:
    case DType::kI8:
    case DType::kU8:
    case DType::kI16:
    case DType::kU16:
    case DType::kI32:
      *ctype = CType::kI32;
      return true;
    case DType::kU32:
    case DType::kI64:
      *ctype = CType::kI64;
      return true;
    case DType::kU64:
      *ctype = CType::kU64;
      return true;
    case DType::kF16:
    case DType::kBF16:
    case DType::kF32:
      *ctype = CType::kF32;
      return true;
    case DType::kF64:
      *ctype = CType::kF64;
      return true;
    default:
      return false;
  }
}

}  // namespace tenon::cpu
