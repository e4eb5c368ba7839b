// Short forms for records of elementwise ops with two inputs.
#pragma once
#include "ops/unary.h"

namespace tenon::ir::ops {

/// z = f(x, y), all of one dtype, broadcast as NumPy does.
struct Binary {
  std::string_view name, summary;
  DTypeSet dtypes = kNumericSet;
  std::uint32_t traits = kNoTraits;  // beside kElementwise and kInPlace
  Status (*eval)(EvalContext&) = nullptr;
  Status (*grad)(GradContext&) = nullptr;
  Status (*lower)(LowerContext&) = nullptr;
  std::vector<Sample> (*samples)() = nullptr;
  FormatNames names = {};
  std::string_view x = "x", y = "y";
  unsigned flags = kPlain;  // of both inputs
};
constexpr OpDef BinaryOp(const Binary& s) {
  return {.name = s.name,
          .summary = s.summary,
          .inputs = {{.name = s.x, .dtypes = s.dtypes, .flags = s.flags},
                     {.name = s.y, .dtypes = s.dtypes, .flags = s.flags}},
          .outputs = {{.name = "z", .dtypes = s.dtypes}},
          .traits = s.traits | kElementwise | kInPlace,
          .infer = InferElementwise,
          .eval = s.eval,
          .grad = s.grad,
          .lower = s.lower,
          .samples = s.samples,
          .names = s.names};
}
/// A comparison: the output is bool.
constexpr OpDef CompareOp(const Binary& s) {
  OpDef op = BinaryOp(s);
  op.inputs = {{.name = s.x, .dtypes = s.dtypes, .flags = kNotDifferentiable},
               {.name = s.y, .dtypes = s.dtypes, .flags = kNotDifferentiable}};
  op.outputs = {{.name = "z", .type = "B", .dtypes = kBoolSet}};
  op.traits = s.traits | kElementwise | kExact | kDiscrete;
  return op;
}

/// grad of an op with two differentiable inputs: DX and DY of (d, x, y, z), summed over the broadcast axes.
template <auto DX, auto DY>
Status Grad2(GradContext& ctx) {
  const Ex d = ctx.d(), x = ctx.in(0), y = ctx.in(1), z = ctx.out();
  if (ctx.wants(0)) ctx.Set(0, ctx.b.SumLike(DX(d, x, y, z), x));
  if (ctx.wants(1)) ctx.Set(1, ctx.b.SumLike(DY(d, x, y, z), y));
  return {};
}
template <auto F>
Status Lower2(LowerContext& ctx) {
  ctx.Set(0, F(ctx.in(0), ctx.in(1)));
  return {};
}

}  // namespace tenon::ir::ops
