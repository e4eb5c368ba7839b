#include "ops/body_util.h"

#include <algorithm>
#include <cstring>

namespace tenon::ir::ops {

const Graph* BodyOf(const Attrs& attrs, std::string_view name) {
  const Attr* attr = attrs.Find(name);
  const GraphPtr* graph = attr == nullptr ? nullptr : std::get_if<GraphPtr>(attr);
  return graph == nullptr ? nullptr : graph->get();
}

Status BodyTypes::Bind(std::size_t i, const Type& actual) {
  const Type& declared = declared_input(i);
  const auto mismatch = [&] {
    return ctx_.Fail(constraint_, "input " + std::to_string(i) + " of " + std::string(name_) + ": got " +
                                      actual.to_string() + ", expected " + declared.to_string());
  };
  if (!declared.Accepts(actual)) return mismatch();
  if (!declared.is_tensor() || !declared.has_rank() || !actual.has_rank()) return {};
  for (int axis = 0; axis < declared.rank(); ++axis) {
    const std::string_view symbol = declared.shape()[axis].symbol_name();
    if (symbol.empty()) continue;
    const Dim& dim = actual.shape()[axis];
    const auto [it, fresh] = bound_.emplace(std::string(symbol), dim);
    if (fresh) continue;
    if (Differ(it->second, dim)) return mismatch();
    it->second = Merge(it->second, dim);
  }
  return {};
}

Type BodyTypes::Outside(const Type& inside) {
  return inside.Substitute([&](std::string_view symbol) -> std::optional<Dim> {
    const auto it = bound_.find(symbol);
    if (it != bound_.end()) return it->second;
    return bound_.emplace(std::string(symbol), ctx_.FreshDim()).first->second;
  });
}

std::optional<Type> JoinTypes(const Type& a, const Type& b) {
  if (a.kind() != b.kind()) return std::nullopt;
  if (a.kind() == Type::Kind::kSequence || a.kind() == Type::Kind::kOptional) {
    const std::optional<Type> element = JoinTypes(a.element(), b.element());
    if (!element) return std::nullopt;
    return a.kind() == Type::Kind::kSequence ? Type::Sequence(*element) : Type::Optional(*element);
  }
  if (!a.is_tensor()) return a == b ? std::optional<Type>(a) : std::nullopt;
  if (a.dtype() != b.dtype()) return std::nullopt;
  if (!a.has_rank() || !b.has_rank() || a.rank() != b.rank()) return Type::TensorOfUnknownRank(a.dtype());
  std::vector<Dim> dims;
  for (int i = 0; i < a.rank(); ++i) dims.push_back(a.shape()[i] == b.shape()[i] ? a.shape()[i] : Dim::any());
  return Type::Tensor(a.dtype(), Shape(std::move(dims)));
}

std::vector<Value> CopyNodes(Graph& into, const Graph& body, std::span<const Value> args) {
  std::vector<std::vector<Value>> moved(static_cast<std::size_t>(body.size()));
  for (std::size_t i = 0; i < args.size(); ++i) moved[static_cast<std::size_t>(body.inputs()[i].node)] = {args[i]};
  const auto at = [&](Value v) {
    return v.valid() ? moved[static_cast<std::size_t>(v.node)][static_cast<std::size_t>(v.index)] : Value();
  };
  for (std::int32_t id = 0; id < body.size(); ++id) {
    if (!moved[static_cast<std::size_t>(id)].empty()) continue;
    Node n = body.node(id);
    for (Value& v : n.inputs) v = at(v);
    const auto count = static_cast<std::int32_t>(n.outputs.size());
    const std::int32_t to = into.Append(std::move(n));
    for (std::int32_t k = 0; k < count; ++k) moved[static_cast<std::size_t>(id)].push_back({to, k});
  }
  std::vector<Value> out;
  for (const Value v : body.outputs()) out.push_back(at(v));
  return out;
}

std::vector<Value> InlineNodes(Builder& b, const Graph& body, std::span<const Value> args) {
  std::map<std::string, Dim, std::less<>> symbols;
  const auto learn = [&](const Type& inside, const Type& outside) {
    if (!inside.is_tensor() || !outside.is_tensor() || !inside.has_rank() || !outside.has_rank() ||
        inside.rank() != outside.rank())
      return;
    for (int i = 0; i < inside.rank(); ++i)
      if (const std::string_view name = inside.shape()[i].symbol_name(); !name.empty())
        symbols.emplace(std::string(name), outside.shape()[i]);
  };
  const auto lookup = [&](std::string_view name) -> std::optional<Dim> {
    const auto it = symbols.find(name);
    return it == symbols.end() ? std::nullopt : std::optional<Dim>(it->second);
  };
  std::vector<std::vector<Value>> moved(static_cast<std::size_t>(body.size()));
  for (std::size_t i = 0; i < args.size() && b.ok(); ++i) {
    moved[static_cast<std::size_t>(body.inputs()[i].node)] = {args[i]};
    learn(body.type(body.inputs()[i]), b.type(args[i]));
  }
  const auto at = [&](Value v) {
    return v.valid() ? moved[static_cast<std::size_t>(v.node)][static_cast<std::size_t>(v.index)] : Value();
  };
  for (std::int32_t id = 0; id < body.size() && b.ok(); ++id) {
    if (!moved[static_cast<std::size_t>(id)].empty()) continue;
    const Node& n = body.node(id);
    std::vector<Value> inputs;
    for (const Value v : n.inputs) inputs.push_back(at(v));
    Attrs attrs = n.attrs;
    for (const auto& [name, value] : n.attrs) {
      const Shape* dims = std::get_if<Shape>(&value);
      if (dims == nullptr) continue;
      std::vector<Dim> outside;
      for (const Dim& d : dims->dims()) outside.push_back(d.substitute(lookup));
      attrs.Set(name, Shape(std::move(outside)));
    }
    if (n.op->Is(kDefinesDims)) attrs.Erase("symbols");  // a copy defines dims of its own
    std::vector<Value> outputs = b.AddAll(*n.op, std::move(inputs), std::move(attrs));
    for (std::size_t k = 0; k < outputs.size(); ++k) {
      learn(n.outputs[k].type, b.type(outputs[k]));
      const SymbolicValue &inside = n.outputs[k].symbolic, &outside = b.graph().output(outputs[k]).symbolic;
      for (std::size_t e = 0; inside && outside && e < inside->size() && e < outside->size(); ++e)
        if (const std::string_view name = (*inside)[e].symbol_name(); !name.empty())
          symbols.emplace(std::string(name), (*outside)[e]);
    }
    moved[static_cast<std::size_t>(id)] = std::move(outputs);
  }
  std::vector<Value> out;
  for (const Value v : body.outputs()) out.push_back(b.ok() ? at(v) : Value());
  return out;
}

Literal RowOf(const Literal& x, std::int64_t i) {
  const std::vector<std::int64_t> dims(x.dims().begin() + 1, x.dims().end());
  const std::int64_t size = Product(dims);
  std::vector<std::int64_t> from(Size(size));
  for (std::int64_t k = 0; k < size; ++k) from[Size(k)] = i * size + k;
  return GatherElements(x, dims, from);
}

Literal Stack(const std::vector<Literal>& rows) {
  std::vector<std::int64_t> dims = rows[0].dims();
  dims.insert(dims.begin(), static_cast<std::int64_t>(rows.size()));
  Literal out(rows[0].dtype(), std::move(dims));
  std::size_t at = 0;
  for (const Literal& row : rows) {
    if (row.dtype() == DType::kString) {
      std::copy(row.strings().begin(), row.strings().end(),
                out.mutable_strings().begin() + static_cast<std::ptrdiff_t>(at));
      at += row.strings().size();
    } else if (row.nbytes() > 0) {
      std::memcpy(out.mutable_raw().data() + at, row.raw().data(), row.nbytes());
      at += row.nbytes();
    }
  }
  return out;
}

bool IsDifferentiable(const Type& type) {
  return type.is_tensor() && (is_float(type.dtype()) || is_complex(type.dtype()));
}

}  // namespace tenon::ir::ops
