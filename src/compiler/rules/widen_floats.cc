// Half precision through f32 where only f32 has a kernel.
//   before: conv(x bf16, kernel bf16)
//   after:  cast(conv(cast(x; f32), cast(kernel; f32)); bf16)
// The same for max_pool of integers of 8 and 16 bits, which f32 holds, where no window can lie in padding alone.
#include "compiler/rules/rules.h"
#include "ir/op_def.h"

namespace tenon::compiler {

using namespace ir;

namespace {

bool IsSmallPool(const Node& n, DType dtype) {
  if (n.op->name != "max_pool" || !is_integer(dtype) || is_packed(dtype) || dtype_bits(dtype) > 16) return false;
  const std::vector<std::int64_t>&window = n.attrs.Ints("window"), &padding = n.attrs.Ints("padding");
  for (std::size_t i = 0; i < padding.size(); ++i)
    if (padding[i] >= window[i / 2]) return false;
  for (const std::int64_t d : n.attrs.Ints("dilations"))
    if (d != 1) return false;
  return !n.attrs.Bool("ceil_mode");
}

}  // namespace

Result<Patch> WidenFloats(RuleContext& ctx, std::int32_t id) {
  const Node& n = ctx.node(id);
  if (n.inputs.empty() || !n.inputs[0].valid()) return Patch();
  const DType narrow = ctx.type(n.inputs[0]).dtype();
  if (narrow != DType::kF16 && narrow != DType::kBF16 && !IsSmallPool(n, narrow)) return Patch();
  const std::string_view variable = n.op->inputs[0].type;
  std::vector<Value> inputs = n.inputs;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Port& port = n.op->inputs[std::min(i, n.op->inputs.size() - 1)];
    if (inputs[i].valid() && port.type == variable) inputs[i] = ctx.b.Cast(inputs[i], DType::kF32);
  }
  Patch out = ctx.b.AddAll(*n.op, std::move(inputs), n.attrs);
  if (!ctx.b.ok()) return ctx.b.status();
  for (std::size_t k = 0; k < out.size(); ++k) out[k] = ctx.b.Cast(out[k], n.outputs[k].type.dtype());
  return out;
}

}  // namespace tenon::compiler
