#include "formats/savedmodel/translator.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/status_macros.h"
#include "formats/savedmodel/fold.h"
#include "formats/savedmodel/ops/context.h"

namespace tenon::savedmodel {
namespace {

constexpr int kMaxCallDepth = 64;
constexpr std::int64_t kMaxNodes = std::int64_t{1} << 20;  // about 1 KB each

std::int64_t FeedKey(const Ref& ref) { return (std::int64_t{ref.node} << 16) | ref.output; }

}  // namespace

Slot Translator::Resolve(const Scope& scope, const Ref& ref) const {
  if (ref.arg >= 0) {
    const auto arg = static_cast<std::size_t>(ref.arg);
    return arg < scope.args.size() ? scope.args[arg] : Slot();
  }
  if (ref.node < 0) return {};
  const auto fed = scope.fed.find(FeedKey(ref));
  if (fed != scope.fed.end()) return fed->second;
  const std::vector<Slot>& results = scope.results[static_cast<std::size_t>(ref.node)];
  const auto output = static_cast<std::size_t>(ref.output);
  return output < results.size() ? results[output] : Slot();
}

Status Translator::Evaluate(Scope& scope, const std::vector<int>& nodes) {
  const Body& body = *scope.body;
  scope.results.resize(body.nodes->size());
  scope.done.resize(body.nodes->size(), 0);  // 1 while its inputs are looked at, 2 when translated
  // Depth first with a stack of our own: graphs are deep. Edges that order effects come before data.
  std::vector<std::pair<int, std::size_t>> stack;
  for (const int root : nodes) {
    if (scope.done[static_cast<std::size_t>(root)] != 0) continue;
    scope.done[static_cast<std::size_t>(root)] = 1;
    stack.emplace_back(root, 0);
    while (!stack.empty()) {
      const auto id = static_cast<std::size_t>(stack.back().first);
      // A loop of TF1 is translated as a whole at one of its Exits, behind what enters it.
      const auto frame = body.frame_of_exit.find(static_cast<int>(id));
      const std::vector<Ref>& refs =
          frame == body.frame_of_exit.end() ? body.inputs[id] : body.frames[frame->second].outer;
      int next = -1;
      for (std::size_t& at = stack.back().second; at < 2 * refs.size() && next < 0; ++at) {
        const Ref& ref = refs[at % refs.size()];
        if (ref.node < 0 || ref.control != (at < refs.size())) continue;
        const auto target = static_cast<std::size_t>(ref.node);
        if (scope.done[target] != 0 || (ref.control && body.effect[target] == 0)) continue;
        if (!ref.control && scope.fed.contains(FeedKey(ref))) continue;
        next = ref.node;
      }
      if (next >= 0) {
        scope.done[static_cast<std::size_t>(next)] = 1;
        stack.emplace_back(next, 0);
        continue;
      }
      stack.pop_back();
      if (scope.done[id] == 2) continue;  // another Exit of its loop
      TENON_RETURN_IF_ERROR(frame == body.frame_of_exit.end() ? TranslateNode(scope, static_cast<int>(id))
                                                              : TranslateFrame(scope, static_cast<int>(id)));
      scope.done[id] = 2;
    }
  }
  return {};
}

Status Translator::TranslateNode(Scope& scope, int id) {
  const auto index = static_cast<std::size_t>(id);
  const NodeDef& node = (*scope.body->nodes)[index];
  if (++translated_ > kMaxNodes)
    return Status(Code::kResourceExhausted,
                  fmt::format("{}: its calls expand to more than {} nodes", name_, kMaxNodes));
  const auto rule = FindRule(node.op);
  if (rule == nullptr) {
    Report(node, Status(Code::kUnimplemented, ""));
    return {};
  }
  std::vector<Slot> slots;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    const Ref& ref = scope.body->inputs[index][i];
    if (ref.control) continue;
    if (ref.node < 0 && ref.arg < 0) {
      Report(node, Status(Code::kInvalidArgument, fmt::format("its input {:?} does not exist", node.inputs[i])));
      return {};
    }
    slots.push_back(Resolve(scope, ref));
    if (slots.back().kind == Slot::Kind::kNone && !building_->restoring) {
      // A node that failed has been reported already; one that succeeded has no such output.
      const auto output = static_cast<std::size_t>(ref.output);
      if (ref.node >= 0 && scope.done[static_cast<std::size_t>(ref.node)] == 2) {
        const std::vector<Slot>& made = scope.results[static_cast<std::size_t>(ref.node)];
        if (!made.empty() && output >= made.size())
          Report(node, Status(Code::kInvalidArgument, fmt::format("its input {:?} does not exist", node.inputs[i])));
      }
      return {};
    }
  }
  ir::Graph& graph = *building_->graph;
  const std::int32_t before = graph.size();
  const std::int64_t counted = translated_;
  ir::Builder builder(&graph);
  OpContext context(*this, builder, node, std::move(slots), scope.prefix + node.name);
  Status status;
  try {
    status = rule(context);
  } catch (const Error& error) {
    status = error.status();
  }
  if (!builder.ok()) status = builder.status();
  // What the nodes of a call made has been counted with them.
  translated_ = std::max(translated_, counted + graph.size() - before);
  if (!status.ok()) {
    if (status.code() == Code::kResourceExhausted) return status;
    Report(node, status);
    return {};
  }
  Fold(graph, before, context.results);
  for (const Slot& input : context.inputs)
    for (const auto& guard : input.guards)
      for (Slot& result : context.results)
        if (node.op != "Merge" && node.op != "RefMerge" && std::ranges::count(result.guards, guard) == 0)
          result.guards.push_back(guard);
  for (std::size_t k = 0; k < context.results.size(); ++k) {
    const ir::Value value = context.results[k].value;
    if (!value.valid() || value.node < before) continue;
    ir::Record& record = graph.output(value).record;
    if (!record.provenance.empty()) continue;
    record.name = k == 0 ? context.name : fmt::format("{}:{}", context.name, k);
    record.provenance.push_back(
        {"tensorflow", scope.body->function == nullptr ? "" : scope.body->function->name, node.name});
  }
  scope.results[index] = std::move(context.results);
  return {};
}

