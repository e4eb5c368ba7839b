// cast: another dtype.
#include "ir/narrow.h"
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

// c1: a float of 8 or 4 bits. c2: a known rounding, and not of the others than f8e8m0 but to nearest.
Status InferCastNarrow(InferContext& ctx) {
  const DType to = ctx.attrs().Dtype("dtype");
  if (!is_float(to) || dtype_bits(to) > 8)
    return ctx.Fail(1, "got dtype " + std::string(dtype_name(to)) + ", expected a float of 8 or 4 bits");
  const std::string& rounding = ctx.attrs().String("rounding");
  const bool one_way = rounding == "up" || rounding == "down";
  if (rounding != "nearest" && !(one_way && to == DType::kF8E8M0))
    return ctx.Fail(2, "got rounding \"" + rounding + "\" for " + std::string(dtype_name(to)) +
                           ", expected nearest, or up or down for f8e8m0");
  ctx.Set(0, ctx.ranked(0) ? Type::Tensor(to, ctx.shape(0)) : Type::TensorOfUnknownRank(to));
  return {};
}

Status EvalCastNarrow(EvalContext& ctx) {
  const DType to = ctx.attrs().Dtype("dtype");
  if (dtype_bits(ctx.out_dtype()) > 8) {  // the oracle keeps f64
    TENON_ASSIGN_OR_RETURN(Literal wide, Convert(ctx.in(0), ctx.out_dtype()));
    ctx.Set(0, std::move(wide));
    return {};
  }
  const std::string& rounding = ctx.attrs().String("rounding");
  NarrowRules rules;
  rules.saturate = ctx.attrs().Bool("saturate");
  rules.rounding = rounding == "up"     ? NarrowRounding::kUp
                   : rounding == "down" ? NarrowRounding::kDown
                                        : NarrowRounding::kNearest;
  const std::vector<double> values = ToDoubles(ctx.in(0));
  Literal y(to, ctx.in(0).dims());
  const std::span<std::byte> raw = y.mutable_raw();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto code = static_cast<std::byte>(NarrowCode(values[i], to, rules));
    if (dtype_bits(to) == 8)
      raw[i] = code;
    else
      raw[i / 2] |= code << (i % 2 * 4);
  }
  ctx.Set(0, std::move(y));
  return {};
}

std::vector<Sample> CastNarrowSamples() {
  const Literal values = Values({10}, {0.0, -1.5, 2.5, 449.0, 464.0, -470.0, 1e6, 0.3, 1e-7, 60000.0});
  const auto sample = [&](const char* name, DType to, bool saturate, const char* rounding) {
    return Sample{.name = name,
                  .inputs = {values},
                  .attrs = {{"dtype", to}, {"saturate", saturate}, {"rounding", std::string(rounding)}},
                  .gradient = false};
  };
  Sample wide = sample("wide", DType::kF32, true, "nearest"), rounding = sample("rounding", DType::kF8E5M2, true, "up");
  wide.error = "c1";
  rounding.error = "c2";
  return {sample("e4m3fn", DType::kF8E4M3FN, false, "nearest"),
          sample("e4m3fnuz", DType::kF8E4M3FNUZ, false, "nearest"),
          sample("e5m2", DType::kF8E5M2, false, "nearest"),
          sample("e5m2fnuz", DType::kF8E5M2FNUZ, true, "nearest"),
          sample("e2m1", DType::kF4E2M1, true, "nearest"),
          sample("e8m0_up", DType::kF8E8M0, true, "up"),
          sample("e8m0_down", DType::kF8E8M0, false, "down"),
          wide,
          rounding};
}

