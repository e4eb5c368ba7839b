#include "serve/rest/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <string_view>

namespace tenon::serve {

std::string PeerOf(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  char text[INET6_ADDRSTRLEN] = "";
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
  const bool six = address.ss_family == AF_INET6;
  const void* from = six ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in6&>(address).sin6_addr)
                         : &reinterpret_cast<const sockaddr_in&>(address).sin_addr;
  if (::inet_ntop(address.ss_family, from, text, sizeof text) == nullptr) return {};
  const std::string_view whole = text;
  return std::string(whole.substr(whole.starts_with("::ffff:") ? 7 : 0));  // IPv4 seen by an IPv6 socket
}

}  // namespace tenon::serve
