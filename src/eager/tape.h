// Tapes: what GradientTape records.
#pragma once
#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "eager/node.h"
#include "ir/variable.h"
#include "tenon/function.h"

namespace tenon::eager {

class Tape {
 public:
  explicit Tape(GradientTapeOptions options) : options_(options) {}
  struct Entry {
    const ir::OpDef* op;
    ir::Attrs attrs;
    std::vector<Tensor> inputs, outputs;
  };
  bool recording() const { return recording_; }
  bool Watches(const Tensor& t) const { return t.defined() && watched_.contains(t.node().get()); }
  void Watch(const Tensor& t);
  /// A variable was read as `value`.
  void Read(const ir::VariablePtr& cell, const Tensor& value);
  void Record(const ir::OpDef& op, const ir::Attrs& attrs, std::span<const Tensor> inputs,
              std::span<const Tensor> outputs);
  /// The gradients of sum(target) for groups of sources (a variable may have been read several times: its reads add
  /// up).
  std::vector<Tensor> Gradient(const Tensor& target, const std::vector<std::vector<Tensor>>& sources);
  std::vector<Tensor> ReadsOf(const ir::VariablePtr& cell) const;

 private:
  GradientTapeOptions options_;
  bool recording_ = true, used_ = false;
  std::vector<Entry> entries_;
  std::vector<Tensor> kept_;  // keeps watched nodes alive, so that their addresses stay theirs
  std::unordered_set<const Node*> watched_;
  std::unordered_map<const ir::VariableCell*, std::vector<Tensor>> reads_;
};

/// This thread's active tapes, outermost first.
std::vector<Tape*>& ActiveTapes();

}  // namespace tenon::eager
