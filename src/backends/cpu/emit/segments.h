// SegmentInterpreter: runs a graph that cannot be planned as a whole (shapes that depend on data, sequences, strings),
// piece by piece. At each point everything that follows from dims that are known now is one graph of static shapes,
// compiled like any other; the nodes between the pieces run on the reference evaluation.
#pragma once
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "ir/eval.h"
#include "ir/graph.h"
#include "runtime/planned.h"

namespace tenon::cpu {

class SegmentInterpreter : public runtime::Interpreter {
 public:
  SegmentInterpreter(ir::Graph graph, const runtime::CompileOptions& options);
  Status Run(std::span<Literal> inputs, std::span<Literal> outputs) const override;
  std::string Explain() const override;

 private:
  struct Pass;  // one run
  struct Compiled {
    std::string key;
    std::shared_ptr<const runtime::CompiledFunction> function;
  };
  bool Grow(Pass& pass, std::int32_t id) const;
  Status RunSegment(Pass& pass) const;
  Status RunSingly(Pass& pass, bool* progress) const;
  Result<std::shared_ptr<const runtime::CompiledFunction>> Find(const std::string& key, const ir::Graph& segment) const;

  ir::Graph graph_;
  runtime::CompileOptions options_;
  std::vector<std::vector<std::int32_t>> readers_;  // by node
  mutable std::mutex mutex_;
  mutable std::list<Compiled> compiled_;  // most recently used first
};

}  // namespace tenon::cpu
