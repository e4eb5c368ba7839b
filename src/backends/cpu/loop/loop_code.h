// The code of a loop in the making: registers, and the instructions in the part of the program where they run.
#pragma once
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "backends/cpu/loop/loop_access.h"
#include "backends/cpu/loop/loop_ops.h"
#include "backends/cpu/loop/loop_program.h"
#include "ir/graph.h"

namespace tenon::cpu {

/// kUnimplemented: what the loop does not do.
Status NoLoop(std::string message);

/// A value of the body in the making.
struct LoopVal {
  bool external = false;  // an input of the body: loaded where it is used, as its user sees it
  std::optional<double> constant;
  std::int32_t reg = -1;
  Level level = Level::kScalar;
  Frame frame = Frame::kRight;
  bool after_row = false, after_col = false;  // follows from a reduction
};

/// Both references must outlive it; the sizes and the tile of `program` are set before the first instruction.
class LoopCode {
 public:
  LoopCode(const ir::Graph& body, const LoopSpace& space, LoopProgram& program)
      : body_(body), space_(space), p_(program) {}

  std::int32_t NewReg(CType type, Level level);
  /// A row does not fit into one tile.
  bool chunked() const { return p_.tile_cols < p_.cols; }
  /// Adds `i` where code runs whose operands have the properties of `v`, at its level.
  void Emit(const LoopVal& v, LoopInstr i);
  Result<LoopVal> Constant(double value, DType dtype);
  /// An input of the body with the access that its user's dims give; loaded once for each access.
  Result<LoopVal> Load(ir::Value v, const std::vector<std::int64_t>& user, Frame frame);
  /// The same value at a higher level.
  Result<LoopVal> Raise(LoopVal v, Level level);
  LoopVal Binary(const LoopVal& like, LoopOp op, const LoopVal& a, const LoopVal& b);
  /// In place: the register then holds what storing as `dtype` and loading would give.
  void Wrap(LoopVal& v, DType dtype);
  void CastTo(LoopVal& v, CType type, CastKernel kernel);

 private:
  std::vector<LoopInstr>& CodeFor(const LoopVal& v);

  const ir::Graph& body_;
  const LoopSpace& space_;
  LoopProgram& p_;
  std::vector<std::pair<LoopOperand, LoopVal>> loaded_;
  std::unordered_map<std::int64_t, LoopVal> raised_;
};

}  // namespace tenon::cpu
