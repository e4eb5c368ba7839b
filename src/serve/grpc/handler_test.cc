#include "serve/grpc/handler.h"

#include <gtest/gtest.h>

#include <limits>

#include "formats/proto_wire/wire_writer.h"
#include "formats/savedmodel/tensor_proto.h"
#include "serve/core/fake_servable.h"
#include "serve/grpc/model_spec.h"

namespace tenon::serve {
namespace {

using proto_wire::Place;
using proto_wire::Reader;
using proto_wire::Writer;
using testing::Affine;
using testing::FakeServable;
using Method = GrpcHandler::Method;

/// "code message", or the reply's bytes.
struct Reply {
  Status status;
  std::string bytes;
  std::string Text() const {
    return status.ok() ? "OK" : std::to_string(static_cast<int>(status.code())) + " " + status.message();
  }
};

/// The fields of a message by number; nested ones as bytes.
std::vector<std::pair<std::uint32_t, std::string>> Fields(std::string_view bytes) {
  const Place place("reply", bytes);
  std::vector<std::pair<std::uint32_t, std::string>> out;
  Reader reader(bytes, place);
  while (reader.Next()) {
    std::string value;
    if (reader.type() == proto_wire::WireType::kLength) {
      value = reader.bytes();
    } else if (reader.type() == proto_wire::WireType::kVarint) {
      std::int64_t n = 0;
      reader.Get(&n);
      value = std::to_string(n);
    } else if (reader.type() == proto_wire::WireType::kFixed32) {
      float f = 0;
      reader.Get(&f);
      value = std::to_string(f);
    }
    out.emplace_back(reader.number(), value);
  }
  EXPECT_TRUE(reader.status().ok()) << reader.status().message();
  return out;
}

std::string Field(std::string_view bytes, std::initializer_list<std::uint32_t> path) {
  std::string at(bytes);
  for (const std::uint32_t number : path) {
    std::string next = "(none)";
    for (const auto& [n, value] : Fields(at))
      if (n == number) next = value;
    at = next;
  }
  return at;
}

Signature MakeSignature(const char* name, std::vector<TensorInfo> inputs, std::vector<TensorInfo> outputs) {
  Signature s;
  s.name = name;
  s.inputs = std::move(inputs);
  s.outputs = std::move(outputs);
  return s;
}

/// Model m: versions 1 (y = x + 1) and 2 (y = 2 x + 3), label "stable" = 1. Model e: classify and regress. Model t:
/// every type, echoed. Model slow: as m, takes 50 ms.
class Handler : public ::testing::Test {
 protected:
  void SetUp() override {
    ManagerOptions options;
    options.tick = std::chrono::milliseconds(1);
    options.loaders = MakeLoaderFactory([](const ServableId& id,
                                           const std::string&) -> Result<std::unique_ptr<Servable>> {
      if (id.name == "e") return Examples();
      if (id.name == "t") return Echo();
      if (id.name == "d") return WithDefault();
      if (id.name == "slow") {
        Signature s = MakeSignature("serving_default", {{.alias = "x"}}, {{.alias = "y"}});
        return std::make_unique<FakeServable>(std::vector<Signature>{s}, [](const Signature&, std::vector<Literal> in) {
          std::this_thread::sleep_for(std::chrono::milliseconds(50));
          return Result<std::vector<Literal>>(std::move(in));
        });
      }
      return id.version == 1 ? Affine(1, 1) : Affine(2, 3);
    });
    monitor_ = std::make_shared<StateMonitor>();
    manager_ = std::make_shared<Manager>(std::move(options), monitor_);
    manager_->SetAspired("m", {{1, "/m/1"}, {2, "/m/2"}});
    for (const char* name : {"e", "t", "slow", "d"}) manager_->SetAspired(name, {{7, "/x/7"}});
    manager_->SetLabels({{"m", {{"stable", 1}}}});
    ASSERT_TRUE(testing::Eventually([&] {
      return manager_->serving().Specific("m", 1).ok() && manager_->serving().Specific("m", 2).ok() &&
             manager_->serving().Latest("e").ok() && manager_->serving().Latest("t").ok() &&
             manager_->serving().Latest("slow").ok() && manager_->serving().Latest("d").ok();
    }));
    metrics_ = std::make_shared<ServerMetrics>();
    handler_ =
        std::make_unique<GrpcHandler>(GrpcHandlerOptions{}, manager_, std::make_shared<Invoker>(metrics_), &admin_);
  }

