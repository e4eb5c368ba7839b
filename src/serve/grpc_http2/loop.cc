#include "serve/grpc_http2/loop.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "serve/core/batch_round.h"

namespace tenon::serve::http2 {
namespace {

constexpr auto kTick = std::chrono::milliseconds(1000), kDrainTick = std::chrono::milliseconds(10);
constexpr auto kAcceptAgain = std::chrono::milliseconds(100), kSayAgain = std::chrono::milliseconds(10'000);
constexpr int kQuiet = 120, kAsk = 30, kAsks = 4;  // seconds without a byte, between two questions; how many

}  // namespace

Loop::~Loop() {
  for (const auto& [fd, secure] : mail_.adopted) {
    ::close(fd);
    --shared_.connections;
  }
  if (epoll_ >= 0) ::close(epoll_);
  if (event_ >= 0) ::close(event_);
}

Status Loop::Open() {
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  event_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  epoll_event event{.events = EPOLLIN, .data = {.ptr = &event_}};
  if (epoll_ < 0 || event_ < 0 || ::epoll_ctl(epoll_, EPOLL_CTL_ADD, event_, &event) != 0)
    return Status(Code::kResourceExhausted, fmt::format("gRPC: cannot start: {}", std::strerror(errno)));
  return {};
}

void Loop::Accept(std::vector<Listener> listeners, std::vector<Loop*> loops) {
  listeners_ = std::move(listeners);
  loops_ = std::move(loops);
}

void Loop::Wake() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = ::write(event_, &one, sizeof one);  // full means: already awake
}

bool Loop::Adopt(int fd, bool secure) {
  const std::lock_guard lock(mutex_);
  if (drain_asked_) return false;
  mail_.adopted.emplace_back(fd, secure);
  Wake();
  return true;
}

void Loop::Notify() {
  const std::lock_guard lock(mutex_);
  mail_.notify = true;
  Wake();
}

void Loop::Drain() {
  const std::lock_guard lock(mutex_);
  mail_.drain = drain_asked_ = true;
  empty_ = false;  // until the thread has seen it
  Wake();
}

bool Loop::WaitUntilEmpty(Clock::time_point until) {
  std::unique_lock lock(mutex_);
  return emptied_.wait_until(lock, until, [&] { return empty_; });
}

void Loop::Finish() {
  const std::lock_guard lock(mutex_);
  mail_.finish = true;
  Wake();
}

void Loop::Post(std::shared_ptr<Http2Connection> connection, std::int32_t stream, Status status, std::string reply) {
  if (std::this_thread::get_id() == thread_.load(std::memory_order_relaxed)) {
    answered_.push_back({std::move(connection), stream, std::move(status), std::move(reply)});
    return;
  }
  const std::lock_guard lock(mutex_);
  if (mail_.answers.empty()) Wake();
  mail_.answers.push_back({std::move(connection), stream, std::move(status), std::move(reply)});
}

void Loop::Watch(Http2Connection& connection, bool read, bool write) {
  epoll_event event{.events = (read ? EPOLLIN : 0U) | (write ? EPOLLOUT : 0U), .data = {.ptr = &connection}};
  ::epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.fd(), &event);
}

void Loop::Watch(Listener& listener, bool on) {
  if (on == listener.watched) return;
  epoll_event event{.events = EPOLLIN, .data = {.ptr = &listener}};
  const bool done = ::epoll_ctl(epoll_, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, listener.fd, &event) == 0;
  listener.watched = on && done;
}

void Loop::Add(int fd, bool secure) {
  const int one = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);  // these fail on a unix socket, which needs them not
  // A client may be quiet for as long as it likes. One whose machine is gone never says so: the system asks it.
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &kQuiet, sizeof kQuiet);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &kAsk, sizeof kAsk);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &kAsks, sizeof kAsks);
  std::unique_ptr<TlsSession> tls = secure ? shared_.tls->Accept(fd) : nullptr;
  if (secure && tls == nullptr) {
    ::close(fd);
    --shared_.connections;
    return;
  }
  auto connection = std::make_shared<Http2Connection>(fd, *this, shared_, std::move(tls));
  epoll_event event{.events = EPOLLIN, .data = {.ptr = connection.get()}};
  if (connection->done() || ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) return;
  Http2Connection* const raw = connection.get();
  connections_.emplace(raw, std::move(connection));
  if (!secure) raw->Writable(now_);  // the settings
  if (draining_) raw->Drain(now_);
  touched_.push_back(raw);
}

void Loop::AcceptAll(Listener& listener) {
  for (int i = 0; i < 256; ++i) {
    const int fd = ::accept4(listener.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) {
        // Out of files or memory: look again in a moment instead of spinning. EINVAL: the server is stopping.
        if (errno != EINVAL)
          base::Log(base::LogLevel::kWarning, fmt::format("gRPC: cannot accept: {}", std::strerror(errno)));
        Watch(listener, false);
        accept_again_ = now_ + kAcceptAgain;
      }
      return;
    }
    if (shared_.Full()) {
      // Closed before the client has seen the server's settings: it counts as a failed attempt, and the next one is
      // made later and later.
      if (shared_.options.refused) shared_.options.refused();
      ::close(fd);
      if (now_ - refused_ >= kSayAgain) {
        refused_ = now_;
        base::Log(base::LogLevel::kWarning,
                  fmt::format("gRPC: a connection was refused: there are {} (--max_connections)",
                              shared_.connections.load()));
      }
      continue;
    }
    ++shared_.connections;
    Loop& loop = *loops_[next_loop_++ % loops_.size()];
    if (&loop == this || !loop.Adopt(fd, listener.secure)) Add(fd, listener.secure);
  }
}

