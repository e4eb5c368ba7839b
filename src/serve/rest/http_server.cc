#include "serve/rest/http_server.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "serve/core/open_files.h"
#include "serve/rest/http_loop.h"

namespace tenon::serve {
namespace {

/// A socket bound to the address; -1 with errno set.
int BindTo(const sockaddr* address, socklen_t size) {
  const int fd = ::socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  const int on = 1, off = 0;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address->sa_family == AF_INET6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (::bind(fd, address, size) == 0) return fd;
  const int error = errno;
  ::close(fd);
  errno = error;
  return -1;
}

int BindToAny(int port) {
  sockaddr_in6 six{};
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(static_cast<std::uint16_t>(port));
  six.sin6_addr = in6addr_any;
  const int fd = BindTo(reinterpret_cast<const sockaddr*>(&six), sizeof six);
  if (fd >= 0 || errno == EADDRINUSE || errno == EACCES) return fd;
  sockaddr_in four{};
  four.sin_family = AF_INET;
  four.sin_port = six.sin6_port;
  return BindTo(reinterpret_cast<const sockaddr*>(&four), sizeof four);
}

int PortOf(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                                             : reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

Status SocketError(int port, const char* what) {
  const int error = errno;
  if (error == EADDRINUSE)
    return Status(
        Code::kUnavailable,
        fmt::format("HTTP server: port {} is in use; stop the program that listens on it or choose another", port));
  return Status(error == EACCES ? Code::kPermissionDenied : Code::kUnavailable,
                fmt::format("HTTP server: port {}: cannot {}: {}", port, what, std::strerror(error)));
}

}  // namespace

HttpServer::HttpServer(HttpServerOptions options, std::shared_ptr<HttpHandler> handler)
    : shared_(std::make_shared<Shared>(std::move(options), std::move(handler))) {}

HttpServer::~HttpServer() { Stop(std::chrono::steady_clock::now()); }

std::size_t HttpServer::connections() const { return shared_->connections; }

Status HttpServer::Bind() {
  const HttpServerOptions& o = shared_->options;
  if (o.port < 0 || o.port > 65535)
    return Status(Code::kInvalidArgument, fmt::format("HTTP server: got port {}, expected 0 to 65535", o.port));
  if (o.address.empty()) {
    listener_ = BindToAny(o.port);
  } else {
    addrinfo hints{};
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (::getaddrinfo(o.address.c_str(), std::to_string(o.port).c_str(), &hints, &found) != 0)
      return Status(Code::kInvalidArgument, fmt::format("HTTP server: {}: is no numeric address", o.address));
    listener_ = BindTo(found->ai_addr, found->ai_addrlen);
    const int error = errno;
    ::freeaddrinfo(found);
    errno = error;
  }
  if (listener_ < 0) return SocketError(o.port, "bind");
  port_ = PortOf(listener_);
  return {};
}

Status HttpServer::Start() {
  RaiseOpenFileLimit();
  const int threads = std::max(1, shared_->options.io_threads);
  for (int i = 0; i < threads; ++i) {
    loops_.push_back(std::make_shared<Loop>(shared_));
    if (Status s = loops_.back()->Open(); !s.ok()) return s;
  }
  if (::listen(listener_, 4096) != 0) return SocketError(port_, "listen");
  loops_[0]->Accept(listener_, loops_);
  for (const auto& loop : loops_) threads_.emplace_back([loop] { loop->Run(); });
  return {};
}

void HttpServer::AnnounceEnd() { shared_->ending = true; }

void HttpServer::Stop(std::chrono::steady_clock::time_point until) {
  if (stopped_) return;
  stopped_ = true;
  AnnounceEnd();
  for (const auto& loop : loops_) loop->Drain(until);  // the first one ends the accepting
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  if (listener_ >= 0) ::close(listener_);
  listener_ = -1;
  shared_->workers.Stop(until);
}

}  // namespace tenon::serve
