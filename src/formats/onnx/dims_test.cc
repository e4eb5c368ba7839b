// What dims say in the file, what follows from shapes while translating, and nesting far too deep.
#include "formats/onnx/dims.h"

#include <gtest/gtest.h>

#include "formats/onnx/parse.h"
#include "formats/onnx/translate.h"
#include "ir/eval.h"
#include "ir/numeric.h"
#include "ir/op_def.h"

namespace tenon::onnx {
namespace {

TEST(Dims, NamesAndExpressions) {
  DimReader reader;
  const Dim time = reader.Read("time"), batch = reader.Read("batch");
  EXPECT_EQ(time, Dim::symbol("time"));
  EXPECT_EQ(reader.Read("2*time + 1"), time * 2 + 1);
  EXPECT_EQ(reader.Read("Max(0, time - 2)"), Dim::max(Dim(0), time - 2));
  EXPECT_EQ(reader.Read("min(batch, time)"), Dim::min(batch, time));
  EXPECT_EQ(reader.Read("time//2"), Dim::floor_div(time, 2));
  EXPECT_EQ(reader.Read("floordiv(time, 2)"), Dim::floor_div(time, 2));
  EXPECT_EQ(reader.Read("ceil_div(time, 2)"), Dim::ceil_div(time, 2));
  EXPECT_EQ(reader.Read("(batch + 1)*(time - 1)"), (batch + 1) * (time - 1));
  // No expression: a symbol, the same for the same text and another for another.
  const Dim odd = reader.Read("time steps"), twin = reader.Read("time.steps");
  EXPECT_TRUE(odd.is_symbolic());
  EXPECT_EQ(odd, reader.Read("time steps"));
  EXPECT_NE(odd, twin);
  EXPECT_NE(odd, time);
  for (const char* text : {"1/0", "9223372036854775807*2", "time//0", "((((", "2*", "-"})
    EXPECT_TRUE(reader.Read(text).is_symbolic()) << text;
  // Neither number nor name, and the -1 of old writers: another dim each time.
  EXPECT_NE(reader.Read(Dimension()), reader.Read(Dimension()));
  Dimension old;
  old.value = -1;
  EXPECT_TRUE(reader.Read(old).is_symbolic());
}

TEST(Dims, DepthsWithoutEndAreRefusedOrRead) {
  DimReader reader;
  for (const std::size_t depth : {100u, 1000u, 100000u})
    EXPECT_TRUE(reader.Read(std::string(depth, '(') + "n" + std::string(depth, ')')).is_symbolic());
  // 100,000 graphs within each other: graph.node.attribute.g, lengths worked out from the inside.
  const auto varint = [](std::size_t n) {
    std::string bytes;
    for (; n > 127; n >>= 7) bytes.push_back(static_cast<char>(n | 128));
    bytes.push_back(static_cast<char>(n));
    return bytes;
  };
  std::vector<std::string> heads;
  std::size_t length = 0;
  for (int level = 0; level < 100000; ++level)
    for (const int field : {6, 5, 1}) {
      heads.push_back(varint(static_cast<std::size_t>(field << 3 | 2)) + varint(length));
      length += heads.back().size();
    }
  std::string file = varint(7 << 3 | 2) + varint(length);
  for (auto head = heads.rbegin(); head != heads.rend(); ++head) file += *head;
  const Status status = Parse(file, "deep").status();
  EXPECT_NE(status.message().find("nested deeper than 100 levels"), std::string::npos) << status.message();
}

ValueInfo Declared(const char* name, const std::vector<const char*>& dims) {
  ValueInfo info;
  info.name = name;
  info.type.kind = TypeKind::kTensor;
  info.type.elem_type = 1;
  info.type.shape.emplace();
  for (const char* dim : dims) info.type.shape->emplace_back().param = dim;
  return info;
}

// x [batch, time, depth] -> [batch * time, depth] and back, spelled by Shape, Gather, Mul, Unsqueeze and Concat.
TEST(Dims, ShapeChainsBecomeReshapes) {
  Model model;
  model.ir_version = 8;
  model.opset_imports = {{"", 17}};
  Graph& graph = model.graph.emplace();
  graph.name = "g";
  graph.inputs = {Declared("x", {"batch", "time", "depth"})};
  const auto constant = [&](const char* name, std::vector<std::int64_t> dims, const std::vector<std::int64_t>& values) {
    Tensor& tensor = graph.initializers.emplace_back();
    tensor.name = name;
    tensor.value = ir::FromInts(DType::kI64, std::move(dims), values);
  };
  constant("0", {}, {0});
  constant("1", {}, {1});
  constant("2", {1}, {2});
  constant("front", {1}, {0});
  const auto node = [&](const char* op, std::vector<std::string> inputs, const char* output) -> Node& {
    Node& n = graph.nodes.emplace_back();
    n.op_type = op;
    n.inputs = std::move(inputs);
    n.outputs = {output};
    return n;
  };
  const auto concat = [&](std::vector<std::string> inputs, const char* output) {
    Attribute& axis = node("Concat", std::move(inputs), output).attributes.emplace_back();
    axis.name = "axis";
    axis.type = AttributeType::kInt;
    axis.ints = {0};
  };
  node("Shape", {"x"}, "shape");
  node("Gather", {"shape", "0"}, "batch");
  node("Gather", {"shape", "1"}, "time");
  node("Gather", {"shape", "2"}, "depth");
  node("Mul", {"batch", "time"}, "rows");
  node("Unsqueeze", {"rows", "front"}, "rows1");
  concat({"rows1", "depth"}, "flat_shape");
  node("Reshape", {"x", "flat_shape"}, "flat");
  node("Relu", {"flat"}, "active");
  node("Reshape", {"active", "shape"}, "y");
  graph.outputs = {Declared("y", {})};
  graph.outputs[0].type.shape.reset();
  const Result<ir::Module> module = Translate(model);
  ASSERT_TRUE(module.ok()) << module.status().message();
  const ir::Graph& ours = module->functions[0].graph;
  // Nothing is left but the input, two reshapes and the relu between them.
  std::vector<std::string_view> ops;
  for (ir::Value v = ours.outputs()[0]; ours.node(v).op->name != "input"; v = ours.node(v).inputs[0]) {
    ops.push_back(ours.node(v).op->name);
    EXPECT_EQ(ours.node(v).inputs.size(), 1u);
  }
  EXPECT_EQ(ops, (std::vector<std::string_view>{"reshape", "relu", "reshape"}));
  const Dim batch = Dim::symbol("batch"), time = Dim::symbol("time"), depth = Dim::symbol("depth");
  EXPECT_EQ(ours.type(ours.outputs()[0]).shape(), Shape({batch, time, depth}));
  EXPECT_EQ(ours.type(ours.node(ours.outputs()[0]).inputs[0]).shape(), Shape({batch * time, depth}));
}

// How many elements are not 0 is known when the run has counted them: everything of that size waits for it.
TEST(Dims, SizesThatTheRunCounts) {
  for (const char* op : {"Range", "ConstantOfShape", "Loop"}) {
    SCOPED_TRACE(op);
    Model model;
    model.ir_version = 8;
    model.opset_imports = {{"", 17}};
    Graph& graph = model.graph.emplace();
    graph.name = "g";
    graph.inputs = {Declared("x", {"n"})};
    const auto constant = [](Graph& g, const char* name, std::vector<std::int64_t> dims, std::int64_t value) {
      Tensor& tensor = g.initializers.emplace_back();
      tensor.name = name;
      tensor.value = ir::FromInts(DType::kI64, std::move(dims), {value});
    };
    constant(graph, "0", {}, 0);
    constant(graph, "1", {}, 1);
    constant(graph, "places", {1}, 1);
    const auto node = [](Graph& g, const char* type, std::vector<std::string> inputs,
                         std::vector<std::string> outputs) -> Node& {
      Node& n = g.nodes.emplace_back();
      n.op_type = type;
      n.inputs = std::move(inputs);
      n.outputs = std::move(outputs);
      return n;
    };
    node(graph, "NonZero", {"x"}, {"found"});
    node(graph, "Shape", {"found"}, {"dims"});
    if (std::string_view(op) == "Range") {
      node(graph, "Gather", {"dims", "1"}, {"count"});
      node(graph, op, {"0", "count", "1"}, {"y"});
    } else if (std::string_view(op) == "ConstantOfShape") {
      node(graph, "Gather", {"dims", "places"}, {"count"});
      node(graph, op, {"count"}, {"y"});
    } else {
      node(graph, "Gather", {"dims", "1"}, {"count"});
      Attribute& body = node(graph, op, {"count", ""}, {"y"}).attributes.emplace_back();
      body.name = "body";
      body.type = AttributeType::kGraph;
      Graph& inner = body.graphs.emplace_back();
      inner.name = "body";
      for (const auto& [name, type] : {std::pair{"step", 7}, std::pair{"go", 9}}) {
        ValueInfo& info = inner.inputs.emplace_back();
        info.name = name;
        info.type.kind = TypeKind::kTensor;
        info.type.elem_type = type;
        info.type.shape.emplace();
      }
      node(inner, "Identity", {"go"}, {"on"});
      node(inner, "Mul", {"step", "step"}, {"square"});
      inner.outputs.emplace_back().name = "on";
      inner.outputs.emplace_back().name = "square";
    }
    for (const char* output : {"y", "found"}) graph.outputs.emplace_back().name = output;
    for (int outputs = 2; outputs > 0; --outputs) {  // with what was counted as an output, and without
      graph.outputs.resize(static_cast<std::size_t>(outputs));
      const Result<ir::Module> module = Translate(model);
      ASSERT_TRUE(module.ok()) << module.status().message();
      const Result<std::vector<Literal>> got =
          ir::RunFunction(*module, module->functions[0], {Literal::from<float>({5}, {1, 0, 2, 0, 3})});
      ASSERT_TRUE(got.ok()) << got.status().message();
      EXPECT_EQ((*got)[0].dims(), (std::vector<std::int64_t>{3}));
      EXPECT_EQ((*got)[0].at(2), std::string_view(op) == "Range" ? 2 : std::string_view(op) == "Loop" ? 4 : 0);
    }
  }
}

}  // namespace
}  // namespace tenon::onnx
