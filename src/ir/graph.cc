#include "ir/graph.h"

#include <algorithm>
#include <unordered_set>

#include "ir/op_def.h"

namespace tenon::ir {

std::int32_t Graph::Append(Node node) {
  const std::int32_t id = size();
  if (node.op != nullptr && node.op->name == "input") inputs_.push_back({id, 0});
  nodes_.push_back(std::move(node));
  return id;
}

void Graph::Replace(const std::unordered_map<Value, Value, ValueHash>& replacements) {
  const auto redirect = [&](Value& v) {
    // Follow chains: a replacement may itself have been replaced.
    for (int hops = 0; v.valid() && hops < 1000; ++hops) {
      const auto it = replacements.find(v);
      if (it == replacements.end() || it->second == v) return;
      v = it->second;
    }
  };
  for (Node& n : nodes_)
    for (Value& v : n.inputs) redirect(v);
  for (Value& v : outputs_) redirect(v);
}

namespace {

// Calls fn with the symbols of the dims that a node names in its attributes.
template <class F>
void EachAttrSymbol(const Node& node, F&& fn) {
  for (const auto& [name, value] : node.attrs)
    if (const Shape* dims = std::get_if<Shape>(&value); dims != nullptr && !dims->is_static())
      for (const Dim& d : dims->dims())
        for (const std::string& symbol : d.symbols()) fn(symbol);
}
template <class F>
void EachTypeSymbol(const Type& type, F&& fn) {
  if (!type.is_tensor() || !type.has_rank() || type.is_static()) return;
  for (const Dim& d : type.shape().dims())
    for (const std::string& symbol : d.symbols()) fn(symbol);
}

// Dims that attributes name and no input of the graph has: the first node whose result has it, such as a nonzero, gives
// it its number when it runs.
std::unordered_map<std::string, std::int32_t> BornDims(const Graph& graph,
                                                       const std::unordered_map<std::string, std::int32_t>& definers) {
  std::unordered_map<std::string, std::int32_t> born;
  std::unordered_set<std::string> wanted;
  for (std::int32_t id = 0; id < graph.size(); ++id)
    EachAttrSymbol(graph.node(id), [&](const std::string& s) {
      if (!definers.contains(s)) wanted.insert(s);
    });
  for (const Value v : graph.inputs()) EachTypeSymbol(graph.type(v), [&](const std::string& s) { wanted.erase(s); });
  for (std::int32_t id = 0; id < graph.size() && !wanted.empty(); ++id) {
    const Node& node = graph.node(id);
    std::unordered_set<std::string> passed;
    EachAttrSymbol(node, [&](const std::string& s) { passed.insert(s); });
    for (const Value v : node.inputs)
      if (v.valid()) EachTypeSymbol(graph.type(v), [&](const std::string& s) { passed.insert(s); });
    for (const Output& o : node.outputs)
      EachTypeSymbol(o.type, [&](const std::string& s) {
        if (!passed.contains(s) && wanted.erase(s) > 0) born.emplace(s, id);
      });
  }
  return born;
}

}  // namespace

std::unordered_map<Value, Value, ValueHash> Graph::Compact() {
  // Depth-first from the outputs with an explicit stack; inputs keep their order and come first.
  std::vector<std::int32_t> order;
  std::vector<std::uint8_t> state(nodes_.size(), 0);  // 0 new, 1 open, 2 done
  for (const Value v : inputs_) {
    state[static_cast<std::size_t>(v.node)] = 2;
    order.push_back(v.node);
  }
  // A dim that a node names stands on the node that gives the dim its number.
  std::unordered_map<std::string, std::int32_t> definers;
  for (std::int32_t id = 0; id < size(); ++id) {
    if (!node(id).op->Is(kDefinesDims)) continue;
    for (const Output& o : node(id).outputs)
      if (o.symbolic)
        for (const Dim& d : *o.symbolic)
          if (!d.symbol_name().empty()) definers.emplace(d.symbol_name(), id);
  }
  std::unordered_map<std::int32_t, std::vector<std::int32_t>> needs;
  const std::unordered_map<std::string, std::int32_t> born = BornDims(*this, definers);
  for (std::int32_t id = 0; id < size() && (!definers.empty() || !born.empty()); ++id)
    EachAttrSymbol(node(id), [&](const std::string& symbol) {
      if (const auto it = definers.find(symbol); it != definers.end()) needs[id].push_back(it->second);
      if (const auto it = born.find(symbol); it != born.end() && it->second < id) needs[id].push_back(it->second);
    });
  const auto needed = [&](std::int32_t id, std::size_t i) {
    const Node& n = node(id);
    if (i < n.inputs.size()) return n.inputs[i].valid() ? n.inputs[i].node : -1;
    return needs.at(id)[i - n.inputs.size()];
  };
  const auto count_needed = [&](std::int32_t id) {
    const auto it = needs.find(id);
    return node(id).inputs.size() + (it == needs.end() ? 0 : it->second.size());
  };
  std::vector<std::pair<std::int32_t, std::size_t>> stack;
  for (const Value root : outputs_) {
    if (!root.valid() || state[static_cast<std::size_t>(root.node)] != 0) continue;
    stack.emplace_back(root.node, 0);
    state[static_cast<std::size_t>(root.node)] = 1;
    while (!stack.empty()) {
      auto& [id, next] = stack.back();
      if (next == count_needed(id)) {
        state[static_cast<std::size_t>(id)] = 2;
        order.push_back(id);
        stack.pop_back();
        continue;
      }
      const std::int32_t below = needed(id, next++);
      if (below < 0 || state[static_cast<std::size_t>(below)] == 2) continue;
      if (state[static_cast<std::size_t>(below)] == 1)
        fail(Code::kInternal, "Graph: a cycle through " + std::string(node(below).op->name));
      state[static_cast<std::size_t>(below)] = 1;
      stack.emplace_back(below, 0);
    }
  }
  std::vector<std::int32_t> position(nodes_.size(), -1);
  for (std::size_t i = 0; i < order.size(); ++i)
    position[static_cast<std::size_t>(order[i])] = static_cast<std::int32_t>(i);
  std::unordered_map<Value, Value, ValueHash> moved;
  std::deque<Node> kept;
  for (const std::int32_t id : order) {
    Node n = std::move(node(id));
    for (Value& v : n.inputs)
      if (v.valid()) v.node = position[static_cast<std::size_t>(v.node)];
    for (std::size_t k = 0; k < n.outputs.size(); ++k) {
      const auto index = static_cast<std::int32_t>(k);
      moved[{id, index}] = {position[static_cast<std::size_t>(id)], index};
    }
    kept.push_back(std::move(n));
  }
  nodes_ = std::move(kept);
  for (std::vector<Value>* list : {&inputs_, &outputs_})
    for (Value& v : *list)
      if (v.valid()) v.node = position[static_cast<std::size_t>(v.node)];
  return moved;
}

std::vector<std::vector<int>> Graph::UseCounts() const {
  std::vector<std::vector<int>> counts(nodes_.size());
  for (std::size_t i = 0; i < nodes_.size(); ++i) counts[i].resize(nodes_[i].outputs.size());
  const auto use = [&](Value v) {
    if (v.valid()) ++counts[static_cast<std::size_t>(v.node)][static_cast<std::size_t>(v.index)];
  };
  for (const Node& n : nodes_)
    for (const Value v : n.inputs) use(v);
  for (const Value v : outputs_) use(v);
  return counts;
}

bool SameGraph(const Graph& a, const Graph& b) {
  if (a.size() != b.size() || a.inputs() != b.inputs() || a.outputs() != b.outputs()) return false;
  for (std::int32_t i = 0; i < a.size(); ++i) {
    const Node &x = a.node(i), &y = b.node(i);
    if (x.op != y.op || x.inputs != y.inputs || !(x.attrs == y.attrs) || x.outputs.size() != y.outputs.size())
      return false;
    for (std::size_t k = 0; k < x.outputs.size(); ++k)
      if (!(x.outputs[k].type == y.outputs[k].type) || !(x.outputs[k].record == y.outputs[k].record)) return false;
  }
  return true;
}

}  // namespace tenon::ir
