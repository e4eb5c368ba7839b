// Powers and divisions that have a cheaper exact form.
//   before: power(x, 2)     power(x, 1)    power(x, -1)     power(x, 0)    x / 2^n
//   after:  square(x)       x              reciprocal(x)    1              x * 2^-n
#include <cmath>

#include "compiler/rules/rules.h"
#include "ir/op_def.h"

namespace tenon::compiler {

using namespace ir;

Result<Patch> SimplifyPower(RuleContext& ctx, std::int32_t id) {
  const Node& n = ctx.node(id);
  if ((n.op->name != "power" && n.op->name != "divide") || !is_float(ctx.type({id, 0}).dtype())) return Patch();
  const Value x = n.inputs[0];
  if (!(ctx.type(x) == ctx.type({id, 0}))) return Patch();
  const std::optional<double> y = ScalarOf(ctx, n.inputs[1]);
  if (!y) return Patch();
  if (n.op->name == "divide") {
    int exponent = 0;
    if (std::fabs(std::frexp(*y, &exponent)) != 0.5 || std::abs(exponent) > 12)
      return Patch();  // the inverse is exact in f16 too
    return Patch{ctx.b.Add("multiply", {x, ctx.b.Scalar(1 / *y, ctx.type(x).dtype())})};
  }
  if (*y == 2) return Patch{ctx.b.Add("square", {x})};
  if (*y == 1) return Patch{x};
  if (*y == -1) return Patch{ctx.b.Add("reciprocal", {x})};
  if (*y == 0) return Patch{Splat(ctx, 1, ctx.type(x).dtype(), ctx.dims(x))};
  return Patch();
}

}  // namespace tenon::compiler
