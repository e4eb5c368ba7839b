// cond -> If, while_loop -> Loop, scan -> Scan (Loop when it carries a sequence or an optional), call -> the nodes of
// its body. Captures are plain references.
#include "formats/onnx/data_type.h"
#include "formats/onnx/dims.h"
#include "formats/onnx/export/families.h"
#include "ir/numeric.h"

namespace tenon::onnx {
namespace {

ValueInfo Info(const std::string& name, const ir::Type& type) {
  ValueInfo info;
  info.name = name;
  info.type = WriteType(type);
  return info;
}

// Inner outputs must be made by nodes of the inner graph.
std::string Own(OpWriter& w, const std::string& name) { return w.Emit("Identity", {name}); }

// That an Identity may carry what a body gives: sequences since opset 14, optionals since 16.
Status CheckCarried(OpWriter& w, const ir::Graph& body) {
  for (const ir::Value v : body.outputs()) {
    const ir::Type::Kind kind = body.type(v).kind();
    if ((kind == ir::Type::Kind::kSequence && w.opset() < 14) || (kind == ir::Type::Kind::kOptional && w.opset() < 16))
      return w.Unsupported("a " + body.type(v).to_string() + " that a graph inside gives");
  }
  return {};
}

Names OutputNames(OpWriter& w, std::size_t count) {
  Names names;
  for (std::size_t k = 0; k < count; ++k) names.push_back(w.out(static_cast<int>(k)));
  return names;
}

Status Cond(OpWriter& w) {
  Names captures = w.ins();
  const std::string predicate = captures[0];
  captures.erase(captures.begin());
  std::vector<Attribute> attributes;
  for (const char* branch : {"then_branch", "else_branch"}) {
    const ir::Graph& graph = w.attrs().Body(branch);
    TENON_RETURN_IF_ERROR(CheckCarried(w, graph));
    w.x.Push();
    const Names made = w.x.InlineGraph(graph, captures);
    std::vector<ValueInfo> outputs;
    for (std::size_t k = 0; k < made.size(); ++k)
      outputs.push_back(Info(Own(w, made[k]), graph.type(graph.outputs()[k])));
    Graph body = w.x.Pop();
    body.name = branch;
    body.outputs = std::move(outputs);
    attributes.push_back(GraphAttribute(branch, std::move(body)));
  }
  w.x.EmitAll("If", {predicate}, std::move(attributes), OutputNames(w, w.node().outputs.size()));
  return {};
}

// Our condition is asked before each step, theirs is an output of the step before.
Status While(OpWriter& w) {
  const auto carries = static_cast<std::size_t>(w.attrs().Int("carries"));
  const ir::Graph &condition = w.attrs().Body("condition"), &body = w.attrs().Body("body");
  TENON_RETURN_IF_ERROR(CheckCarried(w, body));
  const Names inputs = w.ins();
  const std::string first = w.x.InlineGraph(condition, inputs)[0];
  w.x.Push();
  Names inner;
  std::vector<ValueInfo> graph_inputs = {Info(w.x.Fresh("step"), ir::Type::Tensor(DType::kI64, {})),
                                         Info(w.x.Fresh("go"), ir::Type::Tensor(DType::kBool, {}))};
  for (std::size_t i = 0; i < carries; ++i) {
    inner.push_back(w.x.Fresh("carry"));
    graph_inputs.push_back(Info(inner.back(), body.type(body.inputs()[i])));
  }
  inner.insert(inner.end(), inputs.begin() + static_cast<std::ptrdiff_t>(carries), inputs.end());
  const Names next = w.x.InlineGraph(body, inner);
  Names again(next.begin(), next.begin() + static_cast<std::ptrdiff_t>(carries));
  again.insert(again.end(), inputs.begin() + static_cast<std::ptrdiff_t>(carries), inputs.end());
  std::vector<ValueInfo> outputs = {
      Info(Own(w, w.x.InlineGraph(condition, again)[0]), ir::Type::Tensor(DType::kBool, {}))};
  for (std::size_t i = 0; i < carries; ++i) outputs.push_back(Info(Own(w, next[i]), body.type(body.outputs()[i])));
  // The number of steps: one more state value.
  const std::string count_in = w.x.Fresh("count"), one = w.x.Constant(Literal::scalar<std::int64_t>(1));
  graph_inputs.push_back(Info(count_in, ir::Type::Tensor(DType::kI64, {})));
  outputs.push_back(Info(w.Emit("Add", {count_in, one}), ir::Type::Tensor(DType::kI64, {})));
  Graph loop = w.x.Pop();
  loop.name = "body";
  loop.inputs = std::move(graph_inputs);
  loop.outputs = std::move(outputs);
  Names operands = {"", first};
  operands.insert(operands.end(), inputs.begin(), inputs.begin() + static_cast<std::ptrdiff_t>(carries));
  operands.push_back(w.x.Constant(Literal::scalar<std::int64_t>(0)));
  w.x.EmitAll("Loop", std::move(operands), {GraphAttribute("body", std::move(loop))}, OutputNames(w, carries + 1));
  return {};
}

// Scan carries tensors only.
Status ScanAsLoop(OpWriter& w) {
  const auto carries = static_cast<std::size_t>(w.attrs().Int("carries"));
  const auto scanned = static_cast<std::size_t>(w.attrs().Int("scanned"));
  const ir::Graph& body = w.attrs().Body("body");
  TENON_RETURN_IF_ERROR(CheckCarried(w, body));
  if (w.attrs().Bool("reverse")) return w.Unsupported("a reversed scan that carries a sequence");
  const Names inputs = w.ins();
  std::string count;
  if (scanned == 0) {
    TENON_ASSIGN_OR_RETURN(count, w.x.DimScalar(w.attrs().Dims("length")[0]));
    count = w.Emit("Reshape", {count, w.Ints1({})});
  } else {
    const std::string dims = w.Emit("Shape", {inputs[carries]});
    count = w.Emit("Gather", {dims, w.x.Constant(Literal::scalar<std::int64_t>(0))});
  }
  w.x.Push();
  const std::string step = w.x.Fresh("step"), go = w.x.Fresh("go");
  std::vector<ValueInfo> graph_inputs = {Info(step, ir::Type::Tensor(DType::kI64, {})),
                                         Info(go, ir::Type::Tensor(DType::kBool, {}))};
  Names inner;
  for (std::size_t i = 0; i < carries; ++i) {
    inner.push_back(w.x.Fresh("carry"));
    graph_inputs.push_back(Info(inner.back(), body.type(body.inputs()[i])));
  }
  for (std::size_t i = carries; i < carries + scanned; ++i) inner.push_back(w.Emit("Gather", {inputs[i], step}));
  inner.insert(inner.end(), inputs.begin() + static_cast<std::ptrdiff_t>(carries + scanned), inputs.end());
  const Names made = w.x.InlineGraph(body, inner);
  std::vector<ValueInfo> outputs = {Info(Own(w, go), ir::Type::Tensor(DType::kBool, {}))};
  for (std::size_t k = 0; k < made.size(); ++k) outputs.push_back(Info(Own(w, made[k]), body.type(body.outputs()[k])));
  Graph loop = w.x.Pop();
  loop.name = "body";
  loop.inputs = std::move(graph_inputs);
  loop.outputs = std::move(outputs);
  Names operands = {count, ""};
  operands.insert(operands.end(), inputs.begin(), inputs.begin() + static_cast<std::ptrdiff_t>(carries));
  w.x.EmitAll("Loop", std::move(operands), {GraphAttribute("body", std::move(loop))}, OutputNames(w, made.size()));
  return {};
}

Status Scan(OpWriter& w) {
  const auto carries = static_cast<std::size_t>(w.attrs().Int("carries"));
  const auto scanned = static_cast<std::size_t>(w.attrs().Int("scanned"));
  const ir::Graph& body = w.attrs().Body("body");
  for (std::size_t i = 0; i < carries; ++i)
    if (!body.type(body.inputs()[i]).is_tensor()) return ScanAsLoop(w);
  const bool reverse = w.attrs().Bool("reverse");
  const Names inputs = w.ins();
  const auto at = [&](std::size_t i) { return inputs.begin() + static_cast<std::ptrdiff_t>(i); };
  // Scan needs something to scan: a scan of none gets the step numbers.
  std::string steps;
  if (scanned == 0) {
    TENON_ASSIGN_OR_RETURN(const std::string count, w.x.DimScalar(w.attrs().Dims("length")[0]));
    const auto number = [&](std::int64_t n) { return w.x.Constant(Literal::scalar(n)); };
    steps = w.Emit("Range", {number(0), w.Emit("Squeeze", {count, w.Ints1({0})}), number(1)});
  }
  w.x.Push();
  Names inner;
  std::vector<ValueInfo> graph_inputs;
  for (std::size_t i = 0; i < carries + scanned; ++i) {
    inner.push_back(w.x.Fresh(i < carries ? "carry" : "item"));
    graph_inputs.push_back(Info(inner.back(), body.type(body.inputs()[i])));
  }
  if (scanned == 0) graph_inputs.push_back(Info(w.x.Fresh("step"), ir::Type::Tensor(DType::kI64, {})));
  inner.insert(inner.end(), at(carries + scanned), inputs.end());
  const Names made = w.x.InlineGraph(body, inner);
  std::vector<ValueInfo> outputs;
  for (std::size_t k = 0; k < made.size(); ++k) outputs.push_back(Info(Own(w, made[k]), body.type(body.outputs()[k])));
  Graph loop = w.x.Pop();
  loop.name = "body";
  loop.inputs = std::move(graph_inputs);
  loop.outputs = std::move(outputs);
  const std::size_t stacked = made.size() - carries;
  Names operands(inputs.begin(), at(carries + scanned));
  if (scanned == 0) operands.push_back(steps);
  std::vector<Attribute> attributes = {
      GraphAttribute("body", std::move(loop)),
      IntAttribute("num_scan_inputs", std::max<std::int64_t>(w.attrs().Int("scanned"), 1))};
  if (reverse) {
    attributes.push_back(IntsAttribute("scan_input_directions", Ints(std::max<std::size_t>(scanned, 1), 1)));
    attributes.push_back(IntsAttribute("scan_output_directions", Ints(stacked, 1)));
  }
  w.x.EmitAll("Scan", std::move(operands), std::move(attributes), OutputNames(w, made.size()));
  return {};
}

Status Call(OpWriter& w) {
  TENON_RETURN_IF_ERROR(CheckCarried(w, w.attrs().Body("body")));
  const Names made = w.x.InlineGraph(w.attrs().Body("body"), w.ins());
  for (std::size_t k = 0; k < made.size(); ++k) w.x.Emit("Identity", {made[k]}, {}, {w.out(static_cast<int>(k))});
  return {};
}

const ExportRow kRows[] = {
    {"cond", 13, Cond},
    {"while_loop", 13, While},
    {"scan", 13, Scan},
    {"call", 13, Call},
};

}  // namespace
const std::span<const ExportRow> kExportControl = kRows;
}  // namespace tenon::onnx
