// Loop and Scan: sub-graphs that see the names around them become closed graphs with captures.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>

#include "formats/onnx/ops/branch.h"
#include "formats/onnx/ops/families.h"
#include "formats/onnx/translator.h"
#include "ir/numeric.h"

namespace tenon::onnx {
namespace {

// A type that both an incoming and a returned value have: dims that differ become unknown ones. nullopt when they can
// have no common type.
std::optional<ir::Type> Join(const ir::Type& a, const ir::Type& b, std::set<std::string>* open) {
  if (a == b) return a;
  if (a.kind() == b.kind() && (a.kind() == ir::Type::Kind::kSequence || a.kind() == ir::Type::Kind::kOptional)) {
    const std::optional<ir::Type> element = Join(a.element(), b.element(), open);
    if (!element) return std::nullopt;
    return a.kind() == ir::Type::Kind::kSequence ? ir::Type::Sequence(*element) : ir::Type::Optional(*element);
  }
  if (!a.is_tensor() || !b.is_tensor() || a.dtype() != b.dtype()) return std::nullopt;
  if (!a.has_rank() || !b.has_rank() || a.rank() != b.rank()) return ir::Type::TensorOfUnknownRank(a.dtype());
  std::vector<Dim> dims;
  for (int i = 0; i < a.rank(); ++i) {
    const Dim& dim = a.shape()[i];
    if (dim == b.shape()[i] || open->contains(std::string(dim.symbol_name()))) {
      dims.push_back(dim);
      continue;
    }
    dims.push_back(Dim::any());
    open->insert(std::string(dims.back().symbol_name()));
  }
  return ir::Type::Tensor(a.dtype(), Shape(std::move(dims)));
}

// A loop body whose state keeps its types from step to step.
struct Step {
  Body body;
  std::vector<ir::Output> inputs;  // as the body was translated with
};

// Translates a body again with wider state types until what it returns fits what it takes. `state` counts the inputs
// from `first` on that are state; their new values stand in the outputs from `out_first` on.
Result<Step> TranslateStep(NodeContext& n, const Graph& graph, std::vector<ir::Output> inputs, std::size_t first,
                           std::size_t state, std::size_t out_first) {
  std::set<std::string> open;
  for (int attempt = 0; attempt < 4; ++attempt) {
    TENON_ASSIGN_OR_RETURN(Body body, n.translator().TranslateBody(graph, n.scope(), inputs));
    bool fits = true;
    for (std::size_t i = 0; i < state; ++i) {
      ir::Type& type = inputs[first + i].type;
      Value& out = body.outputs[out_first + i];
      // An optional may be handed on as what it holds.
      if (type.kind() == ir::Type::Kind::kOptional && body.frame->graph.type(out).kind() != ir::Type::Kind::kOptional)
        out = ir::Builder(&body.frame->graph).Add("optional_some", {out});
      const ir::Type& returned = body.frame->graph.type(out);
      const std::optional<ir::Type> joined = Join(type, returned, &open);
      if (!joined)
        return n.Fail(
            fmt::format("state {} is {} before and {} after a step", i, type.to_string(), returned.to_string()));
      if (*joined == type) continue;
      type = *joined;
      fits = false;
    }
    if (fits) return Step{std::move(body), std::move(inputs)};
  }
  return n.Unsupported("state whose type changes from step to step");
}

ir::Output Known(const ir::Type& type) {
  ir::Output output;
  output.type = type;
  return output;
}

// i64 [count] 0, 1, …, for a count that only the run knows.
Value IndexVector(NodeContext& n, Value count) {
  const Ex shape = n.Reshape(Op("maximum", n.ex(count), n.Scalar(0, DType::kI64)), {1});
  const Value ones = n.Add("broadcast_to", {n.b.Scalar(1, DType::kI32), shape});
  return n.Add("squeeze", {n.Add("nonzero", {ones})}, {{"axes", Ints{0}}});
}

struct LoopParts {
  const Graph* graph = nullptr;
  std::size_t state = 0, stacked = 0;
  std::vector<Value> initial;  // state
};

// Runs until the condition says no; gives state and trip count.
Result<std::vector<Value>> WhileForm(NodeContext& n, const LoopParts& parts, Value limit, Value go) {
  std::vector<ir::Output> inputs = {Known(ir::Type::Tensor(DType::kI64, {})),
                                    Known(ir::Type::Tensor(DType::kBool, {}))};
  for (const Value v : parts.initial) inputs.push_back(Known(n.b.type(v)));
  TENON_ASSIGN_OR_RETURN(Step step, TranslateStep(n, *parts.graph, std::move(inputs), 2, parts.state, 1));
  const std::vector<Value> captures = Translator::UniteCaptures({&step.body});
  // Carries: index, limit, go, state. The body's own inputs are index, go, state; the limit is a new one, so the graph
  // is called from a wrapper with the right order.
  std::vector<Value> body_out(step.body.outputs.begin(),
                              step.body.outputs.begin() + 1 + static_cast<std::ptrdiff_t>(parts.state));
  const ir::GraphPtr inner = Translator::Close(std::move(step.body), std::move(body_out));
  const auto make_inputs = [&](ir::Builder& b) {
    std::vector<Value> in = {b.Input("index", ir::Type::Tensor(DType::kI64, {})),
                             b.Input("limit", ir::Type::Tensor(DType::kI64, {})),
                             b.Input("go", ir::Type::Tensor(DType::kBool, {}))};
    for (std::size_t i = 0; i < parts.state; ++i) in.push_back(b.Input("", step.inputs[2 + i].type));
    for (const Value v : captures) in.push_back(b.Input("", n.b.type(v)));
    return in;
  };
  ir::Graph condition, body;
  ir::Builder cb(&condition), bb(&body);
  const std::vector<Value> c = make_inputs(cb);
  condition.set_outputs({cb.Add("logical_and", {c[2], cb.Add("less", {c[0], c[1]})})});
  const std::vector<Value> in = make_inputs(bb);
  std::vector<Value> args = {in[0], in[2]};
  args.insert(args.end(), in.begin() + 3, in.end());
  const std::vector<Value> called = bb.AddAll("call", std::move(args), {{"body", inner}});
  std::vector<Value> out = {bb.Add("add", {in[0], bb.Constant(Literal::scalar<std::int64_t>(1))}), in[1]};
  TENON_RETURN_IF_ERROR(cb.status());
  TENON_RETURN_IF_ERROR(bb.status());
  out.push_back(bb.Reshape(called[0], {}));
  out.insert(out.end(), called.begin() + 1, called.end());
  body.set_outputs(std::move(out));
  TENON_RETURN_IF_ERROR(bb.status());
  std::vector<Value> operands = {n.b.Constant(Literal::scalar<std::int64_t>(0)), limit, go};
  operands.insert(operands.end(), parts.initial.begin(), parts.initial.end());
  operands.insert(operands.end(), captures.begin(), captures.end());
  std::vector<Value> results = n.b.AddAll("while_loop", std::move(operands),
                                          {{"condition", std::make_shared<const ir::Graph>(std::move(condition))},
                                           {"body", std::make_shared<const ir::Graph>(std::move(body))},
                                           {"carries", static_cast<std::int64_t>(3 + parts.state)}});
  TENON_RETURN_IF_ERROR(n.b.status());
  std::vector<Value> state(results.begin() + 3, results.begin() + 3 + static_cast<std::ptrdiff_t>(parts.state));
  state.push_back(results.back());
  return state;
}

// Runs a known number of steps; gives state and stacked values. `index` is i64 [steps].
Result<std::vector<Value>> ScanForm(NodeContext& n, const LoopParts& parts, Value index) {
  std::vector<ir::Output> inputs = {Known(ir::Type::Tensor(DType::kI64, {})),
                                    Known(ir::Type::Tensor(DType::kBool, {}))};
  for (const Value v : parts.initial) inputs.push_back(Known(n.b.type(v)));
  TENON_ASSIGN_OR_RETURN(Step step, TranslateStep(n, *parts.graph, std::move(inputs), 2, parts.state, 1));
  const std::vector<Value> captures = Translator::UniteCaptures({&step.body});
  std::vector<Value> body_out = step.body.outputs;
  const ir::GraphPtr inner = Translator::Close(std::move(step.body), std::move(body_out));
  // The wrapper's inputs: state, index, captures. In a body that runs, the condition was true.
  ir::Graph body;
  ir::Builder b(&body);
  std::vector<Value> state, args;
  for (std::size_t i = 0; i < parts.state; ++i) state.push_back(b.Input("", step.inputs[2 + i].type));
  args = {b.Input("index", ir::Type::Tensor(DType::kI64, {})), b.Constant(Literal::scalar(true))};
  args.insert(args.end(), state.begin(), state.end());
  for (const Value v : captures) args.push_back(b.Input("", n.b.type(v)));
  const std::vector<Value> called = b.AddAll("call", std::move(args), {{"body", inner}});
  TENON_RETURN_IF_ERROR(b.status());
  body.set_outputs({called.begin() + 1, called.end()});
  std::vector<Value> operands = parts.initial;
  operands.push_back(index);
  operands.insert(operands.end(), captures.begin(), captures.end());
  const Dim length = n.b.shape(index)[0];
  std::vector<Value> out = n.b.AddAll("scan", std::move(operands),
                                      {{"body", std::make_shared<const ir::Graph>(std::move(body))},
                                       {"carries", static_cast<std::int64_t>(parts.state)},
                                       {"scanned", std::int64_t{1}},
                                       {"length", Shape({length})}});
  TENON_RETURN_IF_ERROR(n.b.status());
  return out;
}

// Whether the body's condition output is always true, found by translating it once.
Result<bool> AlwaysGoesOn(NodeContext& n, const LoopParts& parts) {
  std::vector<ir::Output> inputs = {Known(ir::Type::Tensor(DType::kI64, {})),
                                    Known(ir::Type::Tensor(DType::kBool, {}))};
  for (const Value v : parts.initial) inputs.push_back(Known(n.b.type(v)));
  TENON_ASSIGN_OR_RETURN(const Body body, n.translator().TranslateBody(*parts.graph, n.scope(), std::move(inputs)));
  const ir::Graph& graph = body.frame->graph;
  Value v = body.outputs[0];
  while (graph.node(v).op->name == "identity") v = graph.node(v).inputs[0];
  if (v == graph.inputs()[1]) return true;  // hands on what it got, and it ran because that was true
  const std::optional<Literal> known = Translator::ConstantOf(graph, v);
  return known && known->size() == 1 && known->at(0) != 0;
}

Status Loop(NodeContext& n) {
  LoopParts parts;
  TENON_ASSIGN_OR_RETURN(parts.graph, GraphAttr(n, "body"));
  for (int i = 2; i < n.num_inputs(); ++i) parts.initial.push_back(n.in(i));
  parts.state = parts.initial.size();
  if (parts.graph->inputs.size() != parts.state + 2 || parts.graph->outputs.size() < parts.state + 1)
    return n.Fail(fmt::format("a body of {} inputs and {} outputs for {} values of state", parts.graph->inputs.size(),
                              parts.graph->outputs.size(), parts.state));
  parts.stacked = parts.graph->outputs.size() - parts.state - 1;
  if (n.num_outputs() > static_cast<int>(parts.state + parts.stacked))
    return n.Fail(fmt::format("{} outputs for {} values of state and {} stacked ones", n.num_outputs(), parts.state,
                              parts.stacked));
  const std::optional<Literal> first = n.Const(1);
  TENON_ASSIGN_OR_RETURN(const bool endless, AlwaysGoesOn(n, parts));
  const bool counted = endless && n.has(0) && (!n.has(1) || (first && first->at(0) != 0));
  const Value limit = n.has(0) ? Value(n.Reshape(n.b.Cast(n.in(0), DType::kI64), {}))
                               : n.b.Constant(Literal::scalar(std::numeric_limits<std::int64_t>::max()));
  const Value go = n.has(1) ? Value(n.Reshape(n.in(1), {})) : n.b.Constant(Literal::scalar(true));
  std::vector<Value> out;
  if (counted) {
    Value index;
    if (const std::optional<std::vector<Dim>> steps = n.Symbolic(n.in(0)); steps && steps->size() == 1) {
      const std::optional<std::int64_t> number = (*steps)[0].try_value();
      index = n.Iota(number ? Dim(std::max<std::int64_t>(*number, 0)) : (*steps)[0], DType::kI64);
    } else {
      index = IndexVector(n, limit);
    }
    TENON_ASSIGN_OR_RETURN(out, ScanForm(n, parts, index));
  } else {
    TENON_ASSIGN_OR_RETURN(out, WhileForm(n, parts, limit, go));
    const Value count = out.back();
    out.pop_back();
    // Values to stack: the loop is run once to count its steps, then again for that many.
    if (parts.stacked > 0) {
      TENON_ASSIGN_OR_RETURN(out, ScanForm(n, parts, IndexVector(n, count)));
    }
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    const bool held = i < parts.state && n.b.type(out[i]).kind() == ir::Type::Kind::kOptional;
    const TypeKind declared = parts.graph->outputs[i + 1].type.kind;
    if (held && (declared == TypeKind::kSequence || declared == TypeKind::kTensor))
      out[i] = n.Add("optional_value", {out[i]});
    n.Out(static_cast<int>(i), out[i]);
  }
  return {};
}

// x with `axis` in front (or, when `back`, the first axis put at `axis`).
Value MoveAxis(NodeContext& n, Value x, int axis, bool back) {
  if (axis == 0 || !n.b.ok()) return x;
  Ints permutation;
  const int rank = n.b.shape(x).rank();
  if (back) {
    for (int i = 1; i <= axis; ++i) permutation.push_back(i);
    permutation.push_back(0);
    for (int i = axis + 1; i < rank; ++i) permutation.push_back(i);
  } else {
    permutation.push_back(axis);
    for (int i = 0; i < rank; ++i)
      if (i != axis) permutation.push_back(i);
  }
  return n.Transpose(x, permutation);
}

// Opset 8: every input and output has a batch axis in front of the scanned one; the batch is taken apart.
Status BatchedScan(NodeContext& n) {
  if (n.has(0)) return n.Unsupported("sequence_lens");
  TENON_ASSIGN_OR_RETURN(const Graph* graph, GraphAttr(n, "body"));
  const std::int64_t scanned = n.Int("num_scan_inputs", 0), inputs = n.num_inputs() - 1;
  if (scanned < 1 || scanned > inputs) return n.Fail(fmt::format("num_scan_inputs is {}", scanned));
  const auto state = static_cast<std::size_t>(inputs - scanned);
  if (static_cast<std::int64_t>(graph->inputs.size()) != inputs || graph->outputs.size() < state)
    return n.Fail(fmt::format("a body of {} inputs and {} outputs for {} values of state and {} scanned ones",
                              graph->inputs.size(), graph->outputs.size(), state, scanned));
  const Ints directions = n.IntList("directions");
  std::vector<ir::Output> row_types;
  Dim batch = 1, length = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(inputs); ++i) {
    const Value v = n.in(static_cast<int>(i) + 1);
    if (!v.valid()) return n.Fail(fmt::format("input {} is left out", i + 1));
    TENON_ASSIGN_OR_RETURN(const Shape s, n.ShapeOf(v));
    const int lead = i < state ? 1 : 2;
    if (s.rank() < lead) return n.Fail(fmt::format("input {} is {}", i + 1, s.to_string()));
    batch = s[0];
    if (lead == 2) length = s[1];
    row_types.push_back(
        Known(ir::Type::Tensor(n.dtype(v), Shape(std::vector<Dim>(s.dims().begin() + lead, s.dims().end())))));
  }
  if (batch.is_symbolic() || batch.value() > 1024 || batch.value() < 1)
    return n.Unsupported(fmt::format("a batch of {}", batch.to_string()));
  TENON_ASSIGN_OR_RETURN(Step step, TranslateStep(n, *graph, std::move(row_types), 0, state, 0));
  const std::vector<Value> captures = Translator::UniteCaptures({&step.body});
  std::vector<Value> body_out = step.body.outputs;
  const ir::GraphPtr body = Translator::Close(std::move(step.body), std::move(body_out));
  std::vector<std::vector<Value>> parts;  // by output
  for (std::int64_t item = 0; item < batch.value(); ++item) {
    std::vector<Value> operands;
    for (std::size_t i = 0; i < static_cast<std::size_t>(inputs); ++i) {
      const Value v = n.in(static_cast<int>(i) + 1);
      Value x = n.Add("squeeze", {n.SliceAxis(v, 0, item, item + 1)}, {{"axes", Ints{0}}});
      if (i >= state && i - state < directions.size() && directions[i - state] == 1)
        x = n.Add("reverse", {x}, {{"axes", Ints{0}}});
      operands.push_back(x);
    }
    operands.insert(operands.end(), captures.begin(), captures.end());
    const std::vector<Value> out = n.b.AddAll("scan", std::move(operands),
                                              {{"body", body},
                                               {"carries", static_cast<std::int64_t>(state)},
                                               {"scanned", scanned},
                                               {"length", Shape({length})}});
    TENON_RETURN_IF_ERROR(n.b.status());
    parts.resize(out.size());
    for (std::size_t i = 0; i < out.size(); ++i)
      parts[i].push_back(n.Add("expand_dims", {out[i]}, {{"axes", Ints{0}}}));
  }
  for (std::size_t i = 0; i < parts.size(); ++i)
    n.Out(static_cast<int>(i), n.Add("concat", std::move(parts[i]), {{"axis", std::int64_t{0}}}));
  return {};
}

Status Scan(NodeContext& n) {
  if (n.opset < 9) return BatchedScan(n);
  for (int i = 0; i < n.num_inputs(); ++i)
    if (!n.has(i)) return n.Fail(fmt::format("input {} is left out", i));
  TENON_ASSIGN_OR_RETURN(const Graph* graph, GraphAttr(n, "body"));
  const std::int64_t scanned = n.Int("num_scan_inputs", 0);
  if (scanned < 1 || scanned > n.num_inputs()) return n.Fail(fmt::format("num_scan_inputs is {}", scanned));
  const std::size_t xs = static_cast<std::size_t>(scanned), state = static_cast<std::size_t>(n.num_inputs()) - xs;
  if (graph->inputs.size() != state + xs || graph->outputs.size() < state)
    return n.Fail(fmt::format("a body of {} inputs and {} outputs for {} values of state and {} scanned ones",
                              graph->inputs.size(), graph->outputs.size(), state, xs));
  const auto entry = [&](std::string_view name, std::size_t i) {
    const Ints list = n.IntList(name);
    return i < list.size() ? list[i] : 0;
  };
  std::vector<Value> operands(n.inputs().begin(), n.inputs().begin() + static_cast<std::ptrdiff_t>(state));
  std::vector<ir::Output> inputs;
  for (const Value v : operands) inputs.push_back(Known(n.b.type(v)));
  Dim length = 0;
  for (std::size_t i = 0; i < xs; ++i) {
    Value x = n.in(static_cast<int>(state + i));
    TENON_ASSIGN_OR_RETURN(const int rank, n.Rank(x));
    TENON_ASSIGN_OR_RETURN(const int axis, n.Axis(entry("scan_input_axes", i), rank));
    x = MoveAxis(n, x, axis, false);
    if (entry("scan_input_directions", i) == 1) x = n.Add("reverse", {x}, {{"axes", Ints{0}}});
    TENON_RETURN_IF_ERROR(n.b.status());
    const std::vector<Dim> dims = n.b.shape(x).dims();
    length = dims[0];
    inputs.push_back(Known(ir::Type::Tensor(n.dtype(x), Shape(std::vector<Dim>(dims.begin() + 1, dims.end())))));
    operands.push_back(x);
  }
  TENON_ASSIGN_OR_RETURN(Step step, TranslateStep(n, *graph, std::move(inputs), 0, state, 0));
  const std::vector<Value> captures = Translator::UniteCaptures({&step.body});
  operands.insert(operands.end(), captures.begin(), captures.end());
  std::vector<Value> body_out = step.body.outputs;
  const std::vector<Value> out = n.b.AddAll("scan", std::move(operands),
                                            {{"body", Translator::Close(std::move(step.body), std::move(body_out))},
                                             {"carries", static_cast<std::int64_t>(state)},
                                             {"scanned", scanned},
                                             {"length", Shape({length})}});
  TENON_RETURN_IF_ERROR(n.b.status());
  for (std::size_t i = 0; i < out.size(); ++i) {
    Value v = out[i];
    if (i >= state) {
      if (entry("scan_output_directions", i - state) == 1) v = n.Add("reverse", {v}, {{"axes", Ints{0}}});
      TENON_ASSIGN_OR_RETURN(const int rank, n.Rank(v));
      TENON_ASSIGN_OR_RETURN(const int axis, n.Axis(entry("scan_output_axes", i - state), rank));
      v = MoveAxis(n, v, axis, true);
    }
    n.Out(static_cast<int>(i), v);
  }
  return {};
}

const OpRow kRows[] = {
    {"Loop", 0, -1, -1, "body:g", Loop},
    {"Scan", 0, -1, -1,
     "body:g num_scan_inputs:i scan_input_axes:is scan_input_directions:is scan_output_axes:is "
     "scan_output_directions:is directions:is",
     Scan},
};

}  // namespace
const std::span<const OpRow> kControlRows = kRows;
}  // namespace tenon::onnx
