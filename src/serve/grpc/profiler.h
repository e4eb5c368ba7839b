// The profiler service: sessions that wait and can be ended.
//
//   ProfileRequest    duration_ms 1, opts 4 {duration_ms 9}, session_id 6, host_name 7, emit_xspace 9
//   ProfileResponse   tool_data 6 {name 1, data 2}, empty_trace 7, xspace 8
//   TerminateRequest  session_id 1
#pragma once
#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "serve/core/servable.h"
#include "serve/core/tracer.h"

namespace tenon::serve::rpc {

/// What the service of tensorflow_model_server does with its sessions. The trace has the requests, runs and batches
/// that ended in the session (see Tracer). It comes with the response: as `xspace` where the request asks for that,
/// else as the data of the tool "xplane.pb". The server writes no file, wherever a client asks for one. Thread-safe.
class Profiler {
 public:
  using Done = std::function<void(Status, std::string reply)>;
  /// `tracer` must outlive it.
  explicit Profiler(Tracer& tracer) : tracer_(tracer) {}
  ~Profiler();  // Stop, then waits for what `done` does
  Profiler(const Profiler&) = delete;
  Profiler& operator=(const Profiler&) = delete;

  /// A session: ends after the duration asked for, when Terminate names it, or when its waiter is gone. `done` gets the
  /// reply on a thread of its own, once; not when this returns an error: kInvalidArgument for a request that
  /// cannot be read, kResourceExhausted when kMost sessions are under way. It ends with kDeadlineExceeded at the
  /// deadline, with kCancelled after Stop.
  Status Profile(std::string_view request, Patience patience, Done done);
  /// Ends a session; one that has not begun yet ends at once when it begins.
  Status Terminate(std::string_view request);
  /// Ends all, for good.
  void Stop();

  static constexpr int kMost = 4;

 private:
  struct Session {
    std::int64_t milliseconds = 0;
    std::string name = {}, host = {};
    bool emit_xspace = false;
  };
  static Status Parse(std::string_view bytes, Session* session);
  Result<std::string> Run(const Session& session, const Patience& patience);

  Tracer& tracer_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<std::string> ended_;  // sessions; at most 1024 are remembered
  std::list<std::jthread> threads_;
  std::vector<std::jthread::id> over_;  // of threads_: they are at their end
  int waiting_ = 0;
  bool stopped_ = false;
};

}  // namespace tenon::serve::rpc
