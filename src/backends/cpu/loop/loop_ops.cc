#include "backends/cpu/loop/loop_ops.h"

#include <string_view>
#include <unordered_map>

#include "ir/op_def.h"

namespace tenon::cpu {
namespace {

const std::unordered_map<std::string_view, LoopOpInfo>& Table() {
  using enum LoopOp;
  static const std::unordered_map<std::string_view, LoopOpInfo> kTable = [] {
    std::unordered_map<std::string_view, LoopOpInfo> t;
    const auto add = [&](std::string_view n, LoopOp op, bool wraps = true) { t[n] = {.op = op, .wraps = wraps}; };
    add("neg", kNeg), add("abs", kAbs), add("sign", kSign, false), add("floor", kFloor, false),
        add("ceil", kCeil, false);
    add("round", kRound, false), add("exp", kExp), add("expm1", kExpm1), add("log", kLog), add("log1p", kLog1p);
    add("sqrt", kSqrt), add("rsqrt", kRsqrt), add("square", kSquare), add("reciprocal", kReciprocal), add("sin", kSin);
    add("cos", kCos), add("tan", kTan), add("asin", kAsin), add("acos", kAcos), add("atan", kAtan), add("sinh", kSinh);
    add("cosh", kCosh), add("tanh", kTanh), add("asinh", kAsinh), add("acosh", kAcosh), add("atanh", kAtanh);
    add("erf", kErf), add("erfc", kErfc), add("sigmoid", kSigmoid), add("relu", kRelu, false);
    add("is_nan", kIsNan, false), add("is_inf", kIsInf, false), add("is_finite", kIsFinite, false);
    add("logical_not", kLogicalNot, false), add("bitwise_not", kBitwiseNot);
    add("add", kAdd), add("subtract", kSub), add("multiply", kMul), add("divide", kDiv), add("floor_divide", kFloorDiv);
    add("remainder", kRemainder), add("power", kPower), add("maximum", kMax, false), add("minimum", kMin, false);
    add("atan2", kAtan2), add("equal", kEqual, false), add("not_equal", kNotEqual, false), add("less", kLess, false);
    add("less_equal", kLessEqual, false), add("greater", kGreater, false), add("greater_equal", kGreaterEqual, false);
    add("logical_and", kAnd, false), add("logical_or", kOr, false), add("logical_xor", kXor, false);
    add("bitwise_and", kAnd), add("bitwise_or", kOr), add("bitwise_xor", kXor), add("select", kSelect, false);
    t["clip"] = {.kind = LoopClass::kClip}, t["cast"] = {.kind = LoopClass::kCast};
    for (const char* n :
         {"identity", "stop_gradient", "broadcast_to", "broadcast_like", "expand_dims", "squeeze", "reshape"})
      t[n] = {.kind = LoopClass::kAlias};
    const auto reduce = [&](std::string_view n, ReduceOp op, bool wraps) {
      t[n] = {.kind = LoopClass::kReduce, .reduce = op, .wraps = wraps};
    };
    reduce("reduce_sum", ReduceOp::kSum, true), reduce("reduce_prod", ReduceOp::kProd, true);
    reduce("reduce_max", ReduceOp::kMax, false), reduce("reduce_min", ReduceOp::kMin, false);
    reduce("reduce_any", ReduceOp::kMax, false), reduce("reduce_all", ReduceOp::kMin, false);
    t["zeros_like"] = {.kind = LoopClass::kConstant, .value = 0},
    t["ones_like"] = {.kind = LoopClass::kConstant, .value = 1};
    return t;
  }();
  return kTable;
}
const LoopOpInfo* Find(std::string_view name) {
  const auto it = Table().find(name);
  return it == Table().end() ? nullptr : &it->second;
}

std::int64_t Elements(const ir::Type& t) { return t.shape().size().value(); }

}  // namespace

std::vector<std::string_view> LoopOpNames() {
  std::vector<std::string_view> names;
  for (const auto& [name, info] : Table()) names.push_back(name);
  return names;
}

std::optional<LoopOpInfo> FindLoopOp(const ir::Graph& graph, const ir::Node& node) {
  const LoopOpInfo* info = Find(node.op->name);
  if (info == nullptr || node.outputs.size() != 1 || node.inputs.empty()) return std::nullopt;
  const auto usable = [](const ir::Type& t) {
    CType c;
    return t.is_static() && CTypeOf(t.dtype(), &c);
  };
  if (!usable(node.outputs[0].type)) return std::nullopt;
  for (const ir::Value v : node.inputs)
    if (v.valid() && !usable(graph.type(v))) return std::nullopt;
  const ir::Type& first = graph.type(node.inputs[0]);
  CType type = CType::kF32;
  CTypeOf(first.dtype(), &type);
  if (info->kind == LoopClass::kOp) {
    if (info->op == LoopOp::kSelect) CTypeOf(graph.type(node.inputs[1]).dtype(), &type);
    if (GetLoopKernels().op[static_cast<int>(info->op)][static_cast<int>(type)] == nullptr) return std::nullopt;
    if (info->op == LoopOp::kReciprocal && !is_float(first.dtype())) return std::nullopt;
  }
  if (info->kind == LoopClass::kAlias && Elements(first) != Elements(node.outputs[0].type) &&
      (node.op->name == "reshape" || node.op->name == "squeeze" || node.op->name == "expand_dims"))
    return std::nullopt;
  // The reference gives the identity of the dtype for an empty reduction.
  if (info->kind == LoopClass::kReduce && Elements(first) == 0) return std::nullopt;
  return *info;
}

}  // namespace tenon::cpu
