// Shared by the attention operators of ONNX and of com.microsoft. Heads stand as [B, heads, S, D].
#pragma once
#include "formats/onnx/node_context.h"

namespace tenon::onnx {

/// What qk_matmul_output_mode 0 to 3 means in the op attention.
inline constexpr std::string_view kAttentionScores[] = {"product", "capped", "masked", "weights"};

/// [B, S, heads * D] -> [B, heads, S, D]; a value of rank 4 is that already.
Result<Ex> SplitHeads(NodeContext& n, Value v, std::int64_t heads);
/// The reverse.
Ex JoinHeads(NodeContext& n, Ex v);
/// The first `part` features (0: all) of x turned pairwise: halves against each other, or neighbours when interleaved.
/// cosine and sine are [B or 1, 1, S, part / 2].
Result<Ex> Rotate(NodeContext& n, Ex x, Ex cosine, Ex sine, std::int64_t part, bool interleaved);

}  // namespace tenon::onnx
