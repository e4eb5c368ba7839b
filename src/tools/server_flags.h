// ServerFlags: the flags of `tensorflow_model_server` and `tenon serve`.
#pragma once
#include <string>
#include <vector>

#include "base/threads.h"
#include "tenon/serve.h"
#include "tools/flag_list.h"

namespace tenon::tools {

/// All 48 flags of tensorflow_model_server 2.20 with its defaults, then our own. A flag that says how TensorFlow's
/// runtime works (devices, XLA, TFLite pools) is taken, has no effect, and says so at the start.
struct ServerFlags {
  std::int32_t port = 8500, rest_api_port = 0, rest_api_num_threads = 4 * base::DefaultThreads();
  std::int32_t rest_api_timeout_in_ms = 30'000;
  std::string grpc_socket_path, batching_parameters_file, model_config_file, model_name = "default", model_base_path;
  bool rest_api_enable_cors_support = false, enable_batching = false;
  bool allow_version_labels_for_unavailable_models = false, enable_per_model_batching_parameters = false;
  std::int32_t model_config_file_poll_wait_seconds = 0, num_load_threads = 0, num_unload_threads = 0;
  std::int32_t max_num_load_retries = 5, file_system_poll_wait_seconds = 1;
  std::int64_t load_retry_interval_micros = 60'000'000;
  bool flush_filesystem_caches = true;
  std::int64_t tensorflow_session_parallelism = 0, tensorflow_intra_op_parallelism = 0;
  std::int64_t tensorflow_inter_op_parallelism = 0;
  std::string tensorflow_session_config_file, ssl_config_file, platform_config_file, saved_model_tags = "serve";
  bool use_alts_credentials = false, enable_model_warmup = true;
  float per_process_gpu_memory_fraction = 0;
  std::string grpc_channel_arguments, monitoring_config_file, thread_pool_factory_config_file, mixed_precision;
  std::int32_t grpc_max_threads = 4 * base::DefaultThreads(), num_request_iterations_for_warmup = 0;
  bool remove_unused_fields_from_bundle_metagraph = true, prefer_tflite_model = false;
  std::int32_t num_tflite_pools = base::DefaultThreads(), num_tflite_interpreters_per_pool = 1;
  bool enable_signature_method_name_check = false, xla_cpu_compilation_enabled = false;
  bool xla_gpu_compilation_enabled = false, enable_profiler = true, skip_initialize_tpu = false;
  bool enable_grpc_healthcheck_service = false, enable_serialization_as_tensor_content = false, version = false;

  // Ours.
  std::string address, backend, rest_api_ssl_config_file, bearer_token_file, access_log;
  std::int32_t model_threads = 1, shutdown_delay_seconds = 0, shutdown_timeout_seconds = 30;
  std::int32_t max_connections = 65536;
  std::int64_t memory_budget_bytes = 0, max_body_bytes = std::int64_t{1} << 30;
  std::int64_t max_inflight_bytes = -1;
  float requests_per_second = 0, shadow_fraction = 0, shadow_tolerance = 0;
  std::int32_t shadow_promote_after = 100, spin_microseconds = -1;
  std::string grpc_transport = "auto";
  std::string shadow_report_dir;
  bool rest_api_compress_replies = false, strict_start = false, resource_preserving = false, help = false;

  /// The flags, pointing into this object.
  std::vector<Flag> List();
};

/// What the flags ask for. Reads the files that they name. Errors: kInvalidArgument for flags that contradict each
/// other, kNotFound and kInvalidArgument for a file.
Result<serve::ServerOptions> OptionsFromFlags(const ServerFlags& flags);

/// The program `tensorflow_model_server`: an unknown argument is reported and start-up goes on; 255 when the server
/// cannot be started. As `tenon serve` (`strict`): unknown arguments end with kUsage, and there is no gRPC port unless
/// --port is given.
int ServerMain(std::string_view program, const std::vector<std::string_view>& arguments, bool strict);

}  // namespace tenon::tools
