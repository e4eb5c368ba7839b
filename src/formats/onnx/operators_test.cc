// Operators with wrong attributes or inputs: each is refused with a message, none crashes or hangs.
#include <gtest/gtest.h>

#include <limits>

#include "formats/onnx/data_type.h"
#include "formats/onnx/translate.h"

namespace tenon::onnx {
namespace {

struct Input {
  DataTypeNumber type = kFloat;
  std::vector<std::int64_t> dims;
  std::optional<Literal> value = {};  // it stands in the file
};
Attribute Int(std::string name, std::int64_t value) {
  Attribute a;
  a.name = std::move(name);
  a.type = AttributeType::kInt;
  a.ints = {value};
  return a;
}
Attribute Ints(std::string name, std::vector<std::int64_t> values) {
  Attribute a;
  a.name = std::move(name);
  a.type = AttributeType::kInts;
  a.ints = std::move(values);
  return a;
}
Attribute Text(std::string name, std::string value) {
  Attribute a;
  a.name = std::move(name);
  a.type = AttributeType::kString;
  a.strings = {std::move(value)};
  return a;
}

struct OperatorCase {
  std::string op;
  std::vector<Input> inputs;
  std::vector<Attribute> attributes;
  std::string message;  // a part of it; empty: translates
  std::string domain = {};
};

Status TranslateOne(const OperatorCase& c) {
  Model model;
  model.ir_version = 10;
  model.opset_imports = {{"", 28}, {"com.microsoft", 1}};
  Graph& graph = model.graph.emplace();
  graph.name = "g";
  Node node;
  node.op_type = c.op;
  node.domain = c.domain;
  node.attributes = c.attributes;
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    node.inputs.push_back("x" + std::to_string(i));
    if (c.inputs[i].value) {
      Tensor& tensor = graph.initializers.emplace_back();
      tensor.name = node.inputs.back();
      tensor.data_type = c.inputs[i].type;
      tensor.dims = c.inputs[i].value->dims();
      tensor.value = c.inputs[i].value;
      continue;
    }
    ValueInfo info;
    info.name = node.inputs.back();
    info.type.kind = TypeKind::kTensor;
    info.type.elem_type = c.inputs[i].type;
    info.type.shape.emplace();
    for (const std::int64_t d : c.inputs[i].dims) info.type.shape->emplace_back().value = d;
    graph.inputs.push_back(std::move(info));
  }
  node.outputs = {"y"};
  graph.nodes.push_back(std::move(node));
  ValueInfo out;
  out.name = "y";
  graph.outputs.push_back(std::move(out));
  return Translate(model).status();
}

void Check(const std::vector<OperatorCase>& cases) {
  for (const OperatorCase& c : cases) {
    const Status status = TranslateOne(c);
    if (c.message.empty()) {
      EXPECT_EQ(status.message(), "") << c.op;
      continue;
    }
    EXPECT_FALSE(status.ok()) << c.op << ": expected " << c.message;
    EXPECT_NE(status.message().find(c.message), std::string::npos) << c.op << ": " << status.message();
  }
}

TEST(Operators, RefuseWhatIsWrong) {
  const Input image{kFloat, {1, 2, 4, 4}}, vector{kFloat, {3}}, indices{kInt64, {2}};
  const std::vector<OperatorCase> cases = {
      {"GridSample", {image, {kFloat, {1, 3, 3, 2}}}, {}, ""},
      {"GridSample", {image, {kFloat, {1, 3, 3, 3}}}, {}, "grid_sample_c1"},
      {"GridSample", {image, {kFloat, {2, 3, 3, 2}}}, {}, "grid_sample_c2"},
      {"GridSample", {image, {kFloat, {1, 3, 3, 2}}}, {Text("mode", "area")}, "grid_sample_c3"},
      {"RoiAlign", {image, {kFloat, {2, 4}}, indices}, {Int("output_height", 0)}, "roi_align_c3"},
      {"RoiAlign", {image, {kFloat, {2, 4}}, indices}, {Text("mode", "sum")}, "mode is \"sum\""},
      {"RoiAlign", {image, {kFloat, {2, 5}}, indices}, {}, "roi_align_c2"},
      {"NonMaxSuppression", {{kFloat, {1, 3, 4}}, {kFloat, {1, 2, 4}}}, {}, "non_max_suppression_c1"},
      {"NonMaxSuppression",
       {{kFloat, {1, 3, 4}}, {kFloat, {1, 2, 3}}},
       {Int("center_point_box", 7)},
       "center_point_box"},
      {"MaxUnpool", {image, {kInt64, {1, 2, 4, 4}}}, {Ints("kernel_shape", {2})}, "kernel_shape has 1 entries"},
      {"MaxUnpool",
       {image, {kInt64, {1, 2, 4, 4}}},
       {Ints("kernel_shape", {1, 1}), Ints("pads", {9, 9, 9, 9})},
       "unpools"},
      {"DeformConv", {image, {kFloat, {3, 2, 2, 2}}, {kFloat, {1, 9, 3, 3}}}, {}, "offset"},
      {"DeformConv", {image, {kFloat, {3, 2, 2, 2}}, {kFloat, {1, 8, 3, 3}}}, {Int("group", 0)}, "group"},
      {"BitCast", {vector}, {Int("to", kInt64)}, "bitcast_c1"},
      {"BitCast", {vector}, {Int("to", 99)}, "does not exist"},
      {"Cast", {vector}, {Int("to", kFloat8E8M0), Text("round_mode", "odd")}, "round_mode"},
      {"CausalConvWithState", {{kFloat, {1, 2, 5}}, {kFloat, {2, 3, 3}}}, {}, "expected [B, C, L]"},
      {"CausalConvWithState", {{kFloat, {1, 2, 5}}, {kFloat, {2, 1, 0}}}, {}, "a kernel without elements"},
      {"CausalConvWithState", {{kFloat, {1, 2, 5}}, {kFloat, {2, 1, 3}}}, {Text("activation", "relu")}, "activation"},
      {"TensorScatter", {{kFloat, {1, 4, 2}}, {kFloat, {1, 2, 2}}}, {Int("axis", 0)}, "axis 0"},
      {"TensorScatter", {{kFloat, {1, 4, 2}}, {kFloat, {1, 2, 2}}}, {Text("mode", "ring")}, "mode"},
      {"LinearAttention", {vector, vector, vector}, {Text("update_rule", "linear")}, "heads"},
      {"LinearAttention", {image, image, image}, {Text("update_rule", "other")}, "update_rule"},
      {"GroupQueryAttention",
       {{kFloat, {1, 1, 8}},
        {kFloat, {1, 1, 4}},
        {kFloat, {1, 1, 4}},
        {kFloat, {1, 1, 2, 4}},
        {kFloat, {1, 1, 2, 4}},
        {kInt32, {1}},
        {kInt32, {1}}},
       {Int("num_heads", 2), Int("kv_num_heads", 0)},
       "query heads",
       "com.microsoft"},
      {"RotaryEmbedding", {vector, indices, {kFloat, {4, 2}}, {kFloat, {4, 2}}}, {}, "heads", "com.microsoft"},
      {"QLinearConcat", {vector, vector, vector, vector, vector, vector}, {}, "three for each part", "com.microsoft"},
      {"DFT", {{kFloat, {1, 6, 1}}}, {Int("inverse", 1), Int("onesided", 1)}, "complex"},
  };
  Check(cases);
}

// Numbers in the file that no integer, or no time, has room for.
TEST(Operators, NumbersAtTheEnds) {
  constexpr std::int64_t kLowest = std::numeric_limits<std::int64_t>::min();
  const auto floats = [](std::vector<float> v) {
    return Input{kFloat, {}, Literal::from<float>({static_cast<std::int64_t>(v.size())}, v)};
  };
  const auto longs = [](std::vector<std::int64_t> v) {
    return Input{kInt64, {}, Literal::from<std::int64_t>({static_cast<std::int64_t>(v.size())}, v)};
  };
  const auto number = [](std::int64_t v) { return Input{kInt64, {}, Literal::scalar(v)}; };
  const Input image{kFloat, {1, 1, 10, 10}}, indices{kInt64, {2}};
  const std::vector<Attribute> crop = {Int("antialias", 1), Text("mode", "linear"),
                                       Text("coordinate_transformation_mode", "tf_crop_and_resize")};
  const float nan = std::numeric_limits<float>::quiet_NaN();
  Check({
      {"OneHot", {indices, floats({nan}), floats({0, 1})}, {}, ""},
      {"OneHot", {indices, floats({-1e30F}), floats({0, 1})}, {}, "one_hot_c2"},
      {"Range", {number(0), number(10), number(kLowest)}, {}, "9223372036854775808"},
      {"Resize",
       {image, floats({0, 0, 0, 0, 1, 1, 1e9F, 1e9F}), floats({1, 1, 1e-9F, 1e-9F})},
       crop,
       "antialiasing of a scale this small"},
      {"Resize",
       {image, floats({0, 0, nan, nan, 1, 1, 1, 1}), floats({}), longs({1, 1, 5, 5})},
       crop,
       "a region at nan"},
  });
}

}  // namespace
}  // namespace tenon::onnx
