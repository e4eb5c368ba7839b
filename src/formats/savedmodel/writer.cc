#include "formats/savedmodel/writer.h"

#include <fmt/format.h>

#include <cctype>
#include <limits>

#include "base/status_macros.h"
#include "formats/savedmodel/tensor_proto.h"
#include "ir/numeric.h"

namespace tenon::savedmodel {
namespace {

/// The first output argument of ops where it is not called "output".
struct OutputName {
  std::string_view op, name;
};
constexpr OutputName kNames[] = {
    {"Abs", "y"},
    {"Acos", "y"},
    {"Acosh", "y"},
    {"AddV2", "z"},
    {"Asin", "y"},
    {"Asinh", "y"},
    {"Atan", "y"},
    {"Atan2", "z"},
    {"Atanh", "y"},
    {"BitwiseAnd", "z"},
    {"BitwiseOr", "z"},
    {"BitwiseXor", "z"},
    {"Cast", "y"},
    {"Ceil", "y"},
    {"Cos", "y"},
    {"Cosh", "y"},
    {"Cumprod", "out"},
    {"Cumsum", "out"},
    {"Elu", "activations"},
    {"Equal", "z"},
    {"Erf", "y"},
    {"Erfc", "y"},
    {"Exp", "y"},
    {"Expm1", "y"},
    {"Floor", "y"},
    {"FloorDiv", "z"},
    {"FloorMod", "z"},
    {"FusedBatchNormV3", "y"},
    {"Greater", "z"},
    {"GreaterEqual", "z"},
    {"Invert", "y"},
    {"IsFinite", "y"},
    {"IsInf", "y"},
    {"IsNan", "y"},
    {"LeakyRelu", "activations"},
    {"Less", "z"},
    {"LessEqual", "z"},
    {"Log", "y"},
    {"Log1p", "y"},
    {"LogSoftmax", "logsoftmax"},
    {"LogicalAnd", "z"},
    {"LogicalNot", "y"},
    {"LogicalOr", "z"},
    {"MatMul", "product"},
    {"Maximum", "z"},
    {"Minimum", "z"},
    {"Mul", "z"},
    {"Neg", "y"},
    {"NotEqual", "z"},
    {"OnesLike", "y"},
    {"Pow", "z"},
    {"ReadVariableOp", "value"},
    {"RealDiv", "z"},
    {"Reciprocal", "y"},
    {"Relu", "activations"},
    {"Relu6", "activations"},
    {"Round", "y"},
    {"Rsqrt", "y"},
    {"Selu", "activations"},
    {"Sigmoid", "y"},
    {"Sign", "y"},
    {"Sin", "y"},
    {"Sinh", "y"},
    {"Softmax", "softmax"},
    {"Softplus", "activations"},
    {"Softsign", "activations"},
    {"Sqrt", "y"},
    {"Square", "y"},
    {"Sub", "z"},
    {"Tan", "y"},
    {"Tanh", "y"},
    {"TopKV2", "values"},
    {"Transpose", "y"},
    {"Where", "index"},
    {"ZerosLike", "y"},
    {"TensorListReserve", "handle"},
    {"TensorListSetItem", "output_handle"},
    {"TensorListGetItem", "item"},
    {"TensorListStack", "tensor"},
    {"TensorListFromTensor", "output_handle"},
};

template <class T>
AttrValue Make(T value) {
  AttrValue attr;
  attr.value = std::move(value);
  return attr;
}

AttrValue MakeList(AttrList list) {
  return Make(std::shared_ptr<const AttrList>(std::make_shared<AttrList>(std::move(list))));
}

}  // namespace

AttrValue TypeAttr(DType dtype) { return Make(TfOfDType(dtype)); }
AttrValue TypeAttr(TfType type) { return Make(type); }
AttrValue IntAttr(std::int64_t value) { return Make(value); }
AttrValue BoolAttr(bool value) { return Make(value); }
AttrValue FloatAttr(double value) { return Make(static_cast<float>(value)); }
AttrValue StringAttr(std::string_view value) { return Make(std::string(value)); }
AttrValue IntsAttr(std::vector<std::int64_t> values) {
  AttrList list;
  list.i = std::move(values);
  return MakeList(std::move(list));
}
AttrValue TypesAttr(std::vector<TfType> types) {
  AttrList list;
  list.type = std::move(types);
  return MakeList(std::move(list));
}
AttrValue ShapeAttr(TfShape shape) { return Make(std::move(shape)); }
AttrValue ShapesAttr(std::vector<TfShape> shapes) {
  AttrList list;
  list.shape = std::move(shapes);
  return MakeList(std::move(list));
}
AttrValue FuncAttr(const std::string& name) {
  auto func = std::make_shared<NameAttrList>();
  func->name = name;
  return Make(std::shared_ptr<const NameAttrList>(std::move(func)));
}
AttrValue TensorAttr(Literal value) {
  return Make(std::shared_ptr<const TensorProto>(std::make_shared<TensorProto>(TensorOf(std::move(value)))));
}

TfShape ShapeOfType(const ir::Type& type) {
  TfShape shape;
  shape.unknown_rank = !type.has_rank();
  if (type.has_rank())
    for (const Dim& dim : type.shape().dims()) shape.dims.push_back(dim.is_symbolic() ? -1 : dim.value());
  return shape;
}

std::string Namer::Unique(std::string name) {
  const auto [at, fresh] = taken_.emplace(name, 0);
  if (fresh) return name;
  for (;;) {
    std::string next = fmt::format("{}_{}", name, ++at->second);
    if (taken_.emplace(next, 0).second) return next;
  }
}

std::string Namer::Node(std::string_view wanted) {
  std::string name;
  for (const char c : wanted)
    name += std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == '-' || c == '/' ? c : '_';
  if (name.empty() || (std::isalnum(static_cast<unsigned char>(name[0])) == 0 && name[0] != '.')) name = "n" + name;
  return Unique(std::move(name));
}

std::string Namer::Argument(std::string_view wanted) {
  std::string name;
  for (const char c : wanted) {
    const auto byte = static_cast<unsigned char>(c);
    name += std::isalnum(byte) != 0 && byte < 128 ? static_cast<char>(std::tolower(byte)) : '_';
  }
  if (name.empty() || std::isalpha(static_cast<unsigned char>(name[0])) == 0) name = "a" + name;
  return Unique(std::move(name));
}

std::string BodyWriter::Node(std::string_view op, std::vector<std::string> inputs, Attrs attrs,
                             std::string_view wanted) {
  NodeDef node;
  node.name = nodes_->Node(wanted.empty() ? op : wanted);
  node.op = op;
  node.inputs = std::move(inputs);
  node.attrs = std::move(attrs);
  function_->nodes.push_back(std::move(node));
  return function_->nodes.back().name;
}

std::string BodyWriter::Emit(std::string_view op, std::vector<std::string> inputs, Attrs attrs,
                             std::string_view wanted) {
  std::string_view output = "output";
  for (const OutputName& row : kNames)
    if (row.op == op) output = row.name;
  return fmt::format("{}:{}:0", Node(op, std::move(inputs), std::move(attrs), wanted), output);
}

std::string BodyWriter::Const(Literal value, std::string_view wanted) {
  const DType dtype = value.dtype();
  return Emit("Const", {}, {{"dtype", TypeAttr(dtype)}, {"value", TensorAttr(std::move(value))}}, wanted);
}

std::string BodyWriter::Ints(const std::vector<std::int64_t>& values) {
  const auto size = static_cast<std::int64_t>(values.size());
  for (const std::int64_t value : values)
    if (value != static_cast<std::int32_t>(value)) return Const(Literal::from<std::int64_t>({size}, values));
  const std::vector<std::int32_t> narrow(values.begin(), values.end());
  return Const(Literal::from<std::int32_t>({size}, narrow));
}

std::string BodyWriter::Int(std::int64_t value) { return Const(Literal::scalar(static_cast<std::int32_t>(value))); }

std::string BodyWriter::Scalar(double value, DType dtype) { return Const(ir::ScalarLiteral(value, dtype)); }

std::vector<std::string> WriteContext::ins() const {
  std::vector<std::string> out;
  for (int i = 0; i < size(); ++i) out.push_back(in(i));
  return out;
}

const Literal* WriteContext::constant(int i) const {
  const ir::Node& made = graph.node(node.inputs[static_cast<std::size_t>(i)]);
  return made.op->name == "constant" ? &made.attrs.Lit("value") : nullptr;
}

Status WriteContext::Unsupported(std::string_view what) const {
  return Status(Code::kUnimplemented, fmt::format("{}: {}", node.op->name, what));
}

const WriteRule* FindWriteRule(std::string_view op) {
  static const std::map<std::string_view, const WriteRule*> all = [] {
    std::map<std::string_view, const WriteRule*> out;
    for (const auto& table :
         {WriteElementwiseRules(), WriteArrayRules(), WriteConvRules(), WriteReduceRules(), WriteControlRules()})
      for (const WriteRule& rule : table) out.emplace(rule.op, &rule);
    return out;
  }();
  const auto it = all.find(op);
  return it == all.end() ? nullptr : it->second;
}

namespace {

/// Copies the nodes of a graph into a builder's, lowering on the way.
class Lowerer {
 public:
  Lowerer(ir::Builder& builder, std::set<std::string>* missing) : b_(builder), missing_(missing) {}

