#include "eager/tape.h"

#include <algorithm>

#include "autograd/gradients.h"
#include "base/status_macros.h"
#include "eager/dispatch.h"
#include "ir/builder.h"

namespace tenon {
namespace eager {

std::vector<Tape*>& ActiveTapes() {
  thread_local std::vector<Tape*> tapes;
  return tapes;
}

void Tape::Watch(const Tensor& t) {
  if (watched_.insert(&NodeOf(t)).second) kept_.push_back(t);
}

void Tape::Read(const ir::VariablePtr& cell, const Tensor& value) {
  if (!options_.watch_accessed_variables || !cell->trainable()) {
    if (!reads_.contains(cell.get())) return;
  }
  Watch(value);
  std::vector<Tensor>& reads = reads_[cell.get()];
  for (const Tensor& t : reads)
    if (t.node() == value.node()) return;
  reads.push_back(value);
}

std::vector<Tensor> Tape::ReadsOf(const ir::VariablePtr& cell) const {
  const auto it = reads_.find(cell.get());
  return it == reads_.end() ? std::vector<Tensor>() : it->second;
}

void Tape::Record(const ir::OpDef& op, const ir::Attrs& attrs, std::span<const Tensor> inputs,
                  std::span<const Tensor> outputs) {
  if (!std::any_of(inputs.begin(), inputs.end(), [&](const Tensor& t) { return Watches(t); })) return;
  entries_.push_back({&op, attrs, {inputs.begin(), inputs.end()}, {outputs.begin(), outputs.end()}});
  for (const Tensor& t : outputs) Watch(t);
}

std::vector<Tensor> Tape::Gradient(const Tensor& target, const std::vector<std::vector<Tensor>>& sources) {
  if (used_ && !options_.persistent)
    fail(Code::kFailedPrecondition, "GradientTape: gradient() called twice; make the tape persistent for that");
  if (!options_.persistent) {
    used_ = true;
    recording_ = false;
  }
  // The recorded ops as a graph; values that no entry made are its inputs.
  ir::Graph graph;
  ir::Builder b(&graph);
  std::unordered_map<const Node*, ir::Value> values;
  std::unordered_map<ir::Value, Tensor, ir::ValueHash> tensors;
  const auto value_of = [&](const Tensor& t) {
    if (!t.defined()) return ir::Value();
    const auto it = values.find(t.node().get());
    if (it != values.end()) return it->second;
    const ir::Value v = b.Input("", TypeOf(t));
    values[t.node().get()] = v;
    tensors[v] = t;
    return v;
  };
  for (const std::vector<Tensor>& group : sources)
    for (const Tensor& t : group) value_of(t);
  for (const Entry& e : entries_) {
    std::vector<ir::Value> inputs;
    for (const Tensor& t : e.inputs) inputs.push_back(value_of(t));
    const std::vector<ir::Value> outputs = b.AddAll(*e.op, std::move(inputs), e.attrs);
    if (!b.ok()) fail(b.status());
    for (std::size_t k = 0; k < outputs.size(); ++k) {
      graph.output(outputs[k]).type = TypeOf(e.outputs[k]);
      // A source that an entry made stands for itself.
      values[e.outputs[k].node().get()] = outputs[k];
      tensors[outputs[k]] = e.outputs[k];
    }
  }
  const auto wanted = values.find(&NodeOf(target));
  std::vector<Tensor> result(sources.size());
  if (wanted == values.end()) return result;
  std::vector<ir::Value> flat;
  for (const std::vector<Tensor>& group : sources)
    for (const Tensor& t : group) flat.push_back(values.at(t.node().get()));
  const std::int32_t recorded = graph.size();
  const ir::Value targets[] = {wanted->second};
  Result<std::vector<ir::Value>> gradients = autograd::Gradients(b, targets, {}, flat);
  if (!gradients.ok()) fail(gradients.status());
  // Only the gradient nodes that a result needs are run, through the same door as everything else.
  std::vector<bool> needed(static_cast<std::size_t>(graph.size()), false);
  for (const ir::Value v : *gradients)
    if (v.valid()) needed[static_cast<std::size_t>(v.node)] = true;
  for (std::int32_t id = graph.size() - 1; id >= recorded; --id)
    if (needed[static_cast<std::size_t>(id)])
      for (const ir::Value v : graph.node(id).inputs)
        if (v.valid()) needed[static_cast<std::size_t>(v.node)] = true;
  for (std::int32_t id = recorded; id < graph.size(); ++id) {
    if (!needed[static_cast<std::size_t>(id)]) continue;
    const ir::Node& n = graph.node(id);
    std::vector<Tensor> outputs;
    if (n.op->name == "constant") {
      outputs.push_back(MakeEager(n.attrs.Lit("value")));
    } else {
      std::vector<Tensor> inputs;
      for (const ir::Value v : n.inputs) inputs.push_back(v.valid() ? tensors.at(v) : Tensor());
      outputs = Apply(*n.op, inputs, n.attrs);
    }
    for (std::size_t k = 0; k < outputs.size(); ++k) tensors[{id, static_cast<std::int32_t>(k)}] = outputs[k];
  }
  std::size_t at = 0;
  for (std::size_t i = 0; i < sources.size(); ++i)
    for (std::size_t k = 0; k < sources[i].size(); ++k) {
      const ir::Value v = (*gradients)[at++];
      if (!v.valid()) continue;
      result[i] = result[i].defined() ? result[i] + tensors.at(v) : tensors.at(v);
    }
  return result;
}

}  // namespace eager

GradientTape::GradientTape(GradientTapeOptions options) : tape_(std::make_shared<eager::Tape>(options)) {
  eager::ActiveTapes().push_back(tape_.get());
}

GradientTape::~GradientTape() { std::erase(eager::ActiveTapes(), tape_.get()); }

void GradientTape::watch(const Tensor& tensor) { tape_->Watch(tensor); }

Tensor GradientTape::gradient(const Tensor& target, const Tensor& source) { return gradient(target, {source}).at(0); }

std::vector<Tensor> GradientTape::gradient(const Tensor& target, std::initializer_list<Tensor> sources) {
  std::vector<std::vector<Tensor>> groups;
  for (const Tensor& s : sources) groups.push_back({s});
  return tape_->Gradient(target, groups);
}

std::vector<Tensor> GradientTape::gradient(const Tensor& target, const std::vector<Variable>& sources) {
  std::vector<std::vector<Tensor>> groups;
  for (const Variable& v : sources) groups.push_back(tape_->ReadsOf(v.cell()));
  return tape_->Gradient(target, groups);
}

std::vector<Tensor> GradientTape::gradient(const Tensor& target, std::initializer_list<Variable> sources) {
  return gradient(target, std::vector<Variable>(sources));
}

Tensor GradientTape::gradient(const Tensor& target, const Variable& source) {
  return gradient(target, std::vector<Variable>{source}).at(0);
}

}  // namespace tenon
