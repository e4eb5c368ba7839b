// Operators that no recorded model covers: small models built here, run by the reference evaluation, against numbers
// worked out by hand.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "formats/onnx/dims.h"
#include "formats/onnx/export/exporter.h"
#include "formats/onnx/translate.h"
#include "ir/eval.h"
#include "ir/numeric.h"
#include "ir/sample.h"

namespace tenon::onnx {
namespace {

using ir::Bools;
using ir::Values;

Attribute Floats(std::string name, std::vector<float> values) {
  Attribute a;
  a.name = std::move(name);
  a.type = AttributeType::kFloats;
  a.floats = std::move(values);
  return a;
}
Attribute Strings(std::string name, std::vector<std::string> values) {
  Attribute a;
  a.name = std::move(name);
  a.type = AttributeType::kStrings;
  a.strings = std::move(values);
  return a;
}
Literal Texts(std::vector<std::string> texts) {
  const auto n = static_cast<std::int64_t>(texts.size());
  return Literal::from_strings({n}, std::move(texts));
}

// A model of one node whose inputs are the graph's, in their own types.
Model OneNode(std::string domain, std::string op, const std::vector<Literal>& inputs, std::vector<Attribute> attributes,
              std::size_t outputs) {
  Model model;
  model.ir_version = 10;
  model.opset_imports = {{"", 22}, {"ai.onnx.ml", 3}};
  Graph& graph = model.graph.emplace();
  graph.name = "g";
  Node& node = graph.nodes.emplace_back();
  node.op_type = std::move(op);
  node.domain = std::move(domain);
  node.attributes = std::move(attributes);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    ValueInfo& info = graph.inputs.emplace_back();
    info.name = "x" + std::to_string(i);
    info.type = WriteType(ir::Type::Of(inputs[i]));
    node.inputs.push_back(info.name);
  }
  for (std::size_t i = 0; i < outputs; ++i) {
    graph.outputs.emplace_back().name = "y" + std::to_string(i);
    node.outputs.push_back("y" + std::to_string(i));
  }
  return model;
}
Result<std::vector<Literal>> RunModel(const Model& model, std::vector<Literal> inputs) {
  TENON_ASSIGN_OR_RETURN(const ir::Module module, Translate(model));
  return ir::RunFunction(module, module.functions[0], std::move(inputs));
}
// Output `which` of an operator of ai.onnx.ml.
Literal Ml(const std::string& op, const std::vector<Literal>& inputs, std::vector<Attribute> attributes,
           std::size_t outputs = 1, std::size_t which = 0) {
  Result<std::vector<Literal>> got =
      RunModel(OneNode("ai.onnx.ml", op, inputs, std::move(attributes), outputs), inputs);
  EXPECT_TRUE(got.ok()) << op << ": " << got.status().message();
  return got.ok() ? (*got)[which] : Literal();
}
void ExpectNear(const Literal& got, const Literal& wanted, double bound = 1e-6) {
  ASSERT_EQ(got.dims(), wanted.dims()) << got.to_string();
  for (std::int64_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got.at(i), wanted.at(i), bound) << got.to_string(20);
}

TEST(Ml, ScalersAndEncoders) {
  const Literal x = Values({2, 2}, {1, -3, 4, 0});
  ExpectNear(Ml("Scaler", {x}, {Floats("offset", {1, 0}), Floats("scale", {2, 3})}), Values({2, 2}, {0, -9, 6, 0}));
  ExpectNear(Ml("Normalizer", {x}, {StringAttribute("norm", "L1")}), Values({2, 2}, {0.25, -0.75, 1, 0}));
  ExpectNear(Ml("Normalizer", {x}, {StringAttribute("norm", "MAX")}), Values({2, 2}, {1.0 / 3, -1, 1, 0}));
  ExpectNear(Ml("Imputer", {x}, {Floats("imputed_value_floats", {7, 8}), FloatAttribute("replaced_value_float", 4)}),
             Values({2, 2}, {1, -3, 7, 0}));
  ExpectNear(Ml("OneHotEncoder", {Texts({"b", "c"})}, {Strings("cats_strings", {"a", "b"})}),
             Values({2, 2}, {0, 1, 0, 0}));
  ExpectNear(Ml("FeatureVectorizer", {x, ir::Ints({2}, {5, 6})}, {IntsAttribute("inputdimensions", {3, 1})}),
             Values({2, 4}, {1, -3, 0, 5, 4, 0, 0, 6}));
  const Literal names = Ml("CategoryMapper", {ir::Ints({2}, {4, 9})},
                           {Strings("cats_strings", {"four"}), IntsAttribute("cats_int64s", {4})});
  EXPECT_EQ(names.strings(), (std::vector<std::string>{"four", "_Unused"}));
}

TEST(Ml, LinearModels) {
  const Literal x = Values({2, 2}, {1, 2, -1, 0.5});
  ExpectNear(Ml("LinearRegressor", {x}, {Floats("coefficients", {2, -1}), Floats("intercepts", {0.5})}),
             Values({2, 1}, {0.5, -2}));
  const std::vector<Attribute> two = {Floats("coefficients", {2, -1}), Floats("intercepts", {0.5}),
                                      Strings("classlabels_strings", {"no", "yes"}),
                                      StringAttribute("post_transform", "LOGISTIC")};
  EXPECT_EQ(Ml("LinearClassifier", {x}, two, 2, 0).strings(), (std::vector<std::string>{"yes", "no"}));
  const double p = 1 / (1 + std::exp(-0.5)), q = 1 / (1 + std::exp(2.0));
  ExpectNear(Ml("LinearClassifier", {x}, two, 2, 1), Values({2, 2}, {1 - p, p, 1 - q, q}));
}

// x0 <= 0 ? (x1 > 1 ? 5 : 2) : -1, in the older form, with the root not in front.
std::vector<Attribute> Tree(const std::string& side, std::vector<std::int64_t> targets) {
  return {IntsAttribute("nodes_treeids", {0, 0, 0, 0, 0}),
          IntsAttribute("nodes_nodeids", {3, 0, 1, 2, 4}),
          Strings("nodes_modes", {"LEAF", "BRANCH_LEQ", "BRANCH_GT", "LEAF", "LEAF"}),
          IntsAttribute("nodes_featureids", {0, 0, 1, 0, 0}),
          Floats("nodes_values", {0, 0, 1, 0, 0}),
          IntsAttribute("nodes_truenodeids", {0, 1, 2, 0, 0}),
          IntsAttribute("nodes_falsenodeids", {0, 4, 3, 0, 0}),
          IntsAttribute(side + "_treeids", {0, 0, 0}),
          IntsAttribute(side + "_nodeids", {2, 3, 4}),
          IntsAttribute(side + "_ids", std::move(targets)),
          Floats(side + "_weights", {5, 2, -1})};
}
TEST(Ml, OlderTreeEnsembles) {
  const Literal x = Values({3, 2}, {-1, 2, 0, 1, 1, 5});
  std::vector<Attribute> regressor = Tree("target", {0, 0, 0});
  regressor.push_back(Floats("base_values", {10}));
  ExpectNear(Ml("TreeEnsembleRegressor", {x}, regressor), Values({3, 1}, {15, 12, 9}));
  std::vector<Attribute> classifier = Tree("class", {0, 1, 2});
  classifier.push_back(IntsAttribute("classlabels_int64s", {7, 8, 9}));
  ExpectNear(Ml("TreeEnsembleClassifier", {x}, classifier, 2, 1), Values({3, 3}, {5, 0, 0, 0, 2, 0, 0, 0, -1}));
  EXPECT_EQ(ir::ToInts(Ml("TreeEnsembleClassifier", {x}, classifier, 2, 0)), (std::vector<std::int64_t>{7, 8, 7}));
  // One score for two classes.
  std::vector<Attribute> binary = Tree("class", {0, 0, 0});
  binary.push_back(IntsAttribute("classlabels_int64s", {0, 1}));
  binary.push_back(StringAttribute("post_transform", "LOGISTIC"));
  const auto s = [](double v) { return 1 / (1 + std::exp(-v)); };
  ExpectNear(Ml("TreeEnsembleClassifier", {x}, binary, 2, 1), Values({3, 2}, {s(-5), s(5), s(-2), s(2), s(1), s(-1)}));
  EXPECT_EQ(ir::ToInts(Ml("TreeEnsembleClassifier", {x}, binary, 2, 0)), (std::vector<std::int64_t>{1, 1, 0}));
}

TEST(Ml, SupportVectorMachines) {
  const Literal x = Values({2, 1}, {0.5, 2});
  const std::vector<Attribute> model = {Floats("coefficients", {1, -2}), Floats("support_vectors", {0, 1}),
                                        Floats("kernel_params", {0.5, 0, 3}), Floats("rho", {0.25}),
                                        StringAttribute("kernel_type", "RBF")};
  std::vector<Attribute> regressor = model;
  regressor.push_back(IntAttribute("n_supports", 2));
  const auto k = [](double a, double b) { return std::exp(-0.5 * (a - b) * (a - b)); };
  const double y0 = k(0.5, 0) - 2 * k(0.5, 1) + 0.25, y1 = k(2, 0) - 2 * k(2, 1) + 0.25;
  ExpectNear(Ml("SVMRegressor", {x}, regressor), Values({2, 1}, {y0, y1}));
  std::vector<Attribute> classifier = model;
  classifier.push_back(IntsAttribute("vectors_per_class", {1, 1}));
  classifier.push_back(IntsAttribute("classlabels_ints", {3, 4}));
  EXPECT_EQ(ir::ToInts(Ml("SVMClassifier", {x}, classifier, 2, 0)),
            (std::vector<std::int64_t>{y0 > 0 ? 3 : 4, y1 > 0 ? 3 : 4}));
}

TEST(Ml, BadAttributesAreRefused) {
  const Literal x = Values({1, 2}, {1, 2});
  const auto refuse = [&](const std::string& op, std::vector<Attribute> attributes) {
    const Status status = Translate(OneNode("ai.onnx.ml", op, {x}, std::move(attributes), 1)).status();
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << op << ": " << status.message();
    EXPECT_NE(status.message().find(op), std::string::npos) << status.message();
  };
  refuse("Normalizer", {StringAttribute("norm", "L3")});
  refuse("LinearRegressor", {Floats("coefficients", {1, 2, 3}), IntAttribute("targets", 2)});
  refuse("LinearRegressor", {Floats("coefficients", {1, 2}), IntAttribute("targets", -1)});
  refuse("LabelEncoder", {Floats("keys_floats", {1, 2}), Floats("values_floats", {1})});
  refuse("SVMRegressor", {Floats("coefficients", {1}), Floats("rho", {0}), IntAttribute("n_supports", 1)});
  refuse("TreeEnsembleRegressor", {IntsAttribute("nodes_treeids", {0})});
  std::vector<Attribute> circle = Tree("target", {0, 0, 0});
  circle[5].ints[2] = 0;  // back to the root
  refuse("TreeEnsembleRegressor", circle);
}

Literal Default(std::int64_t opset, const std::string& op, const std::vector<Literal>& inputs,
                std::vector<Attribute> attributes) {
  Model model = OneNode("", op, inputs, std::move(attributes), 1);
  model.opset_imports = {{"", opset}};
  // What stands in the file: all but the first input.
  for (std::size_t i = 1; opset == 1 && i < inputs.size(); ++i) {
    Tensor& tensor = model.graph->initializers.emplace_back();
    tensor.name = "x" + std::to_string(i);
    tensor.value = inputs[i];
  }
  Result<std::vector<Literal>> got = RunModel(model, opset == 1 ? std::vector<Literal>{inputs[0]} : inputs);
  EXPECT_TRUE(got.ok()) << op << ": " << got.status().message();
  return got.ok() ? (*got)[0] : Literal();
}

TEST(Oldest, OpsetOne) {
  const Literal x = Values({1, 1, 1, 2}, {3, 4});
  ExpectNear(Default(1, "Tile", {x, Values({1}, {2}), Values({1}, {3})}, {}), Values({1, 1, 1, 4}, {3, 4, 3, 4}));
  ExpectNear(Default(1, "Tile", {x, Values({}, {3}), Values({}, {2})}, {}), Values({1, 1, 3, 2}, {3, 4, 3, 4, 3, 4}));
  ExpectNear(Default(1, "Upsample", {x}, {FloatAttribute("height_scale", 2), FloatAttribute("width_scale", 1)}),
             Values({1, 1, 2, 2}, {3, 4, 3, 4}));
  ExpectNear(Default(1, "GlobalLpPool", {x}, {FloatAttribute("p", 2)}), Values({1, 1, 1, 1}, {5}), 1e-5);
  ExpectNear(Default(1, "LpPool", {x}, {FloatAttribute("p", 1), IntsAttribute("kernel_shape", {1, 2})}),
             Values({1, 1, 1, 1}, {7}), 1e-5);
}

TEST(Newest, SwiGlu) {
  const Literal a = Values({3}, {-1, 0, 2}), b = Values({3}, {3, 5, 0.5});
  const auto gate = [](double v, double alpha) { return v / (1 + std::exp(-alpha * v)); };
  ExpectNear(Default(28, "SwiGLU", {a, b}, {}), Values({3}, {3 * gate(-1, 1), 0, 0.5 * gate(2, 1)}));
  ExpectNear(Default(28, "SwiGLU", {a, b}, {FloatAttribute("alpha", 2)}),
             Values({3}, {3 * gate(-1, 2), 0, 0.5 * gate(2, 2)}));
  const Status status = Translate(OneNode("", "SwiGLU", {a, Values({1}, {1})}, {}, 1)).status();
  EXPECT_FALSE(status.ok());
}

// Queries of 0 look at all keys that they see alike, and each key's value is its own column: row i of the result tells
// which keys query i sees.
TEST(Newest, WindowsOfAttention) {
  const std::int64_t queries = 4, keys = 6;
  const Literal q = Values({1, 1, queries, 1}, {0, 0, 0, 0}), k = Values({1, 1, keys, 1}, {1, 2, 3, 4, 5, 6});
  const auto columns = [](std::int64_t from, std::int64_t n, std::int64_t of) {
    std::vector<double> values(static_cast<std::size_t>(n * of));
    for (std::int64_t i = 0; i < n; ++i) values[static_cast<std::size_t>(i * of + from + i)] = 1;
    return ir::FromDoubles(DType::kF32, {1, 1, n, of}, values);
  };
  const auto seen = [](const std::vector<std::vector<int>>& rows, std::int64_t of) {
    std::vector<double> values;
    for (const std::vector<int>& row : rows)
      for (std::int64_t j = 0; j < of; ++j)
        values.push_back(std::find(row.begin(), row.end(), j) == row.end() ? 0 : 1.0 / static_cast<double>(row.size()));
    return ir::FromDoubles(DType::kF32, {1, 1, static_cast<std::int64_t>(rows.size()), of}, values);
  };
  const Literal v = columns(0, keys, keys);
  const auto window = [](std::int64_t left, std::int64_t right) {
    return std::vector<Attribute>{IntAttribute("left_window_size", left), IntAttribute("right_window_size", right)};
  };
  ExpectNear(Default(25, "Attention", {q, k, v}, window(2, 1)),
             seen({{0, 1}, {0, 1, 2}, {0, 1, 2, 3}, {1, 2, 3, 4}}, keys));
  ExpectNear(Default(25, "Attention", {q, k, v}, window(-1, 0)), seen({{0}, {0, 1}, {0, 1, 2}, {0, 1, 2, 3}}, keys));
  // Masks of both kinds; what is hidden twice leaves nothing: 0.
  const Literal choice = Literal::from<bool>({1, keys}, {false, false, true, true, true, true});
  const Literal added = Values({1, keys}, {-1e30, -1e30, 0, 0, 0, 0});
  for (const Literal& mask : {choice, added})
    ExpectNear(Default(25, "Attention", {q, k, v, mask}, window(0, 2)),
               seen({{2}, {2, 3}, {2, 3, 4}, {3, 4, 5}}, keys));
  ExpectNear(Default(25, "Attention", {q, k, v, choice}, window(1, 0)), seen({{}, {}, {2}, {2, 3}}, keys));
  // Past keys: query i stands at 2 + i.
  const Literal past_k = Values({1, 1, 2, 1}, {7, 8}), all = Literal::from<bool>({1, 1}, {true});
  ExpectNear(
      Default(25, "Attention", {q, Values({1, 1, 4, 1}, {1, 2, 3, 4}), columns(2, 4, 6), all, past_k, columns(0, 2, 6)},
              window(1, 0)),
      seen({{1, 2}, {2, 3}, {3, 4}, {4, 5}}, 6));
  // A window longer than any sequence is none.
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  ExpectNear(Default(25, "Attention", {q, k, v}, window(kMost, 0)), seen({{0}, {0, 1}, {0, 1, 2}, {0, 1, 2, 3}}, keys));
  ExpectNear(Default(25, "Attention", {q, k, v}, window(0, kMost)), Default(25, "Attention", {q, k, v}, window(0, -1)));
  EXPECT_FALSE(Translate(OneNode("", "Attention", {q, k, v}, window(-2, 0), 1)).ok());
}
// Lengths: query i stands at lengths - 2 + i.
TEST(Newest, WindowsOfAttentionBesideLengths) {
  Model model = OneNode("", "Attention",
                        {Values({2, 1, 2, 1}, {0, 0, 0, 0}), Values({2, 1, 3, 1}, {1, 2, 3, 4, 5, 6}),
                         Values({2, 1, 3, 1}, {1, 2, 4, 1, 2, 4}), ir::Ints({2}, {3, 2})},
                        {IntAttribute("left_window_size", 0), IntAttribute("right_window_size", 0)}, 1);
  model.opset_imports = {{"", 25}};
  model.graph->nodes[0].inputs = {"x0", "x1", "x2", "", "", "", "x3"};
  const Result<std::vector<Literal>> got =
      RunModel(model, {Values({2, 1, 2, 1}, {0, 0, 0, 0}), Values({2, 1, 3, 1}, {1, 2, 3, 4, 5, 6}),
                       Values({2, 1, 3, 1}, {1, 2, 4, 1, 2, 4}), ir::Ints({2}, {3, 2})});
  ASSERT_TRUE(got.ok()) << got.status().message();
  ExpectNear((*got)[0], Values({2, 1, 2, 1}, {2, 4, 1, 2}));
}

TEST(RandomOps, TheStateMovesOn) {
  Model model = OneNode("", "RandomUniform", {}, {IntsAttribute("shape", {4})}, 1);
  const ir::Module module = Translate(model).value();
  ASSERT_EQ(module.functions[0].reads, std::vector<std::string>{"random/state"});
  ASSERT_EQ(module.functions[0].writes, std::vector<std::string>{"random/state"});
  const Literal first = ir::RunFunction(module, module.functions[0], {}).value()[0];
  const Literal second = ir::RunFunction(module, module.functions[0], {}).value()[0];
  EXPECT_FALSE(identical(first, second));
  for (std::int64_t i = 0; i < 4; ++i) EXPECT_TRUE(first.at(i) >= 0 && first.at(i) < 1);
}

// NumPy: RandomState(0).uniform(size=3), RandomState(0).standard_normal(2).
TEST(RandomOps, SeedsGiveTheNumbersOfTheReference) {
  const Model uniform = OneNode("", "RandomUniform", {}, {IntsAttribute("shape", {3}), FloatAttribute("seed", 0)}, 1);
  ExpectNear(RunModel(uniform, {}).value()[0], Values({3}, {0.5488135, 0.71518937, 0.60276338}));
  const Model normal = OneNode("", "RandomNormal", {}, {IntsAttribute("shape", {2}), FloatAttribute("seed", 0)}, 1);
  ExpectNear(RunModel(normal, {}).value()[0], Values({2}, {1.76405235, 0.40015721}));
}

TEST(RandomOps, MultinomialDrawsLikelyClasses) {
  const Literal x = Values({2, 3}, {0, -1e4, -1e4, -1e4, -1e4, 0});
  const Model model = OneNode("", "Multinomial", {x}, {IntAttribute("sample_size", 4)}, 1);
  const Literal y = RunModel(model, {x}).value()[0];
  EXPECT_EQ(y.dtype(), DType::kI32);
  EXPECT_EQ(ir::ToInts(y), (std::vector<std::int64_t>{0, 0, 0, 0, 2, 2, 2, 2}));
}

TEST(Texts, CastsBothWays) {
  const Model to = OneNode("", "Cast", {Values({3}, {1.5, -0.1, 3})}, {IntAttribute("to", 8)}, 1);
  EXPECT_EQ(RunModel(to, {Values({3}, {1.5, -0.1, 3})}).value()[0].strings(),
            (std::vector<std::string>{"1.5", "-0.1", "3.0"}));
  const Literal texts = Texts({"1e3", "-INF"});
  const Literal back = RunModel(OneNode("", "Cast", {texts}, {IntAttribute("to", 1)}, 1), {texts}).value()[0];
  EXPECT_EQ(back.at(0), 1000);
  EXPECT_EQ(back.at(1), -HUGE_VAL);
  const Literal word = Texts({"one"});
  EXPECT_FALSE(RunModel(OneNode("", "Cast", {word}, {IntAttribute("to", 1)}, 1), {word}).ok());
}

TEST(Texts, StructuralOperators) {
  const Literal a = Texts({"x", "y"}), b = Texts({"z", "y"});
  EXPECT_EQ(RunModel(OneNode("", "Concat", {a, b}, {IntAttribute("axis", 0)}, 1), {a, b}).value()[0].strings(),
            (std::vector<std::string>{"x", "y", "z", "y"}));
  const Literal which = Bools({2}, {false, true}), index = ir::Ints({3}, {1, 1, 0});
  EXPECT_EQ(RunModel(OneNode("", "Where", {which, a, b}, {}, 1), {which, a, b}).value()[0].strings(),
            (std::vector<std::string>{"z", "y"}));
  EXPECT_EQ(RunModel(OneNode("", "Gather", {a, index}, {}, 1), {a, index}).value()[0].strings(),
            (std::vector<std::string>{"y", "y", "x"}));
  const Literal regex = Texts({"aa", "ab"});
  EXPECT_FALSE(Translate(OneNode("", "RegexFullMatch", {regex}, {StringAttribute("pattern", "(")}, 1)).ok());
}

// A pattern that backtracking matchers need exponential time for.
TEST(Texts, RegularExpressionsTakeLinearTime) {
  const Literal text = Texts({std::string(20000, 'a') + "b"});
  const Model model = OneNode("", "RegexFullMatch", {text}, {StringAttribute("pattern", "(a+)+")}, 1);
  EXPECT_EQ(RunModel(model, {text}).value()[0].at(0), 0);
}

}  // namespace
}  // namespace tenon::onnx