  Status Copy(const ir::Graph& from, std::map<ir::Value, ir::Value>& moved, int depth) {
    if (depth > 32) return Status(Code::kInternal, "SavedModel writer: lowerings nested deeper than 32");
    for (std::int32_t id = 0; id < from.size(); ++id) {
      const ir::Node& node = from.node(id);
      if (node.op->name == "input") continue;  // given by the caller
      std::vector<ir::Value> inputs;
      for (const ir::Value input : node.inputs) inputs.push_back(input.valid() ? moved.at(input) : ir::Value());
      const WriteRule* rule = FindWriteRule(node.op->name);
      if (rule != nullptr && (rule->can == nullptr || rule->can(from, node))) {
        const std::vector<ir::Value> outputs = b_.AddAll(*node.op, inputs, node.attrs);
        TENON_RETURN_IF_ERROR(b_.status());
        for (std::size_t k = 0; k < outputs.size(); ++k)
          Moved(from, {id, static_cast<std::int32_t>(k)}, outputs[k], moved);
        continue;
      }
      if (node.op->lower == nullptr) {
        missing_->insert(rule == nullptr ? std::string(node.op->name)
                                         : fmt::format("{} (with these attributes)", node.op->name));
        // Stand-ins keep the walk going, so that everything missing is found.
        for (std::size_t k = 0; k < node.outputs.size(); ++k)
          moved[{id, static_cast<std::int32_t>(k)}] = b_.Input("missing", node.outputs[k].type);
        continue;
      }
      // The lowering is built in a graph of its own, whose nodes are lowered in turn.
      ir::Graph lowered;
      ir::Builder builder(&lowered);
      std::vector<ir::Value> arguments;
      std::map<ir::Value, ir::Value> inner;
      for (std::size_t i = 0; i < node.inputs.size(); ++i) {
        if (!inputs[i].valid()) {
          arguments.emplace_back();
          continue;
        }
        arguments.push_back(builder.Input("", from.type(node.inputs[i])));
        lowered.output(arguments.back()).symbolic = from.output(node.inputs[i]).symbolic;
        inner[arguments.back()] = inputs[i];
      }
      Result<std::vector<ir::Value>> outputs = ir::Lower(builder, *node.op, arguments, node.attrs);
      if (!outputs.ok()) return outputs.status();
      TENON_RETURN_IF_ERROR(Copy(lowered, inner, depth + 1));
      for (std::size_t k = 0; k < node.outputs.size() && k < outputs->size(); ++k)
        if ((*outputs)[k].valid()) Moved(from, {id, static_cast<std::int32_t>(k)}, inner.at((*outputs)[k]), moved);
    }
    return {};
  }

