#include "serve/core/batching.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <deque>
#include <optional>
#include <semaphore>

#include "serve/core/batch_tensors.h"

namespace tenon::serve {
namespace {

using Clock = std::chrono::steady_clock;
using Outputs = Result<std::vector<Literal>>;

/// A request that was cut into several tasks: done when the last of them is.
struct Parent {
  std::mutex mutex;
  std::size_t missing = 0;
  std::vector<std::vector<Literal>> parts;  // outputs by task
  Status error;
  Servable::Done done;

  void Part(std::size_t at, Outputs outputs) {
    {
      const std::lock_guard lock(mutex);
      if (outputs.ok())
        parts[at] = *std::move(outputs);
      else if (error.ok())
        error = outputs.status();
      if (--missing > 0) return;
    }
    if (!error.ok()) return done(error);
    std::vector<Literal> joined;
    for (std::size_t i = 0; i < parts[0].size(); ++i) {
      std::vector<const Literal*> pieces;
      for (const auto& part : parts) pieces.push_back(&part[i]);
      Result<Literal> one = JoinRows(pieces, 0, false, "output");
      if (!one.ok()) return done(one.status());
      joined.push_back(*std::move(one));
    }
    done(std::move(joined));
  }
};

struct Task {
  std::vector<Literal> inputs = {};
  std::int64_t rows = 0;
  Deadline deadline = kNoDeadline;
  Clock::time_point queued = {};
  Servable::Done done = {};
};

struct Batch {
  std::vector<Task> tasks = {};
  std::int64_t rows = 0;
  bool closed = false;
};

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

/// One signature with one set of outputs. Members without "Locked" are called without the pool's lock.
class BatchingServable::Queue : public BatchSource, public std::enable_shared_from_this<BatchingServable::Queue> {
 public:
  Queue(Servable& inner, const Signature& signature, std::vector<int> wanted, const Batching& batching, BatchPool& pool,
        ServerMetrics& metrics, const ServableId& id)
      : inner_(inner),
        signature_(signature),
        wanted_(std::move(wanted)),
        batching_(batching),
        pool_(pool),
        metrics_(metrics),
        model_(id.name),
        version_(std::to_string(id.version)),
        limit_(batching.adaptive ? 1 : RunLimit()) {
    GaugeLocked(0);  // the gauge is there from now on
  }

  void Submit(std::vector<Literal> inputs, Deadline deadline, Done done) {
    const Result<std::int64_t> rows = BatchRows(inputs);
    if (!rows.ok()) return done(rows.status());
    metrics_.input_batch_size.At({}).Observe(static_cast<double>(*rows));
    if (*rows > batching_.max_batch_size)
      return done(Status(Code::kInvalidArgument, fmt::format("Task size {} is larger than maximum input batch size {}",
                                                             *rows, batching_.max_batch_size)));
    Task task{.inputs = std::move(inputs), .rows = *rows, .deadline = deadline, .queued = Clock::now()};
    task.done = std::move(done);
    Status full;
    bool here = false;
    Batch alone;
    {
      const std::lock_guard lock(pool_.mutex());
      if (batches_.empty() && batching_.batch_timeout_micros == 0 && (*rows <= limit_ || batching_.adaptive) &&
          pool_.EnterLocked()) {
        here = true;
      } else {
        full = EnqueueLocked(task);
        if (full.ok()) pool_.WakeLocked();
      }
    }
    if (!full.ok()) return task.done(full);
    if (!here) return;
    alone.rows = task.rows;
    alone.tasks.push_back(std::move(task));
    RunBatch(std::move(alone));
    const std::lock_guard lock(pool_.mutex());
    pool_.LeaveLocked();
  }

  Clock::time_point Due() const override {
    if (batches_.empty()) return Clock::time_point::max();
    const Batch& first = batches_.front();
    if (first.closed) return Clock::time_point::min();
    constexpr std::int64_t kLongest =
        std::int64_t{366} * 24 * 3600 * 1'000'000;  // what lies further overflows the clock
    return first.tasks[0].queued + std::chrono::microseconds(std::min(batching_.batch_timeout_micros, kLongest));
  }
  std::function<void()> Take() override {
    auto batch = std::make_shared<Batch>(std::move(batches_.front()));
    batches_.pop_front();
    GaugeLocked(-batch->rows);
    return [self = shared_from_this(), batch] { self->RunBatch(std::move(*batch)); };
  }

 private:
  std::int64_t RunLimit() const {
    return batching_.enable_large_batch_splitting && batching_.max_execution_batch_size > 0
               ? batching_.max_execution_batch_size
               : batching_.max_batch_size;
  }
  void GaugeLocked(std::int64_t rows) { metrics_.queue_length.At({model_, version_}).Add(static_cast<double>(rows)); }

