#include "formats/savedmodel/lists.h"

#include "formats/savedmodel/ops/build.h"

namespace tenon::savedmodel {

Slot ListSlot(ir::Value items) {
  Slot slot;
  slot.kind = items.valid() ? Slot::Kind::kList : Slot::Kind::kNone;
  slot.value = items;
  return slot;
}

Slot PendingSlot(Dim count, DType dtype) {
  Slot slot;
  slot.kind = Slot::Kind::kList;
  slot.pending = std::make_shared<const PendingList>(PendingList{std::move(count), dtype});
  return slot;
}

Slot Materialize(ir::Builder& b, const Slot& list, const Shape& item) {
  if (list.pending == nullptr) return list;
  std::vector<Dim> dims = item.dims();
  dims.insert(dims.begin(), list.pending->count);
  return ListSlot(Filled(b, Shape(std::move(dims)), 0, list.pending->dtype));
}

}  // namespace tenon::savedmodel
