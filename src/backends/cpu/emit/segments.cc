#include "backends/cpu/emit/segments.h"

#include <algorithm>
#include <cstring>
#include <list>
#include <optional>
#include <unordered_map>

#include "backends/cpu/emit/bodies.h"
#include "backends/cpu/emit/compile_plan.h"
#include "base/status_macros.h"
#include "ir/builder.h"
#include "ir/infer.h"
#include "ir/numeric.h"
#include "ir/op_def.h"
#include "tensor/aligned.h"

namespace tenon::cpu {

using ir::Datum;
using ir::Graph;
using ir::Node;
using ir::Value;

namespace {

constexpr std::size_t kMostAligned = std::size_t{256} << 20;
// Elements that a segment must read and compute before compiling it can pay; below, the reference runs it.
constexpr std::int64_t kWorthCompiling = 4096;
// Elements that a run without pieces may touch before the next one looks for pieces again.
constexpr std::int64_t kMostLight = 16 * kWorthCompiling;
constexpr std::size_t kMostLightKeys = 1024;

std::size_t At(std::int32_t id) { return static_cast<std::size_t>(id); }

bool Plannable(const ir::Type& type) { return type.is_static() && type.dtype() != DType::kString; }

// A plan may live longer than the memory behind an operand.
Literal CopyOf(const Literal& literal) {
  Literal copy = Literal::uninitialized(literal.dtype(), literal.dims());
  std::memcpy(copy.mutable_raw().data(), literal.raw().data(), literal.nbytes());
  return copy;
}

// Elements that one step of a control op's sub-graphs computes or has as constants, as far as their types tell; it
// stops at kWorthCompiling.
std::int64_t WorkInside(const Node& n, int depth = 0) {
  std::int64_t work = 0;
  const auto add = [&](const ir::GraphPtr& body) {
    for (const Node& inner : body->nodes()) {
      if (work >= kWorthCompiling) return;
      for (const ir::Output& o : inner.outputs)
        if (o.type.is_tensor() && Plannable(o.type)) work += o.type.shape().size().value();
      if (inner.op->Is(ir::kControl) && depth < 8) work += WorkInside(inner, depth + 1);
    }
  };
  for (const auto& [name, attr] : n.attrs) {
    if (const auto* body = std::get_if<ir::GraphPtr>(&attr)) add(*body);
    if (const auto* bodies = std::get_if<std::vector<ir::GraphPtr>>(&attr)) std::ranges::for_each(*bodies, add);
  }
  return work;
}

template <class T>
void Append(std::string& key, const T& value) {
  key.append(reinterpret_cast<const char*>(&value), sizeof value);
}

}  // namespace

ir::Output KnownOf(const Datum& d) {
  ir::Output out;
  out.type = d.type();
  if (d.kind != ir::Type::Kind::kTensor || d.literal().rank() > 1 || d.literal().size() > 64 ||
      !is_integer(d.literal().dtype()))
    return out;
  std::vector<Dim> elements;
  for (const std::int64_t v : ir::ToInts(d.literal())) elements.emplace_back(v);
  out.symbolic = std::move(elements);
  return out;
}

struct SegmentInterpreter::Pass {
  explicit Pass(const Graph& graph) : values(At(graph.size())), done(At(graph.size()), false) {}
  std::vector<std::vector<Datum>> values;  // by node, once it is done
  std::vector<bool> done;
  ir::SymbolBinding symbols;

  // The segment that grows now.
  Graph segment;
  std::optional<ir::Builder> b;
  std::vector<std::int32_t> nodes;
  std::unordered_map<Value, Value, ir::ValueHash> inside;  // value of the graph -> value of the segment
  std::vector<Datum> arguments;
  std::string key;
  std::int64_t work = 0, made = 0;  // elements read and computed; computed
  bool light = false;               // do not look for segments
  bool compiled = false;            // a segment was worth it
  std::int64_t touched = 0;
  Status unresolved;  // the last node whose dims had no number

