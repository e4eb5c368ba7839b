#include "autograd/gradients.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/status_macros.h"
#include "ir/op_def.h"

namespace tenon::autograd {
namespace {

using ir::Builder;
using ir::Graph;
using ir::Value;

bool Differentiable(const ir::Type& t) {
  if (t.kind() == ir::Type::Kind::kSequence || t.kind() == ir::Type::Kind::kOptional)
    return Differentiable(t.element());
  return t.is_tensor() && (is_float(t.dtype()) || is_complex(t.dtype()));
}

bool PortDifferentiable(const ir::OpDef& op, std::size_t input) {
  if (op.inputs.empty()) return false;
  const std::size_t port = std::min(input, op.inputs.size() - 1);
  return (op.inputs[port].flags & ir::kNotDifferentiable) == 0;
}

// One reverse walk over the nodes that lie between the sources and the targets.
class Reverse {
 public:
  Reverse(Builder& b, std::span<const Value> sources, const GradientOptions& options)
      : b_(b), sources_(sources.begin(), sources.end()), options_(options) {}

  Result<std::vector<Value>> Run(std::span<const Value> targets, std::span<const Value> cotangents,
                                 std::span<const Value> order) {
    MarkDependent(targets);
    for (std::size_t i = 0; i < targets.size(); ++i) {
      if (!targets[i].valid() || !Differentiable(b_.type(targets[i])) || !Depends(targets[i])) continue;
      const Value given = i < cotangents.size() ? cotangents[i] : Value();
      Accumulate(targets[i], given.valid() ? given : b_.OnesLike(targets[i]));
    }
    const std::int32_t last = targets.empty() ? -1 : std::max_element(targets.begin(), targets.end())->node;
    for (std::int32_t id = last; id >= 0; --id) TENON_RETURN_IF_ERROR(Visit(id));
    TENON_RETURN_IF_ERROR(b_.status());
    std::vector<Value> out;
    for (const Value s : order) {
      const auto it = cotangents_.find(s);
      out.push_back(it == cotangents_.end() ? Value() : it->second);
    }
    return out;
  }

 private:
  // Which values depend on a source: forward over the nodes up to the last target.
  void MarkDependent(std::span<const Value> targets) {
    std::int32_t last = -1;
    for (const Value t : targets) last = std::max(last, t.node);
    dependent_.assign(static_cast<std::size_t>(last + 1), false);
    source_node_.assign(static_cast<std::size_t>(last + 1), false);
    for (const Value s : sources_)
      if (s.node <= last) source_node_[static_cast<std::size_t>(s.node)] = true;
    for (std::int32_t id = 0; id <= last; ++id)
      for (const Value v : b_.graph().node(id).inputs)
        if (v.valid() && Depends(v)) dependent_[static_cast<std::size_t>(id)] = true;
  }
  bool Depends(Value v) const {
    const auto id = static_cast<std::size_t>(v.node);
    return id < dependent_.size() && (dependent_[id] || (source_node_[id] && sources_.contains(v)));
  }

  void Accumulate(Value v, Value cotangent) {
    const auto [it, fresh] = cotangents_.emplace(v, cotangent);
    if (!fresh) it->second = b_.Add("add", {it->second, cotangent});
  }

