// Elementwise ops of one input: signs, rounding, powers, exponentials, tests for NaN and infinity.
#include <cmath>

#include "ops/unary.h"

namespace tenon::ir::ops {
namespace {

using Complex = std::complex<double>;
using Int = std::int64_t;

// Two's complement: the lowest integer is its own negative.
constexpr Int Negate(Int x) { return static_cast<Int>(0 - static_cast<std::uint64_t>(x)); }
constexpr Int Product(Int x, Int y) {
  return static_cast<Int>(static_cast<std::uint64_t>(x) * static_cast<std::uint64_t>(y));
}

double Sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }  // NaN and zeros stay

// Unsigned integers come as the same bits in Int, where those above 2^63-1 look negative.
Status EvalAbs(EvalContext& ctx) {
  return EvalUnary(ctx, {.f = [](double x) { return std::fabs(x); },
                         .i = [](Int x) { return x < 0 ? Negate(x) : x; },
                         .u = [](std::uint64_t x) { return x; }});
}
Status EvalSign(EvalContext& ctx) {
  return EvalUnary(ctx, {.f = Sign,
                         .i = [](Int x) { return Int{x > 0} - Int{x < 0}; },
                         .u = [](std::uint64_t x) { return std::uint64_t{x != 0}; }});
}

double Sigmoid(double x) {
  if (x >= 0) return 1 / (1 + std::exp(-x));
  const double e = std::exp(x);
  return e / (1 + e);
}

Status EvalSame(EvalContext& ctx) {
  ctx.Set(0, ctx.datum(0));
  return {};
}
Status GradNone(GradContext&) { return {}; }
Status GradZero(GradContext& ctx) {  // piecewise constant
  ctx.Set(0, ctx.b.ZerosLike(ctx.in(0)));
  return {};
}

std::vector<Sample> AnySamples() {
  std::vector<Sample> samples = UnarySamples(kLow, kHigh);
  samples.push_back({.name = "two_inputs", .inputs = {Random({2}), Random({2})}, .error = "arity"});
  return samples;
}
std::vector<Sample> RoundSamples() {
  std::vector<Sample> samples = UnarySamples(kLow, kHigh);
  samples.push_back(
      {.name = "halves", .inputs = {Values({8}, {-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.0, -7.0})}, .gradient = false});
  return samples;
}
std::vector<Sample> FloatSamples() {
  std::vector<Sample> samples = UnarySamples(kLow, kHigh);
  samples.push_back({.name = "integers", .inputs = {Literal::from<bool>({2}, {true, false})}, .error = "dtype"});
  return samples;
}
std::vector<Sample> ErfSamples() {
  std::vector<Sample> samples = UnarySamples(kLow, kHigh);
  samples.push_back({.name = "tails", .inputs = {Values({8}, {-6, -4, -3, 2.5, 3, 4, 6, 9})}});
  return samples;
}

constinit const OpDef kOps[] = {
    UnaryOp({.name = "identity",
             .summary = "y = x.",
             .dtypes = kStorageSet,
             .traits = kExact | kView,
             .eval = EvalSame,
             .grad = Grad1<[](Ex d, Ex, Ex) { return d; }>,
             .samples = AnySamples,
             .names = {.onnx = "Identity", .tf = "Identity", .keras = "Identity", .torch = "aten.alias.default"}}),
    UnaryOp({.name = "stop_gradient",
             .summary = "y = x; no gradient flows back.",
             .dtypes = kStorageSet,
             .traits = kExact | kView,
             .eval = EvalSame,
             .grad = GradNone,
             .samples = Over<kLow, kHigh>,
             .names = {.tf = "StopGradient", .keras = "StopGradient", .torch = "aten.detach.default"},
             .flags = kNotDifferentiable}),
    UnaryOp({.name = "neg",
             .summary = "y = -x. Integers wrap.",
             .dtypes = kNumericSet,
             .traits = kExact,
             .eval = EvalNumeric<[](double x) { return -x; }, Negate, [](Complex x) { return -x; }>,
             .grad = Grad1<[](Ex d, Ex, Ex) { return -d; }>,
             .names = {.onnx = "Neg", .tf = "Neg", .keras = "Negative", .tflite = "NEG", .torch = "aten.neg.default"}}),
    UnaryOp({.name = "abs",
             .summary = "y = |x|. The lowest integer stays.",
             .dtypes = kRealSet,
             .traits = kExact,
             .eval = EvalAbs,
             .grad = Grad1<[](Ex d, Ex x, Ex) { return d * Op("sign", x); }>,
             .names = {.onnx = "Abs", .tf = "Abs", .keras = "Absolute", .tflite = "ABS", .torch = "aten.abs.default"}}),
    UnaryOp({.name = "sign",
             .summary = "y = -1, 0 or 1 as x < 0, x = 0, x > 0; NaN stays.",
             .dtypes = kRealSet,
             .traits = kExact | kDiscrete,
             .eval = EvalSign,
             .grad = GradZero,
             .names = {.onnx = "Sign", .tf = "Sign", .keras = "Sign", .tflite = "SIGN"}}),
    UnaryOp({.name = "floor",
             .summary = "The largest whole number <= x.",
             .traits = kExact | kDiscrete,
             .eval = EvalFloat<[](double x) { return std::floor(x); }>,
             .grad = GradZero,
             .samples = RoundSamples,
             .names =
                 {.onnx = "Floor", .tf = "Floor", .keras = "Floor", .tflite = "FLOOR", .torch = "aten.floor.default"}}),
    UnaryOp({.name = "ceil",
             .summary = "The smallest whole number >= x.",
             .traits = kExact | kDiscrete,
             .eval = EvalFloat<[](double x) { return std::ceil(x); }>,
             .grad = GradZero,
             .samples = RoundSamples,
             .names = {.onnx = "Ceil", .tf = "Ceil", .keras = "Ceil", .tflite = "CEIL", .torch = "aten.ceil.default"}}),
    UnaryOp({.name = "round",
             .summary = "The nearest whole number, halves to even.",
             .traits = kExact | kDiscrete,
             .eval = EvalFloat<[](double x) { return std::nearbyint(x); }>,
             .grad = GradZero,
             .samples = RoundSamples,
             .names = {.onnx = "Round", .tf = "Round", .tflite = "ROUND", .torch = "aten.round.default"}}),
    UnaryOp({.name = "exp",
             .summary = "y = e^x.",
             .dtypes = kFloatSet | kComplexSet,
             .eval = EvalFloatComplex<[](double x) { return std::exp(x); }, [](Complex x) { return std::exp(x); }>,
             .grad = Grad1<[](Ex d, Ex, Ex y) { return d * y; }>,
             .samples = FloatSamples,
             .names = {.onnx = "Exp", .tf = "Exp", .keras = "Exp", .tflite = "EXP", .torch = "aten.exp.default"}}),
    UnaryOp({.name = "expm1",
             .summary = "y = e^x - 1, accurate near 0.",
             .eval = EvalFloat<[](double x) { return std::expm1(x); }>,
             .grad = Grad1<[](Ex d, Ex, Ex y) { return d * (y + 1); }>,
             .names = {.tf = "Expm1", .keras = "Expm1", .torch = "aten.expm1.default"}}),
    UnaryOp({.name = "log",
             .summary = "y = ln x; -inf at 0, NaN below.",
             .dtypes = kFloatSet | kComplexSet,
             .eval = EvalFloatComplex<[](double x) { return std::log(x); }, [](Complex x) { return std::log(x); }>,
             .grad = Grad1<[](Ex d, Ex x, Ex) { return d / x; }>,
             .samples = Over<0.25, 4.0>,
             .names = {.onnx = "Log", .tf = "Log", .keras = "Log", .tflite = "LOG", .torch = "aten.log.default"}}),
    UnaryOp({.name = "log1p",
             .summary = "y = ln(1 + x), accurate near 0.",
             .eval = EvalFloat<[](double x) { return std::log1p(x); }>,
             .grad = Grad1<[](Ex d, Ex x, Ex) { return d / (x + 1); }>,
             .samples = Over<-0.75, 4.0>,
             .names = {.tf = "Log1p", .keras = "Log1p", .torch = "aten.log1p.default"}}),
    UnaryOp({.name = "sqrt",
             .summary = "y = the square root of x; NaN below 0.",
             .dtypes = kFloatSet | kComplexSet,
             .traits = kExact,
             .eval = EvalFloatComplex<[](double x) { return std::sqrt(x); }, [](Complex x) { return std::sqrt(x); }>,
             .grad = Grad1<[](Ex d, Ex, Ex y) { return d * 0.5 / y; }>,
             .samples = Over<0.25, 4.0>,
             .names = {.onnx = "Sqrt", .tf = "Sqrt", .keras = "Sqrt", .tflite = "SQRT", .torch = "aten.sqrt.default"}}),
    UnaryOp({.name = "rsqrt",
             .summary = "y = 1 / sqrt(x).",
             .eval = EvalFloat<[](double x) { return 1 / std::sqrt(x); }>,
             .grad = Grad1<[](Ex d, Ex x, Ex y) { return d * -0.5 * (y / x); }>,
             .samples = Over<0.25, 4.0>,
             .names = {.tf = "Rsqrt", .keras = "Rsqrt", .tflite = "RSQRT", .torch = "aten.rsqrt.default"}}),
    UnaryOp({.name = "square",
             .summary = "y = x * x. Integers wrap.",
             .dtypes = kNumericSet,
             .traits = kExact,
             .eval = EvalNumeric<[](double x) { return x * x; }, [](Int x) { return Product(x, x); },
                                 [](Complex x) { return x * x; }>,
             .grad = Grad1<[](Ex d, Ex x, Ex) { return d * (x + x); }>,
             .lower = Lower1<[](Ex x) { return x * x; }>,
             .names = {.tf = "Square", .keras = "Square", .tflite = "SQUARE"}}),
    UnaryOp({.name = "reciprocal",
             .summary = "y = 1 / x.",
             .dtypes = kFloatSet | kComplexSet,
             .traits = kExact,
             .eval = EvalFloatComplex<[](double x) { return 1 / x; }, [](Complex x) { return 1.0 / x; }>,
             .grad = Grad1<[](Ex d, Ex, Ex y) { return -(d * y * y); }>,
             .lower = Lower1<[](Ex x) { return 1.0 / x; }>,
             .samples = Over<0.25, 4.0>,
             .names = {.onnx = "Reciprocal",
                       .tf = "Reciprocal",
                       .keras = "Reciprocal",
                       .torch = "aten.reciprocal.default"}}),
    UnaryOp({.name = "erf",
             .summary = "The error function: y = 2/sqrt(pi) * the integral of e^(-t^2) from 0 to x.",
             .eval = EvalFloat<[](double x) { return std::erf(x); }>,
             .grad = Grad1<[](Ex d, Ex x, Ex) { return d * (Op("exp", -(x * x)) * 1.1283791670955126); }>,
             .samples = ErfSamples,
             .names = {.onnx = "Erf", .tf = "Erf", .keras = "Erf", .torch = "aten.erf.default"}}),
    UnaryOp({.name = "erfc",
             .summary = "y = 1 - erf(x), accurate for large x.",
             .eval = EvalFloat<[](double x) { return std::erfc(x); }>,
             .grad = Grad1<[](Ex d, Ex x, Ex) { return d * (Op("exp", -(x * x)) * -1.1283791670955126); }>,
             .samples = ErfSamples,
             .names = {.tf = "Erfc"}}),
    UnaryOp({.name = "sigmoid",
             .summary = "y = 1 / (1 + e^-x).",
             .eval = EvalFloat<Sigmoid>,
             .grad = Grad1<[](Ex d, Ex, Ex y) { return d * (y * (1.0 - y)); }>,
             .names = {.onnx = "Sigmoid",
                       .tf = "Sigmoid",
                       .keras = "Sigmoid",
                       .tflite = "LOGISTIC",
                       .torch = "aten.sigmoid.default"}}),
    PredicateOp({.name = "is_nan",
                 .summary = "Whether x is not a number; false for integers.",
                 .dtypes = kRealSet,
                 .eval = EvalFloat<[](double x) { return std::isnan(x) ? 1.0 : 0.0; }>,
                 .names = {.onnx = "IsNaN", .tf = "IsNan", .keras = "Isnan", .torch = "aten.isnan.default"}}),
    PredicateOp({.name = "is_inf",
                 .summary = "Whether x is +inf or -inf; false for integers.",
                 .dtypes = kRealSet,
                 .eval = EvalFloat<[](double x) { return std::isinf(x) ? 1.0 : 0.0; }>,
                 .names = {.tf = "IsInf", .keras = "Isinf", .torch = "aten.isinf.default"}}),
    PredicateOp(
        {.name = "is_finite",
         .summary = "Whether x is neither NaN nor infinite.",
         .dtypes = kRealSet,
         .eval = EvalFloat<[](double x) { return std::isfinite(x) ? 1.0 : 0.0; }>,
         .lower = Lower1<[](Ex x) { return Op("logical_not", Op("logical_or", Op("is_nan", x), Op("is_inf", x))); }>,
         .names = {.tf = "IsFinite", .keras = "Isfinite"}}),
};

}  // namespace
extern const std::span<const OpDef> elementwise_ops;
constinit const std::span<const OpDef> elementwise_ops{kOps};
}  // namespace tenon::ir::ops
