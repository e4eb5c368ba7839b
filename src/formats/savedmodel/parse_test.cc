#include "formats/savedmodel/parse.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "formats/savedmodel/tensor_proto.h"
#include "test_data.h"

namespace tenon::savedmodel {
namespace {

using proto_wire::Writer;

TensorProto Tensor(TfType dtype, std::vector<std::int64_t> dims, const std::function<void(Writer&)>& values,
                   std::string& storage) {
  Writer writer;
  writer.Varint(1, dtype);
  WriteShape(writer, 2, {false, std::move(dims)});
  values(writer);
  storage = std::move(writer).Take();
  TensorProto tensor;
  const proto_wire::Place place("t", storage);
  EXPECT_TRUE(ParseTensor(storage, place, &tensor).ok());
  return tensor;
}

TEST(TensorProtoTest, LastValueRepeats) {
  std::string bytes;
  const TensorProto floats = Tensor(
      TfType::kFloat, {2, 2},
      [](Writer& w) {
        const float values[] = {1, 2};
        w.PackedFixed<float>(5, values);
      },
      bytes);
  EXPECT_TRUE(identical(LiteralOf(floats, "t").value(), Literal::from<float>({2, 2}, {1, 2, 2, 2})));
  const TensorProto ints = Tensor(TfType::kInt8, {3}, [](Writer& w) { w.Varint(7, -3); }, bytes);
  EXPECT_TRUE(identical(LiteralOf(ints, "t").value(), Literal::from<std::int8_t>({3}, {-3, -3, -3})));
  const TensorProto none = Tensor(TfType::kInt64, {2}, [](Writer&) {}, bytes);
  EXPECT_TRUE(identical(LiteralOf(none, "t").value(), Literal::from<std::int64_t>({2}, {0, 0})));
  const TensorProto text = Tensor(TfType::kString, {2}, [](Writer& w) { w.Bytes(8, "ab"); }, bytes);
  EXPECT_EQ(LiteralOf(text, "t").value().strings(), (std::vector<std::string>{"ab", "ab"}));
  const TensorProto bools = Tensor(TfType::kBool, {2}, [](Writer& w) { w.Varint(11, true); }, bytes);
  EXPECT_TRUE(identical(LiteralOf(bools, "t").value(), Literal::from<bool>({2}, {true, true})));
  const TensorProto halfs = Tensor(TfType::kHalf, {1}, [](Writer& w) { w.Varint(13, 0x3c00); }, bytes);
  EXPECT_EQ(LiteralOf(halfs, "t").value().at(0), 1.0);
}

TEST(TensorProtoTest, RoundTripOfContent) {
  Literal nibbles(DType::kU4, {3});
  nibbles.mutable_raw()[0] = std::byte{0x5a};
  nibbles.mutable_raw()[1] = std::byte{0x0f};
  for (const Literal& value :
       {Literal::from<float>({3}, {1, 2, 3}), Literal::scalar<std::int32_t>(-4), nibbles, Literal(DType::kBF16, {0}),
        Literal::from_strings({2}, {"", "b"}), Literal::from<std::complex<float>>({1}, {{1, 2}})}) {
    Writer writer;
    WriteTensor(writer, 1, TensorOf(value));
    const std::string outer = std::move(writer).Take();
    const proto_wire::Place place("t", outer);
    proto_wire::Reader reader(outer, place);
    ASSERT_TRUE(reader.Next());
    TensorProto tensor;
    ASSERT_TRUE(ParseTensor(reader.bytes(), place, &tensor).ok());
    const Result<Literal> back = LiteralOf(tensor, "t");
    ASSERT_TRUE(back.ok()) << back.status().message();
    EXPECT_TRUE(identical(*back, value)) << value.to_string() << back->to_string();
  }
}

TEST(TensorProtoTest, RefusesWhatItOnlyClaims) {
  std::string bytes;
  const auto code = [](const TensorProto& tensor) { return LiteralOf(tensor, "t").status().code(); };
  EXPECT_EQ(code(Tensor(TfType::kFloat, {1 << 20, 1 << 20}, [](Writer&) {}, bytes)), Code::kResourceExhausted);
  EXPECT_EQ(code(Tensor(TfType::kString, {1 << 20, 1 << 20}, [](Writer&) {}, bytes)), Code::kResourceExhausted);
  EXPECT_EQ(code(Tensor(TfType::kFloat, {2}, [](Writer& w) { w.Bytes(4, "12345"); }, bytes)), Code::kInvalidArgument);
  EXPECT_EQ(code(Tensor(TfType::kInt32, {1}, [](Writer& w) { w.Bytes(7, "\1\2"); }, bytes)), Code::kInvalidArgument);
  EXPECT_EQ(code(Tensor(TfType::kFloat, {-1}, [](Writer&) {}, bytes)), Code::kInvalidArgument);
  EXPECT_EQ(code(Tensor(TfType::kVariant, {}, [](Writer&) {}, bytes)), Code::kInvalidArgument);
  EXPECT_EQ(code(Tensor(TfType::kFloat, {1LL << 40, 1LL << 40}, [](Writer&) {}, bytes)), Code::kInvalidArgument);
}

TEST(ParseTest, DeepFunctionAttributesAreRefused) {
  std::string func =
      "\x0a\x01"
      "f";  // NameAttrList{name: "f"}
  for (int i = 0; i < 200; ++i) {
    Writer attr, list;
    attr.Bytes(10, func);
    list.Bytes(1, "f");
    list.Message(2, [&] {
      list.Bytes(1, "a");
      list.Bytes(2, attr.bytes());
    });
    func = std::move(list).Take();
  }
  Writer graph;
  graph.Message(1, [&] {
    graph.Bytes(1, "n");
    graph.Bytes(2, "Op");
    graph.Message(5, [&] {
      graph.Bytes(1, "f");
      graph.Message(2, [&] { graph.Bytes(10, func); });
    });
  });
  EXPECT_EQ(ParseGraphDef(graph.bytes(), "g").status().code(), Code::kInvalidArgument);
}

TEST(ParseTest, ErrorsNameThePlace) {
  Writer graph;
  graph.Message(1, [&] {
    graph.Bytes(1, "n");
    graph.Bytes(2, "Op");
  });
  graph.Message(1, [&] { graph.Bytes(1, "m"); });
  const Status status = ParseGraphDef(graph.bytes(), "graph.pb").status();
  EXPECT_NE(status.message().find("graph.pb"), std::string::npos);
  EXPECT_NE(status.message().find("node[1]"), std::string::npos) << status.message();
}

/// Each fixture parses, and what is parsed encodes to something that parses to the same and encodes to the same bytes.
TEST(ParseTest, EveryFixtureParsesAndRoundTrips) {
  TENON_TEST_DATA_OR_SKIP(root, "fixtures/savedmodel");
  int models = 0, graphs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(root)) {
    const std::string folder = entry.path().string();
    if (base::FileExists(folder + "/saved_model.pb")) {
      const Result<SavedModelFile> file = ReadSavedModel(folder);
      ASSERT_TRUE(file.ok()) << file.status().message();
      ASSERT_GE(file->model.meta_graphs.size(), 1u);
      EXPECT_FALSE(file->model.meta_graphs[0].graph.nodes.empty());
      EXPECT_FALSE(file->model.meta_graphs[0].signatures.empty());
      const std::string encoded = EncodeSavedModel(file->model);
      const Result<SavedModel> again = ParseSavedModel(encoded, folder);
      ASSERT_TRUE(again.ok()) << again.status().message();
      EXPECT_EQ(EncodeSavedModel(*again), encoded);
      ++models;
    } else if (base::FileExists(folder + "/graph.pb")) {
      const Result<GraphDefFile> file = ReadGraphDef(folder + "/graph.pb");
      ASSERT_TRUE(file.ok()) << file.status().message();
      const std::string encoded = EncodeGraphDef(file->graph);
      EXPECT_EQ(EncodeGraphDef(ParseGraphDef(encoded, folder).value()), encoded);
      for (const NodeDef& node : file->graph.nodes) {
        const auto value = node.attrs.find("value");
        if (node.op != "Const" || value == node.attrs.end()) continue;
        EXPECT_TRUE(LiteralOf(**value->second.get<std::shared_ptr<const TensorProto>>(), node.name).ok());
      }
      ++graphs;
    }
  }
  EXPECT_GE(models, 70);
  EXPECT_EQ(graphs, 6);
}

TEST(ParseTest, MissingAndUnsupportedFolders) {
  EXPECT_EQ(ReadSavedModel("/nonexistent").status().code(), Code::kNotFound);
}

}  // namespace
}  // namespace tenon::savedmodel
