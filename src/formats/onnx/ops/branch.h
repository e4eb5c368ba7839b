// Sub-graphs that stand in attributes.
#pragma once
#include "formats/onnx/node_context.h"

namespace tenon::onnx {

/// The graph of an attribute; kInvalidArgument when it is missing.
Result<const Graph*> GraphAttr(NodeContext& n, std::string_view name);

}  // namespace tenon::onnx
