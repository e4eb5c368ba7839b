// Products that contract axes.
#include <algorithm>

#include "ops/array_util.h"

namespace tenon::ir::ops {
namespace {

using Longs = std::vector<std::int64_t>;

// The axes of one operand of dot_general, as 0..rank-1.
struct Roles {
  std::vector<int> contract, batch, free;
};
Roles RolesOf(const Longs& contract, const Longs& batch, int rank) {
  Roles r = {NormalAxes(contract, rank, false), NormalAxes(batch, rank, false), {}};
  const auto in = [](const std::vector<int>& list, int i) {
    return std::find(list.begin(), list.end(), i) != list.end();
  };
  for (int i = 0; i < rank; ++i)
    if (!in(r.contract, i) && !in(r.batch, i)) r.free.push_back(i);
  return r;
}

// c1: each axis of an operand in range and in one list, once. c2: the lists of both sides are as long.
// c3: paired dims are equal.
Status InferDotGeneral(InferContext& ctx) {
  const Attrs& a = ctx.attrs();
  const Longs contract[2] = {a.Ints("lhs_contract"), a.Ints("rhs_contract")};
  const Longs batch[2] = {a.Ints("lhs_batch"), a.Ints("rhs_batch")};
  if (contract[0].size() != contract[1].size() || batch[0].size() != batch[1].size())
    return ctx.Fail(2, "got lists of axes of different lengths for the two sides");
  Roles roles[2];
  for (int i = 0; i < 2; ++i) {
    if (!ctx.ranked(i)) continue;
    Longs both = contract[i];
    both.insert(both.end(), batch[i].begin(), batch[i].end());
    TENON_RETURN_IF_ERROR(ctx.Axes(both, ctx.rank(i), 1, false));
    roles[i] = RolesOf(contract[i], batch[i], ctx.rank(i));
  }
  if (!ctx.ranked(0) || !ctx.ranked(1)) {
    ctx.SetUnknownRank(0, ctx.dtype(0));
    return {};
  }
  const Shape &x = ctx.shape(0), &y = ctx.shape(1);
  for (std::size_t i = 0; i < contract[0].size(); ++i)
    if (Differ(x[roles[0].contract[i]], y[roles[1].contract[i]]))
      return ctx.Fail(3, "got " + x.to_string() + " and " + y.to_string() + ", whose contracted dims differ: axis " +
                             std::to_string(roles[0].contract[i]) + " against axis " +
                             std::to_string(roles[1].contract[i]));
  std::vector<Dim> dims;
  for (std::size_t i = 0; i < batch[0].size(); ++i) {
    const Dim &p = x[roles[0].batch[i]], &q = y[roles[1].batch[i]];
    if (Differ(p, q))
      return ctx.Fail(3, "got " + x.to_string() + " and " + y.to_string() + ", whose batch dims differ");
    dims.push_back(Merge(p, q));
  }
  for (const int axis : roles[0].free) dims.push_back(x[axis]);
  for (const int axis : roles[1].free) dims.push_back(y[axis]);
  ctx.Set(0, ctx.dtype(0), Shape(std::move(dims)));
  return {};
}

// The flat offsets of every combination of those axes, the last one fastest.
Longs Offsets(std::span<const std::int64_t> dims, const std::vector<int>& axes) {
  const Longs strides = Strides(dims);
  Longs out = {0};
  for (const int axis : axes) {
    Longs next;
    for (const std::int64_t base : out)
      for (std::int64_t i = 0; i < dims[static_cast<std::size_t>(axis)]; ++i)
        next.push_back(base + i * strides[static_cast<std::size_t>(axis)]);
    out = std::move(next);
  }
  return out;
}

// out[b, i, j] = sum over k of x[b, i, k] * y[b, j, k], each list of offsets into its operand.
struct Gemm {
  Longs x_batch, x_free, x_contract, y_batch, y_free, y_contract;
};
void EvalGemm(EvalContext& ctx, const Gemm& g) {
  VisitWide(ctx.out_dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::vector<T> x = LoadAs<T>(ctx.in(0)), y = LoadAs<T>(ctx.in(1));
    std::vector<T> out;
    out.reserve(g.x_batch.size() * g.x_free.size() * g.y_free.size());
    for (std::size_t b = 0; b < g.x_batch.size(); ++b)
      for (const std::int64_t i : g.x_free)
        for (const std::int64_t j : g.y_free) {
          T sum = zero;
          for (std::size_t k = 0; k < g.x_contract.size(); ++k)
            sum = Plus(sum,
                       Times(x[Size(g.x_batch[b] + i + g.x_contract[k])], y[Size(g.y_batch[b] + j + g.y_contract[k])]));
          out.push_back(sum);
        }
    ctx.Set(0, StoreAs<T>(ctx.out_dtype(), ctx.out_dims(), out));
  });
}
Status EvalDotGeneral(EvalContext& ctx) {
  const Attrs& a = ctx.attrs();
  const Literal &x = ctx.in(0), &y = ctx.in(1);
  const Roles p = RolesOf(a.Ints("lhs_contract"), a.Ints("lhs_batch"), x.rank());
  const Roles q = RolesOf(a.Ints("rhs_contract"), a.Ints("rhs_batch"), y.rank());
  EvalGemm(ctx, {Offsets(x.dims(), p.batch), Offsets(x.dims(), p.free), Offsets(x.dims(), p.contract),
                 Offsets(y.dims(), q.batch), Offsets(y.dims(), q.free), Offsets(y.dims(), q.contract)});
  return {};
}

// The gradient of one side. The cotangent's axes are [batch, lhs free, rhs free]; contracting the other side's free
// axes leaves [batch, own free, other's contracted axes in the other's order], which is then put into its own order.
Ex DotGradient(GradContext& ctx, int side, const Roles& own, const Roles& other, int first_other) {
  const auto iota = [](int from, std::size_t n) {
    Longs v(n);
    for (std::size_t i = 0; i < n; ++i) v[i] = from + static_cast<std::int64_t>(i);
    return v;
  };
  const auto wide = [](const std::vector<int>& v) { return Longs(v.begin(), v.end()); };
  const Ex d = Op("dot_general", ctx.d(), ctx.in(1 - side),
                  {{"lhs_contract", iota(first_other, other.free.size())},
                   {"rhs_contract", wide(other.free)},
                   {"lhs_batch", iota(0, own.batch.size())},
                   {"rhs_batch", wide(other.batch)}});
  // position[axis of own] in d
  const std::size_t rank = own.batch.size() + own.free.size() + own.contract.size();
  Longs position(rank);
  std::size_t at = 0;
  for (const int axis : own.batch) position[static_cast<std::size_t>(axis)] = static_cast<std::int64_t>(at++);
  for (const int axis : own.free) position[static_cast<std::size_t>(axis)] = static_cast<std::int64_t>(at++);
  std::vector<std::pair<int, int>> pairs;  // the other's contracted axis, ours
  for (std::size_t i = 0; i < own.contract.size(); ++i) pairs.emplace_back(other.contract[i], own.contract[i]);
  std::sort(pairs.begin(), pairs.end());
  for (const auto& [theirs, ours] : pairs) position[static_cast<std::size_t>(ours)] = static_cast<std::int64_t>(at++);
  return std::is_sorted(position.begin(), position.end()) ? d : ctx.b(ctx.b.Transpose(d, std::move(position)));
}
Status GradDotGeneral(GradContext& ctx) {
  Builder& b = ctx.b;
  if (!b.ranked(ctx.in(0)) || !b.ranked(ctx.in(1)))
    return Status(Code::kFailedPrecondition, "dot_general: the gradient needs the rank of both inputs");
  const Attrs& a = ctx.attrs();
  const Roles x = RolesOf(a.Ints("lhs_contract"), a.Ints("lhs_batch"), b.shape(ctx.in(0)).rank());
  const Roles y = RolesOf(a.Ints("rhs_contract"), a.Ints("rhs_batch"), b.shape(ctx.in(1)).rank());
  const int batch = static_cast<int>(x.batch.size());
  if (ctx.wants(0)) ctx.Set(0, DotGradient(ctx, 0, x, y, batch + static_cast<int>(x.free.size())));
  if (ctx.wants(1)) ctx.Set(1, DotGradient(ctx, 1, y, x, batch));
  return {};
}

// c1: rank at least 1. c2: the inner dims agree. c3: the batch dims broadcast.
Status InferMatmul(InferContext& ctx) {
  if ((ctx.ranked(0) && ctx.rank(0) == 0) || (ctx.ranked(1) && ctx.rank(1) == 0))
    return ctx.Fail(1, "got a scalar, expected rank 1 or more");
  if (!ctx.ranked(0) || !ctx.ranked(1)) {
    ctx.SetUnknownRank(0, ctx.dtype(0));
    return {};
  }
  const Shape &x = ctx.shape(0), &y = ctx.shape(1);
  const bool tx = x.rank() > 1 && ctx.attrs().Bool("transpose_x"), ty = y.rank() > 1 && ctx.attrs().Bool("transpose_y");
  const Dim& k0 = tx ? x[-2] : x[-1];
  const Dim& k1 = y.rank() == 1 || ty ? y[-1] : y[-2];
  if (Differ(k0, k1))
    return ctx.Fail(2, "got " + x.to_string() + (tx ? " (transposed)" : "") + " and " + y.to_string() +
                           (ty ? " (transposed)" : "") + ", expected the same inner dim");
  const auto batch = [](const Shape& s) {
    return Shape(std::vector<Dim>(s.dims().begin(), s.dims().end() - std::min(s.rank(), 2)));
  };
  const std::optional<Shape> joined = BroadcastShapes(batch(x), batch(y));
  if (!joined)
    return ctx.Fail(3, "got " + x.to_string() + " and " + y.to_string() + ", whose batch dims do not broadcast");
  std::vector<Dim> dims = joined->dims();
  if (x.rank() > 1) dims.push_back(tx ? x[-1] : x[-2]);
  if (y.rank() > 1) dims.push_back(ty ? y[-2] : y[-1]);
  ctx.Set(0, ctx.dtype(0), Shape(std::move(dims)));
  return {};
}
Status EvalMatmul(EvalContext& ctx) {
  const Literal &x = ctx.in(0), &y = ctx.in(1);
  const bool tx = x.rank() > 1 && ctx.attrs().Bool("transpose_x"), ty = y.rank() > 1 && ctx.attrs().Bool("transpose_y");
  Longs batch = ctx.out_dims();
  batch.resize(batch.size() - (x.rank() > 1) - (y.rank() > 1));
  const auto side = [&](const Literal& v, int contract, Longs& batches, Longs& free, Longs& inner) {
    const int rank = v.rank(), matrix = std::min(rank, 2);
    inner = Offsets(v.dims(), {contract});
    free = rank > 1 ? Offsets(v.dims(), {2 * rank - 3 - contract}) : Longs{0};  // the other of the last two axes
    const std::span<const std::int64_t> lead(v.dims().data(), Size(rank - matrix));
    batches = BroadcastIndices(lead, batch);
    const std::int64_t step = Product(std::span(v.dims()).subspan(lead.size()));
    for (std::int64_t& b : batches) b *= step;
  };
  Gemm g;
  side(x, tx ? x.rank() - 2 : x.rank() - 1, g.x_batch, g.x_free, g.x_contract);
  side(y, y.rank() == 1 || ty ? y.rank() - 1 : y.rank() - 2, g.y_batch, g.y_free, g.y_contract);
  EvalGemm(ctx, g);
  return {};
}

Ex Mat(Ex x, Ex y, bool transpose_x, bool transpose_y) {
  return Op("matmul", x, y, {{"transpose_x", transpose_x}, {"transpose_y", transpose_y}});
}
Status GradMatmul(GradContext& ctx) {
  Builder& b = ctx.b;
  if (!b.ranked(ctx.in(0)) || !b.ranked(ctx.in(1)))
    return Status(Code::kFailedPrecondition, "matmul: the gradient needs the rank of both inputs");
  Ex x = ctx.in(0), y = ctx.in(1), d = ctx.d();
  const int x_rank = b.shape(x).rank(), y_rank = b.shape(y).rank();
  const bool tx = x_rank > 1 && ctx.attrs().Bool("transpose_x"), ty = y_rank > 1 && ctx.attrs().Bool("transpose_y");
  // As matrices: a vector is a row on the left and a column on the right.
  if (y_rank == 1) y = ExpandDims(y, {1}), d = ExpandDims(d, {-1});
  if (x_rank == 1) x = ExpandDims(x, {0}), d = ExpandDims(d, {-2});
  if (!b.ok()) return b.status();
  if (ctx.wants(0)) {
    Ex dx = tx ? Mat(y, d, ty, true) : Mat(d, y, false, !ty);
    dx = b(b.SumLike(dx, x));
    ctx.Set(0, x_rank == 1 ? Squeeze(dx, {0}) : dx);
  }
  if (ctx.wants(1)) {
    Ex dy;
    if (b.shape(y).rank() == 2 && x_rank > 2 && !tx) {  // one product over all rows, no sum of a batch of products
      Longs rows(static_cast<std::size_t>(x_rank - 1));
      for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<std::int64_t>(i);
      dy = Op("dot_general", ty ? d : x, ty ? x : d, {{"lhs_contract", rows}, {"rhs_contract", rows}});
    } else {
      dy = ty ? Mat(d, x, true, tx) : Mat(x, d, !tx, false);
      dy = b(b.SumLike(dy, y));
    }
    ctx.Set(1, y_rank == 1 ? Squeeze(dy, {1}) : dy);
  }
  return {};
}
Status LowerMatmul(LowerContext& ctx) {
  Builder& b = ctx.b;
  Ex x = ctx.in(0), y = ctx.in(1);
  if (!b.ranked(x) || !b.ranked(y))
    return Status(Code::kFailedPrecondition, "matmul: the rank of its inputs is not known, it cannot be lowered");
  const int x_rank = b.shape(x).rank(), y_rank = b.shape(y).rank();
  const bool tx = x_rank > 1 && ctx.attrs().Bool("transpose_x"), ty = y_rank > 1 && ctx.attrs().Bool("transpose_y");
  const int x_matrix = std::min(x_rank, 2), y_matrix = std::min(y_rank, 2);
  const int x_batch = x_rank - x_matrix;
  int batch = 0;  // axes that both sides have after broadcasting; none when y is one matrix
  if (y_rank > 2) {
    const auto lead = [&](Ex v, int matrix) {
      return Shape(std::vector<Dim>(b.shape(v).dims().begin(), b.shape(v).dims().end() - matrix));
    };
    const Shape joined = BroadcastShapes(lead(x, x_matrix), lead(y, y_matrix)).value_or(Shape());
    batch = joined.rank();
    const auto spread = [&](Ex v, int matrix) {
      std::vector<Dim> dims = joined.dims();
      dims.insert(dims.end(), b.shape(v).dims().end() - matrix, b.shape(v).dims().end());
      return b.shape(v) == Shape(dims) ? v : Op("broadcast_to", v, {{"dims", Shape(dims)}});
    };
    x = spread(x, x_matrix);
    y = spread(y, y_matrix);
  }
  Longs axes(static_cast<std::size_t>(batch));
  for (std::size_t i = 0; i < axes.size(); ++i) axes[i] = static_cast<std::int64_t>(i);
  const int x_lead = y_rank > 2 ? batch : x_batch;
  const std::int64_t x_contract = x_lead + (x_rank > 1 && !tx ? 1 : 0);
  const std::int64_t y_contract = batch + (y_rank > 1 && ty ? 1 : 0);
  Ex out = Op("dot_general", x, y,
              {{"lhs_contract", Longs{x_contract}},
               {"rhs_contract", Longs{y_contract}},
               {"lhs_batch", axes},
               {"rhs_batch", axes}});
  ctx.Set(0, out);
  return {};
}

std::vector<Sample> DotGeneralSamples() {
  const auto attrs = [](Longs lc, Longs rc, Longs lb, Longs rb) {
    return Attrs{{"lhs_contract", std::move(lc)},
                 {"rhs_contract", std::move(rc)},
                 {"lhs_batch", std::move(lb)},
                 {"rhs_batch", std::move(rb)}};
  };
  return {{.name = "matrices", .inputs = {Random({2, 3}, 1), Random({3, 4}, 2)}, .attrs = attrs({1}, {0}, {}, {})},
          {.name = "outer", .inputs = {Random({2}, 3), Random({3}, 4)}},
          {.name = "inner", .inputs = {Random({3}, 5), Random({3}, 6)}, .attrs = attrs({0}, {0}, {}, {})},
          {.name = "batch",
           .inputs = {Random({3, 2, 4}, 7), Random({4, 5, 2}, 8)},
           .attrs = attrs({0}, {-2}, {}, {}),
           .error = "c3"},
          {.name = "batch_unordered",
           .inputs = {Random({3, 2, 4}, 7), Random({4, 5, 2}, 8)},
           .attrs = attrs({-1}, {0}, {1}, {2})},
          {.name = "two_contracted",
           .inputs = {Random({3, 2, 4}, 9), Random({2, 5, 3}, 10)},
           .attrs = attrs({0, 1}, {2, 0}, {}, {})},
          {.name = "two_batch",
           .inputs = {Random({3, 2, 4}, 11), Random({2, 3, 4}, 12)},
           .attrs = attrs({2}, {2}, {0, 1}, {1, 0})},
          {.name = "scalars", .inputs = {Random({}, 13), Random({}, 14)}},
          {.name = "empty_inner", .inputs = {Random({2, 0}, 15), Random({0, 3}, 16)}, .attrs = attrs({1}, {0}, {}, {})},
          {.name = "empty", .inputs = {Random({0, 2}, 17), Random({2, 3}, 18)}, .attrs = attrs({1}, {0}, {}, {})},
          {.name = "long",
           .inputs = {Random({3, 300}, 19), Random({300, 2}, 20)},
           .attrs = attrs({1}, {0}, {}, {}),
           .gradient = false},
          {.name = "twice",
           .inputs = {Random({2, 2}, 21), Random({2, 2}, 22)},
           .attrs = attrs({0}, {0}, {0}, {1}),
           .error = "c1"},
          {.name = "lengths",
           .inputs = {Random({2, 2}, 23), Random({2, 2}, 24)},
           .attrs = attrs({0, 1}, {0}, {}, {}),
           .error = "c2"},
          {.name = "mismatch",
           .inputs = {Random({2, 3}, 25), Random({4, 2}, 26)},
           .attrs = attrs({1}, {0}, {}, {}),
           .error = "c3"}};
}
std::vector<Sample> MatmulSamples() {
  const auto attrs = [](bool x, bool y) { return Attrs{{"transpose_x", x}, {"transpose_y", y}}; };
  return {
      {.name = "matrices", .inputs = {Random({2, 3}, 1), Random({3, 4}, 2)}},
      {.name = "transpose_x", .inputs = {Random({3, 2}, 3), Random({3, 4}, 4)}, .attrs = attrs(true, false)},
      {.name = "transpose_y", .inputs = {Random({2, 3}, 5), Random({4, 3}, 6)}, .attrs = attrs(false, true)},
      {.name = "transpose_both", .inputs = {Random({3, 2}, 7), Random({4, 3}, 8)}, .attrs = attrs(true, true)},
      {.name = "vectors", .inputs = {Random({3}, 9), Random({3}, 10)}},
      {.name = "vector_matrix", .inputs = {Random({3}, 11), Random({2, 3, 4}, 12)}},
      {.name = "matrix_vector", .inputs = {Random({2, 2, 3}, 13), Random({3}, 14)}},
      {.name = "batch", .inputs = {Random({2, 2, 3}, 15), Random({2, 3, 4}, 16)}},
      {.name = "batch_broadcast", .inputs = {Random({2, 1, 2, 3}, 17), Random({3, 3, 2}, 18)}},
      {.name = "batch_transposed",
       .inputs = {Random({2, 1, 3, 2}, 19), Random({3, 2, 3}, 20)},
       .attrs = attrs(true, true)},
      {.name = "rows_by_matrix", .inputs = {Random({2, 2, 3}, 21), Random({3, 4}, 22)}},
      {.name = "rows_by_transposed",
       .inputs = {Random({2, 2, 3}, 21), Random({4, 3}, 22)},
       .attrs = attrs(false, true)},
      {.name = "columns_by_matrix", .inputs = {Random({2, 3, 2}, 21), Random({3, 4}, 22)}, .attrs = attrs(true, false)},
      {.name = "matrix_by_batch", .inputs = {Random({2, 3}, 23), Random({2, 3, 4}, 24)}},
      {.name = "empty_inner", .inputs = {Random({2, 0}, 25), Random({0, 3}, 26)}},
      {.name = "empty_batch", .inputs = {Random({0, 2, 3}, 27), Random({3, 2}, 28)}},
      {.name = "long", .inputs = {Random({3, 300}, 29), Random({300, 2}, 30)}, .gradient = false},
      {.name = "scalar", .inputs = {Random({}, 31), Random({3}, 32)}, .error = "c1"},
      {.name = "mismatch", .inputs = {Random({2, 3}, 33), Random({2, 3}, 34)}, .error = "c2"},
      {.name = "batches", .inputs = {Random({2, 1, 3}, 35), Random({3, 3, 1}, 36)}, .error = "c3"}};
}

constinit const OpDef kOps[] = {
    {.name = "dot_general",
     .summary = "Sum of products over paired contracted axes, for each index of paired batch axes. Result axes: batch, "
                "x free, y free.",
     .inputs = {{.name = "x"}, {.name = "y"}},
     .outputs = {{.name = "z"}},
     .attrs = {IntsAttr("lhs_contract", "contracted axes of x"),
               IntsAttr("rhs_contract", "contracted axes of y, in the same order"),
               IntsAttr("lhs_batch", "batch axes of x"), IntsAttr("rhs_batch", "batch axes of y, in the same order")},
     .traits = kAccumulates,
     .infer = InferDotGeneral,
     .eval = EvalDotGeneral,
     .grad = GradDotGeneral,
     .samples = DotGeneralSamples},
    {.name = "matmul",
     .summary = "Matrix product of the last two axes with NumPy's broadcasting of the others; a vector is a row on the "
                "left, a column on the right.",
     .inputs = {{.name = "x"}, {.name = "y"}},
     .outputs = {{.name = "z"}},
     .attrs = {BoolAttr("transpose_x", false, "swap the last two axes of x first (no effect on a vector)"),
               BoolAttr("transpose_y", false, "swap the last two axes of y first (no effect on a vector)")},
     .traits = kAccumulates,
     .infer = InferMatmul,
     .eval = EvalMatmul,
     .grad = GradMatmul,
     .lower = LowerMatmul,
     .samples = MatmulSamples,
     .names = {.onnx = "MatMul", .tf = "MatMul transpose_a=transpose_x transpose_b=transpose_y"}},
};

}  // namespace
extern const std::span<const OpDef> dot_ops;
constinit const std::span<const OpDef> dot_ops{kOps};
}  // namespace tenon::ir::ops
