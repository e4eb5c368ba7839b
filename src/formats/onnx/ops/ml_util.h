// What the operators of the domain ai.onnx.ml share.
#pragma once
#include "formats/onnx/ops/families.h"
#include "ir/numeric.h"

namespace tenon::onnx {

inline constexpr std::string_view kMlDomain = "ai.onnx.ml";

/// A vector of the numbers.
inline Literal Vector(DType dtype, const std::vector<double>& values) {
  return ir::FromDoubles(dtype, {static_cast<std::int64_t>(values.size())}, values);
}
inline Literal Vector(const Ints& values) {
  return ir::FromInts(DType::kI64, {static_cast<std::int64_t>(values.size())}, values);
}
inline Literal Vector(std::vector<std::string> values) {
  const auto count = static_cast<std::int64_t>(values.size());
  return Literal::from_strings({count}, std::move(values));
}

/// Input 0 as f32 [n, features]; a vector is one row. Strings and complex numbers are refused.
Result<Ex> Rows(NodeContext& n);
/// scores [n, k] after the attribute post_transform, by its name or by its number (ai.onnx.ml 5).
Result<Ex> PostTransform(NodeContext& n, Ex scores);
/// The classes of the attributes `strings` and `ints`; exactly one of them must be given.
Result<Literal> ClassLabels(NodeContext& n, std::string_view ints, std::string_view strings);
/// labels[index]
Value LabelAt(NodeContext& n, const Literal& labels, Value index);

}  // namespace tenon::onnx
