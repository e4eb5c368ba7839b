// Traces: run C++ code with symbolic Tensors, then linearise what it built into a Graph.
#pragma once
#include <functional>
#include <vector>

#include "eager/node.h"
#include "ir/module.h"
#include "ir/variable.h"
#include "tenon/tensor.h"

namespace tenon::eager {

/// One scope of tracing on this thread, from construction to destruction. The outermost one owns the variables' state:
/// reads give symbols, assigns replace them. Inner ones (bodies of control flow) read through the outer one.
class Trace {
 public:
  Trace();
  ~Trace();
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;
  static Trace* Current();  // the innermost, or null

  /// Ends the scope early; Finish and FinishBody may still be called.
  void Close();

  std::int64_t scope() const { return scope_; }
  Tensor Input(ir::Type type, std::string name);  // a symbolic input of this trace, in order
  Tensor Read(const ir::VariablePtr& cell);
  void Assign(const ir::VariablePtr& cell, const Tensor& value);

  /// The graph of `outputs`: inputs are this trace's Input()s in order, then one for each variable read; outputs are
  /// `outputs`, then the new values of assigned variables. Outermost only.
  struct Traced {
    ir::Graph graph;
    std::vector<ir::VariablePtr> reads;
    std::vector<ir::VariablePtr> writes;
  };
  Result<Traced> Finish(std::span<const Tensor> outputs);
  /// A closed sub-graph: inputs are this trace's Input()s, then the captured outer Tensors, which `captures` receives.
  /// Pass the captures of an earlier body to share one list (cond's branches).
  Result<ir::GraphPtr> FinishBody(std::span<const Tensor> outputs, std::vector<Tensor>* captures);

 private:
  struct State {
    ir::VariablePtr cell;
    Tensor read;     // the input symbol
    Tensor current;  // the latest value
    bool assigned = false;
  };
  State& StateOf(const ir::VariablePtr& cell);
  Trace* outer_;
  std::int64_t scope_;
  bool open_ = true;
  std::vector<Tensor> inputs_;
  std::vector<State> states_;
};

/// Suspends tracing on this thread: creating a Variable runs its initializer eagerly.
class SuspendTrace {
 public:
  SuspendTrace();
  ~SuspendTrace();

 private:
  Trace* saved_;
};

/// Appends what produces `outputs` to `graph`. `known` maps Tensors (by node) to values of the graph; an eager Tensor
/// becomes a constant; a symbolic one without a call that is not known is passed to `capture`.
Result<std::vector<ir::Value>> Linearize(ir::Graph& graph, std::span<const Tensor> outputs,
                                         std::unordered_map<const Node*, ir::Value>& known,
                                         const std::function<bool(const Tensor&)>& is_foreign,
                                         const std::function<Result<ir::Value>(const Tensor&)>& capture);

}  // namespace tenon::eager
