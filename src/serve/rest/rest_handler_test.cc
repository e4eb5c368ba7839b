#include "serve/rest/rest_handler.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "serve/core/fake_servable.h"
#include "serve/rest/model_json.h"
#include "test_data.h"

namespace tenon::serve {
namespace {

using testing::Eventually;

TEST(Routes, Table) {
  using enum Route::Verb;
  const auto show = [](std::string_view method, std::string_view target) {
    const Result<Route> route = ParseRoute(method, target);
    if (!route.ok()) return route.status().message();
    static constexpr const char* kVerbs[] = {"predict", "classify", "regress", "status", "metadata"};
    std::string out = std::string(kVerbs[static_cast<int>(route->verb)]) + " '" + route->model + "'";
    if (route->version) out += " v" + std::to_string(*route->version);
    if (route->label) out += " l" + *route->label;
    return out;
  };
  const std::tuple<const char*, const char*, const char*> table[] = {
      {"POST", "/v1/models/foo:predict", "predict 'foo'"},
      {"POST", "/v1/models/foo:classify", "classify 'foo'"},
      {"POST", "/v1/models/foo/versions/50:regress", "regress 'foo' v50"},
      {"POST", "/v1/models/foo/labels/some_label:predict", "predict 'foo' lsome_label"},
      {"POST", "/V1/MODELS/Foo/Versions/007:predict", "predict 'Foo' v7"},
      {"POST", "/v1/models/a%20b%2Fc%:predict", "predict 'a b/c%'"},
      {"POST", "/v1/models/foo:PREDICT", "Malformed request: POST /v1/models/foo:PREDICT"},
      {"POST", "/v1/models/foo:predict?x=1", "Malformed request: POST /v1/models/foo:predict?x=1"},
      {"POST", "/v1/models/foo:predict/", "Malformed request: POST /v1/models/foo:predict/"},
      {"POST", "/v1/models/:predict", "Malformed request: POST /v1/models/:predict"},
      {"POST", "/v1/models/foo/versions/:predict", "Malformed request: POST /v1/models/foo/versions/:predict"},
      {"POST", "/v1/models/foo/versions/1a:predict", "Malformed request: POST /v1/models/foo/versions/1a:predict"},
      {"POST", "/v1/models/foo/labels/a:b:predict", "Malformed request: POST /v1/models/foo/labels/a:b:predict"},
      {"POST", "/v1/models/foo/versions/1/labels/a:predict",
       "Malformed request: POST /v1/models/foo/versions/1/labels/a:predict"},
      {"POST", "/v1/models/foo:test", "Malformed request: POST /v1/models/foo:test"},
      {"POST", "/v1/models/foo", "Malformed request: POST /v1/models/foo"},
      {"POST", "/v1/models/foo/versions/99999999999999999999:predict",
       "Failed to convert version: 99999999999999999999 to numeric."},
      {"GET", "/v1/models/foo:predict", "Malformed request: GET /v1/models/foo:predict"},
      {"GET", "/v1/models/foo", "status 'foo'"},
      {"GET", "/v1/models/foo?q", "status 'foo?q'"},
      {"GET", "/v1/models/foo/versions/9", "status 'foo' v9"},
      {"GET", "/v1/models/foo/labels/l", "status 'foo' ll"},
      {"GET", "/v1/models/foo/metadata", "metadata 'foo'"},
      {"GET", "/v1/models/foo/METADATA", "status 'foo'"},
      {"GET", "/v1/models/foo/versions/9/metadata", "metadata 'foo' v9"},
      {"GET", "/v1/models/foo/labels/l/metadata", "metadata 'foo' ll"},
      {"GET", "/v1/models", "status ''"},
      {"GET", "/v1/models/metadata", "status 'metadata'"},
      {"GET", "/v1/models/versions/3", "status '' v3"},
      {"GET", "/v1/models/", "Malformed request: GET /v1/models/"},
      {"GET", "/v1/models/foo/", "Malformed request: GET /v1/models/foo/"},
      {"GET", "/v1/models/foo/metadata/x", "Malformed request: GET /v1/models/foo/metadata/x"},
      {"GET", "/v1/foo", "Malformed request: GET /v1/foo"},
      {"GET", "/v1/config", "Malformed request: GET /v1/config"},
      {"HEAD", "/v1/models/foo", "Malformed request: HEAD /v1/models/foo"},
      {"DELETE", "/v1/models/foo", "Malformed request: DELETE /v1/models/foo"},
  };
  for (const auto& [method, target, want] : table) EXPECT_EQ(show(method, target), want);
  EXPECT_TRUE(IsApiPath("/V1/x"));
  EXPECT_FALSE(IsApiPath("/v1"));
  EXPECT_FALSE(IsApiPath("/v2/x"));
}

std::string Gzip(std::string_view text) {
  z_stream z{};
  EXPECT_EQ(::deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(::deflateBound(&z, text.size()) + 64, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  z.avail_in = static_cast<uInt>(text.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(::deflate(&z, Z_FINISH), Z_STREAM_END);
  out.resize(z.total_out);
  ::deflateEnd(&z);
  return out;
}

// A reply that the real server gave, kept in its repository: every byte but the order of its maps, which is taken from
// it.
TEST(ModelMetadataJson, ByteForByte) {
  for (const char* name : {"half_plus_two_model_metadata.json", "saved_model_half_plus_two_2_versions_metadata.json"}) {
    TENON_TEST_DATA_OR_SKIP(path, std::string("data/savedmodel/tf_serving/servables/tensorflow/testdata/") + name);
    const std::string golden = base::ReadFile(path).value();
    const auto json = nlohmann::ordered_json::parse(golden);
    std::vector<Signature> signatures;
    for (const auto& [signature, parts] : json["metadata"]["signature_def"]["signature_def"].items()) {
      Signature s{.name = signature, .method_name = parts["method_name"]};
      for (const bool in : {true, false})
        for (const auto& [alias, tensor] : parts[in ? "inputs" : "outputs"].items()) {
          const auto dtype = dtype_from_name(tensor["dtype"] == "DT_FLOAT" ? "f32" : "string");
          ASSERT_TRUE(tensor["dtype"] == "DT_FLOAT" || tensor["dtype"] == "DT_STRING") << tensor["dtype"];
          TensorInfo info{.alias = alias, .tensor_name = tensor["name"], .dtype = *dtype};
          info.unknown_rank = tensor["tensor_shape"]["unknown_rank"];
          for (const auto& dim : tensor["tensor_shape"]["dim"])
            info.dims.push_back(std::stoll(dim["size"].get<std::string>()));
          (in ? s.inputs : s.outputs).push_back(std::move(info));
        }
      signatures.push_back(std::move(s));
    }
    const ServableId id{json["model_spec"]["name"], std::stoll(json["model_spec"]["version"].get<std::string>())};
    EXPECT_EQ(ModelMetadataJson(id, signatures), golden) << name;
  }
}

/// Two versions of a model and one that does not load, behind a handler.
struct RestHandlerTest : ::testing::Test {
  std::shared_ptr<Manager> manager;
  std::unique_ptr<RestHandler> handler;
  bool ready = true;

  void SetUp() override {
    ManagerOptions options;
    options.tick = std::chrono::milliseconds(2);
    options.max_load_retries = 0;
    options.loaders =
        MakeLoaderFactory([](const ServableId& id, const std::string&) -> Result<std::unique_ptr<Servable>> {
          if (id.name == "bad") return Status(Code::kDataLoss, "/bad/1: it is <broken> \"so\"");
          if (id.name == "slow") return Slow();
          return testing::Affine(0.5F, static_cast<float>(id.version));
        });
    manager = std::make_shared<Manager>(std::move(options), std::make_shared<StateMonitor>());
    manager->SetAspired("m", {{2, "/m/2"}, {3, "/m/3"}});
    manager->SetAspired("bad", {{1, "/bad/1"}});
    manager->SetAspired("slow", {{1, "/slow/1"}});
    manager->SetLabels({{"m", {{"stable", 2}}}});
    manager->monitor().WaitUntilSettled({"m", "bad", "slow"},
                                        std::chrono::steady_clock::now() + std::chrono::seconds(10));
    ASSERT_TRUE(Eventually(
        [&] { return manager->serving().Specific("m", 2).ok() && manager->serving().Specific("m", 3).ok(); }));
    handler = std::make_unique<RestHandler>(RestOptions{.ready = [this] { return ready; }}, manager);
  }
  static std::unique_ptr<Servable> Slow() {
    Signature s;
    s.name = "serving_default";
    s.inputs = s.outputs = {TensorInfo{.alias = "x", .dims = {-1}}};
    return std::make_unique<testing::FakeServable>(
        std::vector<Signature>{s}, [](const Signature&, std::vector<Literal> in) -> Result<std::vector<Literal>> {
          std::this_thread::sleep_for(std::chrono::milliseconds(10));
          return in;
        });
  }
  HttpResponse Ask(std::string_view method, std::string_view target, std::string_view body = "",
                   std::vector<HttpRequest::Header> headers = {}) {
    const HttpRequest request{.method = method, .target = target, .headers = std::move(headers), .body = body};
    return handler->Handle(request, kNoDeadline);
  }
  std::string Text(std::string_view method, std::string_view target, std::string_view body = "",
                   std::vector<HttpRequest::Header> headers = {}) {
    const HttpResponse r = Ask(method, target, body, std::move(headers));
    EXPECT_EQ(r.content_type, "application/json");
    return std::to_string(r.status) + " " + r.body;
  }
  static std::string Error(int status, const std::string& text) {
    return std::to_string(status) + " {\n    \"error\": \"" + text + "\"\n}";
  }
};

TEST_F(RestHandlerTest, Predict) {
  EXPECT_EQ(Text("POST", "/v1/models/m:predict", R"({"instances":[1,2,5]})"),
            "200 {\n    \"predictions\": [3.5, 4.0, 5.5\n    ]\n}");
  EXPECT_EQ(Text("POST", "/v1/models/m/versions/2:predict", R"({"inputs":[1]})"),
            "200 {\n    \"outputs\": [\n        2.5\n    ]\n}");
  EXPECT_EQ(Text("POST", "/v1/models/m/labels/stable:predict", R"({"instances":[1]})"),
            "200 {\n    \"predictions\": [2.5\n    ]\n}");
}

TEST_F(RestHandlerTest, PredictErrors) {
  const char body[] = R"({"instances":[1]})";
  EXPECT_EQ(Text("POST", "/v1/models/none:predict", body), Error(404, "Servable not found for request: Latest(none)"));
  EXPECT_EQ(Text("POST", "/v1/models/m/versions/9:predict", body),
            Error(404, "Servable not found for request: Specific(m, 9)"));
  EXPECT_EQ(Text("POST", "/v1/models/m/labels/x:predict", body), Error(400, "Unrecognized servable version label: x"));
  EXPECT_EQ(Text("POST", "/v1/models/bad:predict", body), Error(404, "Servable not found for request: Latest(bad)"));
  EXPECT_EQ(Text("POST", "/v1/models/none:predict", ""), Error(400, "JSON Parse error: The document is empty"));
  EXPECT_EQ(Text("PUT", "/v1/models/m", body), Error(400, "Malformed request: PUT /v1/models/m"));
  EXPECT_EQ(Text("GET", "/v1/models"), Error(400, "Missing model name in request."));
}

TEST_F(RestHandlerTest, GzipBodies) {
  const std::string body = Gzip(R"({"instances":[1]})");
  EXPECT_EQ(Text("POST", "/v1/models/m:predict", body, {{"Content-Encoding", "gzip"}}),
            "200 {\n    \"predictions\": [3.5\n    ]\n}");
  handler = std::make_unique<RestHandler>(RestOptions{.inflated_limit = 10}, manager);
  EXPECT_EQ(Text("POST", "/v1/models/m:predict", body, {{"Content-Encoding", "gzip"}}),
            Error(400, "JSON Parse error: The document is empty"));
  EXPECT_EQ(Text("POST", "/v1/models/m:predict", "damaged", {{"content-encoding", "gzip"}}),
            Error(400, "JSON Parse error: The document is empty"));
  // What it inflates to counts while it grows.
  const std::string bomb = Gzip(std::string(1 << 20, ' ') + R"({"instances":[1]})");
  const auto budget = ByteBudget::Make(8 << 20);
  handler = std::make_unique<RestHandler>(RestOptions{.budget = budget}, manager);
  const auto send = [&] { return Text("POST", "/v1/models/m:predict", bomb, {{"Content-Encoding", "gzip"}}); };
  EXPECT_EQ(send().substr(0, 3), "200");
  HeldBytes others(budget.get());
  others.Set(6 << 20);
  EXPECT_EQ(send().substr(0, 3), "503");
  EXPECT_EQ(budget->used(), 6 << 20);
  others.Set(0);
  handler = std::make_unique<RestHandler>(RestOptions{.budget = ByteBudget::Make(1 << 20)}, manager);
  const std::string never = send();
  EXPECT_EQ(never.substr(0, 3), "400");
  EXPECT_NE(never.find("--max_inflight_bytes"), std::string::npos) << never;
}

TEST_F(RestHandlerTest, Status) {
  const std::string v2 =
      "  {\n   \"version\": \"2\",\n   \"state\": \"AVAILABLE\",\n   \"status\": {\n    \"error_code\": \"OK\",\n"
      "    \"error_message\": \"\"\n   }\n  }";
  std::string v3 = v2;
  v3.replace(v3.find("\"2\""), 3, "\"3\"");
  const std::string begin = "200 {\n \"model_version_status\": [\n", end = "\n ]\n}\n";
  EXPECT_EQ(Text("GET", "/v1/models/m"), begin + v3 + ",\n" + v2 + end);
  EXPECT_EQ(Text("GET", "/v1/models/m/versions/2"), begin + v2 + end);
  EXPECT_EQ(Text("GET", "/v1/models/m/labels/stable"), begin + v2 + end);
  EXPECT_EQ(Text("GET", "/v1/models/m/labels/bogus"), begin + v3 + ",\n" + v2 + end);
  EXPECT_EQ(Text("GET", "/v1/models/none"), Error(404, "Could not find any versions of model none"));
  EXPECT_EQ(Text("GET", "/v1/models/m/versions/9"), Error(404, "Could not find version 9 of model m"));
  EXPECT_EQ(
      Text("GET", "/v1/models/bad"),
      begin +
          "  {\n   \"version\": \"1\",\n   \"state\": \"END\",\n   \"status\": {\n    \"error_code\": \"DATA_LOSS\",\n"
          "    \"error_message\": \"/bad/1: it is \\u003cbroken\\u003e \\\"so\\\"\"\n   }\n  }" +
          end);
}

TEST_F(RestHandlerTest, Metadata) {
  const auto tensor = [](const std::string& alias) {
    return "      \"" + alias +
           "\": {\n       \"dtype\": \"DT_FLOAT\",\n       \"tensor_shape\": {\n        \"dim\": [\n         {\n"
           "          \"size\": \"-1\",\n          \"name\": \"\"\n         }\n        ],\n        \"unknown_rank\": "
           "false\n"
           "       },\n       \"name\": \"" +
           alias + ":0\"\n      }\n";
  };
  EXPECT_EQ(
      Text("GET", "/v1/models/m/versions/2/metadata"),
      "200 {\n \"model_spec\": {\n  \"name\": \"m\",\n  \"signature_name\": \"\",\n  \"version\": \"2\"\n },\n"
      " \"metadata\": {\n  \"signature_def\": {\n   \"signature_def\": {\n    \"serving_default\": {\n     \"inputs\": "
      "{\n" +
          tensor("x") + "     },\n     \"outputs\": {\n" + tensor("y") +
          "     },\n     \"method_name\": \"tensorflow/serving/predict\",\n     \"defaults\": {}\n    }\n   }\n  }\n"
          " }\n}\n");
  EXPECT_EQ(Text("GET", "/v1/models/none/metadata"), Error(404, "Servable not found for request: Latest(none)"));
}

TEST_F(RestHandlerTest, OptionsAndCors) {
  EXPECT_EQ(Ask("OPTIONS", "/v1/models/m:predict", "", {{"Origin", "http://a"}}).status, 200);
  EXPECT_EQ(Ask("OPTIONS", "/v1/models/m:predict").status, 400);
  EXPECT_EQ(Ask("OPTIONS", "/v1/models/m:predict").body, "");
  EXPECT_TRUE(Ask("GET", "/v1/models/m").headers.empty());
  handler = std::make_unique<RestHandler>(RestOptions{.enable_cors = true}, manager);
  const std::vector<std::pair<std::string, std::string>> want = {{"Access-Control-Allow-Origin", "*"},
                                                                 {"Access-Control-Allow-Methods", "POST, GET"},
                                                                 {"Access-Control-Allow-Headers", "Content-Type"}};
  EXPECT_EQ(Ask("GET", "/v1/models/none").headers, want);
}

TEST_F(RestHandlerTest, ProbesAndOtherPaths) {
  for (const char* path : {"/healthz", "/livez", "/readyz", "/v2/health/live", "/v2/health/ready"})
    EXPECT_EQ(Ask("GET", path).status, 200) << path;
  ready = false;
  EXPECT_EQ(Ask("GET", "/readyz").status, 503);
  EXPECT_EQ(Ask("GET", "/livez").status, 200);
  const HttpResponse page = Ask("GET", "/v1");
  EXPECT_EQ(page.status, 404);
  EXPECT_EQ(page.content_type, "text/html");
  EXPECT_EQ(page.body,
            "<HTML><HEAD>\n<TITLE>404 Not Found</TITLE>\n</HEAD><BODY>\n<H1>Not Found</H1>\n</BODY></HTML>\n");
}

TEST_F(RestHandlerTest, DeadlineAndCost) {
  const auto soon = std::chrono::steady_clock::now() + std::chrono::milliseconds(3);
  const HttpRequest slow{
      .method = "POST", .target = "/v1/models/slow:predict", .headers = {}, .body = R"({"instances":[1]})"};
  EXPECT_EQ(handler->EffortOf(slow), Effort::kLong);  // nothing is known of it
  EXPECT_EQ(handler->Handle(slow, soon).status, 504);
  EXPECT_EQ(handler->EffortOf(slow), Effort::kLong);
  EXPECT_EQ(handler->Handle(slow, kNoDeadline).status, 200);
  HttpRequest fast = slow;
  fast.target = "/v1/models/m:predict";
  EXPECT_EQ(handler->EffortOf(fast), Effort::kLong);
  EXPECT_TRUE(Eventually(
      [&] { return handler->Handle(fast, kNoDeadline).status == 200 && handler->EffortOf(fast) == Effort::kShort; }));
  const std::string big = "{\"instances\":[" + std::string(100'000, ' ') + "1]}";
  fast.body = big;
  EXPECT_EQ(handler->EffortOf(fast), Effort::kLong);
  EXPECT_EQ(handler->Handle(fast, std::chrono::steady_clock::now() - std::chrono::seconds(1)).status, 504);
}

TEST(HttpStatus, Table) {
  const std::pair<Code, int> table[] = {{Code::kOk, 200},
                                        {Code::kCancelled, 499},
                                        {Code::kUnknown, 500},
                                        {Code::kInvalidArgument, 400},
                                        {Code::kDeadlineExceeded, 504},
                                        {Code::kNotFound, 404},
                                        {Code::kAlreadyExists, 409},
                                        {Code::kPermissionDenied, 403},
                                        {Code::kResourceExhausted, 429},
                                        {Code::kFailedPrecondition, 400},
                                        {Code::kAborted, 409},
                                        {Code::kOutOfRange, 400},
                                        {Code::kUnimplemented, 501},
                                        {Code::kInternal, 500},
                                        {Code::kUnavailable, 503},
                                        {Code::kDataLoss, 500},
                                        {Code::kUnauthenticated, 401}};
  for (const auto& [code, status] : table) EXPECT_EQ(HttpStatus(code), status);
}

}  // namespace
}  // namespace tenon::serve