  /// Takes the task, or leaves it as it is and says why not.
  Status EnqueueLocked(Task& task) {
    // With adaptive limits a request that is larger than the limit stands alone; it is never cut.
    const std::int64_t room = batches_.empty() || batches_.back().closed ? 0 : limit_ - batches_.back().rows;
    const bool split = batching_.enable_large_batch_splitting && !batching_.adaptive && task.rows > room;
    const std::int64_t rest = split ? task.rows - std::max<std::int64_t>(room, 0) : task.rows;
    const std::int64_t opened = split ? rest / limit_ + (rest % limit_ != 0) : task.rows > room ? 1 : 0;
    const auto waiting = static_cast<std::int64_t>(batches_.size());
    if (opened > 0 && waiting + opened > batching_.max_enqueued_batches)
      return Status(Code::kUnavailable,
                    fmt::format("The batch scheduling queue to which this task was submitted is full; currently {} "
                                "batches enqueued and max_enqueued_batches is {}",
                                waiting, batching_.max_enqueued_batches));
    GaugeLocked(task.rows);
    if (!split || (room <= 0 && task.rows <= limit_)) {
      AddLocked(std::move(task));
      return {};
    }
    std::vector<std::int64_t> sizes;
    if (room > 0) sizes.push_back(room);
    for (std::int64_t left = rest; left > 0; left -= limit_) sizes.push_back(std::min(left, limit_));
    auto parent = std::make_shared<Parent>();
    parent->missing = sizes.size();
    parent->parts.resize(sizes.size());
    parent->done = std::move(task.done);
    std::int64_t from = 0;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      Task piece{.rows = sizes[i], .deadline = task.deadline, .queued = task.queued};
      for (const Literal& input : task.inputs) piece.inputs.push_back(Rows(input, from, sizes[i]));
      piece.done = [parent, i](Outputs outputs) { parent->Part(i, std::move(outputs)); };
      from += sizes[i];
      AddLocked(std::move(piece));
    }
    return {};
  }

  void AddLocked(Task task) {
    if (batches_.empty() || batches_.back().closed || batches_.back().rows + task.rows > limit_) {
      if (!batches_.empty()) batches_.back().closed = true;
      batches_.emplace_back();
    }
    Batch& batch = batches_.back();
    batch.rows += task.rows;
    batch.tasks.push_back(std::move(task));
    if (batch.rows >= limit_) batch.closed = true;
  }

  void RunBatch(Batch batch) {
    const Clock::time_point now = Clock::now();
    std::vector<Task> tasks;
    std::int64_t rows = 0;
    for (Task& task : batch.tasks) {
      const auto waited = now - task.queued;
      metrics_.queuing_latency.At({batching_.thread_pool_name})
          .Observe(std::chrono::duration<double, std::micro>(waited).count());
      metrics_.stage_seconds.At({model_, version_, "queue"}).Observe(std::chrono::duration<double>(waited).count());
      if (task.deadline <= now) {
        task.done(Status(Code::kResourceExhausted, "Run() timeout exceeded while waiting in batching queue"));
        continue;
      }
      rows += task.rows;
      tasks.push_back(std::move(task));
    }
    if (tasks.empty()) return;
    const Outputs outputs = RunSafely(tasks, rows);
    Learn(rows, Clock::now() - now);
    if (outputs.ok()) {
      std::int64_t from = 0;
      for (Task& task : tasks) {
        task.done(Cut(*outputs, from, task.rows));
        from += task.rows;
      }
    } else if (tasks.size() == 1) {
      tasks[0].done(outputs.status());
    } else {
      for (Task& task : tasks) {  // which of them is at fault
        Batch one;
        one.rows = task.rows;
        one.tasks.push_back(std::move(task));
        RunAlone(std::move(one.tasks[0]));
      }
    }
  }

  void RunAlone(Task task) {
    std::vector<Task> one;
    one.push_back(std::move(task));
    Outputs outputs = RunSafely(one, one[0].rows);
    one[0].done(outputs.ok() ? Cut(*outputs, 0, one[0].rows) : std::move(outputs));
  }

  static Outputs Cut(const std::vector<Literal>& outputs, std::int64_t from, std::int64_t rows) {
    try {
      std::vector<Literal> own;
      for (const Literal& output : outputs) own.push_back(Rows(output, from, rows));
      return own;
    } catch (const std::exception& error) {
      return Status(Code::kResourceExhausted,
                    std::string("batch: no memory for the rows of a request: ") + error.what());
    }
  }

