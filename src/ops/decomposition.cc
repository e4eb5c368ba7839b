// Triangles, solutions, eigenvalues and singular values of matrices, in double precision. Leading dims are a batch.
// Eigenvectors and singular vectors are fixed only up to their sign: here the element of largest magnitude (the first
// of equal ones) of each eigenvector, and of each right singular vector, is positive.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "ops/array_util.h"

namespace tenon::ir::ops {
namespace {

using Doubles = std::vector<double>;

// c1: the last two dims are equal.
Status CheckSquare(const InferContext& ctx) {
  if (!ctx.ranked(0)) return {};
  const Shape& shape = ctx.shape(0);
  if (shape.rank() < 2 || Differ(shape[-1], shape[-2]))
    return ctx.Fail(1, "got " + ctx.type(0).to_string() + ", expected square matrices [..., n, n]");
  return {};
}
Status InferCholesky(InferContext& ctx) {
  TENON_RETURN_IF_ERROR(CheckSquare(ctx));
  ctx.Set(0, ctx.type(0));
  return {};
}
Status EvalCholesky(EvalContext& ctx) {
  const Literal& x = ctx.in(0);
  const std::size_t n = Size(x.dims().back());
  const Doubles a = ToDoubles(x);
  Doubles out(a.size(), 0);
  for (std::size_t base = 0; base < a.size(); base += n * n)
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j <= i; ++j) {
        double sum = a[base + i * n + j];
        for (std::size_t k = 0; k < j; ++k) sum -= out[base + i * n + k] * out[base + j * n + k];
        if (i == j && !(sum > 0)) return ctx.Fail("got a matrix that is not positive definite");
        out[base + i * n + j] = i == j ? std::sqrt(sum) : sum / out[base + j * n + j];
      }
  ctx.Set(0, FromDoubles(x.dtype(), x.dims(), out));
  return {};
}

// c1: as above. c2: the right side has the rows and the batch of the matrices.
Status InferSolve(InferContext& ctx) {
  TENON_RETURN_IF_ERROR(CheckSquare(ctx));
  if (ctx.ranked(0) && ctx.ranked(1)) {
    bool same = ctx.rank(0) == ctx.rank(1);
    for (int d = 0; same && d + 1 < ctx.rank(0); ++d) same = !Differ(ctx.shape(0)[d], ctx.shape(1)[d]);
    if (!same)
      return ctx.Fail(2, "got a right side " + ctx.type(1).to_string() + " for matrices " + ctx.type(0).to_string());
  }
  ctx.Set(0, ctx.type(1));
  return {};
}
struct Sides {
  std::size_t n = 0, m = 0, count = 0;
};
Sides SidesOf(const EvalContext& ctx) {
  const std::vector<std::int64_t>& dims = ctx.in(1).dims();
  Sides s{Size(dims[dims.size() - 2]), Size(dims.back()), 1};
  for (std::size_t d = 0; d + 2 < dims.size(); ++d) s.count *= Size(dims[d]);
  return s;
}
Status CheckSides(const EvalContext& ctx) {
  const std::vector<std::int64_t>&a = ctx.in(0).dims(), &b = ctx.in(1).dims();
  if (a.size() != b.size() || !std::equal(a.begin(), a.end() - 1, b.begin()) || a.back() != a[a.size() - 2])
    return ctx.Fail("got matrices and a right side that do not fit");
  return {};
}
Status EvalTriangularSolve(EvalContext& ctx) {
  TENON_RETURN_IF_ERROR(CheckSides(ctx));
  const auto [n, m, count] = SidesOf(ctx);
  const Doubles a = ToDoubles(ctx.in(0));
  Doubles x = ToDoubles(ctx.in(1));
  const bool adjoint = ctx.attrs().Bool("adjoint"), down = ctx.attrs().Bool("lower") != adjoint;
  for (std::size_t c = 0; c < count; ++c) {
    const std::size_t ab = c * n * n, xb = c * n * m;
    for (std::size_t step = 0; step < n; ++step) {
      const std::size_t i = down ? step : n - 1 - step;
      for (std::size_t done = 0; done < step; ++done) {
        const std::size_t k = down ? done : n - 1 - done;
        const double f = adjoint ? a[ab + k * n + i] : a[ab + i * n + k];
        for (std::size_t j = 0; j < m; ++j) x[xb + i * m + j] -= f * x[xb + k * m + j];
      }
      const double p = a[ab + i * n + i];
      if (p == 0) return ctx.Fail("got a triangle with 0 on its diagonal, expected one that can be solved");
      for (std::size_t j = 0; j < m; ++j) x[xb + i * m + j] /= p;
    }
  }
  ctx.Set(0, FromDoubles(ctx.in(1).dtype(), ctx.in(1).dims(), x));
  return {};
}
// Gauss and Jordan's elimination with partial pivoting.
Status EvalSolve(EvalContext& ctx) {
  TENON_RETURN_IF_ERROR(CheckSides(ctx));
  const auto [n, m, count] = SidesOf(ctx);
  Doubles a = ToDoubles(ctx.in(0)), x = ToDoubles(ctx.in(1));
  for (std::size_t c = 0; c < count; ++c) {
    const std::span<double> l = std::span(a).subspan(c * n * n, n * n), r = std::span(x).subspan(c * n * m, n * m);
    if (ctx.attrs().Bool("adjoint"))
      for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < i; ++j) std::swap(l[i * n + j], l[j * n + i]);
    for (std::size_t k = 0; k < n; ++k) {
      std::size_t pivot = k;
      for (std::size_t i = k + 1; i < n; ++i)
        if (std::abs(l[i * n + k]) > std::abs(l[pivot * n + k])) pivot = i;
      const double p = l[pivot * n + k];
      if (p == 0) return ctx.Fail("got a singular matrix, expected one with an inverse");
      if (pivot != k) {
        std::swap_ranges(&l[k * n], &l[k * n] + n, &l[pivot * n]);
        if (m > 0) std::swap_ranges(&r[k * m], &r[k * m] + m, &r[pivot * m]);
      }
      for (std::size_t i = 0; i < n; ++i) {
        const double f = i == k ? 0 : l[i * n + k] / p;
        if (f == 0) continue;
        for (std::size_t j = k; j < n; ++j) l[i * n + j] -= f * l[k * n + j];
        for (std::size_t j = 0; j < m; ++j) r[i * m + j] -= f * r[k * m + j];
      }
    }
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < m; ++j) r[i * m + j] /= l[i * n + i];
  }
  ctx.Set(0, FromDoubles(ctx.in(1).dtype(), ctx.in(1).dims(), x));
  return {};
}

