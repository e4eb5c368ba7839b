// ServerMetrics: what the server counts, by TensorFlow Serving's names and by its own.
#pragma once
#include <atomic>
#include <chrono>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "serve/core/metrics.h"
#include "serve/core/servable.h"
#include "serve/core/tracer.h"

namespace tenon::serve {

/// The families, all in one registry. Names that begin with ":tensorflow:" are TensorFlow Serving's, with its labels
/// and its microseconds; those that begin with "tenon_" are ours, in seconds and bytes. Thread-safe.
class ServerMetrics {
 public:
  ServerMetrics();

  /// A request was answered. `api`: "predict", "classify", "regress" on REST; "Predict", … on gRPC. `entrypoint`:
  /// "REST" or "GRPC". The latency is recorded for kOk only, as TensorFlow Serving does.
  void Request(std::string_view model, std::string_view api, std::string_view entrypoint, Code code,
               std::chrono::nanoseconds took);
  /// A signature of a version ran.
  void Run(const ServableId& version, std::string_view signature, std::string_view api, Code code,
           std::chrono::nanoseconds took);

  /// The stages of a request to a version: reading it, running it, writing the answer.
  void Stages(const ServableId& version, std::chrono::nanoseconds read, std::chrono::nanoseconds run,
              std::chrono::nanoseconds write);

  const std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();

  /// Versions come and go: the cells of those that ended are kept for the last kMaxEnded of a model to end. Each Began
  /// (before anything counts for the version) is followed by an Ended (nothing does any more); a version may begin
  /// again, also before its old life has ended. `path` is that of its files.
  void Began(const ServableId& version, const std::string& path);
  void Ended(const ServableId& version);
  /// Sets the gauges of the states from all that are listed; those of versions that are not go. Makes no cell for a
  /// version whose cells are gone. For the scrape alone: not to be called twice at a time.
  struct VersionState {
    ServableId version;
    std::string_view state;
    bool ended = false;  // it holds no memory and has no mlmd_uuid any more
  };
  void States(const std::vector<VersionState>& all);

  Metrics registry;
  Tracer tracer;  // of requests, runs and batches

  Metrics::Family<Counter>& request_count;
  Metrics::Family<Histogram>& request_latency;
  Metrics::Family<Histogram>& runtime_latency;
  Metrics::Family<Histogram>& example_counts;
  Metrics::Family<Counter>& example_count_total;
  Metrics::Family<Counter>& request_log_count;
  Metrics::Family<Histogram>& warmup_latency;
  Metrics::Family<Counter>& warmup_records;
  Metrics::Family<Histogram>& queuing_latency;  // batching
  Metrics::Family<Counter>& wrapped_run_count;
  Metrics::Family<Histogram>& padding_size;
  Metrics::Family<Histogram>& input_batch_size;
  Metrics::Family<Histogram>& processed_batch_size;
  Metrics::Family<Histogram>& with_batching_latency;  // of another runtime: there without a sample
  Metrics::Family<Gauge>& mlmd_map;                   // 1 for a version with assets.extra/mlmd_uuid, while it is loaded
  Metrics::Family<Counter>& graph_runs;
  Metrics::Family<Counter>& graph_run_time;
  Metrics::Family<Counter>& graph_build_calls;
  Metrics::Family<Counter>& graph_build_time;
  Metrics::Family<Counter>& direct_session_runs;
  Metrics::Family<Counter>& load_attempts;
  Metrics::Family<Counter>& load_latency;

  Metrics::Family<Counter>& requests;           // tenon_requests_total
  Metrics::Family<Histogram>& request_seconds;  // by model, api, entrypoint
  Metrics::Family<Histogram>& run_seconds;      // by model, version, signature
  Metrics::Family<Histogram>& stage_seconds;    // by model, version, stage: queue, run, read, write
  Metrics::Family<Histogram>& batch_size;
  Metrics::Family<Gauge>& queue_length;
  Metrics::Family<Gauge>& inflight;
  Metrics::Family<Gauge>& inflight_bytes;
  Metrics::Family<Gauge>& model_state;  // States alone has references to its cells
  Metrics::Family<Gauge>& model_memory;
  Metrics::Family<Counter>& memory_returned;  // by model, kind: held, resident
  Metrics::Family<Counter>& kernel_seconds;   // inside the compiled plans, by model, version
  Metrics::Family<Histogram>& load_seconds;
  Metrics::Family<Counter>& refused;  // by reason: rate, size, auth, connections, memory
  Metrics::Family<Gauge>& process_resident;
  Metrics::Family<Counter>& shadow_requests;  // by model, version, verdict
  Metrics::Family<Gauge>& build_info;

 private:
  std::atomic<std::uint64_t> epoch_;  // unique in the process, another one when cells are gone: threads remember cells
  std::mutex versions_mutex_;
  struct Life {
    std::string path = {};
    int lives = 0;
  };
  std::map<ServableId, Life> lives_;                                    // of versions that have cells
  std::map<std::string, std::deque<std::int64_t>, std::less<>> ended_;  // by model, the oldest first
};

}  // namespace tenon::serve
