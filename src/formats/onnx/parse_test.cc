#include "formats/onnx/parse.h"

#include <gtest/gtest.h>

#include "formats/onnx/check.h"
#include "formats/onnx/data_type.h"
#include "formats/onnx/test_util.h"
#include "formats/onnx/translate.h"
#include "formats/onnx/write.h"
#include "formats/proto_wire/wire_writer.h"
#include "temporary_folder.h"
#include "test_data.h"

namespace tenon::onnx {
namespace {

TEST(Parse, EveryFixtureReadsAndWritesBackTheSame) {
  TENON_TEST_DATA_OR_SKIP(root, "fixtures/onnx");
  const std::vector<std::string> paths = FixtureModels(root);
  ASSERT_GE(paths.size(), 200u);
  for (const std::string& path : paths) {
    SCOPED_TRACE(path);
    const Result<Model> model = ParseFile(path);
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_EQ(Check(*model).message(), "");
    TensorReader reader(*model);
    std::vector<Literal> before, after;
    ASSERT_EQ(ReadAll(reader, *model->graph, &before).message(), "");
    const Result<std::string> written = Serialize(*model);
    ASSERT_TRUE(written.ok());
    // Only empty strings that the file spells out get lost.
    EXPECT_LE(written->size(), base::ReadFile(path)->size());
    Result<Model> again = Parse(*written, path);
    ASSERT_TRUE(again.ok()) << again.status().message();
    again->path = path;
    TensorReader reader_again(*again);
    ASSERT_EQ(ReadAll(reader_again, *again->graph, &after).message(), "");
    ASSERT_EQ(before.size(), after.size());
    for (std::size_t i = 0; i < before.size(); ++i) EXPECT_TRUE(identical(before[i], after[i])) << i;
    EXPECT_EQ(*Serialize(*again), *written);
    EXPECT_EQ(again->graph->nodes.size(), model->graph->nodes.size());
    EXPECT_EQ(again->graph->inputs, model->graph->inputs);
    EXPECT_EQ(again->graph->outputs, model->graph->outputs);
    EXPECT_EQ(again->opset_imports, model->opset_imports);
    EXPECT_EQ(again->metadata, model->metadata);
  }
}

TEST(Parse, TypedFieldsAndRawDataAgree) {
  TENON_TEST_DATA_OR_SKIP(root, "fixtures/onnx");
  const Result<Model> raw = ParseFile(root + "/types_raw/model.onnx"),
                      typed = ParseFile(root + "/types_typed/model.onnx");
  ASSERT_TRUE(raw.ok() && typed.ok());
  TensorReader raw_reader(*raw), typed_reader(*typed);
  ASSERT_EQ(raw->graph->initializers.size(), 17u);
  for (std::size_t i = 0; i < raw->graph->initializers.size(); ++i) {
    const Result<Literal> a = raw_reader.Read(raw->graph->initializers[i]);
    const Result<Literal> b = typed_reader.Read(typed->graph->initializers[i]);
    ASSERT_TRUE(a.ok() && b.ok());
    EXPECT_TRUE(identical(*a, *b)) << a->to_string() << " " << b->to_string();
  }
}

TEST(Parse, RawDataIsAViewWhenAligned) {
  TENON_TEST_DATA_OR_SKIP(path, "fixtures/onnx/mlp_external/model.onnx");
  Result<Model> model = ParseFile(path);
  ASSERT_TRUE(model.ok());
  TensorReader reader(*model);
  const Literal w = *reader.Read(model->graph->initializers[0]), w2 = *reader.Read(model->graph->initializers[2]);
  EXPECT_EQ(w2.raw().data() - w.raw().data(), 448);  // both in the mapped weights.bin
  const Result<Literal> copy = w;
  model = Status(Code::kUnknown, "gone");  // the Literal keeps the map alive
  EXPECT_EQ(copy->data<float>().size(), 96u);
}

Tensor Typed(DataTypeNumber type, std::vector<std::int64_t> dims) {
  Tensor tensor;
  tensor.name = "t";
  tensor.data_type = type;
  tensor.dims = std::move(dims);
  return tensor;
}

TEST(Tensor, NarrowTypesInInt32Data) {
  Model model;
  TensorReader reader(model);
  const auto varints = [](std::initializer_list<std::int64_t> values) {
    proto_wire::Writer writer;
    const std::vector<std::int64_t> list(values);
    writer.PackedVarint<std::int64_t>(1, list);
    return writer.bytes().substr(2);
  };
  const std::string negative = varints({-1, 127, -128});
  Tensor tensor = Typed(kInt8, {3});
  tensor.int32_data = {negative};
  EXPECT_TRUE(identical(*reader.Read(tensor), Literal::from<std::int8_t>({3}, {-1, 127, -128})));
  const std::string bits = varints({0x3F80, 0xC000});
  tensor = Typed(kBfloat16, {2});
  tensor.int32_data = {bits};
  EXPECT_EQ(reader.Read(tensor)->at(1), -2.0);
  const std::string nibbles = varints({0x21, 0xF3});  // 1, 2, 3; the last half is not an element
  tensor = Typed(kUint4, {3});
  tensor.int32_data = {nibbles};
  const Literal four = *reader.Read(tensor);
  EXPECT_EQ(four.at(0), 1);
  EXPECT_EQ(four.at(1), 2);
  EXPECT_EQ(four.at(2), 3);
  EXPECT_EQ(std::to_integer<int>(four.raw()[1]), 0x03);
  tensor = Typed(kBoolType, {2});
  tensor.raw_data = std::string_view("\x02\x00", 2);
  EXPECT_TRUE(identical(*reader.Read(tensor), Literal::from<bool>({2}, {true, false})));
  tensor = Typed(kComplex64, {1});
  const float pair[] = {1.0f, -2.0f};
  tensor.float_data = {std::string_view(reinterpret_cast<const char*>(pair), 8)};
  EXPECT_EQ(reader.Read(tensor)->data<std::complex<float>>()[0], std::complex<float>(1, -2));
  const std::string exponent = varints({0x80});  // 2^(128 - 127)
  tensor = Typed(kFloat8E8M0, {1});
  tensor.int32_data = {exponent};
  EXPECT_EQ(reader.Read(tensor)->at(0), 2.0);
}

TEST(Tensor, SparseBecomesDense) {
  Model model;
  TensorReader reader(model);
  SparseTensor sparse;
  sparse.dims = {2, 3};
  sparse.values.value = Literal::from<float>({2}, {5, 7});
  sparse.indices.value = Literal::from<std::int64_t>({2, 2}, {0, 1, 1, 2});
  EXPECT_TRUE(identical(*reader.Read(sparse), Literal::from<float>({2, 3}, {0, 5, 0, 0, 0, 7})));
  sparse.indices.value = Literal::from<std::int64_t>({2}, {1, 5});
  EXPECT_TRUE(identical(*reader.Read(sparse), Literal::from<float>({2, 3}, {0, 5, 0, 0, 0, 7})));
  sparse.indices.value = Literal::from<std::int8_t>({2}, {1, 5});  // as ONNX Runtime writes them
  EXPECT_TRUE(identical(*reader.Read(sparse), Literal::from<float>({2, 3}, {0, 5, 0, 0, 0, 7})));
  sparse.indices.value = Literal::from<std::int8_t>({2}, {1, -1});
  EXPECT_EQ(reader.Read(sparse).status().code(), Code::kOutOfRange);
  sparse.indices.value = Literal::from<float>({2}, {1, 5});
  EXPECT_EQ(reader.Read(sparse).status().code(), Code::kInvalidArgument);
  sparse.indices.value = Literal::from<std::int64_t>({2}, {1, 5});
  sparse.dims = {1 << 15, 1 << 15};
  EXPECT_EQ(reader.Read(sparse).status().code(), Code::kResourceExhausted);
}

TEST(Write, ExternalDataRoundTripsThroughTheSideFile) {
  const TemporaryFolder folder;
  Model model;
  model.ir_version = 8;
  model.opset_imports = {{"", 17}};
  Graph& graph = model.graph.emplace();
  graph.name = "g";
  for (const std::int64_t size : {4, 300, 1000}) {
    Tensor tensor;
    tensor.name = "w" + std::to_string(size);
    Literal value(Shape{size}, DType::kF32);
    value.mutable_data<float>()[1] = static_cast<float>(size);
    tensor.value = value;
    graph.initializers.push_back(tensor);
  }
  ASSERT_EQ(WriteFile(model, folder / "m.onnx", {.external_threshold = 1024}).message(), "");
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"m.onnx", "m.onnx.data"}));
  const Model read = *ParseFile(folder / "m.onnx");
  TensorReader reader(read);
  for (std::size_t i = 0; i < 3; ++i) {
    const Tensor& tensor = read.graph->initializers[i];
    EXPECT_EQ(tensor.external, i > 0);
    EXPECT_TRUE(identical(*reader.Read(tensor), *graph.initializers[i].value));
  }
  EXPECT_EQ(read.graph->initializers[2].external_data[1].value, "4096");
  // And back into one file.
  ASSERT_EQ(WriteFile(read, folder / "one.onnx").message(), "");
  const Model one = *ParseFile(folder / "one.onnx");
  EXPECT_FALSE(one.graph->initializers[1].external);
  EXPECT_EQ(one.graph->initializers[1].raw_data->size(), 1200u);
}