// ---- singular values, and from them eigenvalues ----

bool AllFinite(std::span<const double> values) {
  return std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
}
// Multiplies by the power of two that brings the largest magnitude to [1, 2), so that squares and their products stay
// in range; gives the exponent that was taken out.
int TakeScale(std::span<double> values) {
  double most = 0;
  for (const double v : values) most = std::max(most, std::abs(v));
  if (most == 0) return 0;
  const int exponent = std::ilogb(most);
  for (double& v : values) v = std::scalbn(v, -exponent);
  return exponent;
}

// One-sided Jacobi: columns of a (rows x n, by columns) are turned against each other until they are orthogonal; v
// (n x n, by columns, at first the unit matrix) takes the same turns.
void Orthogonalize(Doubles& a, Doubles& v, std::size_t rows, std::size_t n) {
  const auto dot = [](const double* x, const double* y, std::size_t count) {
    return std::inner_product(x, x + count, y, 0.0);
  };
  const auto turn = [](double* x, double* y, std::size_t count, double c, double s) {
    for (std::size_t k = 0; k < count; ++k) {
      const double p = x[k], q = y[k];
      x[k] = c * p - s * q;
      y[k] = s * p + c * q;
    }
  };
  for (int sweep = 0; sweep < 60; ++sweep) {
    bool done = true;
    for (std::size_t i = 0; i + 1 < n; ++i)
      for (std::size_t j = i + 1; j < n; ++j) {
        double *x = a.data() + i * rows, *y = a.data() + j * rows;
        const double p = dot(x, x, rows), q = dot(y, y, rows), cross = dot(x, y, rows);
        if (!(std::abs(cross) > 1e-15 * std::sqrt(p * q)) || !std::isfinite(cross)) continue;
        done = false;
        const double zeta = (q - p) / (2 * cross);
        const double t = (zeta >= 0 ? 1 : -1) / (std::abs(zeta) + std::hypot(1.0, zeta));
        const double c = 1 / std::hypot(1.0, t), s = c * t;
        turn(x, y, rows, c, s);
        turn(v.data() + i * n, v.data() + j * n, n, c, s);
      }
    if (done) return;
  }
}
double SignOf(const double* x, std::size_t n) {
  double most = 0;
  for (std::size_t k = 0; k < n; ++k)
    if (std::abs(x[k]) > std::abs(most) * (1 + 1e-9)) most = x[k];
  return most < 0 ? -1 : 1;
}
// Order of the entries of `values` by `less`.
template <class Less>
std::vector<std::size_t> Order(std::size_t n, const Less& less) {
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), less);
  return order;
}

