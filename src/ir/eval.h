// Evaluation: what OpDef::eval sees, and Datum, a value at run time.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "ir/graph.h"
#include "ir/op_def.h"

namespace tenon::ir {

/// A value at run time: a tensor, or a sequence / optional / map of values. Shared, immutable. An optional holds zero
/// or one item; a map holds its keys in `tensor` and its values in `items`, in the order of the keys.
struct Datum {
  Type::Kind kind = Type::Kind::kTensor;
  std::optional<Literal> tensor;
  std::shared_ptr<const std::vector<Datum>> items;
  Type element;  // of an empty sequence or optional

  Datum() = default;
  Datum(Literal literal) : tensor(std::move(literal)) {}
  static Datum Sequence(std::vector<Datum> items, Type element);
  static Datum Optional(std::optional<Datum> item, Type element);
  static Datum Token();
  const Literal& literal() const { return *tensor; }
  Type type() const;  // concrete dims
};

/// Inputs are concrete, dims attributes hold numbers only, and the outputs' types have been inferred from them (dims
/// that only the data decide are still symbolic there).
class EvalContext {
 public:
  using RunFn = std::function<Result<std::vector<Datum>>(const Graph&, std::vector<Datum>)>;
  EvalContext(const OpDef& op, std::span<const Datum* const> inputs, const Attrs& attrs,
              std::span<const Output> outputs, RunFn run)
      : op_(op), inputs_(inputs), attrs_(attrs), types_(outputs), run_(std::move(run)), results_(outputs.size()) {}
  const OpDef& op() const { return op_; }
  int num_inputs() const { return static_cast<int>(inputs_.size()); }
  bool has(int i) const { return i < num_inputs() && inputs_[static_cast<std::size_t>(i)] != nullptr; }
  const Datum& datum(int i) const { return *inputs_[static_cast<std::size_t>(i)]; }
  const Literal& in(int i) const { return datum(i).literal(); }
  const Attrs& attrs() const { return attrs_; }
  int num_outputs() const { return static_cast<int>(types_.size()); }
  const Type& out_type(int i = 0) const { return types_[static_cast<std::size_t>(i)].type; }
  DType out_dtype(int i = 0) const { return out_type(i).dtype(); }
  std::vector<std::int64_t> out_dims(int i = 0) const {
    return out_type(i).shape().values();
  }  // not data-dependent ones
  void Set(int i, Datum value) { results_[static_cast<std::size_t>(i)] = std::move(value); }
  /// Runs a closed sub-graph, with the dtypes of the values that it is given.
  Result<std::vector<Datum>> Run(const Graph& body, std::vector<Datum> inputs) const {
    return run_(body, std::move(inputs));
  }
  /// A run-time error of this op (an index out of range): "gather: …".
  Status Fail(std::string_view message) const;
  std::vector<Datum> TakeResults() { return std::move(results_); }

 private:
  const OpDef& op_;
  std::span<const Datum* const> inputs_;
  const Attrs& attrs_;
  std::span<const Output> types_;
  RunFn run_;
  std::vector<Datum> results_;
};

/// One op on concrete values: infers, then runs eval (or its lowering, node by node). `attrs` may be incomplete.
Result<std::vector<Datum>> EvalOp(const OpDef& op, std::span<const Datum* const> inputs, Attrs attrs);

struct EvalOptions {
  /// Called with every value as it is computed (verification, debugging).
  std::function<void(Value, const Datum&)> observer;
  /// float dtypes widen to f64 and casts between floats are the identity: the oracle.
  bool float64 = false;
};
/// A graph on concrete values, node by node with the reference evaluation. Symbols of the inputs' types are bound to
/// the dims that come in; a dim that contradicts a type is kInvalidArgument naming the input. Values are released after
/// their last use.
Result<std::vector<Datum>> EvalGraph(const Graph& graph, std::vector<Datum> inputs, const EvalOptions& options = {});

/// Binds the symbols of a declared type to a concrete one. kInvalidArgument (starting with `what`) when they disagree.
class SymbolBinding {
 public:
  Status Bind(const Type& declared, const Type& concrete, std::string_view what);
  /// Gives the symbols among the elements of an integer tensor that have no number yet the numbers in `value`.
  void BindElements(const std::vector<Dim>& elements, const Literal& value);
  void Set(std::string_view name, std::int64_t value) { values_[std::string(name)] = value; }
  std::optional<std::int64_t> Find(std::string_view name) const;
  /// dims attributes and sub-graphs untouched; kFailedPrecondition when a symbol has no number yet.
  Result<Attrs> Resolve(const Attrs& attrs) const;
  Type Resolve(const Type& type) const;

 private:
  std::unordered_map<std::string, std::int64_t> values_;
};

}  // namespace tenon::ir
