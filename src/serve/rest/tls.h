// TLS for the HTTP front, by OpenSSL.
#pragma once
#include <sys/types.h>

#include <memory>
#include <string>

#include "tenon/serve.h"

namespace tenon::serve {

/// One connection's TLS. Reads and writes are those of recv and send on a non-blocking socket: the handshake happens
/// on the way. One thread at a time.
class TlsSession {
 public:
  virtual ~TlsSession() = default;
  /// As recv: 0 at the client's end, -1 with errno EAGAIN when more must arrive first, -1 with another errno when the
  /// connection is broken (a failed handshake among them).
  virtual ssize_t Read(char* to, std::size_t size) = 0;
  /// As send. After EAGAIN the same bytes must be given again.
  virtual ssize_t Write(const char* from, std::size_t size) = 0;
  /// Bytes that Read would give without the socket becoming readable.
  virtual bool pending() const = 0;
  /// The last call needs the socket to become writable, whatever it was.
  virtual bool wants_write() const = 0;
  /// Says goodbye; nothing is written after it.
  virtual void Shutdown() = 0;
};

/// Keys and settings of all connections. Thread-safe.
class TlsContext {
 public:
  virtual ~TlsContext() = default;
  /// TLS 1.2 and later. kInvalidArgument for PEM text that is none, for a key that is not the certificate's, and for
  /// verify_client without client_ca.
  /// `protocol`: what ALPN settles on when the client offers it ("h2"); empty: nothing.
  static Result<std::shared_ptr<TlsContext>> Make(const Tls& tls, std::string protocol = {});
  /// The server's side of a connection on `fd`, which stays the caller's. Null when there is no memory.
  virtual std::unique_ptr<TlsSession> Accept(int fd) = 0;
};

}  // namespace tenon::serve
