// Classify and Regress over REST wait for their batch without a thread, and answer what the model alone answers.
#include <gtest/gtest.h>

#include <latch>
#include <mutex>

#include "serve/core/batching.h"
#include "serve/core/fake_servable.h"
#include "serve/rest/rest_handler.h"

namespace tenon::serve {
namespace {

using testing::Eventually;
using testing::FakeServable;

/// Models alone and batched: for each example its size. The first batch waits at the gate.
struct RestBatching : ::testing::Test {
  RestBatching() {
    ManagerOptions options;
    options.tick = std::chrono::milliseconds(1);
    options.loaders =
        MakeLoaderFactory([this](const ServableId& id, const std::string&) -> Result<std::unique_ptr<Servable>> {
          if (id.name == "alone") return Sizes(false);
          return std::make_unique<BatchingServable>(id, Sizes(true), Batching{.max_batch_size = 16}, pool, metrics);
        });
    manager = std::make_shared<Manager>(std::move(options), std::make_shared<StateMonitor>());
    for (const char* name : {"alone", "batched"}) manager->SetAspired(name, {{1, "/m/1"}});
    EXPECT_TRUE(Eventually(
        [&] { return manager->serving().Latest("alone").ok() && manager->serving().Latest("batched").ok(); }));
    handler = std::make_unique<RestHandler>(RestOptions{}, manager, std::make_shared<Invoker>(metrics));
  }
  std::unique_ptr<Servable> Sizes(bool gated) {
    const auto make = [](const char* name, const char* output) {
      Signature s;
      s.name = name;
      s.inputs = {TensorInfo{.alias = "inputs", .dtype = DType::kString, .dims = {-1}}};
      s.outputs = {TensorInfo{.alias = output}};
      return s;
    };
    return std::make_unique<FakeServable>(
        std::vector<Signature>{make("c", "scores"), make("r", "outputs")},
        [this, gated](const Signature& s, std::vector<Literal> in) -> Result<std::vector<Literal>> {
          if (gated) {
            const bool first = runs++ == 0;
            if (first) entered.count_down();
            if (first) gate.wait();
          }
          Literal out(DType::kF32, {in[0].size(), s.name == "c" ? 2 : 1});
          const auto each = static_cast<std::size_t>(out.dims()[1]);
          for (std::size_t i = 0; i < out.data<float>().size(); ++i)
            out.mutable_data<float>()[i] = static_cast<float>(in[0].strings()[i / each].size());
          return std::vector<Literal>{out};
        });
  }
  /// Answers come in `answers`, at their place.
  void Ask(std::size_t at, std::string_view target, const std::string& body,
           std::shared_ptr<const Waiter> waiter = nullptr) {
    HttpRequest request;
    request.method = "POST";
    request.target = target;
    request.body = body;
    handler->HandleAsync(request, {kNoDeadline, std::move(waiter)}, [this, at](const HttpResponse& response) {
      const std::lock_guard lock(mutex);
      answers[at] = std::to_string(response.status) + " " + response.body;
      ++answered;
    });
  }

  std::shared_ptr<ServerMetrics> metrics = std::make_shared<ServerMetrics>();
  std::shared_ptr<BatchPool> pool = std::make_shared<BatchPool>(1);
  std::atomic<int> runs{0}, answered{0};
  std::latch gate{1}, entered{1};
  std::mutex mutex;
  std::vector<std::string> answers = std::vector<std::string>(200);
  std::shared_ptr<Manager> manager;
  std::unique_ptr<RestHandler> handler;
};

TEST_F(RestBatching, ClassifyAndRegress) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {":classify", R"({"signature_name":"c","examples":[{"x":[1]},{"x":[1,2]}]})"},
      {":regress", R"({"signature_name":"r","examples":[{"x":[1]},{"y":[1,2,3]}]})"},
      {":regress", R"({"signature_name":"c","examples":[{"x":[1]}]})"},
      {":classify", R"({"signature_name":"none","examples":[{"x":[1]}]})"},
      {":classify", R"({"examples":[]})"},
      {":regress", "no JSON"},
  };
  Ask(0, "/v1/models/batched:regress", cases[1].second);
  entered.wait();
  for (std::size_t i = 1; i < 100; ++i)
    Ask(i, "/v1/models/batched" + cases[i % cases.size()].first, cases[i % cases.size()].second);
  EXPECT_LT(answered, 100) << "this thread did not wait";
  gate.count_down();
  ASSERT_TRUE(Eventually([&] { return answered == 100; }));
  EXPECT_LT(runs, 20) << "they were joined";
  for (std::size_t i = 0; i < cases.size(); ++i) Ask(100 + i, "/v1/models/alone" + cases[i].first, cases[i].second);
  ASSERT_TRUE(Eventually([&] { return answered == 106; }));
  EXPECT_EQ(answers[101].substr(0, 4), "200 ");
  EXPECT_EQ(answers[103].substr(0, 4), "400 ");
  for (std::size_t i = 1; i < 100; ++i) EXPECT_EQ(answers[i], answers[100 + i % cases.size()]) << i;
  EXPECT_EQ(answers[0], answers[101]);
  const std::string page = metrics->registry.Text();
  EXPECT_NE(page.find("tenon_requests_total{model=\"batched\",api=\"regress\",protocol=\"REST\",code=\"OK\"} 18"),
            std::string::npos)
      << page.substr(page.find("tenon_requests_total"), 1000);
}

TEST_F(RestBatching, WhoHasGoneDoesNotRun) {
  struct Client : Waiter {
    bool gone() const override { return left; }
    std::atomic<bool> left{false};
  };
  const auto stays = std::make_shared<Client>(), goes = std::make_shared<Client>();
  const std::string regress = R"({"signature_name":"r","examples":[{"x":[1]}]})";
  Ask(0, "/v1/models/batched:regress", regress, stays);
  entered.wait();
  Ask(1, "/v1/models/batched:regress", regress, goes);
  Ask(2, "/v1/models/batched:classify", R"({"signature_name":"c","examples":[{"x":[1]}]})", goes);
  Ask(3, "/v1/models/batched:predict", R"({"signature_name":"c","instances":["a"]})", goes);
  Ask(4, "/v1/models/batched:regress", regress, stays);
  goes->left = true;
  gate.count_down();
  ASSERT_TRUE(Eventually([&] { return answered == 5; }));
  for (const std::size_t at : {0U, 4U}) EXPECT_EQ(answers[at].substr(0, 4), "200 ") << at;
  for (const std::size_t at : {1U, 2U, 3U}) EXPECT_EQ(answers[at].substr(0, 4), "499 ") << at;
  EXPECT_EQ(runs, 2);
}

}  // namespace
}  // namespace tenon::serve
