#include "formats/onnx/symbolic.h"

#include <algorithm>

#include "ir/numeric.h"
#include "ir/op_def.h"

namespace tenon::onnx {
namespace {

using ir::SymbolicValue;
using Dims = std::vector<Dim>;
constexpr std::size_t kMost = 64;

SymbolicValue ValueOf(const ir::Graph& graph, ir::Value v) {
  if (!v.valid()) return std::nullopt;
  const ir::Output& output = graph.output(v);
  if (output.symbolic) return output.symbolic;
  const ir::Node& node = graph.node(v);
  if (node.op->name != "constant") return std::nullopt;
  const Literal& literal = node.attrs.Lit("value");
  if ((!is_integer(literal.dtype()) && literal.dtype() != DType::kBool) || literal.size() > 64) return std::nullopt;
  Dims dims;
  for (const std::int64_t i : ir::ToInts(literal)) dims.emplace_back(i);
  return dims;
}

// Elementwise over equal lengths or one element against many.
template <class F>
SymbolicValue Zip(const SymbolicValue& a, const SymbolicValue& b, std::size_t count, F f) {
  if (!a || !b || (a->size() != 1 && a->size() != count) || (b->size() != 1 && b->size() != count)) return std::nullopt;
  Dims out;
  for (std::size_t i = 0; i < count; ++i) {
    const std::optional<Dim> value = f((*a)[a->size() == 1 ? 0 : i], (*b)[b->size() == 1 ? 0 : i]);
    if (!value) return std::nullopt;
    out.push_back(*value);
  }
  return out;
}

std::optional<Dim> FromTruth(Truth truth) {
  return truth == Truth::kUnknown ? std::nullopt : std::optional<Dim>(truth == Truth::kYes ? 1 : 0);
}

// Never negative whatever the symbols are: a sum of products with positive coefficients, as far as can be seen.
bool NeverNegative(const Dim& d) {
  if (!d.is_symbolic()) return d.value() >= 0;
  return !d.symbol_name().empty() || d == Dim::max(d, 0);
}

std::optional<Dim> Divide(const Dim& a, const Dim& b) {
  if (!a.is_symbolic() && !b.is_symbolic()) {
    if (b.value() == 0) return std::nullopt;
    return Dim(a.value() / b.value());
  }
  if (b.is_symbolic() || b.value() <= 0) return std::nullopt;
  return Dim::floor_div(a, b);  // dims in files are not negative, where truncation would differ
}

SymbolicValue Elementwise(std::string_view op, const std::vector<SymbolicValue>& in, std::size_t count) {
  const auto zip = [&](auto f) { return in.size() < 2 ? std::nullopt : Zip(in[0], in[1], count, f); };
  using D = std::optional<Dim>;
  if (op == "add") return zip([](const Dim& a, const Dim& b) -> D { return a + b; });
  if (op == "subtract") return zip([](const Dim& a, const Dim& b) -> D { return a - b; });
  if (op == "multiply") return zip([](const Dim& a, const Dim& b) -> D { return a * b; });
  if (op == "divide") return zip(Divide);
  if (op == "floor_divide")
    return zip([](const Dim& a, const Dim& b) -> D { return b == Dim(0) ? D() : D(Dim::floor_div(a, b)); });
  if (op == "remainder")
    return zip([](const Dim& a, const Dim& b) -> D { return b == Dim(0) ? D() : D(Dim::mod(a, b)); });
  if (op == "maximum") return zip([](const Dim& a, const Dim& b) -> D { return Dim::max(a, b); });
  if (op == "minimum") return zip([](const Dim& a, const Dim& b) -> D { return Dim::min(a, b); });
  if (op == "equal")
    return zip([](const Dim& a, const Dim& b) -> D {
      if (NeverNegative(a) && !b.is_symbolic() && b.value() < 0) return Dim(0);
      if (NeverNegative(b) && !a.is_symbolic() && a.value() < 0) return Dim(0);
      return FromTruth(Dim::equal(a, b));
    });
  if (op == "less")
    return zip([](const Dim& a, const Dim& b) -> D {
      if (!a.is_symbolic() && !b.is_symbolic()) return Dim(a.value() < b.value());
      if (NeverNegative(a) && !b.is_symbolic() && b.value() <= 0) return Dim(0);
      return std::nullopt;
    });
  if (op == "neg" && in[0]) {
    Dims out;
    for (const Dim& d : *in[0]) out.push_back(0 - d);
    return out;
  }
  if (op == "select" && in.size() == 3 && in[0]) {
    Dims out;
    for (std::size_t i = 0; i < count; ++i) {
      const auto at = [&](const SymbolicValue& v) -> std::optional<Dim> {
        if (!v || (v->size() != 1 && v->size() != count)) return std::nullopt;
        return (*v)[v->size() == 1 ? 0 : i];
      };
      const std::optional<Dim> chosen = at(in[0]);
      if (!chosen) return std::nullopt;
      const std::optional<Dim> value = at(*chosen == Dim(0) ? in[2] : in[1]);
      if (!value) return std::nullopt;
      out.push_back(*value);
    }
    return out;
  }
  return std::nullopt;
}

SymbolicValue Compute(const ir::Graph& graph, const ir::Node& node, std::size_t count) {
  const std::string_view op = node.op->name;
  std::vector<SymbolicValue> in;
  for (const ir::Value v : node.inputs) in.push_back(ValueOf(graph, v));
  if (in.empty() || !in[0]) return op == "select" ? Elementwise(op, in, count) : std::nullopt;
  if (op == "reshape" || op == "expand_dims" || op == "squeeze" || op == "identity") return in[0];
  if (op == "cast") return is_integer(graph.type(node.inputs[0]).dtype()) ? in[0] : std::nullopt;
  if (op == "broadcast_to") {
    if (in[0]->size() == count) return in[0];
    if (in[0]->size() == 1) return Dims(count, (*in[0])[0]);
    return std::nullopt;
  }
  if (op == "concat") {
    if (node.outputs[0].type.rank() != 1) return std::nullopt;
    Dims out;
    for (const SymbolicValue& part : in) {
      if (!part) return std::nullopt;
      out.insert(out.end(), part->begin(), part->end());
    }
    return out;
  }
  if (op == "gather") {
    const ir::Type& from = graph.type(node.inputs[0]);
    if (!from.has_rank() || from.rank() != 1 || in.size() < 2 || !in[1]) return std::nullopt;
    const auto size = static_cast<std::int64_t>(in[0]->size());
    Dims out;
    for (const Dim& index : *in[1]) {
      const std::int64_t i = index.is_symbolic() ? size : index.value();
      if (i < -size || i >= size) return std::nullopt;
      out.push_back((*in[0])[static_cast<std::size_t>(i < 0 ? i + size : i)]);
    }
    return out;
  }
  if (op == "slice") {
    const Shape &starts = node.attrs.Dims("starts"), &limits = node.attrs.Dims("limits");
    const std::vector<std::int64_t>& strides = node.attrs.Ints("strides");
    if (starts.rank() != 1 || starts[0].is_symbolic() || limits[0].is_symbolic()) return std::nullopt;
    Dims out;
    for (std::int64_t i = starts[0].value(); i < limits[0].value() && i < static_cast<std::int64_t>(in[0]->size());
         i += strides.empty() ? 1 : strides[0])
      out.push_back((*in[0])[static_cast<std::size_t>(i)]);
    return out;
  }
  if (op == "reduce_prod" || op == "reduce_sum") {
    if (count != 1 || graph.type(node.inputs[0]).rank() > 1) return std::nullopt;
    Dim total = op == "reduce_prod" ? 1 : 0;
    for (const Dim& d : *in[0]) total = op == "reduce_prod" ? total * d : total + d;
    return Dims{total};
  }
  if (node.op->Is(ir::kElementwise)) return Elementwise(op, in, count);
  return std::nullopt;
}

}  // namespace

void PropagateSymbolic(ir::Graph& graph, std::int32_t id) {
  ir::Node& node = graph.node(id);
  if (node.outputs.size() != 1 || node.outputs[0].symbolic || node.op->name == "constant") return;
  const ir::Type& type = node.outputs[0].type;
  if (!type.is_tensor() || !type.is_static() || !(is_integer(type.dtype()) || type.dtype() == DType::kBool)) return;
  const Result<std::int64_t> count = checked_size(type.shape().values());
  if (!count.ok() || *count > static_cast<std::int64_t>(kMost)) return;
  SymbolicValue value = Compute(graph, node, static_cast<std::size_t>(*count));
  if (value && static_cast<std::int64_t>(value->size()) == *count) node.outputs[0].symbolic = std::move(value);
}

}  // namespace tenon::onnx
