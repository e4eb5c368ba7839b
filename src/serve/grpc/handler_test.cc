#include "serve/grpc/handler.h"

#include <limits>

#include "serve/grpc/handler_test_util.h"

namespace tenon::serve {
namespace {

using namespace testing_rpc;
using Handler = HandlerTest;

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

TEST_F(Handler, WhereThereIsNoMemoryForAnAnswerAShortOneSaysSo) {
  struct Narrow : GrpcLater {
    struct To : GrpcReply {
      explicit To(std::shared_ptr<std::promise<Status>> p) : promise(std::move(p)) {}
      void Send(const Status& status, std::string reply) override {
        if (!reply.empty()) throw std::bad_alloc();
        promise->set_value(status);
      }
      bool gone() const override { return false; }
      const std::shared_ptr<std::promise<Status>> promise;
    };
    std::shared_ptr<GrpcReply> Make() override { return std::make_shared<To>(promise); }
    const std::shared_ptr<std::promise<Status>> promise = std::make_shared<std::promise<Status>>();
  } later;
  std::string reply;
  const std::string request = Predict("bm", {{"x", Floats({1}, {1})}});
  ASSERT_FALSE(handler_->Handle(Method::kPredict, request, nullptr, kNoDeadline, reply, later));
  auto answer = later.promise->get_future();
  ASSERT_EQ(answer.wait_for(std::chrono::seconds(10)), std::future_status::ready);
  EXPECT_EQ(answer.get(), Status(Code::kResourceExhausted, "Request: no memory to answer it"));
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

TEST_F(Handler, ARunThatIsNeverDoneIsAnswered) {
  bool later = false;
  const Reply reply = Ask(Method::kPredict, Predict("lost", {{"x", Floats({1}, {1})}}), kNoDeadline, &later);
  EXPECT_TRUE(later);
  EXPECT_EQ(reply.status.code(), Code::kInternal);
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

}  // namespace
}  // namespace tenon::serve