 private:
  void Moved(const ir::Graph& from, ir::Value old, ir::Value now, std::map<ir::Value, ir::Value>& moved) {
    moved[old] = now;
    const ir::Record& record = from.output(old).record;
    if (!record.empty() && b_.graph().output(now).record.empty()) b_.graph().output(now).record = record;
  }
  ir::Builder& b_;
  std::set<std::string>* missing_;
};

}  // namespace

Result<ir::Graph> LowerForWriting(const ir::Graph& graph, std::set<std::string>* missing) {
  ir::Graph out;
  ir::Builder builder(&out);
  std::map<ir::Value, ir::Value> moved;
  for (const ir::Value input : graph.inputs()) {
    moved[input] = builder.Input(graph.output(input).record.name, graph.type(input));
    out.output(moved[input]).record = graph.output(input).record;
    out.output(moved[input]).symbolic = graph.output(input).symbolic;
  }
  TENON_RETURN_IF_ERROR(builder.status());
  Lowerer lowerer(builder, missing);
  TENON_RETURN_IF_ERROR(lowerer.Copy(graph, moved, 0));
  if (!missing->empty()) return out;
  std::vector<ir::Value> outputs;
  for (const ir::Value output : graph.outputs()) outputs.push_back(moved.at(output));
  out.set_outputs(std::move(outputs));
  out.Compact();
  return out;
}

Result<std::vector<std::string>> WriteBody(BodyWriter& writer, const ir::Graph& graph,
                                           const std::vector<std::string>& inputs, std::vector<std::string>* problems) {
  for (std::int32_t id = 0; id < graph.size(); ++id)
    for (const ir::Output& output : graph.node(id).outputs)
      if (output.type.is_tensor() && TfOfDType(output.type.dtype()) == TfType::kInvalid)
        return Status(Code::kUnimplemented, fmt::format("{}: TensorFlow has no type {}", graph.node(id).op->name,
                                                        dtype_name(output.type.dtype())));
  std::map<ir::Value, std::string> values;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    values[graph.inputs()[i]] = inputs[i];
    writer.Known(graph.type(graph.inputs()[i]), inputs[i]);
  }
  for (std::int32_t id = 0; id < graph.size(); ++id) {
    const ir::Node& node = graph.node(id);
    if (node.op->name == "input") continue;
    WriteContext context(writer, graph, id, values);
    bool ready = true;
    for (const ir::Value input : node.inputs) ready = ready && (!input.valid() || values.contains(input));
    if (!ready) continue;  // something before it could not be written
    const WriteRule* rule = FindWriteRule(node.op->name);
    if (rule == nullptr)
      return Status(Code::kInternal, fmt::format("{}: has no write rule after lowering", node.op->name));
    if (const Status status = rule->write(context); !status.ok()) {
      problems->push_back(status.message());
      continue;
    }
    for (std::size_t k = 0; k < node.outputs.size(); ++k)
      if (const auto it = values.find({id, static_cast<std::int32_t>(k)}); it != values.end())
        writer.Known(node.outputs[k].type, it->second);
  }
  std::vector<std::string> outputs;
  for (const ir::Value output : graph.outputs()) {
    const auto it = values.find(output);
    outputs.push_back(it == values.end() ? "" : it->second);
  }
  return outputs;
}

}  // namespace tenon::savedmodel
