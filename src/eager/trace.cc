#include "eager/trace.h"

#include <atomic>

#include "base/status_macros.h"
#include "ir/builder.h"

namespace tenon::eager {
namespace {
thread_local Trace* current_trace = nullptr;
std::atomic<std::int64_t> next_scope{1};
}  // namespace

Trace::Trace() : outer_(current_trace), scope_(next_scope++) { current_trace = this; }
Trace::~Trace() { Close(); }
void Trace::Close() {
  if (open_) current_trace = outer_;
  open_ = false;
}
Trace* Trace::Current() { return current_trace; }

SuspendTrace::SuspendTrace() : saved_(current_trace) { current_trace = nullptr; }
SuspendTrace::~SuspendTrace() { current_trace = saved_; }

Tensor Trace::Input(ir::Type type, std::string name) {
  inputs_.push_back(MakeSymbol(std::move(type), std::move(name), scope_));
  return inputs_.back();
}

Trace::State& Trace::StateOf(const ir::VariablePtr& cell) {
  for (State& s : states_)
    if (s.cell == cell) return s;
  const Tensor symbol = MakeSymbol(cell->type(), cell->path(), scope_);
  states_.push_back({cell, symbol, symbol});
  return states_.back();
}

Tensor Trace::Read(const ir::VariablePtr& cell) {
  // Bodies of control flow read through the outermost trace: the symbol is then a capture.
  return outer_ != nullptr ? outer_->Read(cell) : StateOf(cell).current;
}

void Trace::Assign(const ir::VariablePtr& cell, const Tensor& value) {
  if (outer_ != nullptr)
    fail(Code::kUnimplemented,
         "Variable \"" + cell->path() +
             "\": assigned inside cond, while_loop or scan; carry its value out and assign it after");
  const ir::Type type = TypeOf(value);
  if (!cell->type().Accepts(type))
    fail(Code::kInvalidArgument,
         "variable \"" + cell->path() + "\": got " + type.to_string() + ", expected " + cell->type().to_string());
  State& s = StateOf(cell);
  s.current = value;
  s.assigned = true;
}

Result<std::vector<ir::Value>> Linearize(ir::Graph& graph, std::span<const Tensor> outputs,
                                         std::unordered_map<const Node*, ir::Value>& known,
                                         const std::function<bool(const Tensor&)>& is_foreign,
                                         const std::function<Result<ir::Value>(const Tensor&)>& capture) {
  ir::Builder b(&graph);
  std::unordered_map<const Call*, std::vector<ir::Value>> calls;
  // Depth first with an explicit stack: a Tensor waits until the inputs of its call are known.
  std::vector<Tensor> stack(outputs.rbegin(), outputs.rend());
  while (!stack.empty()) {
    const Tensor t = stack.back();
    const Node& n = NodeOf(t);
    if (known.contains(&n)) {
      stack.pop_back();
      continue;
    }
    if (n.value) {
      known[&n] = b.Constant(*n.value);
      stack.pop_back();
      continue;
    }
    if (is_foreign(t) || !n.call) {
      TENON_ASSIGN_OR_RETURN(known[&n], capture(t));
      stack.pop_back();
      continue;
    }
    const Call& call = *n.call;
    if (call.op == nullptr)
      return Status(Code::kFailedPrecondition,
                    "trace: a Tensor of keras::Input was used inside a traced function; call the model instead");
    auto found = calls.find(&call);
    if (found == calls.end()) {
      bool ready = true;
      for (const Tensor& in : call.inputs)
        if (in.defined() && !known.contains(in.node().get())) {
          stack.push_back(in);
          ready = false;
        }
      if (!ready) continue;
      std::vector<ir::Value> inputs;
      for (const Tensor& in : call.inputs) inputs.push_back(in.defined() ? known.at(in.node().get()) : ir::Value());
      std::vector<ir::Value> values = b.AddAll(*call.op, std::move(inputs), call.attrs);
      TENON_RETURN_IF_ERROR(b.status());
      found = calls.emplace(&call, std::move(values)).first;
    }
    const ir::Value v = found->second[static_cast<std::size_t>(n.index)];
    // Inference ran again on the graph's types; keep the symbols that the Tensor showed while it was traced.
    graph.output(v).type = n.type;
    graph.output(v).symbolic = n.symbolic;
    known[&n] = v;
    stack.pop_back();
  }
  TENON_RETURN_IF_ERROR(b.status());
  std::vector<ir::Value> out;
  for (const Tensor& t : outputs) out.push_back(known.at(t.node().get()));
  return out;
}

Result<Trace::Traced> Trace::Finish(std::span<const Tensor> outputs) {
  Traced traced;
  ir::Builder b(&traced.graph);
  std::unordered_map<const Node*, ir::Value> known;
  for (const Tensor& t : inputs_) known[t.node().get()] = b.Input(t.node()->name, t.node()->type);
  std::vector<Tensor> all(outputs.begin(), outputs.end());
  for (const State& s : states_) {
    known[s.read.node().get()] = b.Input(s.cell->path(), s.cell->type());
    traced.reads.push_back(s.cell);
    if (!s.assigned) continue;
    traced.writes.push_back(s.cell);
    all.push_back(s.current);
  }
  TENON_ASSIGN_OR_RETURN(std::vector<ir::Value> values,
                         Linearize(
                             traced.graph, all, known, [&](const Tensor& t) { return t.node()->scope != scope_; },
                             [](const Tensor& t) -> Result<ir::Value> {
                               return Status(Code::kFailedPrecondition,
                                             "trace: the function uses a symbolic Tensor (" + TypeOf(t).to_string() +
                                                 ") that another trace made; pass it as an argument");
                             }));
  traced.graph.set_outputs(std::move(values));
  return traced;
}

Result<ir::GraphPtr> Trace::FinishBody(std::span<const Tensor> outputs, std::vector<Tensor>* captures) {
  auto graph = std::make_shared<ir::Graph>();
  ir::Builder b(graph.get());
  std::unordered_map<const Node*, ir::Value> known;
  for (const Tensor& t : inputs_) known[t.node().get()] = b.Input(t.node()->name, t.node()->type);
  const auto add_capture = [&](const Tensor& t) { return known[t.node().get()] = b.Input("", TypeOf(t)); };
  for (const Tensor& t : *captures) add_capture(t);
  TENON_ASSIGN_OR_RETURN(std::vector<ir::Value> values,
                         Linearize(
                             *graph, outputs, known, [&](const Tensor& t) { return t.node()->scope != scope_; },
                             [&](const Tensor& t) -> Result<ir::Value> {
                               captures->push_back(t);
                               return add_capture(t);
                             }));
  graph->set_outputs(std::move(values));
  return ir::GraphPtr(graph);
}

}  // namespace tenon::eager
