#include "backends/cpu/loop/loop_build.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <unordered_map>

#include "backends/cpu/loop/loop_code.h"
#include "backends/cpu/loop/loop_finish.h"
#include "backends/cpu/loop/loop_ops.h"
#include "base/status_macros.h"
#include "ir/numeric.h"
#include "ir/op_def.h"

namespace tenon::cpu {
namespace {

using ir::Value;
using Dims = std::vector<std::int64_t>;

constexpr std::int64_t kTile = 1024;

std::int64_t Product(std::span<const std::int64_t> dims) {
  std::int64_t n = 1;
  for (const std::int64_t d : dims) n *= d;
  return n;
}

class LoopBuilder {
 public:
  LoopBuilder(const ir::Graph& body, const LoopSpace& space) : body_(body), space_(space), code_(body_, space_, p_) {}

  Result<LoopProgram> Build() {
    TENON_RETURN_IF_ERROR(Prepare());
    for (std::int32_t id = 0; id < body_.size(); ++id) TENON_RETURN_IF_ERROR(Node(id));
    for (std::size_t i = 0; i < body_.outputs().size(); ++i) TENON_RETURN_IF_ERROR(Output(i));
    if (p_.regs.size() > static_cast<std::size_t>(kMaxLoopRegs))
      return NoLoop("more than " + std::to_string(kMaxLoopRegs) + " registers");
    FinishLoop(p_, static_cast<int>(body_.size()));
    p_.text = Text();
    return std::move(p_);
  }

 private:
  Dims DimsOf(Value v) const { return body_.type(v).shape().values(); }
  LoopVal& At(Value v) { return vals_[v]; }

  Status Prepare() {
    std::vector<Dims> operands;
    for (const Value v : body_.inputs()) operands.push_back(DimsOf(v));
    if (space_.row_rank < 0) space_.row_rank = ChooseSplit(space_, operands);
    const std::span<const std::int64_t> d(space_.dims);
    p_.batch = Product(d.first(static_cast<std::size_t>(space_.batch_rank)));
    p_.rows = Product(d.subspan(static_cast<std::size_t>(space_.batch_rank),
                                static_cast<std::size_t>(space_.row_rank - space_.batch_rank)));
    p_.cols = Product(d.subspan(static_cast<std::size_t>(space_.row_rank)));
    bool whole_rows = false;
    std::vector<bool> after_row(static_cast<std::size_t>(body_.size()), false);
    for (std::int32_t id = 0; id < body_.size(); ++id) {
      const ir::Node& n = body_.node(id);
      if (n.op->name == "input" || n.op->name == "constant") continue;
      const std::optional<LoopOpInfo> info = FindLoopOp(body_, n);
      if (!info) return NoLoop("no operation for " + std::string(n.op->name));
      bool follows = false;
      for (const Value v : n.inputs) follows = follows || (v.valid() && after_row[static_cast<std::size_t>(v.node)]);
      if (info->kind == LoopClass::kReduce) {
        const bool by_row = RowReduction(n);
        (by_row ? p_.row_reduce : p_.col_reduce) = true;
        whole_rows = whole_rows || (by_row && follows);
        follows = follows || by_row;
      } else if (follows && DimsOf({id, 0}) == space_.dims && p_.cols > 1) {
        whole_rows = true;
      }
      after_row[static_cast<std::size_t>(id)] = follows;
    }
    const std::int64_t limit = body_.size() > 24 ? kTile / 2 : kTile;
    if (p_.cols <= limit || whole_rows || (p_.row_reduce && p_.col_reduce)) {
      p_.tile_cols = std::max<std::int64_t>(p_.cols, 1);
      p_.tile_rows = std::clamp<std::int64_t>(limit / p_.tile_cols, 1, std::max<std::int64_t>(p_.rows, 1));
    } else {
      const std::int64_t chunks = (p_.cols + limit - 1) / limit;
      p_.tile_cols = ((p_.cols + chunks - 1) / chunks + 63) / 64 * 64;
      p_.tile_rows = 1;
    }
    return {};
  }

