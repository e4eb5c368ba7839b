#include "serve/grpc_http2/loop.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/log.h"
#include "serve/core/batch_round.h"
#include "serve/rest/attempt.h"

namespace tenon::serve::http2 {
namespace {

constexpr std::string_view kWho = "gRPC", kEnds = "gRPC: a connection ends";
constexpr auto kTick = std::chrono::milliseconds(1000), kDrainTick = std::chrono::milliseconds(10);
constexpr auto kAcceptAgain = std::chrono::milliseconds(100), kSayAgain = std::chrono::milliseconds(10'000);
constexpr int kQuiet = 120, kAsk = 30, kAsks = 4;  // seconds without a byte, between two questions; how many

}  // namespace

Loop::~Loop() {
  for (const auto& [fd, secure] : mail_.adopted) {
    ::close(fd);
    --shared_.connections;
  }
}

Status Loop::Open() { return poller_.Open(kWho); }

void Loop::Accept(std::vector<Listener> listeners, std::vector<Loop*> loops) {
  listeners_ = std::move(listeners);
  loops_ = std::move(loops);
}

bool Loop::Adopt(int fd, bool secure) {
  const std::lock_guard lock(mutex_);
  if (drain_asked_) return false;
  try {
    mail_.adopted.emplace_back(fd, secure);
  } catch (const std::bad_alloc&) {
    return false;
  }
  poller_.Wake();
  return true;
}

void Loop::Notify() {
  const std::lock_guard lock(mutex_);
  mail_.notify = true;
  poller_.Wake();
}

void Loop::Drain() {
  const std::lock_guard lock(mutex_);
  mail_.drain = drain_asked_ = true;
  empty_ = false;  // until the thread has seen it
  poller_.Wake();
}

bool Loop::WaitUntilEmpty(Clock::time_point until) {
  std::unique_lock lock(mutex_);
  return emptied_.wait_until(lock, until, [&] { return empty_; });
}

void Loop::Finish() {
  const std::lock_guard lock(mutex_);
  mail_.finish = true;
  poller_.Wake();
}

void Loop::Post(std::shared_ptr<Http2Connection> connection, std::int32_t stream, Status status, std::string reply) {
  if (std::this_thread::get_id() == thread_.load(std::memory_order_relaxed)) {
    answered_.push_back({std::move(connection), stream, std::move(status), std::move(reply)});
    return;
  }
  const std::lock_guard lock(mutex_);
  if (mail_.answers.empty()) poller_.Wake();
  mail_.answers.push_back({std::move(connection), stream, std::move(status), std::move(reply)});
}

void Loop::Watch(Http2Connection& connection, bool read, bool write) {
  poller_.Watch(connection.fd(), &connection, read, write);
}

void Loop::Watch(Listener& listener, bool on) {
  if (on == listener.watched) return;
  if (!on) poller_.Remove(listener.fd);
  listener.watched = on && poller_.Add(listener.fd, &listener);
}

void Loop::Add(int fd, bool secure) {
  const int one = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);  // these fail on a unix socket, which needs them not
  // A client may be quiet for as long as it likes. One whose machine is gone never says so: the system asks it.
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &kQuiet, sizeof kQuiet);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &kAsk, sizeof kAsk);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &kAsks, sizeof kAsks);
  std::shared_ptr<Http2Connection> connection;
  try {
    Socket socket(fd);
    if (secure) socket.Secure(*shared_.tls);
    connection = std::make_shared<Http2Connection>(std::move(socket), *this, shared_);
    Http2Connection* const raw = connection.get();
    touched_.push_back(raw);  // of connections that are not there Sweep knows nothing
    if (connection->done() || !poller_.Add(fd, raw)) return;
    connections_.emplace(raw, connection);
    if (!secure) raw->Writable(now_);  // the settings
    if (draining_) raw->Drain(now_);
  } catch (const std::bad_alloc& error) {
    base::LogFailure(base::LogLevel::kWarning, kEnds, error);
    if (connection)
      connection->Broken();
    else
      --shared_.connections;
  }
}

void Loop::AcceptAll(Listener& listener) {
  for (int i = 0; i < 256; ++i) {
    bool stop = false;
    const int fd = AcceptNext(listener.fd, kWho, stop);
    if (stop) {
      Watch(listener, false);
      accept_again_ = now_ + kAcceptAgain;
    }
    if (fd < 0) return;
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
    Attempt(kEnds, *answer.connection,
            [&] { answer.connection->Answered(answer.stream, answer.status, std::move(answer.reply), now_); });
  const std::size_t before = touched_.size();
  for (const Answer& answer : answers) {
    Http2Connection* const raw = answer.connection.get();
    if (!connections_.contains(raw)) continue;
    if (std::find(touched_.begin() + static_cast<std::ptrdiff_t>(before), touched_.end(), raw) != touched_.end())
      continue;
    Attempt(kEnds, *raw, [&] { raw->Writable(now_); });
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
    poller_.Remove(raw->fd());
    raw->Close();
    connections_.erase(it);  // calls under way elsewhere may still hold it
  }
  touched_.clear();
}

/// Events. Before it sleeps it looks for them again and again, for as long as the options say.
int Loop::Wait(std::span<epoll_event> events) {
  const auto tick = static_cast<int>((draining_ ? kDrainTick : kTick).count());
  const int n = poller_.Wait(
      events,
      spinner_.MaySleep(shared_.working.load(std::memory_order_relaxed) > 0) || connections_.empty() ? tick : 0);
  now_ = Clock::now();
  spinner_.Waited(now_, n > 0);
  return n;
}

void Loop::Handle(void* from, std::uint32_t events) {
  if (poller_.Woken(from)) return TakeMail();
  for (Listener& listener : listeners_)
    if (from == &listener) return listener.watched ? AcceptAll(listener) : void();
  auto& connection = *static_cast<Http2Connection*>(from);
  Attempt(kEnds, connection, [&] {
    if (events & EPOLLIN) connection.Readable(now_, scratch_);
    while (connection.pending_input()) connection.Readable(now_, scratch_);
    if (events & EPOLLOUT) {
      connection.Writable(now_);
      while (connection.pending_input()) connection.Readable(now_, scratch_);
    }
  });
  if ((events & (EPOLLHUP | EPOLLERR)) && !(events & EPOLLIN)) connection.Broken();
  if (connection.done()) touched_.push_back(&connection);
}

void Loop::Run() {
  ::pthread_setname_np(::pthread_self(), "tenon-grpc-io");
  std::array<epoll_event, 128> events;
  std::vector<Answer> answered;
  thread_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  BatchRound round;
  while (!finished_) try {
      if (!draining_ && now_ >= accept_again_)
        for (Listener& listener : listeners_) Watch(listener, true);
      const int n = Wait(events);
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
    } catch (const std::exception& error) {  // no memory to note something: what is not done comes again
      base::LogFailure(base::LogLevel::kError, kWho, error);
    }
  thread_.store({}, std::memory_order_relaxed);  // the number may be another thread's soon
  connections_.clear();
}

}  // namespace tenon::serve::http2
