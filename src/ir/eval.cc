#include "ir/eval.h"

#include <algorithm>
#include <new>
#include <stdexcept>

#include "base/status_macros.h"
#include "ir/builder.h"
#include "ir/infer.h"
#include "ir/numeric.h"
#include "ir/op_table.h"
#include "tensor/aligned.h"

namespace tenon::ir {

Datum Datum::Sequence(std::vector<Datum> values, Type element_type) {
  Datum d;
  d.kind = Type::Kind::kSequence;
  d.items = std::make_shared<const std::vector<Datum>>(std::move(values));
  d.element = std::move(element_type);
  return d;
}

Datum Datum::Optional(std::optional<Datum> item, Type element_type) {
  Datum d;
  d.kind = Type::Kind::kOptional;
  std::vector<Datum> values;
  if (item) values.push_back(*std::move(item));
  d.items = std::make_shared<const std::vector<Datum>>(std::move(values));
  d.element = std::move(element_type);
  return d;
}

Datum Datum::Token() {
  Datum d;
  d.kind = Type::Kind::kToken;
  return d;
}

Type Datum::type() const {
  switch (kind) {
    case Type::Kind::kTensor:
      return tensor ? Type::Of(*tensor) : Type();
    case Type::Kind::kSequence:
      return Type::Sequence(element);
    case Type::Kind::kOptional:
      return Type::Optional(element);
    case Type::Kind::kMap:
      return Type::Map(tensor->dtype(), element);
    case Type::Kind::kTable:
      return Type::Table(tensor->dtype(), element);
    case Type::Kind::kToken:
      return Type::Token();
  }
  return {};
}

Status EvalContext::Fail(std::string_view message) const {
  return Status(Code::kInvalidArgument, std::string(op_.name) + ": " + std::string(message));
}

Status SymbolBinding::Bind(const Type& declared, const Type& concrete, std::string_view what) {
  const auto mismatch = [&] {
    return Status(Code::kInvalidArgument,
                  std::string(what) + ": got " + concrete.to_string() + ", expected " + Resolve(declared).to_string());
  };
  if (declared.kind() != concrete.kind()) return mismatch();
  if (!declared.is_tensor()) return {};
  if (declared.dtype() != concrete.dtype()) return mismatch();
  if (!declared.has_rank() || !concrete.has_rank()) return {};
  if (declared.rank() != concrete.rank()) return mismatch();
  for (int i = 0; i < declared.rank(); ++i) {
    const Dim& want = declared.shape()[i];
    const std::optional<std::int64_t> got = concrete.shape()[i].try_value();
    if (!got) continue;
    if (const std::string_view name = want.symbol_name(); !name.empty()) {
      const auto [it, fresh] = values_.emplace(std::string(name), *got);
      if (!fresh && it->second != *got) return mismatch();
      continue;
    }
    const Result<std::int64_t> value = want.evaluate([&](std::string_view name) { return Find(name); });
    if (value.ok() && *value != *got) return mismatch();  // symbols still unknown: nothing to compare with
  }
  return {};
}

void SymbolBinding::BindElements(const std::vector<Dim>& elements, const Literal& value) {
  const bool open = std::any_of(elements.begin(), elements.end(),
                                [&](const Dim& d) { return !d.symbol_name().empty() && !Find(d.symbol_name()); });
  if (!open || value.size() != static_cast<std::int64_t>(elements.size())) return;
  const std::vector<std::int64_t> numbers = ToInts(value);
  for (std::size_t i = 0; i < elements.size(); ++i)
    if (const std::string_view name = elements[i].symbol_name(); !name.empty())
      values_.emplace(std::string(name), numbers[i]);
}

std::optional<std::int64_t> SymbolBinding::Find(std::string_view name) const {
  const auto it = values_.find(std::string(name));
  if (it == values_.end()) return std::nullopt;
  return it->second;
}

Result<Attrs> SymbolBinding::Resolve(const Attrs& attrs) const {
  Attrs out = attrs;
  for (auto& [name, value] : attrs) {
    const Shape* shape = std::get_if<Shape>(&value);
    if (shape == nullptr || shape->is_static()) continue;
    std::vector<Dim> dims;
    for (const Dim& d : shape->dims()) {
      TENON_ASSIGN_OR_RETURN(const std::int64_t n, d.evaluate([&](std::string_view s) { return Find(s); }));
      dims.emplace_back(n);
    }
    out.Set(name, Shape(std::move(dims)));
  }
  return out;
}

Type SymbolBinding::Resolve(const Type& type) const {
  return type.Substitute([&](std::string_view name) -> std::optional<Dim> {
    if (const std::optional<std::int64_t> v = Find(name)) return Dim(*v);
    return std::nullopt;
  });
}

namespace {

// What inference may know of a concrete value: its elements, when it is a small integer tensor.
Output OutputOf(const Datum& d) {
  Output out;
  out.type = d.type();
  if (d.kind == Type::Kind::kTensor && d.tensor && d.tensor->rank() <= 1 && d.tensor->size() <= 64 &&
      is_integer(d.tensor->dtype())) {
    std::vector<Dim> elements;
    for (const std::int64_t v : ToInts(*d.tensor)) elements.emplace_back(v);
    out.symbolic = std::move(elements);
  }
  return out;
}

bool IsFloatCast(const OpDef& op, const Datum& in, const Attrs& attrs) {
  return (op.name == "cast" || op.name == "cast_narrow") && is_float(in.literal().dtype()) &&
         is_float(attrs.Dtype("dtype"));
}

// Bits have a meaning in the narrow dtype only: floats of the oracle go back to it (f32 or f16) and the result widens.
Result<std::vector<Datum>> EvalBits(const OpDef& op, const Datum& in, Attrs attrs) {
  Datum narrow = in;
  const int bits = dtype_bits(attrs.Dtype("dtype"));
  if (in.literal().dtype() == DType::kF64 && bits < 64) {
    TENON_ASSIGN_OR_RETURN(Literal x, Convert(in.literal(), bits == 32 ? DType::kF32 : DType::kF16));
    narrow = Datum(std::move(x));
  }
  const Datum* const inputs[] = {&narrow};
  TENON_ASSIGN_OR_RETURN(std::vector<Datum> out, EvalOp(op, inputs, std::move(attrs)));
  if (is_float(out[0].literal().dtype())) {
    TENON_ASSIGN_OR_RETURN(Literal wide, Convert(out[0].literal(), DType::kF64));
    out[0] = Datum(std::move(wide));
  }
  return out;
}

Type WidenFloats(const Type& t) {
  if (!t.is_tensor() || !is_float(t.dtype())) return t;
  return t.has_rank() ? Type::Tensor(DType::kF64, t.shape()) : Type::TensorOfUnknownRank(DType::kF64);
}

// `declared`: the node's output types with the symbols that are known so far replaced; used where the sub-graphs of an
// op are declared in narrower dtypes than the oracle's.
Result<std::vector<Datum>> EvalWith(const OpDef& op, std::span<const Datum* const> inputs, Attrs attrs,
                                    const EvalOptions& options, const std::vector<Type>& declared = {}) {
  if (op.name == "constant" && options.float64) {
    const Literal& value = attrs.Lit("value");
    if (!is_float(value.dtype())) return std::vector<Datum>{Datum(value)};
    TENON_ASSIGN_OR_RETURN(Literal wide, Convert(value, DType::kF64));
    return std::vector<Datum>{Datum(std::move(wide))};
  }
  if (options.float64 && op.name == "bitcast") return EvalBits(op, *inputs[0], std::move(attrs));
  if (options.float64) {
    if (!inputs.empty() && inputs[0] != nullptr && inputs[0]->kind == Type::Kind::kTensor &&
        IsFloatCast(op, *inputs[0], attrs))
      return std::vector<Datum>{*inputs[0]};
    // Attributes that name a float dtype (cast from integers, random, iota) name f64 in the oracle.
    Attrs wide = attrs;
    for (const auto& [name, value] : attrs)
      if (const DType* t = std::get_if<DType>(&value); t != nullptr && is_float(*t)) wide.Set(name, DType::kF64);
    attrs = std::move(wide);
  }
  std::vector<Output> types;
  std::vector<const Output*> pointers;
  types.reserve(inputs.size());
  for (const Datum* d : inputs) {
    types.push_back(d == nullptr ? Output() : OutputOf(*d));
    pointers.push_back(d == nullptr ? nullptr : &types.back());
  }
  std::vector<Output> outputs(declared.size());
  if (options.float64 && op.Is(kControl)) {
    for (std::size_t i = 0; i < outputs.size(); ++i) outputs[i].type = WidenFloats(declared[i]);
  } else {
    TENON_ASSIGN_OR_RETURN(outputs, Infer(op, pointers, attrs));
  }
  if (op.eval != nullptr) {
    EvalContext ctx(op, inputs, attrs, outputs, [&](const Graph& body, std::vector<Datum> args) {
      EvalOptions inner;
      inner.float64 = options.float64;
      return EvalGraph(body, std::move(args), inner);
    });
    TENON_RETURN_IF_ERROR(op.eval(ctx));
    return ctx.TakeResults();
  }
  Graph lowered;
  Builder b(&lowered);
  std::vector<Value> values;
  std::vector<Datum> args;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    values.push_back(inputs[i] == nullptr ? Value() : b.Input("", types[i].type));
    if (inputs[i] == nullptr) continue;
    lowered.output(values.back()).symbolic = types[i].symbolic;
    args.push_back(*inputs[i]);
  }
  TENON_ASSIGN_OR_RETURN(std::vector<Value> results, Lower(b, op, values, attrs));
  lowered.set_outputs(std::move(results));
  EvalOptions inner;
  inner.float64 = options.float64;
  return EvalGraph(lowered, std::move(args), inner);
}

Datum WidenFloats(const Datum& d) {
  if (d.kind == Type::Kind::kTensor && is_float(d.literal().dtype()))
    return Datum(Convert(d.literal(), DType::kF64).value());
  if (d.kind == Type::Kind::kTensor && d.literal().dtype() == DType::kC64)
    return Datum(Convert(d.literal(), DType::kC128).value());
  return d;
}

Status OutOfMemory() { return Status(Code::kResourceExhausted, "evaluation: the memory for a result is not there"); }

}  // namespace

