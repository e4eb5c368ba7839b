// Short forms for records of elementwise ops with one input: the function of one element, and the gradient as an
// expression of cotangent d, input x and output y.
#pragma once
#include "ops/util.h"

namespace tenon::ir::ops {

// Sample ranges: Random gives low + k (high - low) / 256, so these meet no integer, no half and no tie between the two;
// the kinks of abs, round, relu, maximum and their like are not hit.
inline constexpr double kLow = -2 - 1.0 / 128, kHigh = 2 - 1.0 / 128;
inline constexpr double kLow2 = -2 - 3.0 / 1024, kHigh2 = 2 - 3.0 / 1024;

/// eval: floats only; floats and integers; floats, integers (unsigned too) and complex.
template <auto F>
Status EvalFloat(EvalContext& ctx) {
  return EvalUnary(ctx, {.f = F});
}
template <auto F, auto I>
Status EvalReal(EvalContext& ctx) {
  return EvalUnary(ctx, {.f = F, .i = I});
}
template <auto F, auto C>
Status EvalFloatComplex(EvalContext& ctx) {
  return EvalUnary(ctx, {.f = F, .c = C});
}
template <auto F, auto I, auto C>
Status EvalNumeric(EvalContext& ctx) {
  return EvalUnary(ctx, {.f = F, .i = I, .c = C});
}

/// grad of an op with one differentiable input: F(d, x, y).
template <auto F>
Status Grad1(GradContext& ctx) {
  ctx.Set(0, F(ctx.d(), ctx.in(0), ctx.out()));
  return {};
}
/// lower of an op with one input and no attributes.
template <auto F>
Status Lower1(LowerContext& ctx) {
  ctx.Set(0, F(ctx.in(0)));
  return {};
}
/// samples over a range.
template <double Low, double High, bool Extremes = true>
std::vector<Sample> Over() {
  return UnarySamples(Low, High, Extremes);
}

/// y = f(x), both of one dtype.
struct Unary {
  std::string_view name, summary;
  DTypeSet dtypes = kFloatSet;
  std::uint32_t traits = kNoTraits;  // beside kElementwise and kInPlace
  Status (*eval)(EvalContext&) = nullptr;
  Status (*grad)(GradContext&) = nullptr;
  Status (*lower)(LowerContext&) = nullptr;
  std::vector<Sample> (*samples)() = Over<kLow, kHigh>;
  FormatNames names = {};
  FixedList<AttrSpec, 14> attrs = {};
  unsigned flags = kPlain;
  Status (*infer)(InferContext&) = InferSameAsFirst;
};
constexpr OpDef UnaryOp(const Unary& u) {
  return {.name = u.name,
          .summary = u.summary,
          .inputs = {{.name = "x", .dtypes = u.dtypes, .flags = u.flags}},
          .outputs = {{.name = "y", .dtypes = u.dtypes}},
          .attrs = u.attrs,
          .traits = u.traits | kElementwise | kInPlace,
          .infer = u.infer,
          .eval = u.eval,
          .grad = u.grad,
          .lower = u.lower,
          .samples = u.samples,
          .names = u.names};
}
/// A question about x: the output is bool.
constexpr OpDef PredicateOp(const Unary& u) {
  OpDef op = UnaryOp(u);
  op.inputs = {{.name = "x", .dtypes = u.dtypes, .flags = kNotDifferentiable}};
  op.outputs = {{.name = "y", .type = "B", .dtypes = kBoolSet}};
  op.traits = u.traits | kElementwise | kExact | kDiscrete;
  op.infer = InferElementwise;
  return op;
}

}  // namespace tenon::ir::ops