TEST(Check, SortsNodesAndCountsCaptures) {
  Node a, b;
  a.op_type = "If";
  a.inputs = {"c"};
  a.outputs = {"out"};
  Attribute& branch = a.attributes.emplace_back();
  branch.graphs.emplace_back().outputs.emplace_back().name = "late";
  b.op_type = "Relu";
  b.inputs = {"x"};
  b.outputs = {"late"};
  EXPECT_EQ(*SortNodes({a, b}), (std::vector<std::size_t>{1, 0}));
  EXPECT_EQ(*SortNodes({b, a}), (std::vector<std::size_t>{0, 1}));
}

// y = op(x) of a f32 vector.
Model OneNode(std::int64_t ir, std::int64_t opset, const char* op) {
  Model model;
  model.ir_version = ir;
  if (ir >= 3) model.opset_imports = {{"", opset}};
  Graph& graph = model.graph.emplace();
  graph.name = "g";
  Node& node = graph.nodes.emplace_back();
  node.op_type = op;
  node.inputs = {"x"};
  node.outputs = {"y"};
  ValueInfo& x = graph.inputs.emplace_back();
  x.name = "x";
  x.type.kind = TypeKind::kTensor;
  x.type.elem_type = kFloat;
  x.type.shape.emplace().emplace_back().value = 3;
  graph.outputs.emplace_back().name = "y";
  return model;
}
// What Translate says, and writes to the log.
std::string Say(const Model& model) {
  testing::internal::CaptureStderr();
  const Result<ir::Module> module = Translate(model);
  const std::string log = testing::internal::GetCapturedStderr();
  return module.ok() ? "ok" + log : module.status().message();
}

