#include "serve/core/batch_pool.h"

#include <pthread.h>

#include <algorithm>

namespace tenon::serve {

using Clock = BatchSource::Clock;

BatchPool::BatchPool(int threads)
    : limit_(threads > 0 ? threads : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()))) {
  for (int i = 0; i < limit_; ++i) threads_.emplace_back([this] { Loop(); });
}

BatchPool::~BatchPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    work_.notify_all();
  }
  for (std::thread& thread : threads_) thread.join();
}

void BatchPool::Add(std::shared_ptr<BatchSource> source) {
  const std::lock_guard lock(mutex_);
  sources_.push_back({.source = std::move(source)});
}

void BatchPool::Remove(const BatchSource* source) {
  std::unique_lock lock(mutex_);
  const auto find = [&] {
    return std::ranges::find_if(sources_, [&](const Entry& e) { return e.source.get() == source; });
  };
  if (const auto it = find(); it != sources_.end()) it->leaving = true;
  work_.notify_all();
  idle_.wait(lock, [&] {
    const auto it = find();
    return it == sources_.end() || (it->running == 0 && it->source->Due() == Clock::time_point::max());
  });
  if (const auto it = find(); it != sources_.end()) sources_.erase(it);
  next_ = 0;
}

bool BatchPool::EnterLocked() {
  if (busy_ >= limit_) return false;
  ++busy_;
  return true;
}

void BatchPool::LeaveLocked() {
  --busy_;
  work_.notify_one();
  idle_.notify_all();
}

void BatchPool::Loop() {
  ::pthread_setname_np(::pthread_self(), "tenon-batch");
  std::unique_lock lock(mutex_);
  for (;;) {
    const Clock::time_point now = Clock::now();
    Clock::time_point soonest = Clock::time_point::max();
    std::size_t chosen = sources_.size();
    if (busy_ < limit_) {
      for (std::size_t i = 0; i < sources_.size() && chosen == sources_.size(); ++i) {
        const std::size_t at = (next_ + i) % sources_.size();
        const Clock::time_point due = sources_[at].source->Due();
        const bool at_once = stopping_ || sources_[at].leaving;
        if (due <= now || (at_once && due != Clock::time_point::max())) chosen = at;
        soonest = std::min(soonest, due);
      }
    }
    if (chosen < sources_.size()) {
      next_ = chosen + 1;
      const std::shared_ptr<BatchSource> source = sources_[chosen].source;
      ++sources_[chosen].running;
      ++busy_;
      std::function<void()> run = source->Take();
      lock.unlock();
      run();
      run = nullptr;
      lock.lock();
      --busy_;
      for (Entry& entry : sources_)
        if (entry.source == source) --entry.running;
      idle_.notify_all();
      continue;
    }
    if (stopping_) return;
    if (soonest == Clock::time_point::max())
      work_.wait(lock);
    else
      work_.wait_until(lock, soonest);
  }
}

}  // namespace tenon::serve
