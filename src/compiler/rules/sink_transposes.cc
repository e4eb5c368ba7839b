// Transposes move down, through what does not care for the order of axes, until they meet their inverse.
//   before: relu(transpose(x; p))     add(transpose(x; p), transpose(y; p))    reduce_sum(transpose(x; p); axes)
//   after:  transpose(relu(x); p)     transpose(add(x, y); p)                  reduce_sum(x; p[axes])
// Small operands (a scale of the channels) are brought into the order of x. Also through concat, pad and slice.
#include <algorithm>

#include "compiler/rules/rules.h"
#include "ir/op_def.h"

namespace tenon::compiler {

using namespace ir;

namespace {

using Dims = std::vector<std::int64_t>;

// The permutation of a transpose whose value is v; empty when v is none.
Dims PermutationOf(const RuleContext& ctx, Value v) {
  if (!ctx.Is(v, "transpose")) return {};
  const auto rank = static_cast<std::int64_t>(ctx.dims(v).size());
  Dims p = ctx.node(v).attrs.Ints("permutation");
  if (p.empty())
    for (std::int64_t i = rank; i-- > 0;) p.push_back(i);
  for (std::int64_t& a : p) a = a < 0 ? a + rank : a;
  return p;
}
Dims Inverse(const Dims& p) {
  Dims inverse(p.size());
  for (std::size_t i = 0; i < p.size(); ++i) inverse[static_cast<std::size_t>(p[i])] = static_cast<std::int64_t>(i);
  return inverse;
}
Shape Permuted(const Shape& dims, const Dims& inverse) {
  std::vector<Dim> out;
  for (const std::int64_t i : inverse) out.push_back(dims.dims()[static_cast<std::size_t>(i)]);
  return Shape(std::move(out));
}

Result<Patch> Elementwise(RuleContext& ctx, const Node& n, const Type& type) {
  const std::size_t rank = type.shape().dims().size();
  Dims p;
  for (const Value v : n.inputs) {
    if (!v.valid() || ctx.dims(v).size() != rank) continue;
    const Dims q = PermutationOf(ctx, v);
    if (!q.empty() && p.empty()) p = q;
  }
  if (p.empty()) return Patch();
  const std::int64_t elements = type.shape().size().value();
  for (const Value v : n.inputs) {  // everything else must be small
    if (!v.valid() || (ctx.dims(v).size() == rank && PermutationOf(ctx, v) == p)) continue;
    if (ctx.elements(v) * 8 > elements && ctx.elements(v) > 1) return Patch();
  }
  const Dims inverse = Inverse(p);
  std::vector<Value> inputs;
  for (const Value v : n.inputs) {
    if (!v.valid() || ctx.elements(v) == 1) {
      inputs.push_back(v.valid() && ctx.dims(v).size() == rank && !PermutationOf(ctx, v).empty() ? ctx.node(v).inputs[0]
                                                                                                 : v);
      continue;
    }
    if (ctx.dims(v).size() == rank && PermutationOf(ctx, v) == p) {
      inputs.push_back(ctx.node(v).inputs[0]);
      continue;
    }
    Dims dims = ctx.dims(v);
    Value wide = v;
    if (dims.size() < rank) {
      dims.insert(dims.begin(), rank - dims.size(), 1);
      wide = ctx.b.Reshape(v, ToShape(dims));
    }
    inputs.push_back(ctx.b.Transpose(wide, inverse));
  }
  const Value inner = ctx.b.Add(n.op->name, std::move(inputs), n.attrs);
  if (!ctx.b.ok()) return ctx.b.status();
  return Patch{ctx.b.Transpose(inner, p)};
}

Result<Patch> Reduce(RuleContext& ctx, const Node& n) {
  const Dims p = PermutationOf(ctx, n.inputs[0]);
  if (p.empty()) return Patch();
  Dims axes, kept;
  const std::vector<int> reduced = ReducedAxes(n, static_cast<int>(p.size()));
  for (std::size_t i = 0; i < p.size(); ++i)
    (std::ranges::find(reduced, static_cast<int>(i)) != reduced.end() ? axes : kept).push_back(p[i]);
  std::ranges::sort(axes);
  Attrs attrs = n.attrs;
  attrs.Set("axes", axes);
  const Value inner = ctx.b.Add(n.op->name, {ctx.node(n.inputs[0]).inputs[0]}, attrs);
  if (!ctx.b.ok()) return ctx.b.status();
  if (n.attrs.Bool("keep_dims")) return Patch{ctx.b.Transpose(inner, p)};
  if (std::ranges::is_sorted(kept)) return Patch{inner};
  Dims order = kept, sorted = kept;  // where each kept axis stands now
  std::ranges::sort(sorted);
  for (std::int64_t& a : order) a = std::ranges::find(sorted, a) - sorted.begin();
  return Patch{ctx.b.Transpose(inner, order)};
}

}  // namespace

Result<Patch> SinkTransposes(RuleContext& ctx, std::int32_t id) {
  const Node& n = ctx.node(id);
  const std::string_view op = n.op->name;
  if (n.outputs.size() != 1 || n.inputs.empty() || !n.inputs[0].valid()) return Patch();
  if (n.op->Is(kElementwise) && op != "identity" && op != "stop_gradient")
    return Elementwise(ctx, n, ctx.type({id, 0}));
  if (op == "reduce_sum" || op == "reduce_max" || op == "reduce_min" || op == "reduce_prod" || op == "reduce_mean")
    return Reduce(ctx, n);
  const Dims p = PermutationOf(ctx, n.inputs[0]);
  if (p.empty()) return Patch();
  const Dims inverse = Inverse(p);
  std::vector<Value> inputs;
  Attrs attrs = n.attrs;
  if (op == "concat") {
    for (const Value v : n.inputs) {
      if (PermutationOf(ctx, v) != p) return Patch();
      inputs.push_back(ctx.node(v).inputs[0]);
    }
    const std::int64_t axis = attrs.Int("axis");
    attrs.Set("axis", p[static_cast<std::size_t>(axis < 0 ? axis + static_cast<std::int64_t>(p.size()) : axis)]);
  } else if (op == "pad" || op == "slice") {
    inputs = {ctx.node(n.inputs[0]).inputs[0]};
    const bool pad = op == "pad";
    for (const char* name : {pad ? "low" : "starts", pad ? "high" : "limits"})
      attrs.Set(name, Permuted(n.attrs.Dims(name), inverse));
    if (op == "slice" && !n.attrs.Ints("strides").empty()) {
      Dims strides;
      for (const std::int64_t i : inverse) strides.push_back(n.attrs.Ints("strides")[static_cast<std::size_t>(i)]);
      attrs.Set("strides", strides);
    }
  } else {
    return Patch();
  }
  const Value inner = ctx.b.Add(op, std::move(inputs), std::move(attrs));
  if (!ctx.b.ok()) return ctx.b.status();
  return Patch{ctx.b.Transpose(inner, p)};
}

}  // namespace tenon::compiler
