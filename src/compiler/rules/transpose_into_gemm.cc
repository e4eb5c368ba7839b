// A transposed operand is a flag of the product.
//   before: gemm(transpose(x; last two axes swapped), y)
//   after:  gemm(x, y; transpose_x flipped)
#include "compiler/internal_ops.h"
#include "compiler/rules/rules.h"
#include "ir/op_def.h"

namespace tenon::compiler {

using namespace ir;

namespace {

bool SwapsLastTwo(const Node& n, std::size_t rank) {
  std::vector<std::int64_t> p = n.attrs.Ints("permutation");
  if (p.empty()) return rank == 2;
  for (std::size_t i = 0; i < rank; ++i) {
    const std::int64_t at = p[i] < 0 ? p[i] + static_cast<std::int64_t>(rank) : p[i];
    const std::size_t want = i + 2 < rank ? i : i + 2 == rank ? rank - 1 : rank - 2;
    if (at != static_cast<std::int64_t>(want)) return false;
  }
  return true;
}

}  // namespace

Result<Patch> TransposeIntoGemm(RuleContext& ctx, std::int32_t id) {
  const Node& n = ctx.node(id);
  if (n.op != &GemmOp()) return Patch();
  for (const std::size_t side : {std::size_t{0}, std::size_t{1}}) {
    const Value v = n.inputs[side];
    if (!ctx.Is(v, "transpose") || !SwapsLastTwo(ctx.node(v), ctx.dims(v).size())) continue;
    std::vector<Value> inputs = n.inputs;
    inputs[side] = ctx.node(v).inputs[0];
    Attrs attrs = n.attrs;
    const char* flag = side == 0 ? "transpose_x" : "transpose_y";
    attrs.Set(flag, !attrs.Bool(flag));
    return ctx.b.AddAll(GemmOp(), std::move(inputs), std::move(attrs));
  }
  return Patch();
}

Result<Patch> GemmTranspose(RuleContext& ctx, std::int32_t id) {
  // before: transpose(gemm(x, y))    after: gemm(y, x; flags exchanged and flipped)
  const Node& n = ctx.node(id);
  if (n.op->name != "transpose") return Patch();
  const Value z = n.inputs[0];
  if (!SwapsLastTwo(n, ctx.dims(z).size()) || ctx.node(z).op != &GemmOp() || ctx.uses(z) != 1) return Patch();
  const Node& g = ctx.node(z);
  for (const std::size_t i : {std::size_t{2}, std::size_t{3}})
    if (g.inputs.size() > i && g.inputs[i].valid()) return Patch();
  std::vector<Value> inputs = g.inputs;
  std::swap(inputs[0], inputs[1]);
  Attrs attrs = g.attrs;
  attrs.Set("transpose_x", !g.attrs.Bool("transpose_y"));
  attrs.Set("transpose_y", !g.attrs.Bool("transpose_x"));
  return ctx.b.AddAll(GemmOp(), std::move(inputs), std::move(attrs));
}

}  // namespace tenon::compiler