// Of a vector orthogonal to the first `count` columns of u (m rows): the unit vectors in turn, made orthogonal.
void Complete(Doubles& u, std::size_t m, std::size_t count) {
  double* to = u.data() + count * m;
  for (std::size_t unit = 0; unit < m; ++unit) {
    std::fill(to, to + m, 0.0);
    to[unit] = 1;
    for (int twice = 0; twice < 2; ++twice)
      for (std::size_t k = 0; k < count; ++k) {
        const double* with = u.data() + k * m;
        const double d = std::inner_product(to, to + m, with, 0.0);
        for (std::size_t i = 0; i < m; ++i) to[i] -= d * with[i];
      }
    const double size = std::sqrt(std::inner_product(to, to + m, to, 0.0));
    if (size < 0.5 / std::sqrt(static_cast<double>(m))) continue;
    for (std::size_t i = 0; i < m; ++i) to[i] /= size;
    return;
  }
}

// c1: matrices.
Status InferSvd(InferContext& ctx) {
  if (!ctx.ranked(0)) {
    for (int i = 0; i < 3; ++i) ctx.SetUnknownRank(i, ctx.dtype(0));
    return {};
  }
  if (ctx.rank(0) < 2) return ctx.Fail(1, "got " + ctx.type(0).to_string() + ", expected matrices [..., m, n]");
  std::vector<Dim> dims = ctx.shape(0).dims();
  const Dim m = dims[dims.size() - 2], n = dims.back(), k = Dim::min(m, n);
  dims.pop_back();
  dims.back() = k;
  ctx.Set(0, ctx.dtype(0), Shape(dims));
  dims.back() = m;
  dims.push_back(k);
  ctx.Set(1, ctx.dtype(0), Shape(dims));
  dims[dims.size() - 2] = n;
  ctx.Set(2, ctx.dtype(0), Shape(std::move(dims)));
  return {};
}
Status EvalSvd(EvalContext& ctx) {
  const Literal& x = ctx.in(0);
  std::vector<std::int64_t> dims = x.dims();
  const std::size_t m = Size(dims[dims.size() - 2]), n = Size(dims.back());
  const bool wide = n > m;  // then the transposed matrix is taken apart
  const std::size_t rows = wide ? n : m, k = wide ? m : n;
  const Doubles all = ToDoubles(x);
  const std::size_t count = all.empty() ? 0 : all.size() / (m * n);
  Doubles s, u, v;
  for (std::size_t c = 0; c < count; ++c) {
    if (!AllFinite(std::span(all).subspan(c * m * n, m * n))) {
      constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
      s.insert(s.end(), k, kNone);
      u.insert(u.end(), m * k, kNone);
      v.insert(v.end(), n * k, kNone);
      continue;
    }
    Doubles a(rows * k), turns(k * k, 0);
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t j = 0; j < k; ++j) a[j * rows + i] = all[c * m * n + (wide ? j * n + i : i * n + j)];
    for (std::size_t j = 0; j < k; ++j) turns[j * k + j] = 1;
    const int scale = TakeScale(a);
    Orthogonalize(a, turns, rows, k);
    Doubles size(k);
    for (std::size_t j = 0; j < k; ++j)
      size[j] = std::sqrt(std::inner_product(&a[j * rows], &a[j * rows] + rows, &a[j * rows], 0.0));
    const std::vector<std::size_t> order = Order(k, [&](std::size_t p, std::size_t q) { return size[p] > size[q]; });
    Doubles left(rows * k), right(k * k);
    for (std::size_t j = 0; j < k; ++j) {
      const std::size_t from = order[j];
      s.push_back(std::scalbn(size[from], scale));
      std::copy_n(&turns[from * k], k, &right[j * k]);
      if (size[from] > size[order[0]] * 1e-15) {
        for (std::size_t i = 0; i < rows; ++i) left[j * rows + i] = a[from * rows + i] / size[from];
      } else {
        Complete(left, rows, j);
      }
      const double sign = wide ? SignOf(&left[j * rows], rows) : SignOf(&right[j * k], k);
      for (std::size_t i = 0; i < rows; ++i) left[j * rows + i] *= sign;
      for (std::size_t i = 0; i < k; ++i) right[j * k + i] *= sign;
    }
    Doubles &tall = wide ? v : u, &square = wide ? u : v;
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t j = 0; j < k; ++j) tall.push_back(left[j * rows + i]);
    for (std::size_t i = 0; i < k; ++i)
      for (std::size_t j = 0; j < k; ++j) square.push_back(right[j * k + i]);
  }
  dims.pop_back();
  dims.back() = static_cast<std::int64_t>(k);
  ctx.Set(0, FromDoubles(x.dtype(), dims, s));
  dims.back() = static_cast<std::int64_t>(m);
  dims.push_back(static_cast<std::int64_t>(k));
  ctx.Set(1, FromDoubles(x.dtype(), dims, u));
  dims[dims.size() - 2] = static_cast<std::int64_t>(n);
  ctx.Set(2, FromDoubles(x.dtype(), std::move(dims), v));
  return {};
}