  // The reduced axes are those of the columns; otherwise they must be those of the rows.
  bool RowReduction(const ir::Node& n) const {
    const int rank = static_cast<int>(space_.dims.size());
    const std::vector<std::int64_t>& axes = n.attrs.Ints("axes");
    if (axes.empty()) return true;
    for (std::int64_t a : axes) {
      a = a < 0 ? a + rank : a;
      if (space_.dims[static_cast<std::size_t>(a)] != 1) return a >= space_.row_rank;
    }
    return true;
  }

  // A value as its user sees it: an input is loaded with the access that the user's shape gives.
  Result<LoopVal> Use(Value v, const Dims& user, Frame frame) {
    const LoopVal& found = At(v);
    return found.external ? code_.Load(v, user, frame) : found;
  }
  static Level Join(Level a, Level b) {
    if (a == b || b == Level::kScalar) return a;
    if (a == Level::kScalar) return b;
    return Level::kFull;
  }

  // ---- nodes ----
  Status Node(std::int32_t id) {
    const ir::Node& n = body_.node(id);
    const Value self{id, 0};
    if (n.op->name == "input") {
      At(self).external = true;
      return {};
    }
    if (n.op->name == "constant") {
      const Literal& l = n.attrs.Lit("value");
      if (l.size() != 1) return NoLoop("a constant of more than one element inside");
      if (is_integer(l.dtype()) && dtype_bits(l.dtype()) == 64) {  // exact
        TENON_ASSIGN_OR_RETURN(LoopVal v, code_.Constant(0, l.dtype()));
        std::memcpy(&p_.scalar.back().bits, l.raw().data(), 8);
        At(self) = v;
        return {};
      }
      TENON_ASSIGN_OR_RETURN(At(self), code_.Constant(l.at(0), l.dtype()));
      return {};
    }
    const LoopOpInfo info = *FindLoopOp(body_, n);
    const Dims dims = DimsOf(self);
    if (info.kind == LoopClass::kConstant) {
      TENON_ASSIGN_OR_RETURN(At(self), code_.Constant(info.value, body_.type(self).dtype()));
      return {};
    }
    if (info.kind == LoopClass::kReduce) return Reduce(self, n, info);
    // Where this node's dims stand: as those of an operand that is a row value without ones, else at the end.
    Frame frame = Frame::kRight;
    if (dims != space_.dims)
      for (const Value v : n.inputs)
        if (v.valid() && !At(v).external && At(v).frame == Frame::kLeft && At(v).level == Level::kRow)
          frame = Frame::kLeft;
    if (info.kind == LoopClass::kAlias) {
      const bool shape_only = n.op->name != "identity" && n.op->name != "stop_gradient";
      const bool external = At(n.inputs[0]).external;
      const bool broadcast = n.op->name == "broadcast_to" || n.op->name == "broadcast_like";
      TENON_ASSIGN_OR_RETURN(LoopVal v, Use(n.inputs[0], external && !broadcast ? DimsOf(n.inputs[0]) : dims, frame));
      if (shape_only && !broadcast && v.level == Level::kRow)
        v.frame = dims.size() == space_.dims.size() ? Frame::kRight : Frame::kLeft;
      if (broadcast && Misaligned(n.inputs[0], frame)) return NoLoop("a row value without its ones is broadcast");
      At(self) = v;
      return {};
    }
    std::vector<LoopVal> args;
    Level level = Level::kScalar;
    for (const Value v : n.inputs) {
      if (!v.valid()) {
        args.emplace_back();
        continue;
      }
      if (Misaligned(v, frame)) return NoLoop("a row value without its ones is broadcast");
      TENON_ASSIGN_OR_RETURN(LoopVal arg, Use(v, dims, frame));
      level = Join(level, arg.level);
      args.push_back(arg);
    }
    LoopVal out;
    out.level = level;
    out.frame = frame;
    for (std::size_t i = 0; i < args.size(); ++i) {
      if (!n.inputs[i].valid()) continue;
      TENON_ASSIGN_OR_RETURN(args[i], code_.Raise(args[i], level));
      out.after_row = out.after_row || args[i].after_row;
      out.after_col = out.after_col || args[i].after_col;
    }
    if (out.after_col && level != Level::kCol) return NoLoop("a reduction over rows is used for each element");
    if (out.after_row && level == Level::kFull && code_.chunked())
      return NoLoop("a reduction over chunked columns is used for each element");
    if (info.kind == LoopClass::kCast) return Cast(self, n, out, args[0]);
    if (info.kind == LoopClass::kClip) {
      LoopVal v = args[0];
      if (n.inputs.size() > 1 && n.inputs[1].valid()) v = code_.Binary(out, LoopOp::kMax, v, args[1]);
      if (n.inputs.size() > 2 && n.inputs[2].valid()) v = code_.Binary(out, LoopOp::kMin, v, args[2]);
      v.frame = frame;
      At(self) = v;
      return {};
    }
    const bool select = info.op == LoopOp::kSelect;
    const CType type = p_.regs[static_cast<std::size_t>(args[select ? 1 : 0].reg)].type;
    CType held = CType::kF32;
    CTypeOf(body_.type(self).dtype(), &held);
    out.reg = code_.NewReg(held, level);
    LoopInstr i{.kind = InstrKind::kOp, .dst = out.reg, .a = args[0].reg};
    i.b = args.size() > 1 ? args[1].reg : -1;
    i.c = args.size() > 2 ? args[2].reg : -1;
    i.op = GetLoopKernels().op[static_cast<int>(info.op)][static_cast<int>(type)];
    code_.Emit(out, i);
    if (info.wraps) code_.Wrap(out, body_.type(self).dtype());
    At(self) = out;
    return {};
  }

