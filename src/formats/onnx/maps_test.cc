// Models with maps among their inputs and outputs: a map is a pair of tensors.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/onnx/data_type.h"
#include "formats/onnx/dims.h"
#include "formats/onnx/export/exporter.h"
#include "formats/onnx/translate.h"
#include "ir/eval.h"
#include "ir/numeric.h"
#include "ir/sample.h"

namespace tenon::onnx {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TypeProto MapType(DType key, DType value) {
  TypeProto type;
  type.kind = TypeKind::kMap;
  type.elem_type = FromDType(key);
  type.element.push_back(WriteType(ir::Type::Tensor(value, Shape())));
  return type;
}
Node& AddNode(Model& model, const char* domain, const char* op, const char* input, const char* output,
              std::vector<Attribute> attributes = {}) {
  Node& node = model.graph->nodes.emplace_back();
  node.domain = domain, node.op_type = op;
  node.inputs = {input}, node.outputs = {output};
  node.attributes = std::move(attributes);
  return node;
}
// One input "x" of a map type, one output "y".
Model MapModel(DType key, DType value) {
  Model model;
  model.ir_version = 8;
  model.opset_imports = {{"", 17}, {"ai.onnx.ml", 1}};
  Graph& graph = model.graph.emplace();
  graph.name = "g";
  graph.inputs.emplace_back().name = "x";
  graph.inputs[0].type = MapType(key, value);
  graph.outputs.emplace_back().name = "y";
  return model;
}
Attribute Texts(const char* name, std::vector<std::string> values) {
  Attribute a;
  a.name = name, a.type = AttributeType::kStrings, a.strings = std::move(values);
  return a;
}
Literal Strings(std::vector<std::string> texts) {
  const auto n = static_cast<std::int64_t>(texts.size());
  return Literal::from_strings({n}, std::move(texts));
}
Literal RunOne(const ir::Module& module, std::vector<Literal> inputs) {
  const Result<std::vector<Literal>> got = ir::RunFunction(module, module.functions[0], std::move(inputs));
  EXPECT_TRUE(got.ok()) << got.status().message();
  return got.ok() ? got->back() : Literal();
}

TEST(Maps, AreTwoInputs) {
  Model model = MapModel(DType::kString, DType::kI64);
  AddNode(model, "ai.onnx.ml", "DictVectorizer", "x", "y", {Texts("string_vocabulary", {"a", "b", "c"})});
  const Result<ir::Module> module = Translate(model);
  ASSERT_TRUE(module.ok()) << module.status().message();
  EXPECT_THAT(module->functions[0].input_names, ElementsAre("x.keys", "x.values"));
  const Literal y = RunOne(*module, {Strings({"c", "z", "a", "c"}), ir::Ints({4}, {5, 6, 7, 8})});
  EXPECT_EQ(y.dtype(), DType::kI64);
  EXPECT_EQ(y.dims(), (std::vector<std::int64_t>{1, 3}));
  EXPECT_THAT(ir::ToInts(y), ElementsAre(7, 0, 5));  // of equal keys the first counts
  EXPECT_THAT(ir::ToInts(RunOne(*module, {Strings({}), ir::Ints({0}, {})})), ElementsAre(0, 0, 0));
  // Keys and values of different lengths are no map.
  EXPECT_FALSE(ir::RunFunction(*module, module->functions[0], {Strings({"c"}), ir::Ints({2}, {1, 2})}).ok());
}

TEST(Maps, OfTextsAreCast) {
  for (const bool dense : {true, false}) {
    Model model = MapModel(DType::kI64, DType::kString);
    AddNode(model, "ai.onnx.ml", "CastMap", "x", "y",
            {StringAttribute("cast_to", "TO_INT64"), StringAttribute("map_form", dense ? "DENSE" : "SPARSE"),
             IntAttribute("max_map", 4)});
    const Result<ir::Module> module = Translate(model);
    ASSERT_TRUE(module.ok()) << module.status().message();
    const Literal y = RunOne(*module, {ir::Ints({3}, {5, 2, 0}), Strings({"1.5", "-2.75", "3"})});
    EXPECT_EQ(y.dims(), (std::vector<std::int64_t>{1, dense ? 3 : 4}));
    if (dense) {
      EXPECT_THAT(ir::ToInts(y), ElementsAre(3, -2, 1));
    } else {
      EXPECT_THAT(ir::ToInts(y), ElementsAre(3, 0, -2, 0));
    }
  }
}

TEST(Maps, WrongUsesAreRefused) {
  const auto error = [](const Model& model) {
    const Result<ir::Module> module = Translate(model);
    return module.ok() ? std::string("it was read") : module.status().message();
  };
  Model model = MapModel(DType::kString, DType::kF32);
  AddNode(model, "", "Neg", "x", "y");
  EXPECT_THAT(error(model), HasSubstr("Neg (makes \"y\"): input 0 is a map, expected a tensor"));
  model = MapModel(DType::kString, DType::kF32);
  AddNode(model, "ai.onnx.ml", "CastMap", "x", "y");
  EXPECT_THAT(error(model), HasSubstr("got a map of string, expected i64"));
  model = MapModel(DType::kI64, DType::kF32);
  AddNode(model, "ai.onnx.ml", "DictVectorizer", "x", "y", {Texts("string_vocabulary", {"a"})});
  EXPECT_THAT(error(model), HasSubstr("got a map of i64 for a vocabulary of string"));
  model.graph->inputs[0].type = WriteType(ir::Type::Tensor(DType::kF32, Shape({3})));
  EXPECT_THAT(error(model), HasSubstr("got f32[3], expected a map"));
  // Several maps are not one.
  for (const char* form : {"DENSE", "SPARSE"}) {
    model = MapModel(DType::kI64, DType::kF32);
    model.graph->inputs[0].type = WriteType(ir::Type::Tensor(DType::kF32, Shape({3, 2})));
    AddNode(model, "ai.onnx.ml", "ZipMap", "x", "z", {IntsAttribute("classlabels_int64s", {5, 3})});
    AddNode(model, "ai.onnx.ml", "CastMap", "z", "y", {StringAttribute("map_form", form)});
    EXPECT_THAT(error(model), HasSubstr("got a sequence of maps with values f32[3, 2], expected one map"));
  }
  model = MapModel(DType::kI64, DType::kF32);
  model.graph->inputs.emplace_back().name = "x.keys";
  model.graph->inputs[1].type = WriteType(ir::Type::Tensor(DType::kF32, Shape({3})));
  AddNode(model, "", "Neg", "x.keys", "y");
  EXPECT_THAT(error(model), HasSubstr("a map takes two names"));
}

// A number of columns that only the run knows is that of the labels, or the run fails.
TEST(Maps, OfUnknownWidthAreCheckedByTheRun) {
  Model model = MapModel(DType::kI64, DType::kF32);
  model.graph->inputs[0].type = WriteType(ir::Type::Tensor(DType::kF32, Shape({Dim(3), Dim::symbol("k")})));
  AddNode(model, "ai.onnx.ml", "ZipMap", "x", "y", {IntsAttribute("classlabels_int64s", {5, 3})});
  const Result<ir::Module> module = Translate(model);
  ASSERT_TRUE(module.ok()) << module.status().message();
  EXPECT_THAT(RunOne(*module, {ir::Values({3, 2}, {1, 2, 3, 4, 5, 6})}).dims(), ElementsAre(3, 2));
  EXPECT_FALSE(ir::RunFunction(*module, module->functions[0], {ir::Values({3, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9})}).ok());
}

// y = If(true) { op(x) }, x a map from outside.
Model Captured(const char* domain, const char* op, const std::vector<Attribute>& attributes) {
  Model model = MapModel(DType::kString, DType::kF32);
  Node& node = model.graph->nodes.emplace_back();
  ValueInfo& flag = model.graph->inputs.emplace_back();
  flag.name = "flag";
  flag.type = WriteType(ir::Type::Tensor(DType::kBool, Shape()));
  node.op_type = "If", node.inputs = {"flag"}, node.outputs = {"y"};
  for (const char* name : {"then_branch", "else_branch"}) {
    Model body;
    Graph& graph = body.graph.emplace();
    graph.name = name;
    if (op != nullptr) AddNode(body, domain, op, "x", "inner", attributes);
    graph.outputs.emplace_back().name = op == nullptr ? "x" : "inner";
    node.attributes.push_back(GraphAttribute(name, std::move(graph)));
  }
  return model;
}

TEST(Maps, AreCapturedBySubGraphs) {
  const Model model = Captured("ai.onnx.ml", "DictVectorizer", {Texts("string_vocabulary", {"a", "b"})});
  const Result<ir::Module> module = Translate(model);
  ASSERT_TRUE(module.ok()) << module.status().message();
  const Literal y = RunOne(*module, {Strings({"b", "z"}), ir::Values({2}, {5, 6}), Literal::scalar<bool>(true)});
  EXPECT_THAT(ir::ToInts(y), ElementsAre(0, 5));
  const Result<ir::Module> tensor = Translate(Captured("", "Neg", {}));
  ASSERT_FALSE(tensor.ok());
  EXPECT_THAT(tensor.status().message(), HasSubstr("input 0 is a map, expected a tensor"));
  const Result<ir::Module> given = Translate(Captured("", nullptr, {}));
  ASSERT_FALSE(given.ok());
  EXPECT_THAT(given.status().message(), HasSubstr("gives a map, \"x\""));
}

}  // namespace
}  // namespace tenon::onnx
