// Graph -> FunctionDef. A BodyWriter collects the nodes of one function; rules (ops/write_*.cc) turn one node of ours
// into nodes of TensorFlow.
#pragma once
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/savedmodel/graph_def.h"
#include "ir/builder.h"
#include "ir/graph.h"

namespace tenon::savedmodel {

// Attribute values.
AttrValue TypeAttr(DType dtype);
AttrValue TypeAttr(TfType type);
AttrValue IntAttr(std::int64_t value);
AttrValue BoolAttr(bool value);
AttrValue FloatAttr(double value);
AttrValue StringAttr(std::string_view value);
AttrValue IntsAttr(std::vector<std::int64_t> values);
AttrValue TypesAttr(std::vector<TfType> types);
AttrValue ShapeAttr(TfShape shape);
AttrValue ShapesAttr(std::vector<TfShape> shapes);
AttrValue FuncAttr(const std::string& name);
AttrValue TensorAttr(Literal value);

/// -1 for symbolic dims; unknown rank where the type has none.
TfShape ShapeOfType(const ir::Type& type);

/// Makes names of nodes ([A-Za-z0-9.][A-Za-z0-9_.\-/>]*) or of arguments ([a-z][a-z0-9_]*), each once.
class Namer {
 public:
  std::string Node(std::string_view wanted);
  std::string Argument(std::string_view wanted);

 private:
  std::string Unique(std::string name);
  std::map<std::string, int> taken_;
};

/// Functions that a module is written to; bodies of branches and loops are added by their rules.
struct Functions {
  std::vector<FunctionDef> defs;
  Namer names;
};

/// The nodes of one function. Values are strings as functions spell them: "argument" or "node:output:k".
class BodyWriter {
 public:
  BodyWriter(FunctionDef* function, Functions* library, Namer* nodes)
      : functions(library), function_(function), nodes_(nodes) {}
  Functions* functions;

  /// Adds a node; gives its name. `wanted` is its name where that is free.
  std::string Node(std::string_view op, std::vector<std::string> inputs, Attrs attrs, std::string_view wanted = {});
  /// The same; gives output 0 of the op's (only or first) output argument.
  std::string Emit(std::string_view op, std::vector<std::string> inputs, Attrs attrs, std::string_view wanted = {});
  std::string Const(Literal value, std::string_view wanted = {});
  std::string Ints(const std::vector<std::int64_t>& values);  // an i32 vector; i64 when one does not fit
  std::string Int(std::int64_t value);                        // an i32 scalar
  std::string Scalar(double value, DType dtype);

  /// A dim as an i32 scalar; symbols come from the shapes of values written so far.
  Result<std::string> DimScalar(const Dim& dim);
  /// Dims as an i32 vector.
  Result<std::string> ShapeVector(const Shape& dims);
  /// From now on the dims of `value` can be asked for.
  void Known(const ir::Type& type, const std::string& value);

 private:
  friend class DimWriter;
  /// The dim of that text from the shape of the value that has it; kUnimplemented when none has.
  Result<std::string> FromShape(const std::string& text);
  FunctionDef* function_;
  Namer* nodes_;
  std::map<std::string, std::pair<std::string, int>> sources_;  // a dim's text -> value and axis
  std::map<std::string, std::string> shapes_, dims_;            // already emitted
  std::map<std::string, TfType> types_;                         // of values in sources_
};

/// What a write rule sees: one node of the graph.
class WriteContext {
 public:
  WriteContext(BodyWriter& writer, const ir::Graph& body, std::int32_t id, std::map<ir::Value, std::string>& values)
      : w(writer), graph(body), node(body.node(id)), id_(id), values_(values) {}
  BodyWriter& w;
  const ir::Graph& graph;
  const ir::Node& node;

  int size() const { return static_cast<int>(node.inputs.size()); }
  bool has(int i) const { return i < size() && node.inputs[static_cast<std::size_t>(i)].valid(); }
  std::string in(int i) const { return values_.at(node.inputs[static_cast<std::size_t>(i)]); }
  std::vector<std::string> ins() const;
  const ir::Type& type(int i = 0) const { return graph.type(node.inputs[static_cast<std::size_t>(i)]); }
  DType dtype(int i = 0) const { return type(i).dtype(); }
  const Shape& shape(int i = 0) const { return type(i).shape(); }
  int rank(int i = 0) const { return type(i).rank(); }
  const ir::Type& out_type(int k = 0) const { return node.outputs[static_cast<std::size_t>(k)].type; }
  const ir::Attrs& attrs() const { return node.attrs; }
  /// The name of the node that makes output 0.
  const std::string& name() const { return node.outputs[0].record.name; }
  /// The constant on input i, or null.
  const Literal* constant(int i) const;
  void Set(int k, std::string value) { values_[{id_, k}] = std::move(value); }
  void Set(std::string value) { Set(0, std::move(value)); }
  Status Unsupported(std::string_view what) const;

 private:
  std::int32_t id_;
  std::map<ir::Value, std::string>& values_;
};

struct WriteRule {
  std::string_view op;
  Status (*write)(WriteContext& c);
  /// Whether the rule can write this node; null: always. Otherwise the node is lowered.
  bool (*can)(const ir::Graph& graph, const ir::Node& node) = nullptr;
};
std::span<const WriteRule> WriteElementwiseRules();
std::span<const WriteRule> WriteArrayRules();
std::span<const WriteRule> WriteConvRules();
std::span<const WriteRule> WriteReduceRules();
std::span<const WriteRule> WriteControlRules();
const WriteRule* FindWriteRule(std::string_view op);

/// The same function with every node that no rule can write lowered, as often as it takes. Names of what has neither
/// rule nor lowering are added to `missing`.
Result<ir::Graph> LowerForWriting(const ir::Graph& graph, std::set<std::string>* missing);

/// Writes all nodes of the graph; `inputs` are the values of its inputs. Gives the values of its outputs. What cannot
/// be written is added to `problems`, all of it.
Result<std::vector<std::string>> WriteBody(BodyWriter& writer, const ir::Graph& graph,
                                           const std::vector<std::string>& inputs, std::vector<std::string>* problems);

}  // namespace tenon::savedmodel
