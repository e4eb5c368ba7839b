#include <algorithm>
#include <cstring>

#include "backends/cpu/loop/loop_program.h"
#include "runtime/parallel.h"

namespace tenon::cpu {
namespace {

constexpr std::int64_t kGather = 512;  // elements gathered at a time

std::int64_t DTypeBytes(DType t) { return dtype_bits(t) / 8; }

// Walks the rows of an access: the offset of one row after the other.
class RowCursor {
 public:
  RowCursor(const LoopAccess& access, std::int64_t row) : access_(access) {
    if (row == 0) return;  // also where a dim is 0 and nothing may be divided by it
    for (std::size_t k = access.row_dims.size(); k-- > 0;) {
      digits_[k] = row % access.row_dims[k];
      row /= access.row_dims[k];
      offset_ += digits_[k] * access.row_strides[k];
    }
  }
  std::int64_t offset() const { return offset_; }
  void Next() {
    for (std::size_t k = access_.row_dims.size(); k-- > 0;) {
      offset_ += access_.row_strides[k];
      if (++digits_[k] < access_.row_dims[k]) return;
      offset_ -= digits_[k] * access_.row_strides[k];
      digits_[k] = 0;
    }
  }

 private:
  const LoopAccess& access_;
  std::int64_t digits_[kMaxLoopRowDims] = {};
  std::int64_t offset_ = 0;
};

struct Range {
  std::int64_t begin, end;
};

class Runner {
 public:
  Runner(const LoopProgram& p, const std::byte* const* inputs, std::byte* const* outputs, std::byte* file)
      : p_(p), inputs_(inputs), outputs_(outputs), kernels_(GetLoopKernels()) {
    for (std::size_t i = 0; i < p.regs.size(); ++i)
      if (p.regs[i].operand < 0 && p.regs[i].output < 0) ptr_[i] = file + p.regs[i].offset;
  }

  // The loops over one batch entry, some of its rows and some of its columns. Leaves column accumulators in the file.
  void RunRange(std::int64_t batch, Range rows, Range cols) {
    SetTile(batch * p_.rows + rows.begin, cols.begin, std::min(p_.tile_rows, rows.end - rows.begin),
            std::min(p_.tile_cols, cols.end - cols.begin));
    Exec(p_.scalar);
    const bool chunked = p_.tile_cols < p_.cols;
    if (chunked && p_.row_reduce) {
      for (std::int64_t r = rows.begin; r < rows.end; ++r) {
        for (std::int64_t c = cols.begin; c < cols.end; c += p_.tile_cols) {
          SetTile(batch * p_.rows + r, c, 1, std::min(p_.tile_cols, cols.end - c));
          first_chunk_ = c == cols.begin;
          Exec(p_.column);
          Exec(p_.tile);
        }
        FinishRowSums();
        Exec(p_.row_end);
      }
      return;
    }
    const bool rows_first = chunked && !p_.col_reduce && p_.column.empty();
    if (rows_first) {
      for (std::int64_t r = rows.begin; r < rows.end; ++r)
        for (std::int64_t c = cols.begin; c < cols.end; c += p_.tile_cols) {
          SetTile(batch * p_.rows + r, c, 1, std::min(p_.tile_cols, cols.end - c));
          Exec(p_.tile);
        }
      return;
    }
    for (std::int64_t c = cols.begin; c < cols.end || c == cols.begin; c += p_.tile_cols) {
      const std::int64_t width = std::min(p_.tile_cols, cols.end - c);
      SetTile(batch * p_.rows + rows.begin, c, std::min(p_.tile_rows, rows.end - rows.begin), width);
      Exec(p_.column);
      if (p_.col_reduce) InitColumns();
      for (std::int64_t r = rows.begin; r < rows.end; r += p_.tile_rows) {
        SetTile(batch * p_.rows + r, c, std::min(p_.tile_rows, rows.end - r), width);
        Exec(p_.tile);
        Exec(p_.row_end);
      }
      if (p_.col_reduce && chunked) Exec(p_.col_end);
      if (p_.tile_cols >= cols.end - c) break;
    }
  }
  // Joins the column accumulators of another part of the same batch entry.
  void JoinColumns(const Runner& other) {
    for (const LoopInstr& i : p_.tile)
      if (i.kind == InstrKind::kReduceCol) Combine(i)(ptr_[i.dst], ptr_[i.dst], other.ptr_[i.dst], nullptr, p_.cols);
  }
  // The end of one batch entry whose columns are not chunked.
  void EndColumns(std::int64_t batch) {
    SetTile(batch * p_.rows, 0, std::min(p_.tile_rows, p_.rows), p_.cols);
    batch_ = batch;
    for (std::size_t i = 0; i < p_.regs.size(); ++i)
      if (p_.regs[i].output >= 0 && p_.regs[i].level == Level::kCol) SetOutput(i);
    Exec(p_.col_end);
  }