Result<std::vector<Datum>> EvalOp(const OpDef& op, std::span<const Datum* const> inputs, Attrs attrs) {
  try {
    return EvalWith(op, inputs, std::move(attrs), {});
  } catch (const Error& e) {
    return e.status();
  } catch (const std::bad_alloc&) {
    return OutOfMemory();
  } catch (const std::length_error&) {
    return OutOfMemory();
  }
}

Result<std::vector<Datum>> EvalGraph(const Graph& graph, std::vector<Datum> inputs, const EvalOptions& options) {
  if (inputs.size() != graph.inputs().size())
    return Status(Code::kInvalidArgument, "graph: got " + std::to_string(inputs.size()) + " inputs, expected " +
                                              std::to_string(graph.inputs().size()));
  try {
    SymbolBinding symbols;
    std::vector<std::vector<Datum>> values(static_cast<std::size_t>(graph.size()));
    std::vector<std::vector<int>> uses = graph.UseCounts();
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const Value v = graph.inputs()[i];
      const Output& declared = graph.output(v);
      Datum d = options.float64 ? WidenFloats(inputs[i]) : std::move(inputs[i]);
      const Type type = options.float64 ? WidenFloats(declared.type) : declared.type;
      TENON_RETURN_IF_ERROR(symbols.Bind(type, d.type(), "input \"" + declared.record.name + "\""));
      if (options.observer) options.observer(v, d);
      values[static_cast<std::size_t>(v.node)] = {std::move(d)};
    }
    for (std::int32_t id = 0; id < graph.size(); ++id) {
      const Node& n = graph.node(id);
      if (n.op->name == "input") continue;
      std::vector<const Datum*> args;
      for (const Value v : n.inputs)
        args.push_back(v.valid() ? &values[static_cast<std::size_t>(v.node)][static_cast<std::size_t>(v.index)]
                                 : nullptr);
      TENON_ASSIGN_OR_RETURN(Attrs attrs, symbols.Resolve(n.attrs));
      std::vector<Type> declared;
      if (options.float64 && n.op->Is(kControl))
        for (const Output& o : n.outputs) declared.push_back(symbols.Resolve(o.type));
      Result<std::vector<Datum>> out = EvalWith(*n.op, args, std::move(attrs), options, declared);
      if (!out.ok()) {
        const std::string& name = n.outputs.empty() ? std::string() : n.outputs[0].record.name;
        return name.empty() ? out.status() : out.status().with_context("node \"" + name + "\"");
      }
      for (std::size_t k = 0; k < n.outputs.size(); ++k) {
        const Type type = options.float64 ? WidenFloats(n.outputs[k].type) : n.outputs[k].type;
        TENON_RETURN_IF_ERROR(symbols.Bind(type, (*out)[k].type(), n.op->name));
        if (n.outputs[k].symbolic) symbols.BindElements(*n.outputs[k].symbolic, (*out)[k].literal());
        if (options.observer) options.observer({id, static_cast<std::int32_t>(k)}, (*out)[k]);
      }
      values[static_cast<std::size_t>(id)] = *std::move(out);
      for (const Value v : n.inputs) {
        if (!v.valid()) continue;
        if (--uses[static_cast<std::size_t>(v.node)][static_cast<std::size_t>(v.index)] == 0)
          values[static_cast<std::size_t>(v.node)][static_cast<std::size_t>(v.index)] = Datum();
      }
    }
    std::vector<Datum> out;
    for (const Value v : graph.outputs())
      out.push_back(v.valid() ? values[static_cast<std::size_t>(v.node)][static_cast<std::size_t>(v.index)] : Datum());
    return out;
  } catch (const Error& e) {
    return e.status();
  } catch (const std::bad_alloc&) {
    return OutOfMemory();
  } catch (const std::length_error&) {
    return OutOfMemory();
  }
}

}  // namespace tenon::ir
