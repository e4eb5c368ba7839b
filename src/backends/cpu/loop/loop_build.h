// From the body of a fused node to a LoopProgram.
#pragma once
#include "backends/cpu/loop/loop_program.h"
#include "ir/graph.h"

namespace tenon::cpu {

/// How a fused body lies in its index space: dims [0, batch_rank) are the batch, [batch_rank, row_rank) the rows, the
/// rest the columns. row_rank -1: no reduction, the split is free.
struct LoopSpace {
  std::vector<std::int64_t> dims;
  int batch_rank = 0;
  int row_rank = -1;
};
/// `body`: static types; every node one that FindLoopOp knows. Each value is of the space's shape (full), or a row
/// value (the row dims, with or without trailing ones), or a column value (the column dims, with or without leading
/// ones), or one element; row and column values that are not inputs follow from reductions. kUnimplemented says why a
/// body cannot run.
Result<LoopProgram> BuildLoop(const ir::Graph& body, const LoopSpace& space);

}  // namespace tenon::cpu
