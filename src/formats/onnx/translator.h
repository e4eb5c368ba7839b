// The walk over graphs that node translations stand in: names, frames, captures, folding, errors.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "formats/onnx/dims.h"
#include "formats/onnx/node_context.h"
#include "formats/onnx/tensor.h"
#include "formats/onnx/translate.h"
#include "ir/module.h"

namespace tenon::onnx {

/// One closed ir::Graph under construction. What it reads of the frame around it becomes an input (or a copy, for
/// constants), in the order of first use.
struct Frame {
  Frame* outer = nullptr;
  ir::Graph graph;
  std::vector<Value> captured;                                      // values of `outer`
  std::unordered_map<Value, Value, ir::ValueHash> from_outer = {};  // captures and copied constants
  std::unordered_map<Value, Value, ir::ValueHash> to_outer = {};    // the reverse
};

/// The names of one ONNX graph or function body. A function's body sees no names but its own.
struct Scope {
  Frame* frame = nullptr;
  const Scope* outer = nullptr;
  const std::vector<OperatorSetId>* imports = nullptr;
  const std::map<std::string_view, const Attribute*>* attributes = nullptr;  // of the function call
  std::string prefix = {};  // of the names of values: the calls that lead to a function's body, "y/"
  std::unordered_map<std::string_view, Value> values = {};  // invalid: its node failed
  const Graph* declared = nullptr;                          // says what it knows of its values' types
};

/// A sub-graph whose inputs are bound and whose nodes are translated; not yet closed.
struct Body {
  std::unique_ptr<Frame> frame;
  std::vector<Value> outputs;
};

class Translator {
 public:
  Translator(const Model& model, const TranslateOptions& options);
  Result<ir::Module> Run();

  /// Translates a sub-graph attribute of a node in `scope`. Its inputs get these types and symbolic values.
  /// kCancelled when a node of it failed (which has been noted already).
  Result<Body> TranslateBody(const Graph& graph, const Scope& scope, std::vector<ir::Output> inputs);
  /// Translates a sub-graph without inputs into the frame of `scope`, as if its nodes stood there.
  Result<std::vector<Value>> Inline(const Graph& graph, const Scope& scope);
  /// Gives all bodies the same captures, in the same order, behind their own inputs; returns them as values of the
  /// frame around.
  static std::vector<Value> UniteCaptures(const std::vector<Body*>& bodies);
  /// The finished graph.
  static ir::GraphPtr Close(Body body, std::vector<Value> outputs);

  /// A constant's literal; looks through the value's node only.
  static std::optional<Literal> ConstantOf(const ir::Graph& graph, Value v);
  /// Evaluates what the nodes from `first` on compute of constants, as long as it is small.
  void Fold(ir::Graph& graph, std::int32_t first, std::vector<Value>* values) const;
  /// A state u64[2] for one random operator, a stream of its own, in the frame of `scope`.
  Result<Value> RandomState(const Scope& scope);
  /// The keys of a map, which its values stand for (ops/ml_map.cc); invalid when `v` is none. A sub-graph may capture
  /// maps; it makes none.
  Value KeysOf(const Scope& scope, Value v) const;
  TensorReader& reader() { return reader_; }
  DimReader& dims() { return dims_; }
  const Model& model() const { return model_; }

 private:
  struct Lookup {
    bool found = false;
    Value value;
  };
  Lookup Find(const Scope& scope, std::string_view name) const;
  Value Import(Frame& frame, Value outer) const;
  /// The same through all frames between.
  Value ImportFrom(Frame& frame, const Frame& outermost, Value v) const;
  Status AddInitializers(const Graph& graph, Scope* scope, bool outermost);
  /// The name of an input or output; of a map two, NAME.keys and NAME.values.
  static void AddNames(const std::string& name, bool is_map, std::vector<std::string>* names);
  Status AddInputs(const Graph& graph, Scope* scope, ir::Function* function);
  void TranslateNodes(const std::vector<Node>& nodes, Scope* scope);
  Status TranslateNode(const Node& node, Scope* scope);
  Status CallFunction(const Function& function, const Node& node, const std::vector<Value>& inputs, Scope* scope);
  /// v, or the same value with the rank that the graph declares for that name where none is known; the run checks it.
  Value WithDeclaredRank(Value v, std::string_view name, Scope* scope) const;
  void SetOutputs(const Node& node, const std::vector<Value>& values, Scope* scope);
  const Function* FindFunction(const Node& node) const;
  Status CheckExpansion() const;
  Status Errors() const;

  const Model& model_;
  const TranslateOptions& options_;
  std::string where_;
  TensorReader reader_;
  DimReader dims_;
  std::vector<Status> errors_;
  ir::Module module_;
  std::vector<std::pair<std::string, bool>> variables_;  // path, trainable
  Frame* outermost_ = nullptr;
  std::unordered_map<Value, Value, ir::ValueHash> maps_;  // values -> keys, in the outermost frame
  Value random_state_;                                    // in the outermost frame; invalid as long as nobody draws
  std::int64_t random_streams_ = 0;
};

}  // namespace tenon::onnx
