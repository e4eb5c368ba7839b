// Windows over channels-first data work on channels-last data between two transposes.
//   before: conv(x, kernel; layout = "NCHW")
//   after:  transpose(conv(transpose(x; [0, 2, 3, 1]), kernel; layout = "NHWC"); [0, 3, 1, 2])
// SinkTransposes then moves the second one down until it meets the first one of the next window.
#include "compiler/internal_ops.h"
#include "compiler/rules/rules.h"
#include "ir/op_def.h"

namespace tenon::compiler {

using namespace ir;

bool ChannelsFirst(const Node& n) {
  const Attr* layout = n.attrs.Find("layout");
  const auto* text = layout == nullptr ? nullptr : std::get_if<std::string>(layout);
  return text != nullptr && text->starts_with("NC") && text->size() >= 3 && n.outputs.size() == 1 &&
         n.outputs[0].type.is_static();
}

Result<Patch> ChannelsLast(RuleContext& ctx, std::int32_t id) {
  const Node& n = ctx.node(id);
  const std::string_view op = n.op->name;
  if (!ChannelsFirst(n)) return Patch();
  std::vector<std::size_t> data;  // the inputs that are data
  bool data_out = true;
  if (op == "conv" || op == "max_pool" || op == "avg_pool" || n.op == &FusedConvOp())
    data = {0};
  else if (op == "conv_input_grad")
    data = {0, 2};
  else if (op == "conv_kernel_grad")
    data = {0, 1}, data_out = false;
  else if (op == "max_pool_grad" || op == "avg_pool_grad" || op == "max_pool_gather")
    data = {0, 1};
  else
    return Patch();
  const std::string& layout = n.attrs.String("layout");
  const auto rank = static_cast<std::int64_t>(layout.size());
  std::vector<std::int64_t> last = {0}, first = {0, rank - 1};
  for (std::int64_t i = 2; i < rank; ++i) last.push_back(i), first.push_back(i - 1);
  last.push_back(1);
  std::vector<Value> inputs = n.inputs;
  for (const std::size_t i : data) inputs[i] = ctx.b.Transpose(inputs[i], last);
  Attrs attrs = n.attrs;
  attrs.Set("layout", "N" + layout.substr(2) + "C");
  Patch out = ctx.b.AddAll(*n.op, std::move(inputs), std::move(attrs));
  if (!ctx.b.ok()) return ctx.b.status();
  if (data_out) out[0] = ctx.b.Transpose(out[0], first);
  return out;
}

}  // namespace tenon::compiler
