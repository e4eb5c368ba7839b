#include "serve/rest/socket.h"

#include <fmt/format.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
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

std::uint64_t Socket::Acknowledged() const {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(fd_, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
  return size >= offsetof(tcp_info, tcpi_bytes_acked) + sizeof info.tcpi_bytes_acked ? info.tcpi_bytes_acked : 0;
}

bool Uptake::GoesOn(const Socket& socket, Clock::time_point now, std::chrono::milliseconds patience, std::size_t rate) {
  // The system asks for more in large steps: what it gets rid of between them counts too.
  const std::uint64_t written = socket.written(), known = socket.Acknowledged();
  const bool first = begun_ == Clock::time_point();
  if (first || written > written_ || known > known_) moved_ = now;
  written_ = written;
  known_ = known;
  if (now - moved_ > patience) return false;
  if (!first && now - begun_ < patience) return true;
  const std::uint64_t taken = std::max(written - written_at_, known - known_at_);
  const auto asked =
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now - begun_).count());
  const bool enough = first || taken >= rate * asked / 1000;
  begun_ = now;
  written_at_ = written;
  known_at_ = known;
  return enough;
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
