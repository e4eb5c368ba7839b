// Small compositions that stand for one op. Writers spell them out where an opset lacks the operator; computed in one
// piece they are rounded once, and what was written comes back as it was.
#pragma once
#include "formats/onnx/node_context.h"

namespace tenon::onnx {

/// The op that `op`(x, y) completes (y invalid for a unary one), added to the graph; invalid when there is none:
/// x * sigmoid(x) silu, 1 / sqrt(x) rsqrt, exp(x) - 1 expm1, log(x + 1) log1p, 1 - erf(x) erfc. Floats only.
Value Recognised(NodeContext& n, std::string_view op, Value x, Value y = {});

}  // namespace tenon::onnx