  const Datum& at(Value v) const { return values[At(v.node)][At(v.index)]; }
  void Start() {
    segment = Graph();
    b.emplace(&segment);
    nodes.clear(), inside.clear(), arguments.clear(), key.clear();
    work = made = 0;
  }
};

SegmentInterpreter::SegmentInterpreter(Graph graph, const runtime::CompileOptions& options,
                                       std::shared_ptr<Packing> packing)
    : graph_(std::move(graph)), options_(options), compiled_(std::move(packing)) {
  options_.donations.clear();
  bodies_ = std::make_unique<const Bodies>(options_, compiled_.packing());
  invalid_ = InlineCalls(graph_);
  if (invalid_.ok()) invalid_ = FoldOnce(graph_);
  AlignConstants();
  readers_.resize(At(graph_.size()));
  for (std::int32_t id = 0; id < graph_.size(); ++id)
    for (const Value v : graph_.node(id).inputs)
      if (v.valid()) readers_[At(v.node)].push_back(id);
}
SegmentInterpreter::~SegmentInterpreter() = default;

// Once here, not in each plan; many large weights stay in the mapped file, where kernels read them as they lie.
void SegmentInterpreter::AlignConstants() {
  std::vector<std::int32_t> apart;
  std::size_t bytes = 0;
  for (std::int32_t id = 0; id < graph_.size(); ++id) {
    if (graph_.node(id).op->name != "constant" || IsAligned(graph_.node(id).attrs.Lit("value"))) continue;
    apart.push_back(id);
    bytes += graph_.node(id).attrs.Lit("value").nbytes();
  }
  if (bytes > kMostAligned) return;
  try {
    for (const std::int32_t id : apart) graph_.node(id).attrs.Set("value", Aligned(graph_.node(id).attrs.Lit("value")));
  } catch (const Error& e) {
    invalid_ = e.status();
  }
}

// Adds the node to the segment when its outputs follow, with static shapes, from what is there or in the segment.
bool SegmentInterpreter::Grow(Pass& pass, std::int32_t id) const {
  const Node& n = graph_.node(id);
  std::vector<ir::Output> known(n.inputs.size());
  std::vector<const ir::Output*> types(n.inputs.size(), nullptr);
  for (std::size_t i = 0; i < n.inputs.size(); ++i) {
    const Value v = n.inputs[i];
    if (!v.valid()) continue;
    if (const auto it = pass.inside.find(v); it != pass.inside.end()) {
      known[i] = pass.segment.output(it->second);
    } else if (pass.done[At(v.node)]) {
      known[i] = KnownOf(pass.at(v));
    } else {
      return false;
    }
    if (!Plannable(known[i].type)) return false;
    types[i] = &known[i];
  }
  Result<ir::Attrs> attrs = pass.symbols.Resolve(n.attrs);
  if (!attrs.ok()) return false;
  {
    ir::Attrs copy = *attrs;
    const Result<std::vector<ir::Output>> outputs = ir::Infer(*n.op, types, copy);
    if (!outputs.ok()) return false;  // evaluation says what is wrong
    for (const ir::Output& o : *outputs)
      if (!Plannable(o.type)) return false;
    for (std::size_t k = 0; k < n.outputs.size(); ++k)
      if (!pass.symbols.Bind(n.outputs[k].type, (*outputs)[k].type, n.op->name).ok()) return false;
    // Elements that are dims of what follows (as_dims) must be numbers now; else the node runs by itself.
    for (std::size_t k = 0; k < n.outputs.size(); ++k) {
      const ir::SymbolicValue &was = n.outputs[k].symbolic, &now = (*outputs)[k].symbolic;
      if (!was) continue;
      if (!now || now->size() != was->size()) return false;
      for (std::size_t e = 0; e < was->size(); ++e) {
        const std::optional<std::int64_t> number = (*now)[e].try_value();
        if (!number) return false;
        if (!(*was)[e].symbol_name().empty()) pass.symbols.Set((*was)[e].symbol_name(), *number);
      }
    }
    for (const ir::Output& o : *outputs) pass.made += o.type.shape().size().value();
    for (const ir::Output& o : *outputs) pass.work += o.type.shape().size().value();
    for (const ir::Output* o : types) pass.work += o == nullptr ? 0 : o->type.shape().size().value();
    if (n.op->Is(ir::kControl)) pass.work += WorkInside(n);
  }
  std::vector<Value> inputs;
  Append(pass.key, id);
  // What the symbols of its attributes stand for now: they may come from a node that ran before, outside of the
  // segment.
  for (const auto& [name, attr] : n.attrs)
    if (const Shape* shape = std::get_if<Shape>(&attr); shape != nullptr && !shape->is_static())
      for (const Dim& d : attrs->Dims(name).dims()) Append(pass.key, d.value());
  for (std::size_t i = 0; i < n.inputs.size(); ++i) {
    const Value v = n.inputs[i];
    if (!v.valid()) {
      inputs.emplace_back();
      continue;
    }
    const auto [it, fresh] = pass.inside.try_emplace(v);
    if (fresh) {
      const Literal& literal = pass.at(v).literal();
      Append(pass.key, literal.dtype());
      Append(pass.key, literal.rank());
      for (const std::int64_t d : literal.dims()) Append(pass.key, d);
      // Small integers are dims and indices: the plan is made for their values.
      const bool baked = known[i].symbolic.has_value() || graph_.node(v).op->name == "constant";
      if (baked) {
        const bool given = graph_.node(v).op->name != "constant";
        it->second = pass.b->Constant(given ? CopyOf(literal) : literal);
        if (given) pass.key.append(reinterpret_cast<const char*>(literal.raw().data()), literal.nbytes());
      } else {
        it->second = pass.b->Input("", known[i].type);
        pass.arguments.emplace_back(literal);
      }
      pass.key += baked ? 'c' : 'i';
    }
    inputs.push_back(it->second);
  }
  const std::vector<Value> made = pass.b->AddAll(*n.op, std::move(inputs), *std::move(attrs));
  for (std::size_t k = 0; k < made.size(); ++k) pass.inside[{id, static_cast<std::int32_t>(k)}] = made[k];
  pass.nodes.push_back(id);
  return true;
}

Status SegmentInterpreter::RunSegment(Pass& pass) const {
  TENON_RETURN_IF_ERROR(pass.b->status());
  std::vector<bool> member(At(graph_.size()), false);
  for (const std::int32_t id : pass.nodes) member[At(id)] = true;
  // What others read, or the caller.
  std::vector<Value> wanted, results;
  for (const std::int32_t id : pass.nodes) {
    std::vector<bool> read(graph_.node(id).outputs.size(), false);
    for (const std::int32_t reader : readers_[At(id)])
      if (!member[At(reader)])
        for (const Value v : graph_.node(reader).inputs)
          if (v.valid() && v.node == id) read[At(v.index)] = true;
    for (const Value v : graph_.outputs())
      if (v.node == id) read[At(v.index)] = true;
    for (std::size_t k = 0; k < read.size(); ++k)
      if (read[k]) wanted.push_back({id, static_cast<std::int32_t>(k)});
  }
  for (const Value v : wanted) results.push_back(pass.inside.at(v));
  pass.segment.set_outputs(std::move(results));
  std::vector<Datum> got;
  if (pass.work >= kWorthCompiling) {
    pass.compiled = true;
    TENON_ASSIGN_OR_RETURN(const SegmentCache::Function function,
                           compiled_.Get(pass.key, pass.made, [&](const std::shared_ptr<Packing>& packing) {
                             return CompilePiece(pass.segment, options_, packing);
                           }));
    std::vector<Literal> in;
    for (const Datum& d : pass.arguments) in.push_back(d.literal());
    TENON_ASSIGN_OR_RETURN(std::vector<Literal> out, function->Run(std::move(in)));
    got.assign(std::make_move_iterator(out.begin()), std::make_move_iterator(out.end()));
  } else {
    TENON_ASSIGN_OR_RETURN(got, ir::EvalGraph(pass.segment, std::move(pass.arguments)));
  }
  for (const std::int32_t id : pass.nodes) {
    pass.values[At(id)].resize(graph_.node(id).outputs.size());
    pass.done[At(id)] = true;
  }
  for (std::size_t i = 0; i < wanted.size(); ++i)
    pass.values[At(wanted[i].node)][At(wanted[i].index)] = std::move(got[i]);
  return {};
}

// Nodes whose inputs are all there and that fit no segment.
Status SegmentInterpreter::RunSingly(Pass& pass, bool* progress) const {
  for (std::int32_t id = 0; id < graph_.size(); ++id) {
    if (pass.done[At(id)]) continue;
    const Node& n = graph_.node(id);
    bool ready = true;
    for (const Value v : n.inputs) ready = ready && (!v.valid() || pass.done[At(v.node)]);
    if (!ready) continue;
    std::vector<const Datum*> args;
    std::list<Datum> aligned;  // copies of weights in a mapped file
    for (const Value v : n.inputs) {
      args.push_back(v.valid() ? &pass.at(v) : nullptr);
      if (v.valid() && args.back()->tensor && !IsAligned(args.back()->literal()))
        args.back() = &aligned.emplace_back(Aligned(args.back()->literal()));
    }
    const auto named = [&](const Status& status) {
      const std::string& name = n.outputs.empty() ? std::string() : n.outputs[0].record.name;
      return name.empty() ? status : status.with_context("node \"" + name + "\"");
    };
    Result<ir::Attrs> attrs = pass.symbols.Resolve(n.attrs);
    if (!attrs.ok()) {  // the node that defines the symbol may stand behind, and be nobody's input
      pass.unresolved = named(attrs.status());
      continue;
    }
    Result<std::vector<Datum>> out = n.op->Is(ir::kControl) ? bodies_->Eval(*n.op, args, *std::move(attrs))
                                                            : ir::EvalOp(*n.op, args, *std::move(attrs));
    if (!out.ok()) return named(out.status());
    if (pass.light)
      for (const Datum* d : args) pass.touched += d != nullptr && d->tensor ? d->literal().size() : 0;
    for (std::size_t k = 0; k < n.outputs.size(); ++k) {
      if (pass.light && (*out)[k].tensor) pass.touched += (*out)[k].literal().size();
      TENON_RETURN_IF_ERROR(pass.symbols.Bind(n.outputs[k].type, (*out)[k].type(), n.op->name));
      if (n.outputs[k].symbolic && (*out)[k].tensor)
        pass.symbols.BindElements(*n.outputs[k].symbolic, (*out)[k].literal());
    }
    pass.values[At(id)] = *std::move(out);
    pass.done[At(id)] = true;
    *progress = true;
    // What it opens may be planned.
    if (!pass.light && n.op->name != "constant") return {};
  }
  return {};
}

Status SegmentInterpreter::RunAll(Pass& pass) const {
  for (bool progress = true; progress;) {
    progress = false;
    if (!pass.light) {
      pass.Start();
      for (std::int32_t id = 0; id < graph_.size(); ++id)
        if (!pass.done[At(id)]) Grow(pass, id);
      if (!pass.nodes.empty()) {
        TENON_RETURN_IF_ERROR(RunSegment(pass));
        progress = true;
      }
    }
    TENON_RETURN_IF_ERROR(RunSingly(pass, &progress));
  }
  return {};
}

Result<std::vector<Datum>> SegmentInterpreter::RunValues(std::vector<Datum> inputs) const {
  TENON_RETURN_IF_ERROR(invalid_);
  Pass pass(graph_);
  std::string dims;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Value v = graph_.inputs()[i];
    const ir::Output& declared = graph_.output(v);
    if (inputs[i].tensor)
      for (const std::int64_t d : inputs[i].literal().dims()) Append(dims, d);
    dims += ',';
    TENON_RETURN_IF_ERROR(pass.symbols.Bind(declared.type, inputs[i].type(), "input \"" + declared.record.name + "\""));
    pass.values[At(v.node)] = {std::move(inputs[i])};
    pass.done[At(v.node)] = true;
  }
  for (std::int32_t id = 0; id < graph_.size(); ++id) {
    const Node& n = graph_.node(id);
    if (n.op->name != "constant") continue;
    pass.values[At(id)] = {Datum(n.attrs.Lit("value"))};
    pass.done[At(id)] = true;
  }
  bool known = false;
  {
    const std::lock_guard lock(mutex_);
    const auto found = light_.find(dims);
    known = found != light_.end();
    pass.light = known && found->second;
  }
  TENON_RETURN_IF_ERROR(RunAll(pass));
  if (!known || (pass.light && pass.touched > kMostLight)) {
    const std::lock_guard lock(mutex_);
    if (light_.size() >= kMostLightKeys) light_.clear();
    light_[dims] = !known && !pass.compiled;
  }
  std::vector<Datum> outputs;
  for (const Value v : graph_.outputs()) {
    if (!v.valid()) {
      outputs.emplace_back();
      continue;
    }
    if (!pass.done[At(v.node)] && !pass.unresolved.ok()) return pass.unresolved;
    if (!pass.done[At(v.node)])
      return Status(Code::kInternal, "cpu: output " + std::to_string(outputs.size()) + " was not computed");
    outputs.push_back(pass.at(v));
  }
  return outputs;
}

Status SegmentInterpreter::Run(std::span<Literal> inputs, std::span<Literal> outputs) const {
  std::vector<Datum> values;
  for (const Literal& input : inputs) values.emplace_back(input);
  TENON_ASSIGN_OR_RETURN(const std::vector<Datum> results, RunValues(std::move(values)));
  for (std::size_t j = 0; j < outputs.size(); ++j) {
    if (!results[j].tensor) return Status(Code::kInternal, "cpu: output " + std::to_string(j) + " is no tensor");
    outputs[j] = results[j].literal();
  }
  return {};
}

std::string SegmentInterpreter::Explain() const {
  std::string out = "in segments (shapes depend on data), between them:\n";
  for (std::int32_t id = 0; id < graph_.size(); ++id) {
    const Node& n = graph_.node(id);
    bool single = false;
    for (const ir::Output& o : n.outputs) single = single || !Plannable(o.type);
    if (single && n.op->name != "input")
      out += (n.op->Is(ir::kControl) ? "  in segments:" : "  ref:") + std::string(n.op->name) + "\n";
  }
  return out + compiled_.Explain();
}

}  // namespace tenon::cpu
