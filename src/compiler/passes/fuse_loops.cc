// Fusion.
//   before: a = x + b   r = relu(a)   s = reduce_sum(r; last axis)
//   after:  r, s = fused_loop(x, b; body = {…})
// Nodes are visited in order; each joins the groups of its producers as long as the union is a legal loop and the
// graph of groups stays free of cycles.
#include <algorithm>
#include <map>

#include "base/status_macros.h"
#include "compiler/internal_ops.h"
#include "compiler/passes/fusion_levels.h"
#include "ir/builder.h"
#include "ir/op_def.h"

namespace tenon::compiler {

using namespace ir;

namespace {

class Fuser {
 public:
  Fuser(Graph& graph, const FusionOptions& options)
      : graph_(graph), options_(options), group_of_(static_cast<std::size_t>(graph.size()), -1) {}

  Status Run() {
    const std::int32_t count = graph_.size();
    for (std::int32_t id = 0; id < count; ++id) Visit(id);
    const std::vector<std::vector<int>> uses = graph_.UseCounts();
    std::unordered_map<Value, Value, ValueHash> replaced;
    for (const auto& [number, nodes] : groups_) TENON_RETURN_IF_ERROR(Emit(nodes, uses, replaced));
    graph_.Replace(replaced);
    graph_.Compact();
    return {};
  }

 private:
  int Group(std::int32_t id) const { return group_of_[static_cast<std::size_t>(id)]; }

  void Visit(std::int32_t id) {
    const Node& n = graph_.node(id);
    const FusionKind kind = options_.kind(graph_, n);
    if (kind == FusionKind::kNone) return;
    const int mine = next_group_++;
    groups_[mine] = {id};
    group_of_[static_cast<std::size_t>(id)] = mine;
    if (kind != FusionKind::kReshape && !AnalyseFusion(graph_, groups_[mine], options_)) return Drop(id, mine);
    for (const Value v : n.inputs)
      if (v.valid() && Group(v.node) >= 0 && Group(v.node) != mine) TryMerge(Group(v.node), mine);
    if (kind == FusionKind::kReshape && groups_[mine].size() == 1) Drop(id, mine);
  }
  void Drop(std::int32_t id, int mine) {
    groups_.erase(mine);
    group_of_[static_cast<std::size_t>(id)] = -1;
  }

  // The producer's group joins that of the node being visited.
  void TryMerge(int producer, int mine) {
    std::set<std::int32_t> both = groups_[producer];
    both.insert(groups_[mine].begin(), groups_[mine].end());
    if (!AnalyseFusion(graph_, both, options_) || MakesCycle(both, producer, mine)) return;
    for (const std::int32_t id : groups_[producer]) group_of_[static_cast<std::size_t>(id)] = mine;
    groups_.erase(producer);
    groups_[mine] = std::move(both);
  }

  // Whether something outside the union stands between two of its members.
  bool MakesCycle(const std::set<std::int32_t>& both, int a, int b) const {
    const std::int32_t first = *both.begin();
    std::set<std::int32_t> seen;
    std::vector<std::int32_t> open;
    const auto push = [&](std::int32_t id) {
      if (id < first || seen.contains(id)) return;  // nodes stand in order: an earlier one depends on none of these
      const int g = Group(id);
      if (g == a || g == b) return;
      const std::set<std::int32_t> alone = {id};
      for (const std::int32_t member : g >= 0 ? groups_.at(g) : alone)
        if (seen.insert(member).second) open.push_back(member);
    };
    for (const std::int32_t id : both)
      for (const Value v : graph_.node(id).inputs)
        if (v.valid() && !both.contains(v.node)) push(v.node);
    while (!open.empty()) {
      const std::int32_t id = open.back();
      open.pop_back();
      for (const Value v : graph_.node(id).inputs) {
        if (!v.valid()) continue;
        if (both.contains(v.node)) return true;
        push(v.node);
      }
    }
    return false;
  }

  Status Emit(const std::set<std::int32_t>& nodes, const std::vector<std::vector<int>>& uses,
              std::unordered_map<Value, Value, ValueHash>& replaced) {
    const std::optional<FusionSpace> space = AnalyseFusion(graph_, nodes, options_);
    if (!space) return Status(Code::kInternal, "fusion: a group that is no loop");
    auto body = std::make_shared<Graph>();
    Builder b(body.get());
    std::unordered_map<Value, Value, ValueHash> inside;
    std::unordered_map<Value, int, ValueHash> inner_uses;
    std::vector<Value> inputs;
    for (const std::int32_t id : nodes)
      for (const Value v : graph_.node(id).inputs) {
        if (!v.valid() || nodes.contains(v.node)) {
          if (v.valid()) ++inner_uses[v];
          continue;
        }
        const Node& producer = graph_.node(v);
        const bool scalar = producer.op->name == "constant" && producer.attrs.Lit("value").size() == 1;
        if (scalar || inside.contains(v)) continue;
        inside[v] = b.Input("", graph_.type(v));
        inputs.push_back(v);
      }
    std::vector<Value> outputs, results;
    for (const std::int32_t id : nodes) {
      const Node& n = graph_.node(id);
      std::vector<Value> args;
      for (const Value v : n.inputs) {
        if (v.valid() && !inside.contains(v)) inside[v] = b.Constant(graph_.node(v).attrs.Lit("value"));
        args.push_back(v.valid() ? inside[v] : Value());
      }
      const std::vector<Value> made = b.AddAll(*n.op, std::move(args), n.attrs);
      TENON_RETURN_IF_ERROR(b.status());
      inside[{id, 0}] = made[0];
      if (uses[static_cast<std::size_t>(id)][0] > inner_uses[{id, 0}]) {
        outputs.push_back({id, 0});
        results.push_back(made[0]);
      }
    }
    if (outputs.empty()) return {};
    body->set_outputs(std::move(results));
    Builder outer(&graph_);
    const std::vector<Value> fused = outer.AddAll(FusedLoopOp(), std::move(inputs),
                                                  {{"body", GraphPtr(std::move(body))},
                                                   {"space", space->dims},
                                                   {"batch_rank", std::int64_t{space->batch_rank}},
                                                   {"row_rank", std::int64_t{space->row_rank}}});
    TENON_RETURN_IF_ERROR(outer.status());
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      graph_.output(fused[i]).record = graph_.output(outputs[i]).record;
      replaced[outputs[i]] = fused[i];
    }
    return {};
  }

  Graph& graph_;
  const FusionOptions& options_;
  std::vector<int> group_of_;
  std::map<int, std::set<std::int32_t>> groups_;
  int next_group_ = 0;
};

}  // namespace

Status FuseLoops(Graph& graph, const FusionOptions& options) { return Fuser(graph, options).Run(); }

}  // namespace tenon::compiler
