// The rules of text ops, with what TensorFlow 2 gives for the same graphs.
#include <gtest/gtest.h>

#include "base/file.h"
#include "formats/savedmodel/ops/small_graph_test_util.h"
#include "formats/savedmodel/parse.h"
#include "formats/savedmodel/savedmodel.h"
#include "formats/savedmodel/tensor_proto.h"
#include "ir/eval.h"

namespace tenon::savedmodel {
namespace {

using Texts = std::vector<std::string>;

Literal Row(Texts texts) {
  const auto n = static_cast<std::int64_t>(texts.size());
  return Literal::from_strings({n}, std::move(texts));
}
Literal Scalar(std::string text) { return Literal::from_strings({}, {std::move(text)}); }
Literal Scalar(std::int32_t number) { return Literal::from<std::int32_t>({}, {number}); }

/// The outputs of one op: its first input is fed when the graph runs, the others are constants of it.
Result<std::vector<Literal>> RunOp(const std::string& op, const Literal& x, const std::vector<Literal>& constants,
                                   Attrs attrs, int outputs = 1) {
  GraphDef graph;
  NodeDef input = Node("x", "Placeholder", {});
  input.attrs["dtype"].value = TfType::kString;
  input.attrs["shape"].value = TfShape{false, x.dims()};
  NodeDef node = Node("y", op, {"x"});
  node.attrs = std::move(attrs);
  graph.nodes.push_back(std::move(input));
  for (const Literal& value : constants) {
    NodeDef constant = Node("c" + std::to_string(graph.nodes.size()), "Const", {});
    constant.attrs["dtype"].value = value.dtype() == DType::kString ? TfType::kString : TfType::kInt32;
    constant.attrs["value"].value = std::make_shared<const TensorProto>(TensorOf(value));
    node.inputs.push_back(constant.name);
    graph.nodes.push_back(std::move(constant));
  }
  graph.nodes.push_back(std::move(node));
  const std::string path = testing::TempDir() + "/text_rules.pb";
  if (Status written = base::WriteFile(path, EncodeGraphDef(graph)); !written.ok()) return written;
  LoadOptions options;
  for (int k = 0; k < outputs; ++k) options.outputs.push_back("y:" + std::to_string(k));
  const Result<ir::Module> module = LoadGraphDef(path, options);
  if (!module.ok()) return module.status();
  return ir::RunFunction(*module, **module->Signature(), {x});
}
Attrs One(const std::string& name, decltype(AttrValue::value) value) {
  Attrs attrs;
  attrs[name].value = std::move(value);
  return attrs;
}
std::vector<double> Reals(const Literal& x) {
  std::vector<double> out;
  for (std::int64_t i = 0; i < x.size(); ++i) out.push_back(x.at(i));
  return out;
}

TEST(TextRules, StringToNumberTakesWholeNumbersOfItsType) {
  const auto run = [](const char* text, TfType type) {
    return RunOp("StringToNumber", Row({text}), {}, One("out_type", type));
  };
  EXPECT_EQ(run(" -5 ", TfType::kInt32).value()[0].at(0), -5);
  EXPECT_EQ(run("1.5", TfType::kFloat).value()[0].at(0), 1.5);
  EXPECT_FALSE(run("1.5", TfType::kInt32).ok());
  EXPECT_FALSE(run("3000000000", TfType::kInt32).ok());
  EXPECT_FALSE(run("9223372036854775808", TfType::kInt64).ok());
}

TEST(TextRules, SplitKeepsTheRest) {
  const auto r =
      RunOp("StringSplitV2", Row({"a b c  ", "a"}), {Scalar("")}, One("maxsplit", std::int64_t{1}), 3).value();
  EXPECT_EQ(Reals(r[0]), (std::vector<double>{0, 0, 0, 1, 1, 0, 1, 1}));
  EXPECT_EQ(r[1].strings(), (Texts{"a", "b c  ", "a", ""}));
  EXPECT_EQ(Reals(r[2]), (std::vector<double>{2, 2}));
}

TEST(TextRules, TheOldSplitGivesNoPieceOfAnEmptyText) {
  const Literal x = Row({"", "a,,b", ","});
  const auto all = RunOp("StringSplit", x, {Scalar(",")}, One("skip_empty", false), 3).value();
  EXPECT_EQ(Reals(all[0]), (std::vector<double>{1, 0, 1, 1, 1, 2, 2, 0, 2, 1}));
  EXPECT_EQ(all[1].strings(), (Texts{"a", "", "b", "", ""}));
  EXPECT_EQ(Reals(all[2]), (std::vector<double>{3, 3}));
  const auto some = RunOp("StringSplit", x, {Scalar(",")}, One("skip_empty", true), 3).value();
  EXPECT_EQ(Reals(some[0]), (std::vector<double>{1, 0, 1, 1}));
  EXPECT_EQ(some[1].strings(), (Texts{"a", "b"}));
}

TEST(TextRules, ALengthBelowZeroTakesAllBytes) {
  const auto run = [](std::int32_t length, const char* unit) {
    return RunOp("Substr", Row({"abcdef"}), {Scalar(2), Scalar(length)}, One("unit", std::string(unit)));
  };
  EXPECT_EQ(run(-1, "BYTE").value()[0].strings(), Texts{"cdef"});
  EXPECT_EQ(run(-1, "UTF8_CHAR").value()[0].strings(), Texts{""});
  EXPECT_EQ(run(3, "BYTE").value()[0].strings(), Texts{"cde"});
}

TEST(TextRules, CaseByFullMappings) {
  const Attrs utf8 = One("encoding", std::string("utf-8"));
  EXPECT_EQ(RunOp("StringUpper", Row({"Straße"}), {}, utf8).value()[0].strings(), Texts{"STRASSE"});
  EXPECT_EQ(RunOp("StringLower", Row({"ΣΑΣ"}), {}, utf8).value()[0].strings(), Texts{"σας"});
  EXPECT_EQ(RunOp("StringUpper", Row({"aß\xff"}), {}, {}).value()[0].strings(), Texts{"Aß\xff"});
}

TEST(TextRules, CoarseUpscalingIsRefused) {
  const Status status = RunOp("DecodeJpeg", Scalar(""), {}, One("fancy_upscaling", false)).status();
  EXPECT_EQ(status.code(), Code::kUnimplemented);
  EXPECT_NE(status.message().find("upscaling"), std::string::npos) << status.message();
}

}  // namespace
}  // namespace tenon::savedmodel
