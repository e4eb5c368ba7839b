// If, Case, While, TensorLists and TensorArrays, and the Switch and Merge of TF1.
#include <fmt/format.h>

#include <algorithm>

#include "base/status_macros.h"
#include "formats/savedmodel/lists.h"
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

// Lists.

const Slot* List(OpContext& c, int i) {
  if (i < c.size() && c.inputs[static_cast<std::size_t>(i)].kind == Slot::Kind::kList)
    return &c.inputs[static_cast<std::size_t>(i)];
  c.b.SetStatus(c.Fail(fmt::format("its input {} is no list", i)));
  return nullptr;
}

/// The dims of the items as a shape tensor gives them; nullopt when one is open.
std::optional<Shape> ItemShape(OpContext& c, int i) {
  const auto dims = c.dims(i);
  if (!dims || (c.b.ranked(c.in(i)) && c.shape(c.in(i)).rank() == 0)) return std::nullopt;  // a scalar -1: unknown rank
  for (const Dim& dim : *dims)
    if (dim == Dim(-1)) return std::nullopt;
  return Shape(*dims);
}

Status Reserve(OpContext& c) {  // element_shape, num_elements
  const auto count = c.sizes(1);
  const std::optional<DType> dtype = c.Type("element_dtype");
  if (!dtype || *dtype == DType::kString) return c.Unsupported("a list of such elements");
  if (!count || count->size() != 1) return c.Unsupported("of a length that is known only at run time");
  const Slot list = PendingSlot((*count)[0], *dtype);
  const std::optional<Shape> item = ItemShape(c, 0);
  c.SetSlot(0, item ? Materialize(c.b, list, *item) : list);
  return {};
}

Status FromTensor(OpContext& c) {
  c.SetSlot(0, ListSlot(c.in(0)));
  return {};
}

Status Stack(OpContext& c) {
  const Slot* list = List(c, 0);
  if (list == nullptr) return {};
  Slot items = *list;
  if (items.pending != nullptr) {
    const std::optional<Shape> item = c.has(1) ? ItemShape(c, 1) : std::nullopt;
    if (!item) return c.Unsupported("of a list whose items were never written");
    items = Materialize(c.b, items, *item);
  }
  c.Set(items.value);
  return {};
}

/// Item i. A list without a value has none: what needs it cannot be translated yet (a trial of a loop finds the dims).
Value Item(OpContext& c, const Slot& list, Value index) {
  return c.b.Add("gather", {list.value, index}, {{"axis", std::int64_t{0}}});
}

Status GetItem(OpContext& c) {  // list, index, element_shape
  const Slot* list = List(c, 0);
  if (list == nullptr) return {};
  if (list->pending == nullptr) {
    c.Set(Item(c, *list, c.in(1)));
    return {};
  }
  const std::optional<Shape> item = c.has(2) ? ItemShape(c, 2) : std::nullopt;
  if (!item) return c.Unsupported("an item of a list that was never written");
  c.Set(Item(c, Materialize(c.b, *list, *item), c.in(1)));
  return {};
}

Slot WithItem(OpContext& c, const Slot& list, Value index, Value item) {
  if (c.rank(item) < 0) return {};
  const Slot whole = Materialize(c.b, list, c.shape(item));
  const Value place = c.b.Reshape(c.b.Cast(index, DType::kI64), Shape{1});
  return ListSlot(c.b.Add("scatter_nd", {whole.value, place, item}));
}

Status SetItem(OpContext& c) {  // list, index, item
  const Slot* list = List(c, 0);
  if (list == nullptr) return {};
  if (c.Bool("resize_if_index_out_of_bounds", false)) {
    const Dim count = list->pending != nullptr  ? list->pending->count
                      : c.rank(list->value) > 0 ? c.shape(list->value)[0]
                                                : Dim(0);
    if (count == Dim(0)) return c.Unsupported("a list that grows");
  }
  c.SetSlot(0, WithItem(c, *list, c.in(1), c.in(2)));
  return {};
}

