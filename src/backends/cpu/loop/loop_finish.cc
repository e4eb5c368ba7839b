#include "backends/cpu/loop/loop_finish.h"

#include <algorithm>
#include <array>
#include <map>

namespace tenon::cpu {
namespace {

using Code = std::vector<LoopInstr>;

template <class F>
void ForEachRead(const LoopInstr& i, F f) {
  if (i.a >= 0) f(i.a);
  if (i.b >= 0 && i.kind != InstrKind::kReduceCol) f(i.b);
  if (i.c >= 0) f(i.c);
}
std::array<Code*, 5> Lists(LoopProgram& p) { return {&p.scalar, &p.column, &p.tile, &p.row_end, &p.col_end}; }

// a * b, used once, added to c: one instruction (rounded once where the processor has it).
void FuseMulAdd(LoopProgram& p) {
  const LoopKernels& k = GetLoopKernels();
  std::vector<int> reads(p.regs.size(), 0), writer(p.regs.size(), -1);
  for (Code* code : Lists(p))
    for (const LoopInstr& i : *code) ForEachRead(i, [&](std::int32_t r) { ++reads[static_cast<std::size_t>(r)]; });
  Code out;
  for (const LoopInstr& i : p.tile) {
    const auto type = static_cast<std::size_t>(i.dst >= 0 ? p.regs[static_cast<std::size_t>(i.dst)].type : CType::kI32);
    const LoopKernel fused = k.op[static_cast<int>(LoopOp::kMulAdd)][type];
    bool done = false;
    if (i.kind == InstrKind::kOp && fused != nullptr && i.op == k.op[static_cast<int>(LoopOp::kAdd)][type]) {
      for (const auto& [product, other] : {std::pair{i.a, i.b}, std::pair{i.b, i.a}}) {
        const int at = writer[static_cast<std::size_t>(product)];
        if (at < 0 || reads[static_cast<std::size_t>(product)] != 1 || product == other) continue;
        const LoopInstr& mul = out[static_cast<std::size_t>(at)];
        if (mul.kind != InstrKind::kOp || mul.op != k.op[static_cast<int>(LoopOp::kMul)][type] || mul.level != i.level)
          continue;
        LoopInstr f = i;
        f.op = fused, f.a = mul.a, f.b = mul.b, f.c = other;
        out[static_cast<std::size_t>(at)].kind = InstrKind::kStore;  // taken out below
        out[static_cast<std::size_t>(at)].index = -1;
        out.push_back(f);
        done = true;
        break;
      }
    }
    if (!done) out.push_back(i);
    if (i.dst >= 0) writer[static_cast<std::size_t>(i.dst)] = static_cast<int>(out.size() - 1);
  }
  std::erase_if(out, [](const LoopInstr& i) { return i.kind == InstrKind::kStore && i.index < 0; });
  p.tile = std::move(out);
}

// Values that nobody reads (the operands of what the peephole changed, accumulators stay).
void DropDead(LoopProgram& p) {
  for (bool changed = true; changed;) {
    changed = false;
    std::vector<int> reads(p.regs.size(), 0);
    for (Code* code : Lists(p))
      for (const LoopInstr& i : *code) ForEachRead(i, [&](std::int32_t r) { ++reads[static_cast<std::size_t>(r)]; });
    for (Code* code : Lists(p))
      changed = std::erase_if(*code,
                              [&](const LoopInstr& i) {
                                return i.kind != InstrKind::kStore && reads[static_cast<std::size_t>(i.dst)] == 0;
                              }) > 0 ||
                changed;
  }
}

bool IsDense(const LoopProgram& p, std::int32_t operand) {
  return operand >= 0 && p.operands[static_cast<std::size_t>(operand)].access.dense;
}

// Stores of the tile come after every read of memory that an output may lie over: last in the code, or by the
// instruction itself when nothing dense is read after it.
void PlaceStores(LoopProgram& p) {
  std::stable_partition(p.tile.begin(), p.tile.end(), [](const LoopInstr& i) { return i.kind != InstrKind::kStore; });
  int last_read = -1;
  for (std::size_t at = 0; at < p.tile.size(); ++at) {
    const LoopInstr& i = p.tile[at];
    bool reads_memory = i.kind == InstrKind::kLoad && IsDense(p, i.index);
    ForEachRead(i, [&](std::int32_t r) {
      reads_memory = reads_memory || IsDense(p, p.regs[static_cast<std::size_t>(r)].operand);
    });
    if (reads_memory) last_read = static_cast<int>(at);
  }
  Code out;
  for (const LoopInstr& i : p.tile) {
    if (i.kind == InstrKind::kStore &&
        GetLoopKernels().store[static_cast<int>(p.outputs[static_cast<std::size_t>(i.index)].dtype)] == nullptr) {
      LoopReg& reg = p.regs[static_cast<std::size_t>(i.a)];
      int made = -1;
      for (std::size_t at = 0; at < p.tile.size(); ++at)
        if (p.tile[at].dst == i.a) made = static_cast<int>(at);
      const LoopInstr* maker = made >= 0 ? &p.tile[static_cast<std::size_t>(made)] : nullptr;
      if (maker != nullptr && made >= last_read && reg.operand < 0 && reg.output < 0 && maker->level == i.level &&
          maker->kind != InstrKind::kReduceRow && maker->kind != InstrKind::kReduceCol) {
        reg.output = i.index;
        continue;
      }
    }
    out.push_back(i);
  }
  p.tile = std::move(out);
}

// An output may lie over an operand that is read at the same elements only: full values, and column values that are
// written when all rows have been read.
void FindOverlays(LoopProgram& p) {
  const auto in_col_end = [&](std::size_t output) {
    for (const LoopInstr& i : p.col_end)
      if (i.kind == InstrKind::kStore && i.index == static_cast<int>(output)) return true;
    return false;
  };
  for (std::size_t o = 0; o < p.operands.size(); ++o) {
    const LoopAccess& a = p.operands[o].access;
    const bool columns = !a.dense && a.row_dims.empty() && a.col_stride == 1 && a.col_table.empty() && p.batch == 1;
    if (!a.dense && !columns) continue;
    bool only = true;  // the same memory read in another way would see what has been written
    for (std::size_t k = 0; k < p.operands.size(); ++k)
      only = only && (k == o || p.operands[k].input != p.operands[o].input);
    for (std::size_t k = 0; only && k < p.outputs.size(); ++k) {
      if (dtype_bits(p.outputs[k].dtype) != dtype_bits(p.operands[o].dtype)) continue;
      if (a.dense ? p.outputs[k].level == Level::kFull : p.outputs[k].level == Level::kCol && in_col_end(k))
        p.overlay.emplace_back(p.operands[o].input, static_cast<int>(k));
    }
  }
}

std::int64_t Capacity(const LoopProgram& p, Level level) {
  switch (level) {
    case Level::kScalar:
      return 1;
    case Level::kRow:
      return p.tile_rows;
    case Level::kCol:
      return p.tile_cols;
    case Level::kFull:
      return p.tile_rows * p.tile_cols;
  }
  return 1;
}

// Registers that live only inside the tile's code share storage; all others have their own.
void AllocateRegisters(LoopProgram& p) {
  const std::size_t n = p.regs.size();
  std::vector<int> first(n, -1), last(n, -1);
  std::vector<bool> own(n, false), used(n, false);
  for (Code* code : Lists(p)) {
    for (std::size_t at = 0; at < code->size(); ++at) {
      const LoopInstr& i = (*code)[at];
      const auto touch = [&](std::int32_t r, bool accumulates) {
        const auto reg = static_cast<std::size_t>(r);
        used[reg] = true;
        if (code != &p.tile || accumulates) own[reg] = true;
        if (first[reg] < 0) first[reg] = static_cast<int>(at);
        last[reg] = static_cast<int>(at);
      };
      ForEachRead(i, [&](std::int32_t r) { touch(r, false); });
      const bool chunked_row = i.kind == InstrKind::kReduceRow && p.tile_cols < p.cols;
      if (i.dst >= 0) touch(i.dst, i.kind == InstrKind::kReduceCol || chunked_row);
      if (i.kind == InstrKind::kReduceCol) touch(i.b, true);
    }
  }
  std::int64_t bytes = 0;
  const auto take = [&](std::int64_t size) {
    const std::int64_t at = bytes;
    bytes += size;
    return at;
  };
  std::multimap<std::int64_t, std::int64_t> free;  // size -> offset
  std::vector<std::vector<std::size_t>> ends(p.tile.size() + 1);
  std::vector<std::int64_t> size(n, 0);
  for (std::size_t r = 0; r < n; ++r) {
    size[r] = (Capacity(p, p.regs[r].level) * CTypeBytes(p.regs[r].type) + 63) / 64 * 64;
    if (!used[r] || p.regs[r].operand >= 0 || p.regs[r].output >= 0) continue;
    if (own[r])
      p.regs[r].offset = take(size[r]);
    else
      ends[static_cast<std::size_t>(last[r])].push_back(r);
  }
  for (std::size_t at = 0; at < p.tile.size(); ++at) {
    // An instruction may write over an operand that ends with it, except where it reads tiles in another order.
    const LoopInstr& i = p.tile[at];
    const bool in_order = i.kind == InstrKind::kOp || i.kind == InstrKind::kCast || i.kind == InstrKind::kClampCast;
    const auto release = [&] {
      for (const std::size_t r : ends[at])
        if (first[r] < static_cast<int>(at)) free.emplace(size[r], p.regs[r].offset);
    };
    const bool same_size = [&] {
      bool same = true;
      ForEachRead(i, [&](std::int32_t r) {
        same = same && i.dst >= 0 &&
               CTypeBytes(p.regs[static_cast<std::size_t>(r)].type) ==
                   CTypeBytes(p.regs[static_cast<std::size_t>(i.dst)].type);
      });
      return same;
    }();
    if (in_order && same_size) release();
    if (i.dst >= 0) {
      const auto r = static_cast<std::size_t>(i.dst);
      if (!own[r] && p.regs[r].operand < 0 && p.regs[r].output < 0 && first[r] == static_cast<int>(at)) {
        const auto it = free.find(size[r]);
        if (it != free.end()) {
          p.regs[r].offset = it->second;
          free.erase(it);
        } else {
          p.regs[r].offset = take(size[r]);
        }
      }
    }
    if (!(in_order && same_size)) release();
  }
  p.file_bytes = std::max<std::int64_t>(bytes, 64);
}

void ChooseParts(LoopProgram& p, int operations) {
  const std::int64_t work = p.rows * p.cols * std::max(operations, 1);
  constexpr std::int64_t kPerPart = 200000;
  bool fixed = false;  // a column or scalar output that every part would write
  for (const Code* code : {&p.scalar, &p.column})
    for (const LoopInstr& i : *code) fixed = fixed || i.kind == InstrKind::kStore;
  const std::int64_t wanted = std::min<std::int64_t>(16, work / kPerPart);
  if (fixed || wanted <= 1) return;
  const std::int64_t row_units = (p.rows + p.tile_rows - 1) / p.tile_rows,
                     col_units = (p.cols + p.tile_cols - 1) / p.tile_cols;
  const bool chunked = p.tile_cols < p.cols;
  if (chunked && p.col_reduce)
    p.parts_are_rows = false;
  else if (chunked && p.row_reduce)
    p.parts_are_rows = true;
  else
    p.parts_are_rows = !chunked || row_units >= wanted;
  p.parts = static_cast<int>(std::clamp<std::int64_t>(p.parts_are_rows ? row_units : col_units, 1, wanted));
}

}  // namespace

void FinishLoop(LoopProgram& p, int operations) {
  FuseMulAdd(p);
  DropDead(p);
  PlaceStores(p);
  FindOverlays(p);
  AllocateRegisters(p);
  ChooseParts(p, operations);
  for (std::size_t r = 0; r < p.regs.size(); ++r)
    if (p.regs[r].operand >= 0 || p.regs[r].output >= 0) p.moving.push_back(static_cast<std::int32_t>(r));
}

}  // namespace tenon::cpu
