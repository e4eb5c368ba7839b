#include "formats/onnx/schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>

#include "formats/onnx/check.h"
#include "ir/op_table.h"

namespace tenon::onnx {
namespace {

struct Word {
  std::string_view name, value;  // "name<separator>value"
};

// Takes the first word of a list and splits it.
Word NextWord(std::string_view* list, char separator) {
  const std::size_t end = std::min(list->find(' '), list->size());
  const std::string_view word = list->substr(0, end);
  list->remove_prefix(std::min(end + 1, list->size()));
  const std::size_t middle = word.find(separator);
  if (middle == std::string_view::npos) return {word, {}};
  return {word.substr(0, middle), word.substr(middle + 1)};
}

// `kind` may be several, with '/' between.
bool KindFits(std::string_view kind, AttributeType type) {
  if (const std::size_t slash = kind.find('/'); slash != std::string_view::npos)
    return KindFits(kind.substr(0, slash), type) || KindFits(kind.substr(slash + 1), type);
  switch (type) {
    case AttributeType::kFloat:
      return kind == "f";
    case AttributeType::kInt:
      return kind == "i";
    case AttributeType::kString:
      return kind == "s";
    case AttributeType::kTensor:
      return kind == "t";
    case AttributeType::kSparseTensor:
      return kind == "st";
    case AttributeType::kGraph:
      return kind == "g";
    case AttributeType::kTypeProto:
      return kind == "tp";
    case AttributeType::kFloats:
      return kind == "fs";
    case AttributeType::kInts:
      return kind == "is";
    case AttributeType::kStrings:
      return kind == "ss";
    default:
      return false;
  }
}

std::string_view KindOf(ir::AttrKind kind) {
  switch (kind) {
    case ir::AttrKind::kBool:
    case ir::AttrKind::kInt:
      return "i";
    case ir::AttrKind::kFloat:
      return "f";
    case ir::AttrKind::kString:
      return "s";
    case ir::AttrKind::kInts:
      return "is";
    case ir::AttrKind::kFloats:
      return "fs";
    case ir::AttrKind::kStrings:
      return "ss";
    default:
      return {};
  }
}

// Our attribute for theirs: the record lists the names that differ.
const ir::AttrSpec* FindSpec(const ir::OpDef& op, std::string_view theirs) {
  std::string_view names = op.names.onnx;
  NextWord(&names, ' ');
  std::string_view ours = theirs;
  while (!names.empty())
    if (const Word word = NextWord(&names, '='); word.name == theirs) ours = word.value;
  for (const ir::AttrSpec& spec : op.attrs)
    if (spec.name == ours) return &spec;
  return nullptr;
}

// An op whose record says "the same as this ONNX operator": "Softplus", "LeakyRelu alpha=negative_slope".
Status TranslateRecord(NodeContext& n) {
  const ir::OpDef& op = ir::GetOp(n.row.ours);
  ir::Attrs attrs;
  for (const Attribute& attribute : n.node.attributes) {
    const ir::AttrSpec* spec = FindSpec(op, attribute.name);
    if (spec == nullptr || !n.HasAttr(attribute.name)) continue;
    const std::string_view name = attribute.name;
    if (spec->kind == ir::AttrKind::kBool) attrs.Set(spec->name, n.Int(name, 0) != 0);
    if (spec->kind == ir::AttrKind::kInt) attrs.Set(spec->name, n.Int(name, 0));
    if (spec->kind == ir::AttrKind::kFloat) attrs.Set(spec->name, n.Float(name, 0));
    if (spec->kind == ir::AttrKind::kString) attrs.Set(spec->name, n.String(name, ""));
    if (spec->kind == ir::AttrKind::kInts) attrs.Set(spec->name, n.IntList(name));
    if (spec->kind == ir::AttrKind::kFloats) attrs.Set(spec->name, n.FloatList(name));
    if (spec->kind == ir::AttrKind::kStrings) attrs.Set(spec->name, n.StringList(name));
  }
  const std::vector<Value> outputs = n.b.AddAll(op, n.inputs(), std::move(attrs));
  for (std::size_t i = 0; i < outputs.size(); ++i) n.Out(static_cast<int>(i), outputs[i]);
  return n.b.status();
}

// The rows made from records, with the texts that they view.
struct RecordRows {
  std::deque<std::string> texts;
  std::map<std::string_view, OpRow> rows;

