// unique: every different element or slice once.
#include <algorithm>
#include <cmath>
#include <compare>
#include <map>
#include <numeric>

#include "ops/array_util.h"

namespace tenon::ir::ops {
namespace {

// c1: the axis is one of x.
Status InferUnique(InferContext& ctx) {
  const bool flat = !ctx.attrs().Has("axis");
  if (flat) {
    const Dim n = ctx.FreshDim();
    ctx.Set(0, ctx.dtype(0), {n});
    ctx.Set(1, DType::kI64, {n});
    ctx.Set(2, DType::kI64, {ctx.ranked(0) ? ctx.shape(0).size() : ctx.FreshDim()});
    ctx.Set(3, DType::kI64, {n});
    return {};
  }
  if (!ctx.ranked(0)) {
    ctx.SetUnknownRank(0, ctx.dtype(0));
    for (int i = 1; i < 4; ++i) ctx.Set(i, DType::kI64, {ctx.FreshDim()});
    return {};
  }
  TENON_ASSIGN_OR_RETURN(const int axis, ctx.Axis(ctx.attrs().Int("axis"), ctx.rank(0), 1));
  const Dim n = ctx.FreshDim();
  std::vector<Dim> dims = ctx.shape(0).dims();
  ctx.Set(2, DType::kI64, {dims[Size(axis)]});
  dims[Size(axis)] = n;
  ctx.Set(0, ctx.dtype(0), Shape(std::move(dims)));
  ctx.Set(1, DType::kI64, {n});
  ctx.Set(3, DType::kI64, {n});
  return {};
}

// Numbers in order, NaN last and equal to NaN.
int Order(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return (std::isnan(a) ? 1 : 0) - (std::isnan(b) ? 1 : 0);
  return a < b ? -1 : a > b ? 1 : 0;
}
template <class T>
int Order(const T& a, const T& b) {
  return a < b ? -1 : b < a ? 1 : 0;
}

// The slices of [outer, count, inner] along the middle, told apart by their elements.
struct Found {
  std::vector<std::int64_t> first, inverse, counts;
};
template <class T>
Found Search(const std::vector<T>& x, const Around& around, bool sorted) {
  const auto compare = [&](std::int64_t a, std::int64_t b) {
    for (std::int64_t o = 0; o < around.outer; ++o)
      for (std::int64_t k = 0; k < around.inner; ++k) {
        const int order = Order(x[Size((o * around.count + a) * around.inner + k)],
                                x[Size((o * around.count + b) * around.inner + k)]);
        if (order != 0) return order;
      }
    return 0;
  };
  std::vector<std::int64_t> places(Size(around.count));
  std::iota(places.begin(), places.end(), 0);
  std::stable_sort(places.begin(), places.end(), [&](std::int64_t a, std::int64_t b) { return compare(a, b) < 0; });
  std::vector<std::vector<std::int64_t>> groups;
  for (const std::int64_t at : places) {
    if (groups.empty() || compare(groups.back()[0], at) != 0) groups.emplace_back();
    groups.back().push_back(at);
  }
  if (!sorted) std::sort(groups.begin(), groups.end());  // by their first place
  Found found;
  found.inverse.resize(Size(around.count));
  for (std::size_t g = 0; g < groups.size(); ++g) {
    found.first.push_back(groups[g][0]);
    found.counts.push_back(static_cast<std::int64_t>(groups[g].size()));
    for (const std::int64_t at : groups[g]) found.inverse[Size(at)] = static_cast<std::int64_t>(g);
  }
  return found;
}

Status EvalUnique(EvalContext& ctx) {
  const bool flat = !ctx.attrs().Has("axis");
  const Literal x = flat ? ctx.in(0).reshaped({ctx.in(0).size()}) : ctx.in(0);
  const int axis = flat ? 0 : NormalAxis(ctx.attrs().Int("axis"), x.rank());
  const Around around = SplitAt(x.dims(), axis);
  const bool sorted = ctx.attrs().Bool("sorted");
  Found found;
  if (x.dtype() == DType::kString) {
    found = Search(x.strings(), around, sorted);
  } else {
    found = VisitWide(x.dtype(), [&](auto zero) {
      if constexpr (std::same_as<decltype(zero), std::complex<double>>)
        return Found();
      else
        return Search(LoadAs<decltype(zero)>(x), around, sorted);
    });
  }
  std::vector<std::int64_t> dims = x.dims(), from;
  dims[Size(axis)] = static_cast<std::int64_t>(found.first.size());
  for (std::int64_t o = 0; o < around.outer; ++o)
    for (const std::int64_t at : found.first)
      for (std::int64_t k = 0; k < around.inner; ++k) from.push_back((o * around.count + at) * around.inner + k);
  const auto vector = [](const std::vector<std::int64_t>& v) {
    return FromInts(DType::kI64, {static_cast<std::int64_t>(v.size())}, v);
  };
  ctx.Set(0, GatherElements(x, std::move(dims), from));
  ctx.Set(1, vector(found.first));
  ctx.Set(2, vector(found.inverse));
  ctx.Set(3, vector(found.counts));
  return {};
}

std::vector<Sample> UniqueSamples() {
  const Literal x = Values({6}, {2, 1, 1, 3, 4, 3});
  const std::pair<std::string_view, Attr> first{"axis", std::int64_t{0}}, last{"axis", std::int64_t{-1}};
  return {{.name = "sorted", .inputs = {x}},
          {.name = "in_order", .inputs = {x}, .attrs = {{"sorted", false}}},
          {.name = "flat", .inputs = {Ints({2, 2}, {3, 1, 3, 2})}},
          {.name = "rows", .inputs = {Values({3, 3}, {1, 0, 0, 1, 0, 0, 2, 3, 4})}, .attrs = {first}},
          {.name = "columns",
           .inputs = {Values({2, 4, 2}, {1, 1, 0, 1, 2, 1, 0, 1, 1, 1, 0, 1, 2, 1, 0, 1})},
           .attrs = {{"axis", std::int64_t{1}}}},
          {.name = "last", .inputs = {Values({3, 3}, {1, 0, 0, 1, 0, 0, 2, 3, 3})}, .attrs = {last}},
          {.name = "texts", .inputs = {Literal::from_strings({3}, {"b", "a", "b"})}},
          {.name = "empty", .inputs = {Random({0}, 1)}},
          {.name = "scalar", .inputs = {Values({}, {4})}},
          {.name = "bad_axis", .inputs = {x}, .attrs = {{"axis", std::int64_t{1}}}, .error = "c1"}};
}

constexpr Port Places(std::string_view name, std::string_view doc) {
  return {.name = name, .type = "I", .dtypes = Only(DType::kI64), .doc = doc};
}
constexpr DTypeSet kOrderedSet = kRealSet | kBoolSet | Only(DType::kString);

constinit const OpDef kOps[] = {
    {.name = "unique",
     .summary = "Every different element of x once (with an axis: every different slice along it), in order or as "
                "first seen; NaN is one element and the last. How many there are only the run knows.",
     .inputs = {{.name = "x", .dtypes = kOrderedSet, .flags = kNotDifferentiable}},
     .outputs = {{.name = "values", .dtypes = kOrderedSet},
                 Places("first", "where each value stands first"),
                 Places("inverse", "for each element of x its place in `values`"),
                 Places("counts", "how often each value occurs")},
     .attrs = {Absent("axis", AttrKind::kInt, "absent: the elements of x in row-major order"),
               BoolAttr("sorted", true, "false: in the order of their first occurrence")},
     .traits = kDiscrete | kExact,
     .infer = InferUnique,
     .eval = EvalUnique,
     .samples = UniqueSamples,
     .names = {.onnx = "Unique"}},
};

}  // namespace
extern const std::span<const OpDef> unique_ops;
constinit const std::span<const OpDef> unique_ops{kOps};
}  // namespace tenon::ir::ops
