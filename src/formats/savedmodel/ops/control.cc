// If, Case, While, and the Switch and Merge of TF1.
#include <fmt/format.h>

#include <algorithm>

#include "base/status_macros.h"
#include "formats/savedmodel/ops/context.h"

namespace tenon::savedmodel {
namespace {

using ir::Value;
using Slots = std::vector<Slot>;

Result<std::string> Function(const OpContext& c, std::string_view attr) {
  const AttrValue* value = c.Attr(attr);
  const auto* func = value == nullptr ? nullptr : value->get<std::shared_ptr<const NameAttrList>>();
  if (func == nullptr) return c.Fail(fmt::format("it has no attribute {:?}", attr));
  return (*func)->name;
}

Translator::BranchFn CallOf(OpContext& c, const std::string& function) {
  return [&c, function](Slots args) { return c.t.Call(function, std::move(args), c.name + "/"); };
}

/// A number is true when it is not 0.
Value Truth(OpContext& c, ir::Builder& b, Value v) {
  if (b.dtype(v) == DType::kBool) return v;
  if (b.dtype(v) == DType::kString) {
    b.SetStatus(c.Unsupported("a string as a condition"));
    return {};
  }
  return b.Add("not_equal", {v, b.Scalar(0, b.dtype(v))});
}

Status If(OpContext& c) {
  TENON_ASSIGN_OR_RETURN(const std::string yes, Function(c, "then_branch"));
  TENON_ASSIGN_OR_RETURN(const std::string no, Function(c, "else_branch"));
  const Value predicate = Truth(c, c.b, c.in(0));
  TENON_RETURN_IF_ERROR(c.b.status());
  TENON_ASSIGN_OR_RETURN(
      c.results, c.t.Branch(predicate, Slots(c.inputs.begin() + 1, c.inputs.end()), CallOf(c, yes), CallOf(c, no)));
  return {};
}

/// A chain of branches; an index out of range takes the last.
Result<Slots> CaseFrom(OpContext& c, const std::vector<NameAttrList>& branches, std::size_t k, Slots args) {
  if (k + 1 == branches.size()) {
    args.erase(args.begin());
    return c.t.Call(branches[k].name, std::move(args), c.name + "/");
  }
  ir::Builder b(c.t.building().graph);
  const Value index = args[0].value;
  const Value here = b.Add("equal", {index, b.Scalar(static_cast<double>(k), b.dtype(index))});
  TENON_RETURN_IF_ERROR(b.status());
  const auto yes = [&c, &branches, k](Slots inner) {
    inner.erase(inner.begin());
    return c.t.Call(branches[k].name, std::move(inner), c.name + "/");
  };
  const auto no = [&c, &branches, k](Slots inner) { return CaseFrom(c, branches, k + 1, std::move(inner)); };
  return c.t.Branch(here, std::move(args), yes, no);
}

Status Case(OpContext& c) {
  const AttrValue* attr = c.Attr("branches");
  const auto* list = attr == nullptr ? nullptr : attr->get<std::shared_ptr<const AttrList>>();
  if (list == nullptr || (*list)->func.empty()) return c.Fail("it has no branches");
  if ((*list)->func.size() > 64) return c.Unsupported("more than 64 branches");
  if (!c.in(0).valid()) return {};
  TENON_ASSIGN_OR_RETURN(c.results, CaseFrom(c, (*list)->func, 0, c.inputs));
  return {};
}

Status While(OpContext& c) {
  TENON_ASSIGN_OR_RETURN(const std::string condition, Function(c, "cond"));
  TENON_ASSIGN_OR_RETURN(const std::string body, Function(c, "body"));
  const Body* found = c.t.library().Find(body);
  if (found == nullptr || found->function->inputs.size() != c.inputs.size() ||
      found->function->outputs.size() != c.inputs.size())
    return c.Fail("its body does not take and give its variables");
  LoopSpec spec;
  spec.variables = c.inputs;
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    const auto ret = found->function->ret.find(found->function->outputs[i].name);
    Ref ref = ret == found->function->ret.end() ? Ref() : found->Find(ret->second);
    // Through nodes that only pass a value on.
    for (int hops = 0; hops < 8 && ref.node >= 0; ++hops) {
      const auto node = static_cast<std::size_t>(ref.node);
      if ((*found->nodes)[node].op != "Identity" || found->inputs[node].empty()) break;
      ref = found->inputs[node][0];
    }
    const bool handle = c.inputs[i].kind == Slot::Kind::kResource || c.inputs[i].kind == Slot::Kind::kReference;
    spec.constant.push_back(handle || ref.arg == static_cast<int>(i));
    spec.names.push_back(found->function->inputs[i].name);
  }
  spec.condition = [&](Slots values) -> Result<Slot> {
    TENON_ASSIGN_OR_RETURN(Slots out, c.t.Call(condition, std::move(values), c.name + "/"));
    if (out.size() != 1 || out[0].kind != Slot::Kind::kTensor) return Slot();
    ir::Builder b(c.t.building().graph);
    out[0].value = Truth(c, b, out[0].value);
    TENON_RETURN_IF_ERROR(b.status());
    return out[0];
  };
  spec.body = [&](Slots values) { return c.t.Call(body, std::move(values), c.name + "/"); };
  TENON_ASSIGN_OR_RETURN(c.results, c.t.Loop(std::move(spec)));
  return {};
}

// Conditionals of TF1: both sides are computed, Merge chooses.

Status Switch(OpContext& c) {  // data, predicate
  const Value predicate = c.in(1);
  for (int side = 0; side < 2; ++side) {
    Slot slot = c.inputs[0];
    if (slot.kind == Slot::Kind::kReference) {
      slot.value = c.in(0);
      slot.kind = Slot::Kind::kTensor;
    }
    slot.guards.emplace_back(predicate, side == 1);
    c.SetSlot(side, std::move(slot));
  }
  return {};
}

Status Merge(OpContext& c) {
  if (c.size() != 2) return c.Unsupported("more than two sides");
  const auto &left = c.inputs[0].guards, &right = c.inputs[1].guards;
  // The innermost Switch that parts the two; a side that hangs on constants alone may show none.
  std::optional<std::pair<Value, bool>> parting;
  const auto opposite = [](const std::pair<Value, bool>& g) { return std::pair(g.first, !g.second); };
  for (const auto& guard : left)
    if (std::ranges::count(right, opposite(guard)) != 0) parting = guard;
  if (!parting && !left.empty() && std::ranges::count(right, left.back()) == 0) parting = left.back();
  if (!parting && !right.empty() && std::ranges::count(left, right.back()) == 0) parting = opposite(right.back());
  if (!parting) return c.Unsupported("sides that no Switch parts");
  const Value yes = parting->second ? c.in(0) : c.in(1), no = parting->second ? c.in(1) : c.in(0);
  c.Set(0, c.b.Add("select", {parting->first, yes, no}));
  const Value index = c.b.Cast(parting->first, DType::kI32);  // which side came
  c.Set(1, parting->second ? c.b.Add("subtract", {c.b.Scalar(1, DType::kI32), index}) : index);
  for (Slot& result : c.results)
    for (const auto& guard : left)
      if (std::ranges::count(right, guard) != 0) result.guards.push_back(guard);
  return {};
}

constexpr Rule kRules[] = {
    {"If", If},       {"StatelessIf", If},       {"Case", Case},     {"StatelessCase", Case},
    {"While", While}, {"StatelessWhile", While}, {"Switch", Switch}, {"RefSwitch", Switch},
    {"Merge", Merge}, {"RefMerge", Merge},
};

}  // namespace

std::span<const Rule> ControlRules() { return kRules; }

}  // namespace tenon::savedmodel
