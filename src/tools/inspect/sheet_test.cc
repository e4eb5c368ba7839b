// The numbers of a network that can be counted by hand, and a model that cannot be translated.
#include "tools/inspect/sheet.h"

#include <gtest/gtest.h>

#include "formats/onnx/data_type.h"
#include "formats/onnx/write.h"
#include "ir/numeric.h"
#include "temporary_folder.h"

namespace tenon::tools {
namespace {

onnx::ValueInfo Declared(const std::string& name, const std::vector<std::string>& dims) {
  onnx::ValueInfo v;
  v.name = name;
  v.type.kind = onnx::TypeKind::kTensor;
  v.type.elem_type = onnx::FromDType(DType::kF32);
  v.type.shape.emplace();
  for (const std::string& d : dims) {
    onnx::Dimension& dim = v.type.shape->emplace_back();
    if (std::isdigit(static_cast<unsigned char>(d[0])) != 0)
      dim.value = std::stoll(d);
    else
      dim.param = d;
  }
  return v;
}

void Node(onnx::Model& m, const std::string& op, std::vector<std::string> inputs, const std::string& output) {
  onnx::Node& n = m.graph->nodes.emplace_back();
  n.op_type = op;
  n.name = "the_" + output;
  n.inputs = std::move(inputs);
  n.outputs = {output};
}

void Weight(onnx::Model& m, const std::string& name, std::vector<std::int64_t> dims) {
  onnx::Tensor& t = m.graph->initializers.emplace_back();
  t.name = name;
  std::int64_t n = 1;
  for (const std::int64_t d : dims) n *= d;
  std::vector<double> values(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i % 3) - 1;
  t.value = ir::FromDoubles(DType::kF32, std::move(dims), values);
}

// x [batch, 3, 8, 8] -> conv 5 of 3 x 3 -> relu -> y [batch, 5, 6, 6]
onnx::Model Small() {
  onnx::Model m;
  m.ir_version = 9;
  m.opset_imports = {{"", 18}};
  m.graph.emplace().name = "small";
  m.graph->inputs = {Declared("x", {"batch", "3", "8", "8"})};
  m.graph->outputs = {Declared("y", {"batch", "5", "6", "6"})};
  Weight(m, "w", {5, 3, 3, 3});
  Node(m, "Conv", {"x", "w"}, "c");
  Node(m, "Relu", {"c"}, "y");
  return m;
}

const Row* Find(const SignatureSheet& s, const std::string& name) {
  for (const Row& row : s.rows)
    if (row.name == name) return &row;
  return nullptr;
}

TEST(Inspect, CountsWhatCanBeCountedByHand) {
  const TemporaryFolder folder(true);
  const std::string path = folder / "small.onnx";
  ASSERT_TRUE(onnx::WriteFile(Small(), path).ok());
  const Result<Sheet> sheet = Inspected(path, 4);
  ASSERT_TRUE(sheet.ok()) << sheet.status().message();
  EXPECT_EQ(sheet->parameters, 5 * 3 * 3 * 3);
  EXPECT_EQ(sheet->weight_bytes, 4 * 5 * 3 * 3 * 3);
  EXPECT_EQ(sheet->opsets.at("ai.onnx"), 18);
  EXPECT_EQ(sheet->source_ops, (std::map<std::string, int>{{"Conv", 1}, {"Relu", 1}}));
  EXPECT_TRUE(sheet->unsupported.empty());
  ASSERT_EQ(sheet->signatures.size(), 1U);
  const SignatureSheet& s = sheet->signatures[0];
  const Row *conv = Find(s, "c"), *relu = Find(s, "y");
  ASSERT_TRUE(conv != nullptr && relu != nullptr);
  EXPECT_EQ(conv->op, "Conv");
  EXPECT_EQ(conv->node, "the_c");
  EXPECT_EQ(conv->type, "f32[4, 5, 6, 6]");
  EXPECT_EQ(conv->flops, 2.0 * 4 * 5 * 6 * 6 * 3 * 3 * 3);
  EXPECT_EQ(relu->flops, 4.0 * 5 * 6 * 6);
  EXPECT_EQ(s.flops, conv->flops + relu->flops);
  ASSERT_EQ(conv->weights.size(), 1U);
  EXPECT_EQ(conv->weights[0].min, -1);
  EXPECT_EQ(conv->weights[0].max, 1);
  EXPECT_NEAR(conv->weights[0].zeros, 1.0 / 3, 1e-9);
  // At the peak the convolution's result lives beside the input, or beside the result of relu.
  EXPECT_EQ(s.peak_activations, 4 * 4 * (3 * 8 * 8 + 5 * 6 * 6));
  EXPECT_EQ(s.rows[0].op, "input");
  EXPECT_EQ(conv->from, (std::vector<std::size_t>{0}));
}

TEST(Inspect, AModelThatCannotBeTranslatedIsShownAllTheSame) {
  onnx::Model m = Small();
  Node(m, "NoSuchOperator", {"c"}, "strange");
  m.graph->outputs.push_back(Declared("strange", {"batch"}));
  const TemporaryFolder folder(true);
  const std::string path = folder / "<b>.onnx";
  ASSERT_TRUE(onnx::WriteFile(m, path).ok());
  const Result<Sheet> sheet = Inspected(path, 1);
  ASSERT_TRUE(sheet.ok()) << sheet.status().message();
  ASSERT_FALSE(sheet->unsupported.empty());
  EXPECT_NE(sheet->unsupported.back().find("NoSuchOperator \"the_strange\""), std::string::npos)
      << sheet->unsupported.back();
  EXPECT_EQ(sheet->parameters, 135);
  EXPECT_EQ(sheet->signatures[0].rows.size(), 4U);  // the input and three nodes
  EXPECT_NE(SheetText(*sheet).find("NoSuchOperator"), std::string::npos);
  EXPECT_NE(SheetJson(*sheet).find("\"unsupported\""), std::string::npos);
  const std::string page = SheetHtml(*sheet);
  EXPECT_NE(page.find("Cannot be translated"), std::string::npos);
  EXPECT_NE(page.find("&lt;b&gt;.onnx"), std::string::npos);
  EXPECT_EQ(page.find("<b>.onnx"), std::string::npos);
  // Nothing outside of the page; the namespace of SVG is a name, not an address to fetch.
  for (std::size_t at = page.find("http"); at != std::string::npos; at = page.find("http", at + 1))
    EXPECT_EQ(page.substr(at, 27), "http://www.w3.org/2000/svg\"");
}

}  // namespace
}  // namespace tenon::tools
