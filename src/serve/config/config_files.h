// The server's config files: text-format protocol buffers of tensorflow.serving, read into our options.
//
//   ModelServerConfig    { model_config_list { config { name base_path model_platform model_type model_version_policy
//                          { latest { num_versions } | all { } | specific { versions… } } version_labels { key value }
//                          logging_config { log_collector_config { type filename_prefix } sampling_config
//                          { sampling_rate } } } … } }
//   BatchingParameters   { max_batch_size { value } … allowed_batch_sizes: 1 … }
//   MonitoringConfig     { prometheus_config { enable path } }
//   SSLConfig            { server_key server_cert custom_ca client_verify }      (PEM text inline)
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "tenon/serve.h"

namespace tenon::serve {

/// The models of a ModelServerConfig. kInvalidArgument for text that cannot be parsed ("Error parsing text-format
/// tensorflow.serving.ModelServerConfig: …"), a custom_model_config, and what CheckModels refuses.
Result<std::vector<ModelConfig>> ParseModelServerConfig(std::string_view text);
Result<Batching> ParseBatchingParameters(std::string_view text);
/// The path of the metrics page; empty when it is not enabled.
Result<std::string> ParseMonitoringConfig(std::string_view text);
Result<Tls> ParseSslConfig(std::string_view text);

/// The same from a file. A parse error is logged, and the status says "Invalid protobuf file: 'PATH'" as TensorFlow
/// Serving does.
Result<std::vector<ModelConfig>> ReadModelServerConfig(const std::string& path);
Result<Batching> ReadBatchingParameters(const std::string& path);
Result<std::string> ReadMonitoringConfig(const std::string& path);
Result<Tls> ReadSslConfig(const std::string& path);

/// What every list of models must satisfy, wherever it comes from: names that are there and occur once, base paths that
/// are absolute or URIs where `absolute`, a sampling rate from 0 to 1.
Status CheckModels(const std::vector<ModelConfig>& models, bool absolute);

}  // namespace tenon::serve
