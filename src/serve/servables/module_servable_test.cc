// Real model files behind the public Server.
#include "serve/servables/module_servable.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>

#include "serve/core/fake_servable.h"
#include "serve/rest/raw_client.h"
#include "tenon/serve.h"
#include "tensor/npz.h"
#include "test_data.h"

namespace tenon::serve {
namespace {

using testing::RawClient;
using testing::TempFolder;

constexpr char kTfServing[] = "data/savedmodel/tf_serving/servables/tensorflow/testdata";

TEST(FindModelFile, Choices) {
  TempFolder t;
  const auto find = [&](const std::string& folder) {
    const Result<std::string> file = FindModelFile(t.path() + "/" + folder);
    return file.ok() ? file->substr(t.path().size()) : std::string(code_name(file.status().code()));
  };
  const auto put = [&](const std::string& folder, const std::string& name) {
    std::ofstream(t.Make(folder) + "/" + name) << "x";
  };
  t.Make("empty");
  put("onnx", "anything.onnx");
  put("onnx", "labels.txt");
  put("saved", "saved_model.pb");
  put("saved", "model.onnx");
  put("two", "a.onnx");
  put("two", "b.onnx");
  put("named", "a.onnx");
  put("named", "model.tenon");
  EXPECT_EQ(find("empty"), "NOT_FOUND");
  EXPECT_EQ(find("onnx"), "/onnx/anything.onnx");
  EXPECT_EQ(find("saved"), "/saved");
  EXPECT_EQ(find("two"), "FAILED_PRECONDITION");
  EXPECT_EQ(find("named"), "/named/model.tenon");
  EXPECT_EQ(find("named/a.onnx"), "/named/a.onnx");
}

nlohmann::json ToJson(const Literal& l) {
  std::function<nlohmann::json(std::size_t, std::int64_t&)> build = [&](std::size_t dim, std::int64_t& at) {
    if (dim == l.dims().size()) return nlohmann::json(l.at(at++));
    nlohmann::json list = nlohmann::json::array();
    for (std::int64_t i = 0; i < l.dims()[dim]; ++i) list.push_back(build(dim + 1, at));
    return list;
  };
  std::int64_t at = 0;
  return build(0, at);
}

void ExpectNear(const nlohmann::json& got, const nlohmann::json& want, double tolerance) {
  if (!want.is_array()) {
    ASSERT_TRUE(got.is_number());
    EXPECT_NEAR(got.get<double>(), want.get<double>(), tolerance);
    return;
  }
  ASSERT_TRUE(got.is_array());
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < want.size(); ++i) ExpectNear(got[i], want[i], tolerance);
}

/// A server for one model whose version 1 is a link to `files`. The reference backend, because what is tested is the
/// way through the server.
struct OneModel {
  explicit OneModel(const std::string& files, const std::string& backend = "ref") {
    std::filesystem::create_symlink(files, folder.Make("m") + "/1");
    server.emplace(ServerOptions{.rest_port = kFreePort,
                                 .models = {{.name = "m", .base_path = folder.path() + "/m"}},
                                 .address = "127.0.0.1",
                                 .backend = backend,
                                 .max_load_retries = 0,
                                 .strict_start = true});
    started = server->start();
  }
  TempFolder folder;
  std::optional<Server> server;
  Result<void> started;
};

class ModuleServableOn : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Backends, ModuleServableOn, ::testing::Values("", "ref"));

