#include "serve/core/batch_queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "base/log_failure.h"
#include "serve/core/batch_tensors.h"
#include "serve/core/split_request.h"

namespace tenon::serve {
namespace {

Status CheckOutputs(const std::vector<Literal>& outputs, std::int64_t rows) {
  for (const Literal& output : outputs) {
    if (output.rank() == 0) return Status(Code::kFailedPrecondition, "Batched output tensor has 0 dimensions");
    if (output.dims()[0] != rows)
      return Status(Code::kFailedPrecondition,
                    "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the "
                    "input tensors");
  }
  return {};
}

/// What `done` throws (no memory to write an answer) is its own request's loss.
void Give(Servable::Done& done, Result<std::vector<Literal>> outputs) {
  try {
    done(std::move(outputs));
  } catch (const std::exception& error) {
    base::LogFailure(base::LogLevel::kError, "batch: an answer could not be given", error);
  }
}

/// Between two looks through a full queue: each costs as much as there are requests in it.
constexpr auto kSweep = std::chrono::milliseconds(1);

}  // namespace

BatchQueue::BatchQueue(std::shared_ptr<Servable> inner, const Signature& signature, std::vector<int> wanted, bool alone,
                       const Batching& batching, BatchPool& pool, std::shared_ptr<ServerMetrics> metrics,
                       const ServableId& id, std::shared_ptr<std::atomic<bool>> short_batches)
    : inner_(std::move(inner)),
      signature_(signature),
      wanted_(std::move(wanted)),
      alone_(alone),
      batching_(batching),
      pool_(pool),
      metrics_(std::move(metrics)),
      queuing_latency_(metrics_->queuing_latency.At({batching.thread_pool_name})),
      stage_seconds_(metrics_->stage_seconds.At({id.name, std::to_string(id.version), "queue"})),
      batch_size_(metrics_->batch_size.At({id.name, std::to_string(id.version)})),
      input_batch_size_(metrics_->input_batch_size.At({})),
      queue_length_(metrics_->queue_length.At({id.name, std::to_string(id.version)})),
      trace_name_(fmt::format("batch {}:{} {}", id.name, id.version, signature.name)),
      short_batches_(std::move(short_batches)),
      adaptive_(RunLimit()),
      limit_(batching.adaptive ? 1 : RunLimit()) {}

std::int64_t BatchQueue::RunLimit() const {
  return batching_.enable_large_batch_splitting && batching_.max_execution_batch_size > 0
             ? batching_.max_execution_batch_size
             : batching_.max_batch_size;
}
void BatchQueue::CountLocked(std::int64_t rows) {
  waiting_rows_ += rows;
  queue_length_.Add(static_cast<double>(rows));
}

void BatchQueue::Submit(std::vector<Literal> inputs, Patience patience, Servable::Done done, bool here) {
  Task task{.inputs = std::move(inputs),
            .deadline = patience.deadline,
            .waiter = std::move(patience.waiter),
            .queued = Clock::now()};
  if (!alone_) {
    const Result<std::int64_t> rows = BatchRows(task.inputs);
    if (!rows.ok()) return done(rows.status());
    task.rows = *rows;
    input_batch_size_.Observe(static_cast<double>(*rows));
    if (*rows > batching_.max_batch_size)
      return done(Status(Code::kInvalidArgument, fmt::format("Task size {} is larger than maximum input batch size {}",
                                                             *rows, batching_.max_batch_size)));
  }
  task.done = std::move(done);
  BatchRound* const round = here || alone_ ? nullptr : BatchRound::Current();
  const std::int64_t in_round = round == nullptr ? 0 : round_limit_.load(std::memory_order_relaxed);
  if (in_round > 0 && task.rows <= in_round) return KeepFor(*round, std::move(task), in_round);
  Status full;
  std::vector<Task> left;
  {
    const std::lock_guard lock(pool_.mutex());
    here = here && batches_.empty() && batching_.batch_timeout_micros == 0 &&
           (task.rows <= limit_ || batching_.adaptive) && pool_.EnterLocked();
    if (!here) {
      pool_.WakeLocked();  // first: without memory for all of its parts, a request may have left some in the queue
      full = EnqueueLocked(task);
      if (!full.ok() && task.queued - swept_ >= kSweep) {
        left = TakeLeftLocked(task.queued);
        if (!left.empty()) full = EnqueueLocked(task);
      }
    }
  }
  for (Task& other : left) Left(other, Clock::now());
  if (!full.ok()) return task.done(full);
  if (!here) return;
  Batch alone;
  alone.rows = task.rows;
  alone.tasks.push_back(std::move(task));
  RunBatch(std::move(alone));
  const std::lock_guard lock(pool_.mutex());
  pool_.LeaveLocked();
}

BatchSource::Clock::time_point BatchQueue::Due() const {
  if (batches_.empty()) return Clock::time_point::max();
  const Batch& first = batches_.front();
  if (first.closed) return Clock::time_point::min();
  constexpr std::int64_t kLongest = std::int64_t{366} * 24 * 3600 * 1'000'000;  // what lies further overflows the clock
  return first.tasks[0].queued + std::chrono::microseconds(std::min(batching_.batch_timeout_micros, kLongest));
}

void BatchQueue::RunNext(std::unique_lock<std::mutex>& lock) {
  Batch batch = std::move(batches_.front());
  batches_.pop_front();
  CountLocked(-batch.rows);
  lock.unlock();
  RunBatch(std::move(batch));
  lock.lock();
}

struct BatchQueue::Kept : BatchRound::Batch {
  explicit Kept(std::shared_ptr<BatchQueue> q) : queue(std::move(q)) {}
  void Run() override { queue->RunBatch(std::move(batch)); }
  const std::shared_ptr<BatchQueue> queue;
  BatchQueue::Batch batch;
};

void BatchQueue::KeepFor(BatchRound& round, Task task, std::int64_t limit) {
  auto* kept = static_cast<Kept*>(round.Find(this));
  if (kept != nullptr && kept->batch.rows + task.rows > limit) {
    round.Take(this)->Run();
    kept = nullptr;
  }
  if (kept == nullptr) {
    kept = static_cast<Kept*>(round.Keep(this, std::make_unique<Kept>(shared_from_this())));
    kept->batch.tasks.reserve(static_cast<std::size_t>(std::min<std::int64_t>(limit, 64)));
  }
  const std::int64_t rows = task.rows;
  kept->batch.tasks.push_back(std::move(task));
  kept->batch.rows += rows;
  if (kept->batch.rows >= limit) round.Take(this)->Run();
}

/// Takes the task, or leaves it as it is and says why not.
Status BatchQueue::EnqueueLocked(Task& task) {
  if (alone_) {
    OpenLocked();
    batches_.back().closed = true;
    batches_.back().tasks.push_back(std::move(task));
    return {};
  }
  // With adaptive limits a request that is larger than the limit stands alone; it is never cut.
  const std::int64_t room = batches_.empty() || batches_.back().closed ? 0 : limit_ - batches_.back().rows;
  const bool split = batching_.enable_large_batch_splitting && !batching_.adaptive && task.rows > room;
  const std::int64_t rest = split ? task.rows - std::max<std::int64_t>(room, 0) : task.rows;
  const std::int64_t opened = split ? rest / limit_ + (rest % limit_ != 0) : task.rows > room ? 1 : 0;
  const auto waiting = static_cast<std::int64_t>(batches_.size());
  // Adaptive batches may be as small as one row: as many rows may wait as in full ones.
  const std::int64_t full = batching_.max_enqueued_batches;
  const bool too_many =
      batching_.adaptive ? (waiting_rows_ + task.rows - 1) / batching_.max_batch_size >= full : waiting + opened > full;
  if (opened > 0 && too_many)
    return Status(Code::kUnavailable,
                  fmt::format("The batch scheduling queue to which this task was submitted is full; currently {} "
                              "batches enqueued and max_enqueued_batches is {}",
                              waiting, batching_.max_enqueued_batches));
  if (!split || (room <= 0 && task.rows <= limit_)) {
    AddLocked(std::move(task));
    return {};
  }
  std::vector<std::int64_t> sizes;
  if (room > 0) sizes.push_back(room);
  for (std::int64_t left = rest; left > 0; left -= limit_) sizes.push_back(std::min(left, limit_));
  // The rows are copied before anything is counted or moved: without memory the request is as it was.
  std::vector<std::vector<Literal>> inputs;
  std::int64_t from = 0;
  for (const std::int64_t rows : sizes) {
    Outputs piece = CutRows(task.inputs, from, rows);
    if (!piece.ok()) return piece.status();
    inputs.push_back(*std::move(piece));
    from += rows;
  }
  auto whole = std::make_shared<SplitRequest>(sizes.size(), std::move(task.done));
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    Task piece{.inputs = std::move(inputs[i]),
               .rows = sizes[i],
               .deadline = task.deadline,
               .waiter = task.waiter,
               .queued = task.queued};
    piece.done = [whole, i](Outputs outputs) { whole->Part(i, std::move(outputs)); };
    AddLocked(std::move(piece));
  }
  return {};
}

