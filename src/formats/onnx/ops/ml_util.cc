#include "formats/onnx/ops/ml_util.h"

#include <fmt/format.h>

#include <numbers>

namespace tenon::onnx {

Result<Ex> Rows(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(n.in(0)));
  const DType dtype = n.dtype(0);
  if (dtype == DType::kString || is_complex(dtype))
    return n.Fail(fmt::format("got {}, expected numbers", n.b.type(n.in(0)).to_string()));
  if (shape.rank() != 1 && shape.rank() != 2)
    return n.Fail(fmt::format("got {}, expected [n, features]", n.b.type(n.in(0)).to_string()));
  Ex x = n.ex(n.b.Cast(n.in(0), DType::kF32));
  if (shape.rank() == 1) x = n.Reshape(x, {1, shape[0]});
  return x;
}

// The other zero of sqrt2 * erfinv(2 s - 1), by Winitzki's formula with a = 0.147, as ONNX Runtime computes it.
Ex Probit(NodeContext& n, Ex s) {
  const Ex x = s * 2.0 - 1.0, zero = n.Scalar(0, s.dtype());
  const Ex log = Op("log", (1.0 - x) * (1.0 + x));
  const Ex v = log * 0.5 + 2.0 / (std::numbers::pi * 0.147);
  const Ex size = Op("sqrt", Op("sqrt", v * v - log / 0.147) - v) * std::numbers::sqrt2;
  return Select(Op("less", x, zero), -size, size);
}
// Zeros stay zeros, the others share the whole.
Ex SoftmaxZero(NodeContext& n, Ex s) {
  const Ex most = n.Reduce("reduce_max", s, {1}, true);
  const Ex there = Op("greater", Op("abs", s), n.Scalar(1e-7, s.dtype()));
  const Ex e = Select(there, Op("exp", s - most), s * Op("exp", -most));
  return e / n.Reduce("reduce_sum", e, {1}, true);
}

Result<Ex> PostTransform(NodeContext& n, Ex scores) {
  const Attribute* found = n.Find("post_transform");
  constexpr std::string_view kNames[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
  std::string name = n.String("post_transform", "NONE");
  if (found != nullptr && !found->ints.empty()) {
    if (found->ints[0] < 0 || found->ints[0] > 4) return n.Fail(fmt::format("post_transform is {}", found->ints[0]));
    name = kNames[found->ints[0]];
  }
  if (name == "NONE") return scores;
  if (name == "SOFTMAX") return n.Apply("softmax", {scores}, {{"axis", std::int64_t{1}}});
  if (name == "LOGISTIC") return Op("sigmoid", scores);
  if (name == "SOFTMAX_ZERO") return SoftmaxZero(n, scores);
  if (name == "PROBIT") return Probit(n, scores);
  return n.Fail(fmt::format("post_transform is \"{}\"", name));
}

Result<Literal> ClassLabels(NodeContext& n, std::string_view ints, std::string_view strings) {
  const Ints numbers = n.IntList(ints);
  const std::vector<std::string> names = n.StringList(strings);
  if (numbers.empty() == names.empty())
    return n.Fail(fmt::format("expected the classes in one of the attributes \"{}\" and \"{}\"", ints, strings));
  return names.empty() ? Vector(numbers) : Vector(names);
}

Value LabelAt(NodeContext& n, const Literal& labels, Value index) {
  return n.Add("gather", {n.b.Constant(labels), index}, {{"axis", std::int64_t{0}}});
}

}  // namespace tenon::onnx
