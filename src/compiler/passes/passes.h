// The passes of the compiler. All work on static graphs.
#pragma once
#include <functional>
#include <string_view>
#include <vector>

#include "ir/graph.h"

namespace tenon::compiler {

/// The rules of SimplifyRules, and common subexpressions, until nothing changes.
Status Simplify(ir::Graph& graph);
/// Nodes with the same op, inputs and attributes become one. Gives how many went away.
int MergeCommon(ir::Graph& graph);

/// Composites that `keep` does not claim are replaced by their lowering, again and again until none is left.
using KeepFn = std::function<bool(const ir::Graph& graph, const ir::Node& node)>;
Status LowerComposites(ir::Graph& graph, const KeepFn& keep);

/// Contractions to gemm, with scales, transposes, biases, activations and updates of variables taken in.
Status FormGemms(ir::Graph& graph);

/// Convolutions and pools over channels-first data turn to channels-last, when there are at least two (one alone is
/// better served by the library's own reordering), with the transposes moved out of the way.
Status MoveChannelsLast(ir::Graph& graph);
/// f16 and bf16 nodes of these ops are computed in f32.
Status WidenHalf(ir::Graph& graph, const std::function<bool(std::string_view op)>& chosen);

/// Biases, scales and activations into the convolutions before them.
Status FuseConvs(ir::Graph& graph);

/// What the fusion may do with a node.
enum class FusionKind : std::uint8_t {
  kNone,
  kElementwise,  // one output; inputs broadcast to it
  kBroadcast,    // broadcast_to
  kReshape,      // only where a row value gains or loses its trailing ones
  kReduce,       // one input; attributes axes and keep_dims
};
struct FusionOptions {
  std::function<FusionKind(const ir::Graph& graph, const ir::Node& node)> kind;
  std::int64_t max_row = 32768;  // columns of a row whose reduction is used for each element
  int max_nodes = 96;            // of one body
};
/// Groups of elementwise nodes and reductions become fused_loop nodes.
Status FuseLoops(ir::Graph& graph, const FusionOptions& options);

}  // namespace tenon::compiler
