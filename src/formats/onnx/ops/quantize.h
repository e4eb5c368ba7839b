// Shared by the quantised operators of ONNX and of com.microsoft.
#pragma once
#include "formats/onnx/node_context.h"

namespace tenon::onnx {

/// saturate(round(x) + zero) as `to`: x and zero (may be invalid) are floats; halves round to even.
Value Quantize(NodeContext& n, Ex x, Ex zero, DType to);

}  // namespace tenon::onnx
