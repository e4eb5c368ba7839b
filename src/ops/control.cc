// Ops that hold closed sub-graphs: what they need stands among their operands, captures last.
#include "ops/control_util.h"

namespace tenon::ir::ops {
namespace {

std::size_t Count(std::int64_t n) { return static_cast<std::size_t>(n); }

// A body with as many inputs as operands from `first` on, each taking its operand.
Status BindOperands(InferContext& ctx, const Graph* body, std::string_view name, int first, int constraint,
                    std::optional<BodyTypes>& types) {
  if (body == nullptr) return ctx.Fail(constraint, "attribute \"" + std::string(name) + "\" holds no graph");
  const int given = ctx.num_inputs() - first;
  if (static_cast<int>(body->inputs().size()) != given)
    return ctx.Fail(constraint, "got " + std::to_string(given) + " operands, expected " +
                                    std::to_string(body->inputs().size()) + ", the inputs of \"" + std::string(name) +
                                    "\"");
  types.emplace(ctx, *body, name, constraint);
  for (int i = 0; i < given; ++i) {
    if (!ctx.has(first + i)) return ctx.Fail(constraint, "operand " + std::to_string(first + i) + " is absent");
    TENON_RETURN_IF_ERROR(types->Bind(Count(i), ctx.type(first + i)));
  }
  return {};
}
Status CheckScalarBool(InferContext& ctx, const Type& t, int constraint, std::string_view what) {
  if (t.is_tensor() && t.dtype() == DType::kBool && (!t.has_rank() || t.rank() == 0)) return {};
  return ctx.Fail(constraint, std::string(what) + ": got " + t.to_string() + ", expected a bool scalar");
}

// c1: the predicate is a bool scalar. c2: the branches take the captures. c3: they give as many results, of one type
// each.
Status InferCond(InferContext& ctx) {
  TENON_RETURN_IF_ERROR(CheckScalarBool(ctx, ctx.type(0), 1, "predicate"));
  std::optional<BodyTypes> then_types, else_types;
  const Graph *then_body = BodyOf(ctx.attrs(), "then_branch"), *else_body = BodyOf(ctx.attrs(), "else_branch");
  TENON_RETURN_IF_ERROR(BindOperands(ctx, then_body, "then_branch", 1, 2, then_types));
  TENON_RETURN_IF_ERROR(BindOperands(ctx, else_body, "else_branch", 1, 2, else_types));
  const std::size_t count = then_body->outputs().size();
  if (else_body->outputs().size() != count)
    return ctx.Fail(3, "got " + std::to_string(count) + " results of then_branch and " +
                           std::to_string(else_body->outputs().size()) + " of else_branch, expected as many");
  for (std::size_t i = 0; i < count; ++i) {
    const Type a = then_types->Outside(then_types->declared_output(i)),
               b = else_types->Outside(else_types->declared_output(i));
    const std::optional<Type> joined = JoinTypes(a, b);
    if (!joined)
      return ctx.Fail(3, "result " + std::to_string(i) + ": got " + a.to_string() + " and " + b.to_string() +
                             ", expected one type");
    ctx.Set(static_cast<int>(i), *joined);
  }
  return {};
}
Status EvalCond(EvalContext& ctx) {
  const Depth depth;
  TENON_RETURN_IF_ERROR(depth.Check(ctx));
  const bool yes = ToInts(ctx.in(0))[0] != 0;
  TENON_ASSIGN_OR_RETURN(std::vector<Datum> out,
                         ctx.Run(ctx.attrs().Body(yes ? "then_branch" : "else_branch"), Operands(ctx, 1)));
  for (std::size_t i = 0; i < out.size(); ++i) ctx.Set(static_cast<int>(i), std::move(out[i]));
  return {};
}

// What carry i of a loop is afterwards: its first type where the body keeps a dim, a fresh dim where it may change.
Result<Type> CarryType(const InferContext& ctx, BodyTypes& types, std::size_t i, const Type& first, int constraint) {
  const Type &before = types.declared_input(i), &after = types.declared_output(i);
  const auto changes = [&] {
    return ctx.Fail(constraint, "carry " + std::to_string(i) + ": the body turns " + before.to_string() + " into " +
                                    after.to_string());
  };
  if (!before.Accepts(after)) {
    // Dims that grow from step to step are symbols of the body.
    if (!before.is_tensor() || !after.is_tensor() || before.dtype() != after.dtype() || !before.has_rank() ||
        !after.has_rank() || before.rank() != after.rank())
      return changes();
    for (int axis = 0; axis < before.rank(); ++axis)
      if (Differ(before.shape()[axis], after.shape()[axis]) && before.shape()[axis].symbol_name().empty())
        return changes();
  }
  if (!before.is_tensor()) {
    const std::optional<Type> joined = JoinTypes(first, types.Outside(after));
    return joined ? Result<Type>(*joined) : Result<Type>(changes());
  }
  if (!before.has_rank() || !after.has_rank() || !first.has_rank()) {
    const std::optional<Type> joined = JoinTypes(first, types.Outside(after));
    return joined ? Result<Type>(before.has_rank() && first.has_rank() ? first : *joined) : Result<Type>(changes());
  }
  std::vector<Dim> dims;
  for (int axis = 0; axis < before.rank(); ++axis)
    dims.push_back(before.shape()[axis] == after.shape()[axis] ? first.shape()[axis] : ctx.FreshDim());
  return Type::Tensor(first.dtype(), Shape(std::move(dims)));
}

// c1: `carries` is in range. c2: condition and body take the operands. c3: the condition gives a bool scalar. c4: the
// body gives the carries back.
Status InferWhile(InferContext& ctx) {
  const std::int64_t carries = ctx.attrs().Int("carries");
  if (carries < 0 || carries > ctx.num_inputs())
    return ctx.Fail(1,
                    "got " + std::to_string(carries) + " carries of " + std::to_string(ctx.num_inputs()) + " operands");
  std::optional<BodyTypes> condition_types, types;
  const Graph *condition = BodyOf(ctx.attrs(), "condition"), *body = BodyOf(ctx.attrs(), "body");
  TENON_RETURN_IF_ERROR(BindOperands(ctx, condition, "condition", 0, 2, condition_types));
  TENON_RETURN_IF_ERROR(BindOperands(ctx, body, "body", 0, 2, types));
  if (condition->outputs().size() != 1)
    return ctx.Fail(3, "the condition gives " + std::to_string(condition->outputs().size()) + " results, expected one");
  TENON_RETURN_IF_ERROR(CheckScalarBool(ctx, condition_types->declared_output(0), 3, "condition"));
  if (body->outputs().size() != Count(carries))
    return ctx.Fail(4, "the body gives " + std::to_string(body->outputs().size()) + " results, expected " +
                           std::to_string(carries) + " carries");
  for (std::size_t i = 0; i < Count(carries); ++i) {
    TENON_ASSIGN_OR_RETURN(Type type, CarryType(ctx, *types, i, ctx.type(static_cast<int>(i)), 4));
    ctx.Set(static_cast<int>(i), std::move(type));
  }
  ctx.Set(static_cast<int>(carries), DType::kI64, {});
  ctx.SetValue(static_cast<int>(carries), {ctx.FreshDim()});
  return {};
}
Status EvalWhile(EvalContext& ctx) {
  const Depth depth;
  TENON_RETURN_IF_ERROR(depth.Check(ctx));
  const std::size_t carries = Count(ctx.attrs().Int("carries"));
  std::vector<Datum> now = Operands(ctx, 0);
  std::int64_t trips = 0;
  for (;; ++trips) {
    TENON_ASSIGN_OR_RETURN(const std::vector<Datum> go, ctx.Run(ctx.attrs().Body("condition"), now));
    if (go[0].literal().size() != 1)
      return ctx.Fail("the condition gave " + go[0].type().to_string() + ", expected a bool scalar");
    if (ToInts(go[0].literal())[0] == 0) break;
    TENON_ASSIGN_OR_RETURN(std::vector<Datum> next, ctx.Run(ctx.attrs().Body("body"), now));
    for (std::size_t i = 0; i < carries; ++i) now[i] = std::move(next[i]);
  }
  for (std::size_t i = 0; i < carries; ++i) ctx.Set(static_cast<int>(i), std::move(now[i]));
  ctx.Set(static_cast<int>(carries), Literal::scalar(trips));
  return {};
}

// c1: `carries` and `scanned` are in range, one length. c2: every scanned operand has axis 0 of the length. c3: the
// body takes carries, rows and captures. c4: it gives the carries back and tensors to stack.
Status InferScan(InferContext& ctx) {
  const std::int64_t carries = ctx.attrs().Int("carries"), scanned = ctx.attrs().Int("scanned");
  if (carries < 0 || scanned < 0 || carries > ctx.num_inputs() || scanned > ctx.num_inputs() - carries)
    return ctx.Fail(1, "got " + std::to_string(carries) + " carries and " + std::to_string(scanned) + " scanned of " +
                           std::to_string(ctx.num_inputs()) + " operands");
  if (ctx.attrs().Dims("length").rank() != 1)
    return ctx.Fail(1, "got " + std::to_string(ctx.attrs().Dims("length").rank()) + " lengths, expected one");
  const Dim length = ctx.attrs().Dims("length")[0];
  if (KnownLess(length, 0)) return ctx.Fail(1, "got length " + length.to_string() + ", expected 0 or more");
  const Graph* body = BodyOf(ctx.attrs(), "body");
  if (body == nullptr) return ctx.Fail(3, "attribute \"body\" holds no graph");
  if (static_cast<int>(body->inputs().size()) != ctx.num_inputs())
    return ctx.Fail(3, "got " + std::to_string(ctx.num_inputs()) + " operands, expected " +
                           std::to_string(body->inputs().size()) + ", the inputs of the body");
  BodyTypes types(ctx, *body, "body", 3);
  for (int i = 0; i < ctx.num_inputs(); ++i) {
    if (!ctx.has(i)) return ctx.Fail(3, "operand " + std::to_string(i) + " is absent");
    Type type = ctx.type(i);
    if (i >= carries && i < carries + scanned) {
      if (!type.is_tensor() || (type.has_rank() && type.rank() == 0))
        return ctx.Fail(2,
                        "operand " + std::to_string(i) + ": got " + type.to_string() + ", expected a tensor with rows");
      if (type.has_rank()) {
        if (Differ(type.shape()[0], length))
          return ctx.Fail(2, "operand " + std::to_string(i) + ": got " + type.to_string() + ", expected " +
                                 length.to_string() + " rows");
        type = Type::Tensor(type.dtype(),
                            Shape(std::vector<Dim>(type.shape().dims().begin() + 1, type.shape().dims().end())));
      }
    }
    TENON_RETURN_IF_ERROR(types.Bind(Count(i), type));
  }
  if (body->outputs().size() < Count(carries))
    return ctx.Fail(4, "the body gives " + std::to_string(body->outputs().size()) + " results, expected at least the " +
                           std::to_string(carries) + " carries");
  for (std::size_t i = 0; i < body->outputs().size(); ++i) {
    if (i < Count(carries)) {
      TENON_ASSIGN_OR_RETURN(Type type, CarryType(ctx, types, i, ctx.type(static_cast<int>(i)), 4));
      ctx.Set(static_cast<int>(i), std::move(type));
      continue;
    }
    Type row = types.Outside(types.declared_output(i));
    if (!row.is_tensor())
      return ctx.Fail(4, "result " + std::to_string(i) + ": got " + row.to_string() + ", expected a tensor to stack");
    if (row.has_rank()) {
      std::vector<Dim> dims = row.shape().dims();
      dims.insert(dims.begin(), length);
      row = Type::Tensor(row.dtype(), Shape(std::move(dims)));
    }
    ctx.Set(static_cast<int>(i), std::move(row));
  }
  return {};
}
Status EvalScan(EvalContext& ctx) {
  const Depth depth;
  TENON_RETURN_IF_ERROR(depth.Check(ctx));
  const std::size_t carries = Count(ctx.attrs().Int("carries")), scanned = Count(ctx.attrs().Int("scanned"));
  const std::int64_t length = ctx.attrs().Dims("length")[0].value();
  const bool reverse = ctx.attrs().Bool("reverse");
  std::vector<Datum> now = Operands(ctx, 0);
  std::vector<std::vector<Literal>> stacked(static_cast<std::size_t>(ctx.num_outputs()) - carries);
  for (std::int64_t step = 0; step < length; ++step) {
    const std::int64_t row = reverse ? length - 1 - step : step;
    std::vector<Datum> args = now;
    for (std::size_t i = carries; i < carries + scanned; ++i) args[i] = Datum(RowOf(now[i].literal(), row));
    TENON_ASSIGN_OR_RETURN(std::vector<Datum> out, ctx.Run(ctx.attrs().Body("body"), std::move(args)));
    for (std::size_t i = 0; i < carries; ++i) now[i] = std::move(out[i]);
    for (std::size_t i = 0; i < stacked.size(); ++i) {
      const Literal& y = out[carries + i].literal();
      if (!stacked[i].empty() && stacked[i][0].dims() != y.dims())
        return ctx.Fail("result " + std::to_string(carries + i) + " became " + y.shape().to_string() + " at step " +
                        std::to_string(step) + ", expected " + stacked[i][0].shape().to_string() + " as before");
      stacked[i].push_back(y);
    }
  }
  for (std::size_t i = 0; i < carries; ++i) ctx.Set(static_cast<int>(i), std::move(now[i]));
  for (std::size_t i = 0; i < stacked.size(); ++i) {
    const int k = static_cast<int>(carries + i);
    if (stacked[i].empty()) {
      if (!ctx.out_type(k).is_static())
        return ctx.Fail("a scan of no steps leaves the dims of result " + std::to_string(k) +
                        " open: " + ctx.out_type(k).to_string());
      ctx.Set(k, Literal(ctx.out_dtype(k), ctx.out_dims(k)));
      continue;
    }
    if (reverse) std::reverse(stacked[i].begin(), stacked[i].end());
    ctx.Set(k, Stack(stacked[i]));
  }
  return {};
}

// c1: the body takes the operands.
Status InferCall(InferContext& ctx) {
  std::optional<BodyTypes> types;
  const Graph* body = BodyOf(ctx.attrs(), "body");
  TENON_RETURN_IF_ERROR(BindOperands(ctx, body, "body", 0, 1, types));
  for (std::size_t i = 0; i < body->outputs().size(); ++i)
    ctx.Set(static_cast<int>(i), types->Outside(types->declared_output(i)));
  return {};
}
Status EvalCall(EvalContext& ctx) {
  const Depth depth;
  TENON_RETURN_IF_ERROR(depth.Check(ctx));
  TENON_ASSIGN_OR_RETURN(std::vector<Datum> out, ctx.Run(ctx.attrs().Body("body"), Operands(ctx, 0)));
  for (std::size_t i = 0; i < out.size(); ++i) ctx.Set(static_cast<int>(i), std::move(out[i]));
  return {};
}
Status LowerCall(LowerContext& ctx) {
  std::vector<Value> args;
  for (int i = 0; i < ctx.num_inputs(); ++i) args.push_back(ctx.in(i));
  const std::vector<Value> out = InlineNodes(ctx.b, ctx.attrs().Body("body"), args);
  for (std::size_t i = 0; i < out.size(); ++i) ctx.Set(static_cast<int>(i), out[i]);
  return {};
}

constexpr Port kOperands = {.name = "operands", .dtypes = kStorageSet, .flags = kVariadic | kMixed | kNonTensor};
constexpr Port kResults = {.name = "results", .dtypes = kStorageSet, .flags = kVariadic | kMixed | kNonTensor};

constinit const OpDef kOps[] = {
    {.name = "cond",
     .summary = "The results of one of two branches, run with the captures.",
     .inputs = {{.name = "predicate", .type = "P", .dtypes = kBoolSet, .flags = kNotDifferentiable, .doc = "a scalar"},
                kOperands},
     .outputs = {kResults},
     .attrs = {Required("then_branch", AttrKind::kGraph, "captures -> results"),
               Required("else_branch", AttrKind::kGraph, "captures -> results")},
     .traits = kControl | kDiscrete,
     .infer = InferCond,
     .eval = EvalCond,
     .grad = GradCond,
     .samples = CondSamples},
    {.name = "while_loop",
     .summary = "Carries passed through the body as long as the condition holds. Operands: carries, captures. Results: "
                "carries, then how often the body ran (i64).",
     .inputs = {kOperands},
     .outputs = {kResults},
     .attrs = {Required("condition", AttrKind::kGraph, "carries, captures -> bool scalar"),
               Required("body", AttrKind::kGraph, "carries, captures -> carries"),
               Required("carries", AttrKind::kInt, "how many operands are carries")},
     .traits = kControl | kDiscrete,
     .infer = InferWhile,
     .eval = EvalWhile,
     .grad = GradWhile,
     .samples = WhileSamples},
    {.name = "scan",
     .summary = "The body run once for each row (axis 0) of the scanned operands, carrying values along. Operands: "
                "carries, scanned, captures. Results: carries, "
                "then each further result of the body stacked on axis 0.",
     .inputs = {kOperands},
     .outputs = {kResults},
     .attrs = {Required("body", AttrKind::kGraph, "carries, rows, captures -> carries, further results"),
               Required("carries", AttrKind::kInt, "how many operands are carries"),
               Required("scanned", AttrKind::kInt, "how many operands are cut into rows"),
               Required("length", AttrKind::kDims, "one entry: how many steps"),
               BoolAttr("reverse", false, "from the last row to the first; results stand where their row stood")},
     .traits = kControl,
     .infer = InferScan,
     .eval = EvalScan,
     .grad = GradScan,
     .samples = ScanSamples},
    {.name = "call",
     .summary = "The results of a sub-graph.",
     .inputs = {kOperands},
     .outputs = {kResults},
     .attrs = {Required("body", AttrKind::kGraph, "operands -> results")},
     .traits = kControl,
     .infer = InferCall,
     .eval = EvalCall,
     .grad = GradCall,
     .lower = LowerCall,
     .samples = CallSamples},
};

}  // namespace
extern const std::span<const OpDef> control_ops;
constinit const std::span<const OpDef> control_ops{kOps};
}  // namespace tenon::ir::ops
