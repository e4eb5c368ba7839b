// LoaderHarness: one version's way through its states.
//
//   New -> LoadRequested -> LoadApproved -> Loading -> Ready -> UnloadRequested -> Quiescing -> Quiesced -> Unloading
//       -> Disabled; New -> Disabled (no longer wanted before it was loaded); every state but Disabled -> Error.
//
// Loading -> Loading is a retry. Not thread-safe: the manager guards it.
#pragma once
#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "serve/core/loader.h"

namespace tenon::serve {

enum class HarnessState {
  kNew,
  kLoadRequested,
  kLoadApproved,
  kLoading,
  kReady,
  kUnloadRequested,
  kQuiescing,
  kQuiesced,
  kUnloading,
  kDisabled,
  kError,
};
std::string_view HarnessStateName(HarnessState state);

class LoaderHarness {
 public:
  LoaderHarness(ServableId id, std::string path, std::shared_ptr<Loader> loader)
      : id_(std::move(id)), path_(std::move(path)), loader_(std::move(loader)) {}

  const ServableId& id() const { return id_; }
  const std::string& path() const { return path_; }
  const std::shared_ptr<Loader>& loader() const { return loader_; }
  HarnessState state() const { return state_; }
  const Status& status() const { return status_; }  // why it is in kError
  bool aspired() const { return aspired_; }
  void set_aspired(bool aspired) { aspired_ = aspired; }

  /// Moves on; kFailedPrecondition (and no change) when the state machine has no such arrow.
  Status Move(HarnessState to);
  /// To kError; ok in every state but kDisabled.
  void Fail(Status why);
  static bool Allowed(HarnessState from, HarnessState to);

  /// A load that failed and is to be tried again at `retry_at`.
  int attempts = 0;
  std::chrono::steady_clock::time_point retry_at = {};
  std::int64_t reserved_bytes = 0;

 private:
  const ServableId id_;
  const std::string path_;
  const std::shared_ptr<Loader> loader_;
  HarnessState state_ = HarnessState::kNew;
  Status status_;
  bool aspired_ = true;
};

}  // namespace tenon::serve
