// eager::Evaluate: one op on values. A cached one-op function of the default backend, keyed by op, attributes, dtypes
// and dims; ops with sub-graphs and without tensors go to the reference.
#include <list>
#include <unordered_map>

#include "base/status_macros.h"
#include "base/threads.h"
#include "compiler/backend.h"
#include "eager/dispatch.h"
#include "ir/builder.h"
#include "ir/eval.h"

namespace tenon::eager {
namespace {

constexpr std::size_t kMaxCached = 4096;

struct Entry {
  const ir::OpDef* op;
  ir::Attrs attrs;
  std::vector<std::optional<ir::Type>> types;
  std::unique_ptr<runtime::CompiledFunction> function;  // null: the reference evaluates
  std::unique_ptr<runtime::Context> context;
  std::vector<Literal> in;
};

bool Same(const Entry& e, const ir::OpDef& op, std::span<const Literal* const> inputs, const ir::Attrs& attrs) {
  if (e.op != &op || e.types.size() != inputs.size()) return false;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (e.types[i].has_value() != (inputs[i] != nullptr)) return false;
    if (inputs[i] == nullptr) continue;
    if (e.types[i]->dtype() != inputs[i]->dtype() || e.types[i]->rank() != inputs[i]->rank()) return false;
    for (int k = 0; k < inputs[i]->rank(); ++k)
      if (e.types[i]->shape()[k].value() != inputs[i]->dims()[static_cast<std::size_t>(k)]) return false;
  }
  return e.attrs == attrs;
}

std::size_t Hash(const ir::OpDef& op, std::span<const Literal* const> inputs) {
  std::size_t h = std::hash<const void*>()(&op);
  const auto mix = [&](std::size_t v) { h = (h ^ v) * 0x9e3779b97f4a7c15ULL + (h >> 29); };
  for (const Literal* l : inputs) {
    if (l == nullptr) {
      mix(99);
      continue;
    }
    mix(static_cast<std::size_t>(l->dtype()));
    for (const std::int64_t d : l->dims()) mix(static_cast<std::size_t>(d) + 7);
  }
  return h;
}

Result<std::unique_ptr<Entry>> Compile(const ir::OpDef& op, std::span<const Literal* const> inputs,
                                       const ir::Attrs& attrs) {
  auto e = std::make_unique<Entry>(Entry{&op, attrs, {}, nullptr, nullptr, {}});
  for (const Literal* l : inputs) e->types.push_back(l == nullptr ? std::nullopt : std::optional(ir::Type::Of(*l)));
  ir::Graph graph;
  ir::Builder b(&graph);
  std::vector<ir::Value> values;
  for (std::size_t i = 0; i < inputs.size(); ++i)
    values.push_back(inputs[i] == nullptr ? ir::Value() : b.Input("input" + std::to_string(i), *e->types[i]));
  std::vector<ir::Value> outputs = b.AddAll(op, values, attrs);
  TENON_RETURN_IF_ERROR(b.status());
  // Dims that only the data decide, and strings: nothing to plan.
  for (const ir::Value v : outputs)
    if (!graph.type(v).is_static() || graph.type(v).dtype() == DType::kString) return e;
  for (const auto& type : e->types)
    if (type && type->dtype() == DType::kString) return e;
  graph.set_outputs(std::move(outputs));
  runtime::CompileOptions options;
  options.threads = base::DefaultThreads();
  TENON_ASSIGN_OR_RETURN(e->function, compiler::FindBackend("")->compile(graph, options));
  e->context = e->function->NewContext();
  return e;
}

}  // namespace

Result<std::vector<Literal>> Evaluate(const ir::OpDef& op, std::span<const Literal* const> inputs,
                                      const ir::Attrs& attrs) {
  // One cache a thread: no lock on the way of an eager op.
  thread_local std::unordered_map<std::size_t, std::list<std::unique_ptr<Entry>>> cache;
  thread_local std::size_t cached = 0;
  const std::size_t hash = Hash(op, inputs);
  Entry* entry = nullptr;
  if (!op.Is(ir::kControl)) {
    std::list<std::unique_ptr<Entry>>& bucket = cache[hash];
    for (const std::unique_ptr<Entry>& e : bucket)
      if (Same(*e, op, inputs, attrs)) entry = e.get();
    if (entry == nullptr) {
      TENON_ASSIGN_OR_RETURN(std::unique_ptr<Entry> made, Compile(op, inputs, attrs));
      if (cached++ >= kMaxCached) {
        cache.clear();
        cached = 1;
      }
      cache[hash].push_back(std::move(made));
      entry = cache[hash].back().get();
    }
  }
  if (entry != nullptr && entry->function != nullptr) {
    entry->in.clear();
    for (const Literal* l : inputs)
      if (l != nullptr) entry->in.push_back(*l);
    std::vector<Literal> out(entry->function->outputs().size());
    const Status status = entry->context->Run(entry->in, out);
    entry->in.clear();
    TENON_RETURN_IF_ERROR(status);
    return out;
  }
  std::vector<ir::Datum> data;
  std::vector<const ir::Datum*> pointers;
  data.reserve(inputs.size());
  for (const Literal* l : inputs) {
    data.push_back(l == nullptr ? ir::Datum() : ir::Datum(*l));
    pointers.push_back(l == nullptr ? nullptr : &data.back());
  }
  TENON_ASSIGN_OR_RETURN(std::vector<ir::Datum> results, ir::EvalOp(op, pointers, attrs));
  std::vector<Literal> out;
  for (ir::Datum& d : results) {
    if (d.kind != ir::Type::Kind::kTensor)
      return Status(Code::kUnimplemented, std::string(op.name) + ": gives a " + d.type().to_string() +
                                              ", which has no eager form; use it inside a function");
    out.push_back(*std::move(d.tensor));
  }
  return out;
}

}  // namespace tenon::eager