  static std::unique_ptr<Servable> Examples() {
    const TensorInfo in{.alias = "inputs", .dtype = DType::kString};
    return std::make_unique<FakeServable>(
        std::vector<Signature>{MakeSignature("c", {in}, {{.alias = "scores"}}),
                               MakeSignature("r", {in}, {{.alias = "outputs"}})},
        [](const Signature& s, std::vector<Literal> inputs) -> Result<std::vector<Literal>> {
          const std::int64_t n = inputs[0].size();
          Literal out(DType::kF32, {n, s.name == "c" ? 2 : 1});
          for (std::size_t i = 0; i < out.data<float>().size(); ++i)
            out.mutable_data<float>()[i] =
                static_cast<float>(inputs[0].strings()[i / static_cast<std::size_t>(out.dims()[1])].size());
          return std::vector<Literal>{out};
        });
  }
  static std::unique_ptr<Servable> WithDefault() {
    const Signature s = MakeSignature("serving_default",
                                      {{.alias = "x"}, {.alias = "b", .default_value = Literal::from<float>({1}, {5})}},
                                      {{.alias = "y"}});
    return std::make_unique<FakeServable>(
        std::vector<Signature>{s}, [](const Signature&, std::vector<Literal> in) -> Result<std::vector<Literal>> {
          return std::vector<Literal>{Literal::from<float>({1}, {in[0].data<float>()[0] + in[1].data<float>()[0]})};
        });
  }
  static std::unique_ptr<Servable> Echo() {
    std::vector<Signature> signatures;
    for (int i = 0; i < kNumDTypes; ++i) {
      const auto dtype = static_cast<DType>(i);
      signatures.push_back(MakeSignature(std::string(dtype_name(dtype)).c_str(), {{.alias = "x", .dtype = dtype}},
                                         {{.alias = "y", .dtype = dtype}}));
    }
    return std::make_unique<FakeServable>(signatures, [](const Signature&, std::vector<Literal> in) {
      return Result<std::vector<Literal>>(std::move(in));
    });
  }

  Reply Ask(Method method, const std::string& request, Deadline deadline = kNoDeadline) const {
    Reply reply;
    reply.status = handler_->Handle(method, request, nullptr, deadline, reply.bytes);
    return reply;
  }

  struct Admin : ModelAdmin {
    Status ReloadModels(const std::vector<ModelConfig>& models) override {
      got = models;
      return answer;
    }
    std::vector<ModelConfig> got;
    Status answer;
  };

