// Poller: the events of one I/O thread's sockets.
#pragma once
#include <sys/epoll.h>

#include <span>
#include <string_view>

#include "tenon/status.h"

namespace tenon::serve {

/// epoll, and a number by which other threads wake it. Events carry the key that their descriptor was added with.
/// EPOLLHUP and EPOLLERR come unasked.
class Poller {
 public:
  Poller() = default;
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  /// Before all else. kResourceExhausted; its message begins with `who`.
  Status Open(std::string_view who);
  /// Any thread: Wait returns, with an event of which Woken is true.
  void Wake() const;
  /// Whether the event of this key is that of Wake; it is over then.
  bool Woken(const void* key) const;
  /// Asks for what can be read.
  bool Add(int fd, void* key) const;
  void Watch(int fd, void* key, bool read, bool write) const;
  void Remove(int fd) const;
  /// How many events came within `milliseconds`; -1 when a signal was faster.
  int Wait(std::span<epoll_event> events, int milliseconds) const {
    return ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), milliseconds);
  }

 private:
  int epoll_ = -1, event_ = -1;
};

}  // namespace tenon::serve
