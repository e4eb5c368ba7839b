// cast: another dtype.
#include "ops/util.h"

namespace tenon::ir::ops {
namespace {

constexpr DTypeSet kCastSet = kStorageSet & ~Only(DType::kString);

Status InferCast(InferContext& ctx) {
  const DType to = ctx.attrs().Dtype("dtype");
  if ((kCastSet & Only(to)) == 0)
    return ctx.Fail(1, "got dtype " + std::string(dtype_name(to)) + ", expected a number or bool");
  ctx.Set(0, ctx.ranked(0) ? Type::Tensor(to, ctx.shape(0)) : Type::TensorOfUnknownRank(to));
  // An integer that becomes an integer wide enough keeps its symbolic value.
  if ((to == DType::kI64 || to == DType::kI32) && is_integer(ctx.dtype(0)) && ctx.value(0))
    ctx.SetValue(0, *ctx.value(0));
  return {};
}

Status EvalCast(EvalContext& ctx) {
  TENON_ASSIGN_OR_RETURN(Literal y, Convert(ctx.in(0), ctx.out_dtype()));
  ctx.Set(0, std::move(y));
  return {};
}

// Through integers and bool no gradient flows.
Status GradCast(GradContext& ctx) {
  const auto continuous = [](DType t) { return is_float(t) || is_complex(t); };
  if (continuous(ctx.in(0).dtype()) && continuous(ctx.attrs().Dtype("dtype")))
    ctx.Set(0, ctx.b.Cast(ctx.d(), ctx.in(0).dtype()));
  return {};
}

std::vector<Sample> CastSamples() {
  const Literal mixed = Values({8}, {0.0, -1.5, 2.5, 3.75, -100, 100, 0.25, -0.0});
  return {
      {.name = "to_f64", .inputs = {Random({2, 3})}, .attrs = {{"dtype", DType::kF64}}},
      {.name = "to_f16", .inputs = {mixed}, .attrs = {{"dtype", DType::kF16}}, .gradient = false},
      {.name = "to_bf16",
       .inputs = {Values({4}, {1.00390625, 1.01171875, -3.1415927, 65504})},
       .attrs = {{"dtype", DType::kBF16}},
       .gradient = false},
      {.name = "to_i32", .inputs = {mixed}, .attrs = {{"dtype", DType::kI32}}, .gradient = false},
      {.name = "to_i8", .inputs = {mixed}, .attrs = {{"dtype", DType::kI8}}, .gradient = false},
      {.name = "to_bool", .inputs = {mixed}, .attrs = {{"dtype", DType::kBool}}, .gradient = false},
      {.name = "to_c64", .inputs = {mixed}, .attrs = {{"dtype", DType::kC64}}, .gradient = false},
      {.name = "wraps",
       .inputs = {Ints({5}, {-1, 255, 256, 300, -129})},
       .attrs = {{"dtype", DType::kU8}},
       .gradient = false},
      {.name = "scalar", .inputs = {Random({}, 5)}, .attrs = {{"dtype", DType::kF64}}},
      {.name = "empty", .inputs = {Random({0, 2})}, .attrs = {{"dtype", DType::kI64}}, .gradient = false},
      {.name = "to_string", .inputs = {Random({2})}, .attrs = {{"dtype", DType::kString}}, .error = "c1"},
      {.name = "no_dtype", .inputs = {Random({2})}, .error = "attr"},
  };
}

constinit const OpDef kOps[] = {
    {.name = "cast",
     .summary = "Every element as another dtype: floats round to nearest even; float to integer truncates toward zero "
                "and saturates (NaN "
                "gives 0); integer to integer wraps; to bool is x != 0; complex to real drops the imaginary part.",
     .inputs = {{.name = "x", .dtypes = kCastSet}},
     .outputs = {{.name = "y", .type = "U", .dtypes = kCastSet}},
     .attrs = {Required("dtype", AttrKind::kDType, "the dtype of the result; no string")},
     .traits = kElementwise | kExact | kDiscrete,
     .infer = InferCast,
     .eval = EvalCast,
     .grad = GradCast,
     .samples = CastSamples},
};

}  // namespace
extern const std::span<const OpDef> cast_ops;
constinit const std::span<const OpDef> cast_ops{kOps};
}  // namespace tenon::ir::ops
