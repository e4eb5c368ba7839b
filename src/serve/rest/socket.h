// Socket: one client's bytes, plain or by TLS.
#pragma once
#include <sys/socket.h>
#include <sys/types.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "serve/rest/tls.h"

namespace tenon::serve {

/// Owns a connected descriptor that does not block. Of one thread.
class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() { Close(); }
  Socket(Socket&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), tls_(std::move(other.tls_)), written_(other.written_) {}
  Socket& operator=(Socket&&) = delete;

  /// -1 once closed.
  int fd() const { return fd_; }
  /// From now on it speaks TLS; closed when there is no memory for that.
  void Secure(TlsContext& context) {
    tls_ = context.Accept(fd_);
    if (!tls_) Close();
  }
  /// As recv and send: -1 where there is nothing to do now, or where the connection is broken; see Failed.
  ssize_t Read(char* to, std::size_t size) { return tls_ ? tls_->Read(to, size) : ::recv(fd_, to, size, 0); }
  ssize_t Write(const char* from, std::size_t size) {
    const ssize_t n = tls_ ? tls_->Write(from, size) : ::send(fd_, from, size, MSG_NOSIGNAL);
    if (n > 0) written_ += static_cast<std::uint64_t>(n);
    return n;
  }
  /// Bytes that Write has given away in all: to the client, or to the system's memory.
  std::uint64_t written() const { return written_; }
  /// Bytes that the client's system has told to have; 0 where that is not known (no TCP).
  std::uint64_t Acknowledged() const;
  /// Right after a Read or Write that gave -1: the connection is broken.
  static bool Failed() { return errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR; }
  /// Bytes have been received that Read has not given yet and that no event will tell of.
  bool pending() const { return tls_ && tls_->pending(); }
  /// The last Read or Write needs the socket to become writable, whatever it was.
  bool wants_write() const { return tls_ && tls_->wants_write(); }
  /// Nothing is written any more. The client gets what was, even when it is still sending: a plain close would reset
  /// the connection under what it has not read yet.
  void ShutDown();
  /// Twice is once.
  void Close();

 private:
  int fd_;
  std::unique_ptr<TlsSession> tls_;
  std::uint64_t written_ = 0;
};

/// Whether a client takes what waits for it. One that takes a byte now and then keeps the memory of its reply as one
/// does that takes none.
class Uptake {
 public:
  using Clock = std::chrono::steady_clock;
  /// To be asked while something waits, every `patience` or more often: false when nothing was taken for that long, or
  /// within such a time less than `rate` bytes a second.
  bool GoesOn(const Socket& socket, Clock::time_point now, std::chrono::milliseconds patience, std::size_t rate);
  /// Nothing waits any more.
  void Rest() { begun_ = {}; }

 private:
  Clock::time_point begun_ = {};                 // of the time that is looked at; none: nothing waited
  Clock::time_point moved_ = {};                 // when something was last seen to be taken
  std::uint64_t written_ = 0, known_ = 0;        // then
  std::uint64_t written_at_ = 0, known_at_ = 0;  // when it began
};

/// The next client of a listener that does not block; -1 when there is none. `stop`: none can be taken (out of files or
/// memory, which the log says as `who`; or the listener is shut): look again in a moment.
int AcceptNext(int listener, std::string_view who, bool& stop);

}  // namespace tenon::serve
