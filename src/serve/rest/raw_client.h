// For tests: a blocking client that sends bytes as they are.
#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>

namespace tenon::serve::testing {

/// One TCP connection to 127.0.0.1; every wait ends after ten seconds.
class RawClient {
 public:
  explicit RawClient(int port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval ten{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &ten, sizeof ten);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &ten, sizeof ten);
    connected_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
  }
  ~RawClient() { Close(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool connected() const { return connected_; }
  int fd() const { return fd_; }
  void Close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  /// Keeps no memory of what was read.
  void Shrink() { buffer_.shrink_to_fit(); }
  void HalfClose() { ::shutdown(fd_, SHUT_WR); }
  /// Everything until the server closes.
  std::string ReadAll() {
    while (More()) {
    }
    return std::move(buffer_);
  }
  /// True when the server closed the connection (and nothing was left to read).
  bool Closed() { return buffer_.empty() && !More(); }

  struct Reply {
    int status = 0;
    std::string head, body;
  };
  /// The next reply on the connection; status 0 when there is none.
  Reply ReadReply(bool head_only = false) {
    Reply reply;
    std::size_t end;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos)
      if (!More()) return reply;
    reply.head = buffer_.substr(0, end + 4);
    buffer_.erase(0, end + 4);
    reply.status = std::atoi(reply.head.c_str() + 9);
    const std::size_t at = reply.head.find("Content-Length: ");
    const std::size_t length =
        at == std::string::npos || head_only ? 0 : std::strtoul(reply.head.c_str() + at + 16, nullptr, 10);
    while (buffer_.size() < length)
      if (!More()) return {};
    reply.body = buffer_.substr(0, length);
    buffer_.erase(0, length);
    return reply;
  }
  Reply Get(std::string_view target) {
    Send("GET " + std::string(target) + " HTTP/1.1\r\nHost: x\r\n\r\n");
    return ReadReply();
  }
  Reply Post(std::string_view target, std::string_view body, std::string_view headers = "") {
    Send("POST " + std::string(target) + " HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n" + std::string(headers) + "\r\n" + std::string(body));
    return ReadReply();
  }

 private:
  bool More() {
    char piece[65536];
    const ssize_t n = ::recv(fd_, piece, sizeof piece, 0);
    if (n <= 0) return false;
    buffer_.append(piece, static_cast<std::size_t>(n));
    return true;
  }
  int fd_;
  bool connected_ = false;
  std::string buffer_;
};

}  // namespace tenon::serve::testing
