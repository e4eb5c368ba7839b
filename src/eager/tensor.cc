#include "tenon/tensor.h"

#include <algorithm>
#include <ostream>

#include "eager/dispatch.h"
#include "eager/node.h"
#include "ir/numeric.h"

namespace tenon {
namespace eager {

Node::~Node() {
  // A long chain of calls would be released recursively: take it apart with a list instead.
  if (!call) return;
  std::vector<std::shared_ptr<const Call>> pending;
  pending.push_back(std::move(call));
  while (!pending.empty()) {
    std::shared_ptr<const Call> c = std::move(pending.back());
    pending.pop_back();
    if (c.use_count() != 1) continue;
    for (const Tensor& t : c->inputs)
      if (t.defined() && t.node().use_count() == 1 && t.node()->call)
        pending.push_back(std::move(const_cast<Node*>(t.node().get())->call));
  }
}

Tensor MakeSymbol(ir::Type type, std::string name, std::int64_t scope) {
  auto node = std::make_shared<Node>();
  node->type = std::move(type);
  node->name = std::move(name);
  node->scope = scope;
  return Tensor(NodePtr(std::move(node)));
}

ir::Type TypeOf(const Tensor& t) {
  const Node& n = NodeOf(t);
  return n.value ? ir::Type::Of(*n.value) : n.type;
}

}  // namespace eager

using eager::NodeOf;

Tensor::Tensor(Literal value) : node_(std::make_shared<const eager::Node>(std::move(value))) {}

Tensor::Tensor(Scalar value) : Tensor(ir::ScalarLiteral(value.value, value.floating ? DType::kF32 : DType::kI64)) {}

bool Tensor::symbolic() const { return !NodeOf(*this).value.has_value(); }

DType Tensor::dtype() const {
  const eager::Node& n = NodeOf(*this);
  return n.value ? n.value->dtype() : n.type.dtype();
}

Shape Tensor::shape() const {
  const eager::Node& n = NodeOf(*this);
  if (n.value) return n.value->shape();
  if (!n.type.is_tensor() || !n.type.has_rank())
    fail(Code::kFailedPrecondition,
         "Tensor: symbolic " + n.type.to_string() + ", its rank is not known before run time");
  return n.type.shape();
}

const Literal& Tensor::literal() const& {
  const eager::Node& n = NodeOf(*this);
  if (!n.value)
    fail(Code::kFailedPrecondition,
         "Tensor: symbolic " + n.type.to_string() +
             ", has no value while a function is traced or a model is built; use ops, cond or while_loop on it");
  return *n.value;
}

Literal Tensor::literal_copy() const { return static_cast<const Tensor&>(*this).literal(); }

double Tensor::item() const {
  const Literal& l = literal();
  if (l.size() != 1)
    fail(Code::kInvalidArgument, "Tensor: item() of " + l.shape().to_string() + ", expected exactly one element");
  return l.at(0);
}

Tensor::operator bool() const {
  const Literal& l = literal();
  if (l.size() != 1)
    fail(Code::kInvalidArgument,
         "Tensor: used as a condition with shape " + l.shape().to_string() + ", expected exactly one element");
  return l.at(0) != 0;
}

std::string Tensor::to_string() const {
  const eager::Node& n = NodeOf(*this);
  return n.value ? n.value->to_string() : "symbolic " + n.type.to_string();
}

std::ostream& operator<<(std::ostream& out, const Tensor& tensor) { return out << tensor.to_string(); }

namespace {
Tensor Binary(std::string_view op, const Tensor& a, const Tensor& b) {
  const Tensor pair[] = {a, b};
  if (a.defined() && b.defined() && a.dtype() == b.dtype()) return eager::Apply(ir::GetOp(op), pair)[0];
  return eager::Apply(ir::GetOp(op), eager::Promote(pair))[0];
}
// The scalar made a constant; then the tensor may have to follow it (an integer tensor and 0.5).
Tensor Binary(std::string_view op, const Tensor& a, Scalar b) { return Binary(op, a, eager::Weak(b, a)); }
Tensor Binary(std::string_view op, Scalar a, const Tensor& b) { return Binary(op, eager::Weak(a, b), b); }

// True division: integers and bools become f32 first.
Tensor Floating(const Tensor& x) {
  return is_float(x.dtype()) || is_complex(x.dtype()) ? x : eager::ApplyOne("cast", {x}, {{"dtype", DType::kF32}});
}
}  // namespace

#define TENON_OPERATOR(symbol, op)                                               \
  Tensor operator symbol(const Tensor& a, const Tensor& b) {                     \
    static const ir::OpDef& def = ir::GetOp(op);                                 \
    if (a.defined() && b.defined() && a.dtype() == b.dtype()) {                  \
      const Tensor pair[] = {a, b};                                              \
      return eager::Apply(def, pair)[0];                                         \
    }                                                                            \
    return Binary(op, a, b);                                                     \
  }                                                                              \
  Tensor operator symbol(const Tensor& a, Scalar b) { return Binary(op, a, b); } \
  Tensor operator symbol(Scalar a, const Tensor& b) { return Binary(op, a, b); }
TENON_OPERATOR(+, "add")
TENON_OPERATOR(-, "subtract")
TENON_OPERATOR(*, "multiply")
TENON_OPERATOR(%, "remainder")
TENON_OPERATOR(==, "equal")
TENON_OPERATOR(!=, "not_equal")
TENON_OPERATOR(<, "less")
TENON_OPERATOR(<=, "less_equal")
TENON_OPERATOR(>, "greater")
TENON_OPERATOR(>=, "greater_equal")
#undef TENON_OPERATOR

Tensor operator/(const Tensor& a, const Tensor& b) { return Binary("divide", Floating(a), Floating(b)); }
Tensor operator/(const Tensor& a, Scalar b) { return Binary("divide", Floating(a), b); }
Tensor operator/(Scalar a, const Tensor& b) { return Binary("divide", a, Floating(b)); }

// & | ^ are logical on bools, bitwise on integers.
#define TENON_BITS(symbol, logical, bitwise)                            \
  Tensor operator symbol(const Tensor& a, const Tensor& b) {            \
    return Binary(a.dtype() == DType::kBool ? logical : bitwise, a, b); \
  }                                                                     \
  Tensor operator symbol(const Tensor& a, Scalar b) {                   \
    return Binary(a.dtype() == DType::kBool ? logical : bitwise, a, b); \
  }                                                                     \
  Tensor operator symbol(Scalar a, const Tensor& b) {                   \
    return Binary(b.dtype() == DType::kBool ? logical : bitwise, a, b); \
  }
TENON_BITS(&, "logical_and", "bitwise_and")
TENON_BITS(|, "logical_or", "bitwise_or")
TENON_BITS(^, "logical_xor", "bitwise_xor")
#undef TENON_BITS

Tensor operator-(const Tensor& x) { return eager::ApplyOne("neg", {x}); }
Tensor operator~(const Tensor& x) {
  return eager::ApplyOne(x.dtype() == DType::kBool ? "logical_not" : "bitwise_not", {x});
}

Tensor full(const Shape& shape, Scalar value, DType dtype) {
  if (shape.is_static()) {
    const Literal one = ir::ScalarLiteral(value.value, dtype);
    Literal out(dtype, shape.values());
    if (value.value != 0) {
      const std::span<std::byte> raw = out.mutable_raw();
      const std::size_t step = one.nbytes();
      for (std::size_t i = 0; i + step <= raw.size(); i += step) std::copy_n(one.raw().data(), step, raw.data() + i);
    }
    return Tensor(std::move(out));
  }
  // A symbolic shape: broadcast under tracing.
  return eager::ApplyOne("broadcast_to", {Tensor(ir::ScalarLiteral(value.value, dtype))}, {{"dims", shape}});
}
Tensor zeros(const Shape& shape, DType dtype) { return full(shape, 0, dtype); }
Tensor ones(const Shape& shape, DType dtype) { return full(shape, 1, dtype); }

}  // namespace tenon
