// Placeholders, constants, variables, calls and the nodes that only pass a value on.
#include <fmt/format.h>

#include "base/status_macros.h"
#include "formats/savedmodel/ops/context.h"
#include "formats/savedmodel/tensor_proto.h"

namespace tenon::savedmodel {
namespace {

using ir::Value;

Status Placeholder(OpContext& c) { return c.Fail("its value is needed, and it is no input of the signature"); }

Status Const(OpContext& c) {
  const AttrValue* attr = c.Attr("value");
  const auto* tensor = attr == nullptr ? nullptr : attr->get<std::shared_ptr<const TensorProto>>();
  if (tensor == nullptr) return c.Fail("it has no attribute \"value\"");
  TENON_ASSIGN_OR_RETURN(Literal value, LiteralOf(**tensor, c.node.name, c.t.owner()));
  if (value.nbytes() > 4 * (*tensor)->encoded.size()) TENON_RETURN_IF_ERROR(c.t.Spend(value.nbytes()));
  c.Set(c.b.Constant(std::move(value)));
  return {};
}

Status Pass(OpContext& c) {
  if (c.size() == 0) return c.Fail("it has no input");
  for (int i = 0; i < c.size(); ++i) {
    Slot slot = c.inputs[static_cast<std::size_t>(i)];
    if (slot.kind == Slot::Kind::kReference) {
      c.Set(i, c.in(i));
      continue;
    }
    c.SetSlot(i, std::move(slot));
  }
  return {};
}

/// Only input 0 passes: the others are debugging data or an order.
Status PassFirst(OpContext& c) {
  c.inputs.resize(c.inputs.empty() ? 0 : 1);
  return Pass(c);
}

Status Nothing(OpContext&) { return {}; }

Status Handle(OpContext& c) {
  Slot slot;
  slot.kind = c.node.op == "VarHandleOp" ? Slot::Kind::kResource : Slot::Kind::kReference;
  slot.cell = c.t.CellOf(c.node, Cell::Kind::kVariable);
  c.SetSlot(0, slot);
  return {};
}

Status ReadVariable(OpContext& c) {
  const int cell = c.cell(0);
  if (cell < 0) return {};
  if (c.t.building().restoring) {  // what was assigned meanwhile, such as the path of an asset
    const auto assigned = c.t.building().current.find(cell);
    c.Set(assigned == c.t.building().current.end() ? Value() : assigned->second);
    return {};
  }
  TENON_ASSIGN_OR_RETURN(const Value value, c.t.Read(cell));
  c.Set(value);
  return {};
}

/// Assign, AssignAdd, AssignSub of a handle or reference. A reference is also the output.
Status Assign(OpContext& c) {
  const int cell = c.cell(0);
  if (cell < 0) return {};
  if (c.t.building().restoring) {
    if (c.has(1) && c.inputs[1].kind == Slot::Kind::kRestored) {
      c.t.cell(cell).key = c.inputs[1].key;
      c.t.cell(cell).spec = c.inputs[1].spec;
    } else if (c.has(1) && c.inputs[1].kind == Slot::Kind::kTensor) {
      c.t.building().current[cell] = c.inputs[1].value;
    }
    c.SetSlot(0, c.inputs[0]);
    return {};
  }
  Value value = c.in(1);
  if (c.node.op.starts_with("AssignAdd") || c.node.op.starts_with("AssignSub")) {
    TENON_ASSIGN_OR_RETURN(const Value before, c.t.Read(cell));
    value = c.b.Add(c.node.op.starts_with("AssignAdd") ? "add" : "subtract", {before, value});
  }
  TENON_RETURN_IF_ERROR(c.b.status());
  c.t.Write(cell, value);
  c.SetSlot(0, c.inputs[0]);
  return {};
}

Status Restore(OpContext& c) {
  if (!c.t.building().restoring) return c.Unsupported("the model reads a file while it runs");
  const Literal* names = c.constant(1);
  const Literal* slices = c.constant(2);
  if (names == nullptr || slices == nullptr || names->dtype() != DType::kString || slices->dtype() != DType::kString ||
      names->size() != slices->size())
    return c.Fail("its tensor names are no constants");
  for (std::size_t i = 0; i < names->strings().size(); ++i) {
    Slot slot;
    slot.kind = Slot::Kind::kRestored;
    slot.key = names->strings()[i];
    slot.spec = slices->strings()[i];
    c.SetSlot(static_cast<int>(i), std::move(slot));
  }
  return {};
}

Status IsInitialized(OpContext& c) {  // a model is loaded with all its values
  c.Set(c.b.Constant(Literal::scalar(true)));
  return {};
}

Status VariableShape(OpContext& c) {
  TENON_ASSIGN_OR_RETURN(const Value value, c.t.Read(c.cell(0)));
  c.Set(c.b.Add("shape_of", {value}, {{"dtype", c.Type("out_type").value_or(DType::kI32)}}));
  return {};
}

Status Call(OpContext& c) {
  const AttrValue* attr = c.Attr("f");
  const auto* func = attr == nullptr ? nullptr : attr->get<std::shared_ptr<const NameAttrList>>();
  if (func == nullptr) return c.Fail("it has no attribute \"f\"");
  TENON_ASSIGN_OR_RETURN(c.results, c.t.Call((*func)->name, c.inputs, c.name + "/"));
  return {};
}

Status Python(OpContext& c) {
  return c.Unsupported("it calls a function in Python, which is no part of a saved model");
}

/// A shape check: the value passes.
Status PlaceholderWithDefault(OpContext& c) { return PassFirst(c); }

constexpr Rule kRules[] = {
    {"Placeholder", Placeholder},
    {"PlaceholderV2", Placeholder},
    {"PlaceholderWithDefault", PlaceholderWithDefault},
    {"Const", Const},
    {"Identity", Pass},
    {"IdentityN", Pass},
    {"Snapshot", Pass},
    {"PreventGradient", PassFirst},
    {"CheckNumerics", PassFirst},
    {"CheckNumericsV2", PassFirst},
    {"EnsureShape", PassFirst},
    {"LoopCond", PassFirst},
    {"NoOp", Nothing},
    {"Assert", Nothing},
    {"Print", PassFirst},
    {"PrintV2", Nothing},
    {"ControlTrigger", Nothing},
    {"DisableCopyOnRead", Nothing},
    {"VarHandleOp", Handle},
    {"VariableV2", Handle},
    {"Variable", Handle},
    {"ReadVariableOp", ReadVariable},
    {"AssignVariableOp", Assign},
    {"AssignAddVariableOp", Assign},
    {"AssignSubVariableOp", Assign},
    {"Assign", Assign},
    {"AssignAdd", Assign},
    {"AssignSub", Assign},
    {"RestoreV2", Restore},
    {"VarIsInitializedOp", IsInitialized},
    {"IsVariableInitialized", IsInitialized},
    {"VariableShape", VariableShape},
    {"PyFunc", Python},
    {"PyFuncStateless", Python},
    {"EagerPyFunc", Python},
    {"PartitionedCall", Call},
    {"StatefulPartitionedCall", Call},
};

}  // namespace

std::span<const Rule> StateRules() { return kRules; }

}  // namespace tenon::savedmodel
