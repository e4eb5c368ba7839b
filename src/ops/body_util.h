// Closed sub-graphs: their types seen from outside, their nodes copied, values stacked and cut for scans.
#pragma once
#include <map>
#include <string>

#include "ops/array_util.h"

namespace tenon::ir::ops {

/// The sub-graph of a graph attribute; null when the attribute holds none.
const Graph* BodyOf(const Attrs& attrs, std::string_view name);
/// The types of a body's outputs in the dims of the graph around it: the symbols of its input types are bound to the
/// dims that come in, each of its other symbols becomes a fresh one.
class BodyTypes {
 public:
  BodyTypes(const InferContext& ctx, const Graph& body, std::string_view name, int constraint)
      : ctx_(ctx), body_(body), name_(name), constraint_(constraint) {}
  /// Input i of the body takes a value of that type; the error of the constraint otherwise.
  Status Bind(std::size_t i, const Type& actual);
  const Type& declared_input(std::size_t i) const { return body_.type(body_.inputs()[i]); }
  const Type& declared_output(std::size_t i) const { return body_.type(body_.outputs()[i]); }
  Type Outside(const Type& inside);

 private:
  const InferContext& ctx_;
  const Graph& body_;
  std::string_view name_;
  int constraint_;
  std::map<std::string, Dim, std::less<>> bound_;
};
/// A type that both values have: dims that may differ become fresh. nullopt when there is none.
std::optional<Type> JoinTypes(const Type& a, const Type& b);

/// Copies the nodes of `body` as they are, its inputs replaced by values of the same types; gives its outputs.
std::vector<Value> CopyNodes(Graph& into, const Graph& body, std::span<const Value> args);
/// Adds the nodes of `body` with inference, its symbols replaced by the dims of the arguments; gives its outputs.
std::vector<Value> InlineNodes(Builder& b, const Graph& body, std::span<const Value> args);

/// Row i of axis 0.
Literal RowOf(const Literal& x, std::int64_t i);
/// Rows of equal dtype and dims (at least one) on a new axis 0.
Literal Stack(const std::vector<Literal>& rows);

/// Differentiable: a float or complex tensor.
bool IsDifferentiable(const Type& type);

}  // namespace tenon::ir::ops
