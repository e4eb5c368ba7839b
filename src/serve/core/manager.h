// Manager: moves every version of every model from aspired to available to gone.
#pragma once
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "serve/core/loader.h"
#include "serve/core/serving_map.h"
#include "serve/core/source.h"
#include "serve/core/state_monitor.h"
#include "serve/core/version_policy.h"

namespace tenon::serve {

struct ManagerOptions {
  LoaderFactory loaders;
  std::shared_ptr<const VersionPolicy> policy;  // null: availability preserving
  int max_load_retries = 5;                     // after the first attempt, while the version is still aspired
  std::chrono::milliseconds load_retry_interval{60'000};
  std::chrono::milliseconds tick{100};  // between two looks when nothing happens
  int load_threads = 0;                 // loads at a time, until SetLoadThreads; 0: 4 for each CPU
  int unload_threads = 0;
  std::int64_t memory_budget = 0;  // bytes; 0: no limit. A load that does not fit waits for others that are going away
};

/// Applies the policy to each model on its own: no model waits for another one, for its loads, unloads or slow
/// requests. Loads and unloads run on threads of their own; the manager's thread never blocks. A version is known by
/// its number and its path: the same number at another path is loaded beside the old one and replaces it.
/// All members may be called from any thread.
class Manager {
 public:
  Manager(ManagerOptions options, std::shared_ptr<StateMonitor> monitor);
  ~Manager();  // Stop, waiting for loads in progress and for every handle at most 10 s
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  /// The complete list of versions that ought to be served of one model; an empty one unloads it. Takes effect at the
  /// manager's next look; only the newest list of a model counts.
  void SetAspired(const std::string& model, std::vector<AspiredVersion> versions);
  void SetLabels(ServingMap::Labels labels);
  /// Versions of a model that are not its latest one while another one is available. Replaces what was said before.
  void SetHeldBack(const std::string& model, std::vector<std::int64_t> versions);

  /// How many loads may run at a time from now on; 0: 4 for each CPU. Those under way are not disturbed.
  void SetLoadThreads(int threads);

  /// Lock-free lookups; errors are those of ServingMap.
  const ServingMap& serving() const;
  StateMonitor& monitor() const;

  /// Takes every version out of service, waits until the handles are gone, unloads. kDeadlineExceeded names the
  /// versions that were still in use at `until`; they go when their last handle goes. Idempotent.
  Status Stop(std::chrono::steady_clock::time_point until);

  struct Core;  // shared with the tasks and the live versions; they may outlive the manager

 private:
  std::shared_ptr<Core> core_;
};

}  // namespace tenon::serve
