// MetaGraph -> Module. Bodies are evaluated on demand from the outputs of a signature; calls are inlined; the state of
// variables is followed from write to read, so that an assign becomes a new value.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "formats/savedmodel/bundle.h"
#include "formats/savedmodel/graph_def.h"
#include "formats/savedmodel/savedmodel.h"
#include "formats/savedmodel/scope.h"
#include "ir/builder.h"
#include "ir/module.h"

namespace tenon::savedmodel {

/// A variable or table of the model.
struct Cell {
  enum class Kind { kVariable, kTable };
  Kind kind = Kind::kVariable;
  std::string name;  // shared_name, or the node's
  const NodeDef* node = nullptr;
  TfType dtype = TfType::kInvalid;
  TfShape shape;
  std::string key, spec;  // where the checkpoint has it; empty while unknown
  int object = -1;        // in the object graph
  ir::VariablePtr variable;
  std::optional<Literal> keys, values;  // of a table that was filled
};

/// A graph that is being built: a signature's, or the body of a branch or loop inside one.
struct Building {
  ir::Graph* graph = nullptr;
  Building* parent = nullptr;
  std::map<int, ir::Value> current;  // the present value of each cell that was read or written
  std::vector<int> reads;            // cells in order of their graph inputs (of captures, in a body)
  std::vector<int> writes;           // cells in order of their first write
  bool restoring = false;            // walking the restore graph: assigns record where the checkpoint has a cell
};

struct Problem {
  std::string op, node, message;
  bool unsupported = false;
};

/// A loop: variables with their first values; condition and body take the present ones.
struct LoopSpec {
  using Slots = std::vector<Slot>;
  Slots variables;
  std::vector<bool> constant;  // those that the body gives back as they are
  std::vector<std::string> names;
  std::function<Result<Slot>(Slots)> condition;
  std::function<Result<Slots>(Slots)> body;
};

class Translator {
 public:
  /// `owner` keeps the views in `meta` alive; `name` starts the messages.
  Translator(const MetaGraph& meta, const BundleReader* bundle, std::shared_ptr<const void> owner, std::string name)
      : meta_(meta), bundle_(bundle), owner_(std::move(owner)), name_(std::move(name)), library_(meta.graph) {}

  Result<ir::Module> Run();
  /// Before Run: LoadOptions::ranks_of and input_ranks.
  void SetRanks(std::string signature, std::map<std::string, int> ranks) {
    ranks_of_ = std::move(signature);
    input_ranks_ = std::move(ranks);
  }
  /// A frozen graph: one function of the given tensors.
  Result<ir::Module> RunGraph(const LoadOptions& options);

  // For the rules.

  /// Translates a call; `prefix` is put before the names of its values.
  Result<std::vector<Slot>> Call(const std::string& function, std::vector<Slot> args, const std::string& prefix);
  /// Builds a while_loop; gives the last values of the variables.
  Result<std::vector<Slot>> Loop(LoopSpec spec);
  /// Builds a cond over functions of `args`; a predicate that is known now chooses one of them.
  using BranchFn = std::function<Result<std::vector<Slot>>(std::vector<Slot>)>;
  Result<std::vector<Slot>> Branch(ir::Value predicate, std::vector<Slot> args, const BranchFn& yes,
                                   const BranchFn& no);
  /// The cell of a VarHandleOp, VariableV2 or table node of the main graph or a function.
  int CellOf(const NodeDef& node, Cell::Kind kind);
  /// The cell of the state u64[2] that stateful random ops draw from and move on.
  int RandomCell();
  Cell& cell(int id) { return cells_[static_cast<std::size_t>(id)]; }
  /// The present value of a variable; invalid (and a status) when it has none.
  Result<ir::Value> Read(int cell);
  void Write(int cell, ir::Value value);
  Building& building() { return *building_; }
  void set_building(Building* building) { building_ = building; }
  const std::shared_ptr<const void>& owner() const { return owner_; }
  const MetaGraph& meta() const { return meta_; }
  Library& library() { return library_; }
  /// A tensor of the checkpoint.
  std::optional<Literal> Restored(const std::string& key) const;
  /// Bytes of repeated values may still be expanded; kResourceExhausted when used up.
  Status Spend(std::size_t bytes);
  /// Constants that nodes share: what `make` gives at the first call with this key. Their `bytes` are spent before it.
  using Literals = std::vector<Literal>;
  Result<Literals> Shared(const std::string& key, std::size_t bytes, const std::function<Literals()>& make);

 private:
  struct Inside;
  Status Evaluate(Scope& scope, const std::vector<int>& nodes);
  Status TranslateFrame(Scope& scope, int exit);
  /// What runs inside a body of its own, as a trial: problems are forgotten.
  Status Try(const std::function<Status()>& run);
  Status TranslateNode(Scope& scope, int id);
  Slot Resolve(const Scope& scope, const Ref& ref) const;
  Result<Slot> Fetch(Scope& scope, const std::string& tensor);
  /// An input or output of a function: the name that users see, and the tensor.
  using Ports = std::vector<std::pair<std::string, TensorInfo>>;
  Result<ir::Function> Function(const std::string& name, const Ports& inputs, const Ports& outputs);
  Result<ir::Type> InputType(const std::string& name, const TensorInfo& info, std::set<std::string>* symbols);
  Status FindRestored();  // cell keys from the restore graph
  Status FindTables();    // their content, from the initialiser
  /// Evaluates a node of the main graph in a graph that is thrown away, so that its assigns are recorded.
  Status Record(ir::Graph& graph, int node, std::unordered_map<std::int64_t, Slot> fed);
  void FindObjects();  // cells <-> objects, from the bound inputs of concrete functions
  Status FindKeys();   // cell keys from the two object graphs
  Result<ir::VariablePtr> Variable(int cell);
  Result<Literal> InitialValue(const Cell& cell);
  void Report(const NodeDef& node, const Status& status);
  Status Problems() const;

  std::string ranks_of_;
  std::map<std::string, int> input_ranks_;
  const MetaGraph& meta_;
  const BundleReader* bundle_;
  std::shared_ptr<const void> owner_;
  std::string name_;
  Library library_;
  std::vector<Cell> cells_;
  std::map<std::string, int, std::less<>> cell_by_name_;
  Building* building_ = nullptr;
  std::vector<Problem> problems_;
  std::set<std::string> reported_;  // op and node of each problem
  std::set<std::string> paths_;     // of variables
  int random_cell_ = -1;
  std::int64_t translated_ = 0;  // nodes read and nodes made, to bound what calls of calls expand to
  std::map<std::string, Literals> shared_;
  std::size_t splat_budget_ = std::size_t{1} << 30;
  int depth_ = 0;
};

/// The value of a slice "10 4 0,3:-" (full shape, then start,length or - for each dim) of a tensor.
Result<Literal> CutSlice(const Literal& whole, std::string_view spec, const std::string& what);

}  // namespace tenon::savedmodel
