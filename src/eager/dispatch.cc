#include "eager/dispatch.h"

#include "eager/tape.h"
#include "eager/trace.h"
#include "ir/infer.h"
#include "ir/numeric.h"

namespace tenon::eager {
namespace {

std::vector<Tensor> ApplySymbolic(const ir::OpDef& op, std::span<const Tensor> inputs, ir::Attrs attrs) {
  std::vector<ir::Output> known(inputs.size());
  std::vector<const ir::Output*> types(inputs.size(), nullptr);
  std::int64_t scope = 0;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].defined()) continue;
    const Node& n = *inputs[i].node();
    if (n.value) {
      known[i].type = ir::Type::Of(*n.value);
      if (n.value->rank() <= 1 && n.value->size() <= 64 && is_integer(n.value->dtype())) {
        std::vector<Dim> elements;
        for (const std::int64_t v : ir::ToInts(*n.value)) elements.emplace_back(v);
        known[i].symbolic = std::move(elements);
      }
    } else {
      known[i].type = n.type;
      known[i].symbolic = n.symbolic;
      scope = std::max(scope, n.scope);
    }
    types[i] = &known[i];
  }
  if (const Trace* trace = Trace::Current()) scope = trace->scope();
  Result<std::vector<ir::Output>> outputs = ir::Infer(op, types, attrs);
  if (!outputs.ok()) throw Error(outputs.status());
  auto call = std::make_shared<Call>();
  call->op = &op;
  call->attrs = std::move(attrs);
  call->inputs.assign(inputs.begin(), inputs.end());
  std::vector<Tensor> out;
  out.reserve(outputs->size());
  for (std::size_t k = 0; k < outputs->size(); ++k) {
    auto node = std::make_shared<Node>();
    node->type = std::move((*outputs)[k].type);
    node->symbolic = std::move((*outputs)[k].symbolic);
    node->call = call;
    node->index = static_cast<int>(k);
    node->scope = scope;
    out.emplace_back(NodePtr(std::move(node)));
  }
  return out;
}

// The elementwise fast path: two f32 tensors of the same shape, or a scalar on the right; no inference, no attributes.
template <class F>
Tensor ZipFloat(const Literal& a, const Literal& b, F f) {
  Literal out = Literal::uninitialized(DType::kF32, a.dims());
  const float* x = reinterpret_cast<const float*>(a.buffer().data());
  const float* y = reinterpret_cast<const float*>(b.buffer().data());
  auto* z = reinterpret_cast<float*>(out.mutable_raw().data());
  const std::int64_t n = a.size();
  if (b.size() == 1 && n != 1) {
    const float s = y[0];
    for (std::int64_t i = 0; i < n; ++i) z[i] = f(x[i], s);
  } else {
    for (std::int64_t i = 0; i < n; ++i) z[i] = f(x[i], y[i]);
  }
  return MakeEager(std::move(out));
}

enum class Fast { kNone, kAdd, kSubtract, kMultiply };
Fast FastOf(const ir::OpDef& op) {
  static const ir::OpDef* const add = ir::FindOp("add");
  static const ir::OpDef* const subtract = ir::FindOp("subtract");
  static const ir::OpDef* const multiply = ir::FindOp("multiply");
  if (&op == add) return Fast::kAdd;
  if (&op == subtract) return Fast::kSubtract;
  return &op == multiply ? Fast::kMultiply : Fast::kNone;
}

bool TryFast(const ir::OpDef& op, std::span<const Tensor> inputs, std::vector<Tensor>& out) {
  if (inputs.size() != 2) return false;
  const Fast fast = FastOf(op);
  if (fast == Fast::kNone) return false;
  const Literal &a = *inputs[0].node()->value, &b = *inputs[1].node()->value;
  if (a.dtype() != DType::kF32 || b.dtype() != DType::kF32) return false;
  if (a.dims() != b.dims() && !(b.rank() == 0)) return false;
  switch (fast) {
    case Fast::kAdd:
      out.push_back(ZipFloat(a, b, [](float x, float y) { return x + y; }));
      break;
    case Fast::kSubtract:
      out.push_back(ZipFloat(a, b, [](float x, float y) { return x - y; }));
      break;
    default:
      out.push_back(ZipFloat(a, b, [](float x, float y) { return x * y; }));
      break;
  }
  return true;
}

std::vector<Tensor> ApplyEager(const ir::OpDef& op, std::span<const Tensor> inputs, const ir::Attrs& attrs) {
  std::vector<Tensor> out;
  if (TryFast(op, inputs, out)) return out;
  std::vector<const Literal*> literals;
  literals.reserve(inputs.size());
  for (const Tensor& t : inputs) literals.push_back(t.defined() ? &*t.node()->value : nullptr);
  Result<std::vector<Literal>> results = Evaluate(op, literals, attrs);
  if (!results.ok()) throw Error(results.status());
  out.reserve(results->size());
  for (Literal& l : *results) out.push_back(MakeEager(std::move(l)));
  return out;
}

}  // namespace

std::vector<Tensor> Apply(const ir::OpDef& op, std::span<const Tensor> inputs, ir::Attrs attrs) {
  bool symbolic = false;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].defined()) {
      symbolic = symbolic || !inputs[i].node()->value;
      continue;
    }
    const std::size_t port = std::min(i, op.inputs.size() - 1);
    if (op.inputs.empty() || (op.inputs[port].flags & ir::kOptional) == 0)
      fail(Code::kInvalidArgument,
           std::string(op.name) + ": input " + std::to_string(i) + " is an undefined Tensor; give it a value first");
  }
  // dims with symbols have no value before run time, even when every input has.
  for (const auto& [name, value] : attrs)
    if (const Shape* shape = std::get_if<Shape>(&value)) symbolic = symbolic || !shape->is_static();
  std::vector<Tape*>& tapes = ActiveTapes();
  if (tapes.empty()) return symbolic ? ApplySymbolic(op, inputs, std::move(attrs)) : ApplyEager(op, inputs, attrs);
  std::vector<Tensor> out = symbolic ? ApplySymbolic(op, inputs, attrs) : ApplyEager(op, inputs, attrs);
  for (Tape* tape : tapes)
    if (tape->recording()) tape->Record(op, attrs, inputs, out);
  return out;
}

std::vector<Tensor> Apply(std::string_view op, std::initializer_list<Tensor> inputs, ir::Attrs attrs) {
  return Apply(ir::GetOp(op), std::span(inputs.begin(), inputs.size()), std::move(attrs));
}

Tensor ApplyOne(std::string_view op, std::initializer_list<Tensor> inputs, ir::Attrs attrs) {
  return Apply(op, inputs, std::move(attrs))[0];
}

Tensor Weak(Scalar value, const Tensor& like) {
  DType dtype = like.dtype();
  if (dtype == DType::kBool)
    dtype = value.floating ? DType::kF32 : DType::kI32;
  else if (value.floating && is_integer(dtype))
    dtype = DType::kF32;
  return Tensor(ir::ScalarLiteral(value.value, dtype));
}

}  // namespace tenon::eager
