#include "formats/onnx/ops/recognise.h"

namespace tenon::onnx {
namespace {

// The input of the op that makes v, when it is of that name.
Value InputOf(NodeContext& n, Value v, std::string_view op) {
  const ir::Node& node = n.b.graph().node(v);
  return node.op->name == op ? node.inputs[0] : Value();
}

// A scalar of that value: one that does not change the shape of what it is combined with.
bool IsScalar(NodeContext& n, Value v, double wanted) {
  if (!n.b.ranked(v) || n.b.shape(v).rank() != 0) return false;
  const std::optional<Literal> literal = n.Const(v);
  return literal && literal->at(0) == wanted;
}

}  // namespace

Value Recognised(NodeContext& n, std::string_view op, Value x, Value y) {
  if (!n.b.ok() || !x.valid() || !n.b.type(x).is_tensor() || !is_float(n.dtype(x))) return {};
  if (op == "multiply") {
    for (const auto& [a, gate] : {std::pair(x, y), std::pair(y, x)})
      if (InputOf(n, gate, "sigmoid") == a) return n.Add("silu", {a});
  } else if (op == "subtract") {
    if (const Value inner = InputOf(n, x, "exp"); inner.valid() && IsScalar(n, y, 1)) return n.Add("expm1", {inner});
    if (const Value inner = InputOf(n, y, "erf"); inner.valid() && IsScalar(n, x, 1)) return n.Add("erfc", {inner});
  } else if (op == "reciprocal") {
    if (const Value inner = InputOf(n, x, "sqrt"); inner.valid()) return n.Add("rsqrt", {inner});
  } else if (op == "log") {
    const ir::Node& node = n.b.graph().node(x);
    if (node.op->name != "add") return {};
    const Value a = node.inputs[0], b = node.inputs[1];
    if (IsScalar(n, b, 1)) return n.Add("log1p", {a});
    if (IsScalar(n, a, 1)) return n.Add("log1p", {b});
  }
  return {};
}

}  // namespace tenon::onnx
