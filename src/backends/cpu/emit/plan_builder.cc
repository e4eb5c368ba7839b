#include "backends/cpu/emit/plan_builder.h"

#include <algorithm>
#include <cstdlib>
#include <queue>

#include "backends/cpu/steps/steps.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "compiler/internal_ops.h"
#include "tensor/aligned.h"

namespace tenon::cpu {

using runtime::BufferKind;

constexpr std::size_t kMostPacked = std::size_t{256} << 20;

bool IsView(const ir::Node& n) {
  const std::string_view op = n.op->name;
  return op == "reshape" || op == "identity" || op == "stop_gradient" || op == "expand_dims" || op == "squeeze";
}

bool ShapeOnly(const ir::Node& n, std::size_t i) {
  return i < n.op->inputs.size() && n.op->inputs[i].name.ends_with("_like");
}

Value PlanBuilder::Root(Value v) const {
  while (IsView(graph_.node(v))) v = graph_.node(v).inputs[0];
  return v;
}

const Literal* PlanBuilder::ConstantOf(Value v) const {
  if (!v.valid()) return nullptr;
  const ir::Node& n = graph_.node(Root(v));
  return n.op->name == "constant" ? &n.attrs.Lit("value") : nullptr;
}

BufferId PlanBuilder::In(Value v) { return Get(v, true); }
BufferId PlanBuilder::InBytes(Value v) { return Get(v, false); }

BufferId PlanBuilder::Get(Value v, bool aligned) {
  const Value root = Root(v);
  const auto it = buffer_.find(root);
  if (it != buffer_.end()) return it->second;
  const ir::Node& n = graph_.node(root);
  if (n.op->name != "constant")
    fail(Code::kInternal, "plan: a value of " + std::string(n.op->name) + " is used before it is computed");
  const Literal& literal = n.attrs.Lit("value");
  if (!aligned && !IsAligned(literal)) {
    const auto [place, fresh] = bytes_.try_emplace(root, -1);
    if (fresh) place->second = plan_->AddConstant(literal.buffer());
    return place->second;
  }
  return buffer_[root] = plan_->AddConstant(Aligned(literal).buffer());
}

Buffer PackedConstants::Allocate(std::size_t bytes, std::byte** address) {
  const std::size_t rounded = (bytes + 63) / 64 * 64;
  if (piece_ == nullptr || piece_->size() - used_ < rounded) {
    piece_ = std::make_shared<Buffer>(Buffer::allocate(std::max(next_, rounded), false));
    used_ = 0;
    next_ = std::min(2 * next_, std::size_t{32} << 20);
  }
  *address = piece_->mutable_data() + used_;
  used_ += rounded;
  return Buffer::view(*address, bytes, piece_);
}

BufferId PlanBuilder::Out(Value v) {
  const std::size_t bytes = checked_bytes(dtype(v), dims(v)).value();
  BufferId id = -1;
  if (const auto donated = donated_input_.find(v); donated != donated_input_.end()) {
    id = buffer_.at(graph_.inputs()[static_cast<std::size_t>(donated->second)]);
  } else if (const auto output = direct_output_.find(v); output != direct_output_.end()) {
    id = plan_->AddBuffer(BufferKind::kOutput, bytes, output->second);
  } else {
    id = plan_->AddBuffer(BufferKind::kArena, bytes);
  }
  buffer_[v] = id;
  return id;
}

BufferId PlanBuilder::Scratch(std::size_t bytes) { return plan_->AddBuffer(BufferKind::kArena, bytes); }

void PlanBuilder::KeepApart(Value v) { donated_input_.erase(v); }

bool PlanBuilder::OverlaysInput(Value out, Value in) const {
  const auto it = donated_input_.find(out);
  return it != donated_input_.end() && in.valid() && Root(in) == graph_.inputs()[static_cast<std::size_t>(it->second)];
}

// Which values are written straight into outputs, and which over donated inputs.
void PlanBuilder::FindOutputs() {
  donor_.assign(graph_.outputs().size(), -1);
  for (const runtime::Donation& d : options_.donations) {
    const Value in = graph_.inputs()[static_cast<std::size_t>(d.input)];
    const Value out = graph_.outputs()[static_cast<std::size_t>(d.output)];
    if (graph_.type(in) == graph_.type(out)) donor_[static_cast<std::size_t>(d.output)] = d.input;
  }
  std::unordered_map<Value, int, ir::ValueHash> named;  // roots of outputs, how often
  for (const Value v : graph_.outputs()) ++named[Root(v)];
  std::set<Value> taken;
  for (std::size_t j = 0; j < graph_.outputs().size(); ++j) {
    const Value root = Root(graph_.outputs()[j]);
    const std::string_view op = graph_.node(root).op->name;
    if (op == "input" || op == "constant" || !taken.insert(root).second) continue;
    if (donor_[j] < 0) {
      direct_output_[root] = static_cast<int>(j);
      continue;
    }
    // An output that still wants the old value keeps it from being overwritten.
    if (!named.contains(graph_.inputs()[static_cast<std::size_t>(donor_[j])])) donated_input_[root] = donor_[j];
  }
}

// The nodes that some output needs, other than by its dims.
std::vector<bool> PlanBuilder::Needed() const {
  std::vector<bool> needed(static_cast<std::size_t>(graph_.size()), false);
  for (const Value v : graph_.outputs()) needed[static_cast<std::size_t>(v.node)] = true;
  for (std::int32_t id = graph_.size(); id-- > 0;) {
    if (!needed[static_cast<std::size_t>(id)]) continue;
    const ir::Node& n = graph_.node(id);
    for (std::size_t i = 0; i < n.inputs.size(); ++i)
      if (n.inputs[i].valid() && !ShapeOnly(n, i)) needed[static_cast<std::size_t>(n.inputs[i].node)] = true;
  }
  return needed;
}

// Topological, in the order of the graph, but with every reader of a donated input before the node that overwrites it.
std::vector<std::int32_t> PlanBuilder::Schedule() {
  const auto n = static_cast<std::size_t>(graph_.size());
  std::vector<std::vector<std::int32_t>> after(n);
  std::vector<int> waits(n, 0);
  const auto edge = [&](std::int32_t from, std::int32_t to) {
    after[static_cast<std::size_t>(from)].push_back(to);
    ++waits[static_cast<std::size_t>(to)];
  };
  const auto each_read = [&](std::int32_t id, const auto& f) {
    const ir::Node& node = graph_.node(id);
    for (std::size_t i = 0; i < node.inputs.size(); ++i)
      if (node.inputs[i].valid() && !ShapeOnly(node, i)) f(node.inputs[i]);
  };
  const std::vector<bool> needed = Needed();
  for (std::int32_t id = 0; id < graph_.size(); ++id)
    if (needed[static_cast<std::size_t>(id)]) each_read(id, [&](Value v) { edge(v.node, id); });
  std::vector<std::vector<std::int32_t>> readers(graph_.inputs().size());
  for (std::int32_t id = 0; id < graph_.size(); ++id) {
    if (IsView(graph_.node(id)) || !needed[static_cast<std::size_t>(id)]) continue;
    each_read(id, [&](Value v) {
      const auto it = input_number_.find(Root(v));
      if (it != input_number_.end()) readers[static_cast<std::size_t>(it->second)].push_back(id);
    });
  }
  struct Extra {
    std::int32_t from, to;
  };
  std::vector<Extra> extra;
  for (const auto& [root, input] : donated_input_)
    for (const std::int32_t r : readers[static_cast<std::size_t>(input)])
      if (r != root.node) {
        edge(r, root.node);
        extra.push_back({r, root.node});
      }
  std::priority_queue<std::int32_t, std::vector<std::int32_t>, std::greater<>> ready;
  std::vector<bool> done(n, false);
  std::size_t total = 0;
  for (std::int32_t id = 0; id < graph_.size(); ++id) {
    if (!needed[static_cast<std::size_t>(id)]) continue;
    ++total;
    if (waits[static_cast<std::size_t>(id)] == 0) ready.push(id);
  }
  std::vector<std::int32_t> order;
  while (order.size() < total) {
    if (ready.empty()) {  // two updates wait for each other: the first one that is stuck gets a buffer of its own
      std::int32_t stuck = -1;
      for (const Extra& e : extra)
        if (!done[static_cast<std::size_t>(e.to)] && !done[static_cast<std::size_t>(e.from)] &&
            (stuck < 0 || e.to < stuck))
          stuck = e.to;
      if (stuck < 0) fail(Code::kInternal, "plan: a cycle in the graph");
      for (auto it = donated_input_.begin(); it != donated_input_.end();)
        it = it->first.node == stuck ? donated_input_.erase(it) : std::next(it);
      for (Extra& e : extra) {
        if (e.to != stuck || done[static_cast<std::size_t>(e.from)]) continue;
        std::vector<std::int32_t>& list = after[static_cast<std::size_t>(e.from)];
        list.erase(std::ranges::find(list, stuck));
        e.to = -1;
        if (--waits[static_cast<std::size_t>(stuck)] == 0) ready.push(stuck);
      }
      std::erase_if(extra, [](const Extra& e) { return e.to < 0; });
      continue;
    }
    const std::int32_t id = ready.top();
    ready.pop();
    done[static_cast<std::size_t>(id)] = true;
    order.push_back(id);
    for (const std::int32_t next : after[static_cast<std::size_t>(id)])
      if (--waits[static_cast<std::size_t>(next)] == 0) ready.push(next);
  }
  return order;
}

// Copies what could not be written in place. Old values of donated inputs are read before these are overwritten.
Status PlanBuilder::FinishOutputs() {
  const std::size_t n = graph_.outputs().size();
  plan_->donated_from = donor_;
  std::vector<std::unique_ptr<runtime::Step>> late;
  for (std::size_t j = 0; j < n; ++j) {
    const Value v = graph_.outputs()[j];
    const Value root = Root(v);
    const std::size_t bytes = checked_bytes(dtype(v), dims(v)).value();
    runtime::PlanPort port{dtype(v), dims(v), -1};
    const auto direct = direct_output_.find(root);
    if (direct != direct_output_.end() && direct->second == static_cast<int>(j)) {
      port.buffer = buffer_.at(root);
    } else if (donor_[j] >= 0) {
      const BufferId to = buffer_.at(graph_.inputs()[static_cast<std::size_t>(donor_[j])]);
      const BufferId from = In(v);
      port.buffer = to;
      if (from != to) late.push_back(MakeCopyStep(from, to, bytes));
    } else {
      port.buffer = plan_->AddBuffer(BufferKind::kOutput, bytes, static_cast<int>(j));
      Add(MakeCopyStep(In(v), port.buffer, bytes));
    }
    plan_->outputs.push_back(std::move(port));
  }
  // A late copy may read an input that another one overwrites (two variables exchanged): through the arena then.
  for (auto& step : late) {
    bool clash = false;
    for (const auto& other : late)
      clash = clash || (other != nullptr && other != step && other->writes[0] == step->reads[0]);
    if (!clash) continue;
    const std::size_t bytes = plan_->buffers[static_cast<std::size_t>(step->writes[0])].bytes;
    const BufferId middle = Scratch(bytes);
    Add(MakeCopyStep(step->reads[0], middle, bytes));
    step = MakeCopyStep(middle, step->writes[0], bytes);
  }
  for (auto& step : late) Add(std::move(step));
  return {};
}

Result<std::unique_ptr<runtime::Plan>> PlanBuilder::Build() {
  plan_ = std::make_unique<runtime::Plan>();
  for (std::size_t i = 0; i < graph_.inputs().size(); ++i) {
    const Value v = graph_.inputs()[i];
    const std::size_t bytes = checked_bytes(dtype(v), dims(v)).value();
    const BufferId id = plan_->AddBuffer(BufferKind::kInput, bytes, static_cast<int>(i));
    buffer_[v] = id;
    input_number_[v] = static_cast<int>(i);
    plan_->inputs.push_back({dtype(v), dims(v), id});
  }
  std::size_t weights = 0;
  for (const ir::Node& n : graph_.nodes())
    if (n.op->name == "constant") weights += n.attrs.Lit("value").nbytes();
  may_pack_ = weights <= kMostPacked;
  FindOutputs();
  static const bool kVerbose = std::getenv("TENON_VERBOSE") != nullptr;
  for (const std::int32_t id : Schedule()) {
    const ir::Node& n = graph_.node(id);
    if (n.op->name == "input" || n.op->name == "constant" || IsView(n)) continue;
    bool done = false;
    for (const Kernel& k : Kernels()) {
      if (k.op != n.op->name) continue;
      TENON_ASSIGN_OR_RETURN(const std::string reason, k.emit(*this, id));
      if (reason.empty()) {
        done = true;
        break;
      }
      if (kVerbose)
        base::Log(base::LogLevel::kWarning,
                  "cpu: " + std::string(k.name) + " declines " + std::string(n.op->name) + ": " + reason);
    }
    if (!done) TENON_RETURN_IF_ERROR(EmitReference(*this, id));
  }
  TENON_RETURN_IF_ERROR(FinishOutputs());
  TENON_RETURN_IF_ERROR(runtime::PlanArena(*plan_));
  if (kVerbose) base::Log(base::LogLevel::kWarning, "cpu: " + plan_->Explain());
  return std::move(plan_);
}

bool HasKernel(std::string_view op) {
  for (const Kernel& k : Kernels())
    if (k.op == op) return true;
  return false;
}

}  // namespace tenon::cpu
