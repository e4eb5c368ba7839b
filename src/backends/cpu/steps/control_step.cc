// cond, while_loop and scan: steps that hold the plans of their sub-graphs.
#include <array>
#include <cstring>

#include "backends/cpu/emit/compile_plan.h"
#include "backends/cpu/steps/steps.h"
#include "base/status_macros.h"
#include "runtime/plan_instance.h"

namespace tenon::cpu {
namespace {

using runtime::Plan;
using runtime::PlanInstance;
using PlanPtr = std::shared_ptr<const Plan>;

struct Port {
  BufferId buffer = -1;
  std::size_t bytes = 0;
};

// The plans of a control step and the arena that they share (they never run at the same time).
struct Bodies {
  std::vector<PlanPtr> plans;
  BufferId arena = -1;
};
struct State : runtime::StepState {
  std::vector<PlanInstance> instances;
  std::byte* arena = nullptr;
  std::vector<std::byte*> in, out, first, last;  // addresses; kept, so that a run allocates nothing
  explicit State(const Bodies& bodies) {
    for (const PlanPtr& p : bodies.plans) instances.emplace_back(p);
  }
  void Place(std::byte* at) {
    if (at == arena) return;
    arena = at;
    for (PlanInstance& i : instances) i.SetArena(at);
  }
};

class ControlStep : public runtime::Step {
 public:
  ControlStep(std::string_view name, Bodies bodies, std::vector<Port> inputs, std::vector<Port> outputs)
      : name_(name), bodies_(std::move(bodies)), inputs_(std::move(inputs)), outputs_(std::move(outputs)) {
    for (const Port& p : inputs_) reads.push_back(p.buffer);
    for (const Port& p : outputs_) writes.push_back(p.buffer);
    writes.push_back(bodies_.arena);
  }
  std::unique_ptr<runtime::StepState> MakeState() const override { return std::make_unique<State>(bodies_); }
  std::string Describe() const override {
    std::string out(name_);
    for (const PlanPtr& p : bodies_.plans) {
      std::string inner = p->Explain();
      for (std::size_t at = inner.find('\n'); at != std::string::npos; at = inner.find('\n', at + 1))
        inner.replace(at, 1, "\n    ");
      out += "\n    " + inner;
    }
    return out;
  }

 protected:
  State& Ready(const runtime::StepContext& ctx) const {
    auto& state = *static_cast<State*>(ctx.state);
    state.Place(ctx.get<std::byte>(bodies_.arena));
    return state;
  }
  static void Addresses(const runtime::StepContext& ctx, const std::vector<Port>& ports, std::vector<std::byte*>& out) {
    out.resize(ports.size());
    for (std::size_t i = 0; i < ports.size(); ++i) out[i] = ctx.get<std::byte>(ports[i].buffer);
  }
  std::string_view name_;
  Bodies bodies_;
  std::vector<Port> inputs_, outputs_;
};

class CondStep : public ControlStep {
 public:
  using ControlStep::ControlStep;
  Status Run(const runtime::StepContext& ctx) const override {
    State& state = Ready(ctx);
    Addresses(ctx, inputs_, state.in);
    Addresses(ctx, outputs_, state.out);
    PlanInstance& chosen = state.instances[*state.in[0] != std::byte{0} ? 0 : 1];
    chosen.SetPorts(std::span(state.in).subspan(1), state.out);
    return chosen.Run(ctx.threads);
  }
};

// Carries go back and forth between two sets of buffers.
class LoopingStep : public ControlStep {
 public:
  LoopingStep(std::string_view name, Bodies bodies, std::vector<Port> inputs, std::vector<Port> outputs,
              std::array<std::vector<BufferId>, 2> turns)
      : ControlStep(name, std::move(bodies), std::move(inputs), std::move(outputs)), turns_(std::move(turns)) {
    for (const auto& turn : turns_) writes.insert(writes.end(), turn.begin(), turn.end());
  }

