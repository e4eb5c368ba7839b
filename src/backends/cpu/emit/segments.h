// SegmentInterpreter: runs a graph that cannot be planned as a whole (shapes that depend on data, sequences, strings),
// piece by piece. At each point everything that follows from dims that are known now is one graph of static shapes,
// compiled like any other; the nodes between the pieces run on the reference evaluation. Where no piece of a run was
// worth compiling, later runs with the same input dims do not look for pieces any more.
#pragma once
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "backends/cpu/emit/segment_cache.h"
#include "ir/eval.h"
#include "ir/graph.h"
#include "runtime/planned.h"

namespace tenon::cpu {

class Bodies;

class SegmentInterpreter : public runtime::Interpreter {
 public:
  /// `packing` may be null.
  SegmentInterpreter(ir::Graph graph, const runtime::CompileOptions& options,
                     std::shared_ptr<Packing> packing = nullptr);
  ~SegmentInterpreter() override;
  /// One run on values of any kind. Any thread.
  Result<std::vector<ir::Datum>> RunValues(std::vector<ir::Datum> inputs) const;
  Status Run(std::span<Literal> inputs, std::span<Literal> outputs) const override;
  std::string Explain() const override;

 private:
  struct Pass;  // one run
  void AlignConstants();
  bool Grow(Pass& pass, std::int32_t id) const;
  Status RunSegment(Pass& pass) const;
  Status RunSingly(Pass& pass, bool* progress) const;
  Status RunAll(Pass& pass) const;

  ir::Graph graph_;
  Status invalid_;  // what was wrong with the graph
  runtime::CompileOptions options_;
  mutable SegmentCache compiled_;
  std::unique_ptr<const Bodies> bodies_;
  std::vector<std::vector<std::int32_t>> readers_;  // by node
  mutable std::mutex mutex_;
  mutable std::unordered_map<std::string, bool> light_;  // by input dims: no piece is worth compiling
};

/// What inference may know of a value that is there.
ir::Output KnownOf(const ir::Datum& value);

}  // namespace tenon::cpu
