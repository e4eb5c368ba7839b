#include "serve/grpc_http2/http2_transport.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <thread>

#include "base/status_macros.h"
#include "serve/core/open_files.h"
#include "serve/grpc_http2/loop.h"

namespace tenon::serve {
namespace {

constexpr const char* kMaxStreams = "grpc.max_concurrent_streams";
constexpr const char* kMaxMessage = "grpc.max_receive_message_length";
constexpr const char* kReuseAddress = "grpc.so_reuseaddr";  // it is always so; some start every server with it

Status CannotListen(const std::string& address, int error) {
  return Status(error == EACCES ? Code::kPermissionDenied : Code::kUnavailable,
                fmt::format("gRPC: cannot listen on {}: {}", address, std::strerror(error)));
}

class Http2Transport : public GrpcTransport {
 public:
  Http2Transport(const GrpcTransportOptions& options, GrpcService& service) : shared_(options, service) {}
  ~Http2Transport() override { Finish(); }

  Status Start() override;
  int port() const override { return port_; }
  void SetServing(bool serving) override {
    shared_.serving = serving;
    for (const auto& loop : loops_) loop->Notify();
  }
  void Drain(std::chrono::steady_clock::time_point until) override;
  void Finish() override;

 private:
  Status Configure();
  Status ListenTcp(const std::string& address);
  Status ListenUnix(const std::string& path);
  Status Listening(int fd, bool secure, const std::string& address);

  http2::Shared shared_;
  std::vector<http2::Listener> listeners_;
  std::vector<std::unique_ptr<http2::Loop>> loops_;
  std::vector<std::thread> threads_;
  int port_ = 0;
  bool drained_ = false;
};

Status Http2Transport::Configure() {
  const GrpcTransportOptions& o = shared_.options;
  shared_.max_message = o.max_message_bytes;
  for (const auto& [key, value] : o.channel_arguments) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    const bool good = error == std::errc() && end == value.data() + value.size();
    if (!Http2Knows(key))
      return Status(
          Code::kInvalidArgument,
          fmt::format("gRPC: the channel argument {} needs the gRPC library (--grpc_transport=library)", key));
    if (!good || (key == kMaxStreams && (number < 1 || number > INT32_MAX)))
      return Status(Code::kInvalidArgument, fmt::format("gRPC: {}: got \"{}\", expected a whole number", key, value));
    if (key == kReuseAddress) continue;
    if (key == kMaxStreams)
      shared_.max_streams = static_cast<std::uint32_t>(number);
    else
      shared_.max_message = number;
  }
  if (o.tls) {
    TENON_ASSIGN_OR_RETURN(shared_.tls, TlsContext::Make(*o.tls, "h2"));
  }
  return {};
}

/// Takes the descriptor.
Status Http2Transport::Listening(int fd, bool secure, const std::string& address) {
  listeners_.push_back({.fd = fd, .secure = secure});
  return ::listen(fd, 4096) == 0 ? Status() : CannotListen(address, errno);
}

Status Http2Transport::ListenTcp(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  const auto bad = [&] {
    return Status(Code::kInvalidArgument, fmt::format("gRPC: {}: is no HOST:PORT of this machine", address));
  };
  if (colon == std::string::npos) return bad();
  std::string host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICSERV | AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), address.c_str() + colon + 1, &hints, &found) != 0) return bad();
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
  const int fd = ::socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return CannotListen(address, errno);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(fd, found->ai_addr, found->ai_addrlen) != 0) {
    const int error = errno;
    ::close(fd);
    return CannotListen(address, error);
  }
  TENON_RETURN_IF_ERROR(Listening(fd, shared_.tls != nullptr, address));
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (port_ == 0 && ::getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size) == 0)
    port_ = ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(bound).sin6_port
                                              : reinterpret_cast<const sockaddr_in&>(bound).sin_port);
  return {};
}

Status Http2Transport::ListenUnix(const std::string& path) {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  if (path.size() >= sizeof to.sun_path) return CannotListen(path, ENAMETOOLONG);
  std::memcpy(to.sun_path, path.data(), path.size());
  struct stat old{};
  if (::stat(path.c_str(), &old) == 0 && S_ISSOCK(old.st_mode)) ::unlink(path.c_str());  // of a server that is gone
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return CannotListen(path, errno);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
    const int error = errno;
    ::close(fd);
    return CannotListen(path, error);
  }
  return Listening(fd, false, path);
}

Status Http2Transport::Start() {
  TENON_RETURN_IF_ERROR(Configure());
  RaiseOpenFileLimit();
  const GrpcTransportOptions& o = shared_.options;
  for (const std::string& address : o.addresses) TENON_RETURN_IF_ERROR(ListenTcp(address));
  if (!o.socket_path.empty()) TENON_RETURN_IF_ERROR(ListenUnix(o.socket_path));
  std::vector<http2::Loop*> loops;
  for (int i = 0; i < std::max(1, o.io_threads); ++i) {
    loops_.push_back(std::make_unique<http2::Loop>(shared_));
    loops.push_back(loops_.back().get());
    TENON_RETURN_IF_ERROR(loops_.back()->Open());
  }
  loops_[0]->Accept(listeners_, loops);
  for (http2::Loop* const loop : loops) threads_.emplace_back([loop] { loop->Run(); });
  return {};
}

void Http2Transport::Drain(std::chrono::steady_clock::time_point until) {
  if (drained_ || threads_.empty()) return;
  drained_ = true;
  for (const auto& loop : loops_) loop->Drain();
  for (const auto& loop : loops_) loop->WaitUntilEmpty(until);
}

void Http2Transport::Finish() {
  Drain(std::chrono::steady_clock::now());
  for (const auto& loop : loops_) loop->Finish();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  loops_.clear();
  for (const http2::Listener& listener : listeners_) ::close(listener.fd);
  listeners_.clear();
}

}  // namespace

std::unique_ptr<GrpcTransport> MakeHttp2Transport(const GrpcTransportOptions& options, GrpcService& service) {
  return std::make_unique<Http2Transport>(options, service);
}

bool Http2Knows(const std::string& channel_argument) {
  return channel_argument == kMaxStreams || channel_argument == kMaxMessage || channel_argument == kReuseAddress;
}

}  // namespace tenon::serve
