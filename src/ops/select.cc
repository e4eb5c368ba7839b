// Elementwise choice between values: select and clip.
#include <cmath>

#include "ops/binary.h"

namespace tenon::ir::ops {
namespace {

Status EvalSelect(EvalContext& ctx) {
  const std::vector<std::int64_t> dims = ctx.out_dims();
  const Literal &condition = ctx.in(0), &x = ctx.in(1), &y = ctx.in(2);
  const std::vector<std::int64_t> ci = BroadcastIndices(condition.dims(), dims);
  std::vector<std::int64_t> xi = BroadcastIndices(x.dims(), dims), yi = BroadcastIndices(y.dims(), dims);
  const std::span<const bool> c = condition.data<bool>();
  // Both sides side by side, then one gather: works for every dtype, strings too.
  const Literal wide_x = GatherElements(x, dims, xi), wide_y = GatherElements(y, dims, yi);
  Literal out(x.dtype(), dims);
  if (x.dtype() == DType::kString) {
    for (std::size_t k = 0; k < ci.size(); ++k)
      out.mutable_strings()[k] = (c[static_cast<std::size_t>(ci[k])] ? wide_x : wide_y).strings()[k];
  } else {
    const auto bytes = static_cast<std::size_t>(dtype_bits(x.dtype()) / 8);
    const std::span<std::byte> target = out.mutable_raw();
    for (std::size_t k = 0; k < ci.size(); ++k) {
      const std::span<const std::byte> from = (c[static_cast<std::size_t>(ci[k])] ? wide_x : wide_y).raw();
      for (std::size_t j = 0; j < bytes; ++j) target[k * bytes + j] = from[k * bytes + j];
    }
  }
  ctx.Set(0, std::move(out));
  return {};
}

Status GradSelect(GradContext& ctx) {
  const Ex c = ctx.in(0), d = ctx.d(), zeros = ctx.b(ctx.b.ZerosLike(d));
  if (ctx.wants(1)) ctx.Set(1, ctx.b.SumLike(Select(c, d, zeros), ctx.in(1)));
  if (ctx.wants(2)) ctx.Set(2, ctx.b.SumLike(Select(c, zeros, d), ctx.in(2)));
  return {};
}

std::vector<Sample> SelectSamples() {
  return {
      {.name = "basic", .inputs = {Bools({2, 2}, {true, false, false, true}), Random({2, 2}, 1), Random({2, 2}, 2)}},
      {.name = "row", .inputs = {Bools({2, 1}, {true, false}), Random({2, 3}, 3), Random({3}, 4)}},
      {.name = "condition_widens", .inputs = {Bools({3, 1}, {true, false, true}), Random({}, 5), Random({2}, 6)}},
      {.name = "scalar", .inputs = {Bools({}, {true}), Random({}, 7), Random({}, 8)}},
      {.name = "empty", .inputs = {Bools({0, 2}, {}), Random({1, 2}, 9), Random({}, 10)}},
      {.name = "nan_not_chosen",
       .inputs = {Bools({2}, {true, false}), Values({2}, {1, std::nan("")}), Values({2}, {std::nan(""), 2})},
       .only_f32 = true},
      {.name = "strings",
       .inputs = {Bools({2}, {true, false}), Literal::from_strings({2}, {"a", "b"}), Literal::from_strings({}, {"c"})}},
      {.name = "mismatch", .inputs = {Bools({2}, {true, false}), Random({3}), Random({3})}, .error = "c1"},
      {.name = "number_as_condition", .inputs = {Random({2}), Random({2}), Random({2})}, .error = "dtype"}};
}

bool IsNan(double x) { return std::isnan(x); }
bool IsNan(std::int64_t) { return false; }

// minimum(maximum(x, min), max), so that max wins where min > max; NaN stays.
Status EvalClip(EvalContext& ctx) {
  const std::vector<std::int64_t> dims = ctx.out_dims();
  const DType dtype = ctx.out_dtype();
  const auto apply = [&](auto load, auto store, auto before) {
    auto out = load(GatherElements(ctx.in(0), dims, BroadcastIndices(ctx.in(0).dims(), dims)));
    for (int i = 1; i <= 2; ++i) {
      if (!ctx.has(i)) continue;
      const auto bound = load(GatherElements(ctx.in(i), dims, BroadcastIndices(ctx.in(i).dims(), dims)));
      for (std::size_t k = 0; k < out.size(); ++k) {
        const bool replace = i == 1 ? before(out[k], bound[k]) : before(bound[k], out[k]);
        if (replace || IsNan(bound[k])) out[k] = bound[k];
      }
    }
    ctx.Set(0, store(dtype, dims, out));
  };
  if (is_float(dtype))
    apply(ToDoubles, FromDoubles, [](double a, double b) { return a < b; });
  else if (dtype == DType::kU64)
    apply(ToInts, FromInts,
          [](std::int64_t a, std::int64_t b) { return static_cast<std::uint64_t>(a) < static_cast<std::uint64_t>(b); });
  else
    apply(ToInts, FromInts, [](std::int64_t a, std::int64_t b) { return a < b; });
  return {};
}

Status LowerClip(LowerContext& ctx) {
  Ex x = ctx.in(0);
  if (ctx.has(1)) x = Op("maximum", x, ctx.in(1));
  if (ctx.has(2)) x = Op("minimum", x, ctx.in(2));
  if (!ctx.has(1) && !ctx.has(2)) x = Op("identity", x);
  ctx.Set(0, x);
  return {};
}

std::vector<Sample> ClipSamples() {
  return {
      {.name = "basic", .inputs = {Random({3, 4}, 1, kLow, kHigh), Values({}, {-1}), Values({}, {0.5})}},
      {.name = "only_min", .inputs = {Random({5}, 2, kLow, kHigh), Values({}, {-0.5})}},
      {.name = "only_max", .inputs = {Random({5}, 3, kLow, kHigh), std::nullopt, Values({}, {0.5})}},
      {.name = "no_bound", .inputs = {Random({5}, 4, kLow, kHigh)}},
      {.name = "row", .inputs = {Random({2, 3}, 5, kLow, kHigh), Values({3}, {-1, 0, -3}), Values({2, 1}, {0.5, 1})}},
      {.name = "crossed", .inputs = {Random({4}, 6, kLow, kHigh), Values({}, {1}), Values({}, {-1})}},
      {.name = "scalar", .inputs = {Random({}, 7, kLow, kHigh), Values({}, {-1}), Values({}, {1})}},
      {.name = "empty", .inputs = {Random({0, 2}, 8), Values({}, {-1}), Values({}, {1})}},
      {.name = "nan",
       .inputs = {Values({3}, {std::nan(""), 1e30, -1e30}), Values({}, {-1}), Values({}, {1})},
       .gradient = false,
       .only_f32 = true},
      {.name = "mismatch", .inputs = {Random({3}), Random({2})}, .error = "c1"}};
}

constexpr DTypeSet kSelectSet = kAnySet;

constinit const OpDef kOps[] = {
    {.name = "select",
     .summary = "z = x where the condition holds, y elsewhere.",
     .inputs = {{.name = "condition", .type = "B", .dtypes = kBoolSet, .flags = kNotDifferentiable},
                {.name = "x", .dtypes = kSelectSet},
                {.name = "y", .dtypes = kSelectSet}},
     .outputs = {{.name = "z", .dtypes = kSelectSet}},
     .traits = kElementwise | kExact,
     .infer = InferElementwise,
     .eval = EvalSelect,
     .grad = GradSelect,
     .samples = SelectSamples,
     .names = {.onnx = "Where", .tf = "SelectV2", .keras = "Where", .tflite = "SELECT_V2", .torch = "aten.where.self"}},
    {.name = "clip",
     .summary = "y = min(max(x, min), max); an absent bound does nothing, and max wins where min > max.",
     .inputs = {{.name = "x", .dtypes = kRealSet},
                {.name = "min", .dtypes = kRealSet, .flags = kOptional, .doc = "lower bound, broadcast with x"},
                {.name = "max", .dtypes = kRealSet, .flags = kOptional, .doc = "upper bound, broadcast with x"}},
     .outputs = {{.name = "y", .dtypes = kRealSet}},
     .traits = kElementwise | kExact | kInPlace,
     .infer = InferElementwise,
     .eval = EvalClip,
     .lower = LowerClip,
     .samples = ClipSamples,
     .names = {.onnx = "Clip"}},
};

}  // namespace
extern const std::span<const OpDef> select_ops;
constinit const std::span<const OpDef> select_ops{kOps};
}  // namespace tenon::ir::ops
