#include "serve/core/task_pool.h"

#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "base/log_failure.h"

namespace tenon::serve {

struct TaskPool::State {
  std::mutex mutex;
  std::condition_variable work, ended;
  std::deque<std::function<void()>> tasks;
  std::vector<std::thread> threads;
  std::string name;
  int limit = 1;
  int running = 0;  // threads alive
  int idle = 0;
  bool stopping = false;

  /// Another thread, if the system has one to give.
  static bool StartLocked(const std::shared_ptr<State>& self) {
    try {
      self->threads.emplace_back(&State::Run, self);
    } catch (const std::exception& error) {  // no memory, or too many threads
      base::LogFailure(base::LogLevel::kWarning, "a thread could not be started", error);
      return false;
    }
    ++self->running;
    return true;
  }

  void RunSafely(const std::function<void()>& task) const {
    try {
      task();
    } catch (const std::exception& error) {
      base::LogFailure(base::LogLevel::kError, name, error);
    }
  }

  static void Run(const std::shared_ptr<State>& self) {
    ::pthread_setname_np(::pthread_self(), self->name.c_str());
    std::unique_lock lock(self->mutex);
    for (;;) {
      ++self->idle;
      const auto surplus = [&] { return self->running > self->limit; };
      self->work.wait(lock, [&] { return self->stopping || !self->tasks.empty() || surplus(); });
      --self->idle;
      if (self->tasks.empty() || surplus()) {
        self->work.notify_one();  // what this thread was woken for is another one's
        break;
      }
      std::function<void()> task = std::move(self->tasks.front());
      self->tasks.pop_front();
      lock.unlock();
      self->RunSafely(task);
      task = nullptr;  // what it owns dies outside the lock
      lock.lock();
    }
    --self->running;
    self->ended.notify_all();
  }
};

TaskPool::TaskPool(int max_threads, std::string name) : state_(std::make_shared<State>()) {
  state_->limit = max_threads < 1 ? 1 : max_threads;
  state_->name = std::move(name);
  state_->name.resize(std::min<std::size_t>(state_->name.size(), 15));
}

TaskPool::~TaskPool() { Stop(); }

bool TaskPool::Push(std::function<void()> task) {
  const std::lock_guard lock(state_->mutex);
  if (state_->stopping) return false;
  state_->tasks.push_back(std::move(task));
  if (static_cast<std::size_t>(state_->idle) < state_->tasks.size() && state_->running < state_->limit &&
      !State::StartLocked(state_) && state_->running == 0) {
    task = std::move(state_->tasks.back());  // dies outside the lock
    state_->tasks.pop_back();
    return false;
  }
  state_->work.notify_one();
  return true;
}

void TaskPool::SetLimit(int max_threads) {
  const std::lock_guard lock(state_->mutex);
  state_->limit = std::max(1, max_threads);
  for (std::size_t taken = static_cast<std::size_t>(state_->idle);
       !state_->stopping && taken < state_->tasks.size() && state_->running < state_->limit; ++taken)
    if (!State::StartLocked(state_)) break;
  state_->work.notify_all();
}

std::size_t TaskPool::Waiting() const {
  const std::lock_guard lock(state_->mutex);
  return state_->tasks.size();
}

bool TaskPool::Stop(std::chrono::steady_clock::time_point until) {
  std::unique_lock lock(state_->mutex);
  if (state_->stopping && state_->threads.empty()) return state_->running == 0;
  state_->stopping = true;
  state_->work.notify_all();
  const auto ended = [&] { return state_->running == 0; };
  bool all = true;
  if (until == std::chrono::steady_clock::time_point::max())
    state_->ended.wait(lock, ended);  // wait_until(max) would overflow
  else
    all = state_->ended.wait_until(lock, until, ended);
  std::vector<std::thread> threads = std::move(state_->threads);
  state_->threads.clear();
  lock.unlock();
  for (std::thread& thread : threads) {
    if (all)
      thread.join();
    else
      thread.detach();
  }
  return all;
}

}  // namespace tenon::serve