 protected:
  std::size_t carries() const { return turns_[0].size(); }
  std::array<std::vector<BufferId>, 2> turns_;
};

class WhileStep : public LoopingStep {
 public:
  using LoopingStep::LoopingStep;
  Status Run(const runtime::StepContext& ctx) const override {
    State& state = Ready(ctx);
    std::vector<std::byte*>&now = state.in, &next = state.out;
    Addresses(ctx, inputs_, now);
    next.resize(carries());
    bool go = false;
    std::byte* const answer[] = {reinterpret_cast<std::byte*>(&go)};
    std::int64_t trips = 0;
    for (;; ++trips) {
      state.instances[0].SetPorts(now, answer);
      if (Status status = state.instances[0].Run(ctx.threads); !status.ok()) return status;
      if (!go) break;
      for (std::size_t i = 0; i < carries(); ++i)
        next[i] = ctx.get<std::byte>(turns_[static_cast<std::size_t>(trips % 2)][i]);
      state.instances[1].SetPorts(now, next);
      if (Status status = state.instances[1].Run(ctx.threads); !status.ok()) return status;
      std::copy(next.begin(), next.end(), now.begin());
    }
    for (std::size_t i = 0; i < carries(); ++i)
      std::memcpy(ctx.get<std::byte>(outputs_[i].buffer), now[i], outputs_[i].bytes);
    *ctx.get<std::int64_t>(outputs_[carries()].buffer) = trips;
    return {};
  }
};

class ScanStep : public LoopingStep {
 public:
  ScanStep(Bodies bodies, std::vector<Port> inputs, std::vector<Port> outputs,
           std::array<std::vector<BufferId>, 2> turns, std::size_t scanned, std::int64_t length, bool reverse)
      : LoopingStep("scan", std::move(bodies), std::move(inputs), std::move(outputs), std::move(turns)),
        scanned_(scanned),
        length_(length),
        reverse_(reverse) {}
  Status Run(const runtime::StepContext& ctx) const override {
    State& state = Ready(ctx);
    PlanInstance& body = state.instances[0];
    std::vector<std::byte*>&in = state.in, &out = state.out, &first = state.first, &last = state.last;
    Addresses(ctx, inputs_, in);
    Addresses(ctx, inputs_, first);
    Addresses(ctx, outputs_, last);
    out.resize(outputs_.size());
    for (std::int64_t step = 0; step < length_; ++step) {
      const std::int64_t row = reverse_ ? length_ - 1 - step : step;
      for (std::size_t i = carries(); i < carries() + scanned_; ++i)
        in[i] = first[i] + row * static_cast<std::int64_t>(inputs_[i].bytes) / length_;
      for (std::size_t i = 0; i < carries(); ++i)
        out[i] = step + 1 == length_ ? last[i] : ctx.get<std::byte>(turns_[static_cast<std::size_t>(step % 2)][i]);
      for (std::size_t i = carries(); i < out.size(); ++i)
        out[i] = last[i] + row * static_cast<std::int64_t>(outputs_[i].bytes) / length_;
      body.SetPorts(in, out);
      if (Status status = body.Run(ctx.threads); !status.ok()) return status;
      std::copy(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(carries()), in.begin());
    }
    if (length_ == 0)
      for (std::size_t i = 0; i < carries(); ++i) std::memcpy(last[i], first[i], outputs_[i].bytes);
    return {};
  }

 private:
  std::size_t scanned_;
  std::int64_t length_;
  bool reverse_;
};

Result<PlanPtr> PlanOf(PlanBuilder& b, const ir::Graph& body, const std::vector<std::vector<std::int64_t>>& dims) {
  runtime::CompileOptions options = b.options();
  options.donations.clear();
  return CompilePlan(body, dims, options);
}

}  // namespace

Result<std::string> EmitControl(PlanBuilder& b, std::int32_t id) {
  const ir::Node& n = b.graph().node(id);
  const std::string_view op = n.op->name;
  const std::size_t carries = op == "cond" ? 0 : static_cast<std::size_t>(n.attrs.Int("carries"));
  const std::size_t scanned = op == "scan" ? static_cast<std::size_t>(n.attrs.Int("scanned")) : 0;
  std::vector<std::vector<std::int64_t>> dims;
  for (std::size_t i = op == "cond" ? 1 : 0; i < n.inputs.size(); ++i) {
    dims.push_back(b.dims(n.inputs[i]));
    if (i >= carries && i < carries + scanned) dims.back().erase(dims.back().begin());
  }
  Bodies bodies;
  std::vector<const char*> names = {"body"};
  if (op == "cond") names = {"then_branch", "else_branch"};
  if (op == "while_loop") names = {"condition", "body"};
  std::size_t arena = 64;
  for (const char* name : names) {
    TENON_ASSIGN_OR_RETURN(PlanPtr plan, PlanOf(b, n.attrs.Body(name), dims));
    if (plan == nullptr) return std::string("a sub-graph whose shapes depend on data");
    arena = std::max(arena, plan->arena_bytes);
    bodies.plans.push_back(std::move(plan));
  }
  // What the plans give must be what the graph expects: carries keep their dims.
  const Plan& last = *bodies.plans.back();
  for (std::size_t i = 0; i < last.outputs.size(); ++i) {
    std::vector<std::int64_t> want = b.dims({id, static_cast<std::int32_t>(i)});
    if (op == "scan" && i >= carries) want.erase(want.begin());
    for (const PlanPtr& p : bodies.plans)
      if (p->outputs.size() == last.outputs.size() && (op != "while_loop" || p == bodies.plans.back()) &&
          p->outputs[i].dims != want)
        return std::string("a result whose dims change");
  }
  if (op == "while_loop" && (bodies.plans[0]->outputs.size() != 1 || !bodies.plans[0]->outputs[0].dims.empty()))
    return std::string("a condition that is no scalar");
  std::vector<Port> inputs, outputs;
  const auto bytes = [&](Value v) { return checked_bytes(b.dtype(v), b.dims(v)).value(); };
  for (const Value v : n.inputs) inputs.push_back({b.In(v), bytes(v)});
  std::array<std::vector<BufferId>, 2> turns;
  for (std::size_t i = 0; i < carries; ++i)
    for (auto& turn : turns) turn.push_back(b.Scratch(bytes(n.inputs[i])));
  for (std::int32_t k = 0; k < static_cast<std::int32_t>(n.outputs.size()); ++k) {
    b.KeepApart({id, k});
    outputs.push_back({b.Out({id, k}), bytes({id, k})});
  }
  bodies.arena = b.Scratch(arena);
  if (op == "cond")
    b.Add(std::make_unique<CondStep>(op, std::move(bodies), std::move(inputs), std::move(outputs)));
  else if (op == "while_loop")
    b.Add(std::make_unique<WhileStep>(op, std::move(bodies), std::move(inputs), std::move(outputs), std::move(turns)));
  else
    b.Add(std::make_unique<ScanStep>(std::move(bodies), std::move(inputs), std::move(outputs), std::move(turns),
                                     scanned, n.attrs.Dims("length")[0].value(), n.attrs.Bool("reverse")));
  return std::string();
}

}  // namespace tenon::cpu
