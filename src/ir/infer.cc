#include "ir/infer.h"

#include <bit>
#include <unordered_map>

#include "base/status_macros.h"
#include "ir/builder.h"

namespace tenon::ir {
namespace {

Status Generic(const OpDef& op, std::string_view rule, std::string message) {
  return Status(Code::kInvalidArgument, std::string(op.name) + "_" + std::string(rule) + ": " + std::move(message));
}

std::string SetText(DTypeSet set) {
  std::string out;
  for (int i = 0; i < kNumDTypes; ++i)
    if ((set >> i & 1U) != 0) out += (out.empty() ? "" : ", ") + std::string(dtype_name(static_cast<DType>(i)));
  return out;
}

Attr DefaultOf(const AttrSpec& spec) {
  switch (spec.kind) {
    case AttrKind::kBool:
      return spec.b;
    case AttrKind::kInt:
      return spec.i;
    case AttrKind::kFloat:
      return spec.f;
    case AttrKind::kString:
      return std::string(spec.s);
    case AttrKind::kDType:
      return spec.t;
    case AttrKind::kDims:
      return Shape();
    case AttrKind::kLiteral:
      return Literal();
    case AttrKind::kGraph:
      return GraphPtr();
    case AttrKind::kInts:
      return std::vector<std::int64_t>();
    case AttrKind::kFloats:
      return std::vector<double>();
    case AttrKind::kStrings:
      return std::vector<std::string>();
    case AttrKind::kDTypes:
      return std::vector<DType>();
    case AttrKind::kGraphs:
      return std::vector<GraphPtr>();
  }
  return false;
}

// The port of input i: the last one repeats when it is variadic.
const Port* PortOf(const FixedList<Port, 12>& ports, std::size_t i) {
  if (i < ports.size()) return &ports[i];
  if (!ports.empty() && (ports[ports.size() - 1].flags & kVariadic) != 0) return &ports[ports.size() - 1];
  return nullptr;
}

Status CheckInputs(const OpDef& op, std::span<const Output* const> inputs) {
  std::size_t required = 0;
  for (std::size_t i = 0; i < op.inputs.size(); ++i)
    if ((op.inputs[i].flags & (kOptional | kVariadic)) == 0) required = i + 1;
  const bool variadic = !op.inputs.empty() && (op.inputs[op.inputs.size() - 1].flags & kVariadic) != 0;
  if (inputs.size() < required || (inputs.size() > op.inputs.size() && !variadic))
    return Generic(op, "arity",
                   "got " + std::to_string(inputs.size()) + " inputs, expected " + std::to_string(required) +
                       (variadic                      ? " or more"
                        : op.inputs.size() > required ? " to " + std::to_string(op.inputs.size())
                                                      : ""));
  std::vector<std::pair<std::string_view, std::pair<DType, std::string_view>>> bound;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Port& port = *PortOf(op.inputs, i);
    if (inputs[i] == nullptr) {
      if ((port.flags & (kOptional | kVariadic)) == 0)
        return Generic(op, "arity", "input \"" + std::string(port.name) + "\" is absent, it is required");
      continue;
    }
    if ((port.flags & kNonTensor) != 0) continue;
    const Type& type = inputs[i]->type;
    if (!type.is_tensor())
      return Generic(op, "dtype",
                     "input \"" + std::string(port.name) + "\": got " + type.to_string() + ", expected a tensor");
    const DType dtype = type.dtype();
    if ((port.dtypes & Only(dtype)) == 0)
      return Generic(op, "dtype",
                     "input \"" + std::string(port.name) + "\": got " + std::string(dtype_name(dtype)) +
                         ", expected one of " + SetText(port.dtypes));
    if ((port.flags & kMixed) != 0) continue;
    bool found = false;
    for (const auto& [variable, first] : bound) {
      if (variable != port.type) continue;
      found = true;
      if (first.first != dtype)
        return Generic(op, "dtype",
                       "input \"" + std::string(port.name) + "\": got " + std::string(dtype_name(dtype)) +
                           ", expected " + std::string(dtype_name(first.first)) + " like input \"" +
                           std::string(first.second) + "\" (ops never promote; cast one of them)");
    }
    if (!found) bound.push_back({port.type, {dtype, port.name}});
  }
  return {};
}

}  // namespace

void InferContext::Set(int i, Type type) {
  if (static_cast<int>(outputs_.size()) <= i) outputs_.resize(static_cast<std::size_t>(i) + 1);
  outputs_[static_cast<std::size_t>(i)].type = std::move(type);
}

void InferContext::SetValue(int i, std::vector<Dim> elements) {
  if (elements.size() <= 64) outputs_[static_cast<std::size_t>(i)].symbolic = std::move(elements);
}

Status InferContext::Fail(int constraint, std::string_view message) const {
  return Generic(op_, "c" + std::to_string(constraint), std::string(message));
}

Result<int> InferContext::Axis(std::int64_t axis, int rank, int constraint, int inclusive) const {
  const int limit = rank + inclusive;
  if (axis < -limit || axis >= limit)
    return Fail(constraint, "got axis " + std::to_string(axis) + ", expected one in [" + std::to_string(-limit) + ", " +
                                std::to_string(limit) + ")");
  return static_cast<int>(axis < 0 ? axis + limit : axis);
}

