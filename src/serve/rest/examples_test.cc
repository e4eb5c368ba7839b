#include <gtest/gtest.h>

#include "serve/core/fake_servable.h"
#include "serve/core/inference.h"
#include "serve/rest/examples_request.h"
#include "serve/rest/examples_response.h"

namespace tenon::serve {
namespace {

std::string Hex(const std::string& bytes) {
  std::string out;
  for (const char c : bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    out += kDigits[static_cast<unsigned char>(c) >> 4];
    out += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

std::string Read(std::string_view body) {
  const auto request = ReadExamplesRequest(body, "classify");
  if (!request.ok())
    return std::to_string(static_cast<int>(request.status().code())) + " " + request.status().message();
  std::string out = request->signature_name;
  for (const std::string& e : request->examples) out += "|" + Hex(e);
  return out;
}

// The bytes were made by TensorFlow's tf.train.Example(...).SerializeToString().
TEST(ExamplesRequest, Bytes) {
  EXPECT_EQ(Read(R"({"signature_name":"s","examples":[{"x":[2.0]}]})"), "s|0a0f0a0d0a0178120812060a0400000040");
  EXPECT_EQ(Read(R"({"examples":[{"i":[1,-1,300]},{"b":["hi",{"b64":"AP8="}]}]})"),
            "|0a180a160a016912111a0f0a0d01ffffffffffffffffff01ac02|0a110a0f0a0162120a0a080a0268690a0200ff");
  EXPECT_EQ(Read(R"({"examples":[{"t":true},{"e":[]}]})"), "|0a0c0a0a0a017412051a030a0101|0a070a050a01651200");
  // The context comes first in each example.
  EXPECT_EQ(Read(R"({"context":{"c":1},"examples":[{}]})"), "|0a0c0a0a0a016312051a030a01010a00");
}

TEST(ExamplesRequest, Errors) {
  EXPECT_EQ(Read("{}"), "3 JSON Value: {} When method is classify, key 'examples' is expected and was not found");
  EXPECT_EQ(Read(R"({"examples":1})"),
            "3 JSON Value: {\n    \"examples\": 1\n} Expecting 'examples' value to be an list/array");
  EXPECT_EQ(Read(R"({"examples":[]})"), "3 JSON Value: {\n    \"examples\": []\n} 'examples' value is an empty array");
  EXPECT_EQ(Read(R"({"examples":[[]]})"), "3 Example must be JSON object but got JSON Array");
  EXPECT_EQ(Read(R"({"examples":[{"f":[1,2.5]}]})"), "3 Unexpected element type in feature: f expecting type: int64");
  EXPECT_EQ(Read(R"({"examples":[{"f":[2.5,"a"]}]})"), "3 Unexpected element type in feature: f expecting type: float");
  EXPECT_EQ(Read(R"({"examples":[{"f":["a",1]}]})"), "3 Unexpected element type in feature: f expecting type: bytes");
  EXPECT_EQ(Read(R"({"examples":[{"f":null}]})"), "3 Feature: f has element with unexpected JSON type: Null");
  EXPECT_EQ(Read(R"({"examples":[{"f":[[1]]}]})"), "3 Feature: f has element with unexpected JSON type: Array");
  EXPECT_EQ(Read(R"({"examples":[{"f":18446744073709551615}]})"),
            "3 Feature: f has uint64 element. Only int64 is supported.");
  EXPECT_EQ(Read(R"({"examples":[{"f":{"b64":"?"}}]})"), "3 Unable to base64 decode");
}

// A megabyte in front of each of many empty examples.
TEST(ExamplesRequest, AContextIsNotCopiedWithoutEnd) {
  std::string body = R"({"context":{"c":")" + std::string(1 << 20, 'c') + R"("},"examples":[{})";
  const std::string few = body + "]}";
  for (int i = 0; i < 2000; ++i) body += ",{}";
  EXPECT_EQ(ReadExamplesRequest(few, "classify").value().examples.size(), 1U);
  const Status status = ReadExamplesRequest(body + "]}", "classify").status();
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_NE(status.message().find("for each of 2001 examples"), std::string::npos) << status.message();
}

/// Two classes for each example: its length, and twice that.
struct ClassifyTest : ::testing::Test {
  static Signature Make(const char* name, std::vector<TensorInfo> outputs) {
    Signature s;
    s.name = name;
    s.inputs = {TensorInfo{.alias = "inputs", .dtype = DType::kString}};
    s.outputs = std::move(outputs);
    return s;
  }
  const TensorInfo classes{.alias = "classes", .dtype = DType::kString}, scores{.alias = "scores"},
      outputs{.alias = "outputs"};
  testing::FakeServable model{
      {Make("both", {scores, classes}), Make("scores", {scores}), Make("regress", {outputs}), Make("odd", {outputs})},
      [](const Signature& s, std::vector<Literal> in) -> Result<std::vector<Literal>> {
        const std::int64_t n = in[0].size();
        Literal values(DType::kF32, {n, s.outputs[0].alias == "outputs" ? 1 : 2}), labels(DType::kString, {n, 2});
        for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i) {
          const auto size = static_cast<float>(in[0].strings()[i].size());
          if (s.outputs[0].alias == "outputs") {
            values.mutable_data<float>()[i] = size;
            continue;
          }
          values.mutable_data<float>()[2 * i] = size;
          values.mutable_data<float>()[2 * i + 1] = 2 * size;
          labels.mutable_strings()[2 * i] = "a";
          labels.mutable_strings()[2 * i + 1] = "b";
        }
        if (s.name == "odd") return std::vector<Literal>{values.reshaped({1, n})};
        if (s.outputs.size() == 2) return std::vector<Literal>{values, labels};
        return std::vector<Literal>{values};
      }};
  std::string Ask(bool classify, const std::string& signature, std::vector<std::string> examples) {
    const RunFunction run = [this](const Signature& s, std::vector<Literal> in, std::span<const int> wanted) {
      return model.Run(s, std::move(in), wanted, kNoDeadline);
    };
    const auto error = [](const Status& status) {
      return std::to_string(static_cast<int>(status.code())) + " " + status.message();
    };
    if (classify) {
      const auto reply = Classify(model, signature, std::move(examples), run);
      return reply.ok() ? ClassifyResponseJson(*reply) : error(reply.status());
    }
    const auto reply = Regress(model, signature, std::move(examples), run);
    return reply.ok() ? RegressResponseJson(*reply) : error(reply.status());
  }
};

TEST_F(ClassifyTest, Replies) {
  EXPECT_EQ(Ask(true, "both", {"xxx", "y"}),
            "{\n    \"results\": [[[\"a\", 3.0], [\"b\", 6.0]], [[\"a\", 1.0], [\"b\", 2.0]]\n    ]\n}");
  EXPECT_EQ(Ask(true, "scores", {"xxx"}), "{\n    \"results\": [[[\"\", 3.0], [\"\", 6.0]]\n    ]\n}");
  EXPECT_EQ(Ask(false, "regress", {"xxx", "y"}), "{\n    \"results\": [3.0, 1.0]\n}");
}

TEST_F(ClassifyTest, Errors) {
  EXPECT_EQ(Ask(true, "none", {"x"}), "3 No signature was found with the name: none");
  EXPECT_EQ(Ask(true, "", {"x"}), "3 No signature was found with the name: serving_default");
  EXPECT_EQ(
      Ask(true, "regress", {"x"}),
      "9 Expected classification signature outputs to contain at least one of \"classes\" or \"scores\". Signature "
      "was: regress");
  EXPECT_EQ(Ask(false, "scores", {"x"}), "9 No regression outputs found in SignatureDef: scores");
  EXPECT_EQ(Ask(false, "both", {"x"}), "3 Expected one output Tensor.");
  EXPECT_EQ(Ask(false, "odd", {"x", "y"}),
            "3 Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [1,2]");
}

}  // namespace
}  // namespace tenon::serve