  Outputs RunSafely(const std::vector<Task>& tasks, std::int64_t rows) {
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

  /// The outputs of all tasks one after the other, maybe with rows of padding behind them.
  Outputs RunRows(const std::vector<Task>& tasks, std::int64_t rows) {
    const auto allowed = std::ranges::lower_bound(batching_.allowed_batch_sizes, rows);
    const std::int64_t padding = rows == 0 || allowed == batching_.allowed_batch_sizes.end() ? 0 : *allowed - rows;
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
    metrics_.wrapped_run_count.At({}).Add();
    metrics_.processed_batch_size.At({}).Observe(static_cast<double>(rows + padding));
    metrics_.padding_size.At({std::to_string(rows + padding)}).Observe(static_cast<double>(padding));
    metrics_.batch_size.At({model_, version_}).Observe(static_cast<double>(rows));
    Outputs outputs = inner_.Run(signature_, std::move(inputs), wanted_, latest);
    if (!outputs.ok()) return outputs;
    if (const Status fits = CheckOutputs(*outputs, rows + padding); !fits.ok()) return fits;
    return outputs;
  }

  /// Moves the adaptive limit by what a row cost at this size.
  void Learn(std::int64_t rows, Clock::duration took) {
    if (!batching_.adaptive || rows == 0) return;
    const double each = std::chrono::duration<double, std::micro>(took).count() / static_cast<double>(rows);
    const std::lock_guard lock(pool_.mutex());
    std::size_t size = 0;
    while (size + 1 < cost_.size() && (std::int64_t{2} << size) <= rows) ++size;
    double& cost = cost_[size];
    cost = cost == 0 ? each : cost + (each - cost) / 8;
    if (++learned_ % 1000 == 0) cost_.fill(0);  // the machine may have changed: measure anew
    std::int64_t best = 1;
    for (std::size_t s = 0; s + 1 < cost_.size() && (std::int64_t{2} << s) <= RunLimit(); ++s) {
      if (cost_[s] == 0) break;     // nothing known of this size yet
      best = std::int64_t{2} << s;  // try the next one
      if (cost_[s + 1] != 0 && cost_[s + 1] > 0.9 * cost_[s]) {
        best = std::int64_t{1} << s;
        break;
      }
    }
    limit_ = std::min(best, RunLimit());
  }

  Servable& inner_;
  const Signature& signature_;
  const std::vector<int> wanted_;
  const Batching& batching_;
  BatchPool& pool_;
  ServerMetrics& metrics_;
  const std::string model_, version_;
  std::deque<Batch> batches_;      // guarded by the pool's lock, as are the rest
  std::int64_t limit_;             // rows of a batch
  std::array<double, 16> cost_{};  // us of a row at 1, 2, 4, …; 0: not measured
  std::int64_t learned_ = 0;
};

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

BatchingServable::Queue& BatchingServable::QueueOf(const Signature& signature, std::span<const int> wanted) {
  const auto at = static_cast<std::size_t>(&signature - signatures().data());
  const std::lock_guard lock(queues_mutex_);
  std::shared_ptr<Queue>& queue = queues_[{at, std::vector<int>(wanted.begin(), wanted.end())}];
  if (!queue) {
    queue = std::make_shared<Queue>(*inner_, signature, std::vector<int>(wanted.begin(), wanted.end()), batching_,
                                    *pool_, *metrics_, id_);
    pool_->Add(queue);
  }
  return *queue;
}

void BatchingServable::RunAsync(const Signature& signature, std::vector<Literal> inputs, std::span<const int> wanted,
                                Deadline deadline, Done done) {
  const bool free_rows = !signature.inputs.empty() && std::ranges::all_of(signature.inputs, [](const TensorInfo& i) {
    return i.unknown_rank || (!i.dims.empty() && i.dims[0] < 0);
  });
  if (!free_rows) return done(inner_->Run(signature, std::move(inputs), wanted, deadline));
  QueueOf(signature, wanted).Submit(std::move(inputs), deadline, std::move(done));
}

Result<std::vector<Literal>> BatchingServable::Run(const Signature& signature, std::vector<Literal> inputs,
                                                   std::span<const int> wanted, Deadline deadline) {
  std::optional<Result<std::vector<Literal>>> result;
  std::binary_semaphore ready(0);
  RunAsync(signature, std::move(inputs), wanted, deadline, [&](Result<std::vector<Literal>> outputs) {
    result.emplace(std::move(outputs));
    ready.release();
  });
  ready.acquire();
  return *std::move(result);
}

}  // namespace tenon::serve
