// What the files of --platform_config_file, --tensorflow_session_config_file and --thread_pool_factory_config_file say
// of things that exist here.
//
//   PlatformConfigMap       { platform_configs { key: "tensorflow" value { source_adapter_config {
//                             [type.googleapis.com/tensorflow.serving.SavedModelBundleSourceAdapterConfig] {
//                               legacy_config { SessionBundleConfig } } } } } }
//   SessionBundleConfig     { session_config { ConfigProto } batching_parameters { … } saved_model_tags: "serve" …
//                             enable_model_warmup model_warmup_options { num_request_iterations { value } }
//                             prefer_tflite_model enable_per_model_batching_params … }
//   ConfigProto             { intra_op_parallelism_threads inter_op_parallelism_threads … }
//   ThreadPoolFactoryConfig { thread_pool_factory_config { [type] { … } } }
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tenon/serve.h"

namespace tenon::serve {

/// A SessionBundleConfig. A field that is absent has protobuf's default: no warm-up, no tags.
struct SessionBundle {
  std::optional<Batching> batching = {};
  bool per_model_batching = false;
  bool warm_up = false;
  int warm_up_iterations = 0;  // 0: once
  bool prefer_tflite = false;
  std::vector<std::string> tags = {};
  int threads = 0;  // of one run; 0: not said
};

/// The configuration of the platform "tensorflow". kInvalidArgument for text that cannot be parsed, another platform,
/// another type of source adapter, and a map without "tensorflow".
Result<SessionBundle> ParsePlatformConfig(std::string_view text);
/// ConfigProto's intra_op_parallelism_threads; 0 when it is not there. The other fields are checked by name alone.
Result<int> ParseSessionConfig(std::string_view text);
/// Whether the text is a ThreadPoolFactoryConfig.
Result<void> ParseThreadPoolFactoryConfig(std::string_view text);

/// The same from a file; see ReadModelServerConfig.
Result<SessionBundle> ReadPlatformConfig(const std::string& path);
Result<int> ReadSessionConfig(const std::string& path);
Result<void> ReadThreadPoolFactoryConfig(const std::string& path);

}  // namespace tenon::serve