  RecordRows() {
    for (const ir::OpFamily& family : ir::OpFamilies())
      for (const ir::OpDef& op : family.ops) Add(op);
  }
  void Add(const ir::OpDef& op) {
    std::string_view names = op.names.onnx;
    if (names.empty()) return;
    OpRow row{};
    row.op_type = NextWord(&names, ' ').name;
    std::string attrs;
    std::vector<std::string_view> renamed;
    while (!names.empty()) {
      const Word word = NextWord(&names, '=');
      renamed.push_back(word.value);
      if (const ir::AttrSpec* spec = FindSpec(op, word.name))
        attrs += fmt::format("{}:{} ", word.name, KindOf(spec->kind));
    }
    for (const ir::AttrSpec& spec : op.attrs)
      if (std::find(renamed.begin(), renamed.end(), spec.name) == renamed.end() && !KindOf(spec.kind).empty())
        attrs += fmt::format("{}:{} ", spec.name, KindOf(spec.kind));
    row.attrs = texts.emplace_back(attrs);
    for (const ir::Port& port : op.inputs) {
      const bool variadic = (port.flags & ir::kVariadic) != 0;
      row.max_inputs = variadic ? -1 : row.max_inputs + 1;
      if ((port.flags & (ir::kOptional | ir::kVariadic)) == 0) row.min_inputs = row.max_inputs;
    }
    row.max_outputs = static_cast<int>(op.outputs.size());
    row.translate = TranslateRecord;
    row.ours = op.name;
    rows.insert({row.op_type, row});
  }
};

Status Refuse(Code code, std::string message) { return Status(code, std::move(message)); }

Status CheckAttributes(const Node& node, const OpRow& row) {
  for (const Attribute& attribute : node.attributes) {
    if (attribute.name == "consumed_inputs") continue;  // opset 1, without meaning
    std::string_view list = row.attrs;
    std::string_view kind;
    bool known = false;
    while (!list.empty() && !known) {
      const Word word = NextWord(&list, ':');
      known = word.name == attribute.name;
      kind = word.value;
    }
    if (!known) return Refuse(Code::kInvalidArgument, fmt::format("has no attribute \"{}\"", attribute.name));
    if (!attribute.ref_attr_name.empty()) continue;
    // An empty list may be declared as any list.
    if (!KindFits(kind, attribute.type))
      return Refuse(Code::kInvalidArgument,
                    fmt::format("attribute \"{}\" is a {}", attribute.name, AttributeTypeName(attribute.type)));
  }
  return Status();
}

}  // namespace

const OpRow* FindRow(std::string_view domain, std::string_view op_type) {
  static const std::map<std::pair<std::string_view, std::string_view>, const OpRow*> kRows = [] {
    std::map<std::pair<std::string_view, std::string_view>, const OpRow*> rows;
    for (const std::span<const OpRow> family : RowFamilies())
      for (const OpRow& row : family) rows.insert({{row.domain, row.op_type}, &row});
    return rows;
  }();
  if (const auto found = kRows.find({domain, op_type}); found != kRows.end()) return found->second;
  if (!domain.empty()) return nullptr;
  static const RecordRows kRecords;
  const auto found = kRecords.rows.find(op_type);
  return found == kRecords.rows.end() ? nullptr : &found->second;
}

Status CheckNode(const Node& node, std::int64_t opset, const std::vector<Value>& inputs, const OpRow** row) {
  const std::string_view domain = NormalDomain(node.domain);
  if (domain.empty()) {
    const int first = FirstOpset(node.op_type);
    if (first == 0 && node.op_type != "Scatter" && node.op_type != "Upsample" &&
        node.op_type != "SimplifiedLayerNormalization") {
      if (opset > kNewestOpset)
        return Refuse(
            Code::kUnimplemented,
            fmt::format("not known; the model imports opset {}, known are those up to {}", opset, kNewestOpset));
      return Refuse(Code::kInvalidArgument, "ONNX has no such operator");
    }
    if (first > opset)
      return Refuse(Code::kInvalidArgument,
                    fmt::format("came with opset {}, but the model imports opset {}", first, opset));
  }
  *row = FindRow(domain, node.op_type);
  if (*row == nullptr)
    return Refuse(Code::kUnimplemented, domain.empty()
                                            ? "the operator is not supported"
                                            : fmt::format("the operator of domain \"{}\" is not supported", domain));
  const OpRow& op = **row;
  const auto count = static_cast<int>(inputs.size());
  if (count < op.min_inputs || (op.max_inputs >= 0 && count > op.max_inputs))
    return Refuse(Code::kInvalidArgument,
                  op.max_inputs < 0
                      ? fmt::format("got {} inputs, expected {} or more", count, op.min_inputs)
                      : fmt::format("got {} inputs, expected {} to {}", count, op.min_inputs, op.max_inputs));
  for (int i = 0; i < op.min_inputs; ++i)
    if (!inputs[static_cast<std::size_t>(i)].valid())
      return Refuse(Code::kInvalidArgument, fmt::format("input {} is left out, it is required", i));
  if (op.max_outputs >= 0 && static_cast<int>(node.outputs.size()) > op.max_outputs)
    return Refuse(Code::kInvalidArgument,
                  fmt::format("got {} outputs, expected at most {}", node.outputs.size(), op.max_outputs));
  return CheckAttributes(node, op);
}

}  // namespace tenon::onnx
