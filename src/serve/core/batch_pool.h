// BatchPool: the threads that run batches, and the queues that they take them from in turn.
#pragma once
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace tenon::serve {

/// Something that has work at certain times. Its members are called under the pool's lock; they must not block.
class BatchSource {
 public:
  using Clock = std::chrono::steady_clock;
  virtual ~BatchSource() = default;
  /// When the next batch may run: in the past for at once, Clock::time_point::max() for none.
  virtual Clock::time_point Due() const = 0;
  /// Takes that batch; the function runs it, outside the lock.
  virtual std::function<void()> Take() = 0;
};

/// Shared by the models of a server. Thread-safe; must outlive its sources' use of it.
class BatchPool {
 public:
  explicit BatchPool(int threads);
  ~BatchPool();  // runs what is there, then joins
  BatchPool(const BatchPool&) = delete;
  BatchPool& operator=(const BatchPool&) = delete;

  /// Guards the sources; hold it to change what Due and Take see.
  std::mutex& mutex() { return mutex_; }
  void Add(std::shared_ptr<BatchSource> source);
  /// The source is drained first: returns when it has nothing more to run and nothing of it runs.
  void Remove(const BatchSource* source);
  /// Something became due earlier. With the lock held.
  void WakeLocked() { work_.notify_one(); }
  /// The caller may run a batch itself, as one of the threads: true when not all of them are busy. With the lock held;
  /// followed by LeaveLocked.
  bool EnterLocked();
  void LeaveLocked();

 private:
  struct Entry {
    std::shared_ptr<BatchSource> source = {};
    int running = 0;
    bool leaving = false;  // all that it has is due
  };
  void Loop();
  const int limit_;
  std::mutex mutex_;
  std::condition_variable work_, idle_;
  std::vector<Entry> sources_;
  std::size_t next_ = 0;  // where the search begins
  int busy_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace tenon::serve
