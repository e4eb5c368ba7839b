// What a node must look like before its translation is called.
#pragma once
#include "formats/onnx/node_context.h"

namespace tenon::onnx {

/// Finds the row of the node's operator and checks that the operator exists in the imported opset, and its numbers of
/// inputs and outputs, required inputs and attributes. kUnimplemented for operators that ONNX has and we do not
/// translate, and for unknown domains.
Status CheckNode(const Node& node, std::int64_t opset, const std::vector<Value>& inputs, const OpRow** row);

}  // namespace tenon::onnx
