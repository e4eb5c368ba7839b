// BatchQueue: the requests that wait to be run together, of one signature with one set of outputs.
#pragma once
#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "serve/core/adaptive_limit.h"
#include "serve/core/batch_pool.h"
#include "serve/core/batch_round.h"
#include "serve/core/servable.h"
#include "serve/core/server_metrics.h"
#include "tenon/serve.h"

namespace tenon::serve {

/// What batching.h promises of a signature. Members without "Locked" are called without the pool's lock. It owns what a
/// batch under way needs, and may so outlive the BatchingServable that made it.
class BatchQueue : public BatchSource, public std::enable_shared_from_this<BatchQueue> {
 public:
  /// `alone`: requests are run one by one as they are, with any shapes. The pool must live as long as Submit is called.
  /// `short_batches` says, once one has run, whether an I/O thread may run the next one.
  BatchQueue(std::shared_ptr<Servable> inner, const Signature& signature, std::vector<int> wanted, bool alone,
             const Batching& batching, BatchPool& pool, std::shared_ptr<ServerMetrics> metrics, const ServableId& id,
             std::shared_ptr<std::atomic<bool>> short_batches);

  /// `here`: the batch may run on this thread, when a thread of the pool is free and nothing is queued. Else this
  /// thread's round, if one is open, may keep it. `done` is called once; what it throws is logged and concerns no other
  /// request.
  void Submit(std::vector<Literal> inputs, Patience patience, Servable::Done done, bool here);

  Clock::time_point Due() const override;
  void RunNext(std::unique_lock<std::mutex>& lock) override;

 private:
  using Outputs = Result<std::vector<Literal>>;
  struct Task {
    std::vector<Literal> inputs = {};
    std::int64_t rows = 0;
    Deadline deadline = kNoDeadline;
    std::shared_ptr<const Waiter> waiter = {};
    Clock::time_point queued = {};
    Servable::Done done = {};
  };
  struct Batch {
    std::vector<Task> tasks = {};
    std::int64_t rows = 0;
    bool closed = false;
  };
  struct Kept;

  std::int64_t RunLimit() const;
  std::int64_t Padding(std::size_t tasks, std::int64_t rows) const;
  void CountLocked(std::int64_t rows);
  void KeepFor(BatchRound& round, Task task, std::int64_t limit);
  Status EnqueueLocked(Task& task);
  void OpenLocked();
  void AddLocked(Task task);
  std::vector<Task> TakeLeftLocked(Clock::time_point now);
  bool Left(Task& task, Clock::time_point now) const;
  void RunBatch(Batch batch);
  void RunTasks(std::vector<Task>& tasks);
  void RunAlone(Task& task);
  Outputs RunSafely(const std::vector<Task>& tasks, std::int64_t rows);
  Outputs RunRows(const std::vector<Task>& tasks, std::int64_t rows);
  void Learn(std::int64_t rows, Clock::duration took);

  const std::shared_ptr<Servable> inner_;
  const Signature& signature_;
  const std::vector<int> wanted_;
  const bool alone_;
  const Batching batching_;
  BatchPool& pool_;
  const std::shared_ptr<ServerMetrics> metrics_;
  // Cells of metrics_.
  Histogram &queuing_latency_, &stage_seconds_, &batch_size_, &input_batch_size_;
  Gauge& queue_length_;
  const std::string trace_name_;
  const std::shared_ptr<std::atomic<bool>> short_batches_;
  std::atomic<std::int64_t> round_limit_{0};  // rows of a batch on an I/O thread; 0: unknown, or one takes too long
  std::deque<Batch> batches_;                 // guarded by the pool's lock, as are the rest
  std::int64_t waiting_rows_ = 0;
  Clock::time_point swept_ = {};  // when the queue was last looked through for requests that nobody waits for
  AdaptiveLimit adaptive_;
  std::int64_t limit_;  // rows of a batch
};

}  // namespace tenon::serve