// c1: as above.
Status InferEigh(InferContext& ctx) {
  TENON_RETURN_IF_ERROR(CheckSquare(ctx));
  if (!ctx.ranked(0)) {
    ctx.SetUnknownRank(0, ctx.dtype(0));
  } else {
    std::vector<Dim> dims = ctx.shape(0).dims();
    dims.pop_back();
    ctx.Set(0, ctx.dtype(0), Shape(std::move(dims)));
  }
  ctx.Set(1, ctx.type(0));
  return {};
}
// Jacobi's turns that take one element beside the diagonal away after the other.
Status EvalEigh(EvalContext& ctx) {
  const Literal& x = ctx.in(0);
  std::vector<std::int64_t> dims = x.dims();
  const std::size_t n = Size(dims.back());
  const Doubles all = ToDoubles(x);
  Doubles values, vectors;
  for (std::size_t base = 0; base < all.size(); base += n * n) {
    Doubles a(n * n), v(n * n, 0);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j) a[i * n + j] = all[base + std::max(i, j) * n + std::min(i, j)];
    if (!AllFinite(a))
      return ctx.Fail("got a matrix with NaN or infinity in its lower triangle, expected finite numbers");
    for (std::size_t i = 0; i < n; ++i) v[i * n + i] = 1;
    const int scale = TakeScale(a);
    for (int sweep = 0; sweep < 60; ++sweep) {
      bool done = true;
      for (std::size_t p = 0; p + 1 < n; ++p)
        for (std::size_t q = p + 1; q < n; ++q) {
          const double cross = a[p * n + q];
          if (!(std::abs(cross) > 1e-300 + 1e-16 * std::sqrt(std::abs(a[p * n + p] * a[q * n + q])))) continue;
          if (!std::isfinite(cross)) continue;
          done = false;
          const double theta = (a[q * n + q] - a[p * n + p]) / (2 * cross);
          const double t = (theta >= 0 ? 1 : -1) / (std::abs(theta) + std::hypot(1.0, theta));
          const double c = 1 / std::hypot(1.0, t), s = c * t;
          for (std::size_t k = 0; k < n; ++k) {
            const double l = a[k * n + p], r = a[k * n + q];
            a[k * n + p] = c * l - s * r;
            a[k * n + q] = s * l + c * r;
          }
          for (std::size_t k = 0; k < n; ++k) {
            const double l = a[p * n + k], r = a[q * n + k], vl = v[p * n + k], vr = v[q * n + k];
            a[p * n + k] = c * l - s * r;
            a[q * n + k] = s * l + c * r;
            v[p * n + k] = c * vl - s * vr;
            v[q * n + k] = s * vl + c * vr;
          }
        }
      if (done) break;
    }
    const std::vector<std::size_t> order =
        Order(n, [&](std::size_t p, std::size_t q) { return a[p * n + p] < a[q * n + q]; });
    for (const std::size_t k : order) values.push_back(std::scalbn(a[k * n + k], scale));
    for (std::size_t i = 0; i < n; ++i)
      for (const std::size_t k : order) vectors.push_back(v[k * n + i] * SignOf(&v[k * n], n));
  }
  ctx.Set(1, FromDoubles(x.dtype(), dims, vectors));
  dims.pop_back();
  ctx.Set(0, FromDoubles(x.dtype(), std::move(dims), values));
  return {};
}

