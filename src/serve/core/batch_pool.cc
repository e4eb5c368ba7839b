#include "serve/core/batch_pool.h"

#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <exception>

namespace tenon::serve {

using Clock = BatchSource::Clock;

struct BatchPool::State {
  struct Entry {
    std::shared_ptr<BatchSource> source = {};
    int running = 0;
    bool leaving = false;   // all that it has is due
    bool orphaned = false;  // nobody waits for its end: the threads erase it
    bool over() const { return running == 0 && source->Due() == Clock::time_point::max(); }
  };
  int limit = 1;
  std::mutex mutex;
  std::condition_variable work, idle;
  std::vector<Entry> sources;
  std::size_t next = 0;  // where the search begins
  int busy = 0;
  bool stopping = false, at_once = false;

  void Loop();
  void DropOrphans(std::unique_lock<std::mutex>& lock);
  auto Find(const BatchSource* source) {
    return std::ranges::find_if(sources, [&](const Entry& e) { return e.source.get() == source; });
  }
  /// Whose thread this is; null for one of no pool.
  static thread_local const State* own;
};

thread_local const BatchPool::State* BatchPool::State::own = nullptr;

BatchPool::BatchPool(int threads) : state_(std::make_shared<State>()) {
  state_->limit = threads > 0 ? threads : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  const std::lock_guard lock(state_->mutex);
  try {
    while (static_cast<int>(threads_.size()) < state_->limit)
      threads_.emplace_back([state = state_] {
        ::pthread_setname_np(::pthread_self(), "tenon-batch");
        State::own = state.get();
        state->Loop();
      });
  } catch (const std::exception&) {  // no memory, or more threads than the system grants
    if (threads_.empty()) throw;
    state_->limit = static_cast<int>(threads_.size());
  }
}

BatchPool::~BatchPool() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
    state_->work.notify_all();
  }
  for (std::thread& thread : threads_) {
    if (State::own == state_.get())
      thread.detach();  // a thread cannot wait for itself: each ends when it finds nothing more
    else
      thread.join();
  }
}

std::mutex& BatchPool::mutex() { return state_->mutex; }

void BatchPool::Add(std::shared_ptr<BatchSource> source) {
  const std::lock_guard lock(state_->mutex);
  state_->sources.push_back({.source = std::move(source)});
}

void BatchPool::Remove(const BatchSource* source) {
  State& state = *state_;
  std::shared_ptr<BatchSource> last;  // dies outside the lock
  std::unique_lock lock(state.mutex);
  auto it = state.Find(source);
  if (it == state.sources.end()) return;
  it->leaving = true;
  state.work.notify_all();
  if (State::own == &state) {
    it->orphaned = true;
    return;
  }
  state.idle.wait(lock, [&] {
    it = state.Find(source);
    return it == state.sources.end() || it->over();
  });
  if (it == state.sources.end()) return;
  last = std::move(it->source);
  state.sources.erase(it);
  state.next = 0;
  lock.unlock();
}

void BatchPool::RunAtOnce() {
  const std::lock_guard lock(state_->mutex);
  state_->at_once = true;
  state_->work.notify_all();
}

void BatchPool::WakeLocked() { state_->work.notify_one(); }

bool BatchPool::EnterLocked() {
  if (state_->busy >= state_->limit) return false;
  ++state_->busy;
  return true;
}

void BatchPool::LeaveLocked() {
  --state_->busy;
  state_->work.notify_one();
  state_->idle.notify_all();
}

void BatchPool::State::DropOrphans(std::unique_lock<std::mutex>& lock) {
  for (;;) {
    const auto it = std::ranges::find_if(sources, [](const Entry& e) { return e.orphaned && e.over(); });
    if (it == sources.end()) return;
    std::shared_ptr<BatchSource> last = std::move(it->source);
    sources.erase(it);
    next = 0;
    lock.unlock();
    last.reset();
    lock.lock();
  }
}

void BatchPool::State::Loop() {
  std::unique_lock lock(mutex);
  for (;;) {
    const Clock::time_point now = Clock::now();
    Clock::time_point soonest = Clock::time_point::max();
    std::size_t chosen = sources.size();
    if (busy < limit) {
      for (std::size_t i = 0; i < sources.size() && chosen == sources.size(); ++i) {
        const std::size_t at = (next + i) % sources.size();
        const Clock::time_point due = sources[at].source->Due();
        const bool hurried = stopping || at_once || sources[at].leaving;
        if (due <= now || (hurried && due != Clock::time_point::max())) chosen = at;
        soonest = std::min(soonest, due);
      }
    }
    if (chosen < sources.size()) {
      next = chosen + 1;
      const BatchSource* const source = sources[chosen].source.get();  // the entry stays while it runs
      ++sources[chosen].running;
      ++busy;
      sources[chosen].source->RunNext(lock);
      --busy;
      --Find(source)->running;
      DropOrphans(lock);
      idle.notify_all();
      continue;
    }
    if (stopping) return;
    if (soonest == Clock::time_point::max())
      work.wait(lock);
    else
      work.wait_until(lock, soonest);
  }
}

}  // namespace tenon::serve
