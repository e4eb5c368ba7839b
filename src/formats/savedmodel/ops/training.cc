// What training graphs hold: gradients of ops, losses with their gradients, and optimizer updates.
#include <fmt/format.h>

#include "base/status_macros.h"
#include "formats/savedmodel/ops/context.h"

namespace tenon::savedmodel {
namespace {

using ir::Ex;
using ir::Value;
using Ints = std::vector<std::int64_t>;

Ex X(OpContext& c, int i) { return {&c.b, c.in(i)}; }

/// A value with the dims of a shape vector: the one whose shape it is, or zeros.
Value LikeOf(OpContext& c, int shape, DType dtype) {
  const ir::Node& made = c.b.graph().node(c.in(shape));
  if (made.op->name == "shape_of") return made.inputs[0];
  const auto dims = c.dims(shape);
  if (!dims) {
    c.b.SetStatus(c.Unsupported("a shape that is known only at run time"));
    return {};
  }
  return c.b.Add("broadcast_to", {c.b.Scalar(0, dtype)}, {{"dims", Shape(*dims)}});
}

/// The axes to sum so that a gradient of the broadcast of two shapes gets each one's own. Where a dim that is known
/// only at run time decides it, the output is a note for Sum: sum to the shape of that value.
Status BroadcastGradientArgs(OpContext& c) {
  const auto x = c.dims(0), y = c.dims(1);
  if (!x || !y) return c.Unsupported("of shapes that are known only at run time");
  const std::size_t rank = std::max(x->size(), y->size());
  Ints sum_x, sum_y;
  bool open = false;
  for (std::size_t d = 0; d < rank; ++d) {
    const Dim l = d + x->size() < rank ? Dim(1) : (*x)[d + x->size() - rank];
    const Dim r = d + y->size() < rank ? Dim(1) : (*y)[d + y->size() - rank];
    const auto axis = static_cast<std::int64_t>(d);
    if (l == Dim(1)) sum_x.push_back(axis);  // also where both are 1: the sum of one element
    if (r == Dim(1)) sum_y.push_back(axis);
    open = open || (l != r && ((l.is_symbolic() && r != Dim(1)) || (r.is_symbolic() && l != Dim(1))));
  }
  for (int i = 0; i < 2; ++i) {
    if (open) {
      Slot slot;
      slot.kind = Slot::Kind::kSumTo;
      slot.value = LikeOf(c, i, DType::kF32);
      c.SetSlot(i, slot);
      continue;
    }
    const Ints& axes = i == 0 ? sum_x : sum_y;
    const Value list = c.b.Constant(Literal::from<std::int64_t>({static_cast<std::int64_t>(axes.size())}, axes));
    c.Set(i, c.b.Cast(list, c.Type("T").value_or(DType::kI32)));
  }
  return {};
}

Status BiasAddGrad(OpContext& c) {
  const Value dy = c.in(0);
  const int rank = c.rank(dy);
  const bool first = c.String("data_format", "NHWC") == "NCHW";
  Ints axes;
  for (int d = 0; d < rank; ++d)
    if (d != (first ? 1 : rank - 1)) axes.push_back(d);
  c.Set(axes.empty() ? dy : c.b.ReduceSum(dy, axes, false));
  return {};
}

Ex Positive(OpContext& c, Ex x) { return ir::Op("greater", x, {&c.b, c.b.Scalar(0, x.dtype())}); }
Ex Zero(OpContext& c, Ex like) { return {&c.b, c.b.Scalar(0, like.dtype())}; }

Status ReluGrad(OpContext& c) {  // (dy, x or y)
  const Ex dy = X(c, 0), x = X(c, 1);
  Ex open = Positive(c, x);
  if (c.node.op == "Relu6Grad") open = ir::Op("logical_and", open, ir::Op("less", x, {&c.b, c.b.Scalar(6, x.dtype())}));
  c.Set(ir::Select(open, dy, Zero(c, dy)));
  return {};
}
Status LeakyReluGrad(OpContext& c) {
  const Ex dy = X(c, 0), x = X(c, 1);
  c.Set(ir::Select(Positive(c, x), dy, dy * double{c.Float("alpha", 0.2f)}));
  return {};
}
Status EluGrad(OpContext& c) {  // (dy, y)
  const Ex dy = X(c, 0), y = X(c, 1);
  c.Set(ir::Select(Positive(c, y), dy, dy * (y + 1)));
  return {};
}
Status SoftplusGrad(OpContext& c) {
  c.Set(X(c, 0) * ir::Op("sigmoid", X(c, 1)));
  return {};
}
Status TanhGrad(OpContext& c) {  // the next four: (y, dy)
  const Ex y = X(c, 0), dy = X(c, 1);
  c.Set(dy * (1 - y * y));
  return {};
}
Status SigmoidGrad(OpContext& c) {
  const Ex y = X(c, 0), dy = X(c, 1);
  c.Set(dy * y * (1 - y));
  return {};
}
Status SqrtGrad(OpContext& c) {
  const Ex y = X(c, 0), dy = X(c, 1);
  c.Set(dy * 0.5 / y);
  return {};
}
Status RsqrtGrad(OpContext& c) {
  const Ex y = X(c, 0), dy = X(c, 1);
  c.Set(dy * -0.5 * (y * y * y));
  return {};
}
Status ReciprocalGrad(OpContext& c) {
  const Ex y = X(c, 0), dy = X(c, 1);
  c.Set(-(dy * (y * y)));
  return {};
}

Status CrossEntropy(OpContext& c) {  // loss per example, and its gradient
  const Ex logits = X(c, 0), labels = X(c, 1);
  const Ex probability = ir::Op("softmax", logits, {{"axis", std::int64_t{-1}}});
  c.Set(0, ir::Op("softmax_cross_entropy", logits, labels, {{"axis", std::int64_t{-1}}}));
  c.Set(1, probability - labels);
  return {};
}
Status SparseCrossEntropy(OpContext& c) {
  const Ex logits = X(c, 0), labels = X(c, 1);
  if (c.rank(logits) < 1 || c.shape(logits).back().is_symbolic())
    return c.Unsupported("a number of classes that is known only at run time");
  const Ex probability = ir::Op("softmax", logits, {{"axis", std::int64_t{-1}}});
  const Ex hot = ir::Op("one_hot", labels, {{"depth", c.shape(logits).back().value()}, {"dtype", logits.dtype()}});
  c.Set(0, ir::Op("sparse_softmax_cross_entropy", logits, labels, {{"axis", std::int64_t{-1}}}));
  c.Set(1, probability - hot);
  return {};
}

/// Optimizer steps: cells at the front of the inputs, then numbers and the gradient.
class Update {
 public:
  explicit Update(OpContext& c) : c_(c) {}
  Ex Read(int i) {
    const int id = c_.cell(i);
    if (id < 0) return {&c_.b, Value()};
    const Result<Value> value = c_.t.Read(id);
    if (!value.ok()) c_.b.SetStatus(value.status());
    return {&c_.b, value.ok() ? *value : Value()};
  }
  void Write(int i, Ex value) {
    const int id = c_.cell(i);
    if (id >= 0 && c_.b.ok()) c_.t.Write(id, value);
  }

