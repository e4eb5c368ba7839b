#include "ir/text.h"

#include <gtest/gtest.h>

#include "ir/builder.h"
#include "ir/numeric.h"
#include "ir/sample.h"

namespace tenon::ir {
namespace {

Module SmallModule() {
  Module m;
  EXPECT_TRUE(
      m.AddVariable(std::make_shared<VariableCell>("dense/kernel", Random({16, 8}, 1), true, "glorot_uniform")).ok());
  EXPECT_TRUE(m.AddVariable(std::make_shared<VariableCell>("dense/bias", Random({8}, 2), false)).ok());
  Function f;
  f.name = "serving_default";
  f.input_names = {"x \"quoted\""};
  f.output_names = {"y"};
  f.reads = {"dense/kernel", "dense/bias"};
  Builder b(&f.graph);
  const Value x = b.Input("x", Type::Tensor(DType::kF32, {Dim::symbol("batch"), 16}));
  const Value w = b.Input("w", Type::Tensor(DType::kF32, {16, 8}));
  const Value c = b.Input("c", Type::Tensor(DType::kF32, {8}));
  const Value y = b(b.Add("matmul", {x, w})) + b(c);
  const Value z = b(y) * -0.1;
  const Value r = b.Reshape(z, Shape({Dim::symbol("batch") * Dim(8)}));
  EXPECT_TRUE(b.ok()) << b.status().message();
  f.graph.output(r).record = {"y", {{"onnx", "node/1", "y:0"}}, Quantization{{0.5, 0.25}, {1, 2}, 0, 0}, "N"};
  f.graph.set_outputs({r});
  f.metadata["doc"] = "two\nlines\\";
  m.functions.push_back(std::move(f));
  m.metadata["producer"] = "test";
  m.assets["vocab.txt"] = std::string("a\nb\0c", 5);
  return m;
}

TEST(Text, ModuleRoundTrip) {
  const Module m = SmallModule();
  Blobs blobs;
  const std::string text = PrintModule(m, &blobs);
  EXPECT_EQ(blobs.size(), 1U);  // only the kernel has more than 64 elements
  const Result<Module> back = ParseModule(text, blobs);
  ASSERT_TRUE(back.ok()) << back.status().message() << "\n" << text;
  Blobs again;
  EXPECT_EQ(PrintModule(*back, &again), text);
  EXPECT_TRUE(SameGraph(back->functions[0].graph, m.functions[0].graph));
  EXPECT_TRUE(identical(back->variables[0]->Read(), m.variables[0]->Read()));
  EXPECT_EQ(back->assets, m.assets);
  EXPECT_EQ(back->functions[0].metadata, m.functions[0].metadata);
}

TEST(Text, LiteralsOfEveryKind) {
  Graph g;
  Builder b(&g);
  std::vector<Value> outputs;
  for (const Literal& l :
       {Literal::from<float>({3}, {0.1F, -1e-30F, 3e38F}), Literal::from<double>({2}, {1.0 / 3, -0.0}),
        Literal::from<std::uint64_t>({1}, {~0ULL}), Literal::from<bool>({2}, {true, false}),
        Literal::from_strings({2}, {"a\"b", "\n"}), Literal::from<std::complex<float>>({1}, {{1.5F, -2.0F}}),
        FromDoubles(DType::kBF16, {2}, {1.5, -3}), FromDoubles(DType::kI4, {3}, {-8, 7, 1}),
        Literal::from<std::int64_t>({0}, {})})
    outputs.push_back(b.Constant(l));
  ASSERT_TRUE(b.ok()) << b.status().message();
  g.set_outputs(outputs);
  Blobs blobs;
  const std::string text = PrintGraph(g, &blobs);
  const Result<Graph> back = ParseGraph(text, blobs);
  ASSERT_TRUE(back.ok()) << back.status().message() << "\n" << text;
  EXPECT_TRUE(SameGraph(*back, g)) << PrintGraph(*back);
}

TEST(Text, ErrorsTellThePlace) {
  for (const char* bad :
       {"", "graph", "graph() { return %0 }", "graph() { %0 = no_such_op() : f32[]\n return %0 }",
        "graph(%0: f32[2) { return %0 }", "graph() { %0 = constant() {value = f32[100]{1}} : f32[100]\n return %0 }",
        "graph() { %0 = constant() {value = @b7 : f32[100] crc32c=0x0} : f32[100]\n return %0 }"}) {
    const Result<Graph> r = ParseGraph(bad);
    EXPECT_FALSE(r.ok()) << bad;
    EXPECT_FALSE(r.status().message().empty());
  }
  std::string deep = "graph() { %0 = call() {body = ";
  for (int i = 0; i < 100000; ++i) deep += "graph() { %0 = call() {body = ";
  EXPECT_FALSE(ParseGraph(deep).ok());
}

}  // namespace
}  // namespace tenon::ir