TEST_P(ModuleServableOn, SavedModel) {
  TENON_TEST_DATA_OR_SKIP(files, "fixtures/savedmodel/keras_cnn");
  OneModel model(files, GetParam());
  ASSERT_TRUE(model.started.ok()) << model.started.message();
  const auto io = npy::ReadNpz(files + "/io.npz").value();
  const Literal &x = io.at("in.serving_default.image"), &y = io.at("out.serving_default.output_0");
  RawClient client(model.server->rest_port());
  const auto row = client.Post("/v1/models/m:predict", nlohmann::json{{"instances", ToJson(x)}}.dump());
  ASSERT_EQ(row.status, 200) << row.body;
  ExpectNear(nlohmann::json::parse(row.body)["predictions"], ToJson(y), 1e-5);
  const auto columns = client.Post("/v1/models/m:predict", nlohmann::json{{"inputs", {{"image", ToJson(x)}}}}.dump());
  ExpectNear(nlohmann::json::parse(columns.body)["outputs"], ToJson(y), 1e-5);
  const auto named =
      client.Post("/v1/models/m:predict",
                  nlohmann::json{{"signature_name", "serve"}, {"instances", {{{"image", ToJson(x)[1]}}}}}.dump());
  ExpectNear(nlohmann::json::parse(named.body)["predictions"][0], ToJson(y)[1], 1e-5);
  // What the model does not take is the client's error, and the server lives on.
  const auto wrong = client.Post("/v1/models/m:predict", R"({"instances": [[1.0, 2.0]]})");
  EXPECT_EQ(wrong.status, 400) << wrong.body;
  const nlohmann::json metadata = nlohmann::json::parse(client.Get("/v1/models/m/metadata").body);
  const nlohmann::json& input =
      metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"]["image"];
  EXPECT_EQ(input["dtype"], "DT_FLOAT");
  EXPECT_EQ(input["tensor_shape"]["dim"].size(), 4U);
  EXPECT_EQ(input["tensor_shape"]["dim"][0]["size"], "-1");
  EXPECT_EQ(input["tensor_shape"]["dim"][3]["size"], "3");
}

TEST_P(ModuleServableOn, Onnx) {
  TENON_TEST_DATA_OR_SKIP(files, "fixtures/onnx/mlp_old17");
  OneModel model(files, GetParam());
  ASSERT_TRUE(model.started.ok()) << model.started.message();
  const auto io = npy::ReadNpz(files + "/io.npz").value();
  RawClient client(model.server->rest_port());
  const auto reply = client.Post("/v1/models/m:predict", nlohmann::json{{"instances", ToJson(io.at("in.x"))}}.dump());
  ASSERT_EQ(reply.status, 200) << reply.body;
  ExpectNear(nlohmann::json::parse(reply.body)["predictions"], ToJson(io.at("out.y")), 1e-5);
}

// Each request sees the state that the ones before it left; warming up must not have counted.
TEST(ModuleServable, StateIsKept) {
  TENON_TEST_DATA_OR_SKIP(files, std::string(kTfServing) + "/saved_model_counter/00000123");
  OneModel model(files);
  ASSERT_TRUE(model.started.ok()) << model.started.message();
  RawClient client(model.server->rest_port());
  const auto count = [&](const std::string& signature) {
    const auto reply =
        client.Post("/v1/models/m:predict", R"({"signature_name": ")" + signature + R"(", "inputs": 1.5})");
    return nlohmann::json::parse(reply.body)["outputs"];
  };
  EXPECT_EQ(count("incr_counter_by"), 1.5);
  EXPECT_EQ(count("incr_counter_by"), 3.0);
  // A signature without inputs is no :predict request.
  EXPECT_EQ(client.Post("/v1/models/m:predict", R"({"signature_name": "get_counter", "inputs": {}})").body,
            "{\n    \"error\": \"Failed to get input map for signature: get_counter\"\n}");
}

TEST(ModuleServable, DamagedFileIsAStatus) {
  TempFolder t;
  std::ofstream(t.Make("m/1") + "/model.onnx") << "no model";
  Server server({.rest_port = kFreePort,
                 .models = {{.name = "m", .base_path = t.path() + "/m"}},
                 .address = "127.0.0.1",
                 .max_load_retries = 0});
  ASSERT_TRUE(server.start().ok());
  RawClient client(server.rest_port());
  const nlohmann::json status = nlohmann::json::parse(client.Get("/v1/models/m").body)["model_version_status"][0];
  EXPECT_EQ(status["state"], "END");
  EXPECT_NE(status["status"]["error_message"].get<std::string>().find("model.onnx"), std::string::npos);
}

}  // namespace
}  // namespace tenon::serve
