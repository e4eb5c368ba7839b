// What the flags of the server ask for.
#include <algorithm>
#include <limits>
#include <sstream>

#include "base/file.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "serve/config/config_files.h"
#include "serve/config/platform_config.h"
#include "serve/core/batching.h"
#include "tools/server_flags.h"

namespace tenon::tools {
namespace {

Status Wrong(std::string message) { return Status(Code::kInvalidArgument, std::move(message)); }

/// Milliseconds, as far as an int holds them (24 days); less than 0 is 0.
int Millis(std::int64_t seconds) {
  constexpr std::int64_t kMost = std::numeric_limits<int>::max();
  return static_cast<int>(std::clamp<std::int64_t>(seconds, 0, kMost / 1000) * 1000);
}

Status Check(const ServerFlags& f) {
  if (f.port == 0 && f.grpc_socket_path.empty() && f.rest_api_port == 0)
    return Wrong("server_options.grpc_port is not set. Give --port, --grpc_socket_path or --rest_api_port");
  if (f.model_base_path.empty() && f.model_config_file.empty())
    return Wrong("Both server_options.model_base_path and server_options.model_config_file are empty!");
  if (!f.batching_parameters_file.empty() && !f.enable_batching)
    return Wrong("You supplied --batching_parameters_file without --enable_batching");
  const bool by_kind = f.tensorflow_intra_op_parallelism != 0 || f.tensorflow_inter_op_parallelism != 0;
  if (f.tensorflow_session_parallelism != 0 && by_kind)
    return Wrong(
        "--tensorflow_session_parallelism excludes --tensorflow_intra_op_parallelism and "
        "--tensorflow_inter_op_parallelism: give one or the others");
  if (!f.tensorflow_session_config_file.empty() && (f.tensorflow_session_parallelism != 0 || by_kind))
    return Wrong("--tensorflow_session_config_file excludes the parallelism flags");
  if (f.use_alts_credentials) return Wrong("--use_alts_credentials: ALTS is not supported; use --ssl_config_file");
  if (!f.mixed_precision.empty() && f.mixed_precision != "bfloat16")
    return Wrong("--mixed_precision: got \"" + f.mixed_precision + "\", only \"bfloat16\" is known");
  if (f.shadow_fraction < 0 || f.shadow_fraction > 1) return Wrong("--shadow_fraction: expected 0 to 1");
  if (!(f.shadow_tolerance >= 0)) return Wrong("--shadow_tolerance: expected 0 or more");
  return {};
}

/// Flags that change nothing here, but were given: said once, so that nobody looks for their effect.
void WarnOfNoEffect(ServerFlags given) {
  ServerFlags standard;
  for (const std::string& line : FlagsWithoutEffect(given.List(), standard.List()))
    base::Log(base::LogLevel::kWarning, line);
}

/// What is built from the flags about sessions, unless a platform config says it all.
Status ApplySession(const ServerFlags& f, serve::ServerOptions& o) {
  std::int64_t threads = std::max(f.tensorflow_session_parallelism, f.tensorflow_intra_op_parallelism);
  if (!f.tensorflow_session_config_file.empty()) {
    TENON_ASSIGN_OR_RETURN(threads, serve::ReadSessionConfig(f.tensorflow_session_config_file));
  }
  serve::SessionBundle bundle{.per_model_batching = f.enable_batching && f.enable_per_model_batching_parameters,
                              .warm_up = f.enable_model_warmup,
                              .warm_up_iterations = f.num_request_iterations_for_warmup};
  if (!f.batching_parameters_file.empty()) {
    TENON_ASSIGN_OR_RETURN(bundle.batching, serve::ReadBatchingParameters(f.batching_parameters_file));
  } else if (f.enable_batching && !f.enable_per_model_batching_parameters) {
    bundle.batching = serve::Batching{.adaptive = true};
  }
  std::string file = f.batching_parameters_file;
  for (std::size_t at = 0; at < f.saved_model_tags.size();) {
    const std::size_t end = std::min(f.saved_model_tags.find(',', at), f.saved_model_tags.size());
    if (end > at) bundle.tags.push_back(f.saved_model_tags.substr(at, end - at));
    at = end + 1;
  }
  if (!f.platform_config_file.empty()) {
    TENON_ASSIGN_OR_RETURN(bundle, serve::ReadPlatformConfig(f.platform_config_file));
    threads = bundle.threads;
    file = f.platform_config_file;
  }
  if (bundle.batching) TENON_RETURN_IF_ERROR(serve::CheckBatching(*bundle.batching).with_context(file));
  o.batching = bundle.batching;
  o.per_model_batching = bundle.per_model_batching;
  o.warm_up = bundle.warm_up;
  o.warm_up_iterations = bundle.warm_up_iterations;
  // A model with one graph is served whatever its tags are, unless other tags are asked for.
  if (bundle.tags != std::vector<std::string>{"serve"}) o.saved_model_tags = bundle.tags;
  o.model_threads = threads > 0 ? static_cast<int>(std::min<std::int64_t>(threads, 4096)) : f.model_threads;
  return {};
}

}  // namespace

Result<serve::ServerOptions> OptionsFromFlags(const ServerFlags& f) {
  TENON_RETURN_IF_ERROR(Check(f));
  WarnOfNoEffect(f);
  serve::ServerOptions o;
  o.grpc_port = f.port;
  o.grpc_socket_path = f.grpc_socket_path;
  o.grpc_threads = f.grpc_max_threads;
  o.grpc_channel_arguments = f.grpc_channel_arguments;
  o.grpc_transport = f.grpc_transport;
  o.spin_us = f.spin_microseconds;
  o.grpc_health = f.enable_grpc_healthcheck_service;
  o.tensor_content_replies = f.enable_serialization_as_tensor_content;
  o.check_signature_method = f.enable_signature_method_name_check;
  o.rest_port = f.rest_api_port;
  if (f.rest_api_port != 0 && f.rest_api_port == f.port) {
    base::Log(base::LogLevel::kError,
              "--rest_api_port cannot be same as --port. Please use a different port for HTTP/REST API. "
              "Skipped exporting HTTP/REST API.");
    o.rest_port = 0;
  }
  o.address = f.address;
  o.backend = f.backend;
  o.worker_threads = f.rest_api_num_threads;
  o.rest_timeout_ms = f.rest_api_timeout_in_ms > 0 ? f.rest_api_timeout_in_ms : std::numeric_limits<int>::max();
  o.enable_cors = f.rest_api_enable_cors_support;
  o.max_body_bytes = f.max_body_bytes;
  o.max_connections = f.max_connections;
  o.max_inflight_bytes = f.max_inflight_bytes;
  if (f.model_config_file.empty())
    o.models = {{.name = f.model_name, .base_path = f.model_base_path, .platform = "tensorflow"}};
  else
    o.model_config_file = f.model_config_file;
  o.model_config_poll_ms = Millis(f.model_config_file_poll_wait_seconds);
  o.allow_labels_of_unavailable_versions = f.allow_version_labels_for_unavailable_models;
  o.load_threads = f.num_load_threads;
  o.unload_threads = f.num_unload_threads;
  // The original reads -1 as a number without sign: tries without end.
  o.max_load_retries = f.max_num_load_retries >= 0 ? f.max_num_load_retries : std::numeric_limits<int>::max();
  o.load_retry_interval_ms = static_cast<int>(
      std::clamp<std::int64_t>(f.load_retry_interval_micros / 1000, 0, std::numeric_limits<int>::max()));
  o.poll_interval_ms = Millis(f.file_system_poll_wait_seconds);
  TENON_RETURN_IF_ERROR(ApplySession(f, o));
  if (!f.thread_pool_factory_config_file.empty())
    TENON_RETURN_IF_ERROR(serve::ReadThreadPoolFactoryConfig(f.thread_pool_factory_config_file).status());
  if (!f.monitoring_config_file.empty()) {
    TENON_ASSIGN_OR_RETURN(o.metrics_path, serve::ReadMonitoringConfig(f.monitoring_config_file));
  }
  if (!f.ssl_config_file.empty()) {
    TENON_ASSIGN_OR_RETURN(o.grpc_tls, serve::ReadSslConfig(f.ssl_config_file));
  }
  if (!f.rest_api_ssl_config_file.empty()) {
    TENON_ASSIGN_OR_RETURN(o.rest_tls, serve::ReadSslConfig(f.rest_api_ssl_config_file));
  }
  if (!f.bearer_token_file.empty()) {
    TENON_ASSIGN_OR_RETURN(const std::string text, base::ReadFile(f.bearer_token_file));
    for (std::istringstream lines(text); lines >> o.bearer_tokens.emplace_back();) {
    }
    o.bearer_tokens.pop_back();
    if (o.bearer_tokens.empty()) return Wrong(f.bearer_token_file + ": no token in it");
  }
  o.requests_per_second = static_cast<double>(f.requests_per_second);
  o.compress_replies = f.rest_api_compress_replies;
  o.access_log = f.access_log;
  o.shutdown_delay_ms = Millis(f.shutdown_delay_seconds);
  o.shutdown_timeout_ms = Millis(f.shutdown_timeout_seconds);
  o.strict_start = f.strict_start;
  o.resource_preserving = f.resource_preserving;
  o.memory_budget = f.memory_budget_bytes;
  o.grpc_profiler = f.enable_profiler;
  o.shadow_fraction = static_cast<double>(f.shadow_fraction);
  o.shadow_promote_after = f.shadow_promote_after;
  o.shadow_tolerance = static_cast<double>(f.shadow_tolerance);
  o.shadow_report_dir = f.shadow_report_dir;
  return o;
}

}  // namespace tenon::tools
