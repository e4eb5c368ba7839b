// SIGTERM and SIGINT, as something to wait for.
#pragma once
#include <csignal>

namespace tenon::serve {

/// While it lives, the first SIGTERM or SIGINT writes to the eventfd, and the next one ends the process at once (exit
/// status 128 + its number). The handlers that were set before are restored. Several may live at a time, at most 16.
class SignalWatch {
 public:
  explicit SignalWatch(int event);
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

 private:
  int slot_ = -1;
};

}  // namespace tenon::serve
