#include "serve/core/server_metrics.h"

#include <unistd.h>

#include <cstdio>
#include <string>

namespace tenon::serve {
namespace {

std::vector<double> Micros() { return ExponentialBounds(10, 1.8, 33); }
std::vector<double> Seconds() { return ExponentialBounds(10e-6, 2, 22); }  // to 20 s
std::vector<double> Sizes() { return ExponentialBounds(1, 2, 14); }
std::vector<double> Queuing() { return ExponentialBounds(100, 1.2, 52); }

double ToMicros(std::chrono::nanoseconds t) { return static_cast<double>(t.count()) / 1e3; }
double ToSeconds(std::chrono::nanoseconds t) { return static_cast<double>(t.count()) / 1e9; }

double ResidentBytes() {
  long pages = 0, resident = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%ld %ld", &pages, &resident) != 2) resident = 0;
    std::fclose(file);
  }
  return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

ServerMetrics::ServerMetrics()
    : request_count(registry.AddCounter(":tensorflow:serving:request_count", {"model_name", "status"})),
      request_latency(
          registry.AddHistogram(":tensorflow:serving:request_latency", {"model_name", "API", "entrypoint"}, Micros())),
      runtime_latency(
          registry.AddHistogram(":tensorflow:serving:runtime_latency", {"model_name", "API", "runtime"}, Micros())),
      example_counts(registry.AddHistogram(":tensorflow:serving:request_example_counts", {"model"}, Sizes())),
      example_count_total(registry.AddCounter(":tensorflow:serving:request_example_count_total", {"model"})),
      request_log_count(registry.AddCounter(":tensorflow:serving:request_log_count", {"model_name", "status_code"})),
      warmup_latency(
          registry.AddHistogram(":tensorflow:serving:model_warmup_latency", {"model_path", "status"}, Micros())),
      warmup_records(registry.AddCounter(":tensorflow:serving:model_warmup_records_read", {"model_path"})),
      queuing_latency(registry.AddHistogram(":tensorflow:serving:batching_session:queuing_latency",
                                            {"thread_pool_name"}, Queuing())),
      wrapped_run_count(registry.AddCounter(":tensorflow:serving:batching_session:wrapped_run_count", {})),
      padding_size(registry.AddHistogram(":tensorflow:serving:batching_session:padding_size", {"execution_batch_size"},
                                         Sizes())),
      input_batch_size(registry.AddHistogram(":tensorflow:serving:batching_session:input_batch_size", {}, Sizes())),
      processed_batch_size(
          registry.AddHistogram(":tensorflow:serving:batching_session:processed_batch_size", {}, Sizes())),
      graph_runs(registry.AddCounter(":tensorflow:core:graph_runs", {})),
      graph_run_time(registry.AddCounter(":tensorflow:core:graph_run_time_usecs", {})),
      graph_build_calls(registry.AddCounter(":tensorflow:core:graph_build_calls", {})),
      graph_build_time(registry.AddCounter(":tensorflow:core:graph_build_time_usecs", {})),
      direct_session_runs(registry.AddCounter(":tensorflow:core:direct_session_runs", {})),
      load_attempts(registry.AddCounter(":tensorflow:cc:saved_model:load_attempt_count", {"model_path", "status"})),
      load_latency(registry.AddCounter(":tensorflow:cc:saved_model:load_latency", {"model_path"})),
      requests(registry.AddCounter("tenon_requests_total", {"model", "api", "protocol", "code"})),
      request_seconds(registry.AddHistogram("tenon_request_duration_seconds", {"model", "api", "protocol"}, Seconds())),
      run_seconds(
          registry.AddHistogram("tenon_inference_duration_seconds", {"model", "version", "signature"}, Seconds())),
      stage_seconds(registry.AddHistogram("tenon_stage_duration_seconds", {"model", "version", "stage"}, Seconds())),
      batch_size(registry.AddHistogram("tenon_batch_size", {"model", "version"}, Sizes())),
      queue_length(registry.AddGauge("tenon_queue_rows", {"model", "version"})),
      inflight(registry.AddGauge("tenon_inflight_requests", {})),
      model_state(registry.AddGauge("tenon_model_state", {"model", "version", "state"})),
      model_memory(registry.AddGauge("tenon_model_memory_bytes", {"model", "version"})),
      load_seconds(registry.AddHistogram("tenon_model_load_duration_seconds", {"model"}, Seconds())),
      refused(registry.AddCounter("tenon_refused_requests_total", {"reason"})),
      process_resident(registry.AddGauge("process_resident_memory_bytes", {})),
      shadow_requests(registry.AddCounter("tenon_shadow_requests_total", {"model", "version", "verdict"})),
      build_info(registry.AddGauge("tenon_build_info", {"version"})) {
  registry.OnScrape([this] { process_resident.At({}).Set(ResidentBytes()); });
}

void ServerMetrics::Request(std::string_view model, std::string_view api, std::string_view entrypoint, Code code,
                            std::chrono::nanoseconds took) {
  request_count.At({model, code_name(code)}).Add();
  requests.At({model, api, entrypoint, code_name(code)}).Add();
  if (code != Code::kOk) return;
  request_latency.At({model, api, entrypoint}).Observe(ToMicros(took));
  request_seconds.At({model, api, entrypoint}).Observe(ToSeconds(took));
}

void ServerMetrics::Run(const ServableId& id, std::string_view signature, std::string_view api, Code code,
                        std::chrono::nanoseconds took) {
  graph_runs.At({}).Add();
  graph_run_time.At({}).Add(ToMicros(took));
  direct_session_runs.At({}).Add();
  if (code != Code::kOk) return;
  runtime_latency.At({id.name, api, "TF1"}).Observe(ToMicros(took));
  run_seconds.At({id.name, std::to_string(id.version), signature}).Observe(ToSeconds(took));
}

}  // namespace tenon::serve
