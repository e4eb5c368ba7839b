#include "verify_faults_edit.h"

#include <algorithm>
#include <cmath>

namespace tenon::faults {

std::string Out(const onnx::Node& n) { return n.outputs[0]; }

void TurnLastTwo(Floats& v, Ints& dims) {
  const auto n = static_cast<std::size_t>(dims.back());
  for (std::size_t at = 0; at < v.size(); at += n * n)
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t k = 0; k < i; ++k) std::swap(v[at + i * n + k], v[at + k * n + i]);
}
void TurnFirstTwo(Floats& v, Ints& dims) {
  const auto n = static_cast<std::size_t>(dims[0]);
  const std::size_t rest = v.size() / (n * n);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t k = 0; k < i; ++k)
      for (std::size_t r = 0; r < rest; ++r) std::swap(v[(i * n + k) * rest + r], v[(k * n + i) * rest + r]);
}
float RoundToHalf(float x) {
  const float step = std::ldexp(1.0F, std::ilogb(x == 0 ? 1.0F : x) - 10);
  return std::nearbyint(x / step) * step;
}
onnx::Attribute Perm(Ints v) {
  onnx::Attribute a;
  a.name = "perm";
  a.type = onnx::AttributeType::kInts;
  a.ints = std::move(v);
  return a;
}

void PermuteBlocks(Floats& v, const std::vector<std::size_t>& order) {
  const Floats old = v;
  const std::size_t block = v.size() / order.size();
  for (std::size_t i = 0; i < order.size(); ++i)
    std::copy_n(old.begin() + static_cast<std::ptrdiff_t>(order[i] * block), block,
                v.begin() + static_cast<std::ptrdiff_t>(i * block));
}

}  // namespace tenon::faults
