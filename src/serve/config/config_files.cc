#include "serve/config/config_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "formats/proto_wire/text_format.h"
#include "serve/config/config_reader.h"

namespace tenon::serve {
namespace {

using proto_wire::TextField;
using proto_wire::TextMessage;

Status ReadPolicy(const TextField& field, Versions* versions) {
  constexpr std::string_view kType = "tensorflow.serving.FileSystemStoragePathSourceConfig.ServableVersionPolicy";
  const auto latest = [&](const TextField& f) -> Status {
    std::uint32_t count = 0;
    TENON_RETURN_IF_ERROR(ReadMessage(f, "…ServableVersionPolicy.Latest", {{"num_versions", Into(&count)}}));
    if (count > 1'000'000) return f.Error("num_versions is too large");
    *versions = Versions::latest(count == 0 ? 1 : static_cast<int>(count));
    return {};
  };
  const auto all = [&](const TextField& f) -> Status {
    *versions = Versions::all();
    return ReadMessage(f, "…ServableVersionPolicy.All", {});
  };
  const auto specific = [&](const TextField& f) -> Status {
    std::vector<std::int64_t> numbers;
    const auto add = [&](const TextField& v) -> Status {
      std::int64_t number = 0;
      TENON_RETURN_IF_ERROR(v.Get(&number));
      numbers.push_back(number);
      return {};
    };
    TENON_RETURN_IF_ERROR(ReadMessage(f, "…ServableVersionPolicy.Specific", {{"versions*", add}}));
    *versions = Versions::specific(std::move(numbers));
    return {};
  };
  return ReadMessage(
      field, kType,
      {{"policy_choice|latest", latest}, {"policy_choice|all", all}, {"policy_choice|specific", specific}});
}

Status ReadLogging(const TextField& field, RequestLogging* logging) {
  const auto collector = [&](const TextField& f) {
    return ReadMessage(f, "tensorflow.serving.LogCollectorConfig",
                       {{"type", Ignore}, {"filename_prefix", Into(&logging->filename_prefix)}});
  };
  const auto sampling = [&](const TextField& f) {
    return ReadMessage(f, "tensorflow.serving.SamplingConfig",
                       {{"sampling_rate", Into(&logging->sampling_rate)},
                        {"attributes", Ignore},
                        {"per_task_sampling_configs*", Ignore}});
  };
  return ReadMessage(
      field, "tensorflow.serving.LoggingConfig",
      {{"log_collector_config", collector}, {"sampling_config", sampling}, {"custom_logging_config", Ignore}});
}

Status ReadModel(const TextField& field, ModelConfig* model) {
  std::string type;
  const auto read_type = [&](const TextField& f) -> Status {
    TENON_RETURN_IF_ERROR(f.GetEnum(&type));
    static constexpr std::array<std::string_view, 6> kTypes = {
        "MODEL_TYPE_UNSPECIFIED", "TENSORFLOW", "OTHER", "0", "1", "2"};
    if (std::ranges::find(kTypes, type) == kTypes.end())
      return f.Error(fmt::format("Unknown enumeration value of \"{}\" for field \"model_type\".", type));
    return {};
  };
  const auto label = [&](const TextField& f) -> Status {
    std::string key;
    std::int64_t value = 0;
    TENON_RETURN_IF_ERROR(ReadMessage(f, "tensorflow.serving.ModelConfig.VersionLabelsEntry",
                                      {{"key", Into(&key)}, {"value", Into(&value)}}));
    model->labels[key] = value;
    return {};
  };
  TENON_RETURN_IF_ERROR(
      ReadMessage(field, "tensorflow.serving.ModelConfig",
                  {{"name", Into(&model->name)},
                   {"base_path", Into(&model->base_path)},
                   {"model_type", read_type},
                   {"model_platform", Into(&model->platform)},
                   {"model_version_policy", [&](const TextField& f) { return ReadPolicy(f, &model->versions); }},
                   {"version_labels*", label},
                   {"logging_config", [&](const TextField& f) { return ReadLogging(f, &model->logging); }}}));
  const bool typed = !type.empty() && type != "MODEL_TYPE_UNSPECIFIED" && type != "0";
  if (typed && !model->platform.empty())
    return Status(
        Code::kInvalidArgument,
        "Illegal setting both ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform.");
  if (type == "OTHER" || type == "2")
    return Status(Code::kInvalidArgument, fmt::format("ModelServerConfig::model_type {} is not supported.", type));
  if (type == "TENSORFLOW" || type == "1") model->platform = "tensorflow";
  if (model->platform.empty())
    return Status(Code::kInvalidArgument,
                  "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
                  "ModelServerConfig::model_platform.");
  return {};
}

}  // namespace

Result<std::vector<ModelConfig>> ParseModelServerConfig(std::string_view text) {
  constexpr std::string_view kType = "tensorflow.serving.ModelServerConfig";
  TENON_ASSIGN_OR_RETURN(const TextMessage root, proto_wire::ParseTextFormat(text, kType));
  std::vector<ModelConfig> models;
  const auto config = [&](const TextField& f) { return ReadModel(f, &models.emplace_back()); };
  const auto list = [&](const TextField& f) {
    return ReadMessage(f, "tensorflow.serving.ModelConfigList", {{"config*", config}});
  };
  const auto custom = [](const TextField&) {
    return Status(Code::kInvalidArgument,
                  "ModelServerConfig: custom_model_config is not supported: use model_config_list");
  };
  TENON_RETURN_IF_ERROR(
      ReadFields(root, kType, {{"config|model_config_list", list}, {"config|custom_model_config", custom}}));
  TENON_RETURN_IF_ERROR(CheckModels(models, true));
  return models;
}

Status CheckModels(const std::vector<ModelConfig>& models, bool absolute) {
  std::set<std::string> names;
  for (const ModelConfig& model : models) {
    if (model.name.empty() || model.base_path.empty())
      return Status(Code::kInvalidArgument,
                    fmt::format("Expected model {} to have a name and a base_path", model.name));
    if (!names.insert(model.name).second)
      return Status(Code::kInvalidArgument, "Illegal to list model " + model.name + " multiple times in config list");
    if (absolute && model.base_path[0] != '/' && model.base_path.find("://") == std::string::npos)
      return Status(Code::kInvalidArgument,
                    fmt::format("Expected model {} to have an absolute path or URI; got base_path()={}", model.name,
                                model.base_path));
    if (!(model.logging.sampling_rate >= 0 && model.logging.sampling_rate <= 1))
      return Status(Code::kInvalidArgument, fmt::format("model {}: sampling_rate: got {}, expected 0 to 1", model.name,
                                                        model.logging.sampling_rate));
  }
  return {};
}

Status ReadBatching(const TextMessage& message, Batching* batching) {
  Batching& b = *batching;
  const auto size = [&](const TextField& f) -> Status {
    std::int64_t value = 0;
    TENON_RETURN_IF_ERROR(f.Get(&value));
    b.allowed_batch_sizes.push_back(value);
    return {};
  };
  return ReadFields(
      message, "tensorflow.serving.BatchingParameters",
      {{"max_batch_size", Wrapped(&b.max_batch_size)},
       {"batch_timeout_micros", Wrapped(&b.batch_timeout_micros)},
       {"max_enqueued_batches", Wrapped(&b.max_enqueued_batches)},
       {"num_batch_threads", Wrapped(&b.num_batch_threads)},
       {"thread_pool_name", Wrapped(&b.thread_pool_name, "google.protobuf.StringValue")},
       {"allowed_batch_sizes*", size},
       {"pad_variable_length_inputs", Into(&b.pad_variable_length_inputs)},
       {"enable_large_batch_splitting", Wrapped(&b.enable_large_batch_splitting, "google.protobuf.BoolValue")},
       {"max_execution_batch_size", Wrapped(&b.max_execution_batch_size)}});
}

Result<Batching> ParseBatchingParameters(std::string_view text) {
  TENON_ASSIGN_OR_RETURN(const TextMessage root,
                         proto_wire::ParseTextFormat(text, "tensorflow.serving.BatchingParameters"));
  Batching batching;
  TENON_RETURN_IF_ERROR(ReadBatching(root, &batching));
  return batching;
}

Result<std::string> ParseMonitoringConfig(std::string_view text) {
  constexpr std::string_view kType = "tensorflow.serving.MonitoringConfig";
  TENON_ASSIGN_OR_RETURN(const TextMessage root, proto_wire::ParseTextFormat(text, kType));
  bool enable = false;
  std::string path;
  const auto prometheus = [&](const TextField& f) {
    return ReadMessage(f, "tensorflow.serving.PrometheusConfig", {{"enable", Into(&enable)}, {"path", Into(&path)}});
  };
  TENON_RETURN_IF_ERROR(ReadFields(root, kType, {{"prometheus_config", prometheus}}));
  if (!enable) return std::string();
  return path.empty() ? "/monitoring/prometheus/metrics" : path;
}

Result<Tls> ParseSslConfig(std::string_view text) {
  constexpr std::string_view kType = "tensorflow.serving.SSLConfig";
  TENON_ASSIGN_OR_RETURN(const TextMessage root, proto_wire::ParseTextFormat(text, kType));
  Tls tls;
  TENON_RETURN_IF_ERROR(ReadFields(root, kType,
                                   {{"server_key", Into(&tls.key)},
                                    {"server_cert", Into(&tls.certificate)},
                                    {"custom_ca", Into(&tls.client_ca)},
                                    {"client_verify", Into(&tls.verify_client)}}));
  return tls;
}

Result<std::vector<ModelConfig>> ReadModelServerConfig(const std::string& path) {
  return FromFile<std::vector<ModelConfig>>(path, ParseModelServerConfig);
}
Result<Batching> ReadBatchingParameters(const std::string& path) {
  return FromFile<Batching>(path, ParseBatchingParameters);
}
Result<std::string> ReadMonitoringConfig(const std::string& path) {
  return FromFile<std::string>(path, ParseMonitoringConfig);
}
Result<Tls> ReadSslConfig(const std::string& path) { return FromFile<Tls>(path, ParseSslConfig); }

}  // namespace tenon::serve
