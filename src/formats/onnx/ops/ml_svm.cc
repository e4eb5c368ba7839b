// ai.onnx.ml: support vector machines (libsvm's models).
#include <fmt/format.h>

#include "formats/onnx/ops/ml_util.h"

namespace tenon::onnx {
namespace {

// K(x, v) for every row of x [n, f] and every support vector: [n, vectors].
Result<Ex> Kernel(NodeContext& n, Ex x, const std::vector<double>& vectors, std::int64_t count) {
  const auto size = static_cast<std::int64_t>(vectors.size());
  if (count < 1 || size == 0 || size % count != 0)
    return n.Fail(fmt::format("{} numbers for {} support vectors", size, count));
  const std::int64_t features = size / count;
  const Ex v = n.ex(n.b.Constant(ir::FromDoubles(DType::kF32, {count, features}, vectors)));
  const std::vector<double> given = n.FloatList("kernel_params");  // gamma, coef0, degree
  const auto parameter = [&](std::size_t i, double otherwise) { return i < given.size() ? given[i] : otherwise; };
  const double gamma = parameter(0, 0), coef0 = parameter(1, 0), degree = parameter(2, 3);
  const std::string kind = n.String("kernel_type", "LINEAR");
  const Ex dot = n.Apply("matmul", {x, v}, {{"transpose_y", true}});
  if (kind == "LINEAR") return dot;
  if (kind == "POLY") return Op("power", dot * gamma + coef0, n.Scalar(degree, DType::kF32));
  if (kind == "SIGMOID") return Op("tanh", dot * gamma + coef0);
  if (kind != "RBF") return n.Fail(fmt::format("kernel_type is \"{}\"", kind));
  const Ex left = n.Apply("expand_dims", {x}, {{"axes", Ints{1}}});
  const Ex distance = left - v;
  return Op("exp", n.Reduce("reduce_sum", distance * distance, {2}, false) * -gamma);
}

Status SvmRegressor(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(Ex x, Rows(n));
  const std::int64_t supports = n.Int("n_supports", 0);
  std::vector<double> weights = n.FloatList("coefficients");
  const std::vector<double> rho = n.FloatList("rho");
  if (rho.size() != 1) return n.Fail(fmt::format("rho has {} numbers, expected 1", rho.size()));
  if (supports > 0) {
    if (static_cast<std::int64_t>(weights.size()) != supports)
      return n.Fail(fmt::format("{} coefficients for {} support vectors", weights.size(), supports));
    TENON_ASSIGN_OR_RETURN(x, Kernel(n, x, n.FloatList("support_vectors"), supports));
  }
  if (weights.empty()) return n.Fail("the attribute \"coefficients\" is missing");
  const Literal column = ir::FromDoubles(DType::kF32, {static_cast<std::int64_t>(weights.size()), 1}, weights);
  Ex y = n.Apply("matmul", {x, n.b.Constant(column)}) + rho[0];
  if (n.Int("one_class", 0) != 0)
    y = Select(Op("greater", y, n.Scalar(0, DType::kF32)), n.Scalar(1, DType::kF32), n.Scalar(-1, DType::kF32));
  TENON_ASSIGN_OR_RETURN(const Ex out, PostTransform(n, y));
  n.Out(0, out);
  return {};
}

// Each pair of classes i < j votes: for i where its decision value is above 0. Coefficients are [classes - 1, vectors]:
// row j - 1 of the vectors of class i and row i of those of class j decide between them.
Status SvmClassifier(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Literal labels, ClassLabels(n, "classlabels_ints", "classlabels_strings"));
  TENON_ASSIGN_OR_RETURN(const Ex x, Rows(n));
  const Ints counts = n.IntList("vectors_per_class");
  const std::vector<double> weights = n.FloatList("coefficients"), rho = n.FloatList("rho");
  const std::int64_t classes = labels.size();
  if (counts.empty()) {  // linear: a row of coefficients for each class
    const auto size = static_cast<std::int64_t>(weights.size());
    if (size == 0 || size % classes != 0) return n.Fail(fmt::format("{} coefficients for {} classes", size, classes));
    const Literal w = ir::FromDoubles(DType::kF32, {classes, size / classes}, weights);
    if (rho.empty()) return n.Fail("the attribute \"rho\" is missing");
    const Ex scores = n.Apply("matmul", {x, n.b.Constant(w)}, {{"transpose_y", true}}) + rho[0];
    TENON_ASSIGN_OR_RETURN(const Ex out, PostTransform(n, scores));
    n.Out(0, LabelAt(n, labels, n.Add("argmax", {out}, {{"axis", std::int64_t{1}}})));
    n.Out(1, out);
    return {};
  }
  std::int64_t vectors = 0;
  for (const std::int64_t count : counts) {
    if (count < 0 || count > 1 << 24) return n.Fail(fmt::format("vectors_per_class holds {}", count));
    vectors += count;
  }
  const std::int64_t pairs = classes * (classes - 1) / 2;
  if (static_cast<std::int64_t>(counts.size()) != classes || classes < 2 || classes > 4096 ||
      static_cast<std::int64_t>(weights.size()) != (classes - 1) * vectors ||
      static_cast<std::int64_t>(rho.size()) != pairs)
    return n.Fail(fmt::format("{} coefficients and {} values of rho for {} classes of {} vectors", weights.size(),
                              rho.size(), classes, vectors));
  std::vector<double> decide(static_cast<std::size_t>(vectors * pairs), 0),
      vote_first(static_cast<std::size_t>(pairs * classes), 0), vote_second = vote_first;
  std::int64_t pair = 0, start_i = 0;
  const auto at = [](std::int64_t i) { return static_cast<std::size_t>(i); };
  for (std::int64_t i = 0; i < classes; start_i += counts[at(i)], ++i) {
    std::int64_t start_j = start_i + counts[at(i)];
    for (std::int64_t j = i + 1; j < classes; start_j += counts[at(j)], ++j, ++pair) {
      for (std::int64_t k = 0; k < counts[at(i)]; ++k)
        decide[at((start_i + k) * pairs + pair)] = weights[at((j - 1) * vectors + start_i + k)];
      for (std::int64_t k = 0; k < counts[at(j)]; ++k)
        decide[at((start_j + k) * pairs + pair)] = weights[at(i * vectors + start_j + k)];
      vote_first[at(pair * classes + i)] = 1;
      vote_second[at(pair * classes + j)] = 1;
    }
  }
  const auto matrix = [&](std::int64_t rows, std::int64_t columns, const std::vector<double>& values) {
    return n.b.Constant(ir::FromDoubles(DType::kF32, {rows, columns}, values));
  };
  TENON_ASSIGN_OR_RETURN(const Ex kernel, Kernel(n, x, n.FloatList("support_vectors"), vectors));
  const Ex scores =
      n.Apply("matmul", {kernel, matrix(vectors, pairs, decide)}) + n.ex(n.b.Constant(Vector(DType::kF32, rho)));
  const Ex first = n.ex(n.b.Cast(Op("greater", scores, n.Scalar(0, DType::kF32)), DType::kF32));
  const Ex votes = n.Apply("matmul", {first, matrix(pairs, classes, vote_first)}) +
                   n.Apply("matmul", {1.0 - first, matrix(pairs, classes, vote_second)});
  n.Out(0, LabelAt(n, labels, n.Add("argmax", {votes}, {{"axis", std::int64_t{1}}})));
  const std::vector<double> a = n.FloatList("prob_a"), b = n.FloatList("prob_b");
  if (a.empty()) {
    if (!n.wants(1)) return {};
    // Without probabilities: the decision values, for two classes as (s, -s).
    const Ex both = classes == 2 ? n.Apply("concat", {scores, -scores}, {{"axis", std::int64_t{1}}}) : scores;
    TENON_ASSIGN_OR_RETURN(const Ex out, PostTransform(n, both));
    n.Out(1, out);
    return {};
  }
  if (static_cast<std::int64_t>(a.size()) != pairs || b.size() != a.size())
    return n.Fail(fmt::format("{} and {} probability parameters for {} pairs", a.size(), b.size(), pairs));
  if (classes != 2) return n.Unsupported("the probabilities of more than two classes");
  const Ex p = Op("sigmoid", -(scores * a[0] + b[0]));
  const Ex inside = Op("minimum", Op("maximum", p, n.Scalar(1e-7, DType::kF32)), n.Scalar(1 - 1e-7, DType::kF32));
  const Ex both = n.Apply("concat", {inside, 1.0 - inside}, {{"axis", std::int64_t{1}}});
  n.Out(0, LabelAt(n, labels, n.Add("argmax", {both}, {{"axis", std::int64_t{1}}})));
  n.Out(1, both);
  return {};
}

const OpRow kRows[] = {
    {"SVMRegressor",
     1,
     1,
     1,
     "coefficients:fs kernel_params:fs kernel_type:s n_supports:i one_class:i post_transform:s rho:fs "
     "support_vectors:fs",
     SvmRegressor,
     {},
     kMlDomain},
    {"SVMClassifier",
     1,
     1,
     2,
     "classlabels_ints:is classlabels_strings:ss coefficients:fs kernel_params:fs kernel_type:s post_transform:s "
     "prob_a:fs prob_b:fs rho:fs support_vectors:fs vectors_per_class:is",
     SvmClassifier,
     {},
     kMlDomain},
};

}  // namespace
const std::span<const OpRow> kMlSvmRows = kRows;
}  // namespace tenon::onnx
