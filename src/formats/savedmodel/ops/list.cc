// TensorLists and TensorArrays: one tensor with the items along axis 0. Items have one shape.
#include <fmt/format.h>

#include "formats/savedmodel/lists.h"
#include "formats/savedmodel/ops/build.h"

namespace tenon::savedmodel {
namespace {

using ir::Value;

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
  if (!dtype) return c.Unsupported("a list of such elements");
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
Value Item(OpContext& c, const Slot& list, Value index) { return Take(c, list.value, Checked(c, index), 0); }

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

/// The items with empty ones behind them, or cut off, to that number (an i64 scalar).
Value Resized(OpContext& c, Value items, ir::Ex count, bool shrink) {
  const ir::Ex have = SizeOf(c, items, 0, DType::kI64), zero = Ex(c, c.b.Scalar(0, DType::kI64));
  if (!c.b.ok()) return {};
  std::vector<Dim> dims = c.shape(items).dims();
  dims[0] = AsDim(c, Op("maximum", count - have, zero));
  const Value longer = Join(c, {items, Filled(c, Shape(std::move(dims)), 0, c.b.dtype(items))}, 0);
  return shrink ? Value(SliceAxis(c, longer, 0, 0, AsDim(c, count))) : longer;
}

Slot WithItem(OpContext& c, const Slot& list, Value index, Value item, bool grows = false) {
  if (c.rank(item) < 0) return {};
  Slot whole = Materialize(c.b, list, c.shape(item));
  const Value place = c.b.Reshape(c.b.Cast(index, DType::kI64), Shape{1});
  if (grows) whole.value = Resized(c, whole.value, Ex(c, c.b.Reshape(place, Shape{})) + 1.0, false);
  return ListSlot(c.b.Add("scatter_nd", {whole.value, Checked(c, place), item}));
}

/// Items [n, …] at n places of a list.
Slot WithItems(OpContext& c, const Slot& list, Value places, Value items) {
  if (c.rank(items) < 1 || c.rank(places) != 1) {
    c.b.SetStatus(c.Fail("expected items and a vector of places"));
    return {};
  }
  const std::vector<Dim>& dims = c.shape(items).dims();
  const Slot whole = Materialize(c.b, list, Shape(std::vector<Dim>(dims.begin() + 1, dims.end())));
  const Value column = Expand(c, Checked(c, c.b.Cast(places, DType::kI64)), 1);
  return ListSlot(c.b.Add("scatter_nd", {whole.value, column, items}));
}

Status SetItem(OpContext& c) {  // list, index, item
  const Slot* list = List(c, 0);
  if (list == nullptr) return {};
  const bool grows = c.Bool("resize_if_index_out_of_bounds", false);
  c.SetSlot(0, WithItem(c, *list, c.in(1), c.in(2), grows));
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

// Lists that grow and shrink.

Status Empty(OpContext& c) {  // element_shape, max_num_elements
  const std::optional<DType> dtype = c.Type("element_dtype");
  if (!dtype) return c.Unsupported("a list of such elements");
  const Slot list = PendingSlot(0, *dtype);
  const std::optional<Shape> item = ItemShape(c, 0);
  c.SetSlot(0, item ? Materialize(c.b, list, *item) : list);
  return {};
}

Status PushBack(OpContext& c) {  // list, item
  const Slot* list = List(c, 0);
  if (list == nullptr) return {};
  const Value item = c.in(1);
  if (c.rank(item) < 0) return {};
  const Slot whole = Materialize(c.b, *list, c.shape(item));
  c.SetSlot(0, ListSlot(Join(c, {whole.value, Expand(c, item, 0)}, 0)));
  return {};
}

Status PopBack(OpContext& c) {  // list, element_shape
  const Slot* list = List(c, 0);
  if (list == nullptr) return {};
  if (list->pending != nullptr) return c.Unsupported("of a list that was never written");
  const ir::Ex last = SizeOf(c, list->value, 0, DType::kI64) - 1.0;
  c.SetSlot(0, ListSlot(SliceAxis(c, list->value, 0, 0, AsDim(c, last))));
  c.Set(1, Take(c, list->value, last, 0));
  return {};
}

Status Resize(OpContext& c) {  // list, size
  const Slot* list = List(c, 0);
  if (list == nullptr) return {};
  if (list->pending != nullptr) {
    const auto count = c.sizes(1);
    if (!count || count->size() != 1) return c.Unsupported("to a length that is known only at run time");
    c.SetSlot(0, PendingSlot((*count)[0], list->pending->dtype));
    return {};
  }
  const ir::Ex count = Ex(c, c.b.Reshape(c.b.Cast(c.in(1), DType::kI64), Shape{}));
  c.SetSlot(0, ListSlot(Resized(c, list->value, count, true)));
  return {};
}

/// The items one after the other along their first axis, and how long each is: all alike.
Status Concat(OpContext& c) {
  const Slot* list = List(c, 0);
  if (list == nullptr) return {};
  if (list->pending != nullptr) return c.Unsupported("of a list whose items were never written");
  if (c.rank(list->value) < 2) return c.Fail("expected items of rank 1 or more");
  std::vector<Dim> dims = c.shape(list->value).dims();
  const Dim count = dims[0];
  dims.erase(dims.begin());
  dims[0] = dims[0] * count;
  c.Set(0, c.b.Reshape(list->value, Shape(std::move(dims))));
  const Value length = SizeOf(c, list->value, 1, DType::kI64);
  c.Set(1, c.b.Add("broadcast_to", {length}, {{"dims", Shape{count}}}));
  return {};
}

/// Items of a tensor at places of a new list. It has as many as num_elements says; of -1 one more than the last place.
Status Scatter(OpContext& c) {  // tensor, indices, element_shape, num_elements
  const Value places = c.in(1);
  if (c.rank(places) != 1) return c.Fail("expected a vector of places");
  const auto given = c.has(3) ? c.dims(3) : std::nullopt;
  if (given && given->size() != 1) return c.Fail("expected one number of items");
  Dim count(-1);
  if (given) count = (*given)[0];
  if (c.has(3) && !given) {
    const ir::Ex number = Ex(c, c.b.Reshape(c.b.Cast(c.in(3), DType::kI64), Shape{}));
    const ir::Ex above = SizeOf(c, Filled(c, Shape({OneAbove(c, places)}), 0, DType::kBool), 0, DType::kI64);
    count = AsDim(c, Select(Op("equal", number, Ex(c, c.b.Scalar(-1, DType::kI64))), above, number));
  } else if (count == Dim(-1)) {
    count = OneAbove(c, places);
  }
  if (!count.is_symbolic() && count.value() < 0) return c.Fail("expected -1 or a number of items");
  const Value items = c.in(0);
  if (!c.b.ok()) return {};
  c.SetSlot(0, WithItems(c, PendingSlot(count, c.b.dtype(items)), places, items));
  return {};
}
Status ScatterInto(OpContext& c) {  // list, tensor, indices
  const Slot* list = List(c, 0);
  if (list != nullptr) c.SetSlot(0, WithItems(c, *list, c.in(2), c.in(1)));
  return {};
}

Status ElementShape(OpContext& c) {
  const Slot* list = List(c, 0);
  if (list == nullptr) return {};
  if (list->pending != nullptr) return c.Unsupported("of a list whose items were never written");
  const Value all = c.b.Add("shape_of", {list->value}, {{"dtype", c.Type("shape_type").value_or(DType::kI32)}});
  c.Set(SliceAxis(c, all, 0, 1, c.rank(list->value)));
  return {};
}

// Arrays of TF1: the handle says of what, the flow carries the items.

Status Array(OpContext& c) {  // size
  const auto count = c.sizes(0);
  const std::optional<DType> dtype = c.Type("dtype");
  if (!dtype) return c.Unsupported("an array of such elements");
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
Status ArrayScatter(OpContext& c) {  // handle, indices, value, flow
  const Slot* list = List(c, 3);
  if (list != nullptr) c.SetSlot(0, WithItems(c, *list, c.in(1), c.in(2)));
  return {};
}
Status ArraySize(OpContext& c) {  // handle, flow
  if (c.inputs.size() < 2) return c.Fail("it has no flow");
  c.inputs.erase(c.inputs.begin());
  return ListLength(c);
}

constexpr Rule kRules[] = {
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
    {"EmptyTensorList", Empty},
    {"TensorListPushBack", PushBack},
    {"TensorListPopBack", PopBack},
    {"TensorListResize", Resize},
    {"TensorListConcat", Concat},
    {"TensorListConcatV2", Concat},
    {"TensorListScatter", Scatter},
    {"TensorListScatterV2", Scatter},
    {"TensorListElementShape", ElementShape},
    {"TensorListScatterIntoExistingList", ScatterInto},
};

}  // namespace

std::span<const Rule> ListRules() { return kRules; }

}  // namespace tenon::savedmodel
