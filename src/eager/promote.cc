#include "eager/promote.h"

#include <array>

namespace tenon::eager {
namespace {

// The lattice: a node for each dtype below the strings, and one for "a float of no width", the join of integers that no
// integer holds; it comes out as f32. kUp lists the direct neighbours above.
constexpr int kFloating = static_cast<int>(DType::kString);
constexpr int kNodes = kFloating + 1;
using Set = std::uint32_t;
constexpr Set Bit(DType t) { return Set{1} << static_cast<int>(t); }

constexpr std::array<Set, kNodes> Above() {
  std::array<Set, kNodes> up{};
  const auto at = [&](DType t) -> Set& { return up[static_cast<std::size_t>(t)]; };
  at(DType::kBool) = Bit(DType::kU8) | Bit(DType::kI8);
  at(DType::kU8) = Bit(DType::kI16) | Bit(DType::kU16);
  at(DType::kU16) = Bit(DType::kI32) | Bit(DType::kU32);
  at(DType::kU32) = Bit(DType::kI64) | Bit(DType::kU64);
  at(DType::kI8) = Bit(DType::kI16);
  at(DType::kI16) = Bit(DType::kI32);
  at(DType::kI32) = Bit(DType::kI64);
  at(DType::kI64) = at(DType::kU64) = Set{1} << kFloating;
  up[kFloating] = Bit(DType::kBF16) | Bit(DType::kF16);
  at(DType::kBF16) = at(DType::kF16) = Bit(DType::kF32);
  at(DType::kF32) = Bit(DType::kF64) | Bit(DType::kC64);
  at(DType::kF64) = at(DType::kC64) = Bit(DType::kC128);
  // Everything at or above each node.
  std::array<Set, kNodes> above{};
  for (int round = 0; round < kNodes; ++round)
    for (std::size_t i = 0; i < kNodes; ++i) {
      above[i] |= Set{1} << i;
      for (std::size_t j = 0; j < kNodes; ++j)
        if ((up[i] >> j & 1U) != 0) above[i] |= above[j];
    }
  return above;
}
constexpr std::array<Set, kNodes> kAbove = Above();

// The dtype in which an elementwise op computes `t`.
DType Allowed(DType t, ir::DTypeSet set, bool integers_as_float) {
  const bool integer = is_integer(t) || t == DType::kBool;
  if (integer && integers_as_float) return DType::kF32;
  if ((set & ir::Only(t)) != 0 || !integer) return t;
  if (t == DType::kBool && (set & ir::Only(DType::kI32)) != 0) return DType::kI32;
  return (set & ir::Only(DType::kF32)) != 0 ? DType::kF32 : t;
}

std::size_t PortIndex(const ir::OpDef& op, std::size_t input) { return std::min(input, op.inputs.size() - 1); }

Tensor Cast(const Tensor& x, DType dtype) { return x.dtype() == dtype ? x : ApplyOne("cast", {x}, {{"dtype", dtype}}); }

// All inputs have one dtype that every port takes: nothing to promote, the common case.
bool Fits(const ir::OpDef& op, std::span<const Tensor> inputs) {
  if (inputs.empty() || op.Is(ir::kIntegersAsFloat)) return false;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].defined() || inputs[i].dtype() != inputs[0].dtype()) return false;
    if ((op.inputs[PortIndex(op, i)].dtypes & ir::Only(inputs[i].dtype())) == 0) return false;
  }
  return true;
}

bool Promotes(const ir::Port& port) { return (port.flags & (ir::kNonTensor | ir::kMixed)) == 0; }

}  // namespace

DType PromotedType(DType a, DType b) {
  if (a == b) return a;
  if (static_cast<int>(a) >= kFloating || static_cast<int>(b) >= kFloating)
    fail(Code::kInvalidArgument, "promotion: got " + std::string(dtype_name(a)) + " and " + std::string(dtype_name(b)) +
                                     ", which have no common dtype; cast one of them");
  const Set common = kAbove[static_cast<std::size_t>(a)] & kAbove[static_cast<std::size_t>(b)];
  for (std::size_t i = 0; i < kNodes; ++i)
    if (kAbove[i] == common) return i == kFloating ? DType::kF32 : static_cast<DType>(i);
  fail(Code::kInternal, "promotion: the table is no lattice");
}

std::vector<Tensor> Promote(std::span<const Tensor> tensors) {
  std::vector<Tensor> out(tensors.begin(), tensors.end());
  std::optional<DType> joined;
  for (const Tensor& t : out)
    if (t.defined()) joined = joined ? PromotedType(*joined, t.dtype()) : t.dtype();
  for (Tensor& t : out)
    if (t.defined()) t = Cast(t, *joined);
  return out;
}

std::vector<Tensor> PromoteFor(const ir::OpDef& op, std::span<const Tensor> inputs) {
  std::vector<Tensor> out(inputs.begin(), inputs.end());
  const bool elementwise = op.Is(ir::kElementwise);
  if (op.inputs.empty() || (out.size() < 2 && !elementwise)) return out;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const ir::Port& port = op.inputs[PortIndex(op, i)];
    if (!out[i].defined() || !Promotes(port)) continue;
    const auto same = [&](std::size_t j) { return out[j].defined() && op.inputs[PortIndex(op, j)].type == port.type; };
    bool first = true;
    for (std::size_t j = 0; j < i; ++j) first = first && !same(j);
    if (!first) continue;
    DType joined = out[i].dtype();
    for (std::size_t j = i + 1; j < out.size(); ++j)
      if (same(j)) joined = PromotedType(joined, out[j].dtype());
    if (elementwise) joined = Allowed(joined, port.dtypes, op.Is(ir::kIntegersAsFloat));
    for (std::size_t j = i; j < out.size(); ++j)
      if (same(j)) out[j] = Cast(out[j], joined);
  }
  return out;
}

std::vector<Tensor> CallOp(const ir::OpDef& op, std::span<const Tensor> inputs, ir::Attrs attrs) {
  if (Fits(op, inputs)) return Apply(op, inputs, std::move(attrs));
  return Apply(op, PromoteFor(op, inputs), std::move(attrs));
}

}  // namespace tenon::eager
