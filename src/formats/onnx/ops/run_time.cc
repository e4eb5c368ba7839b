#include "formats/onnx/ops/run_time.h"

#include <fmt/format.h>

namespace tenon::onnx {
namespace {

constexpr DType kInt = DType::kI64;

Ex Wide(NodeContext& n, Value v) { return n.ex(n.b.Cast(v, kInt)); }

// A closed graph with inputs of the operands' types.
ir::GraphPtr BodyOf(NodeContext& n, const std::vector<Value>& operands,
                    const std::function<Value(ir::Builder&, const std::vector<Value>&)>& make) {
  ir::Graph graph;
  ir::Builder b(&graph);
  std::vector<Value> inputs;
  for (std::size_t i = 0; i < operands.size(); ++i)
    inputs.push_back(b.Input(fmt::format("operand{}", i), n.b.type(operands[i])));
  const Value out = make(b, inputs);
  n.b.SetStatus(b.status());
  graph.set_outputs({out});
  return std::make_shared<const ir::Graph>(std::move(graph));
}

}  // namespace

Result<std::vector<Dim>> DimsOf(NodeContext& n, Value v, std::string_view what) {
  TENON_RETURN_IF_ERROR(n.b.status());
  if (!v.valid()) return n.Fail(fmt::format("{} is left out", what));
  std::optional<std::vector<Dim>> known = n.Symbolic(v);
  if (!known) {
    TENON_ASSIGN_OR_RETURN(const Shape shape, n.ShapeOf(v));
    if (shape.rank() != 1 || shape[0].is_symbolic())
      return n.Unsupported(fmt::format("{}: {} numbers that only the run knows", what, shape.to_string()));
    std::vector<std::string> symbols;
    for (std::int64_t i = 0; i < shape[0].value(); ++i) symbols.emplace_back(Dim::any().symbol_name());
    const Value dims = n.Add("as_dims", {Wide(n, v)}, {{"symbols", std::move(symbols)}});
    TENON_RETURN_IF_ERROR(n.b.status());
    known = n.Symbolic(dims);
  }
  if (!known) return n.Fail(fmt::format("{}: got {}", what, n.b.type(v).to_string()));
  for (const Dim& d : *known)
    if (d.try_value().value_or(0) < 0)
      return n.Fail(fmt::format("{}: got {}, expected 0 or more", what, d.to_string()));
  return *known;
}

Result<Dim> DimOf(NodeContext& n, Value v, std::string_view what) {
  if (!v.valid()) return n.Fail(fmt::format("{} is left out", what));
  TENON_ASSIGN_OR_RETURN(const std::vector<Dim> dims, DimsOf(n, n.Symbolic(v) ? v : n.Reshape(v, {1}).v, what));
  if (dims.size() != 1) return n.Fail(fmt::format("{}: got {} numbers, expected one", what, dims.size()));
  return dims[0];
}

Ex ScalarOf(NodeContext& n, Value v) { return n.Reshape(Wide(n, v), {}); }

Ex DimValue(NodeContext& n, Value x, int axis) {
  return n.Reshape(n.SliceAxis(n.ShapeValue(x), 0, axis, axis + 1), {});
}

Ex ElementOf(NodeContext& n, Value vector, int i) { return n.Reshape(n.SliceAxis(vector, 0, i, i + 1), {}); }

namespace {

// bool [axes, rank]: which axis each entry means.
Ex Hits(NodeContext& n, Value axes, int rank) {
  const Ex given = n.Apply("reshape", {Wide(n, axes), n.IntVector({-1, 1})});
  const Ex from_end = Op("less", given, n.Scalar(0, kInt));
  return Op("equal", Select(from_end, given + static_cast<double>(rank), given), n.Iota(rank, kInt));
}

}  // namespace

Ex AxisMask(NodeContext& n, Value axes, int rank) { return n.Reduce("reduce_any", Hits(n, axes, rank), {0}, false); }

Ex SpreadOverAxes(NodeContext& n, Value axes, Value values, int rank, double otherwise) {
  const Ex hits = Hits(n, axes, rank), column = n.Apply("reshape", {Wide(n, values), n.IntVector({-1, 1})});
  const Ex placed = n.Reduce("reduce_sum", Select(hits, column, n.Scalar(0, kInt)), {0}, false);
  return Select(n.Reduce("reduce_any", hits, {0}, false), placed, n.Scalar(otherwise, kInt));
}

Value Switch(NodeContext& n, Value which, int count, const std::vector<Value>& operands,
             const std::function<Value(ir::Builder&, const std::vector<Value>&, int)>& make) {
  if (!n.b.ok()) return {};
  std::vector<Value> all = operands;  // and the number that chooses
  all.push_back(which);
  // From the last branch outwards: each else-branch holds the rest of the choice.
  const auto branch = [&](int i) {
    return BodyOf(n, all,
                  [&](ir::Builder& b, const std::vector<Value>& in) { return make(b, {in.begin(), in.end() - 1}, i); });
  };
  ir::GraphPtr rest = branch(count - 1);
  if (count == 1) return n.Add("call", std::move(all), {{"body", rest}});
  const auto choose = [&](ir::Builder& b, const std::vector<Value>& in, int i) {
    std::vector<Value> arguments = {b.Add("equal", {in.back(), b.Scalar(i, kInt)})};
    arguments.insert(arguments.end(), in.begin(), in.end());
    return b.Add("cond", std::move(arguments), {{"then_branch", branch(i)}, {"else_branch", rest}});
  };
  for (int i = count - 2; i > 0; --i)
    rest = BodyOf(n, all, [&](ir::Builder& b, const std::vector<Value>& in) { return choose(b, in, i); });
  return choose(n.b, all, 0);
}

Value SwitchAxis(NodeContext& n, Value axis, int rank, const std::vector<Value>& operands,
                 const std::function<Value(ir::Builder&, const std::vector<Value>&, int)>& make) {
  const Ex given = ScalarOf(n, axis);
  const Ex which = Select(Op("less", given, n.Scalar(0, kInt)), given + static_cast<double>(rank), given);
  return Switch(n, which, rank, operands, make);
}

Value SliceRange(NodeContext& n, Value x, int axis, Ex start, Ex end, Ex step) {
  const Ex size = DimValue(n, x, axis), zero = n.Scalar(0, kInt), back = Op("less", step, zero);
  // Forwards the bounds lie in [0, size], backwards in [-1, size - 1].
  const Ex low = Select(back, n.Scalar(-1, kInt), zero), high = Select(back, size - 1.0, size);
  const auto bound = [&](Ex at) { return n.Apply("clip", {Select(Op("less", at, zero), at + size, at), low, high}); };
  const Ex first = bound(start), count = Op("maximum", -Op("floor_divide", first - bound(end), step), zero);
  const Result<Dim> length = DimOf(n, count, "the length of a slice");
  if (!length.ok()) {
    n.b.SetStatus(length.status());
    return {};
  }
  return n.Add("gather", {x, first + n.Iota(*length, kInt) * step}, {{"axis", std::int64_t{axis}}});
}

}  // namespace tenon::onnx
