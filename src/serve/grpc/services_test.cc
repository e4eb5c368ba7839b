// Everything but Predict.
#include "serve/grpc/handler_test_util.h"

namespace tenon::serve {
namespace {

using namespace testing_rpc;
using Handler = HandlerTest;

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
  const std::string large(1 << 20, 'c');
  EXPECT_EQ(Ask(Method::kRegress, WithExamples("e", "r", std::vector<std::string>(2000, "a"), &large)).Text(),
            "3 Input: a context of 1048576 bytes for each of 2000 examples takes more than the 83982208 bytes that an "
            "input of 1054584 bytes may take: send fewer examples at a time");
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

std::string Session(std::string_view model, std::string_view feed) {
  Writer w;
  w.Message(1, [&] { w.Text(1, model); });
  w.Message(2, [&] {
    w.Text(1, feed);
    w.Bytes(2, Floats({1}, {4}));
  });
  w.Bytes(3, "y");
  return std::move(w).Take();
}

/// Replies of batched models come later, and are those of the models alone.
TEST_F(Handler, BatchedModelsAnswerTheSame) {
  const std::string c = "tensorflow/serving/classify", r = "tensorflow/serving/regress";
  struct Case {
    Method method;
    std::string alone, batched;
    bool later;
  };
  const auto multi = [&](const char* model, bool unknown = false) {
    Writer w;
    for (const auto& [signature, method] : {std::pair("r", r), std::pair(unknown ? "q" : "c", c)})
      w.Message(1, [&] {
        w.Message(1, [&] {
          w.Text(1, model);
          w.Text(3, signature);
        });
        w.Text(2, method);
      });
    w.Message(2, [&] { w.Message(1, [&] { w.Bytes(1, "abcd"); }); });
    return std::move(w).Take();
  };
  const std::vector<Case> cases = {
      {Method::kClassify, WithExamples("e", "c", {"a", "bc"}), WithExamples("be", "c", {"a", "bc"}), true},
      {Method::kRegress, WithExamples("e", "r", {"a", "bc"}), WithExamples("be", "r", {"a", "bc"}), true},
      {Method::kClassify, WithExamples("e", "r", {"a"}), WithExamples("be", "r", {"a"}), false},
      {Method::kRegress, WithExamples("e", "c", {"a"}), WithExamples("be", "c", {"a"}), false},
      {Method::kMultiInference, multi("e"), multi("be"), true},
      {Method::kMultiInference, multi("e", true), multi("be", true), false},
      {Method::kPredict, Predict("m", {{"x", Floats({2}, {1, 2})}}), Predict("bm", {{"x", Floats({2}, {1, 2})}}), true},
      {Method::kSessionRun, Session("m", "x:0"), Session("bm", "x:0"), true},
  };
  for (const Case& one : cases) {
    const Reply alone = Ask(one.method, one.alone);
    bool later = false;
    EXPECT_TRUE(handler_->IsCheap(one.method, one.batched) || one.method >= Method::kMultiInference);
    const Reply batched = Ask(one.method, one.batched, kNoDeadline, &later);
    EXPECT_EQ(later, one.later) << batched.Text();
    EXPECT_EQ(batched.Text(), alone.Text());
    if (!alone.status.ok()) continue;
    if (one.method == Method::kMultiInference) {
      for (int i = 0; i < 2; ++i)
        EXPECT_EQ(Field(Fields(batched.bytes)[static_cast<std::size_t>(i)].second, {i == 0 ? 3U : 2U}),
                  Field(Fields(alone.bytes)[static_cast<std::size_t>(i)].second, {i == 0 ? 3U : 2U}));
    } else {
      EXPECT_EQ(Field(batched.bytes, {1}), Field(alone.bytes, {1}));
    }
  }
  // The batch refuses: the text is the original's, and metrics see the call.
  EXPECT_EQ(Ask(Method::kPredict, Predict("bm", {{"x", Floats({17}, {1})}})).Text(),
            "3 Task size 17 is larger than maximum input batch size 16");
  EXPECT_EQ(Ask(Method::kClassify, WithExamples("be", "c", std::vector<std::string>(17, "a"))).Text(),
            "3 Task size 17 is larger than maximum input batch size 16");
  Writer many;
  many.Message(1, [&] {
    many.Message(1, [&] {
      many.Text(1, "be");
      many.Text(3, "r");
    });
    many.Text(2, r);
  });
  many.Message(2, [&] {
    many.Message(1, [&] {
      for (int i = 0; i < 17; ++i) many.Bytes(1, "a");
    });
  });
  EXPECT_EQ(Ask(Method::kMultiInference, many.bytes()).Text(),
            "3 Task size 17 is larger than maximum input batch size 16");
  const std::string metrics = metrics_->registry.Text();
  EXPECT_NE(metrics.find(":tensorflow:serving:request_count{model_name=\"bm\",status=\"INVALID_ARGUMENT\"} 1"),
            std::string::npos)
      << metrics;
  EXPECT_NE(metrics.find(":tensorflow:serving:request_count{model_name=\"be\",status=\"OK\"} 2"), std::string::npos);
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
  const std::string request = Session("m", "x:0");
  const Reply reply = Ask(Method::kSessionRun, request);
  ASSERT_EQ(reply.Text(), "OK");
  EXPECT_EQ(Field(reply.bytes, {1, 1}), "y");
  EXPECT_EQ(TensorOf(Field(reply.bytes, {1, 2})).at(0), 11);
  EXPECT_EQ(Field(reply.bytes, {3, 2, 1}), "2");
  Writer hidden;
  hidden.Bytes(3, "hidden:0");
  EXPECT_EQ(Ask(Method::kSessionRun, request + std::string(hidden.bytes())).status.code(), Code::kNotFound);
}

}  // namespace
}  // namespace tenon::serve