// c1: a dtype of as many bits.
Status InferBitcast(InferContext& ctx) {
  const DType from = ctx.dtype(0), to = ctx.attrs().Dtype("dtype");
  if (to == DType::kString || dtype_bits(from) != dtype_bits(to))
    return ctx.Fail(1, "got " + std::string(dtype_name(from)) + " to " + std::string(dtype_name(to)) +
                           ", expected a dtype of as many bits");
  ctx.Set(0, ctx.ranked(0) ? Type::Tensor(to, ctx.shape(0)) : Type::TensorOfUnknownRank(to));
  return {};
}

Status EvalBitcast(EvalContext& ctx) {
  const Literal& x = ctx.in(0);
  const DType to = ctx.attrs().Dtype("dtype");
  if (dtype_bits(x.dtype()) != dtype_bits(to)) return ctx.Fail("has no meaning in another dtype than the model's");
  if (to == DType::kBool) {  // a bool is 0 or 1
    TENON_ASSIGN_OR_RETURN(const Literal bytes, Literal::from_buffer(DType::kU8, x.dims(), x.buffer()));
    TENON_ASSIGN_OR_RETURN(Literal y, Convert(bytes, to));
    ctx.Set(0, std::move(y));
    return {};
  }
  TENON_ASSIGN_OR_RETURN(Literal y, Literal::from_buffer(to, x.dims(), x.buffer()));
  ctx.Set(0, std::move(y));
  return {};
}

std::vector<Sample> BitcastSamples() {
  return {{.name = "f32_i32",
           .inputs = {Random({2, 3})},
           .attrs = {{"dtype", DType::kI32}},
           .gradient = false,
           .only_f32 = true},
          {.name = "i64_u64",
           .inputs = {Ints({3}, {0, -1, 5})},
           .attrs = {{"dtype", DType::kU64}},
           .gradient = false,
           .only_f32 = true},
          {.name = "i64_f64",
           .inputs = {Ints({2}, {0, 4607182418800017408})},
           .attrs = {{"dtype", DType::kF64}},
           .gradient = false,
           .only_f32 = true},
          {.name = "scalar",
           .inputs = {Random({})},
           .attrs = {{"dtype", DType::kU32}},
           .gradient = false,
           .only_f32 = true},
          {.name = "wide", .inputs = {Random({2})}, .attrs = {{"dtype", DType::kI64}}, .error = "c1"},
          {.name = "string", .inputs = {Random({2})}, .attrs = {{"dtype", DType::kString}}, .error = "c1"}};
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
    {.name = "bitcast",
     .summary = "The bits of every element read as another dtype of as many bits; a byte that becomes a bool is != 0.",
     .inputs = {{.name = "x", .dtypes = kCastSet, .flags = kNotDifferentiable}},
     .outputs = {{.name = "y", .type = "U", .dtypes = kCastSet, .flags = kNotDifferentiable}},
     .attrs = {Required("dtype", AttrKind::kDType, "the dtype of the result")},
     .traits = kExact | kDiscrete,
     .infer = InferBitcast,
     .eval = EvalBitcast,
     .samples = BitcastSamples},
    {.name = "cast_narrow",
     .summary = "cast to a float of 8 or 4 bits with the overflow and the rounding chosen.",
     .inputs = {{.name = "x", .dtypes = kFloatSet, .flags = kNotDifferentiable}},
     .outputs =
         {{.name = "y", .type = "U", .dtypes = kStorageSet & ~Only(DType::kString), .flags = kNotDifferentiable}},
     .attrs = {Required("dtype", AttrKind::kDType, "the dtype of the result"),
               BoolAttr("saturate", true,
                        "what is too large becomes the largest number; else infinity, or NaN where there is none"),
               StringAttr("rounding", "nearest", "nearest; up or down: the power of two above or below, f8e8m0 only")},
     .traits = kExact | kDiscrete,
     .infer = InferCastNarrow,
     .eval = EvalCastNarrow,
     .samples = CastNarrowSamples},
};

}  // namespace
extern const std::span<const OpDef> cast_ops;
constinit const std::span<const OpDef> cast_ops{kOps};
}  // namespace tenon::ir::ops
