// Gradients of control flow.
#include "ops/control_util.h"

namespace tenon::ir::ops {

thread_local int Depth::depth = 0;

namespace {

GraphPtr Share(Graph graph) { return std::make_shared<const Graph>(std::move(graph)); }

Result<GraphPtr> Differentiated(GradContext& ctx, const Graph& body) {
  std::vector<bool> has_gradient;
  return ctx.differentiate()(body, &has_gradient);
}

// Cotangents of the float outputs.
void AddCotangents(GradContext& ctx, std::vector<Value>& to) {
  for (int i = 0; i < ctx.num_outputs(); ++i)
    if (IsDifferentiable(ctx.b.type(ctx.out(i)))) to.push_back(ctx.d(i));
}
// Results go to the float operands from `first` on, in order.
void SetGradients(GradContext& ctx, int first, const std::vector<Value>& results) {
  std::size_t next = 0;
  for (int i = first; i < ctx.num_inputs(); ++i) {
    if (!IsDifferentiable(ctx.b.type(ctx.in(i)))) continue;
    if (next < results.size()) ctx.Set(i, results[next]);
    ++next;
  }
}

// A loop of a fixed number of steps, seen from its gradient.
struct Loop {
  const Graph* body = nullptr;  // carries, rows, captures -> carries, further results
  std::size_t carries = 0, scanned = 0, captures = 0;
  Dim length;
  bool reverse = false;
  std::vector<Value> operands;  // carries, scanned, captures, in the graph around
};
std::vector<Value> InputsLike(Builder& b, const Graph& body, std::size_t from, std::size_t count) {
  std::vector<Value> out;
  for (std::size_t i = from; i < from + count; ++i) out.push_back(b.Input("", body.type(body.inputs()[i])));
  return out;
}
std::vector<Value> Joined(std::initializer_list<std::vector<Value>> parts) {
  std::vector<Value> out;
  for (const auto& part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}
Attrs ScanAttrs(Graph body, std::size_t carries, std::size_t scanned, const Dim& length, bool reverse) {
  return {{"body", Share(std::move(body))},
          {"carries", static_cast<std::int64_t>(carries)},
          {"scanned", static_cast<std::int64_t>(scanned)},
          {"length", Shape({length})},
          {"reverse", reverse}};
}

// The carries as they are before each step, stacked: the loop again, its carries among its results. `rows` gives the
// scan its length where the loop has none.
Result<std::vector<Value>> SavedCarries(Builder& b, const Loop& loop, const std::vector<Value>& rows) {
  if (loop.carries == 0) return std::vector<Value>();
  Graph graph;
  Builder g(&graph);
  const std::vector<Value> carries = InputsLike(g, *loop.body, 0, loop.carries);
  const std::vector<Value> scanned = InputsLike(g, *loop.body, loop.carries, loop.scanned);
  for (const Value v : rows)
    g.Input("",
            Type::Tensor(b.dtype(v), Shape(std::vector<Dim>(b.shape(v).dims().begin() + 1, b.shape(v).dims().end()))));
  const std::vector<Value> captures = InputsLike(g, *loop.body, loop.carries + loop.scanned, loop.captures);
  for (const Value v : carries)
    if (!g.type(v).is_tensor())
      return Status(Code::kFailedPrecondition,
                    "loop: the gradient needs carries that are tensors, got " + g.type(v).to_string());
  TENON_RETURN_IF_ERROR(g.status());
  std::vector<Value> out = CopyNodes(graph, *loop.body, Joined({carries, scanned, captures}));
  out.resize(loop.carries);
  graph.set_outputs(Joined({out, carries}));
  graph.Compact();
  std::vector<Value> operands(loop.operands.begin(),
                              loop.operands.begin() + static_cast<std::ptrdiff_t>(loop.carries + loop.scanned));
  operands =
      Joined({operands, rows, {loop.operands.end() - static_cast<std::ptrdiff_t>(loop.captures), loop.operands.end()}});
  std::vector<Value> results =
      b.AddAll("scan", std::move(operands),
               ScanAttrs(std::move(graph), loop.carries, loop.scanned + rows.size(), loop.length, loop.reverse));
  TENON_RETURN_IF_ERROR(b.status());
  return std::vector<Value>(results.begin() + static_cast<std::ptrdiff_t>(loop.carries), results.end());
}

// Sets the gradients of the operands. `carry_cotangents`: of the float carries after the last step; `row_cotangents`:
// of the float further results, stacked.
Status GradLoop(GradContext& ctx, const Loop& loop, const std::vector<Value>& saved,
                const std::vector<Value>& carry_cotangents, const std::vector<Value>& row_cotangents) {
  Builder& b = ctx.b;
  const Graph& body = *loop.body;
  TENON_ASSIGN_OR_RETURN(const GraphPtr gradient, Differentiated(ctx, body));
  const auto is_float = [&](std::size_t i) { return IsDifferentiable(body.type(body.inputs()[i])); };
  const std::size_t first_capture = loop.carries + loop.scanned;
  // One step back: (cotangents of carries, sums for captures), (carries before, rows, cotangents of results), captures.
  Graph graph;
  Builder g(&graph);
  std::vector<Value> d_carries, sums, d_results;
  std::vector<std::size_t> summed;  // captures whose gradient is wanted
  for (std::size_t i = 0; i < loop.carries; ++i)
    if (is_float(i)) d_carries.push_back(g.Input("", body.type(body.inputs()[i])));
  for (std::size_t i = first_capture; i < first_capture + loop.captures; ++i) {
    if (!is_float(i) || !ctx.wants(static_cast<int>(i))) continue;
    summed.push_back(i);
    sums.push_back(g.Input("", body.type(body.inputs()[i])));
  }
  const std::vector<Value> before = InputsLike(g, body, 0, loop.carries),
                           rows = InputsLike(g, body, loop.carries, loop.scanned);
  for (std::size_t i = loop.carries; i < body.outputs().size(); ++i)
    if (IsDifferentiable(body.type(body.outputs()[i]))) d_results.push_back(g.Input("", body.type(body.outputs()[i])));
  const std::vector<Value> captures = InputsLike(g, body, first_capture, loop.captures);
  TENON_RETURN_IF_ERROR(g.status());
  const std::vector<Value> found = CopyNodes(graph, *gradient, Joined({before, rows, captures, d_carries, d_results}));
  std::vector<Value> next_carries, next_sums, d_rows;
  std::size_t at = 0;
  for (std::size_t i = 0; i < body.inputs().size(); ++i) {
    if (!is_float(i)) continue;
    const Value v = found[at++];
    if (i < loop.carries)
      next_carries.push_back(v);
    else if (i < first_capture)
      d_rows.push_back(v);
    else if (next_sums.size() < summed.size() && summed[next_sums.size()] == i)
      next_sums.push_back(g.Add("add", {sums[next_sums.size()], v}));
  }
  TENON_RETURN_IF_ERROR(g.status());
  graph.set_outputs(Joined({next_carries, next_sums, d_rows}));
  graph.Compact();
  std::vector<Value> operands = carry_cotangents;
  for (const std::size_t i : summed) operands.push_back(b.ZerosLike(loop.operands[i]));
  const std::vector<Value> scanned(loop.operands.begin() + static_cast<std::ptrdiff_t>(loop.carries),
                                   loop.operands.begin() + static_cast<std::ptrdiff_t>(first_capture));
  const std::vector<Value> captured(loop.operands.begin() + static_cast<std::ptrdiff_t>(first_capture),
                                    loop.operands.end());
  operands = Joined({operands, saved, scanned, row_cotangents, captured});
  const std::size_t carried = next_carries.size() + next_sums.size();
  const std::vector<Value> results =
      b.AddAll("scan", std::move(operands),
               ScanAttrs(std::move(graph), carried, saved.size() + scanned.size() + row_cotangents.size(), loop.length,
                         !loop.reverse));
  TENON_RETURN_IF_ERROR(b.status());
  std::size_t carry = 0, sum = next_carries.size(), row = carried;
  for (std::size_t i = 0; i < body.inputs().size(); ++i) {
    if (!is_float(i)) continue;
    if (i < loop.carries)
      ctx.Set(static_cast<int>(i), results[carry++]);
    else if (i < first_capture)
      ctx.Set(static_cast<int>(i), results[row++]);
    else if (sum - next_carries.size() < summed.size() && summed[sum - next_carries.size()] == i)
      ctx.Set(static_cast<int>(i), results[sum++]);
  }
  return {};
}

Loop LoopOf(GradContext& ctx, std::size_t scanned) {
  Loop loop;
  loop.body = &ctx.attrs().Body("body");
  loop.carries = static_cast<std::size_t>(ctx.attrs().Int("carries"));
  loop.scanned = scanned;
  loop.captures = static_cast<std::size_t>(ctx.num_inputs()) - loop.carries - scanned;
  for (int i = 0; i < ctx.num_inputs(); ++i) loop.operands.push_back(ctx.in(i));
  return loop;
}

}  // namespace

Status GradCond(GradContext& ctx) {
  TENON_ASSIGN_OR_RETURN(const GraphPtr then_gradient, Differentiated(ctx, ctx.attrs().Body("then_branch")));
  TENON_ASSIGN_OR_RETURN(const GraphPtr else_gradient, Differentiated(ctx, ctx.attrs().Body("else_branch")));
  std::vector<Value> operands;
  for (int i = 0; i < ctx.num_inputs(); ++i) operands.push_back(ctx.in(i));
  AddCotangents(ctx, operands);
  SetGradients(
      ctx, 1,
      ctx.b.AddAll("cond", std::move(operands), {{"then_branch", then_gradient}, {"else_branch", else_gradient}}));
  return ctx.b.status();
}

Status GradCall(GradContext& ctx) {
  TENON_ASSIGN_OR_RETURN(const GraphPtr gradient, Differentiated(ctx, ctx.attrs().Body("body")));
  std::vector<Value> operands;
  for (int i = 0; i < ctx.num_inputs(); ++i) operands.push_back(ctx.in(i));
  AddCotangents(ctx, operands);
  SetGradients(ctx, 0, ctx.b.AddAll("call", std::move(operands), {{"body", gradient}}));
  return ctx.b.status();
}

Status GradScan(GradContext& ctx) {
  Loop loop = LoopOf(ctx, static_cast<std::size_t>(ctx.attrs().Int("scanned")));
  loop.length = ctx.attrs().Dims("length")[0];
  loop.reverse = ctx.attrs().Bool("reverse");
  TENON_ASSIGN_OR_RETURN(const std::vector<Value> saved, SavedCarries(ctx.b, loop, {}));
  std::vector<Value> d_carries, d_rows;
  for (int i = 0; i < ctx.num_outputs(); ++i)
    if (IsDifferentiable(ctx.b.type(ctx.out(i))))
      (static_cast<std::size_t>(i) < loop.carries ? d_carries : d_rows).push_back(ctx.d(i));
  return GradLoop(ctx, loop, saved, d_carries, d_rows);
}

Status GradWhile(GradContext& ctx) {
  Builder& b = ctx.b;
  Loop loop = LoopOf(ctx, 0);
  // A vector as long as the trip count: its dim is the length of the scans.
  const Value trips = b.Reshape(ctx.out(static_cast<int>(loop.carries)), Shape({1}));
  const Value steps = b.Add("broadcast_to", {b.Constant(Literal::scalar(false)), trips});
  TENON_RETURN_IF_ERROR(b.status());
  loop.length = b.shape(steps)[0];
  TENON_ASSIGN_OR_RETURN(const std::vector<Value> saved, SavedCarries(b, loop, {steps}));
  std::vector<Value> d_carries;
  for (std::size_t i = 0; i < loop.carries; ++i)
    if (IsDifferentiable(b.type(ctx.out(static_cast<int>(i))))) d_carries.push_back(ctx.d(static_cast<int>(i)));
  return GradLoop(ctx, loop, saved, d_carries, {});
}

}  // namespace tenon::ir::ops
