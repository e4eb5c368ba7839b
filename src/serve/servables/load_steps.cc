#include "serve/servables/load_steps.h"

#include <algorithm>

#include "base/file.h"
#include "base/status_macros.h"
#include "base/threads.h"
#include "serve/config/config_files.h"
#include "serve/servables/warm_up.h"

namespace tenon::serve {
namespace {

using Clock = std::chrono::steady_clock;

/// Counts the time that runs take, batches and warm-up included.
class TimedServable : public Servable {
 public:
  TimedServable(const ServableId& id, std::unique_ptr<Servable> inner, std::shared_ptr<ServerMetrics> metrics)
      : inner_(std::move(inner)),
        metrics_(std::move(metrics)),
        seconds_(metrics_->kernel_seconds.At({id.name, std::to_string(id.version)})) {}
  const std::vector<Signature>& signatures() const override { return inner_->signatures(); }
  Result<std::vector<Literal>> Run(const Signature& signature, std::vector<Literal> inputs, std::span<const int> wanted,
                                   Deadline deadline) override {
    const Clock::time_point begun = Clock::now();
    Result<std::vector<Literal>> out = inner_->Run(signature, std::move(inputs), wanted, deadline);
    seconds_.Add(std::chrono::duration<double>(Clock::now() - begun).count());
    return out;
  }
  Result<std::vector<Literal>> RunWide(const Signature& signature, std::vector<Literal> inputs,
                                       std::span<const int> wanted) override {
    return inner_->RunWide(signature, std::move(inputs), wanted);
  }

 private:
  const std::unique_ptr<Servable> inner_;
  const std::shared_ptr<ServerMetrics> metrics_;
  Counter& seconds_;
};

struct Steps {
  ServableCreator creator;
  bool warm_up = true;
  int warm_up_iterations = 0;
  bool per_model = false;
  std::optional<Batching> batching;
  std::shared_ptr<BatchPool> pool;
  std::shared_ptr<ServerMetrics> metrics;
  std::shared_ptr<MemoryMeter> meter;

  Result<std::optional<Batching>> BatchingOf(const std::string& path) const {
    const std::string file = path + "/batching_params.pbtxt";
    if (!per_model || !base::FileExists(file)) return batching;
    TENON_ASSIGN_OR_RETURN(const Batching own, ReadBatchingParameters(file));
    TENON_RETURN_IF_ERROR(CheckBatching(own).with_context(file));
    return std::optional<Batching>(own);
  }
  Result<std::unique_ptr<Servable>> Make(const ServableId& id, const std::string& path) const {
    TENON_ASSIGN_OR_RETURN(std::unique_ptr<Servable> servable, creator(id, path));
    if (!servable) return servable;
    if (!servable->waits()) servable = std::make_unique<TimedServable>(id, std::move(servable), metrics);
    if (warm_up) TENON_RETURN_IF_ERROR(WarmUp(path, *servable, warm_up_iterations, *metrics));
    if (base::FileExists(path + "/assets.extra/mlmd_uuid"))
      metrics->mlmd_map.At({id.name, std::to_string(id.version)}).Set(1);
    TENON_ASSIGN_OR_RETURN(const std::optional<Batching> wanted, BatchingOf(path));
    if (!wanted || !pool) return servable;
    return std::unique_ptr<Servable>(
        std::make_unique<BatchingServable>(id, std::move(servable), *wanted, pool, metrics));
  }
  Result<std::unique_ptr<Servable>> Measured(const ServableId& id, const std::string& path) const {
    const Clock::time_point begun = Clock::now();
    metrics->Began(id, path);
    meter->BeginLoad();
    Result<std::unique_ptr<Servable>> made = Status(Code::kInternal, "not made");
    try {
      made = Make(id, path);
    } catch (...) {
      meter->EndLoad(id, 0);
      metrics->Ended(id);
      throw;
    }
    const std::chrono::duration<double> took = Clock::now() - begun;
    const Result<std::int64_t> estimate = CreatorLoader(id, path, nullptr).EstimateMemory();
    meter->EndLoad(id, made.ok() ? std::max<std::int64_t>(1, estimate.ok() ? *estimate : 1) : 0);
    metrics->load_attempts.At({path, made.ok() ? "success" : "fail"}).Add();
    metrics->load_latency.At({path}).Add(took.count() * 1e6);
    metrics->load_seconds.At({id.name}).Observe(took.count());
    metrics->graph_build_calls.At({}).Add();
    metrics->graph_build_time.At({}).Add(took.count() * 1e6);
    if (!made.ok()) metrics->Ended(id);  // the last of it: nothing may count for the version afterwards
    return made;
  }
};

}  // namespace

ServableCreator WithLoadSteps(ServableCreator creator, const ServerOptions& options, std::shared_ptr<BatchPool> pool,
                              std::shared_ptr<ServerMetrics> metrics, std::shared_ptr<MemoryMeter> meter) {
  auto steps = std::make_shared<Steps>(Steps{.creator = std::move(creator),
                                             .warm_up = options.warm_up,
                                             .warm_up_iterations = options.warm_up_iterations,
                                             .per_model = options.per_model_batching,
                                             .batching = options.batching,
                                             .pool = std::move(pool),
                                             .metrics = std::move(metrics),
                                             .meter = std::move(meter)});
  return [steps](const ServableId& id, const std::string& path) { return steps->Measured(id, path); };
}

std::shared_ptr<BatchPool> MakeBatchPool(const ServerOptions& options) {
  if (!options.batching && !options.per_model_batching) return nullptr;
  const std::int64_t asked = options.batching ? options.batching->num_batch_threads : 0;
  const int threads = asked > 0 ? static_cast<int>(std::min<std::int64_t>(asked, 4096)) : base::DefaultThreads();
  return std::make_shared<BatchPool>(threads);
}

}  // namespace tenon::serve
