#include "serve/core/server_metrics.h"

#include <unistd.h>

#include <cstdio>
#include <set>
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

void Trace(Tracer& tracer, std::string_view model, std::string_view api, std::string_view entrypoint, Code code,
           std::chrono::nanoseconds took) {
  const auto now = std::chrono::steady_clock::now();
  std::string name(entrypoint);
  for (const std::string_view part : {api, model.substr(0, 256), code_name(code)}) (name += ' ') += part;
  tracer.Add(name, now - took, now);
}

std::uint64_t NextEpoch() {
  static std::atomic<std::uint64_t> next{0};
  return ++next;
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
      with_batching_latency(registry.AddHistogram(":tensorflow:serving:saved_model_with_batching:queuing_latency",
                                                  {"thread_pool_name"}, Queuing())),
      mlmd_map(registry.AddGauge(":tensorflow:serving:mlmd_map", {"model_name", "version"})),
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
      inflight_bytes(registry.AddGauge("tenon_inflight_bytes", {})),
      model_state(registry.AddGauge("tenon_model_state", {"model", "version", "state"})),
      model_memory(registry.AddGauge("tenon_model_memory_bytes", {"model", "version"})),
      memory_returned(registry.AddCounter("tenon_memory_returned_bytes_total", {"model", "kind"})),
      kernel_seconds(registry.AddCounter("tenon_kernel_seconds_total", {"model", "version"})),
      load_seconds(registry.AddHistogram("tenon_model_load_duration_seconds", {"model"}, Seconds())),
      refused(registry.AddCounter("tenon_refused_requests_total", {"reason"})),
      process_resident(registry.AddGauge("process_resident_memory_bytes", {})),
      shadow_requests(registry.AddCounter("tenon_shadow_requests_total", {"model", "version", "verdict"})),
      build_info(registry.AddGauge("tenon_build_info", {"version"})),
      epoch_(NextEpoch()) {
  registry.OnScrape([this] { process_resident.At({}).Set(ResidentBytes()); });
}

void ServerMetrics::Request(std::string_view model, std::string_view api, std::string_view entrypoint, Code code,
                            std::chrono::nanoseconds took) {
  if (tracer.active()) Trace(tracer, model, api, entrypoint, code, took);
  // A thread sees the same model and call again and again: the cells of the last one need no look-up.
  struct Last {
    std::uint64_t epoch = 0;
    std::string model, api, entrypoint;
    Code code = Code::kOk;
    Counter *count = nullptr, *total = nullptr;
    Histogram *micros = nullptr, *seconds = nullptr;
  };
  thread_local Last last;
  const std::uint64_t epoch = epoch_.load(std::memory_order_acquire);
  if (last.epoch != epoch || last.code != code || last.model != model || last.api != api ||
      last.entrypoint != entrypoint) {
    last = {.epoch = epoch,
            .model = std::string(model),
            .api = std::string(api),
            .entrypoint = std::string(entrypoint),
            .code = code};
    last.count = &request_count.At({model, code_name(code)});
    last.total = &requests.At({model, api, entrypoint, code_name(code)});
    if (code == Code::kOk) {
      last.micros = &request_latency.At({model, api, entrypoint});
      last.seconds = &request_seconds.At({model, api, entrypoint});
    }
  }
  last.count->Add();
  last.total->Add();
  if (code != Code::kOk) return;
  last.micros->Observe(ToMicros(took));
  last.seconds->Observe(ToSeconds(took));
}

void ServerMetrics::Run(const ServableId& version, std::string_view signature, std::string_view api, Code code,
                        std::chrono::nanoseconds took) {
  struct Last {
    std::uint64_t epoch = 0;
    ServableId version;
    std::string signature, api;
    Counter *runs = nullptr, *time = nullptr, *session = nullptr;
    Histogram *micros = nullptr, *seconds = nullptr;
  };
  thread_local Last last;
  const std::uint64_t epoch = epoch_.load(std::memory_order_acquire);
  if (last.epoch != epoch || last.version != version || last.signature != signature || last.api != api) {
    last = {.epoch = epoch, .version = version, .signature = std::string(signature), .api = std::string(api)};
    last.runs = &graph_runs.At({});
    last.time = &graph_run_time.At({});
    last.session = &direct_session_runs.At({});
    last.micros = &runtime_latency.At({version.name, api, "TF1"});
    last.seconds = &run_seconds.At({version.name, std::to_string(version.version), signature});
  }
  last.runs->Add();
  last.time->Add(ToMicros(took));
  last.session->Add();
  if (code != Code::kOk) return;
  last.micros->Observe(ToMicros(took));
  last.seconds->Observe(ToSeconds(took));
}

void ServerMetrics::Stages(const ServableId& version, std::chrono::nanoseconds read, std::chrono::nanoseconds run,
                           std::chrono::nanoseconds write) {
  struct Last {
    std::uint64_t epoch = 0;
    ServableId version;
    Histogram *read = nullptr, *run = nullptr, *write = nullptr;
  };
  thread_local Last last;
  const std::uint64_t epoch = epoch_.load(std::memory_order_acquire);
  if (last.epoch != epoch || last.version != version) {
    const std::string number = std::to_string(version.version);
    last = {.epoch = epoch, .version = version};
    last.read = &stage_seconds.At({version.name, number, "read"});
    last.run = &stage_seconds.At({version.name, number, "run"});
    last.write = &stage_seconds.At({version.name, number, "write"});
  }
  last.read->Observe(ToSeconds(read));
  last.run->Observe(ToSeconds(run));
  last.write->Observe(ToSeconds(write));
}

void ServerMetrics::Began(const ServableId& version, const std::string& path) {
  const std::lock_guard lock(versions_mutex_);
  Life& life = lives_[version];
  life.path = path;
  ++life.lives;
  if (const auto it = ended_.find(version.name); it != ended_.end()) std::erase(it->second, version.version);
}

void ServerMetrics::Ended(const ServableId& version) {
  const std::lock_guard lock(versions_mutex_);
  if (const auto it = lives_.find(version); it == lives_.end() || --it->second.lives > 0) return;
  std::deque<std::int64_t>& ended = ended_[version.name];
  ended.push_back(version.version);
  if (ended.size() <= kMaxEnded) return;
  const ServableId gone{version.name, ended.front()};
  ended.pop_front();
  epoch_.store(NextEpoch(), std::memory_order_release);
  const std::string number = std::to_string(gone.version);
  for (auto* const family : {&run_seconds, &stage_seconds, &batch_size}) family->Erase({gone.name, number});
  for (auto* const family : {&queue_length, &model_memory, &mlmd_map}) family->Erase({gone.name, number});
  for (auto* const family : {&kernel_seconds, &shadow_requests}) family->Erase({gone.name, number});
  const auto life = lives_.find(gone);
  load_attempts.Erase({life->second.path});
  load_latency.Erase({life->second.path});
  warmup_latency.Erase({life->second.path});
  warmup_records.Erase({life->second.path});
  lives_.erase(life);
}

void ServerMetrics::States(const std::vector<VersionState>& all) {
  const std::lock_guard lock(versions_mutex_);  // against Ended: cells may be set, but not come back
  std::set<std::string> gone;                   // keys of model and version
  model_state.ForEach([&](std::string_view key, Gauge& gauge) {
    gauge.Set(0);
    gone.emplace(key.substr(0, key.find('\0', key.find('\0') + 1) + 1));
  });
  for (const VersionState& v : all) {
    const std::string number = std::to_string(v.version.version);
    model_state.At({v.version.name, number, v.state}).Set(1);
    const std::string key = Metrics::FamilyBase::KeyOf({v.version.name, number});
    gone.erase(key);
    if (!v.ended || !lives_.contains(v.version)) continue;
    model_memory.At({v.version.name, number}).Set(0);
    mlmd_map.ForEach([&](std::string_view cell, Gauge& gauge) {
      if (cell == key) gauge.Set(0);
    });
  }
  for (const std::string& key : gone) {
    const std::size_t end = key.find('\0');
    model_state.Erase(
        {std::string_view(key).substr(0, end), std::string_view(key).substr(end + 1, key.size() - end - 2)});
  }
}

}  // namespace tenon::serve
