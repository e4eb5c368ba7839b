#include "keras/model_graph.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "eager/dispatch.h"

namespace tenon::keras {
namespace {

using eager::Call;
using eager::Node;

const LayerProducer* ProducerOf(const Call& call) {
  return call.op == nullptr ? static_cast<const LayerProducer*>(call.producer.get()) : nullptr;
}

// Visits every call behind `outputs` once, after the calls that feed it.
void ForEachCall(std::span<const Tensor> outputs, const std::function<bool(const Node*)>& stop,
                 const std::function<void(const std::shared_ptr<const Call>&)>& visit) {
  std::unordered_set<const Call*> done;
  std::vector<std::pair<Tensor, bool>> stack;
  for (std::size_t i = outputs.size(); i-- > 0;) stack.emplace_back(outputs[i], false);
  while (!stack.empty()) {
    const auto [t, expanded] = stack.back();
    stack.pop_back();
    const Node* n = t.node().get();
    if (!t.defined() || stop(n) || !n->call || done.contains(n->call.get())) continue;
    if (expanded) {
      done.insert(n->call.get());
      visit(n->call);
      continue;
    }
    stack.emplace_back(t, true);
    for (std::size_t i = n->call->inputs.size(); i-- > 0;) stack.emplace_back(n->call->inputs[i], false);
  }
}

}  // namespace

std::shared_ptr<LayerImpl> LayerOf(const Tensor& t) {
  if (!t.defined() || !t.node()->call) return nullptr;
  const LayerProducer* p = ProducerOf(*t.node()->call);
  return p == nullptr ? nullptr : p->layer;
}

std::vector<Tensor> Replay(std::span<const Tensor> inputs, std::span<const Tensor> outputs,
                           std::span<const Tensor> values, const CallArgs& args) {
  std::unordered_map<const Node*, Tensor> known;
  for (std::size_t i = 0; i < inputs.size(); ++i) known[inputs[i].node().get()] = values[i];
  std::unordered_map<const Call*, std::vector<Tensor>> results;
  const auto value_of = [&](const Tensor& t) {
    if (!t.defined() || t.node()->value) return t;
    const auto it = known.find(t.node().get());
    if (it != known.end()) return it->second;
    if (!t.node()->call)
      fail(Code::kInvalidArgument,
           "Model: an output depends on input \"" + t.node()->name + "\", which is not among the model's inputs");
    return results.at(t.node()->call.get())[static_cast<std::size_t>(t.node()->index)];
  };
  ForEachCall(
      outputs, [&](const Node* n) { return known.contains(n); },
      [&](const std::shared_ptr<const Call>& call) {
        std::vector<Tensor> in;
        for (const Tensor& t : call->inputs) in.push_back(value_of(t));
        if (const LayerProducer* p = ProducerOf(*call)) {
          CallArgs merged = p->args;
          if (!merged.training) merged.training = args.training;
          results[call.get()] = Layer(p->layer).call_all(in, merged);
        } else {
          results[call.get()] = eager::Apply(*call->op, in, call->attrs);
        }
      });
  std::vector<Tensor> out;
  for (const Tensor& t : outputs) out.push_back(value_of(t));
  return out;
}

std::vector<std::shared_ptr<LayerImpl>> LayersOf(std::span<const Tensor> outputs) {
  std::vector<std::shared_ptr<LayerImpl>> layers;
  ForEachCall(
      outputs, [](const Node*) { return false; },
      [&](const std::shared_ptr<const Call>& call) {
        if (const LayerProducer* p = ProducerOf(*call))
          if (std::find(layers.begin(), layers.end(), p->layer) == layers.end()) layers.push_back(p->layer);
      });
  return layers;
}

std::vector<LayerRow> RowsOf(std::span<const Tensor> inputs, std::span<const Tensor> outputs) {
  std::vector<LayerRow> rows;
  std::unordered_set<const Node*> shown;
  const auto name_of = [](const Tensor& t) {
    if (!t.node()->call) return t.node()->name;
    if (const auto layer = LayerOf(t)) return layer->name();
    return std::string(t.node()->call->op->name);
  };
  const auto add_input = [&](const Tensor& t) {
    if (shown.insert(t.node().get()).second) rows.push_back({nullptr, t, {}});
  };
  for (const Tensor& t : inputs) add_input(t);
  // The Tensor that a call makes first: found among the inputs of later calls and the outputs.
  std::unordered_map<const Call*, Tensor> made;
  const auto remember = [&](const Tensor& t) {
    if (t.defined() && t.node()->call && t.node()->index == 0) made.emplace(t.node()->call.get(), t);
  };
  ForEachCall(
      outputs, [](const Node*) { return false; },
      [&](const std::shared_ptr<const Call>& call) {
        for (const Tensor& t : call->inputs) remember(t);
      });
  for (const Tensor& t : outputs) remember(t);
  ForEachCall(
      outputs, [](const Node*) { return false; },
      [&](const std::shared_ptr<const Call>& call) {
        LayerRow row;
        if (const LayerProducer* p = ProducerOf(*call)) row.layer = p->layer;
        const auto it = made.find(call.get());
        if (it == made.end() || row.layer == nullptr) return;
        row.output = it->second;
        for (const Tensor& t : call->inputs)
          if (t.defined() && !t.node()->value) row.connected_to.push_back(name_of(t));
        rows.push_back(std::move(row));
      });
  return rows;
}

}  // namespace tenon::keras
