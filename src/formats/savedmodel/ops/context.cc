#include "formats/savedmodel/ops/context.h"

#include <fmt/format.h>

#include <map>

#include "formats/savedmodel/fold.h"
#include "ir/numeric.h"
#include "ir/op_table.h"

namespace tenon::savedmodel {

Status OpContext::Fail(std::string_view what) const {
  return Status(Code::kInvalidArgument, fmt::format("{}: {}", node.op, what));
}
Status OpContext::Unsupported(std::string_view what) const {
  return Status(Code::kUnimplemented, fmt::format("{}: {}", node.op, what));
}

ir::Value OpContext::in(int i) {
  if (i < 0 || i >= size()) {
    b.SetStatus(Fail(fmt::format("got {} inputs, expected at least {}", size(), i + 1)));
    return {};
  }
  Slot& slot = inputs[static_cast<std::size_t>(i)];
  if (slot.kind == Slot::Kind::kReference) {
    const Result<ir::Value> value = t.Read(slot.cell);
    if (!value.ok()) b.SetStatus(value.status());
    return value.ok() ? *value : ir::Value();
  }
  if (slot.kind != Slot::Kind::kTensor) {
    b.SetStatus(Fail(fmt::format("its input {} is no tensor", i)));
    return {};
  }
  return slot.value;
}

std::vector<ir::Value> OpContext::ins(int begin, int end) {
  std::vector<ir::Value> out;
  for (int i = begin; i < (end < 0 ? size() : end); ++i) out.push_back(in(i));
  return out;
}

int OpContext::cell(int i) {
  if (i < size()) {
    const Slot& slot = inputs[static_cast<std::size_t>(i)];
    if (slot.kind == Slot::Kind::kResource || slot.kind == Slot::Kind::kReference) return slot.cell;
  }
  b.SetStatus(Fail(fmt::format("its input {} is no variable or table", i)));
  return -1;
}

const AttrValue* OpContext::Attr(std::string_view attr) const {
  const auto it = node.attrs.find(attr);
  return it == node.attrs.end() ? nullptr : &it->second;
}

namespace {
template <class T>
T Get(const AttrValue* attr, const T& otherwise) {
  const T* value = attr == nullptr ? nullptr : attr->get<T>();
  return value == nullptr ? otherwise : *value;
}
}  // namespace

std::int64_t OpContext::Int(std::string_view attr, std::int64_t otherwise) const { return Get(Attr(attr), otherwise); }
bool OpContext::Bool(std::string_view attr, bool otherwise) const { return Get(Attr(attr), otherwise); }
float OpContext::Float(std::string_view attr, float otherwise) const { return Get(Attr(attr), otherwise); }
std::string OpContext::String(std::string_view attr, std::string_view otherwise) const {
  return Get(Attr(attr), std::string(otherwise));
}
std::vector<std::int64_t> OpContext::Ints(std::string_view attr) const {
  const auto list = Get(Attr(attr), std::shared_ptr<const AttrList>());
  return list == nullptr ? std::vector<std::int64_t>() : list->i;
}
std::optional<DType> OpContext::Type(std::string_view attr) const {
  return DTypeOfTf(Get(Attr(attr), TfType::kInvalid));
}

const Literal* OpContext::constant(int i) {
  const ir::Value v = in(i);
  if (!v.valid()) return nullptr;
  const ir::Node& made = b.graph().node(v);
  return made.op->name == "constant" ? &made.attrs.Lit("value") : nullptr;
}

std::optional<std::vector<Dim>> OpContext::dims(int i) {
  const ir::Value v = in(i);
  if (!v.valid()) return std::nullopt;
  if (const ir::SymbolicValue& symbolic = b.graph().output(v).symbolic; symbolic) return *symbolic;
  const std::optional<Literal> known = KnownLiteral(b.graph(), v);
  if (!known || !is_integer(known->dtype()) || known->size() > 4096) return std::nullopt;
  std::vector<Dim> out;
  for (const std::int64_t n : ir::ToInts(*known)) out.emplace_back(n);
  return out;
}

std::optional<std::vector<Dim>> OpContext::sizes(int i) {
  if (std::optional<std::vector<Dim>> known = dims(i)) return known;
  const ir::Value v = in(i);
  if (!v.valid() || !b.ranked(v)) return std::nullopt;
  const std::optional<std::int64_t> count = b.shape(v).size().try_value();
  if (!count || *count > 64) return std::nullopt;
  std::vector<std::string> symbols;
  for (std::int64_t k = 0; k < *count; ++k) symbols.emplace_back(Dim::any().symbol_name());
  const ir::Value wide = b.Reshape(b.Cast(v, DType::kI64), Shape{*count});
  const ir::Value made = b.Add("as_dims", {wide}, {{"symbols", std::move(symbols)}});
  if (!b.ok()) return std::nullopt;
  return b.graph().output(made).symbolic;
}

std::vector<std::int64_t> OpContext::ints(int i) {
  const std::optional<std::vector<Dim>> known = dims(i);
  std::vector<std::int64_t> out;
  for (std::size_t k = 0; known && k < known->size() && !(*known)[k].is_symbolic(); ++k)
    out.push_back((*known)[k].value());
  if (!known || out.size() != known->size()) {
    b.SetStatus(Unsupported(fmt::format("input {} is known only at run time, expected a constant", i)));
    return {};
  }
  return out;
}

std::int64_t OpContext::integer(int i) {
  const std::vector<std::int64_t> values = ints(i);
  if (values.size() == 1) return values[0];
  b.SetStatus(Fail(fmt::format("input {} has {} elements, expected one", i, values.size())));
  return 0;
}

int OpContext::rank(ir::Value v) {
  if (v.valid() && b.ranked(v)) return b.shape(v).rank();
  b.SetStatus(Unsupported("the rank of its input is not known"));
  return -1;
}

void OpContext::Set(int output, ir::Value value) {
  Slot slot;
  slot.kind = value.valid() ? Slot::Kind::kTensor : Slot::Kind::kNone;
  slot.value = value;
  SetSlot(output, std::move(slot));
}

void OpContext::SetSlot(int output, Slot slot) {
  if (results.size() <= static_cast<std::size_t>(output)) results.resize(static_cast<std::size_t>(output) + 1);
  results[static_cast<std::size_t>(output)] = std::move(slot);
}

void OpContext::SetDims(int output, std::vector<Dim> elements) {
  const ir::Value v = results[static_cast<std::size_t>(output)].value;
  if (!v.valid() || elements.size() > 64) return;
  ir::Output& made = b.graph().output(v);
  if (!made.symbolic) made.symbolic = std::move(elements);
}

Status TranslateByRecord(OpContext& c);

namespace {

/// "TfType theirs=ours …" of every record, by type.
const std::map<std::string_view, const ir::OpDef*>& Records() {
  static const std::map<std::string_view, const ir::OpDef*> all = [] {
    std::map<std::string_view, const ir::OpDef*> out;
    for (const ir::OpFamily& family : ir::OpFamilies())
      for (const ir::OpDef& op : family.ops)
        if (!op.names.tf.empty()) out.emplace(op.names.tf.substr(0, op.names.tf.find(' ')), &op);
    return out;
  }();
  return all;
}

std::string_view TheirName(std::string_view names, std::string_view ours) {
  for (std::size_t at = names.find(' '); at != std::string_view::npos; at = names.find(' ', at + 1)) {
    const std::string_view pair = names.substr(at + 1, names.find(' ', at + 1) - at - 1);
    const std::size_t equal = pair.find('=');
    if (equal != std::string_view::npos && pair.substr(equal + 1) == ours) return pair.substr(0, equal);
  }
  return ours;
}

}  // namespace

Status TranslateByRecord(OpContext& c) {
  const auto record = Records().find(c.node.op);
  if (record == Records().end()) return c.Unsupported("no record names it");
  const ir::OpDef& op = *record->second;
  ir::Attrs attrs;
  for (const ir::AttrSpec& spec : op.attrs) {
    const AttrValue* attr = c.Attr(TheirName(op.names.tf, spec.name));
    if (attr == nullptr) continue;
    if (const auto* b = attr->get<bool>(); b != nullptr && spec.kind == ir::AttrKind::kBool) attrs.Set(spec.name, *b);
    if (const auto* i = attr->get<std::int64_t>(); i != nullptr && spec.kind == ir::AttrKind::kInt)
      attrs.Set(spec.name, *i);
    if (const auto* f = attr->get<float>(); f != nullptr && spec.kind == ir::AttrKind::kFloat)
      attrs.Set(spec.name, double{*f});
    if (const auto* s = attr->get<std::string>(); s != nullptr && spec.kind == ir::AttrKind::kString)
      attrs.Set(spec.name, *s);
    if (const auto* type = attr->get<TfType>(); type != nullptr && spec.kind == ir::AttrKind::kDType)
      if (const std::optional<DType> dtype = DTypeOfTf(*type)) attrs.Set(spec.name, *dtype);
  }
  const std::vector<ir::Value> outputs = c.b.AddAll(op, c.ins(0), std::move(attrs));
  for (std::size_t i = 0; i < outputs.size(); ++i) c.Set(static_cast<int>(i), outputs[i]);
  return {};
}

Status (*FindRule(std::string_view op))(OpContext&) {
  static const std::map<std::string_view, Status (*)(OpContext&)> all = [] {
    std::map<std::string_view, Status (*)(OpContext&)> out;
    for (const auto& table :
         {ElementwiseRules(), StateRules(),    ShapeRules(),     SliceRules(),    LinearRules(),   ConvRules(),
          ReduceRules(),      IndexRules(),    RearrangeRules(), TrainingRules(), ExampleRules(),  ControlRules(),
          SparseRules(),      TableRules(),    AlgebraRules(),   CountRules(),    DiagonalRules(), FourierRules(),
          ListRules(),        QuantizeRules(), RaggedRules(),    RandomRules(),   ResizeRules(),   TextRules()})
      for (const Rule& rule : table) out.emplace(rule.op, rule.translate);
    for (const auto& [name, record] : Records()) out.emplace(name, TranslateByRecord);
    return out;
  }();
  const auto it = all.find(op);
  return it == all.end() ? nullptr : it->second;
}

}  // namespace tenon::savedmodel
