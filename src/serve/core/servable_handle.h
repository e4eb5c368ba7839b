// ServableHandle: keeps one loaded version alive while a request uses it, and pins nothing else.
#pragma once
#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>

#include "serve/core/loader.h"

namespace tenon::serve {

/// What is known of the time that a version's runs take: the slowest of the recent ones. One run alone at most doubles
/// it (the system may have taken the processor away meanwhile); several in a row are believed. Any thread.
class RunCost {
 public:
  void Add(std::chrono::nanoseconds took) {
    constexpr std::int64_t kStep = 20'000;  // a run this short is never held against a version
    const std::int64_t old = slowest_.load(std::memory_order_relaxed);
    const std::int64_t decayed = old - old / 64;
    const std::int64_t seen = old < 0 ? took.count() : std::min<std::int64_t>(took.count(), 2 * decayed + kStep);
    slowest_.store(std::max(seen, decayed), std::memory_order_relaxed);
  }
  /// Below zero while nothing has run yet.
  std::chrono::nanoseconds estimate() const {
    return std::chrono::nanoseconds(slowest_.load(std::memory_order_relaxed));
  }

 private:
  std::atomic<std::int64_t> slowest_{-1};
};

/// A version that is available. The manager holds one reference, each handle another; the last one to go tells the
/// manager, which then unloads. Holds the loader, so that a handle stays valid even without its manager.
struct LiveVersion {
  LiveVersion(ServableId id_, std::shared_ptr<Loader> loader_, std::function<void()> released_)
      : id(std::move(id_)), loader(std::move(loader_)), servable(loader->servable()), released(std::move(released_)) {}
  ~LiveVersion() {
    loader.reset();
    released();
  }
  LiveVersion(const LiveVersion&) = delete;
  LiveVersion& operator=(const LiveVersion&) = delete;

  const ServableId id;
  std::shared_ptr<Loader> loader;
  Servable* const servable;
  mutable RunCost cost;
  std::function<void()> released;
};

/// A value; moving is cheap. Any thread.
class ServableHandle {
 public:
  ServableHandle() = default;
  explicit ServableHandle(std::shared_ptr<const LiveVersion> live) : live_(std::move(live)) {}
  explicit operator bool() const { return live_ != nullptr; }
  const ServableId& id() const { return live_->id; }
  Servable& operator*() const { return *live_->servable; }
  Servable* operator->() const { return live_->servable; }
  RunCost& cost() const { return live_->cost; }

 private:
  std::shared_ptr<const LiveVersion> live_;
};

}  // namespace tenon::serve
