// Graph: SSA. Nodes of one kind, each naming an op, its inputs and attributes; every value has a Type.
#pragma once
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "ir/attr.h"
#include "ir/type.h"

namespace tenon::ir {

struct OpDef;

/// One output of one node. An invalid Value stands for an absent optional input.
struct Value {
  std::int32_t node = -1;
  std::int32_t index = 0;
  bool valid() const { return node >= 0; }
  friend bool operator==(const Value&, const Value&) = default;
  friend auto operator<=>(const Value&, const Value&) = default;
};
struct ValueHash {
  std::size_t operator()(const Value& v) const {
    return std::hash<std::int64_t>()((static_cast<std::int64_t>(v.node) << 8) ^ v.index);
  }
};

/// Where a value came from: "onnx", the graph or file, the node.
struct Provenance {
  std::string format, node, name;
  friend bool operator==(const Provenance&, const Provenance&) = default;
};
struct Quantization {
  std::vector<double> scale;
  std::vector<std::int64_t> zero_point;
  int axis = -1;  // -1: per tensor
  int block = 0;  // 0: none
  friend bool operator==(const Quantization&, const Quantization&) = default;
};
/// What is known about a value beside its type. No part of type equality; survives every patch.
struct Record {
  std::string name;
  std::vector<Provenance> provenance;
  std::optional<Quantization> quantization;
  std::string axis_roles;  // one letter an axis: "NHWC", "NT"; empty when unknown
  bool empty() const { return name.empty() && provenance.empty() && !quantization && axis_roles.empty(); }
  friend bool operator==(const Record&, const Record&) = default;
};

/// The elements of a small integer tensor as Dims, when inference knows them (at most 64 elements, row-major).
using SymbolicValue = std::optional<std::vector<Dim>>;

struct Output {
  Type type;
  SymbolicValue symbolic;
  Record record;
};

struct Node {
  const OpDef* op = nullptr;
  std::vector<Value> inputs;
  Attrs attrs;
  std::vector<Output> outputs;
};

/// Nodes stand in topological order: a node's inputs come before it. References to nodes stay valid while nodes are
/// added. `input` nodes are the graph's inputs; sub-graphs in attributes are closed (they see only their own inputs).
/// A value type: copying copies the nodes (literals and sub-graphs are shared).
class Graph {
 public:
  const std::deque<Node>& nodes() const { return nodes_; }
  const Node& node(std::int32_t id) const { return nodes_[static_cast<std::size_t>(id)]; }
  Node& node(std::int32_t id) { return nodes_[static_cast<std::size_t>(id)]; }
  const Node& node(Value v) const { return node(v.node); }
  const Output& output(Value v) const { return node(v.node).outputs[static_cast<std::size_t>(v.index)]; }
  Output& output(Value v) { return node(v.node).outputs[static_cast<std::size_t>(v.index)]; }
  const Type& type(Value v) const { return output(v).type; }
  std::int32_t size() const { return static_cast<std::int32_t>(nodes_.size()); }

  const std::vector<Value>& inputs() const { return inputs_; }
  const std::vector<Value>& outputs() const { return outputs_; }
  void set_outputs(std::vector<Value> outputs) { outputs_ = std::move(outputs); }

  /// Appends without inference or checks: the Builder and the parsers check. An `input` node joins inputs().
  std::int32_t Append(Node node);
  /// Every use of `from` (also as a graph output) becomes `to`.
  void Replace(const std::unordered_map<Value, Value, ValueHash>& replacements);
  /// Drops nodes that no output needs (inputs stay) and restores topological order; gives old -> new values.
  std::unordered_map<Value, Value, ValueHash> Compact();
  /// How many times each value is used as an input or output, by node then index.
  std::vector<std::vector<int>> UseCounts() const;

 private:
  std::deque<Node> nodes_;
  std::vector<Value> inputs_;
  std::vector<Value> outputs_;
};

/// The same structure: ops, attributes, wiring, types and records.
bool SameGraph(const Graph& a, const Graph& b);

}  // namespace tenon::ir