/// Answers of one connection are sent together.
void Loop::Deliver(std::vector<Answer>& answers) {
  shared_.working -= static_cast<int>(answers.size());
  for (Answer& answer : answers)
    answer.connection->Answered(answer.stream, answer.status, std::move(answer.reply), now_);
  const std::size_t before = touched_.size();
  for (const Answer& answer : answers) {
    Http2Connection* const raw = answer.connection.get();
    if (!connections_.contains(raw)) continue;
    if (std::find(touched_.begin() + static_cast<std::ptrdiff_t>(before), touched_.end(), raw) != touched_.end())
      continue;
    raw->Writable(now_);
    touched_.push_back(raw);
  }
}

void Loop::TakeMail() {
  Mail mail;
  {
    const std::lock_guard lock(mutex_);
    std::swap(mail, mail_);
  }
  for (const auto& [fd, secure] : mail.adopted) Add(fd, secure);
  Deliver(mail.answers);
  const auto each = [&](auto act) {
    for (const auto& [raw, connection] : connections_) {
      act(*raw);
      touched_.push_back(raw);
    }
  };
  if (mail.notify) each([&](Http2Connection& connection) { connection.UpdateWatches(now_); });
  if (mail.drain && !draining_) {
    draining_ = true;
    for (Listener& listener : listeners_) {
      if (listener.watched) AcceptAll(listener);  // who has connected by now is served
      Watch(listener, false);
      ::shutdown(listener.fd, SHUT_RD);  // refuses new clients
    }
    each([&](Http2Connection& connection) { connection.Drain(now_); });
  }
  finished_ = finished_ || mail.finish;
}

/// Drops the connections that are done.
void Loop::Sweep() {
  for (Http2Connection* raw : touched_) {
    const auto it = connections_.find(raw);  // may be there twice
    if (it == connections_.end() || !raw->done()) continue;
    ::epoll_ctl(epoll_, EPOLL_CTL_DEL, raw->fd(), nullptr);
    raw->Close();
    connections_.erase(it);  // calls under way elsewhere may still hold it
  }
  touched_.clear();
}

/// Events. Before it sleeps it looks for them again and again, for as long as the options say.
int Loop::Wait(epoll_event* events, int room) {
  const auto tick = static_cast<int>((draining_ ? kDrainTick : kTick).count());
  const int n = ::epoll_wait(
      epoll_, events, room,
      spinner_.MaySleep(shared_.working.load(std::memory_order_relaxed) > 0) || connections_.empty() ? tick : 0);
  now_ = Clock::now();
  spinner_.Waited(now_, n > 0);
  return n;
}

void Loop::Handle(void* from, std::uint32_t events) {
  if (from == &event_) {
    std::uint64_t count;
    [[maybe_unused]] const ssize_t got = ::read(event_, &count, sizeof count);
    return TakeMail();
  }
  for (Listener& listener : listeners_)
    if (from == &listener) return listener.watched ? AcceptAll(listener) : void();
  auto& connection = *static_cast<Http2Connection*>(from);
  if (events & EPOLLIN) connection.Readable(now_, scratch_);
  while (connection.pending_input()) connection.Readable(now_, scratch_);
  if (events & EPOLLOUT) {
    connection.Writable(now_);
    while (connection.pending_input()) connection.Readable(now_, scratch_);
  }
  if ((events & (EPOLLHUP | EPOLLERR)) && !(events & EPOLLIN)) connection.Broken();
  if (connection.done()) touched_.push_back(&connection);
}

void Loop::Run() {
  ::pthread_setname_np(::pthread_self(), "tenon-grpc-io");
  std::array<epoll_event, 128> events;
  std::vector<Answer> answered;
  thread_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  BatchRound round;
  while (!finished_) {
    if (!draining_ && now_ >= accept_again_)
      for (Listener& listener : listeners_) Watch(listener, true);
    const int n = Wait(events.data(), static_cast<int>(events.size()));
    for (int i = 0; i < n; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      Handle(event.data.ptr, event.events);
    }
    for (round.Run(); !answered_.empty(); round.Run()) {
      answered.swap(answered_);
      Deliver(answered);
      answered.clear();
    }
    if (now_ - last_tick_ >= (draining_ ? kDrainTick : kTick)) {
      last_tick_ = now_;
      for (const auto& [raw, connection] : connections_) {
        raw->Tick(now_);
        if (raw->done()) touched_.push_back(raw);
      }
    }
    Sweep();
    if (draining_ && connections_.empty()) {
      const std::lock_guard lock(mutex_);
      empty_ = true;
      emptied_.notify_all();
    }
  }
  thread_.store({}, std::memory_order_relaxed);  // the number may be another thread's soon
  connections_.clear();
}

}  // namespace tenon::serve::http2
