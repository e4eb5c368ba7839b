#include <gtest/gtest.h>

#include "formats/savedmodel/fixture_calls.h"
#include "formats/savedmodel/fixture_names.h"
#include "formats/savedmodel/ops/small_graph_test_util.h"
#include "formats/savedmodel/parse.h"
#include "formats/savedmodel/savedmodel.h"
#include "test_data.h"

namespace tenon::savedmodel {
namespace {

/// Each fixture gives the numbers that TensorFlow recorded.
class Fixture : public testing::TestWithParam<const char*> {};

TEST_P(Fixture, GivesTheRecordedNumbers) {
  TENON_TEST_DATA_OR_SKIP(folder, std::string("fixtures/savedmodel/") + GetParam());
  const bool graph = base::FileExists(folder + "/graph.pb");
  const std::vector<RecordedCall> calls = RecordedCalls(folder);
  LoadOptions options;
  if (graph)
    for (const auto& [name, value] : calls.at(0).outputs) options.outputs.push_back(name);
  const Result<ir::Module> module = graph ? LoadGraphDef(folder + "/graph.pb", options) : LoadSavedModel(folder);
  ASSERT_TRUE(module.ok()) << module.status().message();
  // bfloat16 keeps 8 bits: TensorFlow's kernels round sums elsewhere than ours.
  const bool coarse = folder.find("bfloat16") != std::string::npos;
  EXPECT_EQ(RunCalls(*module, calls, coarse ? 4e-3 : 1e-5), "");
}

const auto kName = [](const auto& test) { return std::string(test.param); };

INSTANTIATE_TEST_SUITE_P(All, Fixture, testing::ValuesIn(kReadFixtures), kName);

TEST(TranslateTest, TagsChooseTheMetaGraph) {
  TENON_TEST_DATA_OR_SKIP(folder, "fixtures/savedmodel/tf1_two_meta_graphs");
  const ir::Module plain = LoadSavedModel(folder).value();
  const ir::Module other = LoadSavedModel(folder, {.tags = {"gpu", "serve"}}).value();
  const RecordedCall call = RecordedCalls(folder)[0];
  const Literal input = call.inputs.begin()->second;
  const Literal one = ir::RunFunction(plain, **plain.Signature(), {input}).value()[0];
  const Literal ten = ir::RunFunction(other, **other.Signature(), {input}).value()[0];
  for (std::int64_t i = 0; i < one.size(); ++i) EXPECT_NEAR(ten.at(i), 10 * one.at(i), 1e-4);
  const Status status = LoadSavedModel(folder, {.tags = {"train"}}).status();
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_NE(status.message().find("[gpu, serve]"), std::string::npos) << status.message();
}

TEST(TranslateTest, PivotsOfLoopsAreNoOutputsOfAGraph) {
  TENON_TEST_DATA_OR_SKIP(folder, "fixtures/savedmodel/graphdef_keras_lstm");
  const ir::Module module = LoadGraphDef(folder + "/graph.pb").value();
  const ir::Function& function = **module.Signature();
  EXPECT_EQ(function.input_names, std::vector<std::string>{"x"});
  EXPECT_EQ(function.output_names, std::vector<std::string>{"Identity"});
}

TEST(TranslateTest, NamesDimsAndTrainabilitySurvive) {
  TENON_TEST_DATA_OR_SKIP(folder, "fixtures/savedmodel/keras_float64");
  const ir::Module module = LoadSavedModel(folder).value();
  const ir::Function& function = **module.Signature();
  EXPECT_EQ(function.name, "serving_default");
  ASSERT_EQ(function.num_inputs(), 1u);
  EXPECT_TRUE(function.input_type(0).shape()[0].is_symbolic());
  EXPECT_EQ(function.input_type(0).dtype(), DType::kF64);
  EXPECT_EQ(function.output_names[0], "output_0");
  EXPECT_EQ(function.metadata.at("method_name"), "tensorflow/serving/predict");
  EXPECT_FALSE(module.variables.empty());
  for (const ir::VariablePtr& variable : module.variables) EXPECT_TRUE(variable->trainable()) << variable->path();
}

TEST(TranslateTest, AllUnknownOpsAreNamedAtOnce) {
  GraphDef graph;
  NodeDef x;
  x.name = "x";
  x.op = "Placeholder";
  x.attrs["dtype"].value = TfType::kFloat;
  x.attrs["shape"].value = TfShape{false, {2}};
  graph.nodes.push_back(x);
  for (const char* name : {"first", "second"}) {
    NodeDef node;
    node.name = name;
    node.op = std::string("Unheard") + name;
    node.inputs = {name == std::string("first") ? "x" : "first"};
    graph.nodes.push_back(node);
  }
  const std::string path = testing::TempDir() + "/unknown_ops.pb";
  ASSERT_TRUE(base::WriteFile(path, EncodeGraphDef(graph)).ok());
  const Status status = LoadGraphDef(path).status();
  EXPECT_EQ(status.code(), Code::kUnimplemented);
  EXPECT_NE(status.message().find("Unheardfirst (node first)"), std::string::npos) << status.message();
  EXPECT_NE(status.message().find("Unheardsecond (node second)"), std::string::npos) << status.message();
}

TEST(TranslateTest, FunctionsInPythonAreRefusedByName) {
  GraphDef graph;
  NodeDef x = Node("x", "Placeholder", {});
  x.attrs["dtype"].value = TfType::kFloat;
  x.attrs["shape"].value = TfShape{false, {2}};
  graph.nodes = {x, Node("back", "EagerPyFunc", {"x"})};
  const std::string path = testing::TempDir() + "/python.pb";
  ASSERT_TRUE(base::WriteFile(path, EncodeGraphDef(graph)).ok());
  const Status status = LoadGraphDef(path).status();
  EXPECT_EQ(status.code(), Code::kUnimplemented);
  EXPECT_NE(status.message().find("EagerPyFunc: it calls a function in Python"), std::string::npos) << status.message();
  EXPECT_NE(status.message().find("(node back)"), std::string::npos) << status.message();
}

TEST(TranslateTest, CallsThatExplodeOrRecurAreRefused) {
  // f0 calls f1 twice, which calls f2 twice, ...: 2^60 nodes from 61 functions.
  GraphDef graph;
  NodeDef x = Node("x", "Placeholder", {});
  x.attrs["dtype"].value = TfType::kFloat;
  x.attrs["shape"].value = TfShape{false, {2}};
  graph.nodes.push_back(x);
  const auto call = [](std::string name, const std::string& function, std::string input) {
    NodeDef node = Node(std::move(name), "PartitionedCall", {std::move(input)});
    auto func = std::make_shared<NameAttrList>();
    func->name = function;
    node.attrs["f"].value = std::shared_ptr<const NameAttrList>(func);
    return node;
  };
  graph.nodes.push_back(call("y", "f0", "x"));
  for (int i = 0; i < 60; ++i) {
    FunctionDef function;
    function.name = "f" + std::to_string(i);
    function.inputs.push_back(
        {.name = "a", .type = TfType::kFloat, .type_attr = "", .number_attr = "", .type_list_attr = ""});
    function.outputs.push_back(
        {.name = "r", .type = TfType::kFloat, .type_attr = "", .number_attr = "", .type_list_attr = ""});
    const std::string next = "f" + std::to_string(i + 1);
    if (i == 59) {
      function.nodes.push_back(Node("q", "Identity", {"a"}));
      function.ret["r"] = "q:output:0";
    } else {
      function.nodes.push_back(call("p", next, "a"));
      function.nodes.push_back(call("q", next, "p:output:0"));
      function.ret["r"] = "q:output:0";
    }
    graph.functions.push_back(function);
  }
  const std::string path = testing::TempDir() + "/exploding_calls.pb";
  ASSERT_TRUE(base::WriteFile(path, EncodeGraphDef(graph)).ok());
  EXPECT_EQ(LoadGraphDef(path).status().code(), Code::kResourceExhausted);
  graph.functions[0].nodes = {call("q", "f0", "a")};
  ASSERT_TRUE(base::WriteFile(path, EncodeGraphDef(graph)).ok());
  EXPECT_EQ(LoadGraphDef(path).status().code(), Code::kResourceExhausted);
}

}  // namespace
}  // namespace tenon::savedmodel
