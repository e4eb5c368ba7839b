// The walk that writers of single ops (export/*.cc) stand in.
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/status_macros.h"
#include "formats/onnx/export.h"
#include "ir/graph.h"
#include "ir/op_def.h"

namespace tenon::onnx {

using Ints = std::vector<std::int64_t>;
using Names = std::vector<std::string>;

/// Attributes of a node to be written.
Attribute FloatAttribute(std::string name, double value);
Attribute IntAttribute(std::string name, std::int64_t value);
Attribute IntsAttribute(std::string name, Ints value);
Attribute StringAttribute(std::string name, std::string value);
Attribute GraphAttribute(std::string name, Graph value);

/// What is known of the values of one ir::Graph while it is written: their names in the file.
struct Env {
  const ir::Graph* graph = nullptr;
  std::unordered_map<ir::Value, std::string, ir::ValueHash> names = {};
  /// The same values with their last axis moved behind the first, where one is at hand.
  std::unordered_map<ir::Value, std::string, ir::ValueHash> channels_first = {};
};

class OpWriter;

/// One op of ours that ONNX writes in its own way.
struct ExportRow {
  std::string_view op;
  int since;  // the opset from which on
  Status (*write)(OpWriter& w);
  std::string_view theirs = {};  // for writers that several rows share
};
std::span<const std::span<const ExportRow>> ExportFamilies();

class Exporter {
 public:
  Exporter(const ir::Module& module, const ExportOptions& options) : module_(module), options_(options) {}
  Result<Model> Run();

  std::int64_t opset() const { return options_.opset; }
  /// A name that no value has yet, made from `wish`.
  std::string Fresh(std::string wish);
  /// Appends a node to the present graph; "ai.onnx.ml::X" is X of that domain (com.microsoft likewise). Empty output
  /// names are made up; gives the first.
  std::string Emit(std::string op_type, Names inputs, std::vector<Attribute> attributes = {}, Names outputs = {});
  /// The same; gives all outputs. `partial`: those without a name are not made.
  Names EmitAll(std::string op_type, Names inputs, std::vector<Attribute> attributes, Names outputs,
                bool partial = false);
  /// An initializer of the present graph; equal small ones are shared.
  std::string Constant(Literal value, std::string wish = "constant");
  /// The literal behind the name of an initializer, else nullptr.
  const Literal* Initializer(const std::string& name) const;

  /// The name of a value; constants are written at their first use. Empty for an absent one.
  std::string Name(Env& env, ir::Value v);
  /// Writes all nodes of a graph into the present one.
  void WriteNodes(Env& env);
  /// Writes a closed sub-graph in place: `inputs` are the names for its inputs; gives those of its outputs.
  Names InlineGraph(const ir::Graph& graph, const Names& inputs);
  /// Writes an op through its lowering, in place of `node`.
  Status WriteLowered(Env& env, std::int32_t id);
  /// The value with its axes reordered; an initializer is stored so.
  std::string Transposed(const std::string& name, const Ints& permutation);
  /// A channels-last value with its channels first.
  std::string ChannelsFirst(Env& env, ir::Value v);
  /// `name` holds v with channels first; `as_declared` becomes v itself.
  void SetChannelsFirst(Env& env, ir::Value v, std::string name, const std::string& as_declared);
  /// The value is the state of draws without a seed, or a stream of it.
  bool IsRandomState(Env& env, ir::Value v);
  /// Starts a new inner graph and ends it.
  void Push() { stack_.emplace_back(); }
  Graph Pop();

  /// A run-time i64 scalar (or vector of one element) that holds a dim.
  Result<std::string> DimScalar(const Dim& dim);
  /// i64 [rank], computed when the model runs where it must be.
  Result<std::string> DimVector(const Shape& dims);
  /// Remembers where the symbols of a type can be read off.
  void NoteSymbols(const ir::Type& type, const std::string& name);
  /// Remembers that symbols are elements of an i64 vector.
  void NoteElements(const std::vector<Dim>& elements, const std::string& name);

