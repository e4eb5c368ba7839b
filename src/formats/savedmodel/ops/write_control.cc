// Calls, branches and loops -> TensorFlow: their bodies become functions of the library.
#include <fmt/format.h>

#include "base/status_macros.h"
#include "formats/savedmodel/writer.h"

namespace tenon::savedmodel {
namespace {

TfType TypeOf(const ir::Type& type) { return TfOfDType(type.dtype()); }

/// Writes a closed graph as a function of the library; gives its name.
Result<std::string> BodyFunction(WriteContext& c, const ir::Graph& body, std::string_view wanted) {
  std::set<std::string> missing;
  TENON_ASSIGN_OR_RETURN(const ir::Graph lowered, LowerForWriting(body, &missing));
  if (!missing.empty()) return c.Unsupported(fmt::format("its body holds {}", fmt::join(missing, ", ")));
  FunctionDef function;
  function.name = c.w.functions->names.Node(wanted);
  Namer nodes, arguments;
  std::vector<std::string> inputs;
  for (const ir::Value input : lowered.inputs()) {
    if (!lowered.type(input).is_tensor()) return c.Unsupported("a value that is no tensor crosses its border");
    ArgDef arg;
    arg.name = arguments.Argument(lowered.output(input).record.name);
    arg.type = TypeOf(lowered.type(input));
    nodes.Node(arg.name);
    inputs.push_back(arg.name);
    function.inputs.push_back(std::move(arg));
  }
  BodyWriter writer(&function, c.w.functions, &nodes);
  std::vector<std::string> problems;
  TENON_ASSIGN_OR_RETURN(const std::vector<std::string> outputs, WriteBody(writer, lowered, inputs, &problems));
  if (!problems.empty()) return Status(Code::kUnimplemented, fmt::format("{}", fmt::join(problems, "; ")));
  for (std::size_t k = 0; k < outputs.size(); ++k) {
    ArgDef arg;
    arg.name = arguments.Argument(fmt::format("output_{}", k));
    const ir::Type& type = lowered.type(lowered.outputs()[k]);
    arg.type = TypeOf(type);
    function.ret[arg.name] = writer.Emit("Identity", {outputs[k]}, {{"T", TypeAttr(arg.type)}});
    function.outputs.push_back(std::move(arg));
  }
  std::string name = function.name;
  c.w.functions->defs.push_back(std::move(function));
  return name;
}

std::vector<TfType> TypesOf(const WriteContext& c, int begin) {
  std::vector<TfType> out;
  for (int i = begin; i < c.size(); ++i) out.push_back(TypeOf(c.type(i)));
  return out;
}

void SetOutputs(WriteContext& c, const std::string& node, std::size_t count) {
  for (std::size_t k = 0; k < count; ++k) c.Set(static_cast<int>(k), fmt::format("{}:output:{}", node, k));
}

std::vector<TfType> OutputTypes(const WriteContext& c) {
  std::vector<TfType> out;
  for (const ir::Output& output : c.node.outputs) out.push_back(TypeOf(output.type));
  return out;
}

Status Call(WriteContext& c) {
  TENON_ASSIGN_OR_RETURN(const std::string f, BodyFunction(c, c.attrs().Body("body"), "call"));
  const std::string node =
      c.w.Node("PartitionedCall", c.ins(),
               {{"f", FuncAttr(f)}, {"Tin", TypesAttr(TypesOf(c, 0))}, {"Tout", TypesAttr(OutputTypes(c))}}, c.name());
  SetOutputs(c, node, c.node.outputs.size());
  return {};
}

Status Cond(WriteContext& c) {
  TENON_ASSIGN_OR_RETURN(const std::string yes, BodyFunction(c, c.attrs().Body("then_branch"), "then"));
  TENON_ASSIGN_OR_RETURN(const std::string no, BodyFunction(c, c.attrs().Body("else_branch"), "else"));
  std::vector<TfShape> shapes;
  for (const ir::Output& output : c.node.outputs) shapes.push_back(ShapeOfType(output.type));
  const std::string node = c.w.Node("StatelessIf", c.ins(),
                                    {{"Tcond", TypeAttr(DType::kBool)},
                                     {"Tin", TypesAttr(TypesOf(c, 1))},
                                     {"Tout", TypesAttr(OutputTypes(c))},
                                     {"then_branch", FuncAttr(yes)},
                                     {"else_branch", FuncAttr(no)},
                                     {"output_shapes", ShapesAttr(shapes)}},
                                    c.name());
  SetOutputs(c, node, c.node.outputs.size());
  return {};
}

constexpr WriteRule kRules[] = {{"call", Call}, {"cond", Cond}};

}  // namespace

std::span<const WriteRule> WriteControlRules() { return kRules; }

}  // namespace tenon::savedmodel
