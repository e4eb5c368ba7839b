// The profiler service: sessions that wait and can be ended.
//
//   ProfileRequest    opts 4 {duration_ms 9}, session_id 6; ProfileResponse empty_trace 7
//   TerminateRequest  session_id 1
#pragma once
#include <condition_variable>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "serve/core/servable.h"

namespace tenon::serve::rpc {

/// What the service of tensorflow_model_server does with its sessions; the trace itself is always empty, and said to be
/// so. Thread-safe.
class Profiler {
 public:
  /// Waits for the duration asked for, or until Terminate names it. kDeadlineExceeded at the deadline,
  /// kResourceExhausted when kMost wait already (each holds a thread), kCancelled after Stop.
  Status Profile(std::string_view request, Deadline deadline, std::string& reply);
  /// Ends a session; one that has not begun yet ends at once when it begins.
  Status Terminate(std::string_view request);
  /// Ends all, for good.
  void Stop();

  static constexpr int kMost = 4;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<std::string> ended_;  // sessions; at most 1024 are remembered
  int waiting_ = 0;
  bool stopped_ = false;
};

}  // namespace tenon::serve::rpc