 private:
  LoopKernel Combine(const LoopInstr& i) const {
    return kernels_
        .combine[static_cast<int>(i.reduce)][static_cast<int>(p_.regs[static_cast<std::size_t>(i.dst)].type)];
  }

  void SetTile(std::int64_t row, std::int64_t col, std::int64_t rows, std::int64_t cols) {
    row_ = row, col_ = col;
    batch_ = row / std::max<std::int64_t>(p_.rows, 1);
    n_[static_cast<int>(Level::kScalar)] = 1;
    n_[static_cast<int>(Level::kCol)] = cols;
    n_[static_cast<int>(Level::kRow)] = rows;
    n_[static_cast<int>(Level::kFull)] = rows * cols;
    for (const std::int32_t i : p_.moving) {
      const LoopReg& reg = p_.regs[static_cast<std::size_t>(i)];
      if (reg.output >= 0) {
        SetOutput(static_cast<std::size_t>(i));
        continue;
      }
      const LoopOperand& o = p_.operands[static_cast<std::size_t>(reg.operand)];
      ptr_[i] = const_cast<std::byte*>(inputs_[o.input]) + OperandOffset(o, reg.level) * DTypeBytes(o.dtype);
    }
  }
  void SetOutput(std::size_t i) {
    const LoopReg& reg = p_.regs[i];
    const LoopOutput& o = p_.outputs[static_cast<std::size_t>(reg.output)];
    ptr_[i] = outputs_[reg.output] + OutputOffset(reg.level) * DTypeBytes(o.dtype);
  }
  std::int64_t OperandOffset(const LoopOperand& o, Level level) const {
    if (o.access.dense) return row_ * p_.cols + col_;
    const std::int64_t row =
        level == Level::kScalar || o.access.row_dims.empty() ? 0 : RowCursor(o.access, row_).offset();
    return row + (level == Level::kFull || level == Level::kCol ? col_ * o.access.col_stride : 0);
  }
  std::int64_t OutputOffset(Level level) const {
    switch (level) {
      case Level::kFull:
        return row_ * p_.cols + col_;
      case Level::kRow:
        return row_;
      case Level::kCol:
        return batch_ * p_.cols + col_;
      case Level::kScalar:
        return 0;
    }
    return 0;
  }

  void Exec(const std::vector<LoopInstr>& code) {
    for (const LoopInstr& i : code) {
      const std::int64_t n = n_[static_cast<int>(i.level)];
      switch (i.kind) {
        case InstrKind::kOp:
          i.op(ptr_[i.dst], ptr_[i.a], i.b >= 0 ? ptr_[i.b] : nullptr, i.c >= 0 ? ptr_[i.c] : nullptr, n);
          break;
        case InstrKind::kCast:
          i.cast(ptr_[i.dst], ptr_[i.a], n);
          break;
        case InstrKind::kClampCast:
          i.clamp(ptr_[i.dst], ptr_[i.a], n, i.low, i.high);
          break;
        case InstrKind::kConst:
          kernels_.splat[Wide(i.dst)](ptr_[i.dst], &i.bits, Capacity(i.level));
          break;
        case InstrKind::kSplat:
          kernels_.splat[Wide(i.dst)](ptr_[i.dst], ptr_[i.a], Capacity(i.level));
          break;
        case InstrKind::kLoad:
          Load(i);
          break;
        case InstrKind::kExpandRow:
          kernels_.expand_row[Wide(i.dst)](ptr_[i.dst], ptr_[i.a], rows(), cols());
          break;
        case InstrKind::kExpandCol:
          kernels_.expand_col[Wide(i.dst)](ptr_[i.dst], ptr_[i.a], rows(), cols());
          break;
        case InstrKind::kReduceRow:
          ReduceRow(i);
          break;
        case InstrKind::kReduceCol:
          ReduceCol(i);
          break;
        case InstrKind::kStore:
          Store(i, n);
          break;
      }
    }
  }
  std::int64_t rows() const { return n_[static_cast<int>(Level::kRow)]; }
  std::int64_t cols() const { return n_[static_cast<int>(Level::kCol)]; }
  int Wide(std::int32_t reg) const { return CTypeBytes(p_.regs[static_cast<std::size_t>(reg)].type) == 8 ? 1 : 0; }
  // Invariants are filled once, for the largest tile.
  std::int64_t Capacity(Level level) const {
    switch (level) {
      case Level::kScalar:
        return 1;
      case Level::kRow:
        return p_.tile_rows;
      case Level::kCol:
        return p_.tile_cols;
      case Level::kFull:
        return p_.tile_rows * p_.tile_cols;
    }
    return 1;
  }

