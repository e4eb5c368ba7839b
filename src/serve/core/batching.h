// BatchingServable: joins the requests to another servable.
#pragma once
#include <atomic>
#include <map>
#include <memory>
#include <vector>

#include "serve/core/batch_queue.h"

namespace tenon::serve {

/// kInvalidArgument unless the sizes are positive, the allowed ones ascend and end with max_batch_size (with splitting:
/// max_execution_batch_size), and max_execution_batch_size is at most max_batch_size.
Status CheckBatching(const Batching& batching);

/// A signature whose inputs all have a free dim 0 gets a queue for each set of outputs asked for; the others run one by
/// one, as they are. Of a signature's sets of outputs, which clients choose, the first few have queues of their own;
/// the rest is taken out of all outputs. A batch runs when it is full, when batch_timeout_micros passed since its first
/// request, or (timeout 0) at once. RunAsync only queues: the threads of the pool run the batches; on a thread with an
/// open BatchRound, which keeps what it submits, that thread does where they are adaptive and short. Run, whose thread
/// waits, runs its request itself where a thread of the pool is free and nothing is queued.
///   kInvalidArgument    inputs without or with different dim 0; more rows than max_batch_size
///   kUnavailable        max_enqueued_batches wait already
///   kResourceExhausted  the deadline passed in the queue
///   kCancelled          its waiter went while it was queued; it has not run
///   kFailedPrecondition shapes that do not fit together; outputs that do not have a row for each input row
/// When a batch fails, each of its requests is run alone: one client's bad input is not another one's failure.
/// With `adaptive` the rows of a batch are limited to what AdaptiveLimit says.
class BatchingServable : public Servable {
 public:
  BatchingServable(ServableId id, std::unique_ptr<Servable> inner, Batching batching, std::shared_ptr<BatchPool> pool,
                   std::shared_ptr<ServerMetrics> metrics);
  ~BatchingServable() override;  // runs what is queued

  const std::vector<Signature>& signatures() const override { return inner_->signatures(); }
  Result<std::vector<Literal>> Run(const Signature& signature, std::vector<Literal> inputs, std::span<const int> wanted,
                                   Deadline deadline) override;
  void RunAsync(const Signature& signature, std::vector<Literal> inputs, std::span<const int> wanted, Patience patience,
                Done done) override;
  bool waits() const override { return true; }
  bool joins() const override { return short_batches_->load(std::memory_order_relaxed); }
  Result<std::vector<Literal>> RunWide(const Signature& signature, std::vector<Literal> inputs,
                                       std::span<const int> wanted) override {
    return inner_->RunWide(signature, std::move(inputs), wanted);
  }

 private:
  void Submit(const Signature& signature, std::vector<Literal> inputs, std::span<const int> wanted, Patience patience,
              Done done, bool here);
  BatchQueue* QueueOf(const Signature& signature, const std::vector<int>& wanted);
  const ServableId id_;
  const std::shared_ptr<Servable> inner_;
  const Batching batching_;
  const std::shared_ptr<BatchPool> pool_;
  const std::shared_ptr<ServerMetrics> metrics_;
  const std::shared_ptr<std::atomic<bool>> short_batches_ = std::make_shared<std::atomic<bool>>(false);
  std::map<std::pair<std::size_t, std::vector<int>>, std::shared_ptr<BatchQueue>> queues_;  // guarded by queues_mutex_
  std::size_t chosen_queues_ = 0;  // of them those that do not give all outputs
  std::mutex queues_mutex_;
};

}  // namespace tenon::serve
