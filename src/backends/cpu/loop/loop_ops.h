// Which ops the loop IR can run, and how.
#pragma once
#include <optional>
#include <string_view>
#include <vector>

#include "backends/cpu/kernels/loop_kernels.h"
#include "ir/graph.h"

namespace tenon::cpu {

enum class LoopClass : std::uint8_t {
  kOp,    // one LoopOp on the dtype of its inputs
  kClip,  // min and max
  kCast,
  kAlias,     // the same elements, perhaps broadcast: identity, broadcast_to, expand_dims …
  kReduce,    // a reduction over axes
  kConstant,  // every element has one known value: zeros_like, ones_like
};
struct LoopOpInfo {
  LoopClass kind = LoopClass::kOp;
  LoopOp op = LoopOp::kCopy;
  ReduceOp reduce = ReduceOp::kSum;
  double value = 0;    // kConstant
  bool wraps = false;  // narrow dtypes need wrapping after it
};
/// Null when the loop IR has nothing for this node (dtypes considered; types must be static).
std::optional<LoopOpInfo> FindLoopOp(const ir::Graph& graph, const ir::Node& node);
/// The ops that FindLoopOp may know.
std::vector<std::string_view> LoopOpNames();

}  // namespace tenon::cpu
