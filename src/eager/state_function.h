// StateFunction: a traced function with the Variables that it reads and writes, compiled. What tenon::function, fit and
// the Module's executables run.
#pragma once
#include <memory>
#include <mutex>
#include <vector>

#include "eager/trace.h"

namespace tenon::runtime {
class CompiledFunction;
class Context;
}  // namespace tenon::runtime

namespace tenon::eager {

struct StateFunctionOptions {
  int threads = 0;           // 0: what the cgroup grants
  std::string backend = {};  // "": the default
};

/// Any thread; calls that write Variables wait for each other, others run at once. Written Variables are updated in
/// place when nobody else holds their storage.
class StateFunction {
 public:
  static Result<std::shared_ptr<StateFunction>> Make(Trace::Traced traced, const StateFunctionOptions& options = {});
  /// One Literal per user input; gives the user outputs. Variables get their new values also when there are no outputs.
  /// After an error the written Variables may hold partial results only if the op failed half-way.
  Result<std::vector<Literal>> Run(std::vector<Literal> inputs);
  /// The trainable flags of the variables it reads are as they were when it was traced.
  bool UpToDate() const;
  const ir::Graph& graph() const { return graph_; }
  const std::vector<ir::VariablePtr>& reads() const { return reads_; }
  const std::vector<ir::VariablePtr>& writes() const { return writes_; }
  std::string Explain() const;
  ~StateFunction();

 private:
  StateFunction();
  ir::Graph graph_;
  std::vector<ir::VariablePtr> reads_, writes_;
  std::vector<bool> trainable_;
  std::vector<int> read_of_write_;  // index into reads_ of each written variable
  std::vector<int> write_order_;    // by address, so that two functions lock cells in one order
  std::size_t num_inputs_ = 0, num_outputs_ = 0;
  std::unique_ptr<runtime::CompiledFunction> compiled_;
  std::mutex mutex_;  // one writing call at a time: guards the members below
  std::unique_ptr<runtime::Context> context_;
  std::vector<Literal> in_, out_;
};

}  // namespace tenon::eager
