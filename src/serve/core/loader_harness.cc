#include "serve/core/loader_harness.h"

#include <array>

namespace tenon::serve {

std::string_view HarnessStateName(HarnessState state) {
  static constexpr std::array<std::string_view, 11> kNames = {
      "New",       "LoadRequested", "LoadApproved", "Loading",  "Ready", "UnloadRequested",
      "Quiescing", "Quiesced",      "Unloading",    "Disabled", "Error"};
  return kNames[static_cast<std::size_t>(state)];
}

bool LoaderHarness::Allowed(HarnessState from, HarnessState to) {
  using enum HarnessState;
  if (to == kError) return from != kDisabled;
  switch (from) {
    case kNew:
      return to == kLoadRequested || to == kDisabled;
    case kLoadRequested:
      return to == kLoadApproved || to == kDisabled;
    case kLoadApproved:
      return to == kLoading;
    case kLoading:
      return to == kReady || to == kLoading;
    case kReady:
      return to == kUnloadRequested;
    case kUnloadRequested:
      return to == kQuiescing;
    case kQuiescing:
      return to == kQuiesced;
    case kQuiesced:
      return to == kUnloading;
    case kUnloading:
      return to == kDisabled;
    case kDisabled:
    case kError:
      return false;
  }
  return false;
}

Status LoaderHarness::Move(HarnessState to) {
  if (to == HarnessState::kError || !Allowed(state_, to))
    return Status(Code::kFailedPrecondition, "servable " + id_.to_string() + ": cannot go from " +
                                                 std::string(HarnessStateName(state_)) + " to " +
                                                 std::string(HarnessStateName(to)));
  state_ = to;
  return {};
}

void LoaderHarness::Fail(Status why) {
  if (state_ == HarnessState::kDisabled) return;
  state_ = HarnessState::kError;
  status_ = std::move(why);
}

}  // namespace tenon::serve
