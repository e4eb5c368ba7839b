#include "serve/rest/socket.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstring>

#include "base/log.h"

namespace tenon::serve {

void Socket::ShutDown() {
  if (tls_) tls_->Shutdown();
  ::shutdown(fd_, SHUT_WR);
}

void Socket::Close() {
  tls_.reset();
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

int AcceptNext(int listener, std::string_view who, bool& stop) {
  stop = false;
  for (;;) {
    const int fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) return fd;
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return -1;
    stop = true;
    if (errno != EINVAL)  // that one: the server is stopping
      base::Log(base::LogLevel::kWarning, fmt::format("{}: cannot accept: {}", who, std::strerror(errno)));
    return -1;
  }
}

}  // namespace tenon::serve
