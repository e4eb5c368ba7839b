#include "serve/rest/poller.h"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

namespace tenon::serve {

Poller::~Poller() {
  if (epoll_ >= 0) ::close(epoll_);
  if (event_ >= 0) ::close(event_);
}

Status Poller::Open(std::string_view who) {
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  event_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (epoll_ < 0 || event_ < 0 || !Add(event_, this))
    return Status(Code::kResourceExhausted, fmt::format("{}: cannot start: {}", who, std::strerror(errno)));
  return {};
}

void Poller::Wake() const {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = ::write(event_, &one, sizeof one);  // full means: already awake
}

bool Poller::Woken(const void* key) const {
  if (key != this) return false;
  std::uint64_t count;
  [[maybe_unused]] const ssize_t got = ::read(event_, &count, sizeof count);
  return true;
}

bool Poller::Add(int fd, void* key) const {
  epoll_event event{.events = EPOLLIN, .data = {.ptr = key}};
  return ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0;
}

void Poller::Watch(int fd, void* key, bool read, bool write) const {
  epoll_event event{.events = (read ? EPOLLIN : 0U) | (write ? EPOLLOUT : 0U), .data = {.ptr = key}};
  ::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event);
}

void Poller::Remove(int fd) const { ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr); }

}  // namespace tenon::serve
