// Linear algebra, and the choice of boxes.
#include <fmt/format.h>

#include "base/status_macros.h"
#include "formats/savedmodel/ops/build.h"

namespace tenon::savedmodel {
namespace {

using ir::Value;
using Ints = std::vector<std::int64_t>;

Status Plain(OpContext& c) {
  const bool determinant = c.node.op.ends_with("Determinant");
  if (c.Bool("adjoint", false)) return c.Unsupported("of the adjoint");
  c.Set(c.b.Add(determinant                      ? "determinant"
                : c.node.op.ends_with("Inverse") ? "matrix_inverse"
                                                 : "cholesky",
                {c.in(0)}));
  return {};
}

Status Solve(OpContext& c) {
  c.Set(c.b.Add("matrix_solve", {c.in(0), c.in(1)}, {{"adjoint", c.Bool("adjoint", false)}}));
  return {};
}

Status TriangularSolve(OpContext& c) {
  c.Set(c.b.Add("triangular_solve", {c.in(0), c.in(1)},
                {{"lower", c.Bool("lower", true)}, {"adjoint", c.Bool("adjoint", false)}}));
  return {};
}

/// Results of no elements, for what is not asked for.
Value Nothing(OpContext& c, Value like) { return Filled(c, Shape{0}, 0, c.b.dtype(like)); }

Status Eigen(OpContext& c) {
  const Value x = c.in(0);
  const std::vector<Value> out = c.b.AddAll("symmetric_eigen", {x});
  if (out.size() != 2) return {};
  c.Set(0, out[0]);
  c.Set(1, c.Bool("compute_v", true) ? out[1] : Nothing(c, x));
  return {};
}

Status Svd(OpContext& c) {
  const Value x = c.in(0);
  const bool vectors = c.Bool("compute_uv", true);
  if (c.rank(x) < 2) return c.Fail("expected matrices");
  const Dim rows = c.shape(x)[-2], columns = c.shape(x)[-1];
  if (vectors && c.Bool("full_matrices", false) && rows != columns)
    return c.Unsupported("with all vectors of matrices that are not square");
  const std::vector<Value> out = c.b.AddAll("singular_values", {x});
  if (out.size() != 3) return {};
  c.Set(0, out[0]);
  c.Set(1, vectors ? out[1] : Nothing(c, x));
  c.Set(2, vectors ? out[2] : Nothing(c, x));
  return {};
}

/// A float of an input (or attribute) as a scalar like the boxes.
Value Threshold(OpContext& c, int i, Value like) { return c.b.Cast(c.b.Reshape(c.in(i), Shape{}), c.b.dtype(like)); }

/// Boxes [n, 4], scores [n], how many, the overlap that is too much, the least score: which boxes stay. V4 and V5 fill
/// up on request and say how many there are.
Status Suppress(OpContext& c) {
  const std::string& op = c.node.op;
  const bool v4 = op.ends_with("V4"), v5 = op.ends_with("V5"), first = op == "NonMaxSuppression";
  const Value boxes = c.in(0), scores = c.in(1);
  if (c.rank(boxes) != 2 || c.rank(scores) != 1) return c.Fail("expected boxes [n, 4] and scores [n]");
  const Dim n = c.shape(boxes)[0];
  if (v5) {
    const Literal* sigma = c.constant(5);
    if (sigma == nullptr || sigma->size() != 1 || sigma->at(0) != 0) return c.Unsupported("with a soft sigma");
  }
  const Value most = c.b.Reshape(c.in(2), Shape{});
  const Value overlap =
      first ? c.b.Scalar(double{c.Float("iou_threshold", 0.5f)}, c.b.dtype(boxes)) : Threshold(c, 3, boxes);
  std::vector<Value> inputs{c.b.Reshape(boxes, Shape({Dim(1), n, Dim(4)})),
                            c.b.Reshape(scores, Shape({Dim(1), Dim(1), n})), most, overlap};
  if (c.has(4)) inputs.push_back(Threshold(c, 4, boxes));
  const Value found = c.b.Add("non_max_suppression", std::move(inputs));
  if (!c.b.ok()) return {};
  const Dim count = c.shape(found)[0];
  Value kept = c.b.Cast(c.b.Reshape(SliceAxis(c, found, 1, 2, 3), Shape({count})), DType::kI32);
  const Value number = c.b.Cast(SizeOf(c, kept, 0, DType::kI64), DType::kI32);
  Value best = v5 ? Value(Take(c, scores, kept, 0)) : Value();
  if ((v4 || v5) && c.Bool("pad_to_max_output_size", false)) {
    const auto size = c.sizes(2);
    if (!size || size->size() != 1) return c.Unsupported("filled up to a size that is known only at run time");
    const auto filled = [&](Value v) {
      return c.b.Add("scatter_nd", {Filled(c, Shape({(*size)[0]}), 0, c.b.dtype(v)),
                                    Expand(c, Iota(c, Shape({count}), 0, DType::kI64), 1), v});
    };
    kept = filled(kept);
    if (v5) best = filled(best);
  }
  c.Set(0, kept);
  if (v5) c.Set(1, best);
  if (v4 || v5) c.Set(v5 ? 2 : 1, number);
  return {};
}

Status SuppressCombined(OpContext& c) {  // boxes, scores, most of a class, most of all, overlap, least score
  const std::int64_t each = c.integer(2), total = c.integer(3);
  const Literal *overlap = c.constant(4), *least = c.constant(5);
  if (!c.b.ok()) return {};
  if (overlap == nullptr || least == nullptr || overlap->size() != 1 || least->size() != 1)
    return c.Unsupported("with thresholds that are known only at run time");
  const std::vector<Value> out = c.b.AddAll("combined_non_max_suppression", {c.in(0), c.in(1)},
                                            {{"max_per_class", each},
                                             {"max_total", total},
                                             {"iou_threshold", overlap->at(0)},
                                             {"score_threshold", least->at(0)},
                                             {"pad_per_class", c.Bool("pad_per_class", false)},
                                             {"clip_boxes", c.Bool("clip_boxes", true)}});
  for (std::size_t k = 0; k < out.size(); ++k) c.Set(static_cast<int>(k), out[k]);
  return {};
}

constexpr Rule kRules[] = {
    {"Cholesky", Plain},
    {"MatrixDeterminant", Plain},
    {"MatrixInverse", Plain},
    {"MatrixSolve", Solve},
    {"MatrixTriangularSolve", TriangularSolve},
    {"SelfAdjointEigV2", Eigen},
    {"Svd", Svd},
    {"NonMaxSuppression", Suppress},
    {"NonMaxSuppressionV2", Suppress},
    {"NonMaxSuppressionV3", Suppress},
    {"NonMaxSuppressionV4", Suppress},
    {"NonMaxSuppressionV5", Suppress},
    {"CombinedNonMaxSuppression", SuppressCombined},
};

}  // namespace

std::span<const Rule> AlgebraRules() { return kRules; }

}  // namespace tenon::savedmodel
