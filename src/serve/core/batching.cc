#include "serve/core/batching.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <semaphore>

namespace tenon::serve {
namespace {

/// Queues for sets of outputs that clients chose: there are more sets than a server could have queues for, and every
/// thread that looks for work passes all queues.
constexpr std::size_t kMostChosen = 32;

/// Whether requests to it can be put together.
bool HasFreeRows(const Signature& signature) {
  return !signature.inputs.empty() && std::ranges::all_of(signature.inputs, [](const TensorInfo& i) {
    return i.unknown_rank || (!i.dims.empty() && i.dims[0] < 0);
  });
}

}  // namespace

Status CheckBatching(const Batching& b) {
  const auto bad = [](std::string_view what) {
    return Status(Code::kInvalidArgument, fmt::format("BatchingParameters: {}", what));
  };
  if (b.max_batch_size <= 0) return bad("max_batch_size must be positive");
  if (b.batch_timeout_micros < 0) return bad("batch_timeout_micros must be 0 or more");
  if (b.max_enqueued_batches <= 0) return bad("max_enqueued_batches must be positive");
  if (b.num_batch_threads < 0 || b.num_batch_threads > 4096) return bad("num_batch_threads must be 0 to 4096");
  const std::int64_t execution = b.max_execution_batch_size > 0 ? b.max_execution_batch_size : b.max_batch_size;
  if (b.max_execution_batch_size < 0 || execution > b.max_batch_size)
    return bad("max_execution_batch_size must be at most max_batch_size");
  if (b.allowed_batch_sizes.empty()) return {};
  if (!std::ranges::is_sorted(b.allowed_batch_sizes, std::less_equal<>()) || b.allowed_batch_sizes[0] <= 0)
    return bad("allowed_batch_sizes entries must be positive and monotonically increasing");
  if (b.allowed_batch_sizes.back() != (b.enable_large_batch_splitting ? execution : b.max_batch_size))
    return bad(
        "final entry in allowed_batch_sizes must equal max_batch_size (max_execution_batch_size with "
        "enable_large_batch_splitting)");
  return {};
}

BatchingServable::BatchingServable(ServableId id, std::unique_ptr<Servable> inner, Batching batching,
                                   std::shared_ptr<BatchPool> pool, std::shared_ptr<ServerMetrics> metrics)
    : id_(std::move(id)),
      inner_(std::move(inner)),
      batching_(std::move(batching)),
      pool_(std::move(pool)),
      metrics_(std::move(metrics)) {}

BatchingServable::~BatchingServable() {
  for (const auto& [key, queue] : queues_)
    if (queue) pool_->Remove(queue.get());
}

/// nullptr when there are too many for one more.
BatchQueue* BatchingServable::QueueOf(const Signature& signature, const std::vector<int>& wanted) {
  const auto at = static_cast<std::size_t>(&signature - signatures().data());
  const std::lock_guard lock(queues_mutex_);
  const auto known = queues_.find({at, wanted});
  if (known != queues_.end() && known->second) return known->second.get();
  if (!wanted.empty() && chosen_queues_ == kMostChosen) return nullptr;
  auto queue = std::make_shared<BatchQueue>(inner_, signature, wanted, !HasFreeRows(signature), batching_, *pool_,
                                            metrics_, id_, short_batches_);
  pool_->Add(queue);
  if (!wanted.empty()) ++chosen_queues_;
  return (queues_[{at, wanted}] = std::move(queue)).get();
}

void BatchingServable::Submit(const Signature& signature, std::vector<Literal> inputs, std::span<const int> wanted,
                              Patience patience, Done done, bool here) {
  std::vector<int> chosen(wanted.begin(), wanted.end());
  BatchQueue* queue = QueueOf(signature, chosen);
  if (queue == nullptr) {
    queue = QueueOf(signature, {});
    done = [chosen = std::move(chosen), done = std::move(done)](Result<std::vector<Literal>> all) mutable {
      if (!all.ok()) return done(std::move(all));
      std::vector<Literal> outputs;
      for (const int i : chosen) outputs.push_back((*all)[static_cast<std::size_t>(i)]);
      done(std::move(outputs));
    };
  }
  queue->Submit(std::move(inputs), std::move(patience), std::move(done), here);
}

void BatchingServable::RunAsync(const Signature& signature, std::vector<Literal> inputs, std::span<const int> wanted,
                                Patience patience, Done done) {
  Submit(signature, std::move(inputs), wanted, std::move(patience), std::move(done), false);
}

Result<std::vector<Literal>> BatchingServable::Run(const Signature& signature, std::vector<Literal> inputs,
                                                   std::span<const int> wanted, Deadline deadline) {
  if (!HasFreeRows(signature)) return inner_->Run(signature, std::move(inputs), wanted, deadline);
  std::optional<Result<std::vector<Literal>>> result;
  std::binary_semaphore ready(0);
  const auto done = [&](Result<std::vector<Literal>> outputs) {
    result.emplace(std::move(outputs));
    ready.release();
  };
  Submit(signature, std::move(inputs), wanted, deadline, done, true);
  ready.acquire();
  return *std::move(result);
}

}  // namespace tenon::serve
