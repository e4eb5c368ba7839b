// Shared by the quantised operators of ONNX and of com.microsoft.
#pragma once
#include "formats/onnx/node_context.h"

namespace tenon::onnx {

/// saturate(round(x) + zero) as `to`: x and zero (may be invalid) are floats; halves round to even.
Value Quantize(NodeContext& n, Ex x, Ex zero, DType to);

/// An f32 tensor as u8 with a range that takes in 0: the value, its scale and its zero point (scalars).
struct DynamicU8 {
  Ex value, scale, zero;
};
DynamicU8 QuantizeDynamically(NodeContext& n, Ex x);

}  // namespace tenon::onnx
