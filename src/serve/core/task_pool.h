// TaskPool: threads that run tasks in the order of their arrival.
#pragma once
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace tenon::serve {

/// Threads are started when a task finds none idle, up to the limit, and live until Stop. All members may be called
/// from any thread. What a task throws is logged and ends nothing but the task.
class TaskPool {
 public:
  /// `name` (at most 15 bytes) is shown by the system's tools.
  TaskPool(int max_threads, std::string name);
  ~TaskPool();  // Stop without a time limit
  TaskPool(const TaskPool&) = delete;
  TaskPool& operator=(const TaskPool&) = delete;

  /// `task`: what a std::function<void()> takes. False, and the task is dropped, after Stop, and where there is no
  /// memory for it or not one thread. Throws nothing.
  template <class Task>
  [[nodiscard]] bool Submit(Task&& task) {
    try {
      return Push(std::function<void()>(std::forward<Task>(task)));
    } catch (const std::exception&) {
      return false;
    }
  }
  /// Another limit from now on, at least 1. Threads beyond it end with their task; tasks that wait
  /// get the threads that a higher one allows.
  void SetLimit(int max_threads);
  /// Tasks that wait for a thread.
  std::size_t Waiting() const;
  /// Runs what was submitted, then ends the threads. Threads that are still busy at `until` are left to themselves (and
  /// end with their task): false. A task must therefore own what it uses.
  bool Stop(std::chrono::steady_clock::time_point until = std::chrono::steady_clock::time_point::max());

 private:
  bool Push(std::function<void()> task);
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace tenon::serve
