// Optionals: values that may be absent, of type opt<tensor> or opt<seq<tensor>>.
#include "ops/body_util.h"

namespace tenon::ir::ops {
namespace {

// c1: the value is a tensor or a sequence.
Status InferSome(InferContext& ctx) {
  const Type::Kind kind = ctx.type(0).kind();
  if (kind != Type::Kind::kTensor && kind != Type::Kind::kSequence)
    return ctx.Fail(1, "input \"value\": got " + ctx.type(0).to_string() + ", expected a tensor or a sequence");
  ctx.Set(0, Type::Optional(ctx.type(0)));
  return {};
}
Status EvalSome(EvalContext& ctx) {
  ctx.Set(0, Datum::Optional(ctx.datum(0), ctx.out_type().element()));
  return {};
}

// c1: the attribute spells the type of a tensor or a sequence.
Status InferNone(InferContext& ctx) {
  const std::string& text = ctx.attrs().String("element");
  const Result<Type> element = Type::Parse(text);
  if (!element.ok() || (!element->is_tensor() && element->kind() != Type::Kind::kSequence))
    return ctx.Fail(1, "got element \"" + text + "\", expected the type of a tensor or a sequence");
  ctx.Set(0, Type::Optional(*element));
  return {};
}
Status EvalNone(EvalContext& ctx) {
  ctx.Set(0, Datum::Optional(std::nullopt, ctx.out_type().element()));
  return {};
}

// c1: the input is an optional.
Status CheckOptional(const InferContext& ctx) {
  if (ctx.type(0).kind() == Type::Kind::kOptional) return {};
  return ctx.Fail(1, "input \"optional\": got " + ctx.type(0).to_string() + ", expected an optional");
}
Status InferHas(InferContext& ctx) {
  TENON_RETURN_IF_ERROR(CheckOptional(ctx));
  ctx.Set(0, DType::kBool, {});
  return {};
}
Status EvalHas(EvalContext& ctx) {
  ctx.Set(0, Literal::scalar(!ctx.datum(0).items->empty()));
  return {};
}

Status InferGet(InferContext& ctx) {
  TENON_RETURN_IF_ERROR(CheckOptional(ctx));
  const Type& element = ctx.type(0).element();
  if (!element.is_tensor() || !element.has_rank()) {
    ctx.Set(0, element);
    return {};
  }
  // What is inside may have other dims each time where the element's are symbols.
  std::vector<Dim> dims;
  for (const Dim& d : element.shape().dims()) dims.push_back(d.is_symbolic() ? ctx.FreshDim() : d);
  ctx.Set(0, Type::Tensor(element.dtype(), Shape(std::move(dims))));
  return {};
}
Status EvalGet(EvalContext& ctx) {
  if (ctx.datum(0).items->empty()) return ctx.Fail("got an empty optional, expected one with a value");
  ctx.Set(0, ctx.datum(0).items->front());
  return {};
}

// A sample holds tensors only: what takes an optional has error samples here and is tested in graphs
// (optional_test.cc).
std::vector<Sample> SomeSamples() {
  return {{.name = "tensor", .inputs = {Random({2, 3}, 1)}, .gradient = false},
          {.name = "scalar", .inputs = {Random({}, 2)}, .gradient = false}};
}
std::vector<Sample> NoneSamples() {
  return {{.name = "tensor", .attrs = {{"element", std::string("f32[2]")}}},
          {.name = "sequence", .attrs = {{"element", std::string("seq<i64[*]>")}}},
          {.name = "nonsense", .attrs = {{"element", std::string("three")}}, .error = "c1"},
          {.name = "nested", .attrs = {{"element", std::string("opt<f32[]>")}}, .error = "c1"}};
}
std::vector<Sample> NoOptionalSamples() { return {{.name = "tensor", .inputs = {Random({2}, 1)}, .error = "c1"}}; }

constexpr Port kOptionalIn = {.name = "optional", .type = "O", .dtypes = kStorageSet, .flags = kNonTensor};
constexpr Port kOptionalOut = {.name = "result", .type = "O", .dtypes = kStorageSet, .flags = kNonTensor};

constinit const OpDef kOps[] = {
    {.name = "optional_some",
     .summary = "An optional that holds a value.",
     .inputs = {{.name = "value", .type = "Q", .dtypes = kStorageSet, .flags = kNonTensor}},
     .outputs = {kOptionalOut},
     .traits = kExact,
     .infer = InferSome,
     .eval = EvalSome,
     .samples = SomeSamples},
    {.name = "optional_none",
     .summary = "An optional that holds nothing.",
     .outputs = {kOptionalOut},
     .attrs = {StringAttr("element", "f32[*]", "the type that a value would have")},
     .traits = kExact,
     .infer = InferNone,
     .eval = EvalNone,
     .samples = NoneSamples},
    {.name = "optional_has_value",
     .summary = "Whether the optional holds a value.",
     .inputs = {kOptionalIn},
     .outputs = {{.name = "answer", .type = "B", .dtypes = kBoolSet}},
     .traits = kExact,
     .infer = InferHas,
     .eval = EvalHas,
     .samples = NoOptionalSamples},
    {.name = "optional_value",
     .summary = "The value in an optional; an empty one is an error of the run.",
     .inputs = {kOptionalIn},
     .outputs = {{.name = "value", .type = "Q", .dtypes = kStorageSet, .flags = kNonTensor}},
     .traits = kExact,
     .infer = InferGet,
     .eval = EvalGet,
     .samples = NoOptionalSamples},
};

}  // namespace
extern const std::span<const OpDef> optional_ops;
constinit const std::span<const OpDef> optional_ops{kOps};
}  // namespace tenon::ir::ops