  std::shared_ptr<StateMonitor> monitor_;
  std::shared_ptr<Manager> manager_;
  std::shared_ptr<ServerMetrics> metrics_;
  Admin admin_;
  std::unique_ptr<GrpcHandler> handler_;
};

/// A PredictRequest. `tensors`: alias -> TensorProto bytes.
std::string Predict(std::string_view model, const std::vector<std::pair<std::string, std::string>>& tensors,
                    std::string_view signature = "", const std::vector<std::string>& filter = {},
                    std::int64_t version = -1, std::string_view label = "") {
  Writer w;
  w.Message(1, [&] {
    w.Text(1, model);
    if (version >= 0) w.Message(2, [&] { w.Varint(1, version); });
    w.Text(3, signature);
    w.Text(4, label);
  });
  for (const auto& [alias, tensor] : tensors)
    w.Message(2, [&] {
      w.Bytes(1, alias);
      w.Bytes(2, tensor);
    });
  for (const std::string& f : filter) w.Bytes(3, f);
  return std::move(w).Take();
}

std::string Shape(const std::vector<std::int64_t>& dims) {
  Writer w;
  for (const std::int64_t d : dims) w.Message(2, [&] { w.Varint(1, d); });
  return std::move(w).Take();
}

std::string Floats(std::vector<std::int64_t> dims, std::vector<float> values) {
  Writer w;
  w.Varint(1, 1);
  w.Bytes(2, Shape(std::move(dims)));
  w.PackedFixed<float>(5, values);
  return std::move(w).Take();
}

Literal TensorOf(std::string_view bytes) {
  savedmodel::TensorProto proto;
  const Place place("tensor", bytes);
  EXPECT_TRUE(savedmodel::ParseTensor(bytes, place, &proto).ok());
  return savedmodel::LiteralOf(proto, "tensor").value();
}

TEST_F(Handler, Predict) {
  const Reply reply = Ask(Method::kPredict, Predict("m", {{"x", Floats({3}, {1, 2, 5})}}));
  ASSERT_EQ(reply.Text(), "OK");
  EXPECT_EQ(Field(reply.bytes, {1, 1}), "y");
  EXPECT_TRUE(identical(TensorOf(Field(reply.bytes, {1, 2})), Literal::from<float>({3}, {5, 7, 13})));
  EXPECT_EQ(Field(reply.bytes, {1, 2, 5}).size(), 12U) << "typed values";
  EXPECT_EQ(Field(reply.bytes, {1, 2, 4}), "(none)");
  EXPECT_EQ(Field(reply.bytes, {2, 1}), "m");
  EXPECT_EQ(Field(reply.bytes, {2, 2, 1}), "2");
  EXPECT_EQ(Field(reply.bytes, {2, 3}), "serving_default");
  EXPECT_NE(metrics_->registry.Text().find(":tensorflow:serving:request_count{model_name=\"m\",status=\"OK\"} 1"),
            std::string::npos)
      << metrics_->registry.Text();
}

TEST_F(Handler, InputsWithADefaultMayBeLeftOut) {
  const Reply reply = Ask(Method::kPredict, Predict("d", {{"x", Floats({1}, {8})}}));
  ASSERT_EQ(reply.Text(), "OK");
  EXPECT_TRUE(identical(TensorOf(Field(reply.bytes, {1, 2})), Literal::from<float>({1}, {13})));
  const Reply both = Ask(Method::kPredict, Predict("d", {{"x", Floats({1}, {8})}, {"b", Floats({1}, {1})}}));
  ASSERT_EQ(both.Text(), "OK");
  EXPECT_TRUE(identical(TensorOf(Field(both.bytes, {1, 2})), Literal::from<float>({1}, {9})));
  EXPECT_EQ(
      Ask(Method::kPredict, Predict("d", {})).Text(),
      "3 input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. Missing but required: {x}.");
}

TEST_F(Handler, VersionsAndLabels) {
  const auto y = [&](std::int64_t version, std::string_view label) {
    const Reply r = Ask(Method::kPredict, Predict("m", {{"x", Floats({1}, {5})}}, "", {}, version, label));
    return r.status.ok() ? std::to_string(TensorOf(Field(r.bytes, {1, 2})).at(0)) + " " + Field(r.bytes, {2, 2, 1})
                         : r.Text();
  };
  EXPECT_EQ(y(-1, ""), "13.000000 2");
  EXPECT_EQ(y(1, ""), "6.000000 1");
  EXPECT_EQ(y(-1, "stable"), "6.000000 1");
  EXPECT_EQ(y(5, ""), "5 Servable not found for request: Specific(m, 5)");
  EXPECT_EQ(y(-1, "beta"), "3 Unrecognized servable version label: beta");
}

TEST_F(Handler, PredictErrors) {
  const std::string x = Floats({1}, {2});
  const auto ask = [&](const std::string& request) { return Ask(Method::kPredict, request).Text(); };
  EXPECT_EQ(ask(""), "3 Missing ModelSpec");
  EXPECT_EQ(ask(Predict("", {})), "3 ModelSpec has no name specified.");
  EXPECT_EQ(ask(Predict("none", {{"x", x}})), "5 Servable not found for request: Latest(none)");
  EXPECT_EQ(ask(Predict("m", {{"x", x}}, "sig")), "9 Serving signature key \"sig\" not found.");
  EXPECT_EQ(
      ask(Predict("m", {})),
      "3 input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. Missing but required: {x}.");
  EXPECT_EQ(
      ask(Predict("m", {{"x", x}, {"a", x}})),
      "3 input size does not match signature: 2!=1 len({a,x}) != len({x}). Sent extra: {a}. Missing but required: "
      "{}.");
  EXPECT_EQ(ask(Predict("m", {{"z", x}})),
            "3 input tensor alias not found in signature: z. Inputs expected to be in the set {x}.");
  EXPECT_EQ(ask(Predict("m", {{"x", x}}, "", {"q"})),
            "3 output tensor alias not found in signature: q Outputs expected to be in the set {y}.");
  EXPECT_EQ(ask(Predict("m", {{"x", x}}, "", {"y", "y"})), "3 duplicate output tensor alias: y");
  EXPECT_EQ(ask(Predict("m", {{"x", "\xff"}})), "3 tensor parsing error: x");
  Writer w;
  w.Varint(1, 7);
  w.Bytes(2, Shape({1}));
  w.Bytes(8, "text");
  EXPECT_EQ(ask(Predict("m", {{"x", w.bytes()}})), "3 Expects arg[0] to be float but string is provided");
  EXPECT_EQ(Ask(Method::kPredict, "\x0a\xff").status.code(), Code::kInvalidArgument);
  // A shape that claims more than there is.
  EXPECT_EQ(ask(Predict("m", {{"x", Floats({1LL << 40}, {1})}})), "3 tensor parsing error: x");
  EXPECT_EQ(ask(Predict("m", {{"x", Floats({-1}, {1})}})), "3 tensor parsing error: x");
  // Long names do not make long messages.
  const std::string text = ask(Predict(std::string(5000, 'n'), {{"x", x}}));
  EXPECT_EQ(text.size(), 2 + 1024 + std::string("...TRUNCATED").size());
  EXPECT_TRUE(text.ends_with("...TRUNCATED"));
}

TEST_F(Handler, ValuesAreRepeatedAndSurplusOnesIgnored) {
  const auto y = [&](const std::string& tensor) {
    const Reply r = Ask(Method::kPredict, Predict("t", {{"x", tensor}}, "f32"));
    return r.status.ok() ? TensorOf(Field(r.bytes, {1, 2})).to_string() : r.Text();
  };
  EXPECT_EQ(y(Floats({2, 2}, {7})), Literal::from<float>({2, 2}, {7, 7, 7, 7}).to_string());
  EXPECT_EQ(y(Floats({4}, {1, 2})), Literal::from<float>({4}, {1, 2, 2, 2}).to_string());
  EXPECT_EQ(y(Floats({2}, {})), Literal::from<float>({2}, {0, 0}).to_string());
  EXPECT_EQ(y(Floats({2}, {1, 2, 3})), Literal::from<float>({2}, {1, 2}).to_string());
  EXPECT_EQ(y(Floats({0, 3}, {})), Literal(DType::kF32, {0, 3}).to_string());
}

TEST_F(Handler, EveryTypeBothForms) {
  for (int i = 0; i < kNumDTypes; ++i) {
    const auto dtype = static_cast<DType>(i);
    const std::string name(dtype_name(dtype));
    Literal value(dtype, {2, 3});
    if (dtype == DType::kString)
      value = Literal::from_strings({2, 3}, {"", "a", std::string("\0\xff", 2), "b", "cc", "ddd"});
    else
      for (std::size_t b = 0; b < value.mutable_raw().size(); ++b)
        value.mutable_raw()[b] = dtype == DType::kBool ? std::byte(b % 2) : std::byte(b * 37 % 251);
    if (savedmodel::TfOfDType(dtype) == savedmodel::TfType::kInvalid) continue;
    for (const rpc::TensorForm form : {rpc::TensorForm::kTyped, rpc::TensorForm::kContent}) {
      Writer tensor;
      const std::size_t size = rpc::TensorSize(value, form).value();
      rpc::WriteTensorBody(tensor, value, form);
      EXPECT_EQ(tensor.size(), size) << name;
      const Reply reply = Ask(Method::kPredict, Predict("t", {{"x", tensor.bytes()}}, name));
      ASSERT_EQ(reply.Text(), "OK") << name;
      EXPECT_TRUE(identical(TensorOf(Field(reply.bytes, {1, 2})), value)) << name;
    }
  }
}

TEST_F(Handler, Deadline) {
  const std::string request = Predict("slow", {{"x", Floats({1}, {1})}});
  const auto now = std::chrono::steady_clock::now();
  EXPECT_EQ(Ask(Method::kPredict, request, now - std::chrono::seconds(1)).Text(), "4 Deadline Exceeded");
  EXPECT_EQ(Ask(Method::kPredict, request, now + std::chrono::milliseconds(10)).status.code(), Code::kDeadlineExceeded);
  EXPECT_EQ(Ask(Method::kPredict, request).Text(), "OK");
  EXPECT_FALSE(handler_->IsCheap(Method::kPredict, request)) << "it took 50 ms";
  EXPECT_TRUE(handler_->IsCheap(Method::kPredict, Predict("none", {})));
  EXPECT_FALSE(handler_->IsCheap(Method::kReloadConfig, ""));
}

std::string WithExamples(std::string_view model, std::string_view signature, std::vector<std::string> examples,
                         const std::string* context = nullptr) {
  Writer w;
  w.Message(1, [&] {
    w.Text(1, model);
    w.Text(3, signature);
  });
  w.Message(2, [&] {
    w.Message(context != nullptr ? 2 : 1, [&] {
      for (const std::string& e : examples) w.Bytes(1, e);
      if (context != nullptr) w.Bytes(2, *context);
    });
  });
  return std::move(w).Take();
}

TEST_F(Handler, ClassifyAndRegress) {
  const Reply c = Ask(Method::kClassify, WithExamples("e", "c", {"abc"}));
  ASSERT_EQ(c.Text(), "OK");
  EXPECT_EQ(Field(c.bytes, {1, 1, 1, 2}), "3.000000");
  EXPECT_EQ(Field(c.bytes, {1, 1, 1, 1}), "(none)");
  EXPECT_EQ(Field(c.bytes, {2, 3}), "c");
  EXPECT_EQ(Field(c.bytes, {2, 2, 1}), "7");
  const std::string context = "12";
  const Reply r = Ask(Method::kRegress, WithExamples("e", "r", {"abc"}, &context));
  ASSERT_EQ(r.Text(), "OK");
  EXPECT_EQ(Field(r.bytes, {1, 1, 1}), "5.000000") << "the context stands in front of the example";
  EXPECT_EQ(Ask(Method::kClassify, WithExamples("e", "none", {"a"})).Text(),
            "3 No signature was found with the name: none");
  EXPECT_EQ(Ask(Method::kClassify, WithExamples("e", "c", {})).Text(), "3 Input is empty.");
  EXPECT_EQ(Ask(Method::kRegress, "").Text(), "3 Missing ModelSpec");
}

std::string Multi(const std::vector<std::pair<std::string, std::string>>& tasks, std::string_view model = "e") {
  Writer w;
  bool first = true;
  for (const auto& [signature, method] : tasks) {
    w.Message(1, [&] {
      w.Message(1, [&] {
        w.Text(1, first ? "e" : model);
        w.Text(3, signature);
      });
      w.Text(2, method);
    });
    first = false;
  }
  w.Message(2, [&] { w.Message(1, [&] { w.Bytes(1, "abcd"); }); });
  return std::move(w).Take();
}

TEST_F(Handler, MultiInference) {
  const std::string c = "tensorflow/serving/classify", r = "tensorflow/serving/regress";
  const Reply reply = Ask(Method::kMultiInference, Multi({{"r", r}, {"c", c}}));
  ASSERT_EQ(reply.Text(), "OK");
  const auto results = Fields(reply.bytes);
  ASSERT_EQ(results.size(), 2U);
  EXPECT_EQ(Field(results[0].second, {3, 1, 1}), "4.000000");
  EXPECT_EQ(Field(results[0].second, {1, 3}), "r");
  EXPECT_EQ(Field(results[1].second, {2, 1, 1, 2}), "4.000000");
  EXPECT_EQ(Field(results[1].second, {1, 2, 1}), "7");
  const auto ask = [&](const std::string& request) { return Ask(Method::kMultiInference, request).Text(); };
  EXPECT_EQ(ask(Multi({{"r", r}, {"r", r}})), "3 Duplicate evaluation of signature: r");
  EXPECT_EQ(ask(Multi({{"r", r}, {"c", c}}, "m")),
            "3 All ModelSpecs in a MultiInferenceRequest must access the same model name.");
  EXPECT_EQ(ask(Multi({{"r", r}, {"c", c}}, "")), "3 Found ModelSpec with an empty model name.");
  EXPECT_EQ(ask(Multi({{"q", r}})), "3 Requested signature not found in model graph: q");
  EXPECT_EQ(ask(Multi({{"r", "tensorflow/serving/predict"}})),
            "12 Unsupported signature method_name: tensorflow/serving/predict");
  EXPECT_EQ(ask(""), "3 Missing ModelSpec");
}

TEST_F(Handler, MetadataAndStatus) {
  Writer w;
  w.Message(1, [&] { w.Text(1, "m"); });
  std::string request = w.bytes();
  const auto metadata = [&](const std::string& r) { return Ask(Method::kGetModelMetadata, r); };
  EXPECT_EQ(metadata(request).Text(), "3 GetModelMetadataRequest must specify at least one metadata_field");
  w.Bytes(2, "signature_def");
  const Reply reply = metadata(w.bytes());
  ASSERT_EQ(reply.Text(), "OK");
  EXPECT_EQ(Field(reply.bytes, {1, 2, 1}), "2");
  EXPECT_EQ(Field(reply.bytes, {2, 1}), "signature_def");
  EXPECT_EQ(Field(reply.bytes, {2, 2, 1}), "type.googleapis.com/tensorflow.serving.SignatureDefMap");
  EXPECT_EQ(Field(reply.bytes, {2, 2, 2, 1, 1}), "serving_default");
  EXPECT_EQ(Field(reply.bytes, {2, 2, 2, 1, 2, 1, 2, 1}), "x:0");
  EXPECT_EQ(Field(reply.bytes, {2, 2, 2, 1, 2, 1, 2, 3, 2, 1}), "-1");
  EXPECT_EQ(Field(reply.bytes, {2, 2, 2, 1, 2, 3}), "tensorflow/serving/predict");
  w.Bytes(2, "other");
  EXPECT_EQ(metadata(w.bytes()).Text(), "3 Metadata field other is not supported");

  const Reply status = Ask(Method::kGetModelStatus, request);
  ASSERT_EQ(status.Text(), "OK");
  const auto versions = Fields(status.bytes);
  ASSERT_EQ(versions.size(), 2U);
  EXPECT_EQ(Field(versions[0].second, {1}), "2") << "the newest first";
  EXPECT_EQ(Field(versions[0].second, {2}), "30");
  EXPECT_EQ(Field(versions[0].second, {3}), "") << "a status that is ok is there and empty";
  EXPECT_EQ(Ask(Method::kGetModelStatus, "").Text(), "3 Missing ModelSpec");
  Writer none;
  none.Message(1, [&] { none.Text(1, "none"); });
  EXPECT_EQ(Ask(Method::kGetModelStatus, none.bytes()).Text(), "5 Could not find any versions of model none");
  EXPECT_EQ(Ask(Method::kGetModelStatus, Predict("m", {}, "", {}, 9)).Text(), "5 Could not find version 9 of model m");
}

TEST_F(Handler, Reload) {
  Writer w;
  w.Message(1, [&] {
    w.Message(1, [&] {
      w.Message(1, [&] {
        w.Text(1, "a");
        w.Text(2, "/models/a");
        w.Text(4, "tensorflow");
        w.Message(7, [&] { w.Message(102, [&] { w.Varint(1, 3); }); });
        w.Message(8, [&] {
          w.Text(1, "canary");
          w.Varint(2, 3);
        });
      });
      w.Message(1, [&] {
        w.Text(1, "b");
        w.Text(2, "/models/b");
        w.Varint(3, 1);
        w.Message(7, [&] { w.Message(101, [] {}); });
      });
    });
  });
  w.Bytes(2, "/tensorflow/serving/request_count");
  const Reply reply = Ask(Method::kReloadConfig, w.bytes());
  ASSERT_EQ(reply.Text(), "OK");
  EXPECT_EQ(Field(reply.bytes, {1}), "");
  EXPECT_EQ(Field(reply.bytes, {2, 1}), "/tensorflow/serving/request_count");
  EXPECT_EQ(Field(reply.bytes, {2, 2}), "0");
  ASSERT_EQ(admin_.got.size(), 2U);
  EXPECT_EQ(admin_.got[0].versions, Versions::specific({3}));
  EXPECT_EQ(admin_.got[0].labels.at("canary"), 3);
  EXPECT_EQ(admin_.got[1].platform, "tensorflow");
  EXPECT_EQ(admin_.got[1].versions, Versions::all());
  admin_.answer = Status(Code::kFailedPrecondition, "no");
  EXPECT_EQ(Ask(Method::kReloadConfig, w.bytes()).Text(), "9 no");
  EXPECT_EQ(Ask(Method::kReloadConfig, "").Text(),
            "3 ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently "
            "supported");
}

TEST_F(Handler, SessionRun) {
  Writer w;
  w.Message(1, [&] { w.Text(1, "m"); });
  w.Message(2, [&] {
    w.Text(1, "x:0");
    w.Bytes(2, Floats({1}, {4}));
  });
  w.Bytes(3, "y");
  const Reply reply = Ask(Method::kSessionRun, w.bytes());
  ASSERT_EQ(reply.Text(), "OK");
  EXPECT_EQ(Field(reply.bytes, {1, 1}), "y");
  EXPECT_EQ(TensorOf(Field(reply.bytes, {1, 2})).at(0), 11);
  EXPECT_EQ(Field(reply.bytes, {3, 2, 1}), "2");
  w.Bytes(3, "hidden:0");
  EXPECT_EQ(Ask(Method::kSessionRun, w.bytes()).status.code(), Code::kNotFound);
}

}  // namespace
}  // namespace tenon::serve
