// VersionPolicy: which version of a model to load or unload next.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "serve/core/loader_harness.h"

namespace tenon::serve {

/// What a policy sees of a version.
struct VersionView {
  std::int64_t version = 0;
  HarnessState state = HarnessState::kNew;
  bool aspired = false;
};

struct VersionAction {
  enum class Kind { kLoad, kUnload } kind = Kind::kLoad;
  std::size_t index = 0;  // in the span that was given
  friend bool operator==(const VersionAction&, const VersionAction&) = default;
};

/// Stateless; any thread.
class VersionPolicy {
 public:
  virtual ~VersionPolicy() = default;
  /// One action for one model, or none. Only kNew versions are to be loaded, only kReady ones unloaded.
  virtual std::optional<VersionAction> Next(std::span<const VersionView> versions) const = 0;
};

/// Old and new are loaded side by side during a swap, so that one is always available. Unloads the lowest ready version
/// that is no longer aspired when nothing is aspired, or an aspired one is ready, or more than one such version is
/// ready; otherwise loads the highest aspired new one.
std::unique_ptr<VersionPolicy> MakeAvailabilityPreservingPolicy();

/// Unloads every version that is not aspired and waits for its end before it loads the highest aspired new one: never
/// two versions in memory because of a swap, at the price of a gap.
std::unique_ptr<VersionPolicy> MakeResourcePreservingPolicy();

}  // namespace tenon::serve
