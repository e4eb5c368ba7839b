// Whether a set of nodes can run as one loop, and how its values lie in the loop's space.
#pragma once
#include <optional>
#include <set>

#include "compiler/passes/passes.h"

namespace tenon::compiler {

struct FusionSpace {
  std::vector<std::int64_t> dims;
  int batch_rank = 0;
  int row_rank = -1;
};

/// `nodes`: of `graph`, in topological order. The space when they form one legal loop body: one index space, reductions
/// over its last dims (rows) or over dims before them (columns), values of the space, of its rows or of its columns,
/// and nothing full that follows from a reduction over rows.
std::optional<FusionSpace> AnalyseFusion(const ir::Graph& graph, const std::set<std::int32_t>& nodes,
                                         const FusionOptions& options);

}  // namespace tenon::compiler
