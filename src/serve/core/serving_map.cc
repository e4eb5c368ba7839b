#include "serve/core/serving_map.h"

namespace tenon::serve {
namespace {
std::atomic<std::uint64_t> g_next_generation{1};
}

ServingMap::ServingMap() {
  const std::lock_guard lock(mutex_);
  PublishLocked(std::make_shared<Snapshot>());
}

void ServingMap::PublishLocked(std::shared_ptr<Snapshot> next) {
  next->generation = g_next_generation.fetch_add(1, std::memory_order_relaxed);
  newest_ = std::move(next);
  generation_.store(newest_->generation, std::memory_order_release);
}

void ServingMap::Publish(Models models) {
  const std::lock_guard lock(mutex_);
  auto next = std::make_shared<Snapshot>();
  next->models = std::move(models);
  next->labels = newest_->labels;
  PublishLocked(std::move(next));
}

void ServingMap::SetLabels(Labels labels) {
  const std::lock_guard lock(mutex_);
  auto next = std::make_shared<Snapshot>(*newest_);
  next->labels = std::move(labels);
  PublishLocked(std::move(next));
}

const ServingMap::Snapshot& ServingMap::Current() const {
  // One slot for all maps of the process: there is one manager in a server.
  thread_local std::shared_ptr<const Snapshot> cached;
  if (!cached || cached->generation != generation_.load(std::memory_order_acquire)) {
    const std::lock_guard lock(mutex_);
    cached = newest_;
  }
  return *cached;
}

template <class Pick>
ServableHandle ServingMap::Find(std::string_view model, Pick pick) const {
  for (;;) {
    const Snapshot& now = Current();
    const auto it = now.models.find(model);
    if (it == now.models.end()) return {};
    const std::weak_ptr<const LiveVersion>* weak = pick(it->second);
    if (weak == nullptr) return {};
    if (auto live = weak->lock()) return ServableHandle(std::move(live));
    // Retired between the two looks: a newer map says what is there instead.
    if (now.generation == generation_.load(std::memory_order_acquire)) return {};
  }
}

Result<ServableHandle> ServingMap::Latest(std::string_view model) const {
  ServableHandle handle = Find(model, [](const Model& m) { return &m.latest; });
  if (handle) return handle;
  return Status(Code::kNotFound, "Servable not found for request: Latest(" + std::string(model) + ")");
}

Result<ServableHandle> ServingMap::Specific(std::string_view model, std::int64_t version) const {
  ServableHandle handle = Find(model, [version](const Model& m) -> const std::weak_ptr<const LiveVersion>* {
    for (const auto& [number, live] : m.versions)
      if (number == version) return &live;
    return nullptr;
  });
  if (handle) return handle;
  return Status(Code::kNotFound, "Servable not found for request: Specific(" + std::string(model) + ", " +
                                     std::to_string(version) + ")");
}

Result<std::int64_t> ServingMap::LabelVersion(std::string_view model, std::string_view label) const {
  const Snapshot& now = Current();
  if (const auto it = now.labels.find(model); it != now.labels.end())
    if (const auto found = it->second.find(std::string(label)); found != it->second.end()) return found->second;
  return Status(Code::kInvalidArgument, "Unrecognized servable version label: " + std::string(label));
}

Result<ServableHandle> ServingMap::Labelled(std::string_view model, std::string_view label) const {
  const Result<std::int64_t> version = LabelVersion(model, label);
  if (!version.ok()) return version.status();
  return Specific(model, *version);
}

}  // namespace tenon::serve
