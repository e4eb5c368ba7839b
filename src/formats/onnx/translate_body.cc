// Sub-graphs of nodes: their own frame, what they capture, and how they are closed.
#include <fmt/format.h>

#include <algorithm>

#include "formats/onnx/translator.h"

namespace tenon::onnx {

Result<Body> Translator::TranslateBody(const Graph& graph, const Scope& scope, std::vector<ir::Output> inputs) {
  Body body;
  body.frame = std::make_unique<Frame>();
  body.frame->outer = scope.frame;
  Scope inner;
  inner.frame = body.frame.get();
  inner.outer = &scope;
  inner.imports = scope.imports;
  inner.attributes = scope.attributes;
  inner.prefix = scope.prefix;
  if (graph.inputs.size() != inputs.size())
    return Status(Code::kInvalidArgument, fmt::format("the graph \"{}\" has {} inputs, expected {}", graph.name,
                                                      graph.inputs.size(), inputs.size()));
  ir::Builder b(&body.frame->graph);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Value v = b.Input(graph.inputs[i].name, inputs[i].type);
    body.frame->graph.output(v).symbolic = inputs[i].symbolic;
    inner.values[graph.inputs[i].name] = v;
  }
  inner.declared = &graph;
  TENON_RETURN_IF_ERROR(AddInitializers(graph, &inner, false));
  TranslateNodes(graph.nodes, &inner);
  for (const ValueInfo& output : graph.outputs) {
    const Lookup found = Find(inner, output.name);
    if (!found.value.valid()) return Status(Code::kCancelled, "a node of the graph failed");
    if (KeysOf(inner, found.value).valid())
      return Status(Code::kUnimplemented, fmt::format("the graph \"{}\" gives a map, \"{}\"", graph.name, output.name));
    body.outputs.push_back(found.value);
  }
  return body;
}

Result<std::vector<Value>> Translator::Inline(const Graph& graph, const Scope& scope) {
  Scope inner;
  inner.frame = scope.frame;
  inner.outer = &scope;
  inner.imports = scope.imports;
  inner.attributes = scope.attributes;
  inner.prefix = scope.prefix;
  inner.declared = &graph;
  TENON_RETURN_IF_ERROR(AddInitializers(graph, &inner, false));
  TranslateNodes(graph.nodes, &inner);
  std::vector<Value> outputs;
  for (const ValueInfo& output : graph.outputs) {
    const Lookup found = Find(inner, output.name);
    if (!found.value.valid()) return Status(Code::kCancelled, "a node of the graph failed");
    outputs.push_back(found.value);
  }
  return outputs;
}

std::vector<Value> Translator::UniteCaptures(const std::vector<Body*>& bodies) {
  std::vector<Value> all;
  for (const Body* body : bodies)
    for (const Value v : body->frame->captured)
      if (std::find(all.begin(), all.end(), v) == all.end()) all.push_back(v);
  for (Body* body : bodies) {
    Frame& frame = *body->frame;
    const std::size_t own = frame.graph.inputs().size() - frame.captured.size();
    ir::Graph united;
    std::unordered_map<Value, Value, ir::ValueHash> moved;
    const auto copy = [&](std::int32_t id) {
      ir::Node node = frame.graph.node(id);
      for (Value& v : node.inputs)
        if (v.valid()) v = moved.at(v);
      const auto count = static_cast<std::int32_t>(node.outputs.size());
      const std::int32_t to = united.Append(std::move(node));
      for (std::int32_t k = 0; k < count; ++k) moved[{id, k}] = {to, k};
    };
    for (std::size_t i = 0; i < own; ++i) copy(frame.graph.inputs()[i].node);
    for (const Value outer : all) {
      const auto known = std::find(frame.captured.begin(), frame.captured.end(), outer);
      if (known != frame.captured.end()) {
        copy(frame.graph.inputs()[own + static_cast<std::size_t>(known - frame.captured.begin())].node);
      } else {
        const ir::Output& source = frame.outer->graph.output(outer);
        ir::Builder(&united).Input(source.record.name, source.type);
      }
    }
    for (std::int32_t id = 0; id < frame.graph.size(); ++id)
      if (!moved.contains({id, 0})) copy(id);
    frame.graph = std::move(united);
    frame.captured = all;
    frame.from_outer.clear();
    for (Value& v : body->outputs) v = moved.at(v);
  }
  return all;
}

ir::GraphPtr Translator::Close(Body body, std::vector<Value> outputs) {
  body.frame->graph.set_outputs(std::move(outputs));
  body.frame->graph.Compact();
  return std::make_shared<const ir::Graph>(std::move(body.frame->graph));
}

}  // namespace tenon::onnx
