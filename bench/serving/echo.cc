// The least that a request can cost on this machine: a TCP server on one epoll thread that reads REQUEST bytes and
// answers with REPLY bytes, after --work nanoseconds of computing where given.
//
//   echo PORT REQUEST_BYTES REPLY_BYTES [--spin] [--work NANOSECONDS]
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <iostream>
#include <string>
#include <unordered_map>
#include <vector>

int main(int argc, char** argv) {
  if (argc < 4) {
    std::cerr << "usage: echo PORT REQUEST_BYTES REPLY_BYTES [--spin] [--work NANOSECONDS]\n";
    return 2;
  }
  const std::size_t request = std::stoul(argv[2]), reply = std::stoul(argv[3]);
  int wait = -1;
  std::chrono::nanoseconds work{0};
  for (int i = 4; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--spin") wait = 0;
    if (option == "--work" && i + 1 < argc) work = std::chrono::nanoseconds(std::stol(argv[++i]));
  }
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(argv[1])));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(listener, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0 || ::listen(listener, 128) != 0) return 1;
  const int poll = ::epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{.events = EPOLLIN, .data = {.fd = listener}};
  ::epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
  std::unordered_map<int, std::size_t> got;
  std::vector<char> buffer(256 << 10);
  const std::string answer(reply, 'a');
  for (;;) {
    epoll_event events[128];
    const int n = ::epoll_wait(poll, events, 128, wait);
    for (int i = 0; i < n; ++i) {
      const int fd = events[i].data.fd;
      if (fd == listener) {
        const int client = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        ::setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        event = {.events = EPOLLIN, .data = {.fd = client}};
        ::epoll_ctl(poll, EPOLL_CTL_ADD, client, &event);
        continue;
      }
      const ssize_t bytes = ::recv(fd, buffer.data(), buffer.size(), 0);
      if (bytes <= 0) {
        ::close(fd);
        got.erase(fd);
        continue;
      }
      std::size_t& have = got[fd];
      for (have += static_cast<std::size_t>(bytes); have >= request; have -= request) {
        const auto busy_until = std::chrono::steady_clock::now() + work;
        while (work.count() > 0 && std::chrono::steady_clock::now() < busy_until) {
        }
        if (::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) break;
      }
    }
  }
}
