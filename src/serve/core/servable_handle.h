// ServableHandle: keeps one loaded version alive while a request uses it, and pins nothing else.
#pragma once
#include <functional>
#include <memory>

#include "serve/core/loader.h"
#include "serve/core/run_cost.h"

namespace tenon::serve {

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