  void Load(const LoopInstr& i) {
    const LoopOperand& o = p_.operands[static_cast<std::size_t>(i.index)];
    const std::int64_t size = DTypeBytes(o.dtype);
    const std::byte* base = inputs_[o.input];
    const CastKernel convert = kernels_.load[static_cast<int>(o.dtype)];
    auto* dst = static_cast<std::byte*>(ptr_[i.dst]);
    const std::int64_t wide = CTypeBytes(p_.regs[static_cast<std::size_t>(i.dst)].type);
    const auto line = [&](std::byte* to, const std::byte* from, std::int64_t n) {
      if (convert != nullptr)
        convert(to, from, n);
      else
        std::memcpy(to, from, static_cast<std::size_t>(n * size));
    };
    const std::int64_t r_count = i.level == Level::kFull || i.level == Level::kRow ? rows() : 1;
    const std::int64_t c_count = i.level == Level::kFull || i.level == Level::kCol ? cols() : 1;
    if (o.access.dense) return line(dst, base + (row_ * p_.cols + col_) * size, r_count * c_count);
    RowCursor cursor(o.access, i.level == Level::kScalar || i.level == Level::kCol ? 0 : row_);
    alignas(64) std::byte gathered[kGather * 8];
    if (c_count == 1) {  // one element a row
      const std::int64_t at = o.access.col_table.empty() ? (i.level == Level::kFull ? col_ * o.access.col_stride : 0)
                                                         : o.access.col_table[static_cast<std::size_t>(col_)];
      for (std::int64_t r = 0; r < r_count; r += kGather) {
        const std::int64_t n = std::min(kGather, r_count - r);
        for (std::int64_t k = 0; k < n; ++k, cursor.Next())
          std::memcpy(gathered + k * size, base + (cursor.offset() + at) * size, static_cast<std::size_t>(size));
        line(dst + r * wide, gathered, n);
      }
      return;
    }
    for (std::int64_t r = 0; r < r_count; ++r, cursor.Next()) {
      const std::byte* row = base + cursor.offset() * size;
      std::byte* to = dst + r * c_count * wide;
      if (o.access.col_table.empty() && o.access.col_stride == 1) {
        line(to, row + col_ * size, c_count);
        continue;
      }
      for (std::int64_t c = 0; c < c_count; c += kGather) {
        const std::int64_t n = std::min(kGather, c_count - c);
        for (std::int64_t k = 0; k < n; ++k) {
          const std::int64_t col = col_ + c + k;
          const std::int64_t at = o.access.col_table.empty() ? col * o.access.col_stride
                                                             : o.access.col_table[static_cast<std::size_t>(col)];
          std::memcpy(gathered + k * size, row + at * size, static_cast<std::size_t>(size));
        }
        line(to + c * wide, gathered, n);
      }
    }
  }

  void Store(const LoopInstr& i, std::int64_t n) {
    const LoopOutput& o = p_.outputs[static_cast<std::size_t>(i.index)];
    const std::int64_t size = DTypeBytes(o.dtype);
    std::byte* to = outputs_[i.index] + OutputOffset(i.level) * size;
    const CastKernel convert = kernels_.store[static_cast<int>(o.dtype)];
    if (convert != nullptr)
      convert(to, ptr_[i.a], n);
    else
      std::memcpy(to, ptr_[i.a], static_cast<std::size_t>(n * size));
  }

