#include "serve/core/version_policy.h"

namespace tenon::serve {
namespace {

using Views = std::span<const VersionView>;

std::optional<std::size_t> LowestUnaspiredReady(Views versions) {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < versions.size(); ++i)
    if (!versions[i].aspired && versions[i].state == HarnessState::kReady &&
        (!best || versions[i].version < versions[*best].version))
      best = i;
  return best;
}

std::optional<VersionAction> LoadHighestNew(Views versions) {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < versions.size(); ++i)
    if (versions[i].aspired && versions[i].state == HarnessState::kNew &&
        (!best || versions[i].version > versions[*best].version))
      best = i;
  if (!best) return std::nullopt;
  return VersionAction{VersionAction::Kind::kLoad, *best};
}

class AvailabilityPreserving : public VersionPolicy {
 public:
  std::optional<VersionAction> Next(Views versions) const override {
    bool any_aspired = false, aspired_ready = false;
    int unaspired_ready = 0;
    for (const VersionView& v : versions) {
      any_aspired |= v.aspired;
      aspired_ready |= v.aspired && v.state == HarnessState::kReady;
      unaspired_ready += !v.aspired && v.state == HarnessState::kReady;
    }
    if (!any_aspired || aspired_ready || unaspired_ready > 1)
      if (const auto lowest = LowestUnaspiredReady(versions))
        return VersionAction{VersionAction::Kind::kUnload, *lowest};
    return LoadHighestNew(versions);
  }
};

class ResourcePreserving : public VersionPolicy {
 public:
  std::optional<VersionAction> Next(Views versions) const override {
    if (const auto lowest = LowestUnaspiredReady(versions)) return VersionAction{VersionAction::Kind::kUnload, *lowest};
    for (const VersionView& v : versions)
      if (!v.aspired && v.state != HarnessState::kDisabled && v.state != HarnessState::kError) return std::nullopt;
    return LoadHighestNew(versions);
  }
};

}  // namespace

std::unique_ptr<VersionPolicy> MakeAvailabilityPreservingPolicy() { return std::make_unique<AvailabilityPreserving>(); }
std::unique_ptr<VersionPolicy> MakeResourcePreservingPolicy() { return std::make_unique<ResourcePreserving>(); }

}  // namespace tenon::serve
