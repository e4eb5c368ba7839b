// Server: TensorFlow Serving's API in this process.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
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

/// A model: a name, and a folder whose sub-folders with whole numbers for names (1, 00000123) are its versions. New
/// sub-folders are picked up while the server runs, removed ones are unloaded. `labels` give versions a second name
/// (/v1/models/M/labels/L); one whose version is not loaded answers 404 as that version does.
struct ModelConfig {
  std::string name = {};
  std::string base_path = {};
  Versions versions = {};
  std::map<std::string, std::int64_t> labels = {};
};

/// For a port: let the system choose a free one; Server::rest_port() tells which.
inline constexpr int kFreePort = -1;

struct ServerOptions {
  int grpc_port = 0;  // 0: off
  int rest_port = 0;  // 0: off
  std::vector<ModelConfig> models = {};
  std::string address = {};      // a numeric address to listen on; empty: all of them
  int rest_threads = 0;          // I/O threads; 0: one for each two CPUs, at most 8
  int model_threads = 1;         // that one run of a model may use; requests run beside each other
  std::string backend = {};      // that runs the models, as in CompileOptions
  int worker_threads = 0;        // for requests that take long; 0: one for each CPU
  int rest_timeout_ms = 30'000;  // of a request; a request that takes longer answers 504
  bool enable_cors = false;      // Access-Control-* headers on every /v1 reply
  std::int64_t max_body_bytes = std::int64_t{1} << 30;  // of a request; more answers 413
  int poll_interval_ms = 1000;  // between two looks at the base paths; 0: only one, at the start
  int max_load_retries = 5;     // of a version, after the first attempt
  int load_retry_interval_ms = 60'000;
  bool resource_preserving = false;  // unload the old version before the new one is loaded: less memory, a short gap
  std::int64_t memory_budget = 0;    // bytes that all loaded versions may take (estimated by file size); 0: no limit
  bool strict_start = false;         // start() fails unless each model has an available version
  int start_timeout_ms = 120'000;    // start() waits at most this long for the models
  int shutdown_delay_ms = 0;         // wait(): go on serving, not ready, this long after the signal
  int shutdown_timeout_ms = 30'000;  // then wait at most this long for the requests in flight
};

/// Serves models over HTTP as tensorflow_model_server does. Owns its threads. All members may be called from any
/// thread; the destructor stops, drains and joins.
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
  /// Stops accepting, finishes the requests in flight (for at most shutdown_timeout_ms), unloads, joins. Idempotent.
  void stop();
  /// The port listened on; 0 when off or not started.
  int rest_port() const;
  int grpc_port() const;
  /// Replaces the list of models: loads new ones, unloads those gone. Waits for new ones as start() does.
  Result<void> reload(std::vector<ModelConfig> models);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tenon::serve