  void ReduceRow(const LoopInstr& i) {
    const CType type = p_.regs[static_cast<std::size_t>(i.dst)].type;
    const TileKernel reduce = kernels_.reduce_row[static_cast<int>(i.reduce)][static_cast<int>(type)];
    if (p_.tile_cols >= p_.cols) return reduce(ptr_[i.dst], ptr_[i.a], rows(), cols());
    // Chunked columns, one row at a time: f32 sums go on in double.
    std::uint64_t partial = 0;
    reduce(&partial, ptr_[i.a], 1, cols());
    if (type == CType::kF32 && i.reduce == ReduceOp::kSum) {
      float x = 0;
      std::memcpy(&x, &partial, sizeof x);
      double& sum = sums_[i.index];
      sum = first_chunk_ ? static_cast<double>(x) : sum + static_cast<double>(x);
      sum_regs_[i.index] = i.dst;
      sum_set_ |= 1U << i.index;
    } else if (first_chunk_) {
      std::memcpy(ptr_[i.dst], &partial, static_cast<std::size_t>(CTypeBytes(type)));
    } else {
      Combine(i)(ptr_[i.dst], ptr_[i.dst], &partial, nullptr, 1);
    }
  }
  void FinishRowSums() {
    for (int k = 0; k < kMaxLoopRowReduces; ++k)
      if ((sum_set_ >> k & 1U) != 0) *static_cast<float*>(ptr_[sum_regs_[k]]) = static_cast<float>(sums_[k]);
  }

  void InitColumns() {
    for (const LoopInstr& i : p_.tile) {
      if (i.kind != InstrKind::kReduceCol) continue;
      const CType type = p_.regs[static_cast<std::size_t>(i.dst)].type;
      kernels_.reduce_col[static_cast<int>(i.reduce)][static_cast<int>(type)](ptr_[i.dst], nullptr, 0, cols());
    }
  }
  void ReduceCol(const LoopInstr& i) {
    if (rows() == 1) return Combine(i)(ptr_[i.dst], ptr_[i.dst], ptr_[i.a], nullptr, cols());
    const CType type = p_.regs[static_cast<std::size_t>(i.dst)].type;
    kernels_.reduce_col[static_cast<int>(i.reduce)][static_cast<int>(type)](ptr_[i.b], ptr_[i.a], rows(), cols());
    Combine(i)(ptr_[i.dst], ptr_[i.dst], ptr_[i.b], nullptr, cols());
  }

  const LoopProgram& p_;
  const std::byte* const* inputs_;
  std::byte* const* outputs_;
  const LoopKernels& kernels_;
  void* ptr_[kMaxLoopRegs];
  std::int64_t n_[4] = {};
  std::int64_t row_ = 0, col_ = 0, batch_ = 0;
  bool first_chunk_ = true;
  double sums_[kMaxLoopRowReduces] = {};  // by LoopInstr::index
  std::int32_t sum_regs_[kMaxLoopRowReduces] = {};
  std::uint32_t sum_set_ = 0;
};

Range PartOf(std::int64_t total, std::int64_t unit, int part, int parts) {
  const std::int64_t units = (total + unit - 1) / unit;
  const std::int64_t begin = units * part / parts, end = units * (part + 1) / parts;
  return {begin * unit, std::min(total, end * unit)};
}

}  // namespace

void RunLoop(const LoopProgram& p, const std::byte* const* inputs, std::byte* const* outputs, std::byte* scratch,
             int threads) {
  if (p.batch * p.rows * p.cols == 0) return;  // reductions of nothing are no loops: every output is empty
  const Range all_rows{0, p.rows}, all_cols{0, p.cols};
  if (p.parts <= 1) {
    Runner runner(p, inputs, outputs, scratch);
    for (std::int64_t b = 0; b < p.batch; ++b) {
      runner.RunRange(b, all_rows, all_cols);
      if (p.col_reduce && p.tile_cols >= p.cols) runner.EndColumns(b);
    }
    return;
  }
  const bool own_file = threads > 1 || p.col_reduce;
  const auto file = [&](int part) { return scratch + (own_file ? p.file_bytes * part : 0); };
  for (std::int64_t b = 0; b < p.batch; ++b) {
    runtime::ForEachPart(threads, p.parts, [&](int part) {
      Runner runner(p, inputs, outputs, file(part));
      if (p.parts_are_rows)
        runner.RunRange(b, PartOf(p.rows, p.tile_rows, part, p.parts), all_cols);
      else
        runner.RunRange(b, all_rows, PartOf(p.cols, p.tile_cols, part, p.parts));
    });
    if (!p.col_reduce || !p.parts_are_rows) continue;
    Runner first(p, inputs, outputs, file(0));
    for (int part = 1; part < p.parts; ++part) first.JoinColumns(Runner(p, inputs, outputs, file(part)));
    first.EndColumns(b);
  }
}

}  // namespace tenon::cpu
