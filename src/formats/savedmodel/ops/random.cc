// Random numbers. Those of a stateful op are not TensorFlow's own (which depend on the device and on what ran before):
// they are drawn from the module's state variable "random/state", which every op moves on. Those of a stateless op are
// TensorFlow's.
#include <fmt/format.h>

#include "base/status_macros.h"
#include "formats/savedmodel/ops/build.h"

namespace tenon::savedmodel {
namespace {

using ir::Value;

/// The present state, and the next one written.
Result<Value> NextState(OpContext& c) {
  const int cell = c.t.RandomCell();
  TENON_ASSIGN_OR_RETURN(const Value state, c.t.Read(cell));
  const std::uint64_t step[] = {0, 1};
  const Value next = c.b.Add("add", {state, c.b.Constant(Literal::from<std::uint64_t>({2}, std::span(step)))});
  TENON_RETURN_IF_ERROR(c.b.status());
  c.t.Write(cell, next);
  return state;
}

Status Draw(OpContext& c) {  // shape
  const auto dims = c.sizes(0);
  const std::optional<DType> dtype = c.Type("dtype");
  if (!c.b.ok()) return {};
  if (!dims) return c.Unsupported("of a shape whose rank is known only at run time");
  if (!dtype || !is_float(*dtype)) return c.Unsupported("of such a type");
  TENON_ASSIGN_OR_RETURN(const Value state, NextState(c));
  const bool normal = c.node.op == "RandomStandardNormal";
  c.Set(c.b.Add(normal ? "random_normal" : "random_uniform", {state}, {{"dims", Shape(*dims)}, {"dtype", *dtype}}));
  return {};
}

/// The least number, rank 0; the run fails unless it is below the limit. Of nothing to draw TensorFlow asks nothing.
ir::Ex Least(OpContext& c, Value least, Value limit, const Shape& dims) {
  if (dims.size() == Dim(0)) return Ex(c, least);
  const Value good = c.b.Reshape(c.b.Add("less", {least, limit}), Shape{});
  return Ex(c, c.b.Reshape(Required(c, c.b.Reshape(least, Shape{1}), good), Shape{}));
}

Status DrawInteger(OpContext& c) {  // shape, least, limit
  const auto dims = c.sizes(0);
  const Value least = c.in(1), limit = c.in(2);
  if (!c.b.ok()) return {};
  if (!dims) return c.Unsupported("of a shape whose rank is known only at run time");
  TENON_ASSIGN_OR_RETURN(const Value state, NextState(c));
  const ir::Ex u = Ex(c, c.b.Add("random_uniform", {state}, {{"dims", Shape(*dims)}, {"dtype", DType::kF64}}));
  const ir::Ex low = Ex(c, c.b.Cast(Least(c, least, limit, Shape(*dims)), DType::kF64)),
               high = Ex(c, c.b.Cast(limit, DType::kF64));
  c.Set(c.b.Cast(Op("floor", low + u * (high - low)), c.b.dtype(least)));
  return {};
}

// Stateless ops.

Status KeyCounter(OpContext& c) {
  const std::vector<Value> out = c.b.AddAll("stateless_key", {c.in(0)});
  for (std::size_t k = 0; k < out.size(); ++k) c.Set(static_cast<int>(k), out[k]);
  return {};
}

Status Algorithm(OpContext& c) {  // Philox
  c.Set(c.b.Constant(Literal::scalar<std::int32_t>(1)));
  return {};
}

/// Where key and counter come from: V2 has them (and the algorithm), V1 a seed.
struct Source {
  Value key, counter;
  int next = 0;  // the input behind them
};
Source SourceOf(OpContext& c) {
  if (c.node.op.ends_with("V2")) {
    const std::vector<std::int64_t> algorithm = c.ints(3);  // 1 Philox, 2 Threefry, 3 what the device does best
    if (c.b.ok() && (algorithm.size() != 1 || algorithm[0] == 2)) c.b.SetStatus(c.Unsupported("by another algorithm"));
    return {c.in(1), c.in(2), 4};
  }
  const std::vector<Value> made = c.b.AddAll("stateless_key", {c.in(1)});
  return {made.size() == 2 ? made[0] : Value(), made.size() == 2 ? made[1] : Value(), 2};
}

Value Stateless(OpContext& c, const Source& source, const Shape& dims, std::string kind, DType dtype) {
  return c.b.Add("stateless_random", {source.key, source.counter},
                 {{"dims", dims}, {"kind", std::move(kind)}, {"dtype", dtype}});
}

Status StatelessDraw(OpContext& c) {  // shape, key, counter, algorithm; V1: shape, seed
  const auto dims = c.sizes(0);
  const DType dtype = c.Type("dtype").value_or(DType::kF32);
  const Source source = SourceOf(c);
  if (!c.b.ok()) return {};
  if (!dims) return c.Unsupported("of a shape whose rank is known only at run time");
  const bool truncated = c.node.op.find("Truncated") != std::string::npos;
  const bool normal = c.node.op.find("Normal") != std::string::npos;
  c.Set(Stateless(c, source, Shape(*dims), truncated ? "truncated_normal" : normal ? "normal" : "uniform", dtype));
  return {};
}

/// Integers of all values, or least + bits modulo (limit - least).
Status StatelessIntegers(OpContext& c) {
  const auto dims = c.sizes(0);
  const DType dtype = c.Type("dtype").value_or(DType::kI32);
  const Source source = SourceOf(c);
  if (!c.b.ok()) return {};
  if (!dims) return c.Unsupported("of a shape whose rank is known only at run time");
  if (c.node.op.find("FullInt") != std::string::npos) {
    c.Set(Stateless(c, source, Shape(*dims), "bits", dtype));
    return {};
  }
  if (dtype != DType::kI32 && dtype != DType::kI64) return c.Unsupported("of such a type");
  const Value limit = c.in(source.next + 1);
  const ir::Ex least = Least(c, c.in(source.next), limit, Shape(*dims));
  const DType wide = DType::kU64;
  const DType bits = dtype == DType::kI32 ? DType::kU32 : DType::kU64;
  const ir::Ex drawn = Ex(c, c.b.Cast(Stateless(c, source, Shape(*dims), "bits", bits), wide));
  const ir::Ex range = Ex(c, c.b.Cast(Ex(c, c.b.Cast(limit, DType::kI64)) - Ex(c, c.b.Cast(least, DType::kI64)), wide));
  c.Set(Ex(c, c.b.Cast(Op("remainder", drawn, range), dtype)) + least);
  return {};
}

constexpr Rule kRules[] = {
    {"StatelessRandomGetKeyCounter", KeyCounter},
    {"StatelessRandomGetAlg", Algorithm},
    {"StatelessRandomUniform", StatelessDraw},
    {"StatelessRandomUniformV2", StatelessDraw},
    {"StatelessRandomNormal", StatelessDraw},
    {"StatelessRandomNormalV2", StatelessDraw},
    {"StatelessTruncatedNormal", StatelessDraw},
    {"StatelessTruncatedNormalV2", StatelessDraw},
    {"StatelessRandomUniformInt", StatelessIntegers},
    {"StatelessRandomUniformIntV2", StatelessIntegers},
    {"StatelessRandomUniformFullInt", StatelessIntegers},
    {"StatelessRandomUniformFullIntV2", StatelessIntegers},
    {"RandomUniform", Draw},
    {"RandomStandardNormal", Draw},
    {"RandomUniformInt", DrawInteger},
};

}  // namespace

std::span<const Rule> RandomRules() { return kRules; }

}  // namespace tenon::savedmodel