/// A new batch, with room for a task: without memory the queue is as it was. No batch of the queue is ever empty.
void BatchQueue::OpenLocked() {
  Batch batch;
  batch.tasks.reserve(1);
  batches_.push_back(std::move(batch));
}

void BatchQueue::AddLocked(Task task) {
  if (batches_.empty() || batches_.back().closed || batches_.back().rows + task.rows > limit_) {
    if (!batches_.empty()) batches_.back().closed = true;
    OpenLocked();
  }
  Batch& batch = batches_.back();
  const std::int64_t rows = task.rows;
  batch.tasks.push_back(std::move(task));
  batch.rows += rows;
  CountLocked(rows);
  if (batch.rows >= limit_) batch.closed = true;
}

/// Takes the requests whose waiter is gone out of the queue: they are in the way of others.
std::vector<BatchQueue::Task> BatchQueue::TakeLeftLocked(Clock::time_point now) {
  swept_ = now;
  const auto gone = [](const Task& task) { return task.waiter && task.waiter->gone(); };
  std::size_t most = 0;
  for (const Batch& batch : batches_) most += batch.tasks.size();
  std::vector<Task> left;
  left.reserve(most);  // all or nothing
  for (Batch& batch : batches_) {
    const auto from = std::stable_partition(batch.tasks.begin(), batch.tasks.end(), std::not_fn(gone));
    for (auto task = from; task != batch.tasks.end(); ++task) {
      batch.rows -= task->rows;
      CountLocked(-task->rows);
      left.push_back(std::move(*task));
    }
    batch.tasks.erase(from, batch.tasks.end());
  }
  std::erase_if(batches_, [](const Batch& batch) { return batch.tasks.empty(); });
  return left;
}

