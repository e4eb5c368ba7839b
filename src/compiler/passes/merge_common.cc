// Common subexpressions.
//   before: a = exp(x)   b = exp(x)   c = a + b
//   after:  a = exp(x)   c = a + a
#include <cstring>
#include <unordered_map>

#include "compiler/passes/passes.h"
#include "ir/carry_over.h"
#include "ir/op_def.h"

namespace tenon::compiler {

using namespace ir;

namespace {

std::size_t Mix(std::size_t a, std::size_t b) { return a ^ (b + 0x9e3779b97f4a7c15ULL + (a << 6) + (a >> 2)); }

std::size_t HashOf(const Node& n) {
  std::size_t h = std::hash<const void*>()(n.op);
  for (const Value v : n.inputs) h = Mix(h, ValueHash()(v));
  for (const auto& [name, value] : n.attrs) {
    h = Mix(h, std::hash<std::string_view>()(name));
    h = Mix(h, value.index());
    if (const auto* i = std::get_if<std::int64_t>(&value)) h = Mix(h, static_cast<std::size_t>(*i));
    if (const auto* f = std::get_if<double>(&value)) h = Mix(h, std::hash<double>()(*f));
    if (const auto* l = std::get_if<Literal>(&value)) {
      h = Mix(h, static_cast<std::size_t>(l->size()));
      std::uint64_t first = 0;
      if (l->nbytes() > 0) std::memcpy(&first, l->raw().data(), std::min<std::size_t>(8, l->nbytes()));
      h = Mix(h, first);
    }
    if (const auto* ints = std::get_if<std::vector<std::int64_t>>(&value))
      for (const std::int64_t i : *ints) h = Mix(h, static_cast<std::size_t>(i));
  }
  return h;
}

}  // namespace

int MergeCommon(Graph& graph) {
  std::unordered_multimap<std::size_t, std::int32_t> seen;
  std::unordered_map<Value, Value, ValueHash> replaced;
  int merged = 0;
  for (std::int32_t id = 0; id < graph.size(); ++id) {
    Node& n = graph.node(id);
    if (n.op->name == "input" || n.op->Is(kControl)) continue;
    for (Value& v : n.inputs)
      if (const auto it = replaced.find(v); it != replaced.end()) v = it->second;
    const std::size_t h = HashOf(n);
    const auto [begin, end] = seen.equal_range(h);
    std::int32_t same = -1;
    for (auto it = begin; it != end && same < 0; ++it) {
      const Node& other = graph.node(it->second);
      if (other.op == n.op && other.inputs == n.inputs && other.attrs == n.attrs &&
          other.outputs.size() == n.outputs.size())
        same = it->second;
    }
    if (same < 0) {
      seen.emplace(h, id);
      continue;
    }
    // Two quantizations cannot stand in one record.
    bool apart = false;
    for (std::size_t k = 0; k < n.outputs.size(); ++k) {
      const auto &mine = n.outputs[k].record.quantization, &other = graph.node(same).outputs[k].record.quantization;
      apart = apart || (mine && other && mine != other);
    }
    if (apart) continue;
    ++merged;
    for (std::size_t k = 0; k < n.outputs.size(); ++k) {
      const auto index = static_cast<std::int32_t>(k);
      CarryOver(n.outputs[k].record, graph.node(same).outputs[k].record);
      replaced[{id, index}] = {same, index};
    }
  }
  if (merged == 0) return 0;
  graph.Replace(replaced);
  graph.Compact();
  return merged;
}

}  // namespace tenon::compiler