  bool Misaligned(Value v, Frame frame) {
    const LoopVal& x = At(v);
    return !x.external && x.level == Level::kRow && x.frame == Frame::kLeft && frame != Frame::kLeft &&
           p_.rows * p_.batch != 1;
  }
  Status Cast(Value self, const ir::Node& n, const LoopVal& like, const LoopVal& arg) {
    const DType from = body_.type(n.inputs[0]).dtype(), to = body_.type(self).dtype();
    LoopVal v = like;
    v.reg = arg.reg;
    CType source = CType::kF32, target = CType::kF32;
    CTypeOf(from, &source), CTypeOf(to, &target);
    const LoopKernels& k = GetLoopKernels();
    if (to == DType::kBool) {
      if (from != DType::kBool) {
        TENON_ASSIGN_OR_RETURN(LoopVal zero, code_.Constant(0, from));
        TENON_ASSIGN_OR_RETURN(zero, code_.Raise(zero, v.level));
        const std::int32_t reg = code_.NewReg(CType::kI32, v.level);
        code_.Emit(v, {.kind = InstrKind::kOp,
                       .dst = reg,
                       .a = v.reg,
                       .b = zero.reg,
                       .op = k.op[static_cast<int>(LoopOp::kNotEqual)][static_cast<int>(source)]});
        v.reg = reg;
      }
    } else if (is_float(from) && !is_float(to)) {
      const std::int32_t reg = code_.NewReg(target, v.level);
      LoopInstr i{.kind = InstrKind::kClampCast, .dst = reg, .a = v.reg};
      i.clamp = k.clamp_cast[static_cast<int>(source)][static_cast<int>(target)];
      const int bits = dtype_bits(to);
      i.low = is_signed_integer(to) ? -std::ldexp(1.0, bits - 1) : 0;
      i.high = std::ldexp(1.0, is_signed_integer(to) ? bits - 1 : bits) - (bits < 64 ? 1 : 0);
      code_.Emit(v, i);
      v.reg = reg;
    } else {
      if (source != target) code_.CastTo(v, target, k.cast[static_cast<int>(source)][static_cast<int>(target)]);
      if (from != to && from != DType::kBool) code_.Wrap(v, to);
    }
    v.constant.reset();
    At(self) = v;
    return {};
  }

