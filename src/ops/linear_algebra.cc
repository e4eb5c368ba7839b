// Square matrices: determinant and inverse, by elimination with partial pivoting. Leading dims are a batch.
#include <cmath>

#include "ops/array_util.h"

namespace tenon::ir::ops {
namespace {

// c1: the last two dims are equal.
Result<std::vector<Dim>> CheckSquare(const InferContext& ctx) {
  std::vector<Dim> dims = ctx.shape(0).dims();
  if (dims.size() < 2 || Differ(dims[dims.size() - 1], dims[dims.size() - 2]))
    return ctx.Fail(1, "got x " + ctx.type(0).to_string() + ", expected square matrices [..., n, n]");
  return dims;
}
Status InferDeterminant(InferContext& ctx) {
  if (!ctx.ranked(0)) {
    ctx.SetUnknownRank(0, ctx.dtype(0));
    return {};
  }
  TENON_ASSIGN_OR_RETURN(std::vector<Dim> dims, CheckSquare(ctx));
  dims.resize(dims.size() - 2);
  ctx.Set(0, ctx.dtype(0), Shape(std::move(dims)));
  return {};
}
Status InferInverse(InferContext& ctx) {
  if (ctx.ranked(0)) TENON_RETURN_IF_ERROR(CheckSquare(ctx).status());
  ctx.Set(0, ctx.type(0));
  return {};
}

// Turns a (n x n, row-major) into an upper triangle and does the same to `right` (n x m); gives the determinant.
double Eliminate(std::span<double> a, std::size_t n, std::span<double> right, std::size_t m) {
  double determinant = 1;
  for (std::size_t k = 0; k < n; ++k) {
    std::size_t pivot = k;
    for (std::size_t i = k + 1; i < n; ++i)
      if (std::abs(a[i * n + k]) > std::abs(a[pivot * n + k])) pivot = i;
    if (pivot != k) {
      for (std::size_t j = 0; j < n; ++j) std::swap(a[k * n + j], a[pivot * n + j]);
      for (std::size_t j = 0; j < m; ++j) std::swap(right[k * m + j], right[pivot * m + j]);
      determinant = -determinant;
    }
    const double p = a[k * n + k];
    determinant *= p;
    if (p == 0) continue;
    for (std::size_t i = k + 1; i < n; ++i) {
      const double f = a[i * n + k] / p;
      if (f == 0) continue;
      for (std::size_t j = k; j < n; ++j) a[i * n + j] -= f * a[k * n + j];
      for (std::size_t j = 0; j < m; ++j) right[i * m + j] -= f * right[k * m + j];
    }
  }
  return determinant;
}

Status EvalDeterminant(EvalContext& ctx) {
  const Literal& x = ctx.in(0);
  const std::size_t n = Size(x.dims().back());
  const std::vector<std::int64_t> dims = ctx.out_dims();
  TENON_ASSIGN_OR_RETURN(const std::int64_t count, checked_size(dims));
  std::vector<double> values = ToDoubles(x), out(Size(count));
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = Eliminate(std::span(values).subspan(i * n * n, n * n), n, {}, 0);
  ctx.Set(0, FromDoubles(x.dtype(), dims, out));
  return {};
}

Status EvalInverse(EvalContext& ctx) {
  const Literal& x = ctx.in(0);
  const std::size_t n = Size(x.dims().back());
  std::vector<double> values = ToDoubles(x), out(values.size(), 0);
  const std::size_t count = n == 0 ? 0 : values.size() / (n * n);
  for (std::size_t c = 0; c < count; ++c) {
    const std::span<double> a = std::span(values).subspan(c * n * n, n * n),
                            r = std::span(out).subspan(c * n * n, n * n);
    for (std::size_t i = 0; i < n; ++i) r[i * n + i] = 1;
    if (Eliminate(a, n, r, n) == 0) return ctx.Fail("got a singular matrix, expected one with an inverse");
    for (std::size_t i = n; i-- > 0;)
      for (std::size_t j = 0; j < n; ++j) {
        double sum = r[i * n + j];
        for (std::size_t k = i + 1; k < n; ++k) sum -= a[i * n + k] * r[k * n + j];
        r[i * n + j] = sum / a[i * n + i];
      }
  }
  ctx.Set(0, FromDoubles(x.dtype(), x.dims(), out));
  return {};
}

Ex Product(Ex x, Ex y, bool transpose_x, bool transpose_y) {
  return Op("matmul", x, y, {{"transpose_x", transpose_x}, {"transpose_y", transpose_y}});
}
Ex Transposed(Ex x) {
  std::vector<std::int64_t> permutation;
  const int rank = x.b->shape(x).rank();
  for (int i = 0; i < rank - 2; ++i) permutation.push_back(i);
  permutation.push_back(rank - 1);
  permutation.push_back(rank - 2);
  return {x.b, x.b->Transpose(x, std::move(permutation))};
}
// d(det x) = det x * x^-T; a singular matrix has no gradient by this formula and is an error of the run.
Status GradDeterminant(GradContext& ctx) {
  const Ex scale = ExpandDims(ctx.d() * ctx.out(), {-2, -1});
  ctx.Set(0, scale * Transposed(Op("matrix_inverse", ctx.in(0))));
  return {};
}
// d(x^-1): -x^-T d x^-T
Status GradInverse(GradContext& ctx) {
  ctx.Set(0, -Product(Product(ctx.out(), ctx.d(), true, false), ctx.out(), false, true));
  return {};
}

Literal Matrices() { return Values({2, 3, 3}, {2, 1, 0, -1, 3, 0.5, 0, 0.25, 1, 0, 2, 1, 1, 0.5, 0, 3, 1, -2}); }
std::vector<Sample> DeterminantSamples() {
  return {{.name = "batch", .inputs = {Matrices()}},
          {.name = "two", .inputs = {Values({2, 2}, {0, 1, 2, 3})}},
          {.name = "singular", .inputs = {Values({2, 2}, {1, 2, 2, 4})}, .gradient = false},
          {.name = "none", .inputs = {Random({0, 2, 2}, 1)}},
          {.name = "no_rows", .inputs = {Random({2, 0, 0}, 1)}, .gradient = false},
          {.name = "long", .inputs = {Random({2, 3}, 2)}, .error = "c1"},
          {.name = "vector", .inputs = {Random({2}, 3)}, .error = "c1"}};
}
std::vector<Sample> InverseSamples() {
  return {{.name = "batch", .inputs = {Matrices()}},
          {.name = "two", .inputs = {Values({2, 2}, {0, 1, 2, 3})}},
          {.name = "none", .inputs = {Random({0, 2, 2}, 1)}},
          {.name = "long", .inputs = {Random({2, 3}, 2)}, .error = "c1"}};
}

constinit const OpDef kOps[] = {
    {.name = "determinant",
     .summary = "The determinants of matrices [..., n, n].",
     .inputs = {{.name = "x", .dtypes = kFloatSet}},
     .outputs = {{.name = "y", .dtypes = kFloatSet}},
     .traits = kAccumulates,
     .infer = InferDeterminant,
     .eval = EvalDeterminant,
     .grad = GradDeterminant,
     .samples = DeterminantSamples,
     .names = {.onnx = "Det"}},
    {.name = "matrix_inverse",
     .summary = "The inverses of matrices [..., n, n]; a singular one is an error of the run.",
     .inputs = {{.name = "x", .dtypes = kFloatSet}},
     .outputs = {{.name = "y", .dtypes = kFloatSet}},
     .traits = kAccumulates,
     .infer = InferInverse,
     .eval = EvalInverse,
     .grad = GradInverse,
     .samples = InverseSamples},
};

}  // namespace
extern const std::span<const OpDef> linear_algebra_ops;
constinit const std::span<const OpDef> linear_algebra_ops{kOps};
}  // namespace tenon::ir::ops
