// TaskPool: threads that run tasks in the order of their arrival.
#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace tenon::serve {

/// Threads are started when a task finds none idle, up to the limit, and live until Stop. All members may be called
/// from any thread. Tasks must not throw.
class TaskPool {
 public:
  /// `name` (at most 15 bytes) is shown by the system's tools.
  TaskPool(int max_threads, std::string name);
  ~TaskPool();  // Stop without a time limit
  TaskPool(const TaskPool&) = delete;
  TaskPool& operator=(const TaskPool&) = delete;

  /// False, and the task is dropped, after Stop.
  bool Submit(std::function<void()> task);
  /// Another limit from now on, at least 1. Threads beyond it end with their task; tasks that wait
  /// get the threads that a higher one allows.
  void SetLimit(int max_threads);
  /// Tasks that wait for a thread.
  std::size_t Waiting() const;
  /// Runs what was submitted, then ends the threads. Threads that are still busy at `until` are left to themselves (and
  /// end with their task): false. A task must therefore own what it uses.
  bool Stop(std::chrono::steady_clock::time_point until = std::chrono::steady_clock::time_point::max());

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace tenon::serve
