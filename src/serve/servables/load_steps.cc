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

struct Steps {
  ServableCreator creator;
  bool warm_up = true;
  int warm_up_iterations = 0;
  bool per_model = false;
  std::optional<Batching> batching;
  std::shared_ptr<BatchPool> pool;
  std::shared_ptr<ServerMetrics> metrics;

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
    if (warm_up) TENON_RETURN_IF_ERROR(WarmUp(path, *servable, warm_up_iterations, *metrics));
    TENON_ASSIGN_OR_RETURN(const std::optional<Batching> wanted, BatchingOf(path));
    if (!wanted || !pool) return servable;
    return std::unique_ptr<Servable>(
        std::make_unique<BatchingServable>(id, std::move(servable), *wanted, pool, metrics));
  }
  Result<std::unique_ptr<Servable>> Measured(const ServableId& id, const std::string& path) const {
    const Clock::time_point begun = Clock::now();
    Result<std::unique_ptr<Servable>> made = Make(id, path);
    const std::chrono::duration<double> took = Clock::now() - begun;
    if (made.ok())
      if (const auto bytes = CreatorLoader(id, path, nullptr).EstimateMemory(); bytes.ok())
        metrics->model_memory.At({id.name, std::to_string(id.version)}).Set(static_cast<double>(*bytes));
    metrics->load_attempts.At({path, made.ok() ? "success" : "fail"}).Add();
    metrics->load_latency.At({path}).Add(took.count() * 1e6);
    metrics->load_seconds.At({id.name}).Observe(took.count());
    metrics->graph_build_calls.At({}).Add();
    metrics->graph_build_time.At({}).Add(took.count() * 1e6);
    return made;
  }
};

}  // namespace

ServableCreator WithLoadSteps(ServableCreator creator, const ServerOptions& options, std::shared_ptr<BatchPool> pool,
                              std::shared_ptr<ServerMetrics> metrics) {
  auto steps = std::make_shared<Steps>(Steps{.creator = std::move(creator),
                                             .warm_up = options.warm_up,
                                             .warm_up_iterations = options.warm_up_iterations,
                                             .per_model = options.per_model_batching,
                                             .batching = options.batching,
                                             .pool = std::move(pool),
                                             .metrics = std::move(metrics)});
  return [steps](const ServableId& id, const std::string& path) { return steps->Measured(id, path); };
}

std::shared_ptr<BatchPool> MakeBatchPool(const ServerOptions& options) {
  if (!options.batching && !options.per_model_batching) return nullptr;
  const std::int64_t asked = options.batching ? options.batching->num_batch_threads : 0;
  const int threads = asked > 0 ? static_cast<int>(std::min<std::int64_t>(asked, 4096)) : base::DefaultThreads();
  return std::make_shared<BatchPool>(threads);
}

}  // namespace tenon::serve
