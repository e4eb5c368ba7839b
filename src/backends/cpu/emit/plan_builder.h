// PlanBuilder: from a static graph, after all passes, to a Plan. Values get buffers, nodes get steps.
#pragma once
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "ir/graph.h"
#include "ir/op_def.h"
#include "runtime/executable.h"
#include "runtime/plan.h"

namespace tenon::cpu {

using ir::Value;
using runtime::BufferId;

/// Constants in the layouts that kernels want, shared by the plans of one function. Not thread-safe: plans are made
/// under the function's lock.
class PackedConstants {
 public:
  /// The constant `data` in the layout that `key` describes; `pack` makes it when it is not there.
  template <class F>
  Buffer Get(const Buffer& data, const std::string& key, F pack) {
    for (const Entry& e : entries_)
      if (e.data.data() == data.data() && e.data.size() == data.size() && e.key == key) return e.packed;
    entries_.push_back({data, key, pack()});
    return entries_.back().packed;
  }
  /// Memory that lives as long as the buffer, not zeroed, of a few large pieces (fewer page faults than one by one).
  /// `address` may be written until the buffer is used.
  Buffer Allocate(std::size_t bytes, std::byte** address);

 private:
  std::shared_ptr<Buffer> piece_;
  std::size_t used_ = 0, next_ = std::size_t{256} << 10;
  struct Entry {
    Buffer data;  // keeps the address from being used again
    std::string key;
    Buffer packed;
  };
  std::vector<Entry> entries_;
};

class PlanBuilder {
 public:
  /// `packed` may be null.
  PlanBuilder(const ir::Graph& graph, const runtime::CompileOptions& options, PackedConstants* packed)
      : graph_(graph), options_(options), packed_(packed) {}
  Result<std::unique_ptr<runtime::Plan>> Build();

  // ---- for kernels ----
  const ir::Graph& graph() const { return graph_; }
  int threads() const { return options_.threads; }
  const runtime::CompileOptions& options() const { return options_; }
  PackedConstants* packed() const { return packed_; }
  /// Constants may be kept in a second layout: not those of a graph whose weights are so large that a copy of them
  /// costs more than packing them at each call (they stay in the mapped file, shared by all that map it).
  bool MayPack() const { return may_pack_; }
  std::vector<std::int64_t> dims(Value v) const { return graph_.type(v).shape().values(); }
  DType dtype(Value v) const { return graph_.type(v).dtype(); }
  std::int64_t elements(Value v) const { return graph_.type(v).shape().size().value(); }
  /// The literal of a value that is a constant (seen through views that keep its elements), or null.
  const Literal* ConstantOf(Value v) const;
  /// The buffer that holds a value that has been computed.
  BufferId In(Value v);
  /// The same, but a constant may stand at any address (tensor/aligned.h).
  BufferId InBytes(Value v);
  /// The buffer that the node's step is to fill. It may be that of a donated input.
  BufferId Out(Value v);
  /// Before Out(v): v was to be written over a donated input, but this step cannot write over what it reads. It goes to
  /// a buffer of its own and is copied at the end.
  void KeepApart(Value v);
  /// Out(v) will be the buffer of this value too (a donated input that the step reads).
  bool OverlaysInput(Value out, Value in) const;
  BufferId Scratch(std::size_t bytes);
  BufferId Constant(Buffer data) { return plan_->AddConstant(std::move(data)); }
  void Add(std::unique_ptr<runtime::Step> step) { plan_->steps.push_back(std::move(step)); }

 private:
  BufferId Get(Value v, bool aligned);
  Value Root(Value v) const;
  void FindOutputs();
  std::vector<bool> Needed() const;
  std::vector<std::int32_t> Schedule();
  Status FinishOutputs();

  const ir::Graph& graph_;
  const runtime::CompileOptions& options_;
  PackedConstants* packed_;
  std::unique_ptr<runtime::Plan> plan_;
  bool may_pack_ = true;
  std::unordered_map<Value, BufferId, ir::ValueHash> buffer_;    // by root
  std::unordered_map<Value, BufferId, ir::ValueHash> bytes_;     // of constants that are not aligned, by root
  std::unordered_map<Value, int, ir::ValueHash> direct_output_;  // root -> output that it is written to
  std::unordered_map<Value, int, ir::ValueHash> donated_input_;  // root -> input over which it is written
  std::vector<int> donor_;                                       // by output: donated input or -1
  std::unordered_map<Value, int, ir::ValueHash> input_number_;
};

/// A kernel makes steps for a node. It declines by saying why not.
struct Kernel {
  std::string_view op;
  std::string_view name;
  /// Empty: steps have been added. Otherwise the reason why this kernel does not apply.
  Result<std::string> (*emit)(PlanBuilder& b, std::int32_t node);
};
/// Ordered: for one op, the first that applies is taken. The reference stands behind them all.
std::span<const Kernel> Kernels();
/// Some kernel is there for this op, so a composite need not be lowered.
bool HasKernel(std::string_view op);
/// Input i of the node counts by its dims only (x_like): it may never be computed.
bool ShapeOnly(const ir::Node& node, std::size_t i);
/// A value of this op is its first input's memory under other dims.
bool IsView(const ir::Node& node);

}  // namespace tenon::cpu
