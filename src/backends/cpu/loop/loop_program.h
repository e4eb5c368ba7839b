// LoopProgram: a fused chain of elementwise operations and reductions over one index space, run tile by tile with all
// values between in registers (blocks of memory that stay in the first-level cache).
//
// The space is batch x rows x cols, row-major. A value has a level: one for each element (full), for each row, for each
// column, or one (scalar). Reductions over columns give row values, reductions over rows give column values.
//
//   scalar:  code on scalars, before all loops
//   column:  code on column values, before the rows of a column chunk
//   tile:    the loop body: loads, operations, reductions, stores
//   row_end: code on row values that follow from reductions over chunked columns (after the last chunk of a row block)
//   col_end: code on column values that follow from reductions over rows (after the last row)
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "backends/cpu/kernels/loop_kernels.h"

namespace tenon::cpu {

inline constexpr int kMaxLoopRegs = 256, kMaxLoopRowReduces = 16, kMaxLoopRowDims = 16;

enum class Level : std::uint8_t { kScalar, kCol, kRow, kFull };

struct LoopReg {
  CType type = CType::kF32;
  Level level = Level::kFull;
  std::int32_t operand = -1;  // >= 0: stands for memory of that operand, no storage of its own
  std::int32_t output = -1;   // >= 0: stands for memory of that output
  std::int64_t offset = 0;    // of its storage in the register file, bytes
};

/// How the elements of an operand lie in memory, in elements. Row r has the offset sum(index_k * row_strides[k]) over
/// the mixed-radix digits of r in row_dims; column c adds c * col_stride, or col_table[c].
struct LoopAccess {
  std::vector<std::int64_t> row_dims, row_strides;  // outermost first; no dims of size 1
  std::int64_t col_stride = 0;
  std::vector<std::int64_t> col_table;  // when the columns have no single stride
  bool dense = false;                   // element (r, c) at r * cols + c
};
struct LoopOperand {
  std::int32_t input = 0;  // index of the step's input
  DType dtype = DType::kF32;
  LoopAccess access;
};
struct LoopOutput {
  std::int32_t reg = -1;
  DType dtype = DType::kF32;
  Level level = Level::kFull;
};

enum class InstrKind : std::uint8_t {
  kOp,         // dst = kernel(a, b, c)
  kCast,       // dst = cast(a)
  kClampCast,  // dst = cast(a) saturated to [low, high]
  kConst,      // dst = `bits`, everywhere
  kLoad,       // dst = elements of `index` (an operand)
  kSplat,      // dst (any level) = a (scalar)
  kExpandRow,  // dst (full) = a (row)
  kExpandCol,  // dst (full) = a (col)
  kReduceRow,  // dst (row) = reduction of a (full)
  kReduceCol,  // accumulator dst (col) gathers a (full)
  kStore,      // output `index` = a
};
struct LoopInstr {
  InstrKind kind = InstrKind::kOp;
  Level level = Level::kFull;  // how many elements it works on
  ReduceOp reduce = ReduceOp::kSum;
  std::int32_t dst = -1, a = -1, b = -1, c = -1;
  std::int32_t index = -1;
  LoopKernel op = nullptr;
  CastKernel cast = nullptr;
  ClampCastKernel clamp = nullptr;
  double low = 0, high = 0;
  std::uint64_t bits = 0;
};

struct LoopProgram {
  std::int64_t batch = 1, rows = 1, cols = 1;
  std::int64_t tile_rows = 1, tile_cols = 1;
  bool row_reduce = false, col_reduce = false;
  std::vector<LoopReg> regs;
  std::vector<std::int32_t> moving;  // those that stand for memory
  std::vector<LoopOperand> operands;
  std::vector<LoopOutput> outputs;
  std::vector<LoopInstr> scalar, column, tile, row_end, col_end;
  std::int64_t file_bytes = 0;  // register file, for each part that may run at the same time
  int parts = 1;                // row blocks (or column chunks) that run independently; decided by the shape alone
  bool parts_are_rows = true;
  /// {operand, output}: the output may lie over the operand's memory.
  std::vector<std::pair<int, int>> overlay;
  std::string text;  // "32x128: add relu" for explain

  std::int64_t scratch_bytes(int threads) const { return file_bytes * (threads > 1 || col_reduce ? parts : 1); }
};

/// inputs and outputs by their index in the step; scratch of scratch_bytes(threads), aligned to 64.
void RunLoop(const LoopProgram& program, const std::byte* const* inputs, std::byte* const* outputs, std::byte* scratch,
             int threads);

}  // namespace tenon::cpu
