// What the translation of one node sees (ops/*.cc), and the rows of the tables that name these translations.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status_macros.h"
#include "formats/onnx/model.h"
#include "ir/builder.h"

namespace tenon::onnx {

class Translator;
struct Scope;
class NodeContext;

using ir::Ex;
using ir::Value;
using Ints = std::vector<std::int64_t>;

/// One operator. `attrs` lists the attributes of all its versions, "name:kind name:kind …" with the kinds f i s t g
/// (one value) and fs is ss (lists); a node with another attribute or kind is refused.
struct OpRow {
  std::string_view op_type;
  int min_inputs, max_inputs;  // -1: any number
  int max_outputs;
  std::string_view attrs;
  Status (*translate)(NodeContext& n);
  std::string_view ours = {};  // for translations that several rows share
  std::string_view domain = {};
  bool takes_maps = false;  // else a node with a map among its inputs is refused
};

/// Values are those of b's graph. The builder's first error sticks and is returned for the node, so helpers need not be
/// checked one by one.
class NodeContext {
 public:
  NodeContext(Translator& translator, const Scope& scope, ir::Builder& builder, const Node& onnx_node, const OpRow& op,
              std::int64_t opset_version, std::vector<Value> values);

  ir::Builder& b;
  const Node& node;
  const OpRow& row;
  const std::int64_t opset;  // of the node's domain

  int num_inputs() const { return static_cast<int>(inputs_.size()); }
  bool has(int i) const { return i < num_inputs() && inputs_[static_cast<std::size_t>(i)].valid(); }
  /// Input i; an invalid Value when left out.
  Value in(int i) const { return i < num_inputs() ? inputs_[static_cast<std::size_t>(i)] : Value(); }
  Ex x(int i) const { return {&b, in(i)}; }
  Ex ex(Value v) const { return {&b, v}; }
  const std::vector<Value>& inputs() const { return inputs_; }
  int num_outputs() const { return static_cast<int>(node.outputs.size()); }
  bool wants(int i) const { return i < num_outputs() && !node.outputs[static_cast<std::size_t>(i)].empty(); }
  void Out(int i, Value v);
  /// Output i is a map: its keys [n], and what stands under them, [n] or, of N maps, [N, n].
  void OutMap(int i, Value keys, Value values);
  const std::vector<std::pair<int, Value>>& output_maps() const { return output_maps_; }  // output, keys
  std::vector<Value>& outputs() { return outputs_; }

  DType dtype(int i) const { return b.dtype(in(i)); }
  DType dtype(Value v) const { return b.dtype(v); }
  /// kUnimplemented when nothing is known about the rank.
  Result<int> Rank(Value v) const;
  Result<Shape> ShapeOf(Value v) const;
  /// `axis` as 0..rank-1; kInvalidArgument outside.
  Result<int> Axis(std::int64_t axis, int rank) const;
  Result<Ints> Axes(const Ints& axes, int rank) const;  // each once, normalised, in the given order

  bool HasAttr(std::string_view name) const { return Find(name) != nullptr; }
  std::int64_t Int(std::string_view name, std::int64_t otherwise) const;
  double Float(std::string_view name, double otherwise) const;  // always an f32's value
  std::string String(std::string_view name, std::string_view otherwise) const;
  Ints IntList(std::string_view name) const;  // empty when left out
  std::vector<double> FloatList(std::string_view name) const;
  std::vector<std::string> StringList(std::string_view name) const;
  Result<Literal> TensorAttr(std::string_view name) const;
  const Attribute* Find(std::string_view name) const;

  /// The value when it is known now.
  std::optional<Literal> Const(Value v) const;
  std::optional<Literal> Const(int i) const { return has(i) ? Const(in(i)) : std::nullopt; }
  /// The value when nodes of this translation compute it from constants.
  std::optional<Literal> FoldNow(Value v) const;
  /// A list of integers that must be known now; `what` names it in the message.
  Result<Ints> NeedInts(int i, std::string_view what) const;
  Result<std::int64_t> NeedInt(int i, std::string_view what) const;
  Result<double> NeedFloat(int i, std::string_view what) const;
  /// The elements of a small integer tensor as dims.
  std::optional<std::vector<Dim>> Symbolic(Value v) const;

  Value Add(std::string_view op, std::vector<Value> values, ir::Attrs attrs = {}) {
    return b.Add(op, std::move(values), std::move(attrs));
  }
  Ex Apply(std::string_view op, std::vector<Value> values, ir::Attrs attrs = {}) {
    return {&b, b.Add(op, std::move(values), std::move(attrs))};
  }
  Ex Scalar(double value, DType dtype) const { return {&b, b.Scalar(value, dtype)}; }
  Value IntVector(const Ints& values) const;
  /// i64 [rank]; a constant when the dims are known.
  Value ShapeValue(Value v) const;
  /// x reshaped to dims.
  Ex Reshape(Value v, std::vector<Dim> dims) const { return {&b, b.Reshape(v, Shape(std::move(dims)))}; }
  Ex Transpose(Value v, Ints permutation) const { return {&b, b.Transpose(v, std::move(permutation))}; }
  Ex Reduce(std::string_view op, Value v, Ints axes, bool keep) const {
    return {&b, b.Add(op, {v}, {{"axes", std::move(axes)}, {"keep_dims", keep}})};
  }
  /// x broadcast to dims.
  Ex Broadcast(Value v, std::vector<Dim> dims) const;
  /// [start, limit) of one axis.
  Ex SliceAxis(Value v, int axis, Dim start, Dim limit) const;
  Ex Iota(Dim count, DType dtype) const;

  /// Errors of this node. The message gets operator and name in front.
  Status Fail(std::string_view message) const;         // the model is wrong
  Status Unsupported(std::string_view message) const;  // right, but not something we do

  Translator& translator() const { return translator_; }
  const Scope& scope() const { return scope_; }

 private:
  Translator& translator_;
  const Scope& scope_;
  std::vector<Value> inputs_;
  std::vector<Value> outputs_;
  std::vector<std::pair<int, Value>> output_maps_;
  std::int32_t first_;  // the first node that this translation makes
};

/// The families of hand-written rows (ops/*.cc), in one list.
std::span<const std::span<const OpRow>> RowFamilies();
/// The row of an operator, or null: a hand-written one, else the one of the ops record that names this operator.
const OpRow* FindRow(std::string_view domain, std::string_view op_type);
/// The opset that introduced an operator of the default domain; 0 when ONNX has no such operator.
int FirstOpset(std::string_view op_type);

}  // namespace tenon::onnx
