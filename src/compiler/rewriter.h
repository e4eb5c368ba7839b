// Rewriter: rules applied to a graph until none fits. A rule looks at one node and what stands before it, appends new
// nodes and says which value each of them stands for; the rewriter does the replacing and carries the records over.
#pragma once
#include <functional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ir/builder.h"
#include "ir/graph.h"

namespace tenon::compiler {

/// The values that stand for the outputs of the node (same types). Empty: the rule does not apply.
using Patch = std::vector<ir::Value>;

/// What a rule sees.
class RuleContext {
 public:
  explicit RuleContext(ir::Graph* graph);
  ir::Builder b;  // appends
  const ir::Graph& graph() const { return *graph_; }
  const ir::Node& node(ir::Value v) const { return graph_->node(v); }
  const ir::Node& node(std::int32_t id) const { return graph_->node(id); }
  const ir::Type& type(ir::Value v) const { return graph_->type(v); }
  std::vector<std::int64_t> dims(ir::Value v) const { return type(v).shape().values(); }
  std::int64_t elements(ir::Value v) const { return type(v).shape().size().value(); }
  bool Is(ir::Value v, std::string_view op) const;
  /// How many inputs and graph outputs name this value.
  int uses(ir::Value v) const { return uses_[static_cast<std::size_t>(v.node)][static_cast<std::size_t>(v.index)]; }
  /// The literal of a constant node, or null.
  const Literal* ConstantOf(ir::Value v) const;
  /// Every element of the constant is that number.
  bool IsAll(ir::Value v, double number) const;

 private:
  friend class Rewriter;
  ir::Graph* graph_;
  std::vector<std::vector<int>> uses_;
};

/// Rules see static graphs only: every type has known dims.
struct Rule {
  std::string_view name;
  Result<Patch> (*apply)(RuleContext& ctx, std::int32_t node);
};
using RuleFn = std::function<Result<Patch>(RuleContext&, std::int32_t)>;

/// Applies `rules` to every node, in order, until nothing changes (or 20 sweeps); then drops what no output needs.
/// Gives the number of patches applied.
Result<int> Rewrite(ir::Graph& graph, std::span<const Rule> rules);
Result<int> Rewrite(ir::Graph& graph, const RuleFn& rule);

}  // namespace tenon::compiler