Result<std::vector<Slot>> Translator::Call(const std::string& function, std::vector<Slot> args,
                                           const std::string& prefix) {
  const Body* body = library_.Find(function);
  if (body == nullptr) return Status(Code::kInvalidArgument, fmt::format("there is no function {:?}", function));
  const FunctionDef& def = *body->function;
  if (args.size() != def.inputs.size())
    return Status(Code::kInvalidArgument, fmt::format("function {:?}: got {} arguments, expected {}", function,
                                                      args.size(), def.inputs.size()));
  if (depth_ == kMaxCallDepth)
    return Status(Code::kResourceExhausted, fmt::format("{}: calls nested deeper than {}", name_, kMaxCallDepth));
  Scope scope;
  scope.body = body;
  scope.args = std::move(args);
  scope.prefix = prefix;
  std::vector<int> roots;
  if (body->has_effect) {
    std::set<std::string_view> kept;
    for (const auto& [output, target] : def.control_ret) kept.insert(target);
    for (std::size_t i = 0; i < def.nodes.size(); ++i)
      if (body->effect[i] != 0 && (kept.empty() || kept.contains(def.nodes[i].name)))
        roots.push_back(static_cast<int>(i));
  }
  std::vector<Ref> outputs;
  for (const ArgDef& output : def.outputs) {
    const auto ret = def.ret.find(output.name);
    outputs.push_back(ret == def.ret.end() ? Ref() : body->Find(ret->second));
    const Ref& ref = outputs.back();
    if (ref.node < 0 && ref.arg < 0)
      return Status(Code::kInvalidArgument,
                    fmt::format("function {:?}: its output {:?} does not exist", function, output.name));
    if (ref.node >= 0) roots.push_back(ref.node);
  }
  ++depth_;
  const Status status = Evaluate(scope, roots);
  --depth_;
  TENON_RETURN_IF_ERROR(status);
  std::vector<Slot> results;
  for (const Ref& ref : outputs) results.push_back(Resolve(scope, ref));
  return results;
}

Status Translator::Spend(std::size_t bytes) {
  if (bytes > splat_budget_) return Status(Code::kResourceExhausted, name_ + ": its constants expand beyond 1 GiB");
  splat_budget_ -= bytes;
  return {};
}

Result<std::vector<Literal>> Translator::Shared(const std::string& key, std::size_t bytes,
                                                const std::function<Literals()>& make) {
  const auto known = shared_.find(key);
  if (known != shared_.end()) return known->second;
  TENON_RETURN_IF_ERROR(Spend(bytes));
  return shared_.emplace(key, make()).first->second;
}

void Translator::Report(const NodeDef& node, const Status& status) {
  if (!reported_.insert(node.op + '\n' + node.name).second) return;
  problems_.push_back({node.op, node.name, status.message(), status.message().empty()});
}

Status Translator::Problems() const {
  if (problems_.empty()) return {};
  std::map<std::string, std::vector<std::string>> unsupported;
  std::string details;
  Code code = Code::kUnimplemented;
  for (const Problem& problem : problems_) {
    if (problem.unsupported)
      unsupported[problem.op].push_back(problem.node);
    else
      details += fmt::format("{} {} (node {})", details.empty() ? "" : ";", problem.message, problem.node);
  }
  std::string text;
  for (const auto& [op, nodes] : unsupported) {
    text += fmt::format("{}{} (node{} {}", text.empty() ? "" : ", ", op, nodes.size() == 1 ? "" : "s", nodes[0]);
    for (std::size_t i = 1; i < nodes.size() && i < 3; ++i) text += ", " + nodes[i];
    text += nodes.size() > 3 ? fmt::format(" and {} more)", nodes.size() - 3) : ")";
  }
  std::string message = name_ + ": ";
  if (!text.empty()) message += fmt::format("{} ops have no translation: {}", unsupported.size(), text);
  if (!details.empty()) message += (text.empty() ? "cannot translate:" : "; and cannot translate:") + details;
  return Status(code, message);
}

}  // namespace tenon::savedmodel
