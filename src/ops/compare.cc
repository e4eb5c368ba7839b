// Comparisons of two inputs, with bool results. A comparison with NaN is false, but not_equal is true.
#include <cmath>
#include <limits>

#include "ops/binary.h"

namespace tenon::ir::ops {
namespace {

using Complex = std::complex<double>;
using Int = std::int64_t;
using UInt = std::uint64_t;

constexpr DTypeSet kOrderedSet = kRealSet | kBoolSet;

Status EvalStrings(EvalContext& ctx, bool equal) {
  const Literal &x = ctx.in(0), &y = ctx.in(1);
  const std::vector<Int> dims = ctx.out_dims();
  const std::vector<Int> xi = BroadcastIndices(x.dims(), dims), yi = BroadcastIndices(y.dims(), dims);
  std::vector<Int> out(xi.size());
  for (std::size_t k = 0; k < out.size(); ++k)
    out[k] =
        (x.strings()[static_cast<std::size_t>(xi[k])] == y.strings()[static_cast<std::size_t>(yi[k])]) == equal ? 1 : 0;
  ctx.Set(0, FromInts(DType::kBool, dims, out));
  return {};
}
Status EvalEqual(EvalContext& ctx) {
  if (ctx.in(0).dtype() == DType::kString) return EvalStrings(ctx, true);
  return EvalBinary(ctx, {.f = [](double x, double y) { return x == y ? 1.0 : 0.0; },
                          .i = [](Int x, Int y) { return Int{x == y}; },
                          .c = [](Complex x, Complex y) { return Complex(x == y ? 1 : 0); }});
}
Status EvalNotEqual(EvalContext& ctx) {
  if (ctx.in(0).dtype() == DType::kString) return EvalStrings(ctx, false);
  return EvalBinary(ctx, {.f = [](double x, double y) { return x != y ? 1.0 : 0.0; },
                          .i = [](Int x, Int y) { return Int{x != y}; },
                          .c = [](Complex x, Complex y) { return Complex(x != y ? 1 : 0); }});
}
Status EvalLess(EvalContext& ctx) {
  return EvalBinary(ctx, {.f = [](double x, double y) { return x < y ? 1.0 : 0.0; },
                          .i = [](Int x, Int y) { return Int{x < y}; },
                          .u = [](UInt x, UInt y) { return UInt{x < y}; }});
}
Status EvalLessEqual(EvalContext& ctx) {
  return EvalBinary(ctx, {.f = [](double x, double y) { return x <= y ? 1.0 : 0.0; },
                          .i = [](Int x, Int y) { return Int{x <= y}; },
                          .u = [](UInt x, UInt y) { return UInt{x <= y}; }});
}
Status EvalGreater(EvalContext& ctx) {
  return EvalBinary(ctx, {.f = [](double x, double y) { return x > y ? 1.0 : 0.0; },
                          .i = [](Int x, Int y) { return Int{x > y}; },
                          .u = [](UInt x, UInt y) { return UInt{x > y}; }});
}
Status EvalGreaterEqual(EvalContext& ctx) {
  return EvalBinary(ctx, {.f = [](double x, double y) { return x >= y ? 1.0 : 0.0; },
                          .i = [](Int x, Int y) { return Int{x >= y}; },
                          .u = [](UInt x, UInt y) { return UInt{x >= y}; }});
}

std::vector<Sample> Ordered() {
  std::vector<Sample> samples = BinarySamples(-2, 2, -2, 2);
  constexpr double kInf = std::numeric_limits<double>::infinity();
  samples.push_back(
      {.name = "ties", .inputs = {Values({6}, {1, 2, -1, 0, -0.0, 3}), Values({6}, {1, 1, 1, 0, 0.0, 3})}});
  samples.push_back({.name = "special",
                     .inputs = {Values({6}, {kInf, -kInf, kInf, std::nan(""), std::nan(""), 1}),
                                Values({6}, {kInf, kInf, 1, 1, std::nan(""), std::nan("")})},
                     .only_f32 = true});
  samples.push_back({.name = "large_integers",
                     .inputs = {Ints({3}, {9007199254740993, -9007199254740993, 5}),
                                Ints({3}, {9007199254740992, -9007199254740992, 5})}});
  samples.push_back({.name = "mixed", .inputs = {Random({2}), Ints({2}, {1, 2})}, .error = "dtype"});
  return samples;
}
std::vector<Sample> Any() {
  std::vector<Sample> samples = Ordered();
  samples.push_back(
      {.name = "strings",
       .inputs = {Literal::from_strings({3}, {"a", "bc", ""}), Literal::from_strings({3}, {"a", "b", ""})}});
  return samples;
}

constinit const OpDef kOps[] = {
    CompareOp(
        {.name = "equal",
         .summary = "Whether x = y.",
         .dtypes = kAnySet,
         .traits = kCommutative,
         .eval = EvalEqual,
         .samples = Any,
         .names = {.onnx = "Equal", .tf = "Equal", .keras = "Equal", .tflite = "EQUAL", .torch = "aten.eq.Tensor"}}),
    CompareOp({.name = "not_equal",
               .summary = "Whether x and y differ.",
               .dtypes = kAnySet,
               .traits = kCommutative,
               .eval = EvalNotEqual,
               .lower = Lower2<[](Ex x, Ex y) { return Op("logical_not", Op("equal", x, y)); }>,
               .samples = Any,
               .names = {.tf = "NotEqual", .keras = "NotEqual", .tflite = "NOT_EQUAL", .torch = "aten.ne.Tensor"}}),
    CompareOp({.name = "less",
               .summary = "Whether x < y.",
               .dtypes = kOrderedSet,
               .eval = EvalLess,
               .samples = Ordered,
               .names = {.onnx = "Less", .tf = "Less", .keras = "Less", .tflite = "LESS", .torch = "aten.lt.Tensor"}}),
    CompareOp({.name = "less_equal",
               .summary = "Whether x <= y.",
               .dtypes = kOrderedSet,
               .eval = EvalLessEqual,
               .samples = Ordered,
               .names = {.onnx = "LessOrEqual",
                         .tf = "LessEqual",
                         .keras = "LessEqual",
                         .tflite = "LESS_EQUAL",
                         .torch = "aten.le.Tensor"}}),
    CompareOp(
        {.name = "greater",
         .summary = "Whether x > y.",
         .dtypes = kOrderedSet,
         .eval = EvalGreater,
         .lower = Lower2<[](Ex x, Ex y) { return Op("less", y, x); }>,
         .samples = Ordered,
         .names =
             {.onnx = "Greater", .tf = "Greater", .keras = "Greater", .tflite = "GREATER", .torch = "aten.gt.Tensor"}}),
    CompareOp({.name = "greater_equal",
               .summary = "Whether x >= y.",
               .dtypes = kOrderedSet,
               .eval = EvalGreaterEqual,
               .lower = Lower2<[](Ex x, Ex y) { return Op("less_equal", y, x); }>,
               .samples = Ordered,
               .names = {.onnx = "GreaterOrEqual",
                         .tf = "GreaterEqual",
                         .keras = "GreaterEqual",
                         .tflite = "GREATER_EQUAL",
                         .torch = "aten.ge.Tensor"}}),
};

}  // namespace
extern const std::span<const OpDef> compare_ops;
constinit const std::span<const OpDef> compare_ops{kOps};
}  // namespace tenon::ir::ops
