#include "serve/config/platform_config.h"

#include <fmt/format.h>

#include "serve/config/config_reader.h"

namespace tenon::serve {
namespace {

using proto_wire::TextField;
using proto_wire::TextMessage;

constexpr std::string_view kAdapter = "type.googleapis.com/tensorflow.serving.SavedModelBundleSourceAdapterConfig";
constexpr std::string_view kConfigProto = "tensorflow.ConfigProto";

Status ReadConfigProto(const TextMessage& message, int* threads) {
  return ReadFields(message, kConfigProto,
                    {{"device_count*", Ignore},
                     {"intra_op_parallelism_threads", Into(threads)},
                     {"inter_op_parallelism_threads", Ignore},
                     {"use_per_session_threads", Ignore},
                     {"session_inter_op_thread_pool*", Ignore},
                     {"placement_period", Ignore},
                     {"device_filters*", Ignore},
                     {"gpu_options", Ignore},
                     {"pluggable_device_options", Ignore},
                     {"allow_soft_placement", Ignore},
                     {"log_device_placement", Ignore},
                     {"graph_options", Ignore},
                     {"operation_timeout_in_ms", Ignore},
                     {"rpc_options", Ignore},
                     {"cluster_def", Ignore},
                     {"isolate_session_state", Ignore},
                     {"share_cluster_devices_in_session", Ignore},
                     {"experimental", Ignore}});
}

Status ReadWarmUp(const TextField& field, int* iterations) {
  return ReadMessage(field, "tensorflow.serving.ModelWarmupOptions",
                     {{"num_request_iterations", Wrapped(iterations, "google.protobuf.Int32Value")},
                      {"num_model_warmup_threads", Ignore},
                      {"model_name", Ignore},
                      {"model_version", Ignore},
                      {"enable_all_batch_sizes_warmup", Ignore}});
}

Status ReadSessionBundle(const TextField& field, SessionBundle* out) {
  const auto session = [&](const TextField& f) -> Status {
    const TextMessage* message = nullptr;
    TENON_RETURN_IF_ERROR(f.Get(&message));
    return ReadConfigProto(*message, &out->threads);
  };
  const auto batching = [&](const TextField& f) -> Status {
    const TextMessage* message = nullptr;
    TENON_RETURN_IF_ERROR(f.Get(&message));
    return ReadBatching(*message, &out->batching.emplace());
  };
  const auto tag = [&](const TextField& f) { return f.Get(&out->tags.emplace_back()); };
  return ReadMessage(
      field, "tensorflow.serving.SessionBundleConfig",
      {{"session_target", Ignore},
       {"session_config", session},
       {"batching_parameters", batching},
       {"session_run_load_threadpool_index", Ignore},
       {"experimental_transient_ram_bytes_during_load", Ignore},
       {"saved_model_tags*", tag},
       {"in_graph_batching_parameters", Ignore},
       {"experimental_fixed_input_tensors*", Ignore},
       {"enable_model_warmup", Into(&out->warm_up)},
       {"model_warmup_options", [&](const TextField& f) { return ReadWarmUp(f, &out->warm_up_iterations); }},
       {"enable_session_metadata", Ignore},
       {"remove_unused_fields_from_bundle_metagraph", Ignore},
       {"prefer_tflite_model", Into(&out->prefer_tflite)},
       {"resource_estimation_uses_validation_result", Ignore},
       {"num_tflite_interpreters", Ignore},
       {"num_tflite_interpreters_per_pool", Ignore},
       {"num_tflite_pools", Ignore},
       {"wrap_session_with_no_threading_params", Ignore},
       {"enable_per_model_batching_params", Into(&out->per_model_batching)},
       {"enable_saved_model_config", Ignore},
       {"mixed_precision", Ignore}});
}

}  // namespace

Result<SessionBundle> ParsePlatformConfig(std::string_view text) {
  constexpr std::string_view kType = "tensorflow.serving.PlatformConfigMap";
  TENON_ASSIGN_OR_RETURN(const TextMessage root, proto_wire::ParseTextFormat(text, kType));
  std::optional<SessionBundle> out;
  const auto entry = [&](const TextField& f) -> Status {
    std::string platform;
    SessionBundle bundle;
    const auto adapter = [&](const TextField& any) -> Status {
      const TextMessage* message = nullptr;
      TENON_RETURN_IF_ERROR(any.Get(&message));
      if (message->fields.size() != 1 || message->fields[0].name != kAdapter)
        return Status(Code::kInvalidArgument,
                      fmt::format("PlatformConfigMap: source_adapter_config: expected [{}] {{ … }}", kAdapter));
      return ReadMessage(message->fields[0], "tensorflow.serving.SavedModelBundleSourceAdapterConfig",
                         {{"legacy_config", [&](const TextField& l) { return ReadSessionBundle(l, &bundle); }}});
    };
    const auto value = [&](const TextField& v) {
      return ReadMessage(v, "tensorflow.serving.PlatformConfig", {{"source_adapter_config", adapter}});
    };
    TENON_RETURN_IF_ERROR(ReadMessage(f, "tensorflow.serving.PlatformConfigMap.PlatformConfigsEntry",
                                      {{"key", Into(&platform)}, {"value", value}}));
    if (platform != "tensorflow")
      return Status(Code::kInvalidArgument,
                    fmt::format("PlatformConfigMap: got the platform \"{}\", only \"tensorflow\" is known", platform));
    out = std::move(bundle);
    return {};
  };
  TENON_RETURN_IF_ERROR(ReadFields(root, kType, {{"platform_configs*", entry}}));
  if (!out) return Status(Code::kInvalidArgument, "PlatformConfigMap: the platform \"tensorflow\" is not in it");
  return *std::move(out);
}

Result<int> ParseSessionConfig(std::string_view text) {
  TENON_ASSIGN_OR_RETURN(const TextMessage root, proto_wire::ParseTextFormat(text, kConfigProto));
  int threads = 0;
  TENON_RETURN_IF_ERROR(ReadConfigProto(root, &threads));
  return threads;
}

Result<void> ParseThreadPoolFactoryConfig(std::string_view text) {
  constexpr std::string_view kType = "tensorflow.serving.ThreadPoolFactoryConfig";
  TENON_ASSIGN_OR_RETURN(const TextMessage root, proto_wire::ParseTextFormat(text, kType));
  return ReadFields(root, kType, {{"thread_pool_factory_config", Ignore}});
}

Result<SessionBundle> ReadPlatformConfig(const std::string& path) {
  return FromFile<SessionBundle>(path, ParsePlatformConfig);
}
Result<int> ReadSessionConfig(const std::string& path) { return FromFile<int>(path, ParseSessionConfig); }
Result<void> ReadThreadPoolFactoryConfig(const std::string& path) {
  return FromFile<void>(path, ParseThreadPoolFactoryConfig);
}

}  // namespace tenon::serve