 private:
  struct Level {
    Graph graph;
    std::map<std::string, Literal> initializers = {};
    std::map<std::string, std::string> shared = {};  // bytes of small constants -> name
  };
  Status WriteNode(Env& env, std::int32_t id);
  Status WritePlain(Env& env, std::int32_t id);
  /// An elementwise op whose inputs are at hand with channels first works on those.
  bool CanStayChannelsFirst(Env& env, const ir::Node& node);
  Status WriteChannelsFirst(Env& env, std::int32_t id, const std::function<Status()>& write);
  /// Nodes and initializers of the outermost graph that nobody reads.
  static void DropUnused(Graph* graph);
  Status WriteRecord(Env& env, std::int32_t id, bool* done);
  Result<std::string> DimExpression(const std::string& text);

  const ir::Module& module_;
  const ExportOptions& options_;
  std::vector<Level> stack_;
  std::set<std::string> used_;
  std::map<std::string, int> counters_;
  struct SymbolSource {
    std::string value;
    int index;             // an axis of the value, or
    bool element = false;  // an element of it, an i64 vector
  };
  // What is known of the symbols of one graph of ours. A graph inside of another sees the outer one's too; one that is
  // written in several places tells its own in each of them.
  struct Symbols {
    std::map<std::string, SymbolSource> sources = {};
    std::map<std::string, std::string> dims = {};  // text of a dim -> name
  };
  const SymbolSource* FindSymbol(const std::string& name) const;
  std::vector<Symbols> symbols_ = std::vector<Symbols>(1);
  std::string random_state_;  // the name of the variable that moves draws without a seed on; empty: none
  std::vector<Status> errors_;
  std::map<std::string, std::int64_t> domains_;  // of the operators written so far, but for ONNX's own -> version
  friend class DimEmitter;
};

/// One node of ours, being written.
class OpWriter {
 public:
  OpWriter(Exporter& e, Env& environment, std::int32_t node_id, const ExportRow& op_row)
      : x(e), env(environment), id(node_id), row(op_row) {}
  Exporter& x;
  Env& env;
  const std::int32_t id;
  const ExportRow& row;

  const ir::Node& node() const { return env.graph->node(id); }
  const ir::Attrs& attrs() const { return node().attrs; }
  std::int64_t opset() const { return x.opset(); }
  int num_inputs() const { return static_cast<int>(node().inputs.size()); }
  bool has(int i) const { return i < num_inputs() && node().inputs[static_cast<std::size_t>(i)].valid(); }
  ir::Value value(int i) const { return node().inputs[static_cast<std::size_t>(i)]; }
  std::string in(int i) { return has(i) ? x.Name(env, value(i)) : std::string(); }
  Names ins();
  const ir::Type& type(int i) const { return env.graph->type(value(i)); }
  DType dtype(int i) const { return type(i).dtype(); }
  bool ranked(int i) const { return type(i).has_rank(); }
  const Shape& shape(int i) const { return type(i).shape(); }
  const ir::Type& out_type(int i = 0) const { return node().outputs[static_cast<std::size_t>(i)].type; }
  /// The constant behind input i, when it is one.
  std::optional<Literal> constant(int i) const;

  /// The name that output i is to have (asked for once).
  std::string out(int i = 0);
  /// Whether a node or an output of the graph reads output i.
  bool used(int i) const;
  /// Output i is this value, under another name.
  void Set(int i, std::string name) { env.names[{id, i}] = std::move(name); }
  /// A node whose first output is the op's.
  void Finish(std::string op_type, Names inputs, std::vector<Attribute> attributes = {}) {
    x.Emit(std::move(op_type), std::move(inputs), std::move(attributes), {out()});
  }
  std::string Emit(std::string op_type, Names inputs, std::vector<Attribute> attributes = {}) {
    return x.Emit(std::move(op_type), std::move(inputs), std::move(attributes));
  }
  std::string Ints1(const Ints& values) const;  // an i64 vector
  std::string Scalar(double value, DType dtype) const;
  /// Axes made non-negative; empty stays empty.
  Ints Axes(std::string_view attr, int rank) const;
  Status Unsupported(std::string_view what) const;
  /// Written by its lowering instead.
  Status Lower() { return x.WriteLowered(env, id); }
};

}  // namespace tenon::onnx
