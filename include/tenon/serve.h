// Server: TensorFlow Serving's API in this process.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tenon/status.h"

namespace tenon::serve {

/// Which of the versions found below a model's base path are to be served.
class TENON_API Versions {
 public:
  enum class Kind { kLatest, kAll, kSpecific };
  /// The newest one (the default) or the n newest; n >= 1.
  static Versions latest(int n = 1);
  static Versions all();
  static Versions specific(std::vector<std::int64_t> versions);
  Versions() = default;
  Kind kind() const { return kind_; }
  int count() const { return count_; }                                // for kLatest
  const std::vector<std::int64_t>& numbers() const { return list_; }  // for kSpecific; sorted, each once
  friend bool operator==(const Versions&, const Versions&) = default;

 private:
  Kind kind_ = Kind::kLatest;
  int count_ = 1;
  std::vector<std::int64_t> list_;
};

/// A sample of a model's requests, appended to a file that can serve as warm-up file: a TFRecord of PredictionLog.
struct RequestLogging {
  double sampling_rate = 0;          // 0 to 1; 0: nothing is recorded
  std::string filename_prefix = {};  // the file is PREFIX.MODEL.log
  friend bool operator==(const RequestLogging&, const RequestLogging&) = default;
};

/// A model: a name, and a folder whose sub-folders with whole numbers for names (1, 00000123) are its versions. New
/// sub-folders are picked up while the server runs, removed ones are unloaded. `labels` give versions a second name
/// (/v1/models/M/labels/L); one whose version is not loaded answers 404 as that version does.
struct ModelConfig {
  std::string name = {};
  std::string base_path = {};
  Versions versions = {};
  std::map<std::string, std::int64_t> labels = {};
  std::string platform = {};  // as in TensorFlow Serving's files; the format is told by the files themselves
  RequestLogging logging = {};
};

/// How requests are joined, with the fields and defaults of TensorFlow Serving's BatchingParameters.
struct Batching {
  std::int64_t max_batch_size = 1000;                  // rows of dim 0
  std::int64_t batch_timeout_micros = 0;               // that a batch which is not full waits for more
  std::int64_t max_enqueued_batches = 10;              // beyond it requests answer UNAVAILABLE
  std::int64_t num_batch_threads = 0;                  // batches that run at a time; 0: one for each CPU
  std::string thread_pool_name = {};                   // a label of the metrics
  std::vector<std::int64_t> allowed_batch_sizes = {};  // ascending; batches are padded to the next of them
  bool pad_variable_length_inputs = false;             // pad dims beyond the first to the largest of the batch
  bool enable_large_batch_splitting = false;
  std::int64_t max_execution_batch_size = 0;  // with splitting; 0: max_batch_size
  bool adaptive = false;  // join only where the measured cost of a row falls with the size of the batch
};

/// Keys and certificates as PEM text.
struct Tls {
  std::string key = {};
  std::string certificate = {};  // with its chain
  std::string client_ca = {};    // that client certificates are checked with
  bool verify_client = false;    // clients without a valid certificate are refused
};

/// For a port: let the system choose a free one; Server::rest_port() tells which.
inline constexpr int kFreePort = -1;

struct ServerOptions {
  int grpc_port = 0;  // 0: off
  int rest_port = 0;  // 0: off
  std::vector<ModelConfig> models = {};
  std::string address = {};                        // a numeric address to listen on; empty: all of them
  int rest_threads = 0;                            // I/O threads; 0: one for each two CPUs, at most 8
  int model_threads = 1;                           // that one run of a model may use; requests run beside each other
  std::string backend = {};                        // that runs the models, as in CompileOptions
  std::vector<std::string> saved_model_tags = {};  // of the meta graph to serve; empty: "serve", or the only one
  int worker_threads = 0;                          // for requests that take long; 0: one for each CPU
  int rest_timeout_ms = 30'000;                    // of a request; a request that takes longer answers 504
  int load_threads = 0;      // loads at a time once start() is over, before it 4 for each CPU; 0: those
  int unload_threads = 0;    // unloads at a time; 0: 4 for each CPU
  bool enable_cors = false;  // Access-Control-* headers on every /v1 reply
  std::int64_t max_body_bytes = std::int64_t{1} << 30;  // of a request; more answers 413
  int poll_interval_ms = 1000;  // between two looks at the base paths; 0: only one, at the start
  int max_load_retries = 5;     // of a version, after the first attempt
  int load_retry_interval_ms = 60'000;
  bool resource_preserving = false;    // unload the old version before the new one is loaded: less memory, a short gap
  std::int64_t memory_budget = 0;      // bytes that all loaded versions may take (estimated by file size); 0: no limit
  std::string model_config_file = {};  // text-format ModelServerConfig in place of `models`; read again on reload
  int model_config_poll_ms = 0;        // between two looks at that file; 0: never again
  bool allow_labels_of_unavailable_versions = false;  // a label that is new may name a version that is not loaded
  std::optional<Batching> batching = {};              // of every model; none: requests run one by one
  bool per_model_batching = false;                    // a version's batching_params.pbtxt takes the place of `batching`
  bool warm_up = true;            // run a version's assets.extra/tf_serving_warmup_requests before it is served
  int warm_up_iterations = 0;     // how often each of them runs; 0: once
  std::string metrics_path = {};  // a second path of the metrics page, beside /metrics
  std::optional<Tls> rest_tls = {};
  std::optional<Tls> grpc_tls = {};         // of the TCP port
  std::string grpc_socket_path = {};        // also serve gRPC on this unix socket
  int grpc_threads = 0;                     // for gRPC requests that take long; 0: 4 for each CPU
  std::string grpc_channel_arguments = {};  // "k=v,k=v": arguments of the gRPC library
  bool grpc_health = false;                 // serve grpc.health.v1
  bool grpc_profiler = true;                // ProfilerService: traces of requests, runs and batches
  std::string grpc_transport = "auto";      // "http2": our own; "library": the gRPC library, in libtenon_grpc.so;
                                            // "auto": http2, unless a channel argument needs the library
  int spin_us = -1;  // I/O threads look for requests this long before they sleep: answers come sooner, at the cost of a
                     // busy processor; 0: off; -1: at most 50, and only while clients send again that soon
  bool tensor_content_replies = false;          // Predict replies over gRPC use tensor_content
  bool check_signature_method = false;          // a signature's method name must be that of the call
  std::vector<std::string> bearer_tokens = {};  // requests of /v1 must carry one of them; none: no check
  double requests_per_second = 0;               // of one client address; more answers 429; 0: no limit
  bool compress_replies = false;                // gzip REST replies of 1 KB and more to clients that accept it
  int max_connections = 65536;                  // of REST clients, and as many of gRPC (not with its library)
  std::int64_t max_inflight_bytes = -1;         // of the requests under way, REST and gRPC together; what would be more
                                                // answers 503 or RESOURCE_EXHAUSTED; 0: no limit; -1: a quarter of the
                                                // memory that the process may use
  std::string access_log = {};                  // a file that gets a JSON line for each request; "-": standard output
  double shadow_fraction = 0;          // share of the requests mirrored to a new version before it takes over; 0: off
  int shadow_promote_after = 100;      // agreeing requests after which it takes over
  double shadow_tolerance = 0;         // of outputs that agree, relative to their magnitude; 0: what rounding explains
  std::string shadow_report_dir = {};  // where the inputs of the worst disagreement are kept, as .npz
  bool strict_start = false;           // start() fails unless each model has an available version
  int start_timeout_ms = 120'000;      // start() waits at most this long for the models
  bool signals_from_start = false;   // start() takes the signals over that wait() waits for; SIGTERM and SIGINT end it
  int shutdown_delay_ms = 0;         // wait(): go on serving, not ready, this long after the signal
  int shutdown_timeout_ms = 30'000;  // then wait at most this long for the requests in flight
};

/// Serves models over HTTP and gRPC as tensorflow_model_server does. Owns its threads. All members may be called from
/// any thread; the destructor stops, drains and joins.
class TENON_API Server {
 public:
  explicit Server(ServerOptions options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Binds the ports, loads the models, then listens. Errors: kInvalidArgument (options), kUnavailable (a port is in
  /// use), kFailedPrecondition (strict_start and a model that did not load). Without strict_start a model that fails is
  /// logged and shown by its status; the others are served. May be called once.
  Result<void> start();
  /// Until SIGTERM, SIGINT or stop(); then stops as stop() does. A second signal ends the process at once. The handlers
  /// that were set before are restored.
  void wait();
  /// Stops accepting, finishes the requests in flight (for at most shutdown_timeout_ms), unloads, joins. A load under
  /// way is waited for 3 s; then its thread is left to itself. Idempotent.
  void stop();
  /// The port listened on; 0 when off or not started.
  int rest_port() const;
  int grpc_port() const;
  /// Replaces the list of models: loads new ones, unloads those gone. Waits for new ones as start() does. A list with
  /// an error changes nothing. kFailedPrecondition also says which new models did not load, and which of their labels
  /// name a version that is not there; then the list is in force, and whatever loaded is served.
  Result<void> reload(const std::vector<ModelConfig>& models);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tenon::serve
