// If: a known condition leaves one branch, in place; else both become closed graphs with the same captures.
#include "formats/onnx/ops/branch.h"

#include <fmt/format.h>

#include "formats/onnx/ops/families.h"
#include "formats/onnx/translator.h"

namespace tenon::onnx {

Result<const Graph*> GraphAttr(NodeContext& n, std::string_view name) {
  const Attribute* found = n.Find(name);
  if (found == nullptr || found->graphs.size() != 1)
    return n.Fail(fmt::format("the attribute \"{}\" is missing", name));
  return &found->graphs[0];
}

namespace {

Status If(NodeContext& n) {
  TENON_ASSIGN_OR_RETURN(const Graph* then_graph, GraphAttr(n, "then_branch"));
  TENON_ASSIGN_OR_RETURN(const Graph* else_graph, GraphAttr(n, "else_branch"));
  for (const Graph* graph : {then_graph, else_graph})
    if (static_cast<int>(graph->outputs.size()) != n.num_outputs())
      return n.Fail(fmt::format("a branch has {} outputs, the node {}", graph->outputs.size(), n.num_outputs()));
  if (const std::optional<Literal> known = n.Const(0); known && known->size() == 1) {
    TENON_ASSIGN_OR_RETURN(const std::vector<Value> out,
                           n.translator().Inline(known->at(0) != 0 ? *then_graph : *else_graph, n.scope()));
    for (std::size_t i = 0; i < out.size(); ++i) n.Out(static_cast<int>(i), out[i]);
    return {};
  }
  TENON_ASSIGN_OR_RETURN(Body then_body, n.translator().TranslateBody(*then_graph, n.scope(), {}));
  TENON_ASSIGN_OR_RETURN(Body else_body, n.translator().TranslateBody(*else_graph, n.scope(), {}));
  const std::vector<Value> captures = Translator::UniteCaptures({&then_body, &else_body});
  std::vector<Value> inputs = {n.Reshape(n.in(0), {})};
  inputs.insert(inputs.end(), captures.begin(), captures.end());
  std::vector<Value> then_out = then_body.outputs, else_out = else_body.outputs;
  const std::vector<Value> out =
      n.b.AddAll("cond", std::move(inputs),
                 {{"then_branch", Translator::Close(std::move(then_body), std::move(then_out))},
                  {"else_branch", Translator::Close(std::move(else_body), std::move(else_out))}});
  for (std::size_t i = 0; i < out.size(); ++i) n.Out(static_cast<int>(i), out[i]);
  return {};
}

const OpRow kRows[] = {
    {"If", 1, 1, -1, "then_branch:g else_branch:g", If},
};

}  // namespace
const std::span<const OpRow> kBranchRows = kRows;
}  // namespace tenon::onnx
