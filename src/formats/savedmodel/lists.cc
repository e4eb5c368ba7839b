#include "formats/savedmodel/lists.h"

#include <string>

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
  const DType dtype = list.pending->dtype;
  const ir::Value zero = dtype == DType::kBool     ? b.Constant(Literal::scalar(false))
                         : dtype == DType::kString ? b.Constant(Literal::scalar(std::string()))
                                                   : b.Scalar(0, dtype);
  return ListSlot(b.Add("broadcast_to", {zero}, {{"dims", Shape(std::move(dims))}}));
}

}  // namespace tenon::savedmodel
