#include "ir/builder.h"

#include "base/status_macros.h"
#include "ir/infer.h"
#include "ir/numeric.h"
#include "ir/op_table.h"

namespace tenon::ir {

Value Builder::Input(std::string name, Type type) {
  if (!ok()) return {};
  Node n;
  n.op = &GetOp("input");
  n.outputs.resize(1);
  n.outputs[0].type = std::move(type);
  n.outputs[0].record.name = std::move(name);
  return {graph_->Append(std::move(n)), 0};
}

Value Builder::Constant(Literal literal) { return Add("constant", {}, {{"value", std::move(literal)}}); }

Value Builder::Scalar(double value, DType dtype) { return Constant(ScalarLiteral(value, dtype)); }

std::vector<Value> Builder::AddAll(const OpDef& op, std::vector<Value> inputs, Attrs attrs) {
  if (!ok()) return {};
  while (!inputs.empty() && !inputs.back().valid()) inputs.pop_back();  // trailing absent inputs are not written
  std::vector<const Output*> types;
  types.reserve(inputs.size());
  for (const Value v : inputs) types.push_back(v.valid() ? &graph_->output(v) : nullptr);
  Result<std::vector<Output>> outputs = Infer(op, types, attrs);
  if (!outputs.ok()) {
    status_ = outputs.status();
    return {};
  }
  Node n;
  n.op = &op;
  n.inputs = std::move(inputs);
  n.attrs = std::move(attrs);
  n.outputs = *std::move(outputs);
  const auto count = static_cast<std::int32_t>(n.outputs.size());
  const std::int32_t id = graph_->Append(std::move(n));
  std::vector<Value> out;
  out.reserve(static_cast<std::size_t>(count));
  for (std::int32_t i = 0; i < count; ++i) out.push_back({id, i});
  return out;
}

std::vector<Value> Builder::AddAll(std::string_view op, std::vector<Value> inputs, Attrs attrs) {
  if (!ok()) return {};
  const OpDef* def = FindOp(op);
  if (def == nullptr) {
    status_ = Status(Code::kNotFound, "op \"" + std::string(op) + "\": there is no op of that name");
    return {};
  }
  return AddAll(*def, std::move(inputs), std::move(attrs));
}

Value Builder::Add(std::string_view op, std::vector<Value> inputs, Attrs attrs) {
  const std::vector<Value> out = AddAll(op, std::move(inputs), std::move(attrs));
  return out.empty() ? Value() : out[0];
}

const Type& Builder::type(Value v) const {
  static const Type kNone;
  return v.valid() ? graph_->type(v) : kNone;
}

Value Builder::Cast(Value x, DType to) { return !ok() || dtype(x) == to ? x : Add("cast", {x}, {{"dtype", to}}); }
Value Builder::ZerosLike(Value x) { return Add("zeros_like", {x}); }
Value Builder::OnesLike(Value x) { return Add("ones_like", {x}); }
Value Builder::Reshape(Value x, Shape dims) { return Add("reshape", {x}, {{"dims", std::move(dims)}}); }
Value Builder::Transpose(Value x, std::vector<std::int64_t> permutation) {
  return Add("transpose", {x}, {{"permutation", std::move(permutation)}});
}
Value Builder::ReduceSum(Value x, std::vector<std::int64_t> axes, bool keep_dims) {
  return Add("reduce_sum", {x}, {{"axes", std::move(axes)}, {"keep_dims", keep_dims}});
}
Value Builder::SumLike(Value x, Value like) {
  if (ok() && ranked(x) && ranked(like) && shape(x) == shape(like)) return x;
  return Add("sum_like", {x, like});
}
Value Builder::BroadcastLike(Value x, Value like) {
  if (ok() && ranked(x) && ranked(like) && shape(x) == shape(like)) return x;
  return Add("broadcast_like", {x, like});
}
Ex Builder::operator()(Value v) { return {this, v}; }

Ex Op(std::string_view op, Ex x, Attrs attrs) { return {x.b, x.b->Add(op, {x.v}, std::move(attrs))}; }
Ex Op(std::string_view op, Ex x, Ex y, Attrs attrs) { return {x.b, x.b->Add(op, {x.v, y.v}, std::move(attrs))}; }
namespace {
Ex Number(double value, Ex like) { return {like.b, like.b->Scalar(value, like.dtype())}; }
}  // namespace
Ex operator+(Ex x, Ex y) { return Op("add", x, y); }
Ex operator-(Ex x, Ex y) { return Op("subtract", x, y); }
Ex operator*(Ex x, Ex y) { return Op("multiply", x, y); }
Ex operator/(Ex x, Ex y) { return Op("divide", x, y); }
Ex operator+(Ex x, double y) { return x + Number(y, x); }
Ex operator-(Ex x, double y) { return x - Number(y, x); }
Ex operator*(Ex x, double y) { return x * Number(y, x); }
Ex operator/(Ex x, double y) { return x / Number(y, x); }
Ex operator+(double x, Ex y) { return Number(x, y) + y; }
Ex operator-(double x, Ex y) { return Number(x, y) - y; }
Ex operator*(double x, Ex y) { return Number(x, y) * y; }
Ex operator/(double x, Ex y) { return Number(x, y) / y; }
Ex operator-(Ex x) { return Op("neg", x); }
Ex Select(Ex condition, Ex x, Ex y) { return {x.b, x.b->Add("select", {condition.v, x.v, y.v})}; }

Ex GradContext::d(int i) const {
  const Value cotangent = cotangents_[static_cast<std::size_t>(i)];
  return {&b, cotangent.valid() ? cotangent : b.ZerosLike(outputs_[static_cast<std::size_t>(i)])};
}

Result<std::vector<Value>> Lower(Builder& b, const OpDef& op, std::span<const Value> inputs, const Attrs& attrs) {
  if (op.lower == nullptr)
    return Status(Code::kInternal, std::string(op.name) + ": is a primitive, it has no lowering");
  LowerContext ctx(b, inputs, attrs);
  TENON_RETURN_IF_ERROR(op.lower(ctx));
  TENON_RETURN_IF_ERROR(b.status());
  return ctx.outputs();
}

}  // namespace tenon::ir
