// SIGTERM, SIGINT, SIGHUP and SIGUSR1, as something to wait for.
#pragma once
#include <csignal>
#include <cstdint>

namespace tenon::serve {

/// While it lives, the first SIGTERM or SIGINT writes to the eventfd, and the next one ends the process at once (exit
/// status 128 + its number). Each SIGHUP adds 1 to the eventfd `requests` and each SIGUSR1 kDumpRequest. The handlers
/// that were set before are restored. Several may live at a time, at most 16.
class SignalWatch {
 public:
  static constexpr std::uint64_t kDumpRequest = std::uint64_t{1} << 32;
  SignalWatch(int event, int requests);
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

 private:
  int slot_ = -1;
};

}  // namespace tenon::serve
