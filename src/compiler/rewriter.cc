#include "compiler/rewriter.h"

#include "base/status_macros.h"
#include "ir/carry_over.h"
#include "ir/op_def.h"

namespace tenon::compiler {

using namespace ir;

RuleContext::RuleContext(Graph* graph) : b(graph), graph_(graph), uses_(graph->UseCounts()) {}

bool RuleContext::Is(Value v, std::string_view op) const { return v.valid() && node(v).op->name == op; }

const Literal* RuleContext::ConstantOf(Value v) const {
  return Is(v, "constant") ? &node(v).attrs.Lit("value") : nullptr;
}

bool RuleContext::IsAll(Value v, double number) const {
  const Literal* l = ConstantOf(v);
  if (l == nullptr || l->dtype() == DType::kString || is_complex(l->dtype()) || l->size() == 0 || l->size() > 65536)
    return false;
  for (std::int64_t i = 0; i < l->size(); ++i)
    if (l->at(i) != number) return false;
  return true;
}

class Rewriter {
 public:
  Rewriter(Graph& graph, const RuleFn& rule) : graph_(graph), rule_(rule) {}

  Result<int> Run() {
    int total = 0;
    for (int sweep = 0; sweep < 20; ++sweep) {
      TENON_ASSIGN_OR_RETURN(const int applied, Sweep());
      graph_.Compact();
      total += applied;
      if (applied == 0) break;
    }
    return total;
  }

 private:
  Value Resolve(Value v) const {
    while (v.valid()) {
      const auto it = replaced_.find(v);
      if (it == replaced_.end()) return v;
      v = it->second;
    }
    return v;
  }
  int& Uses(RuleContext& ctx, Value v) {
    return ctx.uses_[static_cast<std::size_t>(v.node)][static_cast<std::size_t>(v.index)];
  }

  // Nodes that a rule appended start to count.
  void Register(RuleContext& ctx, std::int32_t from) {
    for (std::int32_t id = from; id < graph_.size(); ++id) {
      const Node& n = graph_.node(id);
      ctx.uses_.emplace_back(n.outputs.size(), 0);
      for (const Value v : n.inputs)
        if (v.valid()) ++Uses(ctx, v);
    }
  }
  void Release(RuleContext& ctx, std::int32_t id) {
    std::vector<std::int32_t> dead = {id};
    while (!dead.empty()) {
      const std::int32_t at = dead.back();
      dead.pop_back();
      bool used = false;
      for (const int u : ctx.uses_[static_cast<std::size_t>(at)]) used = used || u > 0;
      if (used) continue;
      for (const Value v : graph_.node(at).inputs) {
        const Value r = Resolve(v);
        if (r.valid() && --Uses(ctx, r) == 0) dead.push_back(r.node);
      }
    }
  }

  Result<int> Sweep() {
    replaced_.clear();
    RuleContext ctx(&graph_);
    int applied = 0;
    const std::int32_t limit = graph_.size() * 20 + 10000;  // a rule that feeds itself would never end
    for (std::int32_t id = 0; id < graph_.size() && id < limit; ++id) {
      if (graph_.node(id).op->name == "input") continue;
      for (Value& v : graph_.node(id).inputs) v = Resolve(v);
      bool used = false;
      for (const int u : ctx.uses_[static_cast<std::size_t>(id)]) used = used || u > 0;
      if (!used) continue;
      const std::int32_t before = graph_.size();
      TENON_ASSIGN_OR_RETURN(const Patch patch, rule_(ctx, id));
      TENON_RETURN_IF_ERROR(ctx.b.status());
      Register(ctx, before);
      if (patch.empty()) continue;
      ++applied;
      TENON_RETURN_IF_ERROR(Apply(ctx, id, patch));
    }
    graph_.Replace(replaced_);
    return applied;
  }

  Status Apply(RuleContext& ctx, std::int32_t id, const Patch& patch) {
    const std::size_t outputs = graph_.node(id).outputs.size();
    if (patch.size() != outputs)
      return Status(Code::kInternal,
                    "rewrite: a patch with the wrong number of values for " + std::string(graph_.node(id).op->name));
    for (std::size_t k = 0; k < outputs; ++k) {
      const Value from{id, static_cast<std::int32_t>(k)}, to = Resolve(patch[k]);
      if (from == to) continue;
      const Output& a = graph_.output(from);
      Output& z = graph_.output(to);
      if (!(a.type == z.type))
        return Status(Code::kInternal, "rewrite: " + std::string(graph_.node(id).op->name) + " of type " +
                                           a.type.to_string() + " replaced by " + z.type.to_string());
      CarryOver(a.record, z.record);
      Uses(ctx, to) += Uses(ctx, from);
      Uses(ctx, from) = 0;
      replaced_[from] = to;
    }
    Release(ctx, id);
    return {};
  }

  Graph& graph_;
  const RuleFn& rule_;
  std::unordered_map<Value, Value, ValueHash> replaced_;
};

Result<int> Rewrite(Graph& graph, const RuleFn& rule) { return Rewriter(graph, rule).Run(); }

Result<int> Rewrite(Graph& graph, std::span<const Rule> rules) {
  const RuleFn first = [rules](RuleContext& ctx, std::int32_t id) -> Result<Patch> {
    for (const Rule& rule : rules) {
      TENON_ASSIGN_OR_RETURN(Patch patch, rule.apply(ctx, id));
      if (!patch.empty()) return patch;
    }
    return Patch();
  };
  return Rewrite(graph, first);
}

}  // namespace tenon::compiler