TEST(Versions, EveryIrVersionAndOpsetAndNewerOnesWithAWarning) {
  for (std::int64_t ir = 1; ir <= kNewestIr; ++ir) EXPECT_EQ(Say(OneNode(ir, 13, "Relu")), "ok") << ir;
  EXPECT_NE(Say(OneNode(15, 13, "Relu")).find("ir_version 15, the newest that is read is 14"), std::string::npos);
  for (std::int64_t opset = 1; opset <= kNewestOpset; ++opset)
    EXPECT_EQ(Say(OneNode(10, opset, "Relu")), "ok") << opset;
  const std::string newer = Say(OneNode(10, 30, "Swish"));
  EXPECT_EQ(newer.substr(0, 2), "ok") << newer;
  EXPECT_NE(newer.find(" W "), std::string::npos) << newer;
  EXPECT_NE(newer.find("opset version 30 of domain \"\", the newest that is known is 28"), std::string::npos) << newer;
  const std::string unknown = Say(OneNode(10, 30, "Frobnicate"));
  EXPECT_NE(unknown.find("Frobnicate (makes \"y\"): not known; the model imports opset 30"), std::string::npos)
      << unknown;
  Model learned = OneNode(10, 13, "Relu");
  learned.opset_imports.push_back({"ai.onnx.ml", 6});
  EXPECT_NE(Say(learned).find("opset version 6 of domain \"ai.onnx.ml\""), std::string::npos);
}

}  // namespace
}  // namespace tenon::onnx
