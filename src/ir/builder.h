// Builder: adds checked nodes to a graph. Ex: values with operators, for gradients and lowerings that read like maths.
#pragma once
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"
#include "ir/op_def.h"

namespace tenon::ir {

class Ex;

/// Appends to one graph, with inference. The first error sticks: later calls do nothing and give invalid values, so
/// that a chain of calls is checked once, by status(). Not thread-safe.
class Builder {
 public:
  explicit Builder(Graph* graph) : graph_(graph) {}
  Graph& graph() { return *graph_; }
  const Status& status() const { return status_; }
  bool ok() const { return status_.ok(); }
  void SetStatus(Status status) {
    if (status_.ok()) status_ = std::move(status);
  }

  Value Input(std::string name, Type type);
  Value Constant(Literal literal);
  /// A rank-0 constant of that dtype.
  Value Scalar(double value, DType dtype);
  /// Adds a node; gives its first output. `op` is an op's name.
  Value Add(std::string_view op, std::vector<Value> inputs, Attrs attrs = {});
  /// The same; gives all outputs (empty after an error).
  std::vector<Value> AddAll(std::string_view op, std::vector<Value> inputs, Attrs attrs = {});
  std::vector<Value> AddAll(const OpDef& op, std::vector<Value> inputs, Attrs attrs = {});

  const Type& type(Value v) const;
  DType dtype(Value v) const { return type(v).dtype(); }
  const Shape& shape(Value v) const { return type(v).shape(); }
  bool ranked(Value v) const { return type(v).has_rank(); }

  // The handful that every gradient needs.
  Value Cast(Value x, DType dtype);  // nothing when it has that dtype
  Value ZerosLike(Value x);
  Value OnesLike(Value x);
  Value Reshape(Value x, Shape dims);
  Value Transpose(Value x, std::vector<std::int64_t> permutation);
  Value ReduceSum(Value x, std::vector<std::int64_t> axes, bool keep_dims);
  /// `x` summed over the axes along which `like` was broadcast to x's shape; x itself when the shapes are known equal.
  Value SumLike(Value x, Value like);
  /// `x` broadcast to the shape of `like`.
  Value BroadcastLike(Value x, Value like);
  Ex operator()(Value v);

 private:
  Graph* graph_;
  Status status_;
};

/// A Value with its Builder. Operators broadcast as NumPy does; a number takes the dtype of the Ex it meets.
class Ex {
 public:
  Ex() = default;
  Ex(Builder* builder, Value value) : b(builder), v(value) {}
  operator Value() const { return v; }
  DType dtype() const { return b->dtype(v); }
  Builder* b = nullptr;
  Value v;
};
Ex Op(std::string_view op, Ex x, Attrs attrs = {});
Ex Op(std::string_view op, Ex x, Ex y, Attrs attrs = {});
Ex operator+(Ex x, Ex y);
Ex operator-(Ex x, Ex y);
Ex operator*(Ex x, Ex y);
Ex operator/(Ex x, Ex y);
Ex operator+(Ex x, double y);
Ex operator-(Ex x, double y);
Ex operator*(Ex x, double y);
Ex operator/(Ex x, double y);
Ex operator+(double x, Ex y);
Ex operator-(double x, Ex y);
Ex operator*(double x, Ex y);
Ex operator/(double x, Ex y);
Ex operator-(Ex x);
Ex Select(Ex condition, Ex x, Ex y);

/// What OpDef::lower sees: inputs as values of the builder's graph; fills in the outputs.
class LowerContext {
 public:
  LowerContext(Builder& builder, std::span<const Value> inputs, const Attrs& attribs)
      : b(builder), inputs_(inputs), attrs_(attribs) {}
  Builder& b;
  int num_inputs() const { return static_cast<int>(inputs_.size()); }
  bool has(int i) const { return i < num_inputs() && inputs_[static_cast<std::size_t>(i)].valid(); }
  Ex in(int i) const { return {&b, inputs_[static_cast<std::size_t>(i)]}; }
  const Attrs& attrs() const { return attrs_; }
  void Set(int i, Value v) {
    if (static_cast<int>(outputs_.size()) <= i) outputs_.resize(static_cast<std::size_t>(i) + 1);
    outputs_[static_cast<std::size_t>(i)] = v;
  }
  const std::vector<Value>& outputs() const { return outputs_; }

 private:
  std::span<const Value> inputs_;
  const Attrs& attrs_;
  std::vector<Value> outputs_;
};

/// Builds the lowering of a composite in b's graph; gives its outputs.
Result<std::vector<Value>> Lower(Builder& b, const OpDef& op, std::span<const Value> inputs, const Attrs& attrs);

/// What OpDef::grad sees. Values are those of the builder's graph, which holds the node itself.
class GradContext {
 public:
  /// Gradient of a closed sub-graph: a graph whose inputs are `body`'s inputs followed by one cotangent for each of its
  /// differentiable outputs, and whose outputs are the gradients of its inputs (invalid where none). For control flow.
  using DifferentiateFn = Result<GraphPtr> (*)(const Graph& body, std::vector<bool>* input_has_gradient);

  GradContext(Builder& builder, std::span<const Value> inputs, std::span<const Value> outs,
              std::span<const Value> cotangents, const Attrs& attribs, std::vector<bool> wanted,
              DifferentiateFn differentiate_body)
      : b(builder),
        inputs_(inputs),
        outputs_(outs),
        cotangents_(cotangents),
        attrs_(attribs),
        wanted_(std::move(wanted)),
        differentiate_(differentiate_body),
        gradients_(inputs.size()) {}
  Builder& b;
  int num_inputs() const { return static_cast<int>(inputs_.size()); }
  bool has(int i) const { return i < num_inputs() && inputs_[static_cast<std::size_t>(i)].valid(); }
  Ex in(int i) const { return {&b, inputs_[static_cast<std::size_t>(i)]}; }
  int num_outputs() const { return static_cast<int>(outputs_.size()); }
  Ex out(int i = 0) const { return {&b, outputs_[static_cast<std::size_t>(i)]}; }
  /// The cotangent of output i: zeros when nothing depends on it.
  Ex d(int i = 0) const;
  bool has_d(int i) const { return cotangents_[static_cast<std::size_t>(i)].valid(); }
  /// Whether somebody needs the gradient of input i; others may be left out.
  bool wants(int i) const { return i < num_inputs() && wanted_[static_cast<std::size_t>(i)]; }
  const Attrs& attrs() const { return attrs_; }
  /// Of input i's shape and dtype. Left out: the input gets none.
  void Set(int i, Value gradient) { gradients_[static_cast<std::size_t>(i)] = gradient; }
  const std::vector<Value>& gradients() const { return gradients_; }
  DifferentiateFn differentiate() const { return differentiate_; }

 private:
  std::span<const Value> inputs_, outputs_, cotangents_;
  const Attrs& attrs_;
  std::vector<bool> wanted_;
  DifferentiateFn differentiate_;
  std::vector<Value> gradients_;
};

}  // namespace tenon::ir
