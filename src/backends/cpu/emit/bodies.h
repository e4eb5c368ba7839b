// Bodies: runs control ops whose sub-graphs no plan can hold (shapes that depend on data, or change from step to step,
// sequences). The op's own evaluation loops; each body runs in segments, as a main graph does.
#pragma once
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "backends/cpu/emit/segments.h"
#include "ir/eval.h"

namespace tenon::cpu {

/// Belongs to whoever holds the ops' attributes (bodies are known by their addresses). Any thread.
class Bodies {
 public:
  Bodies(const runtime::CompileOptions& options, std::shared_ptr<Packing> packing)
      : options_(options), packing_(std::move(packing)) {}
  /// As ir::EvalOp, for an op that holds sub-graphs.
  Result<std::vector<ir::Datum>> Eval(const ir::OpDef& op, std::span<const ir::Datum* const> inputs,
                                      ir::Attrs attrs) const;

 private:
  Result<std::vector<ir::Datum>> Run(const ir::Graph& body, std::vector<ir::Datum> inputs) const;

  runtime::CompileOptions options_;
  std::shared_ptr<Packing> packing_;
  mutable std::mutex mutex_;
  mutable std::unordered_map<const ir::Graph*, std::shared_ptr<const SegmentInterpreter>> interpreters_;
};

}  // namespace tenon::cpu
