// Channels first for ops that ONNX has in no other layout, and dead nodes.
#include <algorithm>
#include <functional>

#include "formats/onnx/export/exporter.h"
#include "ir/eval.h"
#include "ir/op_table.h"

namespace tenon::onnx {
namespace {

// [0, rank - 1, 1, …, rank - 2] and its reverse [0, 2, …, rank - 1, 1].
Ints ToFirst(int rank) {
  Ints permutation = {0, rank - 1};
  for (int i = 1; i < rank - 1; ++i) permutation.push_back(i);
  return permutation;
}
Ints ToLast(int rank) {
  Ints permutation = {0};
  for (int i = 2; i < rank; ++i) permutation.push_back(i);
  permutation.push_back(1);
  return permutation;
}

void CollectReads(const Graph& graph, std::set<std::string>* reads) {
  for (const Node& node : graph.nodes) {
    reads->insert(node.inputs.begin(), node.inputs.end());
    for (const Attribute& attribute : node.attributes)
      for (const Graph& inner : attribute.graphs) CollectReads(inner, reads);
  }
  for (const ValueInfo& output : graph.outputs) reads->insert(output.name);
}

}  // namespace

std::string Exporter::Transposed(const std::string& name, const Ints& permutation) {
  if (const Literal* literal = Initializer(name)) {
    const ir::Datum datum(*literal);
    const ir::Datum* const inputs[] = {&datum};
    const Result<std::vector<ir::Datum>> out =
        ir::EvalOp(ir::GetOp("transpose"), inputs, {{"permutation", permutation}});
    if (out.ok()) return Constant((*out)[0].literal(), name);
  }
  return Emit("Transpose", {name}, {IntsAttribute("perm", permutation)});
}

std::string Exporter::ChannelsFirst(Env& env, ir::Value v) {
  if (const auto found = env.channels_first.find(v); found != env.channels_first.end()) return found->second;
  const std::string name = Transposed(Name(env, v), ToFirst(env.graph->type(v).rank()));
  env.channels_first[v] = name;
  return name;
}

void Exporter::SetChannelsFirst(Env& env, ir::Value v, std::string name, const std::string& as_declared) {
  Emit("Transpose", {name}, {IntsAttribute("perm", ToLast(env.graph->type(v).rank()))}, {as_declared});
  env.channels_first[v] = std::move(name);
}

bool Exporter::CanStayChannelsFirst(Env& env, const ir::Node& node) {
  if (!node.op->Is(ir::kElementwise) || node.outputs.size() != 1 || env.channels_first.empty()) return false;
  const ir::Type& out = node.outputs[0].type;
  if (!out.is_tensor() || !out.has_rank() || out.rank() < 3 || out.rank() > 5) return false;
  bool any = false;
  for (const ir::Value v : node.inputs) {
    if (!v.valid()) continue;
    const ir::Type& type = env.graph->type(v);
    if (!type.has_rank()) return false;
    if (env.channels_first.contains(v) && type.rank() == out.rank()) {
      any = true;
    } else if (type.rank() != 0 && !(type.rank() == 1 && Initializer(Name(env, v)) != nullptr)) {
      return false;
    }
  }
  return any;
}

Status Exporter::WriteChannelsFirst(Env& env, std::int32_t id, const std::function<Status()>& write) {
  const ir::Node& node = env.graph->node(id);
  const ir::Value here{id, 0};
  // The writer sees other names for the same values.
  std::vector<std::pair<ir::Value, std::string>> kept;
  for (const ir::Value v : node.inputs) {
    if (!v.valid()) continue;
    const std::string name = Name(env, v);
    kept.push_back({v, name});
    if (const auto first = env.channels_first.find(v); first != env.channels_first.end()) {
      env.names[v] = first->second;
    } else if (env.graph->type(v).rank() == 1) {
      std::vector<std::int64_t> dims(static_cast<std::size_t>(node.outputs[0].type.rank() - 1), 1);
      const Literal& vector = *Initializer(name);
      dims[0] = vector.size();
      env.names[v] = Constant(vector.reshaped(std::move(dims)), name);
    }
  }
  std::optional<std::string> wanted;
  if (const auto found = env.names.find(here); found != env.names.end()) {
    wanted = found->second;
    env.names.erase(found);
  }
  const Status status = write();
  const auto made = env.names.find(here);
  const std::string name = made == env.names.end() ? std::string() : made->second;
  for (auto& [v, old] : kept) env.names[v] = old;
  TENON_RETURN_IF_ERROR(status);
  const std::string declared = wanted ? *wanted : Fresh(name + "_last");
  env.names[here] = declared;
  SetChannelsFirst(env, here, name, declared);
  return {};
}

void Exporter::DropUnused(Graph* graph) {
  for (;;) {
    std::set<std::string> reads;
    CollectReads(*graph, &reads);
    const std::size_t before = graph->nodes.size();
    std::erase_if(graph->nodes, [&](const Node& node) {
      return std::none_of(node.outputs.begin(), node.outputs.end(),
                          [&](const std::string& name) { return reads.contains(name); });
    });
    std::erase_if(graph->initializers, [&](const Tensor& tensor) { return !reads.contains(tensor.name); });
    if (graph->nodes.size() == before) return;
  }
}

}  // namespace tenon::onnx
