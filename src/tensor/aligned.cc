#include "tensor/aligned.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace tenon {

bool IsAligned(const Literal& literal) {
  if (literal.dtype() == DType::kString) return true;
  const int bytes = std::clamp(dtype_bits(literal.dtype()) / 8, 1, 8);  // 8 for complex ones: two parts
  return reinterpret_cast<std::uintptr_t>(literal.buffer().data()) % static_cast<std::uintptr_t>(bytes) == 0;
}

Literal Aligned(const Literal& literal) {
  if (IsAligned(literal)) return literal;
  Literal copy = Literal::uninitialized(literal.dtype(), literal.dims());
  std::memcpy(copy.mutable_raw().data(), literal.raw().data(), literal.nbytes());
  return copy;
}

}  // namespace tenon
