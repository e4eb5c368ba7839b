// Numbers that become dims while a graph runs.
#include "ops/array_util.h"

namespace tenon::ir::ops {
namespace {

// c1: a vector of at most 64 elements. c2: one symbol for each. Without a known number of elements no dims are made.
Status InferAsDims(InferContext& ctx) {
  const std::vector<std::string>& symbols = ctx.attrs().Strings("symbols");
  const std::optional<std::int64_t> count =
      ctx.ranked(0) && ctx.rank(0) == 1 ? ctx.shape(0)[0].try_value() : std::nullopt;
  if ((ctx.ranked(0) && ctx.rank(0) != 1) || count.value_or(0) > 64)
    return ctx.Fail(1, "got " + ctx.type(0).to_string() + ", expected a vector of 0 to 64 elements");
  if (!symbols.empty() && count && static_cast<std::int64_t>(symbols.size()) != *count)
    return ctx.Fail(2, "got " + std::to_string(symbols.size()) + " symbols for " + ctx.type(0).to_string());
  ctx.Set(0, ctx.dtype(0), ctx.ranked(0) ? ctx.shape(0) : Shape({ctx.FreshDim()}));
  if (ctx.value(0)) {
    ctx.SetValue(0, *ctx.value(0));
    return {};
  }
  std::vector<Dim> elements;
  for (std::int64_t i = 0; count && i < *count; ++i)
    elements.push_back(symbols.empty() ? ctx.FreshDim() : Dim::symbol(symbols[static_cast<std::size_t>(i)]));
  if (count) ctx.SetValue(0, std::move(elements));
  return {};
}

Status EvalAsDims(EvalContext& ctx) {
  const std::vector<std::int64_t> elements = ToInts(ctx.in(0));
  for (std::size_t i = 0; i < elements.size(); ++i)
    if (elements[i] < 0)
      return ctx.Fail("element " + std::to_string(i) + ": got " + std::to_string(elements[i]) +
                      ", expected a dim, 0 or more");
  ctx.Set(0, ctx.in(0));
  return {};
}

std::vector<Sample> AsDimsSamples() {
  return {{.name = "constant", .inputs = {Ints({3}, {4, 0, 2})}},
          {.name = "none", .inputs = {Ints({0}, {})}},
          {.name = "matrix", .inputs = {Ints({1, 2}, {1, 2})}, .error = "c1"},
          {.name = "few_symbols",
           .inputs = {Ints({2}, {1, 2})},
           .attrs = {{"symbols", std::vector<std::string>{"n"}}},
           .error = "c2"}};
}

constinit const OpDef kOps[] = {
    {.name = "as_dims",
     .summary = "The same integers, which other ops may then use as dims: sizes that only the run knows.",
     .inputs =
         {{.name = "x", .dtypes = kIndexSet, .flags = kNotDifferentiable | kWantsValue, .doc = "[n], none below 0"}},
     .outputs = {{.name = "dims", .dtypes = kIndexSet}},
     .attrs = {{.name = "symbols",
                .kind = AttrKind::kStrings,
                .mode = AttrSpec::Default::kValue,
                .doc = "what the dims are called in this graph; empty: names that nothing else has"}},
     .traits = kExact | kDefinesDims,
     .infer = InferAsDims,
     .eval = EvalAsDims,
     .samples = AsDimsSamples},
};

}  // namespace
extern const std::span<const OpDef> as_dims_ops;
constinit const std::span<const OpDef> as_dims_ops{kOps};
}  // namespace tenon::ir::ops
