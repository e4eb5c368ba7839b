#include "compiler/internal_ops.h"

#include "base/status_macros.h"
#include "ir/builder.h"
#include "ir/eval.h"
#include "ir/infer.h"
#include "ir/op_table.h"

namespace tenon::compiler {
namespace {

using namespace ir;

Status InferGemm(InferContext& ctx) {
  const Shape &x = ctx.shape(0), &y = ctx.shape(1);
  if (x.rank() < 2 || x.rank() != y.rank())
    return ctx.Fail(1,
                    "got " + x.to_string() + " and " + y.to_string() + ", expected matrices with equal leading dims");
  const bool tx = ctx.attrs().Bool("transpose_x"), ty = ctx.attrs().Bool("transpose_y");
  if (Dim::equal(x[tx ? -2 : -1], y[ty ? -1 : -2]) == Truth::kNo)
    return ctx.Fail(2, "got " + x.to_string() + " and " + y.to_string() + ", whose inner dims differ");
  std::vector<Dim> dims(x.dims().begin(), x.dims().end() - 2);
  dims.push_back(x[tx ? -1 : -2]);
  dims.push_back(y[ty ? -2 : -1]);
  ctx.Set(0, ctx.dtype(0), Shape(std::move(dims)));
  return {};
}

Status LowerGemm(LowerContext& ctx) {
  const Attrs& a = ctx.attrs();
  Ex z = Op("matmul", ctx.in(0), ctx.in(1),
            {{"transpose_x", a.Bool("transpose_x")}, {"transpose_y", a.Bool("transpose_y")}});
  if (a.Float("alpha") != 1) z = z * a.Float("alpha");
  if (ctx.has(4)) z = z * ctx.b(ctx.b.Reshape(ctx.in(4), Shape()));
  if (ctx.has(2)) z = z + (a.Float("beta") == 1 ? ctx.in(2) : ctx.in(2) * a.Float("beta"));
  if (ctx.has(3)) z = z + ctx.in(3);
  if (!a.String("activation").empty()) z = Op(a.String("activation"), z);
  ctx.Set(0, z);
  return {};
}

Status InferFusedConv(InferContext& ctx) { return GetOp("conv").infer(ctx); }
Status LowerFusedConv(LowerContext& ctx) {
  Attrs attrs = ctx.attrs();
  attrs.Erase("activation");
  Ex y = Op("conv", ctx.in(0), ctx.in(1), attrs);
  if (ctx.has(2)) {
    const std::string& layout = attrs.String("layout");
    const std::size_t behind = layout.size() - 1 - layout.find('C');  // axes after the channel
    std::vector<Dim> dims(behind + 1, Dim(1));
    dims[0] = ctx.b.shape(ctx.in(2))[0];
    y = y + ctx.b(ctx.b.Reshape(ctx.in(2), Shape(std::move(dims))));
  }
  const std::string& activation = ctx.attrs().String("activation");
  ctx.Set(0, activation.empty() ? y : Op(activation, y));
  return {};
}

Status InferFused(InferContext& ctx) {
  const ir::Graph& body = ctx.attrs().Body("body");
  for (std::size_t i = 0; i < body.outputs().size(); ++i) ctx.Set(static_cast<int>(i), body.type(body.outputs()[i]));
  return {};
}
Status EvalFused(EvalContext& ctx) {
  std::vector<Datum> inputs;
  for (int i = 0; i < ctx.num_inputs(); ++i) inputs.push_back(ctx.datum(i));
  TENON_ASSIGN_OR_RETURN(std::vector<Datum> outputs, ctx.Run(ctx.attrs().Body("body"), std::move(inputs)));
  for (std::size_t i = 0; i < outputs.size(); ++i) ctx.Set(static_cast<int>(i), std::move(outputs[i]));
  return {};
}

constinit const OpDef kGemm = {.name = "gemm",
                               .summary = "z = act(alpha factor x y + beta c + bias).",
                               .inputs = {{.name = "x", .dtypes = kFloatSet},
                                          {.name = "y", .dtypes = kFloatSet},
                                          {.name = "c", .dtypes = kFloatSet, .flags = kOptional},
                                          {.name = "bias", .dtypes = kFloatSet, .flags = kOptional},
                                          {.name = "factor", .dtypes = kFloatSet, .flags = kOptional}},
                               .outputs = {{.name = "z", .dtypes = kFloatSet}},
                               .attrs = {BoolAttr("transpose_x", false), BoolAttr("transpose_y", false),
                                         FloatAttr("alpha", 1), FloatAttr("beta", 1), StringAttr("activation", "")},
                               .traits = kAccumulates,
                               .infer = InferGemm,
                               .lower = LowerGemm};

constinit const OpDef kFusedConv = {
    .name = "fused_conv",
    .summary = "act(conv(x, kernel) + bias).",
    .inputs = {{.name = "x", .dtypes = kFloatSet},
               {.name = "kernel", .dtypes = kFloatSet},
               {.name = "bias", .dtypes = kFloatSet, .flags = kOptional}},
    .outputs = {{.name = "y", .dtypes = kFloatSet}},
    .attrs = {IntsAttr("strides"), IntsAttr("padding"), IntsAttr("dilations"), IntAttr("groups", 1),
              StringAttr("auto_pad", "explicit"), StringAttr("layout", "NHWC"), StringAttr("kernel_layout", "HWIO"),
              StringAttr("activation", "")},
    .traits = kAccumulates,
    .infer = InferFusedConv,
    .lower = LowerFusedConv};

constinit const OpDef kFused = {
    .name = "fused_loop",
    .summary = "Elementwise operations and reductions over one index space, in one pass.",
    .inputs = {{.name = "inputs", .dtypes = kFixedSet, .flags = kVariadic | kMixed}},
    .outputs = {{.name = "outputs", .dtypes = kFixedSet, .flags = kVariadic | kMixed}},
    .attrs = {Required("body", AttrKind::kGraph), IntsAttr("space"), IntAttr("batch_rank", 0), IntAttr("row_rank", -1)},
    .infer = InferFused,
    .eval = EvalFused};

}  // namespace

const OpDef& GemmOp() { return kGemm; }
const OpDef& FusedConvOp() { return kFusedConv; }
const OpDef& FusedLoopOp() { return kFused; }

}  // namespace tenon::compiler