/// Whether nobody waits for the task any more: it has got its answer then.
bool BatchQueue::Left(Task& task, Clock::time_point now) const {
  if (task.waiter && task.waiter->gone())
    Give(task.done, Status(Code::kCancelled, "Request: its client has given up before the model had run"));
  else if (task.deadline <= now && alone_)
    Give(task.done, Status(Code::kDeadlineExceeded, "Request: the time limit passed before the model had run"));
  else if (task.deadline <= now)
    Give(task.done, Status(Code::kResourceExhausted, "Run() timeout exceeded while waiting in batching queue"));
  else
    return false;
  return true;
}

/// Throws nothing: the thread serves others too. A request that is left without an answer gets that of its Done's end.
void BatchQueue::RunBatch(Batch batch) {
  try {
    RunTasks(batch.tasks);
  } catch (const std::exception& error) {
    base::LogFailure(base::LogLevel::kError, "batch: not all of its requests were answered", error);
  }
}

void BatchQueue::RunTasks(std::vector<Task>& tasks) {
  const Clock::time_point now = Clock::now();
  std::size_t kept = 0;
  std::int64_t rows = 0;
  for (Task& task : tasks) {
    const auto waited = now - task.queued;
    queuing_latency_.Observe(std::chrono::duration<double, std::micro>(waited).count());
    stage_seconds_.Observe(std::chrono::duration<double>(waited).count());
    if (Left(task, now)) continue;
    rows += task.rows;
    if (&task != &tasks[kept]) tasks[kept] = std::move(task);
    ++kept;
  }
  tasks.erase(tasks.begin() + static_cast<std::ptrdiff_t>(kept), tasks.end());
  if (tasks.empty()) return;
  if (alone_) return Give(tasks[0].done, RunSafely(tasks, 0));
  const Outputs outputs = RunSafely(tasks, rows);
  if (metrics_->tracer.active()) metrics_->tracer.AddOnThread(trace_name_, now, rows);
  if (outputs.ok()) Learn(rows, Clock::now() - now);  // a run that fails may end early
  if (outputs.ok()) {
    std::int64_t from = 0;
    for (Task& task : tasks) {
      Give(task.done, CutRows(*outputs, from, task.rows));
      from += task.rows;
    }
  } else if (tasks.size() == 1) {
    Give(tasks[0].done, outputs.status());
  } else {
    for (Task& task : tasks) RunAlone(task);  // which of them is at fault
  }
}

