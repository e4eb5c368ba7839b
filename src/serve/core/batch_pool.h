// BatchPool: the threads that run batches, and the queues that they take them from in turn.
#pragma once
#include <chrono>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace tenon::serve {

/// Something that has work at certain times. Its members are called under the pool's lock; they must not block while
/// they hold it.
class BatchSource {
 public:
  using Clock = std::chrono::steady_clock;
  virtual ~BatchSource() = default;
  /// When the next batch may run: in the past for at once, Clock::time_point::max() for none.
  virtual Clock::time_point Due() const = 0;
  /// Takes that batch and runs it, with `lock` let go meanwhile. The batch is gone when the lock is held again. Takes
  /// no memory before it has let go.
  virtual void RunNext(std::unique_lock<std::mutex>& lock) = 0;
};

/// Shared by the models of a server. Thread-safe. What its threads run may let go of the last reference to a source's
/// owner and to the pool: Remove and the destructor do not wait for the thread that calls them.
class BatchPool {
 public:
  /// At most that many threads (<= 0: one for each processor): where the system grants fewer, those do the work. Throws
  /// std::system_error where it grants none.
  explicit BatchPool(int threads);
  ~BatchPool();  // runs what is there, then joins
  BatchPool(const BatchPool&) = delete;
  BatchPool& operator=(const BatchPool&) = delete;

  /// Guards the sources; hold it to change what Due and Take see.
  std::mutex& mutex();
  void Add(std::shared_ptr<BatchSource> source);
  /// The source is drained first: returns when it has nothing more to run and nothing of it runs. On a thread of the
  /// pool it returns at once, and the pool lets go of the source when that is so.
  void Remove(const BatchSource* source);
  /// From now on all that is queued is due at once: a server that stops gets no requests to wait for.
  void RunAtOnce();
  /// Something became due earlier. With the lock held.
  void WakeLocked();
  /// The caller may run a batch itself, as one of the threads: true when not all of them are busy. With the lock held;
  /// followed by LeaveLocked.
  bool EnterLocked();
  void LeaveLocked();

 private:
  struct State;  // the threads', which may outlive the pool
  const std::shared_ptr<State> state_;
  std::vector<std::thread> threads_;
};

}  // namespace tenon::serve
