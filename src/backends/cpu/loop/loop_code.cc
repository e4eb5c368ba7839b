#include "backends/cpu/loop/loop_code.h"

#include <cstring>

#include "ir/numeric.h"

namespace tenon::cpu {
namespace {

bool Same(const LoopAccess& a, const LoopAccess& b) {
  return a.dense == b.dense && a.row_dims == b.row_dims && a.row_strides == b.row_strides &&
         a.col_stride == b.col_stride && a.col_table == b.col_table;
}

}  // namespace

Status NoLoop(std::string message) { return Status(Code::kUnimplemented, "loop: " + std::move(message)); }

std::int32_t LoopCode::NewReg(CType type, Level level) {
  p_.regs.push_back({.type = type, .level = level});
  return static_cast<std::int32_t>(p_.regs.size() - 1);
}

std::vector<LoopInstr>& LoopCode::CodeFor(const LoopVal& v) {
  if (v.after_col) return p_.col_end;
  if (v.after_row) return chunked() ? p_.row_end : p_.tile;
  if (v.level == Level::kScalar) return p_.scalar;
  if (v.level == Level::kCol) return p_.column;
  return p_.tile;
}

void LoopCode::Emit(const LoopVal& v, LoopInstr i) {
  i.level = v.level;
  CodeFor(v).push_back(i);
}

Result<LoopVal> LoopCode::Constant(double value, DType dtype) {
  CType type = CType::kF32;
  CTypeOf(dtype, &type);
  LoopVal v;
  v.constant = value;
  v.reg = NewReg(type, Level::kScalar);
  LoopInstr i{.kind = InstrKind::kConst, .dst = v.reg};
  const Literal as_held = ir::ScalarLiteral(value, dtype == DType::kBool ? DType::kI32
                                                   : type == CType::kF32 ? DType::kF32
                                                   : type == CType::kF64 ? DType::kF64
                                                   : type == CType::kI32 ? DType::kI32
                                                   : type == CType::kI64 ? DType::kI64
                                                                         : DType::kU64);
  std::memcpy(&i.bits, as_held.raw().data(), as_held.nbytes());
  Emit(v, i);
  return v;
}

Result<LoopVal> LoopCode::Load(ir::Value v, const std::vector<std::int64_t>& user, Frame frame) {
  LoopVal out;
  LoopOperand operand;
  for (std::size_t i = 0; i < body_.inputs().size(); ++i)
    if (body_.inputs()[i] == v) operand.input = static_cast<std::int32_t>(i);
  operand.dtype = body_.type(v).dtype();
  operand.access = MakeAccess(space_, user, frame, body_.type(v).shape().values(), &out.level);
  if (operand.access.row_dims.size() > static_cast<std::size_t>(kMaxLoopRowDims))
    return NoLoop("an operand with too many dims");
  for (const auto& [key, val] : loaded_)
    if (key.input == operand.input && Same(key.access, operand.access)) return val;
  CType type = CType::kF32;
  CTypeOf(operand.dtype, &type);
  out.reg = NewReg(type, out.level);
  const LoopAccess& a = operand.access;
  const bool same_bits = GetLoopKernels().load[static_cast<int>(operand.dtype)] == nullptr;
  const bool row_line = a.row_dims.empty() || (a.row_dims.size() == 1 && a.row_strides[0] == 1);
  bool direct = same_bits && a.col_table.empty();
  switch (out.level) {
    case Level::kScalar:
      break;
    case Level::kRow:
      direct = direct && row_line;
      break;
    case Level::kCol:
      direct = direct && (a.col_stride == 1);
      break;
    case Level::kFull:
      direct = direct && (a.dense || (p_.tile_rows == 1 && a.col_stride == 1));
      break;
  }
  p_.operands.push_back(operand);
  const auto index = static_cast<std::int32_t>(p_.operands.size() - 1);
  if (direct)
    p_.regs[static_cast<std::size_t>(out.reg)].operand = index;
  else
    Emit(out, {.kind = InstrKind::kLoad, .dst = out.reg, .index = index});
  loaded_.push_back({std::move(operand), out});
  return out;
}

Result<LoopVal> LoopCode::Raise(LoopVal v, Level level) {
  if (v.level == level) return v;
  if (level == Level::kFull && v.level == Level::kCol && p_.tile_rows == 1 && !v.after_col) {
    v.level = level;  // one row: the same elements
    return v;
  }
  const auto key = static_cast<std::int64_t>(v.reg) * 4 + static_cast<int>(level);
  if (const auto it = raised_.find(key); it != raised_.end()) return it->second;
  if (v.after_col && level != Level::kCol) return NoLoop("a reduction over rows is used for each element");
  LoopVal out = v;
  out.constant.reset();
  out.reg = NewReg(p_.regs[static_cast<std::size_t>(v.reg)].type, level);
  out.level = level;
  if (v.level == Level::kScalar) {
    p_.scalar.push_back({.kind = InstrKind::kSplat, .level = level, .dst = out.reg, .a = v.reg});
  } else if (v.level == Level::kRow && level == Level::kFull) {
    if (v.after_row && chunked()) return NoLoop("a reduction over chunked columns is used for each element");
    p_.tile.push_back({.kind = InstrKind::kExpandRow, .level = level, .dst = out.reg, .a = v.reg});
  } else if (v.level == Level::kCol && level == Level::kFull) {
    p_.column.push_back({.kind = InstrKind::kExpandCol, .level = level, .dst = out.reg, .a = v.reg});
  } else {
    return NoLoop("a column value is used as a row value");
  }
  raised_[key] = out;
  return out;
}

LoopVal LoopCode::Binary(const LoopVal& like, LoopOp op, const LoopVal& a, const LoopVal& b) {
  LoopVal out = like;
  const CType type = p_.regs[static_cast<std::size_t>(a.reg)].type;
  out.reg = NewReg(type, like.level);
  Emit(out, {.kind = InstrKind::kOp,
             .dst = out.reg,
             .a = a.reg,
             .b = b.reg,
             .op = GetLoopKernels().op[static_cast<int>(op)][static_cast<int>(type)]});
  return out;
}

void LoopCode::Wrap(LoopVal& v, DType dtype) {
  const CastKernel wrap = GetLoopKernels().wrap[static_cast<int>(dtype)];
  if (wrap != nullptr) CastTo(v, p_.regs[static_cast<std::size_t>(v.reg)].type, wrap);
}

void LoopCode::CastTo(LoopVal& v, CType type, CastKernel kernel) {
  const std::int32_t from = v.reg;
  v.reg = NewReg(type, v.level);
  v.constant.reset();
  Emit(v, {.kind = InstrKind::kCast, .dst = v.reg, .a = from, .cast = kernel});
}

}  // namespace tenon::cpu