  Status Reduce(Value self, const ir::Node& n, const LoopOpInfo& info) {
    const Dims in_dims = DimsOf(n.inputs[0]);
    if (in_dims != space_.dims) return NoLoop("a reduction of a part of the space");
    const bool by_row = RowReduction(n);
    TENON_ASSIGN_OR_RETURN(LoopVal arg, Use(n.inputs[0], in_dims, Frame::kRight));
    TENON_ASSIGN_OR_RETURN(arg, code_.Raise(arg, Level::kFull));
    LoopVal out;
    out.level = by_row ? Level::kRow : Level::kCol;
    out.after_row = by_row || arg.after_row;
    out.after_col = !by_row;
    out.frame = by_row && DimsOf(self).size() < space_.dims.size() ? Frame::kLeft : Frame::kRight;
    const CType type = p_.regs[static_cast<std::size_t>(arg.reg)].type;
    out.reg = code_.NewReg(type, out.level);
    LoopInstr i{.kind = by_row ? InstrKind::kReduceRow : InstrKind::kReduceCol,
                .level = Level::kFull,
                .reduce = info.reduce,
                .dst = out.reg,
                .a = arg.reg};
    if (by_row) {
      i.index = row_reduces_++;
      if (row_reduces_ > kMaxLoopRowReduces) return NoLoop("too many reductions over columns");
    } else {
      i.b = code_.NewReg(type, Level::kCol);
    }
    p_.tile.push_back(i);
    if (info.wraps) code_.Wrap(out, body_.type(self).dtype());
    At(self) = out;
    return {};
  }

  Status Output(std::size_t index) {
    const Value value = body_.outputs()[index];
    const Dims dims = DimsOf(value);
    TENON_ASSIGN_OR_RETURN(LoopVal v, Use(value, dims, Frame::kRight));
    const std::int64_t n = Product(dims);
    const auto count = [&](Level level) {
      switch (level) {
        case Level::kScalar:
          return std::int64_t{1};
        case Level::kRow:
          return p_.batch * p_.rows;
        case Level::kCol:
          return p_.batch * p_.cols;
        case Level::kFull:
          return p_.batch * p_.rows * p_.cols;
      }
      return std::int64_t{0};
    };
    Level level = v.level;
    if (count(level) != n)
      for (const Level l : {Level::kRow, Level::kCol, Level::kFull})
        if (count(l) == n && Join(v.level, l) == l && level == v.level) level = l;
    if (count(level) != n) return NoLoop("an output that is neither full, row, column nor scalar");
    TENON_ASSIGN_OR_RETURN(v, code_.Raise(v, level));
    const auto out = static_cast<std::int32_t>(index);
    p_.outputs.push_back({.reg = v.reg, .dtype = body_.type(value).dtype(), .level = level});
    code_.Emit(v, {.kind = InstrKind::kStore, .a = v.reg, .index = out});
    return {};
  }

  std::string Text() const {
    std::string out = std::to_string(p_.batch * p_.rows) + "x" + std::to_string(p_.cols) + ":";
    for (const ir::Node& n : body_.nodes())
      if (n.op->name != "input" && n.op->name != "constant") out += " " + std::string(n.op->name);
    return out;
  }

  const ir::Graph& body_;
  LoopSpace space_;
  LoopProgram p_;
  LoopCode code_;
  std::unordered_map<Value, LoopVal, ir::ValueHash> vals_;
  int row_reduces_ = 0;
};

}  // namespace

Result<LoopProgram> BuildLoop(const ir::Graph& body, const LoopSpace& space) {
  if (space.dims.size() > static_cast<std::size_t>(kMaxLoopRowDims)) return NoLoop("more than 16 dims");
  return LoopBuilder(body, space).Build();
}

}  // namespace tenon::cpu