 private:
  OpContext& c_;
};

Status GradientDescent(OpContext& c) {  // var, alpha, delta
  Update u(c);
  u.Write(0, u.Read(0) - X(c, 1) * X(c, 2));
  c.SetSlot(0, c.inputs[0]);
  return {};
}

Status Momentum(OpContext& c) {  // var, accum, lr, grad, momentum
  Update u(c);
  const Ex lr = X(c, 2), grad = X(c, 3), momentum = X(c, 4);
  const bool keras = c.node.op.find("Keras") != std::string::npos, nesterov = c.Bool("use_nesterov", false);
  const Ex step = keras ? u.Read(1) * momentum - lr * grad : u.Read(1) * momentum + grad;
  u.Write(1, step);
  if (keras)
    u.Write(0, nesterov ? u.Read(0) + momentum * step - lr * grad : u.Read(0) + step);
  else
    u.Write(0, u.Read(0) - (nesterov ? grad * lr + step * momentum * lr : lr * step));
  c.SetSlot(0, c.inputs[0]);
  return {};
}

Status Adam(OpContext& c) {  // var, m, v, beta1_power, beta2_power, lr, beta1, beta2, epsilon, grad
  Update u(c);
  const Ex power1 = X(c, 3), power2 = X(c, 4), lr = X(c, 5), beta1 = X(c, 6), beta2 = X(c, 7), epsilon = X(c, 8),
           grad = X(c, 9);
  const Ex rate = lr * ir::Op("sqrt", 1 - power2) / (1 - power1);
  const Ex m = u.Read(1) + (grad - u.Read(1)) * (1 - beta1);
  const Ex v = u.Read(2) + (grad * grad - u.Read(2)) * (1 - beta2);
  u.Write(1, m);
  u.Write(2, v);
  const Ex direction = c.Bool("use_nesterov", false) ? grad * (1 - beta1) + beta1 * m : m;
  u.Write(0, u.Read(0) - rate * direction / (ir::Op("sqrt", v) + epsilon));
  c.SetSlot(0, c.inputs[0]);
  return {};
}

Status Adagrad(OpContext& c) {  // var, accum, lr, grad; V2: var, accum, lr, epsilon, grad
  Update u(c);
  const bool v2 = c.node.op.ends_with("V2");
  const Ex lr = X(c, 2), grad = X(c, v2 ? 4 : 3);
  const Ex accum = c.Bool("update_slots", true) ? u.Read(1) + grad * grad : u.Read(1);
  u.Write(1, accum);
  const Ex root = ir::Op("sqrt", accum);
  u.Write(0, u.Read(0) - lr * grad / (v2 ? root + X(c, 3) : root));
  c.SetSlot(0, c.inputs[0]);
  return {};
}

Status RmsProp(OpContext& c) {  // var, ms, mom, lr, rho, momentum, epsilon, grad
  Update u(c);
  const Ex lr = X(c, 3), rho = X(c, 4), momentum = X(c, 5), epsilon = X(c, 6), grad = X(c, 7);
  const Ex ms = u.Read(1) + (grad * grad - u.Read(1)) * (1 - rho);
  const Ex mom = u.Read(2) * momentum + lr * grad / ir::Op("sqrt", ms + epsilon);
  u.Write(1, ms);
  u.Write(2, mom);
  u.Write(0, u.Read(0) - mom);
  c.SetSlot(0, c.inputs[0]);
  return {};
}

constexpr Rule kRules[] = {
    {"BroadcastGradientArgs", BroadcastGradientArgs},
    {"BiasAddGrad", BiasAddGrad},
    {"ReluGrad", ReluGrad},
    {"Relu6Grad", ReluGrad},
    {"LeakyReluGrad", LeakyReluGrad},
    {"EluGrad", EluGrad},
    {"SoftplusGrad", SoftplusGrad},
    {"TanhGrad", TanhGrad},
    {"SigmoidGrad", SigmoidGrad},
    {"SqrtGrad", SqrtGrad},
    {"RsqrtGrad", RsqrtGrad},
    {"ReciprocalGrad", ReciprocalGrad},
    {"InvGrad", ReciprocalGrad},
    {"SoftmaxCrossEntropyWithLogits", CrossEntropy},
    {"SparseSoftmaxCrossEntropyWithLogits", SparseCrossEntropy},
    {"ResourceApplyGradientDescent", GradientDescent},
    {"ApplyGradientDescent", GradientDescent},
    {"ResourceApplyMomentum", Momentum},
    {"ApplyMomentum", Momentum},
    {"ResourceApplyKerasMomentum", Momentum},
    {"ResourceApplyAdam", Adam},
    {"ApplyAdam", Adam},
    {"ResourceApplyAdagrad", Adagrad},
    {"ResourceApplyAdagradV2", Adagrad},
    {"ApplyAdagrad", Adagrad},
    {"ResourceApplyRMSProp", RmsProp},
    {"ApplyRMSProp", RmsProp},
};

}  // namespace

std::span<const Rule> TrainingRules() { return kRules; }

}  // namespace tenon::savedmodel
