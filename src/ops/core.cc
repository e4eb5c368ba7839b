// The two ops on which every graph stands.
#include "ops/util.h"

namespace tenon::ir::ops {
namespace {

Status InferInput(InferContext&) {
  return Status(Code::kInternal, "input: made by Builder::Input, which gives its type");
}

Status InferConstant(InferContext& ctx) {
  const Literal& value = ctx.attrs().Lit("value");
  ctx.Set(0, Type::Of(value));
  if (is_integer(value.dtype()) && value.rank() <= 1 && value.size() <= 64) {
    std::vector<Dim> elements;
    for (const std::int64_t v : ToInts(value)) elements.emplace_back(v);
    ctx.SetValue(0, std::move(elements));
  }
  return {};
}

Status EvalConstant(EvalContext& ctx) {
  ctx.Set(0, ctx.attrs().Lit("value"));
  return {};
}

std::vector<Sample> ConstantSamples() {
  return {{.name = "matrix", .attrs = {{"value", Random({2, 3})}}},
          {.name = "integers", .attrs = {{"value", Ints({3}, {1, -2, 3})}}},
          {.name = "empty", .attrs = {{"value", Random({0})}}},
          {.name = "missing", .error = "attr"}};
}

constinit const OpDef kOps[] = {
    {.name = "input",
     .summary = "An input of the graph; its type stands on the node.",
     .outputs = {{.name = "value", .dtypes = kStorageSet}},
     .traits = kExact,
     .infer = InferInput},
    {.name = "constant",
     .summary = "A value known when the graph is built.",
     .outputs = {{.name = "value", .dtypes = kStorageSet}},
     .attrs = {Required("value", AttrKind::kLiteral, "the value")},
     .traits = kExact,
     .infer = InferConstant,
     .eval = EvalConstant,
     .samples = ConstantSamples},
};

}  // namespace
extern const std::span<const OpDef> core_ops;
constinit const std::span<const OpDef> core_ops{kOps};
}  // namespace tenon::ir::ops
