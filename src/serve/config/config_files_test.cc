#include "serve/config/config_files.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "serve/config/platform_config.h"
#include "test_data.h"

namespace tenon::serve {
namespace {

constexpr const char* kData = "data/savedmodel/tf_serving/servables/tensorflow/testdata/";

TEST(ModelServerConfig, TheOriginalsFiles) {
  TENON_TEST_DATA_OR_SKIP(folder, kData);
  Result<std::string> text = base::ReadFile(folder + "/good_model_config.txt");
  ASSERT_TRUE(text.ok());
  for (const auto& [mark, path] :
       {std::pair("${TEST_HALF_PLUS_TWO_DIR}", "/two"), {"${TEST_HALF_PLUS_THREE_DIR}", "/three"}})
    text->replace(text->find(mark), std::string(mark).size(), path);
  const auto models = ParseModelServerConfig(*text);
  ASSERT_TRUE(models.ok()) << models.status().message();
  ASSERT_EQ(models->size(), 2U);
  EXPECT_EQ((*models)[1].name, "half_plus_three");
  EXPECT_EQ((*models)[1].base_path, "/three");
  EXPECT_EQ(ReadModelServerConfig(folder + "/bad_model_config.txt").status().message(),
            "Invalid protobuf file: '" + folder + "/bad_model_config.txt'");
  const auto batching = ReadBatchingParameters(folder + "/batching_config.txt");
  ASSERT_TRUE(batching.ok()) << batching.status().message();
  EXPECT_EQ(batching->max_batch_size, 128);
  EXPECT_EQ(batching->batch_timeout_micros, 0);
  EXPECT_EQ(batching->max_enqueued_batches, 1'000'000);
  EXPECT_EQ(batching->num_batch_threads, 8);
  EXPECT_EQ(*ReadMonitoringConfig(folder + "/monitoring_config.txt"), "/monitoring/prometheus/metrics");
}

TEST(ModelServerConfig, EverythingThatAModelCanSay) {
  const auto models = ParseModelServerConfig(R"(
    # two models
    model_config_list {
      config {
        name: 'a' base_path: "/m/a" model_platform: "tensorflow"
        model_version_policy { specific { versions: 42 versions: 43 } }
        version_labels { key: 'stable' value: 42 }
        version_labels { key: 'canary' value: 43 }
        logging_config {
          log_collector_config { type: 'file' filename_prefix: '/tmp/a' }
          sampling_config { sampling_rate: 0.25 }
        }
      }
      config: [{ name: "b", base_path: "gs://bucket/b", model_type: TENSORFLOW; model_version_policy < all: {} > },
               { name: "c", base_path: "/c", model_platform: "onnx", model_version_policy { latest { num_versions: 3 } } }]
    })");
  ASSERT_TRUE(models.ok()) << models.status().message();
  ASSERT_EQ(models->size(), 3U);
  const ModelConfig& a = (*models)[0];
  EXPECT_EQ(a.versions, Versions::specific({42, 43}));
  EXPECT_EQ(a.labels, (std::map<std::string, std::int64_t>{{"stable", 42}, {"canary", 43}}));
  EXPECT_EQ(a.logging, (RequestLogging{.sampling_rate = 0.25, .filename_prefix = "/tmp/a"}));
  EXPECT_EQ((*models)[1].versions, Versions::all());
  EXPECT_EQ((*models)[1].platform, "tensorflow");
  EXPECT_EQ((*models)[2].versions, Versions::latest(3));
}

TEST(ModelServerConfig, Refused) {
  const auto why = [](const char* text) { return ParseModelServerConfig(text).status().message(); };
  EXPECT_NE(why("improperly formatted file").find("Error parsing text-format tensorflow.serving.ModelServerConfig"),
            std::string::npos);
  EXPECT_NE(why("model_config_list { config { nome: 'a' } }").find("has no field named \"nome\""), std::string::npos);
  EXPECT_NE(why("model_config_list { config { name: 'a' base_path: '/a' model_platform: 'tensorflow' model_type: "
                "TENSORFLOW } }")
                .find("both ModelServerConfig::model_type"),
            std::string::npos);
  EXPECT_NE(why("model_config_list { config { name: 'a' base_path: '/a' } }").find("neither"), std::string::npos);
  EXPECT_NE(why("model_config_list { config { name: 'a' base_path: 'a' model_platform: 'x' } }").find("absolute"),
            std::string::npos);
  EXPECT_NE(why("model_config_list { config { name: 'a' base_path: '/a' model_platform: 'x' } config { name: 'a' "
                "base_path: '/b' model_platform: 'x' } }")
                .find("multiple times"),
            std::string::npos);
  EXPECT_EQ(ParseModelServerConfig("custom_model_config {}").status().code(), Code::kInvalidArgument);
  EXPECT_FALSE(ParseBatchingParameters("max_batch_size: 3").ok());
  EXPECT_EQ(*ParseMonitoringConfig("prometheus_config { enable: false path: '/x' }"), "");
  EXPECT_EQ(*ParseMonitoringConfig("prometheus_config { enable: true }"), "/monitoring/prometheus/metrics");
}

TEST(PlatformConfig, WhatASessionSays) {
  const auto wrap = [](const std::string& inner) {
    return "platform_configs { key: 'tensorflow' value { source_adapter_config { "
           "[type.googleapis.com/tensorflow.serving.SavedModelBundleSourceAdapterConfig] { legacy_config { " +
           inner + " } } } } }";
  };
  const auto all = ParsePlatformConfig(wrap(
      "batching_parameters { max_batch_size { value: 7 } allowed_batch_sizes: [3, 7] } saved_model_tags: ['a', 'b'] "
      "enable_model_warmup: true model_warmup_options { num_request_iterations { value: 3 } } prefer_tflite_model: "
      "true "
      "session_config { intra_op_parallelism_threads: 2 gpu_options { allow_growth: true } } "
      "enable_per_model_batching_params: true experimental_fixed_input_tensors { named_tensor_id: 1 }"));
  ASSERT_TRUE(all.ok()) << all.status().message();
  EXPECT_EQ(all->batching->max_batch_size, 7);
  EXPECT_EQ(all->batching->allowed_batch_sizes, (std::vector<std::int64_t>{3, 7}));
  EXPECT_EQ(all->tags, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(all->warm_up && all->prefer_tflite && all->per_model_batching);
  EXPECT_EQ(all->warm_up_iterations, 3);
  EXPECT_EQ(all->threads, 2);
  const auto none = ParsePlatformConfig(wrap(""));
  ASSERT_TRUE(none.ok());
  EXPECT_FALSE(none->batching || none->warm_up || none->threads != 0);
  EXPECT_FALSE(ParsePlatformConfig("").ok());
  EXPECT_FALSE(ParsePlatformConfig(wrap("foo: 1")).ok());
  EXPECT_FALSE(
      ParsePlatformConfig("platform_configs { key: 'tensorflow' value { source_adapter_config { [a/b] {} } } }").ok());
  EXPECT_EQ(*ParseSessionConfig("intra_op_parallelism_threads: 3 device_count { key: 'CPU' value: 1 }"), 3);
  EXPECT_FALSE(ParseSessionConfig("intra_op_parallelism_threads: 'x'").ok());
  EXPECT_TRUE(ParseThreadPoolFactoryConfig("thread_pool_factory_config { [a/b] { c: 1 } }").ok());
  EXPECT_FALSE(ParseThreadPoolFactoryConfig("x: 1").ok());
}

TEST(SslConfig, PemInline) {
  const auto tls =
      ParseSslConfig("server_key: \"-----BEGIN\\nkey\" \"\\nEND\" server_cert: 'c' custom_ca: 'a' client_verify: true");
  ASSERT_TRUE(tls.ok()) << tls.status().message();
  EXPECT_EQ(tls->key, "-----BEGIN\nkey\nEND");
  EXPECT_TRUE(tls->verify_client);
}

}  // namespace
}  // namespace tenon::serve