void BatchQueue::RunAlone(Task& task) {
  Servable::Done done = std::move(task.done);
  const std::int64_t rows = task.rows;
  Outputs outputs = Status(Code::kInternal, "batch: it has not run");
  try {
    std::vector<Task> one;
    one.push_back(std::move(task));
    outputs = RunSafely(one, rows);
    if (outputs.ok()) outputs = CutRows(*outputs, 0, rows);
  } catch (const std::exception& error) {
    outputs = NoMemoryForRows(error);
  }
  Give(done, std::move(outputs));
}

BatchQueue::Outputs BatchQueue::RunSafely(const std::vector<Task>& tasks, std::int64_t rows) {
  try {
    return RunRows(tasks, rows);
  } catch (const Error& error) {
    return error.status();
  } catch (const std::bad_alloc&) {
    return Status(Code::kResourceExhausted, "batch: no memory to run it");
  } catch (const std::exception& error) {
    return Status(Code::kInternal, std::string("batch: ") + error.what());
  }
}

std::int64_t BatchQueue::Padding(std::size_t tasks, std::int64_t rows) const {
  const auto allowed = std::ranges::lower_bound(batching_.allowed_batch_sizes, rows);
  if (rows > 0 && allowed != batching_.allowed_batch_sizes.end()) return *allowed - rows;
  if (!batching_.adaptive || tasks < 2) return 0;
  return std::clamp<std::int64_t>(AdaptiveLimit::Padded(rows), rows, std::max(rows, RunLimit())) - rows;
}

/// The outputs of all tasks one after the other, maybe with rows of padding behind them.
BatchQueue::Outputs BatchQueue::RunRows(const std::vector<Task>& tasks, std::int64_t rows) {
  if (alone_) return inner_->Run(signature_, tasks[0].inputs, wanted_, tasks[0].deadline);
  const std::int64_t padding = Padding(tasks.size(), rows);
  std::vector<Literal> inputs;
  if (tasks.size() == 1 && padding == 0) {
    inputs = tasks[0].inputs;
  } else {
    for (std::size_t i = 0; i < tasks[0].inputs.size(); ++i) {
      std::vector<const Literal*> parts;
      for (const Task& task : tasks) parts.push_back(&task.inputs[i]);
      Result<Literal> joined =
          JoinRows(parts, padding, batching_.pad_variable_length_inputs, signature_.inputs[i].alias);
      if (!joined.ok()) return joined.status();
      inputs.push_back(*std::move(joined));
    }
  }
  Deadline latest = tasks[0].deadline;
  for (const Task& task : tasks) latest = std::max(latest, task.deadline);
  metrics_->wrapped_run_count.At({}).Add();
  metrics_->processed_batch_size.At({}).Observe(static_cast<double>(rows + padding));
  metrics_->padding_size.At({std::to_string(rows + padding)}).Observe(static_cast<double>(padding));
  batch_size_.Observe(static_cast<double>(rows));
  Outputs outputs = inner_->Run(signature_, std::move(inputs), wanted_, latest);
  if (!outputs.ok()) return outputs;
  if (const Status fits = CheckOutputs(*outputs, rows + padding); !fits.ok()) return fits;
  return outputs;
}

void BatchQueue::Learn(std::int64_t rows, Clock::duration took) {
  if (!batching_.adaptive || rows == 0) return;
  const std::lock_guard lock(pool_.mutex());
  adaptive_.Learn(rows, took);
  limit_ = adaptive_.limit();
  const std::int64_t in_round = adaptive_.LimitWithin(kShortRun);
  round_limit_.store(in_round, std::memory_order_relaxed);
  short_batches_->store(in_round > 0, std::memory_order_relaxed);
}

}  // namespace tenon::serve
