// Losses over class scores [N, C, d…] with labels [N, d…].
#include <fmt/format.h>

#include "formats/onnx/ops/families.h"

namespace tenon::onnx {
namespace {

Status NegativeLogLikelihood(NodeContext& n, Ex log_probabilities) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(log_probabilities));
  TENON_ASSIGN_OR_RETURN(const Shape labels_shape, n.ShapeOf(n.in(1)));
  if (shape.rank() < 2 || labels_shape.rank() != shape.rank() - 1)
    return n.Fail(fmt::format("scores {} with labels {}", shape.to_string(), labels_shape.to_string()));
  const DType dtype = n.dtype(log_probabilities);
  const std::string reduction = n.String("reduction", "mean");
  const Ex labels = n.ex(n.b.Cast(n.in(1), DType::kI64)), zero = n.Scalar(0, dtype);
  Ex safe = labels, counted;
  if (n.HasAttr("ignore_index")) {
    counted = Op("not_equal", labels, n.Scalar(static_cast<double>(n.Int("ignore_index", 0)), DType::kI64));
    safe = Select(counted, labels, n.Scalar(0, DType::kI64));
  }
  const Ex index = n.Apply("expand_dims", {safe}, {{"axes", Ints{1}}});
  const Ex picked =
      n.Apply("squeeze", {n.Add("take_along_axis", {log_probabilities, index}, {{"axis", std::int64_t{1}}})},
              {{"axes", Ints{1}}});
  Ex weight;
  if (n.has(2)) weight = n.Apply("gather", {n.in(2), safe}, {{"axis", std::int64_t{0}}});
  if (!weight.v.valid()) weight = n.ex(n.b.OnesLike(picked));
  if (counted.v.valid()) weight = Select(counted, weight, zero);
  const Ex loss = -picked * weight;
  if (reduction == "none") {
    n.Out(0, loss);
  } else if (reduction == "sum") {
    n.Out(0, n.Reduce("reduce_sum", loss, {}, false));
  } else if (reduction == "mean") {
    n.Out(0, n.Reduce("reduce_sum", loss, {}, false) / n.Reduce("reduce_sum", weight, {}, false));
  } else {
    return n.Fail(fmt::format("reduction is \"{}\"", reduction));
  }
  return {};
}

Status NllLoss(NodeContext& n) { return NegativeLogLikelihood(n, n.x(0)); }

Status SoftmaxCrossEntropyLoss(NodeContext& n) {
  const Ex log_probabilities = n.Apply("log_softmax", {n.in(0)}, {{"axis", std::int64_t{1}}});
  TENON_RETURN_IF_ERROR(NegativeLogLikelihood(n, log_probabilities));
  if (n.wants(1)) n.Out(1, log_probabilities);
  return {};
}

const OpRow kRows[] = {
    {"NegativeLogLikelihoodLoss", 2, 3, 1, "ignore_index:i reduction:s", NllLoss},
    {"SoftmaxCrossEntropyLoss", 2, 3, 2, "ignore_index:i reduction:s", SoftmaxCrossEntropyLoss},
};

}  // namespace
const std::span<const OpRow> kLossRows = kRows;
}  // namespace tenon::onnx
