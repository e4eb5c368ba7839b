#include "tenon/shortcuts.h"

#include "eager/promote.h"
#include "ir/op_names.h"

namespace tenon {
namespace {

Tensor Pair(std::string_view name, const Tensor& x, Scalar y) {
  const Tensor inputs[] = {x, eager::Weak(y, x)};
  return eager::CallOp(ir::GetOp(name), inputs, {})[0];
}

bool Open(const Dim& d) { return d.try_value() == -1; }

// `dims` with the -1 replaced by what the others leave of `size`.
Shape Resolve(const Shape& dims, const Dim& size) {
  Dim rest = 1;
  int open = 0;
  for (const Dim& d : dims.dims()) {
    open += Open(d) ? 1 : 0;
    if (!Open(d)) rest = rest * d;
  }
  if (open == 0) return dims;
  const auto bad = [&](const std::string& why) {
    fail(Code::kInvalidArgument,
         "reshape: got dims " + dims.to_string() + " for " + size.to_string() + " elements: " + why);
  };
  if (open > 1) bad("at most one dim may be -1");
  if (rest.try_value() == 0) bad("-1 has no answer beside a 0, write the number");
  const Dim over = Dim::mod(size, rest);
  if (over.try_value().value_or(0) != 0) bad("the elements do not divide evenly");
  std::vector<Dim> out;
  for (const Dim& d : dims.dims()) out.push_back(Open(d) ? Dim::floor_div(size, rest) : d);
  return Shape(std::move(out));
}

}  // namespace

Tensor reshape(const Tensor& x, const Shape& dims) {
  return eager::ApplyOne(ir::op::kReshape, {x}, {{"dims", Resolve(dims, x.shape().size())}});
}
Tensor broadcast_to(const Tensor& x, const Shape& dims) {
  return eager::ApplyOne(ir::op::kBroadcastTo, {x}, {{"dims", dims}});
}
Tensor transpose(const Tensor& x, std::initializer_list<std::int64_t> permutation) {
  return eager::ApplyOne(ir::op::kTranspose, {x}, {{"permutation", std::vector<std::int64_t>(permutation)}});
}
Tensor clip(const Tensor& x, Scalar low, Scalar high) {
  const Tensor inputs[] = {x, eager::Weak(low, x), eager::Weak(high, x)};
  return eager::CallOp(ir::GetOp(ir::op::kClip), inputs, {})[0];
}
Tensor maximum(const Tensor& x, Scalar y) { return Pair(ir::op::kMaximum, x, y); }
Tensor minimum(const Tensor& x, Scalar y) { return Pair(ir::op::kMinimum, x, y); }
Tensor power(const Tensor& x, Scalar y) { return Pair(ir::op::kPower, x, y); }

}  // namespace tenon
