#include <gtest/gtest.h>

#include "formats/savedmodel/bundle.h"
#include "formats/savedmodel/fixture_calls.h"
#include "formats/savedmodel/parse.h"
#include "formats/savedmodel/savedmodel.h"
#include "formats/savedmodel/writer.h"
#include "temporary_folder.h"
#include "test_data.h"

namespace tenon::savedmodel {
namespace {

/// y = relu(x w + b), with a counter that grows at each call.
ir::Module Model() {
  ir::Module module;
  const auto cell = [&module](const char* path, Literal value, bool trainable) {
    EXPECT_TRUE(module.AddVariable(std::make_shared<ir::VariableCell>(path, std::move(value), trainable)).ok());
  };
  cell("dense/kernel", Literal::from<float>({2, 3}, {1, 2, 3, 4, 5, 6}), true);
  cell("dense/bias", Literal::from<float>({3}, {-20, 0, 1}), true);
  cell("calls.count", Literal::scalar<std::int64_t>(5), false);
  ir::Function& f = module.functions.emplace_back();
  f.name = "serving_default";
  ir::Builder b(&f.graph);
  const ir::Value x = b.Input("x:0", ir::Type::Tensor(DType::kF32, Shape{Dim::symbol("batch"), 2}));
  const ir::Value w = b.Input("w", module.variables[0]->type()), bias = b.Input("b", module.variables[1]->type());
  const ir::Value count = b.Input("n", module.variables[2]->type());
  const ir::Value y = b.Add("relu", {b.Add("add", {b.Add("matmul", {x, w}), bias})});
  const ir::Value next = b.Add("add", {count, b.Scalar(1, DType::kI64)});
  EXPECT_TRUE(b.ok()) << b.status().message();
  f.graph.set_outputs({y, next, next});
  f.input_names = {"x:0"};
  f.output_names = {"scores é", "calls"};
  f.reads = {"dense/kernel", "dense/bias", "calls.count"};
  f.writes = {"calls.count"};
  return module;
}

TEST(SaveTest, ModelRoundTripsWithNamesDimsAndState) {
  const TemporaryFolder folder(true);
  const ir::Module module = Model();
  ASSERT_TRUE(SaveSavedModel(module, folder / "m").ok());
  const Result<ir::Module> back = LoadSavedModel(folder / "m");
  ASSERT_TRUE(back.ok()) << back.status().message();
  const ir::Function& f = **back->Signature();
  EXPECT_EQ(f.input_names, (std::vector<std::string>{"x:0"}));
  EXPECT_EQ(f.output_names, (std::vector<std::string>{"calls", "scores é"}));  // a map: in order of the names
  EXPECT_TRUE(f.input_type(0).shape()[0].is_symbolic());
  ASSERT_EQ(back->variables.size(), 3u);
  EXPECT_TRUE(back->FindVariable("dense/kernel")->trainable());
  EXPECT_FALSE(back->FindVariable("calls.count")->trainable());
  EXPECT_TRUE(identical(back->FindVariable("dense/kernel")->Read(), module.variables[0]->Read()));
  const Literal x = Literal::from<float>({1, 2}, {1, 2});
  for (std::int64_t call = 6; call < 8; ++call) {
    const Result<std::vector<Literal>> got = ir::RunFunction(*back, f, {x});
    ASSERT_TRUE(got.ok()) << got.status().message();
    EXPECT_TRUE(identical((*got)[0], Literal::scalar(call)));
    EXPECT_TRUE(identical((*got)[1], Literal::from<float>({1, 3}, {0, 12, 16})));
  }
  EXPECT_TRUE(identical(back->FindVariable("calls.count")->Read(), Literal::scalar<std::int64_t>(7)));
}

TEST(SaveTest, TheSameModuleGivesTheSameBytes) {
  const TemporaryFolder folder(true);
  ASSERT_TRUE(SaveSavedModel(Model(), folder / "one").ok());
  ASSERT_TRUE(SaveSavedModel(Model(), folder / "two").ok());
  for (const char* file :
       {"/saved_model.pb", "/fingerprint.pb", "/variables/variables.index", "/variables/variables.data-00000-of-00001"})
    EXPECT_EQ(base::ReadFile(folder / "one" + file).value(), base::ReadFile(folder / "two" + file).value()) << file;
}

TEST(SaveTest, WhatCannotBeWrittenIsNamedAtOnceAndNothingIsTouched) {
  const TemporaryFolder folder(true);
  ASSERT_TRUE(SaveSavedModel(Model(), folder / "m").ok());
  const std::string before = base::ReadFile(folder / "m/saved_model.pb").value();
  ir::Module module = Model();
  ir::Function& f = module.functions[0];
  ir::Builder b(&f.graph);
  const ir::Value x = f.graph.inputs()[0];
  const ir::Value wrapped =
      b.Add("pad", {x}, {{"low", Shape{0, 1}}, {"high", Shape{0, 0}}, {"mode", std::string("edge")}});
  const ir::Value top = b.AddAll("top_k", {wrapped}, {{"k", std::int64_t{1}}, {"largest", false}})[0];
  ASSERT_TRUE(b.ok()) << b.status().message();
  f.graph.set_outputs({top, f.graph.outputs()[1], f.graph.outputs()[2]});
  const Status status = SaveSavedModel(module, folder / "m");
  EXPECT_EQ(status.code(), Code::kUnimplemented);
  EXPECT_NE(status.message().find("pad"), std::string::npos) << status.message();
  EXPECT_NE(status.message().find("top_k"), std::string::npos) << status.message();
  EXPECT_EQ(base::ReadFile(folder / "m/saved_model.pb").value(), before);
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"m"}));
}

