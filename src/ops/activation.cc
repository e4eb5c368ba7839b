// Activation functions. Each is a composite with a name: the lowering is its definition in primitives, written so that
// it holds at the extremes too (no exp of a large number, no cancellation in the tails).
#include <algorithm>
#include <cmath>

#include "ops/unary.h"

namespace tenon::ir::ops {
namespace {

constexpr double kSeluAlpha = 1.6732632423543772848170429916717;
constexpr double kSeluScale = 1.0507009873554804934193349852946;
constexpr double kSqrtHalf = 0.70710678118654752440;
constexpr double kSqrtTwoOverPi = 0.79788456080286535588;
constexpr double kGeluCubic = 0.044715;

// References.
double Sigmoid(double x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }
double Softplus(double x) { return std::isnan(x) ? x : std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }
double Elu(double x, double alpha) { return x > 0 ? x : alpha * std::expm1(x); }
double Celu(double x, double alpha) { return x > 0 ? x : alpha * std::expm1(x / alpha); }
double LeakyRelu(double x, double slope) { return x > 0 ? x : slope * x; }
double HardSigmoid(double x) { return std::isnan(x) ? x : std::clamp(x + 3, 0.0, 6.0) / 6; }

Status EvalRelu(EvalContext& ctx) {
  return EvalUnary(ctx, {.f = [](double x) { return x > 0 || std::isnan(x) ? x : 0; },
                         .i = [](std::int64_t x) { return std::max<std::int64_t>(x, 0); },
                         .u = [](std::uint64_t x) { return x; }});
}
Status EvalRelu6(EvalContext& ctx) {
  return EvalUnary(ctx, {.f = [](double x) { return std::isnan(x) ? x : std::clamp(x, 0.0, 6.0); },
                         .i = [](std::int64_t x) { return std::clamp<std::int64_t>(x, 0, 6); },
                         .u = [](std::uint64_t x) { return std::min<std::uint64_t>(x, 6); }});
}
template <auto F>
Status EvalWithAttr(EvalContext& ctx, double a) {
  std::vector<double> v = ToDoubles(ctx.in(0));
  for (double& e : v) e = F(e, a);
  ctx.Set(0, FromDoubles(ctx.out_dtype(), ctx.in(0).dims(), v));
  return {};
}
Status EvalElu(EvalContext& ctx) { return EvalWithAttr<Elu>(ctx, ctx.attrs().Float("alpha")); }
Status EvalCelu(EvalContext& ctx) { return EvalWithAttr<Celu>(ctx, ctx.attrs().Float("alpha")); }
Status EvalLeakyRelu(EvalContext& ctx) { return EvalWithAttr<LeakyRelu>(ctx, ctx.attrs().Float("negative_slope")); }
Status EvalGelu(EvalContext& ctx) {
  if (ctx.attrs().Bool("approximate"))
    return EvalFloat<[](double x) { return x * Sigmoid(2 * kSqrtTwoOverPi * (x + kGeluCubic * x * x * x)); }>(ctx);
  return EvalFloat<[](double x) { return x * (0.5 * std::erfc(-x * kSqrtHalf)); }>(ctx);
}

// Lowerings.
Ex Zero(Ex x) { return {x.b, x.b->Scalar(0, x.dtype())}; }
Ex Relu(Ex x) { return Op("maximum", x, Zero(x)); }
Ex Positive(Ex x) { return Op("greater", x, Zero(x)); }
Ex Negative(Ex x) { return Op("minimum", x, Zero(x)); }
Ex Relu6(Ex x) { return Op("minimum", Relu(x), {x.b, x.b->Scalar(6, x.dtype())}); }
Ex Log1pExp(Ex x) { return Op("log1p", Op("exp", -Op("abs", x))); }  // ln(1 + e^-|x|)

// x where it is positive, else scale (e^(x / width) - 1); the branch not taken never overflows.
Ex EluLike(Ex x, double scale, double width) {
  Ex tail = Negative(x);
  if (width != 1) tail = tail / width;
  tail = Op("expm1", tail);
  return Select(Positive(x), x, scale == 1 ? tail : tail * scale);
}
Status LowerElu(LowerContext& ctx) {
  ctx.Set(0, EluLike(ctx.in(0), ctx.attrs().Float("alpha"), 1));
  return {};
}
Status LowerCelu(LowerContext& ctx) {
  const double alpha = ctx.attrs().Float("alpha");
  ctx.Set(0, EluLike(ctx.in(0), alpha, alpha));
  return {};
}
Status LowerLeakyRelu(LowerContext& ctx) {
  const Ex x = ctx.in(0);
  ctx.Set(0, Select(Positive(x), x, x * ctx.attrs().Float("negative_slope")));
  return {};
}
Status LowerGelu(LowerContext& ctx) {
  const Ex x = ctx.in(0);
  if (ctx.attrs().Bool("approximate"))  // 0.5 (1 + tanh u) = sigmoid(2u)
    ctx.Set(0, x * Op("sigmoid", x * (1 + x * x * kGeluCubic) * (2 * kSqrtTwoOverPi)));
  else  // 1 + erf(u) = erfc(-u)
    ctx.Set(0, x * (Op("erfc", x * -kSqrtHalf) * 0.5));
  return {};
}

// Gradient 0 at 0.
Status GradRelu(GradContext& ctx) {
  const Ex x = ctx.in(0), d = ctx.d();
  ctx.Set(0, Select(Positive(x), d, Zero(d)));
  return {};
}

// Gradient 0 at both ends.
Status GradRelu6(GradContext& ctx) {
  const Ex x = ctx.in(0), d = ctx.d();
  const Ex below{x.b, x.b->Add("less", {x, x.b->Scalar(6, x.dtype())})};
  ctx.Set(0, Select(Op("logical_and", Positive(x), below), d, Zero(d)));
  return {};
}

Status InferCelu(InferContext& ctx) {
  if (ctx.attrs().Float("alpha") == 0) return ctx.Fail(1, "got alpha 0, expected another number");
  return InferSameAsFirst(ctx);
}

template <double V>
std::vector<Sample> With(std::string_view attr) {
  std::vector<Sample> samples = UnarySamples(2 * kLow, 2 * kHigh);
  samples.push_back({.name = "other", .inputs = {Random({2, 3}, 9, kLow, kHigh)}, .attrs = {{attr, V}}});
  samples.push_back({.name = "wrong_attr", .inputs = {Random({2})}, .attrs = {{"beta", 1.0}}, .error = "attr"});
  return samples;
}
std::vector<Sample> CeluSamples() {
  std::vector<Sample> samples = With<2.0>("alpha");
  samples.push_back({.name = "zero", .inputs = {Random({2})}, .attrs = {{"alpha", 0.0}}, .error = "c1"});
  return samples;
}
// To both sides of the bends at -3, 3 and 6, and far into the tails.
std::vector<Sample> WideSamples() {
  std::vector<Sample> samples = UnarySamples(2 * kLow, 2 * kHigh);
  samples.push_back({.name = "tails", .inputs = {Values({12}, {-100, -20, -8, -5, -4, -3.5, 3.5, 5, 7, 8, 20, 100})}});
  return samples;
}
std::vector<Sample> GeluSamples() {
  std::vector<Sample> samples = WideSamples();
  samples.push_back(
      {.name = "tanh_form", .inputs = {Random({2, 3}, 9, kLow, kHigh)}, .attrs = {{"approximate", true}}});
  samples.push_back({.name = "tanh_form_tails",
                     .inputs = {Values({8}, {-1e30, -20, -6, -4, 4, 6, 20, 1e30})},
                     .attrs = {{"approximate", true}},
                     .gradient = false,
                     .only_f32 = true});
  return samples;
}

constinit const OpDef kOps[] = {
    UnaryOp({.name = "relu",
             .summary = "y = max(x, 0); gradient 0 at 0.",
             .dtypes = kRealSet,
             .traits = kExact,
             .eval = EvalRelu,
             .grad = GradRelu,
             .lower = Lower1<Relu>,
             .samples = WideSamples,
             .names = {.onnx = "Relu", .tf = "Relu", .keras = "Relu", .tflite = "RELU", .torch = "aten.relu.default"}}),
    UnaryOp({.name = "relu6",
             .summary = "y = min(max(x, 0), 6); gradient 0 at 0 and at 6.",
             .dtypes = kRealSet,
             .traits = kExact,
             .eval = EvalRelu6,
             .grad = GradRelu6,
             .lower = Lower1<Relu6>,
             .samples = WideSamples,
             .names = {.tf = "Relu6", .keras = "Relu6", .tflite = "RELU6"}}),
    UnaryOp({.name = "leaky_relu",
             .summary = "y = x where x > 0, negative_slope * x elsewhere.",
             .eval = EvalLeakyRelu,
             .lower = LowerLeakyRelu,
             .samples = [] { return With<0.01>("negative_slope"); },
             .names = {.tf = "LeakyRelu alpha=negative_slope",
                       .keras = "LeakyRelu",
                       .tflite = "LEAKY_RELU alpha=negative_slope"},
             .attrs = {FloatAttr("negative_slope", 0.2, "factor below 0")}}),
    UnaryOp({.name = "elu",
             .summary = "y = x where x > 0, alpha * (e^x - 1) elsewhere.",
             .eval = EvalElu,
             .lower = LowerElu,
             .samples = [] { return With<0.5>("alpha"); },
             .names = {.onnx = "Elu", .keras = "Elu"},
             .attrs = {FloatAttr("alpha", 1, "the limit far below 0 is -alpha")}}),
    UnaryOp({.name = "selu",
             .summary = "y = 1.0507009873554805 * elu(x, alpha = 1.6732632423543772).",
             .eval = EvalFloat<[](double x) { return kSeluScale * Elu(x, kSeluAlpha); }>,
             .lower = Lower1<[](Ex x) {
               return Select(Positive(x), x * kSeluScale, Op("expm1", Negative(x)) * (kSeluScale * kSeluAlpha));
             }>,
             .names = {.tf = "Selu", .keras = "Selu"}}),
    UnaryOp({.name = "celu",
             .summary = "y = x where x > 0, alpha * (e^(x / alpha) - 1) elsewhere.",
             .eval = EvalCelu,
             .lower = LowerCelu,
             .samples = CeluSamples,
             .names = {.onnx = "Celu", .keras = "Celu"},
             .attrs = {FloatAttr("alpha", 1, "the limit far below 0 is -alpha; not 0")},
             .infer = InferCelu}),
    UnaryOp(
        {.name = "gelu",
         .summary = "y = x * 0.5 * (1 + erf(x / sqrt(2))), or with tanh(sqrt(2/pi) * (x + 0.044715 x^3)) for the erf.",
         .eval = EvalGelu,
         .lower = LowerGelu,
         .samples = GeluSamples,
         .attrs = {BoolAttr("approximate", false, "the form with tanh")}}),
    UnaryOp({.name = "silu",
             .summary = "y = x * sigmoid(x), also called swish.",
             .eval = EvalFloat<[](double x) { return x * Sigmoid(x); }>,
             .lower = Lower1<[](Ex x) { return x * Op("sigmoid", x); }>,
             .samples = WideSamples,
             .names = {.keras = "Silu", .torch = "aten.silu.default"}}),
    UnaryOp({.name = "softplus",
             .summary = "y = ln(1 + e^x).",
             .eval = EvalFloat<Softplus>,
             .grad = Grad1<[](Ex d, Ex x, Ex) { return d * Op("sigmoid", x); }>,
             .lower = Lower1<[](Ex x) { return Relu(x) + Log1pExp(x); }>,
             .samples = WideSamples,
             .names = {.onnx = "Softplus", .tf = "Softplus", .keras = "Softplus"}}),
    UnaryOp({.name = "softsign",
             .summary = "y = x / (1 + |x|).",
             .eval = EvalFloat<[](double x) { return x / (1 + std::fabs(x)); }>,
             .lower = Lower1<[](Ex x) { return x / (1 + Op("abs", x)); }>,
             .samples = WideSamples,
             .names = {.onnx = "Softsign", .tf = "Softsign", .keras = "Softsign"}}),
    UnaryOp({.name = "mish",
             .summary = "y = x * tanh(softplus(x)).",
             .eval = EvalFloat<[](double x) { return x * std::tanh(Softplus(x)); }>,
             .lower = Lower1<[](Ex x) { return x * Op("tanh", Op("softplus", x)); }>,
             .samples = WideSamples,
             .names = {.onnx = "Mish"}}),
    UnaryOp({.name = "hard_sigmoid",
             .summary = "y = relu6(x + 3) / 6.",
             .eval = EvalFloat<HardSigmoid>,
             .lower = Lower1<[](Ex x) { return Op("relu6", x + 3) / 6; }>,
             .samples = WideSamples,
             .names = {.keras = "HardSigmoid", .torch = "aten.hardsigmoid.default"}}),
    UnaryOp({.name = "hard_swish",
             .summary = "y = x * relu6(x + 3) / 6, also called hard silu.",
             .eval = EvalFloat<[](double x) { return x * HardSigmoid(x); }>,
             .lower = Lower1<[](Ex x) { return x * Op("hard_sigmoid", x); }>,
             .samples = WideSamples,
             .names = {.onnx = "HardSwish",
                       .keras = "HardSilu",
                       .tflite = "HARD_SWISH",
                       .torch = "aten.hardswish.default"}}),
    UnaryOp({.name = "log_sigmoid",
             .summary = "y = ln(sigmoid(x)) = -softplus(-x).",
             .eval = EvalFloat<[](double x) { return -Softplus(-x); }>,
             .grad = Grad1<[](Ex d, Ex x, Ex) { return d * Op("sigmoid", -x); }>,
             .lower = Lower1<[](Ex x) { return Negative(x) - Log1pExp(x); }>,
             .samples = WideSamples,
             .names = {.keras = "LogSigmoid"}}),
};

}  // namespace
extern const std::span<const OpDef> activation_ops;
constinit const std::span<const OpDef> activation_ops{kOps};
}  // namespace tenon::ir::ops