Result<std::vector<int>> InferContext::Axes(const std::vector<std::int64_t>& axes, int rank, int constraint,
                                            bool all) const {
  std::vector<int> out;
  if (axes.empty() && all)
    for (int i = 0; i < rank; ++i) out.push_back(i);
  for (const std::int64_t axis : axes) {
    TENON_ASSIGN_OR_RETURN(const int a, Axis(axis, rank, constraint));
    for (const int seen : out)
      if (seen == a) return Fail(constraint, "got axis " + std::to_string(axis) + " twice, expected each axis once");
    out.push_back(a);
  }
  return out;
}

Status CompleteAttrs(const OpDef& op, Attrs& attrs) {
  for (auto& [name, value] : attrs) {
    bool known = false;
    for (const AttrSpec& spec : op.attrs) known = known || spec.name == name;
    if (!known) return Generic(op, "attr", "got unknown attribute \"" + name + "\"");
  }
  for (const AttrSpec& spec : op.attrs) {
    const Attr* given = attrs.Find(spec.name);
    if (given == nullptr) {
      if (spec.mode == AttrSpec::Default::kRequired)
        return Generic(op, "attr", "attribute \"" + std::string(spec.name) + "\" is missing, it is required");
      if (spec.mode == AttrSpec::Default::kValue) attrs.Set(spec.name, DefaultOf(spec));
      continue;
    }
    if (KindOf(*given) == spec.kind) continue;
    // Friendly conversions: an integer for a float, plain numbers for dims.
    if (spec.kind == AttrKind::kFloat && std::holds_alternative<std::int64_t>(*given)) {
      attrs.Set(spec.name, static_cast<double>(std::get<std::int64_t>(*given)));
    } else if (spec.kind == AttrKind::kDims && std::holds_alternative<std::vector<std::int64_t>>(*given)) {
      attrs.Set(spec.name, Shape(std::span<const std::int64_t>(std::get<std::vector<std::int64_t>>(*given))));
    } else {
      return Generic(op, "attr",
                     "attribute \"" + std::string(spec.name) + "\": got " + std::string(AttrKindName(KindOf(*given))) +
                         ", expected " + std::string(AttrKindName(spec.kind)));
    }
  }
  return {};
}

Result<std::vector<Output>> Infer(const OpDef& op, std::span<const Output* const> inputs, Attrs& attrs) {
  TENON_RETURN_IF_ERROR(CompleteAttrs(op, attrs));
  TENON_RETURN_IF_ERROR(CheckInputs(op, inputs));
  if (op.infer != nullptr) {
    InferContext ctx(op, inputs, attrs);
    try {  // dims whose arithmetic overflows
      TENON_RETURN_IF_ERROR(op.infer(ctx));
    } catch (const Error& e) {
      return e.status().with_context(op.name);
    }
    return ctx.TakeOutputs();
  }
  if (op.lower == nullptr) return Status(Code::kInternal, std::string(op.name) + ": has neither infer nor lower");
  Graph scratch;
  Builder b(&scratch);
  std::vector<Value> values;
  for (const Output* in : inputs) {
    values.push_back(in == nullptr ? Value() : b.Input("", in->type));
    if (in != nullptr) scratch.output(values.back()).symbolic = in->symbolic;
  }
  TENON_ASSIGN_OR_RETURN(const std::vector<Value> outputs, Lower(b, op, values, attrs));
  std::vector<Output> out;
  for (const Value v : outputs) {
    out.push_back(scratch.output(v));
    out.back().record = {};
  }
  return out;
}

std::optional<Shape> BroadcastShapes(const Shape& a, const Shape& b) {
  const int rank = std::max(a.rank(), b.rank());
  std::vector<Dim> dims(static_cast<std::size_t>(rank));
  for (int i = 1; i <= rank; ++i) {
    const Dim x = i <= a.rank() ? a[-i] : Dim(1), y = i <= b.rank() ? b[-i] : Dim(1);
    if (!x.is_symbolic() && !y.is_symbolic() && x.value() != y.value() && x.value() != 1 && y.value() != 1)
      return std::nullopt;
    dims[static_cast<std::size_t>(rank - i)] = Dim::broadcast(x, y);
  }
  return Shape(std::move(dims));
}

Status InferElementwise(InferContext& ctx) {
  std::optional<Shape> shape = Shape();
  for (int i = 0; i < ctx.num_inputs(); ++i) {
    if (!ctx.has(i)) continue;
    if (!ctx.ranked(i)) shape.reset();
    if (!shape) continue;
    std::optional<Shape> joined = BroadcastShapes(*shape, ctx.shape(i));
    if (!joined)
      return ctx.Fail(1, "the shapes do not broadcast: got " + shape->to_string() + " and " + ctx.shape(i).to_string());
    shape = std::move(joined);
  }
  const Port& out = ctx.op().outputs[0];
  DType dtype = DType::kF32;
  if (std::has_single_bit(out.dtypes)) {
    dtype = static_cast<DType>(std::countr_zero(out.dtypes));
  } else {
    for (int i = 0; i < ctx.num_inputs(); ++i) {
      const std::size_t port = std::min(static_cast<std::size_t>(i), ctx.op().inputs.size() - 1);
      if (ctx.has(i) && ctx.op().inputs[port].type == out.type) {
        dtype = ctx.dtype(i);
        break;
      }
    }
  }
  ctx.Set(0, shape ? Type::Tensor(dtype, *shape) : Type::TensorOfUnknownRank(dtype));
  return {};
}

Status InferSameAsFirst(InferContext& ctx) {
  ctx.Set(0, ctx.type(0));
  return {};
}

}  // namespace tenon::ir