Status ListLength(OpContext& c) {
  const Slot* list = List(c, 0);
  if (list == nullptr) return {};
  if (list->pending == nullptr) {
    const Value shape = c.b.Add("shape_of", {list->value}, {{"dtype", DType::kI32}});
    c.Set(c.b.Reshape(c.b.Add("slice", {shape}, {{"starts", Shape{0}}, {"limits", Shape{1}}}), Shape{}));
    return {};
  }
  if (list->pending->count.is_symbolic()) {  // the length of a tensor of that many items
    const Shape dims{list->pending->count};
    const Value items = c.b.Add("iota", {}, {{"dims", dims}, {"axis", std::int64_t{0}}, {"dtype", DType::kI32}});
    c.Set(c.b.Reshape(c.b.Add("shape_of", {items}, {{"dtype", DType::kI32}}), Shape{}));
    return {};
  }
  c.Set(c.b.Constant(Literal::scalar(static_cast<std::int32_t>(list->pending->count.value()))));
  return {};
}

Status ListGather(OpContext& c) {  // list, indices
  const Slot* list = List(c, 0);
  if (list == nullptr) return {};
  if (list->pending != nullptr) return c.Unsupported("of a list that was never written");
  c.Set(Item(c, *list, c.in(1)));
  return {};
}

// Arrays of TF1: the handle says of what, the flow carries the items.

Status Array(OpContext& c) {  // size
  const auto count = c.sizes(0);
  const std::optional<DType> dtype = c.Type("dtype");
  if (!dtype || *dtype == DType::kString) return c.Unsupported("an array of such elements");
  if (!count || count->size() != 1) return c.Unsupported("of a size that is known only at run time");
  Slot flow = PendingSlot((*count)[0], *dtype), handle = flow;
  handle.kind = Slot::Kind::kArray;
  c.SetSlot(0, handle);
  c.SetSlot(1, flow);
  return {};
}
Status ArrayWrite(OpContext& c) {  // handle, index, value, flow
  const Slot* list = List(c, 3);
  if (list != nullptr) c.SetSlot(0, WithItem(c, *list, c.in(1), c.in(2)));
  return {};
}
Status ArrayRead(OpContext& c) {  // handle, index or indices, flow
  const Slot* list = List(c, 2);
  if (list == nullptr) return {};
  if (list->pending != nullptr) return c.Unsupported("of an array that was never written");
  c.Set(Item(c, *list, c.in(1)));
  return {};
}
/// The whole array at once: the indices are those of all items in order.
Status ArrayScatter(OpContext& c) {  // handle, indices, value, flow
  const Slot* list = List(c, 3);
  if (list == nullptr) return {};
  const Value value = c.in(2), indices = c.in(1);
  if (c.rank(value) < 1) return {};
  const Slot whole =
      Materialize(c.b, *list, Shape(std::vector<Dim>(c.shape(value).dims().begin() + 1, c.shape(value).dims().end())));
  const Value column =
      c.b.Add("expand_dims", {c.b.Cast(indices, DType::kI64)}, {{"axes", std::vector<std::int64_t>{-1}}});
  c.SetSlot(0, ListSlot(c.b.Add("scatter_nd", {whole.value, column, value})));
  return {};
}
Status ArraySize(OpContext& c) {  // handle, flow
  if (c.inputs.size() < 2) return c.Fail("it has no flow");
  c.inputs.erase(c.inputs.begin());
  return ListLength(c);
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
    {"If", If},
    {"StatelessIf", If},
    {"Case", Case},
    {"StatelessCase", Case},
    {"While", While},
    {"StatelessWhile", While},
    {"TensorListReserve", Reserve},
    {"TensorListFromTensor", FromTensor},
    {"TensorListStack", Stack},
    {"TensorListGetItem", GetItem},
    {"TensorListSetItem", SetItem},
    {"TensorListLength", ListLength},
    {"TensorListGather", ListGather},
    {"TensorArrayV3", Array},
    {"TensorArrayWriteV3", ArrayWrite},
    {"TensorArrayReadV3", ArrayRead},
    {"TensorArrayGatherV3", ArrayRead},
    {"TensorArrayScatterV3", ArrayScatter},
    {"TensorArraySizeV3", ArraySize},
    {"Switch", Switch},
    {"RefSwitch", Switch},
    {"Merge", Merge},
    {"RefMerge", Merge},
};

}  // namespace

std::span<const Rule> ControlRules() { return kRules; }

}  // namespace tenon::savedmodel