// ---- samples ----

Literal Positive() { return Values({2, 3, 3}, {4, 1, -1, 1, 3, 0.5, -1, 0.5, 2, 2, 0, 1, 0, 5, 2, 1, 2, 4}); }
Literal Right() { return Values({2, 3, 2}, {1, 2, 3, 4, 5, 6, -1, 0.5, 2, 0, 1, 1}); }
std::vector<Sample> CholeskySamples() {
  return {{.name = "batch", .inputs = {Positive()}},
          {.name = "one", .inputs = {Values({1, 1}, {9})}},
          {.name = "none", .inputs = {Random({0, 2, 2}, 1)}},
          {.name = "long", .inputs = {Random({2, 3}, 2)}, .error = "c1"}};
}
std::vector<Sample> TriangularSamples() {
  const auto attrs = [](bool lower, bool adjoint) { return Attrs{{"lower", lower}, {"adjoint", adjoint}}; };
  return {{.name = "lower", .inputs = {Positive(), Right()}, .attrs = attrs(true, false)},
          {.name = "upper", .inputs = {Positive(), Right()}, .attrs = attrs(false, false)},
          {.name = "adjoint", .inputs = {Positive(), Right()}, .attrs = attrs(true, true)},
          {.name = "none", .inputs = {Random({0, 2, 2}, 1), Random({0, 2, 3}, 1)}, .attrs = attrs(true, false)},
          {.name = "long", .inputs = {Random({2, 3}, 2), Random({2, 3}, 2)}, .error = "c1"},
          {.name = "rows", .inputs = {Random({2, 2}, 2), Random({3, 1}, 2)}, .error = "c2"}};
}
std::vector<Sample> SolveSamples() {
  return {{.name = "batch", .inputs = {Positive(), Right()}},
          {.name = "pivots", .inputs = {Values({2, 2}, {0, 1, 2, 3}), Values({2, 1}, {1, 2})}},
          {.name = "adjoint",
           .inputs = {Values({2, 2}, {0, 1, 2, 3}), Values({2, 1}, {1, 2})},
           .attrs = {{"adjoint", true}}},
          {.name = "none", .inputs = {Random({0, 2, 2}, 1), Random({0, 2, 3}, 1)}},
          {.name = "long", .inputs = {Random({2, 3}, 2), Random({2, 3}, 2)}, .error = "c1"},
          {.name = "rows", .inputs = {Random({2, 2}, 2), Random({3, 1}, 2)}, .error = "c2"}};
}
std::vector<Sample> EighSamples() {
  return {{.name = "batch", .inputs = {Positive()}},
          {.name = "lower", .inputs = {Values({2, 2}, {1, 99, 2, -2})}},
          {.name = "none", .inputs = {Random({0, 2, 2}, 1)}},
          {.name = "long", .inputs = {Random({2, 3}, 2)}, .error = "c1"}};
}
std::vector<Sample> SvdSamples() {
  return {{.name = "tall", .inputs = {Right()}},
          {.name = "wide", .inputs = {Values({2, 4}, {1, 2, 0, -1, 3, 0.5, 2, 1})}},
          {.name = "square", .inputs = {Positive()}},
          {.name = "none", .inputs = {Random({0, 2, 3}, 1)}},
          {.name = "vector", .inputs = {Random({3}, 2)}, .error = "c1"}};
}

