// scatter_nd: writing at index tuples. (Adding is scatter_nd_add, in index.cc.)
#include <cmath>

#include "ops/array_util.h"

namespace tenon::ir::ops {
namespace {

using Longs = std::vector<std::int64_t>;

// c1: indices have a last axis. c2: its size is at most the rank of x. c3: the updates have the dims of what
// gather_nd would read. c4: the reduction is known.
Status InferScatterNd(InferContext& ctx) {
  const std::string& reduction = ctx.attrs().String("reduction");
  if (reduction != "none" && reduction != "multiply" && reduction != "maximum" && reduction != "minimum")
    return ctx.Fail(4, "got reduction \"" + reduction + "\", expected none, multiply, maximum or minimum");
  if (ctx.ranked(1)) {
    const Shape& indices = ctx.shape(1);
    if (indices.rank() == 0) return ctx.Fail(1, "got a scalar of indices, expected at least one axis");
    if (indices[-1].is_symbolic()) return InferSameAsFirst(ctx);
    const std::int64_t depth = indices[-1].value();
    if (ctx.ranked(0)) {
      const Shape& x = ctx.shape(0);
      if (depth > x.rank())
        return ctx.Fail(2, "got index tuples of " + std::to_string(depth) + " for rank " + std::to_string(x.rank()));
      std::vector<Dim> want(indices.dims().begin(), indices.dims().end() - 1);
      want.insert(want.end(), x.dims().begin() + depth, x.dims().end());
      const auto wrong = [&] {
        return ctx.Fail(3, "got updates " + ctx.shape(2).to_string() + ", expected " + Shape(want).to_string());
      };
      if (ctx.ranked(2)) {
        if (ctx.rank(2) != static_cast<int>(want.size())) return wrong();
        for (std::size_t i = 0; i < want.size(); ++i)
          if (Differ(ctx.shape(2).dims()[i], want[i])) return wrong();
      }
    }
  }
  return InferSameAsFirst(ctx);
}

// The first element that each tuple means, and how many follow.
struct Places {
  Longs first;
  std::int64_t block = 1;
};
Result<Places> FindPlaces(EvalContext& ctx) {
  const Longs &dims = ctx.in(0).dims(), &tuple_dims = ctx.in(1).dims();
  const auto depth = static_cast<std::size_t>(tuple_dims.back());
  const Longs steps = Strides(dims), indices = ToInts(ctx.in(1));
  Places places;
  for (std::size_t i = depth; i < dims.size(); ++i) places.block *= dims[i];
  const std::int64_t count = Product(std::span(tuple_dims).first(tuple_dims.size() - 1));
  for (std::int64_t n = 0; n < count; ++n) {
    std::int64_t at = 0;
    for (std::size_t i = 0; i < depth; ++i) {
      const std::int64_t index = indices[Size(n) * depth + i];
      if (index < -dims[i] || index >= dims[i])
        return ctx.Fail("got index " + std::to_string(index) + " for " + std::to_string(dims[i]) + " elements");
      at += (index < 0 ? index + dims[i] : index) * steps[i];
    }
    places.first.push_back(at);
  }
  return places;
}

Status EvalScatterNd(EvalContext& ctx) {
  TENON_ASSIGN_OR_RETURN(const Places places, FindPlaces(ctx));
  const Literal &x = ctx.in(0), &updates = ctx.in(2);
  const std::string& reduction = ctx.attrs().String("reduction");
  if (x.dtype() == DType::kString) {
    if (reduction != "none") return ctx.Fail("strings have no reduction \"" + reduction + "\"");
    Literal out = x;
    for (std::size_t n = 0; n < places.first.size(); ++n)
      for (std::int64_t i = 0; i < places.block; ++i)
        out.mutable_strings()[Size(places.first[n] + i)] = updates.strings()[n * Size(places.block) + Size(i)];
    ctx.Set(0, std::move(out));
    return {};
  }
  return VisitWide(x.dtype(), [&](auto zero) -> Status {
    using T = decltype(zero);
    std::vector<T> out = LoadAs<T>(x);
    const std::vector<T> news = LoadAs<T>(updates);
    for (std::size_t n = 0; n < places.first.size(); ++n)
      for (std::int64_t i = 0; i < places.block; ++i) {
        T& old = out[Size(places.first[n] + i)];
        const T value = news[n * Size(places.block) + Size(i)];
        if (reduction == "none") {
          old = value;
        } else if (reduction == "multiply") {
          old = Times(old, value);
        } else if constexpr (!std::same_as<T, std::complex<double>>) {
          bool better = reduction == "maximum" ? value > old : value < old;
          if constexpr (std::same_as<T, double>) better = better || std::isnan(value);  // NaN wins
          if (better) old = value;
        } else {
          return ctx.Fail("complex numbers have no order");
        }
      }
    ctx.Set(0, StoreAs<T>(x.dtype(), x.dims(), out));
    return Status();
  });
}

// Of repeated tuples each update gets the gradient, though only the last one was written.
Status GradScatterNd(GradContext& ctx) {
  if (ctx.attrs().String("reduction") != "none")
    return Status(Code::kUnimplemented,
                  "scatter_nd: no gradient for reduction \"" + ctx.attrs().String("reduction") + "\"");
  Builder& b = ctx.b;
  if (ctx.wants(0)) ctx.Set(0, b.Add("scatter_nd", {ctx.d(), ctx.in(1), b.ZerosLike(ctx.in(2))}));
  if (ctx.wants(2)) ctx.Set(2, b.Add("gather_nd", {ctx.d(), ctx.in(1)}));
  return {};
}

std::vector<Sample> ScatterNdSamples() {
  const Literal x = Random({3, 2}, 1);
  const auto reduce = [&](const char* name) {
    return Sample{.name = name,
                  .inputs = {x, Ints({3, 2}, {0, 1, -1, 0, 0, 1}), Random({3}, 2)},
                  .attrs = {{"reduction", std::string(name)}},
                  .gradient = false};
  };
  return {{.name = "elements", .inputs = {x, Ints({3, 2}, {0, 1, -1, 0, 1, 1}), Random({3}, 2)}},
          {.name = "rows", .inputs = {x, Ints({2, 1}, {2, 0}), Random({2, 2}, 3)}},
          {.name = "last_wins", .inputs = {x, Ints({2, 1}, {2, 2}), Random({2, 2}, 4)}, .gradient = false},
          {.name = "whole", .inputs = {x, Ints({0}, {}), Random({3, 2}, 5)}},
          {.name = "nothing", .inputs = {x, Ints({0, 1}, {}), Random({0, 2}, 6)}},
          {.name = "integers", .inputs = {Ints({3}, {1, 2, 3}), Ints({1, 1}, {1}), Ints({1}, {9})}},
          reduce("multiply"),
          reduce("maximum"),
          reduce("minimum"),
          {.name = "scalar", .inputs = {x, Ints({}, {0}), Random({}, 7)}, .error = "c1"},
          {.name = "deep", .inputs = {x, Ints({1, 3}, {0, 0, 0}), Random({1}, 8)}, .error = "c2"},
          {.name = "updates", .inputs = {x, Ints({1, 1}, {0}), Random({1, 3}, 9)}, .error = "c3"},
          {.name = "unknown",
           .inputs = {x, Ints({1, 1}, {0}), Random({1, 2}, 10)},
           .attrs = {{"reduction", "mean"}},
           .error = "c4"}};
}

constinit const OpDef kOps[] = {
    {.name = "scatter_nd",
     .summary = "x with updates written at index tuples in order, so that of repeats the last stays; or each joined "
                "with what is there.",
     .inputs = {{.name = "x", .dtypes = kAnySet},
                {.name = "indices",
                 .type = "I",
                 .dtypes = kIndexSet,
                 .flags = kNotDifferentiable,
                 .doc = "[…, k], k at most the rank of x"},
                {.name = "updates", .dtypes = kAnySet, .doc = "dims of what gather_nd would read"}},
     .outputs = {{.name = "y", .dtypes = kAnySet}},
     .attrs = {StringAttr("reduction", "none", "none, multiply, maximum or minimum")},
     .traits = kExact | kInPlace,
     .infer = InferScatterNd,
     .eval = EvalScatterNd,
     .grad = GradScatterNd,
     .samples = ScatterNdSamples,
     .names = {.tf = "TensorScatterUpdate"}},
};

}  // namespace
extern const std::span<const OpDef> scatter_ops;
constinit const std::span<const OpDef> scatter_ops{kOps};
}  // namespace tenon::ir::ops
