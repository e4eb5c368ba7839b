// The rules of :predict bodies, both ways.
#include <gtest/gtest.h>
#include <malloc.h>

#include <cmath>

#include "serve/core/fake_servable.h"
#include "serve/rest/base64.h"
#include "serve/rest/predict_request.h"
#include "serve/rest/predict_response.h"

namespace tenon::serve {
namespace {

TensorInfo Info(std::string alias, DType dtype) {
  return TensorInfo{.alias = std::move(alias), .dtype = dtype, .unknown_rank = true};
}

std::unique_ptr<Servable> Model(std::vector<TensorInfo> inputs) {
  Signature main, other, none;
  main.name = "serving_default";
  main.inputs = std::move(inputs);
  other.name = "other";
  other.inputs = {Info("o", DType::kI64)};
  none.name = "none";
  return std::make_unique<testing::FakeServable>(std::vector<Signature>{main, other, none}, nullptr);
}

/// The inputs as text, or the error.
std::string Read(const Servable* model, std::string_view body, const Status& found = {}) {
  const auto request = ReadPredictRequest(body, found, model);
  if (!request.ok())
    return std::to_string(static_cast<int>(request.status().code())) + " " + request.status().message();
  std::string out = request->form == PredictForm::kRow ? "row" : "col";
  for (const Literal& in : request->inputs) out += " " + in.to_string(20);
  return out;
}
std::string Read(DType dtype, std::string_view body) { return Read(Model({Info("x", dtype)}).get(), body); }

TEST(PredictRequest, RowForm) {
  EXPECT_EQ(Read(DType::kF32, R"({"instances": [[1,2],[3,4.5],[5,6]]})"), "row f32[3, 2] {1, 2, 3, 4.5, 5, 6}");
  EXPECT_EQ(Read(DType::kF32, R"({"instances": [1, 2.0, 3e2, -0.5]})"), "row f32[4] {1, 2, 300, -0.5}");
  EXPECT_EQ(Read(DType::kF32, R"({"instances": [NaN, Infinity, -Inf, 1e39]})"), "row f32[4] {nan, inf, -inf, inf}");
  EXPECT_EQ(Read(DType::kF64, R"({"instances":[[[0.1]]]})"), "row f64[1, 1, 1] {0.1}");
  EXPECT_EQ(Read(DType::kI32, R"({"instances":[[1],[-2147483648]]})"), "row i32[2, 1] {1, -2147483648}");
  EXPECT_EQ(Read(DType::kU8, R"({"instances":[256, 255]})"), "row u8[2] {0, 255}");  // no range check
  EXPECT_EQ(Read(DType::kU64, R"({"instances":[18446744073709551615]})"), "row u64[1] {18446744073709551615}");
  EXPECT_EQ(Read(DType::kBool, R"({"instances":[true,false]})"), "row bool[2] {1, 0}");
  EXPECT_EQ(Read(DType::kString, R"({"instances":["a",{"b64":"aGVsbG8="},""]})"),
            "row string[3] {\"a\", \"hello\", \"\"}");
  EXPECT_EQ(Read(DType::kString, R"({"instances":[[{"b64":"aGVsbG8"}],["w"]]})"),
            "row string[2, 1] {\"hello\", \"w\"}");
  EXPECT_EQ(Read(DType::kF32, R"({"instances":[[],[]]})"), "row f32[2, 0] {}");
  EXPECT_EQ(Read(DType::kF32, R"({"instances":[{"x":[1,2]},{"x":[3,4]}]})"), "row f32[2, 2] {1, 2, 3, 4}");
  const auto two = Model({Info("a", DType::kI32), Info("b", DType::kString)});
  EXPECT_EQ(Read(two.get(), R"({"instances":[{"b":"u","a":[1]},{"a":[2],"b":{"b64":"dg=="}}], "other key": 1})"),
            "row i32[2, 1] {1, 2} string[2] {\"u\", \"v\"}");
}

TEST(PredictRequest, ColumnarForm) {
  EXPECT_EQ(Read(DType::kI64, R"({"inputs": 7})"), "col i64[] {7}");
  EXPECT_EQ(Read(DType::kF32, R"({"inputs": [[1],[2]]})"), "col f32[2, 1] {1, 2}");
  EXPECT_EQ(Read(DType::kF32, R"({"inputs": {"x": [[1],[2]], "extra": "ignored"}})"), "col f32[2, 1] {1, 2}");
  EXPECT_EQ(Read(DType::kF32, R"({"inputs": []})"), "col f32[0] {}");
  EXPECT_EQ(Read(DType::kString, R"({"inputs": {"b64": "aGk="}})"), "col string[] {\"hi\"}");
  const auto two = Model({Info("a", DType::kF32), Info("b", DType::kI32)});
  EXPECT_EQ(Read(two.get(), R"({"inputs": {"b": [1,2,3], "a": 0.5}})"), "col f32[] {0.5} i32[3] {1, 2, 3}");
}

TEST(PredictRequest, Signatures) {
  const auto model = Model({Info("x", DType::kF32)});
  EXPECT_EQ(Read(model.get(), R"({"signature_name":"other","instances":[1]})"), "row i64[1] {1}");
  EXPECT_EQ(Read(model.get(), R"({"instances":[1],"signature_name":"other"})"), "row i64[1] {1}");
  EXPECT_EQ(Read(model.get(), R"({"instances":[1],"signature_name":""})"), "row f32[1] {1}");
  EXPECT_EQ(Read(model.get(), R"({"instances":[1],"signature_name":"gone"})"),
            "3 Serving signature name: \"gone\" not found in signature def");
  EXPECT_EQ(Read(model.get(), R"({"instances":[1],"signature_name":"none"})"),
            "3 Failed to get input map for signature: none");
  EXPECT_EQ(
      Read(model.get(), R"({"signature_name":5})"),
      "3 JSON Value: {\n    \"signature_name\": 5\n} not formatted correctly. 'signature_name' key must be a string "
      "value.");
}

TEST(PredictRequest, OrderOfErrors) {
  const Status gone(Code::kNotFound, "Servable not found for request: Latest(m)");
  EXPECT_EQ(Read(nullptr, "{", gone), "3 JSON Parse error: Missing a name for object member. at offset: 1");
  EXPECT_EQ(Read(nullptr, "", gone), "3 JSON Parse error: The document is empty");
  EXPECT_EQ(Read(nullptr, "[]", gone), "3 JSON Value: [] Is not object");
  EXPECT_EQ(Read(nullptr, "{}", gone), "5 Servable not found for request: Latest(m)");
}

TEST(PredictRequest, FormErrors) {
  EXPECT_EQ(Read(DType::kF32, "{}"), "3 Missing 'inputs' or 'instances' key");
  EXPECT_EQ(
      Read(DType::kF32, R"({"instances":[1],"inputs":[1]})"),
      "3 JSON Value: {\n    \"instances\": [\n        1\n    ],\n    \"inputs\": [\n        1\n    ]\n} Not formatted "
      "correctly expecting only one of 'inputs' or 'instances' keys to exist ");
  EXPECT_EQ(Read(DType::kF32, R"({"instances":5})"),
            "3 JSON Value: {\n    \"instances\": 5\n} Expecting 'instances' to be an list/array");
  EXPECT_EQ(Read(DType::kF32, R"({"instances":[]})"),
            "3 JSON Value: {\n    \"instances\": []\n} No values in 'instances' array");
  const auto two = Model({Info("b", DType::kF32), Info("a", DType::kF32)});
  EXPECT_EQ(Read(two.get(), R"({"instances":[1]})"),
            "3 instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map");
  EXPECT_EQ(Read(two.get(), R"({"inputs":[1]})"),
            "3 inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
            "tensorinfo_map");
  EXPECT_EQ(Read(two.get(), R"({"inputs":{"a":1}})"), "3 Missing named input: b in 'inputs' object.");
  EXPECT_EQ(
      Read(two.get(), R"({"instances":[{"a":1}]})"),
      "3 Failed to process element: 0 of 'instances' list. JSON object: {\n    \"a\": 1\n} keys must be equal to: "
      "a,b");
  EXPECT_EQ(Read(two.get(), R"({"instances":[{"a":1,"b":1},{"c":1}]})"),
            "3 Failed to process element: 1 key: c of 'instances' list. Error: INVALID_ARGUMENT: JSON object: does not "
            "have named input: c");
}

TEST(PredictRequest, ShapeErrors) {
  const std::string at0 = "3 Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: ";
  const std::string at1 = "3 Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: ";
  EXPECT_EQ(Read(DType::kI32, R"({"instances":[[1,2],[3]]})"), at1 + "Expecting tensor size: 2 but got: 1");
  EXPECT_EQ(Read(DType::kI32, R"({"instances":[[1,2],[[3],[4]]]})"), at1 + "Expecting shape [2] but got: [2,1]");
  EXPECT_EQ(Read(DType::kI32, R"({"instances":[1,[1]]})"), at1 + "Expecting shape [] but got: [1]");
  EXPECT_EQ(Read(DType::kI32, R"({"instances":[[1,[2]]]})"),
            at0 + "Encountered list at unexpected level: 1 expected < 1");
  EXPECT_EQ(Read(DType::kI32, R"({"instances":[[[1],2]]})"),
            at0 + "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2");
  EXPECT_EQ(Read(DType::kI32, R"({"instances":[[[1],[2,3]]]})"),
            at0 + "Encountered list at unexpected size: 2 at level: 1 expected size: 1");
  EXPECT_EQ(Read(DType::kI32, R"({"inputs":[[1],[2,3]]})"),
            "3 Encountered list at unexpected size: 2 at level: 1 expected size: 1");
  EXPECT_EQ(Read(DType::kI32, R"({"instances":[1,{"x":1}]})"),
            "3 Expecting value/list but got object at item 1 of input list");
  EXPECT_EQ(Read(DType::kI32, R"({"instances":[{"x":1},1]})"),
            "3 Expecting object but got list at item 1 of input list");
}

TEST(PredictRequest, TypeErrors) {
  const auto col = [](DType dtype, const std::string& value) { return Read(dtype, "{\"inputs\":" + value + "}"); };
  EXPECT_EQ(col(DType::kI32, "3.0"), "3 JSON Value: 3.0 Type: Number is not of expected type: int32");
  EXPECT_EQ(col(DType::kI32, "2147483648"), "3 JSON Value: 2147483648 Type: Number is not of expected type: int32");
  EXPECT_EQ(col(DType::kI8, "2147483648"), "3 JSON Value: 2147483648 Type: Number is not of expected type: int8");
  EXPECT_EQ(col(DType::kU32, "-1"), "3 JSON Value: -1 Type: Number is not of expected type: uint32");
  EXPECT_EQ(col(DType::kF32, "\"1\""), "3 JSON Value: \"1\" Type: String is not of expected type: float");
  EXPECT_EQ(col(DType::kF64, "null"), "3 JSON Value: null Type: Null is not of expected type: double");
  EXPECT_EQ(col(DType::kBool, "1"), "3 JSON Value: 1 Type: Number is not of expected type: bool");
  EXPECT_EQ(col(DType::kString, "true"), "3 JSON Value: true Type: True is not of expected type: string");
  EXPECT_EQ(col(DType::kF32, "[{\"b64\":\"\"}]"),
            "3 JSON Value: {\n    \"b64\": \"\"\n} Type: Object is not of expected type: float");
  EXPECT_EQ(col(DType::kString, "[{\"b64\":1}]"),
            "3 JSON Value: {\n    \"b64\": 1\n} not formatted correctly for base64 data");
  EXPECT_EQ(col(DType::kString, "{\"b64\":\"a\"}"), "3 Unable to base64 decode");
  EXPECT_EQ(col(DType::kF16, "1"), "12 Conversion of JSON Value: 1 to type: half");
  EXPECT_EQ(col(DType::kU16, "1"), "12 Conversion of JSON Value: 1 to type: uint16");
}

TEST(PredictRequest, DeepListsAreAnError) {
  const std::string body = "{\"instances\":[" + std::string(100'000, '[') + "1" + std::string(100'000, ']') + "]}";
  EXPECT_EQ(Read(DType::kF32, body).substr(0, 40), "3 Failed to process element: 0 of 'insta");
}

TEST(Base64, RoundTripAndErrors) {
  for (const std::string text : {"", "f", "fo", "foo", "foob"}) {
    std::string encoded, decoded;
    Base64Encode(text, encoded);
    EXPECT_TRUE(Base64Decode(encoded, decoded));
    EXPECT_EQ(decoded, text);
  }
  std::string out;
  EXPECT_TRUE(Base64Decode(" Zm9v\nYg ", out));
  EXPECT_EQ(out, "foob");
  for (const char* bad : {"A", "AAAAA", "Zg=", "Zg===", "Z=g=", "Zm9v=", "Zh==", "Zm9-", "===="}) {
    std::string ignored;
    EXPECT_FALSE(Base64Decode(bad, ignored)) << bad;
  }
}

Signature Outputs(std::vector<std::string> aliases) {
  Signature s;
  for (std::string& alias : aliases) s.outputs.push_back(Info(std::move(alias), DType::kF32));
  return s;
}
std::string Write(PredictForm form, const Signature& signature, const std::vector<Literal>& outputs) {
  std::string out;
  const Status s = WritePredictResponse(signature, outputs, form, out);
  return s.ok() ? out : std::to_string(static_cast<int>(s.code())) + " " + s.message();
}
constexpr auto kRow = PredictForm::kRow;
constexpr auto kCol = PredictForm::kColumnar;

// Recorded from RapidJSON 1.1.0 under the sequence of calls that TensorFlow Serving makes.
TEST(PredictResponse, Layout) {
  const Literal vector = Literal::from<float>({3}, {2.5, 3, 4.5});
  const Literal matrix = Literal::from<float>({2, 2}, {1, 2, 1, 2});
  const Literal scalar = Literal::scalar(7.0F);
  const Literal bytes = Literal::from_strings({2}, {"a", "b"});
  const Literal numbers = Literal::from<std::int64_t>({2}, {1, 2});
  EXPECT_EQ(Write(kRow, Outputs({"y"}), {vector}), "{\n    \"predictions\": [2.5, 3.0, 4.5\n    ]\n}");
  EXPECT_EQ(Write(kRow, Outputs({"y"}), {matrix}), "{\n    \"predictions\": [[1.0, 2.0], [1.0, 2.0]\n    ]\n}");
  EXPECT_EQ(Write(kRow, Outputs({"y"}), {Literal::from<std::int32_t>({2, 2, 1}, {1, 2, 3, 4})}),
            "{\n    \"predictions\": [[[1], [2]], [[3], [4]]\n    ]\n}");
  EXPECT_EQ(Write(kRow, Outputs({"s"}), {Literal::from_strings({2, 2}, {"a", "b\n", "c", "\xff\x01"})}),
            "{\n    \"predictions\": [[\"a\", \"b\\n\"], [\"c\", \"\xff\\u0001\"]\n    ]\n}");
  EXPECT_EQ(Write(kRow, Outputs({"s_bytes"}), {bytes}),
            "{\n    \"predictions\": [{\n            \"b64\": \"YQ==\"\n        }, {\n            \"b64\": \"Yg==\"\n  "
            "      }\n"
            "    ]\n}");
  EXPECT_EQ(Write(kRow, Outputs({"y"}), {Literal(DType::kF32, {0})}), "{\n    \"predictions\": []\n}");
  EXPECT_EQ(Write(kRow, Outputs({"y"}), {Literal(DType::kF32, {2, 0})}), "{\n    \"predictions\": [[], []\n    ]\n}");
  EXPECT_EQ(Write(kRow, Outputs({"n", "y", "s_bytes"}), {numbers, matrix, bytes}),
            R"({
    "predictions": [
        {
            "n": 1,
            "y": [1.0, 2.0],
            "s_bytes": {
                "b64": "YQ=="
            }
        },
        {
            "n": 2,
            "y": [1.0, 2.0],
            "s_bytes": {
                "b64": "Yg=="
            }
        }
    ]
})");
  EXPECT_EQ(Write(kCol, Outputs({"y"}), {vector}),
            "{\n    \"outputs\": [\n        2.5,\n        3.0,\n        4.5\n    ]\n}");
  EXPECT_EQ(Write(kCol, Outputs({"y"}), {scalar}), "{\n    \"outputs\": 7.0\n}");
  EXPECT_EQ(Write(kCol, Outputs({"y"}), {Literal(DType::kF32, {2, 0})}),
            "{\n    \"outputs\": [\n        [],\n        []\n    ]\n}");
  EXPECT_EQ(Write(kCol, Outputs({"a", "b", "s_bytes"}), {scalar, matrix, bytes}),
            R"({
    "outputs": {
        "a": 7.0,
        "b": [
            [
                1.0,
                2.0
            ],
            [
                1.0,
                2.0
            ]
        ],
        "s_bytes": [
            {
                "b64": "YQ=="
            },
            {
                "b64": "Yg=="
            }
        ]
    }
})");
}

TEST(PredictResponse, Types) {
  EXPECT_EQ(Write(kRow, Outputs({"y"}), {Literal::from<bool>({2}, {true, false})}),
            "{\n    \"predictions\": [true, false\n    ]\n}");
  EXPECT_EQ(Write(kRow, Outputs({"y"}), {Literal::from<std::uint64_t>({1}, {18446744073709551615ULL})}),
            "{\n    \"predictions\": [18446744073709551615\n    ]\n}");
  EXPECT_EQ(Write(kRow, Outputs({"y"}), {Literal::from<std::int8_t>({1}, {-128})}),
            "{\n    \"predictions\": [-128\n    ]\n}");
  EXPECT_EQ(Write(kRow, Outputs({"y"}), {Literal::from<double>({3}, {1.0 / 3, NAN, -INFINITY})}),
            "{\n    \"predictions\": [0.33333333333333331, NaN, -Infinity\n    ]\n}");
  EXPECT_EQ(Write(kRow, Outputs({"y"}), {Literal::from<Half>({1}, {to_half(0.5F)})}),
            "{\n    \"predictions\": [0.5\n    ]\n}");
  EXPECT_EQ(Write(kRow, Outputs({"y"}), {Literal(DType::kC64, {1})}),
            "3 Failed to write JSON value for tensor type: complex64");
  // Long rows go through blocks.
  std::vector<float> many(1000, 0.25F);
  const std::string text = Write(kRow, Outputs({"y"}), {Literal::from<float>({1, 1000}, std::span<const float>(many))});
  std::string want = "{\n    \"predictions\": [[0.25";
  for (int i = 1; i < 1000; ++i) want += ", 0.25";
  EXPECT_EQ(text, want + "]\n    ]\n}");
}

TEST(PredictResponse, Errors) {
  EXPECT_EQ(Write(kRow, Outputs({"y"}), {Literal::scalar(1.0F)}), "3 Tensor name: y has no shape information ");
  EXPECT_EQ(Write(kRow, Outputs({"a", "b"}), {Literal(DType::kF32, {2}), Literal(DType::kF32, {3})}),
            "3 Tensor name: b has inconsistent batch size: 3 expecting: 2");
  EXPECT_EQ(Write(kRow, Outputs({}), {}), "3 Cannot convert empty tensor map to JSON");
  std::string out;
  WriteErrorResponse("a \"b\"\n", out);
  EXPECT_EQ(out, "{\n    \"error\": \"a \\\"b\\\"\\n\"\n}");
}

// What the one-pass reader takes, the general reader must take, with the same result; and it must take the usual
// bodies.
TEST(PlainPredictRequest, TakesTheUsualBodies) {
  const auto model = Model({Info("x", DType::kF32)});
  for (const char* body : {R"({"instances":[[1,2],[3,4]]})", R"({"inputs":[0.5333333333333333]})",
                           R"( { "signature_name" : "other" , "instances" : [ 1 , 2 ] } )",
                           R"({"inputs":{"x":[[NaN]]}})", R"({"inputs":1e5,"signature_name":"serving_default"})"})
    EXPECT_TRUE(ReadPlainPredictRequest(body, *model).has_value()) << body;
  for (const char* body :
       {"", "{", R"({"instances":[]})", R"({"instances":[[1],[2,3]]})", R"({"instances":[1],"x":1})",
        R"({"instances":[1)", R"({"instances":["a"]})", R"({"instances":1})", R"({"instances":[01]})",
        R"({"instances":[1],"instances":[2]})", R"({"inputs":{"y":1}})", R"({"inputs":{}})"})
    EXPECT_FALSE(ReadPlainPredictRequest(body, *model).has_value()) << body;
}

TEST(PlainPredictRequest, AThreadKeepsNoRoomOfALargeBody) {
  const auto model = testing::Affine(1, 0);
  std::string body = R"({"instances":[1)";
  for (int i = 1; i < 4'000'000; ++i) body += ",1";
  body += "]}";
  const auto in_use = [] { return ::mallinfo2().uordblks + ::mallinfo2().hblkhd; };
  const std::size_t before = in_use();
  EXPECT_EQ(ReadPlainPredictRequest(body, *model).value().inputs[0].size(), 4'000'000);
  EXPECT_LT(in_use(), before + (1 << 20)) << "of 16 MB";
}

}  // namespace
}  // namespace tenon::serve
