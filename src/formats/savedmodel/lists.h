// TensorLists and TensorArrays as tensors with the items along axis 0.
#pragma once
#include <vector>

#include "formats/savedmodel/scope.h"
#include "ir/builder.h"

namespace tenon::savedmodel {

/// A list of `count` items whose dims are not known before one is written: it has no value yet.
struct PendingList {
  Dim count;
  DType dtype = DType::kF32;
};

Slot ListSlot(ir::Value items);
Slot PendingSlot(Dim count, DType dtype);
/// The list as a tensor of zeros whose items have those dims; a list that has a value stays.
Slot Materialize(ir::Builder& b, const Slot& list, const Shape& item);

}  // namespace tenon::savedmodel
