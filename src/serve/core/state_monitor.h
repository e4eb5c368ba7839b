// StateMonitor: what clients are told about every version, and the place to wait for models.
#pragma once
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "serve/core/servable.h"

namespace tenon::serve {

/// The numbers of ModelVersionStatus.State on the wire.
enum class PublicState { kUnknown = 0, kStart = 10, kLoading = 20, kAvailable = 30, kUnloading = 40, kEnd = 50 };
std::string_view PublicStateName(PublicState state);  // "AVAILABLE", …

struct VersionStatus {
  std::int64_t version = 0;
  PublicState state = PublicState::kUnknown;
  Status status;  // of a failed load, with kEnd
};

/// Thread-safe. Keeps versions that ended, the kMaxEnded highest of a model, so that their status can still be asked
/// for.
class StateMonitor {
 public:
  void Publish(const ServableId& id, PublicState state, Status status = {});
  /// A failure that belongs to no version: a base path that is missing, no version in it. An ok status clears it.
  void PublishModelError(const std::string& model, Status status);

  /// Newest first; empty for a model never heard of.
  std::vector<VersionStatus> Versions(std::string_view model) const;
  Status ModelError(std::string_view model) const;
  bool AnyAvailable(std::string_view model) const;
  std::vector<std::string> Models() const;
  void Forget(const std::string& model);

  /// Waits until each model has an available version, or failed (a version with kEnd and an error, or `first_error`
  /// below), or the time is over, or Cancel(). Returns, for each model that is not available, why.
  std::map<std::string, Status> WaitUntilSettled(const std::vector<std::string>& models,
                                                 std::chrono::steady_clock::time_point until);
  /// The error of a version's failed attempt, which is to be tried again: it ends the wait for that model.
  void PublishFailedAttempt(const ServableId& id, Status status);
  void Cancel();

 private:
  struct Model {
    std::map<std::int64_t, VersionStatus, std::greater<>> versions;
    Status error;           // of the model as a whole
    Status failed_attempt;  // the newest one since a version was available
  };
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Model, std::less<>> models_;
  bool cancelled_ = false;
};

}  // namespace tenon::serve
