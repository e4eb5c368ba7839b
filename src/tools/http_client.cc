#include "tools/http_client.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/status_macros.h"

namespace tenon::tools {
namespace {

constexpr const char* kNoHttp = "the reply is no HTTP/1; is this the port of REST, and not that of gRPC?";
constexpr std::size_t kMaxHead = 1 << 20;
constexpr std::size_t kMaxBody = std::size_t{4} << 30;

Status NetworkError(const HttpUrl& url, const char* what) {
  const bool late = errno == EAGAIN || errno == EWOULDBLOCK;
  return Status(
      late ? Code::kDeadlineExceeded : Code::kUnavailable,
      fmt::format("{}:{}: cannot {}: {}", url.host, url.port, what, late ? "time is over" : std::strerror(errno)));
}

}  // namespace

Result<HttpUrl> ParseHttpUrl(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  HttpUrl out;
  const std::string_view whole = url;
  if (url.starts_with(kScheme)) url.remove_prefix(kScheme.size());
  const std::size_t slash = url.find('/');
  const std::string_view path = slash == std::string_view::npos ? std::string_view() : url.substr(slash);
  url = url.substr(0, slash);
  const std::size_t colon = url.rfind(':');
  out.host = url.substr(0, colon);
  if (colon != std::string_view::npos) out.port = url.substr(colon + 1);
  if (out.host.size() > 2 && out.host.front() == '[' && out.host.back() == ']')
    out.host = out.host.substr(1, out.host.size() - 2);
  if (whole.starts_with("https:"))
    return Status(Code::kInvalidArgument,
                  fmt::format("{}: expected http://HOST[:PORT]; for https ask a proxy, or use curl", whole));
  if (out.host.empty() || out.port.empty())
    return Status(Code::kInvalidArgument, fmt::format("{}: expected http://HOST[:PORT]", whole));
  if (path.size() > 1)
    return Status(
        Code::kInvalidArgument,
        fmt::format("{}: expected http://HOST[:PORT] without a path: --model, --version, --label and --method "
                    "make it",
                    whole));
  return out;
}

Status HttpClient::Connect() {
  if (fd_ >= 0) return {};
  buffer_.clear();
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(url_.host.c_str(), url_.port.c_str(), &hints, &found); error != 0)
    return Status(Code::kUnavailable, fmt::format("{}:{}: {}", url_.host, url_.port, ::gai_strerror(error)));
  for (const addrinfo* to = found; to != nullptr && fd_ < 0; to = to->ai_next) {
    fd_ = ::socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd_ < 0) continue;
    const timeval limit{.tv_sec = seconds_, .tv_usec = 0};
    const int on = 1;
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (::connect(fd_, to->ai_addr, to->ai_addrlen) == 0) break;
    const int error = errno;
    Close();
    errno = error;
  }
  ::freeaddrinfo(found);
  return fd_ >= 0 ? Status() : NetworkError(url_, "connect");
}

void HttpClient::Close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Status HttpClient::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return NetworkError(url_, "send");
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

Status HttpClient::More() {
  const std::size_t old = buffer_.size();
  buffer_.resize(old + 65536);
  ssize_t n = -1;
  do n = ::recv(fd_, buffer_.data() + old, 65536, 0);
  while (n < 0 && errno == EINTR);
  buffer_.resize(old + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
  if (n < 0) return NetworkError(url_, "receive");
  return n > 0 ? Status()
               : Status(Code::kUnavailable, fmt::format("{}:{}: closed the connection", url_.host, url_.port));
}

Result<HttpReply> HttpClient::Read() {
  const auto bad = [&](const char* what) {
    return Status(Code::kDataLoss, fmt::format("{}:{}: {}", url_.host, url_.port, what));
  };
  std::size_t head = 0;
  while ((head = buffer_.find("\r\n\r\n")) == std::string::npos) {
    if (buffer_.size() >= 7 && !buffer_.starts_with("HTTP/1.")) return bad(kNoHttp);
    if (buffer_.size() > kMaxHead) return bad("the head of the reply does not end");
    TENON_RETURN_IF_ERROR(More());
  }
  HttpReply reply;
  if (buffer_.size() < 12 || !buffer_.starts_with("HTTP/1.")) return bad(kNoHttp);
  std::from_chars(buffer_.data() + 9, buffer_.data() + 12, reply.status);
  std::string lower = buffer_.substr(0, head + 2);
  std::ranges::transform(lower, lower.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  const std::size_t at = lower.find("\r\ncontent-length:");
  if (at == std::string::npos) return bad("the reply has no Content-Length");
  std::size_t begin = at + 17, length = 0;
  while (lower[begin] == ' ') ++begin;
  if (std::from_chars(lower.data() + begin, lower.data() + lower.size(), length).ec != std::errc() || length > kMaxBody)
    return bad("the reply has no valid Content-Length");
  while (buffer_.size() < head + 4 + length) TENON_RETURN_IF_ERROR(More());
  reply.body = buffer_.substr(head + 4, length);
  buffer_.erase(0, head + 4 + length);
  if (lower.find("\r\nconnection: close\r\n") != std::string::npos) Close();
  return reply;
}

Result<HttpReply> HttpClient::Send(std::string_view method, std::string_view target, std::string_view body) {
  const std::string head =
      fmt::format("{} {} HTTP/1.1\r\nHost: {}:{}\r\n{}Content-Length: {}\r\n\r\n", method, target, url_.host, url_.port,
                  token_.empty() ? "" : "Authorization: Bearer " + token_ + "\r\n", body.size());
  const bool fresh = fd_ < 0;
  TENON_RETURN_IF_ERROR(Connect());
  Status sent = Write(body.size() < 65536 ? head + std::string(body) : head);
  if (sent.ok() && body.size() >= 65536) sent = Write(body);
  if (sent.ok())
    if (Result<HttpReply> reply = Read(); reply.ok() || fresh || reply.status().code() != Code::kUnavailable) {
      if (!reply.ok()) Close();
      return reply;
    }
  Close();
  if (fresh) return sent;
  return Send(method, target, body);  // the server had closed the idle connection: once more on a fresh one
}

}  // namespace tenon::tools