  Status Visit(std::int32_t id) {
    // Appending nodes below keeps references valid, yet copies are safer to read.
    const ir::OpDef& op = *b_.graph().node(id).op;
    const std::vector<Value> inputs = b_.graph().node(id).inputs;
    const std::size_t outputs = b_.graph().node(id).outputs.size();
    if (inputs.empty() || !dependent_[static_cast<std::size_t>(id)]) return {};
    std::vector<Value> outs, cotangents;
    bool any = false;
    for (std::size_t k = 0; k < outputs; ++k) {
      const Value v{id, static_cast<std::int32_t>(k)};
      outs.push_back(v);
      const auto it = cotangents_.find(v);
      const bool stop = options_.stop_at_sources && sources_.contains(v);
      cotangents.push_back(it == cotangents_.end() || stop ? Value() : it->second);
      any = any || cotangents.back().valid();
    }
    if (!any) return {};
    std::vector<bool> wanted(inputs.size());
    bool wants = false;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      wanted[i] =
          inputs[i].valid() && Differentiable(b_.type(inputs[i])) && Depends(inputs[i]) && PortDifferentiable(op, i);
      wants = wants || wanted[i];
    }
    if (!wants) return {};
    const ir::Attrs attrs = b_.graph().node(id).attrs;
    std::vector<Value> gradients;
    if (op.grad != nullptr) {
      ir::GradContext ctx(b_, inputs, outs, cotangents, attrs, wanted, Differentiate);
      TENON_RETURN_IF_ERROR(op.grad(ctx));
      gradients = ctx.gradients();
    } else if (op.lower != nullptr) {
      TENON_ASSIGN_OR_RETURN(const std::vector<Value> lowered, ir::Lower(b_, op, inputs, attrs));
      std::vector<Value> wanted_inputs;
      for (std::size_t i = 0; i < inputs.size(); ++i)
        if (wanted[i] && std::find(wanted_inputs.begin(), wanted_inputs.end(), inputs[i]) == wanted_inputs.end())
          wanted_inputs.push_back(inputs[i]);
      std::vector<Value> targets, given;
      for (std::size_t k = 0; k < outputs; ++k)
        if (cotangents[k].valid()) {
          targets.push_back(lowered[k]);
          given.push_back(cotangents[k]);
        }
      GradientOptions inner;
      inner.stop_at_sources = true;
      TENON_ASSIGN_OR_RETURN(const std::vector<Value> found, Gradients(b_, targets, given, wanted_inputs, inner));
      for (std::size_t i = 0; i < wanted_inputs.size(); ++i)
        if (found[i].valid()) Accumulate(wanted_inputs[i], found[i]);
      return b_.status();
    } else {
      const std::string& name = b_.graph().node(id).outputs[0].record.name;
      return Status(Code::kFailedPrecondition, std::string(op.name) + ": is not differentiable" +
                                                   (name.empty() ? "" : " (at \"" + name + "\")") +
                                                   "; put stop_gradient before it or take the source off the path");
    }
    TENON_RETURN_IF_ERROR(b_.status());
    for (std::size_t i = 0; i < inputs.size(); ++i)
      if (wanted[i] && gradients[i].valid()) Accumulate(inputs[i], gradients[i]);
    return b_.status();
  }

  Builder& b_;
  std::set<Value> sources_;
  GradientOptions options_;
  std::vector<bool> dependent_, source_node_;
  std::map<Value, Value> cotangents_;
};

}  // namespace

Result<std::vector<Value>> Gradients(Builder& b, std::span<const Value> targets, std::span<const Value> cotangents,
                                     std::span<const Value> sources, const GradientOptions& options) {
  TENON_RETURN_IF_ERROR(b.status());
  return Reverse(b, sources, options).Run(targets, cotangents, sources);
}

Result<ir::GraphPtr> Differentiate(const Graph& body, std::vector<bool>* input_has_gradient) {
  auto out = std::make_shared<Graph>(body);
  Builder b(out.get());
  const std::vector<Value> inputs = out->inputs();
  const std::vector<Value> results = out->outputs();
  std::vector<Value> targets, cotangents, sources;
  for (const Value v : results) {
    if (!Differentiable(out->type(v))) continue;
    targets.push_back(v);
    cotangents.push_back(b.Input("", out->type(v)));
  }
  input_has_gradient->clear();
  for (const Value v : inputs) {
    input_has_gradient->push_back(Differentiable(out->type(v)));
    if (input_has_gradient->back()) sources.push_back(v);
  }
  GradientOptions options;
  TENON_ASSIGN_OR_RETURN(std::vector<Value> gradients, Gradients(b, targets, cotangents, sources, options));
  for (std::size_t i = 0; i < gradients.size(); ++i)
    if (!gradients[i].valid()) gradients[i] = b.ZerosLike(sources[i]);
  TENON_RETURN_IF_ERROR(b.status());
  out->set_outputs(std::move(gradients));
  out->Compact();
  return ir::GraphPtr(out);
}

}  // namespace tenon::autograd
