// Kernels of the loop IR: one operation over the elements of registers, compiled for several instruction sets from one
// source (loop_kernels.inc). A register is memory aligned to 64 bytes that holds elements of one compute type.
#pragma once
#include <cstdint>

#include "tenon/types.h"

namespace tenon::cpu {

/// How an element is held in a register. bool, i8, i16, u8, u16 are held in kI32 (bool as 0 or 1), u32 in kI64, f16 and
/// bf16 in kF32.
enum class CType : std::uint8_t { kF32, kF64, kI32, kI64, kU64 };
inline constexpr int kNumCTypes = 5;
constexpr int CTypeBytes(CType t) { return t == CType::kF32 || t == CType::kI32 ? 4 : 8; }

/// The operations, by the number of register operands. Comparisons and predicates give kI32 (0 or 1).
// clang-format off: it never settles on this list
#define TENON_LOOP_UNARY(X)                                                                                          \
  X(Copy)                                                                                                            \
  X(Neg)                                                                                                             \
  X(Abs)                                                                                                             \
  X(Sign)                                                                                                            \
  X(Floor)                                                                                                           \
  X(Ceil)                                                                                                            \
  X(Round)                                                                                                           \
  X(Exp) X(Expm1) X(Log) X(Log1p) X(Sqrt) X(Rsqrt) X(Square) X(Reciprocal) X(Sin) X(Cos) X(Tan) X(Asin) X(Acos)      \
      X(Atan) X(Sinh) X(Cosh) X(Tanh) X(Asinh) X(Acosh) X(Atanh) X(Erf) X(Erfc) X(Sigmoid) X(Relu) X(IsNan) X(IsInf) \
          X(IsFinite) X(LogicalNot) X(BitwiseNot)
// clang-format on
#define TENON_LOOP_BINARY(X) \
  X(Add)                     \
  X(Sub)                     \
  X(Mul)                     \
  X(Div)                     \
  X(FloorDiv)                \
  X(Remainder)               \
  X(Power)                   \
  X(Max) X(Min) X(Atan2) X(Equal) X(NotEqual) X(Less) X(LessEqual) X(Greater) X(GreaterEqual) X(And) X(Or) X(Xor)
enum class LoopOp : std::uint8_t {
#define TENON_LOOP_ENUM(name) k##name,
  TENON_LOOP_UNARY(TENON_LOOP_ENUM) TENON_LOOP_BINARY(TENON_LOOP_ENUM)
#undef TENON_LOOP_ENUM
      kSelect,  // a (kI32) ? b : c
  kMulAdd,      // a * b + c, rounded once or twice
  kNumOps,
};
inline constexpr int kNumLoopOps = static_cast<int>(LoopOp::kNumOps);

/// dst[i] = op(a[i], b[i], c[i]) for i < n; touches exactly n elements, so memory can stand in for a register. dst may
/// be one of the operands.
using LoopKernel = void (*)(void* dst, const void* a, const void* b, const void* c, std::int64_t n);
/// Conversion between a register and memory, or between two compute types. Integers from floats truncate, saturate at
/// [low, high] and take NaN as 0; integers from integers wrap (Wrap).
using CastKernel = void (*)(void* dst, const void* src, std::int64_t n);
using ClampCastKernel = void (*)(void* dst, const void* src, std::int64_t n, double low, double high);
/// rows x cols tiles, row-major: a row register holds one element a row, a column register one a column.
using TileKernel = void (*)(void* dst, const void* src, std::int64_t rows, std::int64_t cols);

enum class ReduceOp : std::uint8_t { kSum, kProd, kMax, kMin };
inline constexpr int kNumReduceOps = 4;

struct LoopKernels {
  const char* isa;                                     // "avx512", "avx2", "baseline"
  LoopKernel op[kNumLoopOps][kNumCTypes];              // by operand type (kSelect: type of b); null: not defined
  CastKernel load[kNumDTypes];                         // memory -> register; null: the same bits, or not supported
  CastKernel store[kNumDTypes];                        // register -> memory
  CastKernel cast[kNumCTypes][kNumCTypes];             // [from][to]; float to integer is in clamp_cast
  ClampCastKernel clamp_cast[kNumCTypes][kNumCTypes];  // from floats
  CastKernel wrap[kNumDTypes];  // register -> register, as if stored and loaded; null: nothing to do
  CastKernel splat[2];          // dst[i] = src[0]; by element size: 4, 8
  TileKernel expand_row[2];     // dst[r, c] = src[r]
  TileKernel expand_col[2];     // dst[r, c] = src[c]
  TileKernel reduce_row[kNumReduceOps][kNumCTypes];  // dst[r] = reduce of src[r, *]
  TileKernel reduce_col[kNumReduceOps][kNumCTypes];  // dst[c] = reduce of src[*, c]
  LoopKernel combine[kNumReduceOps][kNumCTypes];     // dst[i] = a[i] reduced with b[i]
};

/// For this processor, or the one that TENON_ISA=avx512|avx2|baseline asks for when the processor has it.
const LoopKernels& GetLoopKernels();
/// Every instruction set that this processor runs, best first (for tests).
int AvailableLoopKernels(const LoopKernels* const** list);

/// How a dtype is held. False for strings, complex and 4- and 8-bit float storage types.
bool CTypeOf(DType dtype, CType* ctype);

}  // namespace tenon::cpu
