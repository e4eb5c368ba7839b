#include "http_client.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdlib>

namespace digits {

HttpClient::~HttpClient() {
  if (fd_ >= 0) ::close(fd_);
}

bool HttpClient::Connect() {
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port_));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  timeval timeout{.tv_sec = 10, .tv_usec = 0};
  const int on = 1;
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return true;
  ::close(fd_);
  fd_ = -1;
  return false;
}

Reply HttpClient::Send(const std::string& method, const std::string& path, const std::string& body) {
  if (fd_ < 0 && !Connect()) return {};
  const std::string request = method + " " + path +
                              " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) +
                              "\r\n\r\n" + body;
  for (std::size_t sent = 0; sent < request.size();) {
    const ssize_t n = ::send(fd_, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return {};
    sent += static_cast<std::size_t>(n);
  }
  std::string got;
  std::size_t head = std::string::npos, length = 0;
  while (head == std::string::npos || got.size() < head + length) {
    char chunk[65536];
    const ssize_t n = ::recv(fd_, chunk, sizeof chunk, 0);
    if (n <= 0) return {};
    got.append(chunk, static_cast<std::size_t>(n));
    if (head != std::string::npos) continue;
    const std::size_t end = got.find("\r\n\r\n");
    if (end == std::string::npos) continue;
    head = end + 4;
    const std::size_t at = got.find("Content-Length: ");
    if (at != std::string::npos && at < end)
      length = static_cast<std::size_t>(std::strtoul(got.c_str() + at + 16, nullptr, 10));
  }
  return {std::atoi(got.c_str() + 9), got.substr(head, length)};
}

}  // namespace digits
