// Transposes.
//   before: transpose(transpose(x; p); q)     transpose that moves only axes of 1
//   after:  transpose(x; p[q])                reshape
#include <algorithm>

#include "compiler/rules/rules.h"
#include "ir/op_def.h"

namespace tenon::compiler {

using namespace ir;

namespace {

std::vector<std::int64_t> Permutation(const Node& n, std::size_t rank) {
  std::vector<std::int64_t> p = n.attrs.Ints("permutation");
  if (p.empty())
    for (std::size_t i = rank; i-- > 0;) p.push_back(static_cast<std::int64_t>(i));
  for (std::int64_t& a : p) a = a < 0 ? a + static_cast<std::int64_t>(rank) : a;
  return p;
}

}  // namespace

Result<Patch> TransposeOfTranspose(RuleContext& ctx, std::int32_t id) {
  const Node& n = ctx.node(id);
  if (n.op->name != "transpose") return Patch();
  const Value x = n.inputs[0];
  const std::vector<std::int64_t> dims = ctx.dims(x);
  const std::vector<std::int64_t> q = Permutation(n, dims.size());
  std::vector<std::int64_t> moved;  // the order of the axes that are not 1
  for (const std::int64_t a : q)
    if (dims[static_cast<std::size_t>(a)] != 1) moved.push_back(a);
  if (std::ranges::is_sorted(moved) || ctx.elements(x) == 0) {
    const std::vector<std::int64_t> out = ctx.dims({id, 0});
    return Patch{out == dims ? x : ctx.b.Reshape(x, ToShape(out))};
  }
  if (!ctx.Is(x, "transpose")) return Patch();
  const std::vector<std::int64_t> p = Permutation(ctx.node(x), dims.size());
  std::vector<std::int64_t> both;
  for (const std::int64_t a : q) both.push_back(p[static_cast<std::size_t>(a)]);
  return Patch{ctx.b.Transpose(ctx.node(x).inputs[0], both)};
}

}  // namespace tenon::compiler
