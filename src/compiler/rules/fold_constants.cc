// What is known when the plan is made is computed then.
//   before: add(constant, constant)      shape_of(x)     an op whose small integer result inference knows
//   after:  constant                     constant        constant
// A large constant of one repeated value becomes broadcast_to(scalar), which costs nothing to read.
#include <cstring>

#include "compiler/rules/rules.h"
#include "ir/eval.h"
#include "ir/numeric.h"
#include "ir/op_def.h"
#include "tensor/aligned.h"

namespace tenon::compiler {

using namespace ir;

namespace {

constexpr std::int64_t kMaxElements = 65536;

bool Repeats(const Literal& l) {
  if (l.dtype() == DType::kString || dtype_bits(l.dtype()) < 8 || l.size() < 2) return false;
  const auto size = static_cast<std::size_t>(dtype_bits(l.dtype()) / 8);
  const std::span<const std::byte> raw = l.raw();
  return std::memcmp(raw.data(), raw.data() + size, raw.size() - size) == 0;
}

}  // namespace

Result<Patch> FoldConstants(RuleContext& ctx, std::int32_t id) {
  const Node& n = ctx.node(id);
  if (n.op->name == "constant") {
    const Literal& l = n.attrs.Lit("value");
    if (l.size() < 16 || !Repeats(l)) return Patch();
    Literal one = Literal::uninitialized(l.dtype(), {});
    std::memcpy(one.mutable_raw().data(), l.raw().data(), one.nbytes());
    return Patch{ctx.b.Add("broadcast_to", {ctx.b.Constant(std::move(one))}, {{"dims", l.shape()}})};
  }
  if (n.op->name == "broadcast_to" || n.op->Is(kControl) || n.op->Is(kDefinesDims)) return Patch();
  std::int64_t in = 0, out = 0;
  for (const Output& o : n.outputs) {
    if (!o.type.is_static()) return Patch();
    out += o.type.shape().size().value();
  }
  if (n.outputs.size() == 1 && n.outputs[0].symbolic) {
    std::vector<std::int64_t> values;
    for (const Dim& d : *n.outputs[0].symbolic)
      if (const std::optional<std::int64_t> v = d.try_value()) values.push_back(*v);
    if (values.size() == n.outputs[0].symbolic->size() && static_cast<std::int64_t>(values.size()) == out &&
        is_integer(n.outputs[0].type.dtype()))
      return Patch{ctx.b.Constant(FromInts(n.outputs[0].type.dtype(), ctx.dims({id, 0}), values))};
  }
  std::vector<Datum> values;
  for (const Value v : n.inputs) {
    const Literal* l = ctx.ConstantOf(v);
    if (v.valid() && l == nullptr) return Patch();
    values.push_back(l == nullptr ? Datum() : Datum(*l));
    if (l != nullptr) in += l->size();
  }
  if (out > std::max(kMaxElements, in) || in > 64 * kMaxElements) return Patch();
  std::vector<const Datum*> args;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (n.inputs[i].valid()) values[i] = Datum(Aligned(values[i].literal()));
    args.push_back(n.inputs[i].valid() ? &values[i] : nullptr);
  }
  const Result<std::vector<Datum>> results = EvalOp(*n.op, args, n.attrs);
  if (!results.ok()) return Patch();  // a run-time error belongs to the run
  Patch patch;
  for (const Datum& d : *results) {
    if (d.kind != Type::Kind::kTensor) return Patch();
    patch.push_back(ctx.b.Constant(d.literal()));
  }
  return patch;
}

}  // namespace tenon::compiler
