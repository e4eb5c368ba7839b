#include "tools/inspect/cost.h"

#include <algorithm>
#include <vector>

#include "ir/builder.h"
#include "ir/op_def.h"

namespace tenon::tools {
namespace {

constexpr int kMaxDepth = 16;

double Elements(const ir::Type& type) {
  if (!type.is_static()) return 0;
  double n = 1;
  for (const std::int64_t d : type.shape().values()) n *= static_cast<double>(d);
  return n;
}

std::int64_t DimAt(const ir::Type& type, std::int64_t axis) {
  return type.shape().values()[static_cast<std::size_t>(axis < 0 ? axis + type.rank() : axis)];
}

}  // namespace

std::int64_t Bytes(const ir::Type& type) {
  if (!type.is_static() || type.dtype() == DType::kString) return 0;
  return static_cast<std::int64_t>(Elements(type)) * dtype_bits(type.dtype()) / 8;
}

double Flops(const ir::Graph& graph, const ir::Node& node, int depth) {
  if (node.outputs.empty() || depth > kMaxDepth) return 0;
  const auto in = [&](std::size_t i) -> const ir::Type& { return graph.type(node.inputs[i]); };
  for (const ir::Value v : node.inputs)
    if (v.valid() && !graph.type(v).is_static()) return 0;
  const double out = Elements(node.outputs[0].type);
  const std::string_view op = node.op->name;
  if (op == "matmul")
    return 2 * out *
           static_cast<double>(in(0).rank() == 1 || !node.attrs.Bool("transpose_x") ? DimAt(in(0), -1)
                                                                                    : DimAt(in(0), -2));
  if (op == "dot_general") {
    double k = 1;
    for (const std::int64_t axis : node.attrs.Ints("lhs_contract")) k *= static_cast<double>(DimAt(in(0), axis));
    return 2 * out * k;
  }
  // Each element of the kernel meets each output pixel once: kernel elements / output channels products an element.
  if (op == "conv") {
    const bool last = node.attrs.String("layout").ends_with("C");
    const auto channels = static_cast<double>(DimAt(node.outputs[0].type, last ? -1 : 1));
    return channels == 0 ? 0 : 2 * out * Elements(in(1)) / channels;
  }
  if (op == "conv_input_grad" || op == "conv_kernel_grad") {
    const bool last = node.attrs.String("layout").ends_with("C");
    const auto channels = static_cast<double>(DimAt(in(0), last ? -1 : 1));
    const double kernel = op == "conv_input_grad" ? Elements(in(1)) : out;
    return channels == 0 ? 0 : 2 * Elements(in(0)) * kernel / channels;
  }
  if (node.op->Is(ir::kControl)) {
    double sum = 0;
    for (const auto& [name, value] : node.attrs)
      if (const ir::GraphPtr* body = std::get_if<ir::GraphPtr>(&value))
        for (const ir::Node& inner : (*body)->nodes()) sum += Flops(**body, inner, depth + 1);
    return sum;
  }
  if (op.find("_pool") != std::string_view::npos && node.attrs.Has("window")) {
    double window = 1;
    for (const std::int64_t w : node.attrs.Ints("window")) window *= static_cast<double>(w);
    return out * window;
  }
  if (op == "cast" || op == "constant" || op == "input") return 0;
  if (node.op->Is(ir::kElementwise)) return out;
  if (node.op->lower != nullptr) {
    ir::Graph lowered;
    ir::Builder b(&lowered);
    std::vector<ir::Value> values;
    for (const ir::Value v : node.inputs) {
      values.push_back(v.valid() ? b.Input("", graph.type(v)) : ir::Value());
      if (v.valid()) lowered.output(values.back()).symbolic = graph.output(v).symbolic;
    }
    if (!ir::Lower(b, *node.op, values, node.attrs).ok()) return 0;
    double sum = 0;
    for (const ir::Node& inner : lowered.nodes()) sum += Flops(lowered, inner, depth + 1);
    return sum;
  }
  if (op.starts_with("reduce_") || op.starts_with("cum") || op == "argmax" || op == "argmin" || op == "top_k")
    return Elements(in(0));
  return 0;
}

std::int64_t PeakActivations(const ir::Graph& graph) {
  const auto n = static_cast<std::size_t>(graph.size());
  std::vector<std::int32_t> last(n);   // the last node that reads it
  std::vector<std::int32_t> owner(n);  // whose memory a view is
  std::vector<std::int64_t> bytes(n);
  for (std::int32_t id = 0; id < graph.size(); ++id) {
    const ir::Node& node = graph.node(id);
    const auto i = static_cast<std::size_t>(id);
    last[i] = owner[i] = id;
    const bool view = node.op->Is(ir::kView) && !node.inputs.empty() && node.inputs[0].valid();
    if (view) owner[i] = owner[static_cast<std::size_t>(node.inputs[0].node)];
    if (!view && node.op->name != "constant")
      for (const ir::Output& o : node.outputs) bytes[i] += Bytes(o.type);
    for (const ir::Value v : node.inputs)
      if (v.valid()) last[static_cast<std::size_t>(owner[static_cast<std::size_t>(v.node)])] = id;
  }
  for (const ir::Value v : graph.outputs())
    if (v.valid()) last[static_cast<std::size_t>(owner[static_cast<std::size_t>(v.node)])] = graph.size();
  std::vector<std::vector<std::int32_t>> ends(n);
  for (std::size_t i = 0; i < n; ++i)
    if (last[i] < graph.size()) ends[static_cast<std::size_t>(last[i])].push_back(static_cast<std::int32_t>(i));
  std::int64_t alive = 0, peak = 0;
  for (std::size_t i = 0; i < n; ++i) {
    alive += bytes[i];
    peak = std::max(peak, alive);
    for (const std::int32_t k : ends[i]) alive -= bytes[static_cast<std::size_t>(k)];
  }
  return peak;
}

}  // namespace tenon::tools
