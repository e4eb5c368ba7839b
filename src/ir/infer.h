// Inference: output types of a node from its inputs' types, their symbolic values and its attributes.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"
#include "ir/op_def.h"

namespace tenon::ir {

/// What OpDef::infer sees and fills in. Dtypes, arity and attributes have been checked against the record already, and
/// every defaulted attribute is there.
class InferContext {
 public:
  InferContext(const OpDef& op, std::span<const Output* const> inputs, const Attrs& attrs)
      : op_(op), inputs_(inputs), attrs_(attrs) {}

  const OpDef& op() const { return op_; }
  int num_inputs() const { return static_cast<int>(inputs_.size()); }  // trailing absent ones may be missing
  bool has(int i) const { return i < num_inputs() && inputs_[static_cast<std::size_t>(i)] != nullptr; }
  const Type& type(int i) const { return inputs_[static_cast<std::size_t>(i)]->type; }
  DType dtype(int i) const { return type(i).dtype(); }
  bool ranked(int i) const { return type(i).has_rank(); }
  const Shape& shape(int i) const { return type(i).shape(); }  // only when ranked
  int rank(int i) const { return shape(i).rank(); }
  /// The elements of a small integer tensor, when known.
  const SymbolicValue& value(int i) const { return inputs_[static_cast<std::size_t>(i)]->symbolic; }
  const Attrs& attrs() const { return attrs_; }

  void Set(int i, Type type);
  void Set(int i, DType dtype, Shape shape) { Set(i, Type::Tensor(dtype, std::move(shape))); }
  void SetUnknownRank(int i, DType dtype) { Set(i, Type::TensorOfUnknownRank(dtype)); }
  void SetValue(int i, std::vector<Dim> elements);  // after Set
  Dim FreshDim() const { return Dim::any(); }       // a dim that this node defines (data-dependent)

  /// The error of constraint number c of this op: "concat_c2: …".
  Status Fail(int constraint, std::string_view message) const;
  /// `axis` as 0..rank-1 (rank when inclusive is 1), or the error of that constraint.
  Result<int> Axis(std::int64_t axis, int rank, int constraint, int inclusive = 0) const;
  /// The same for a list; repeats are an error too. Empty gives every axis when `all`.
  Result<std::vector<int>> Axes(const std::vector<std::int64_t>& axes, int rank, int constraint, bool all) const;

  std::vector<Output> TakeOutputs() { return std::move(outputs_); }

 private:
  const OpDef& op_;
  std::span<const Output* const> inputs_;
  const Attrs& attrs_;
  std::vector<Output> outputs_;
};

/// Checks arity, dtypes and attributes against the record, fills in default attributes and runs infer (or infers
/// through the lowering). `attrs` becomes complete. Errors: "op_arity", "op_dtype", "op_attr", or the op's numbered
/// constraints.
Result<std::vector<Output>> Infer(const OpDef& op, std::span<const Output* const> inputs, Attrs& attrs);
/// The first half alone: the attributes made complete and checked.
Status CompleteAttrs(const OpDef& op, Attrs& attrs);

/// NumPy's broadcast of two shapes; nullopt when a pair of dims is known to be incompatible.
std::optional<Shape> BroadcastShapes(const Shape& a, const Shape& b);
/// The infer of elementwise ops: output 0 has the dtype of the first input that shares its type variable (or the fixed
/// dtype of its port) and the broadcast shape of all inputs. Constraint 1: the shapes broadcast.
Status InferElementwise(InferContext& ctx);
/// Output 0 has the type of input 0.
Status InferSameAsFirst(InferContext& ctx);

}  // namespace tenon::ir