constexpr Port kIn = {.name = "x", .dtypes = kFloatSet, .flags = kNotDifferentiable};
constexpr Port kMatrices = {.name = "a", .dtypes = kFloatSet, .flags = kNotDifferentiable, .doc = "[..., n, n]"};
constexpr Port kRight = {.name = "b", .dtypes = kFloatSet, .flags = kNotDifferentiable, .doc = "[..., n, m]"};
constexpr Port Out(std::string_view name, std::string_view doc = {}) {
  return {.name = name, .dtypes = kFloatSet, .flags = kNotDifferentiable, .doc = doc};
}

constinit const OpDef kOps[] = {
    {.name = "cholesky",
     .summary = "The lower triangles l with l l^T = x; only the lower triangle of x counts. A matrix that is not "
                "positive definite is an error of the run.",
     .inputs = {kIn},
     .outputs = {Out("y")},
     .traits = kAccumulates,
     .infer = InferCholesky,
     .eval = EvalCholesky,
     .samples = CholeskySamples},
    {.name = "triangular_solve",
     .summary = "x with a x = b (or a^T x = b), of a only one triangle.",
     .inputs = {kMatrices, kRight},
     .outputs = {Out("x")},
     .attrs = {BoolAttr("lower", true, "which triangle counts"), BoolAttr("adjoint", false, "a^T instead of a")},
     .traits = kAccumulates,
     .infer = InferSolve,
     .eval = EvalTriangularSolve,
     .samples = TriangularSamples},
    {.name = "matrix_solve",
     .summary = "x with a x = b (or a^T x = b); a singular a is an error of the run.",
     .inputs = {kMatrices, kRight},
     .outputs = {Out("x")},
     .attrs = {BoolAttr("adjoint", false, "a^T instead of a")},
     .traits = kAccumulates,
     .infer = InferSolve,
     .eval = EvalSolve,
     .samples = SolveSamples},
    {.name = "symmetric_eigen",
     .summary =
         "Eigenvalues in rising order and eigenvectors (columns) of symmetric matrices; only the lower triangle of "
         "x counts. NaN or infinity in it is an error of the run.",
     .inputs = {kIn},
     .outputs = {Out("values", "[..., n]"), Out("vectors", "[..., n, n]")},
     .traits = kAccumulates,
     .infer = InferEigh,
     .eval = EvalEigh,
     .samples = EighSamples},
    {.name = "singular_values",
     .summary = "x = u s v^T with the singular values s in falling order and orthonormal columns of u and v; all NaN "
                "for a matrix that holds NaN or infinity.",
     .inputs = {kIn},
     .outputs = {Out("s", "[..., k], k the smaller of m and n"), Out("u", "[..., m, k]"), Out("v", "[..., n, k]")},
     .traits = kAccumulates,
     .infer = InferSvd,
     .eval = EvalSvd,
     .samples = SvdSamples},
};

}  // namespace
extern const std::span<const OpDef> decomposition_ops;
constinit const std::span<const OpDef> decomposition_ops{kOps};
}  // namespace tenon::ir::ops