TEST(SaveTest, FolderHoldsWhatTensorFlowAsksFor) {
  const TemporaryFolder folder(true);
  ASSERT_TRUE(SaveSavedModel(Model(), folder / "m").ok());
  const SavedModelFile file = ReadSavedModel(folder / "m").value();
  const MetaGraph& meta = file.model.meta_graphs.at(0);
  EXPECT_EQ(meta.tags, (std::vector<std::string>{"serve"}));
  const SignatureDef& signature = meta.signatures.at("serving_default");
  EXPECT_EQ(signature.method_name, "tensorflow/serving/predict");
  EXPECT_EQ(signature.inputs.at("x:0").shape->dims, (std::vector<std::int64_t>{-1, 2}));
  EXPECT_TRUE(signature.outputs.at("scores é").shape.has_value());  // absent would mean rank 0
  ASSERT_TRUE(meta.saver.has_value());
  EXPECT_TRUE(meta.saver->filename_tensor.ends_with(":0"));
  EXPECT_FALSE(meta.saver->restore_op.empty());
  for (const NodeDef& node : meta.graph.nodes) {
    if (node.op == "VarHandleOp") {
      EXPECT_TRUE(node.attrs.contains("shared_name")) << node.name;
    }
  }
  ASSERT_TRUE(meta.objects.has_value());
  const BundleReader bundle = BundleReader::Open(folder / "m/variables/variables").value();
  EXPECT_NE(bundle.Find("calls..count/.ATTRIBUTES/VARIABLE_VALUE"), nullptr);
  EXPECT_NE(bundle.Find("dense.Skernel/.ATTRIBUTES/VARIABLE_VALUE"), nullptr);
  EXPECT_NE(bundle.Find("_CHECKPOINTABLE_OBJECT_GRAPH"), nullptr);
}

TEST(NamerTest, NamesAreLegalAndUnique) {
  Namer namer;
  EXPECT_EQ(namer.Node("a:b c\\d"), "a_b_c_d");
  EXPECT_EQ(namer.Node("_x"), "n_x");
  EXPECT_EQ(namer.Node(""), "n");
  EXPECT_EQ(namer.Node("y"), "y");
  EXPECT_EQ(namer.Node("y"), "y_1");
  EXPECT_EQ(namer.Node("y_1"), "y_1_1");
  EXPECT_EQ(namer.Node("y"), "y_2");
  Namer arguments;
  EXPECT_EQ(arguments.Argument("Input.1"), "input_1");
  EXPECT_EQ(arguments.Argument("input.1"), "input_1_1");
  EXPECT_EQ(arguments.Argument("1"), "a1");
}

/// A fixture that loads is written, and what is read back gives bit for bit the same.
class Written : public testing::TestWithParam<const char*> {};

TEST_P(Written, GivesTheSameBits) {
  TENON_TEST_DATA_OR_SKIP(source, std::string("fixtures/savedmodel/") + GetParam());
  const TemporaryFolder folder(true);
  const ir::Module module = LoadSavedModel(source).value();
  const Status saved = SaveSavedModel(module, folder / "m");
  ASSERT_TRUE(saved.ok()) << saved.message();
  const Result<ir::Module> back = LoadSavedModel(folder / "m");
  ASSERT_TRUE(back.ok()) << back.status().message();
  for (const RecordedCall& call : RecordedCalls(source)) {
    const ir::Function &f = **module.Signature(call.signature), &g = **back->Signature(call.signature);
    EXPECT_EQ(f.input_names, g.input_names);
    EXPECT_EQ(f.output_names, g.output_names);
    std::vector<Literal> inputs;
    for (const std::string& name : f.input_names) inputs.push_back(call.inputs.at(name));
    const std::vector<Literal> want = ir::RunFunction(module, f, inputs).value();
    const std::vector<Literal> got = ir::RunFunction(*back, g, inputs).value();
    for (std::size_t i = 0; i < want.size(); ++i) EXPECT_TRUE(identical(got[i], want[i])) << f.output_names[i];
  }
}

INSTANTIATE_TEST_SUITE_P(All, Written,
                         testing::Values("keras2_cnn", "keras_attention", "keras_bfloat16", "keras_cnn", "keras_conv1d",
                                         "keras_conv2d_options", "keras_conv3d", "keras_conv_transpose",
                                         "keras_embedding", "keras_export_archive", "keras_float16", "keras_float64",
                                         "keras_mixed_float16", "keras_mlp", "keras_multi_head_attention",
                                         "keras_multi_in_out", "keras_nested", "keras_normalization", "keras_ops_graph",
                                         "keras_pooling", "keras_quantized_int8", "keras_resnet",
                                         "keras_separable_depthwise", "keras_static_batch", "keras_transformer",
                                         "keras_unet", "module_counter", "module_train_step", "tf1_training_graph",
                                         "module_dtypes", "module_multi_signature"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace tenon::savedmodel
