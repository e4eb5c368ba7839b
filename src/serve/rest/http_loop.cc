#include "serve/rest/http_loop.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <exception>

#include "serve/core/batch_round.h"
#include "serve/rest/attempt.h"

namespace tenon::serve {
namespace {

constexpr std::string_view kWho = "HTTP server", kEnds = "HTTP server: a connection ends";

}  // namespace

HttpServer::Loop::Loop(std::shared_ptr<Shared> shared)
    : shared_(std::move(shared)), scratch_(256 << 10, '\0'), spinner_(shared_->options.spin) {}

HttpServer::Loop::~Loop() {
  for (const int fd : adopted_) ::close(fd);
}

Status HttpServer::Loop::Open() { return poller_.Open(kWho); }

void HttpServer::Loop::Accept(int listener, std::vector<std::shared_ptr<Loop>> loops) {
  listener_ = listener;
  loops_ = std::move(loops);
}

bool HttpServer::Loop::Adopt(int fd) {
  const std::lock_guard lock(mutex_);
  if (drain_asked_) return false;
  try {
    adopted_.push_back(fd);
  } catch (const std::bad_alloc&) {
    return false;
  }
  poller_.Wake();
  return true;
}

void HttpServer::Loop::Drain(Clock::time_point until) {
  const std::lock_guard lock(mutex_);
  drain_asked_ = true;
  drain_until_ = until;
  poller_.Wake();
}

bool HttpServer::Loop::Offload(const std::shared_ptr<HttpConnection>& connection) {
  const bool taken = shared_->workers.Submit([self = shared_from_this(), connection] {
    connection->Work([self, connection](HttpConnection::Reply reply) { self->Answered(connection, std::move(reply)); });
  });
  if (taken) ++working_;
  return taken;
}

void HttpServer::Loop::Join(const std::shared_ptr<HttpConnection>& connection) {
  ++working_;
  connection->Work([self = shared_from_this(), connection](HttpConnection::Reply reply) {
    self->Answered(connection, std::move(reply));
  });
}

/// Any thread. On the loop's own the connection may be at work further up the stack: it hears of its reply afterwards,
/// or in Join.
void HttpServer::Loop::Answered(const std::shared_ptr<HttpConnection>& connection, HttpConnection::Reply reply) {
  if (std::this_thread::get_id() != thread_.load(std::memory_order_relaxed)) {
    const std::lock_guard lock(mutex_);
    finished_.Add(connection, std::move(reply));
    poller_.Wake();
  } else if (connection->joining()) {
    --working_;
    connection->Joined(std::move(reply));
  } else {
    answered_.Add(connection, std::move(reply));
  }
}

void HttpServer::Loop::Deliver(Letters& letters) {
  while (const std::shared_ptr<HttpConnection> connection = letters.Take()) {
    --working_;
    Attempt(kEnds, *connection, [&] {
      connection->Finished(now_);
      while (connection->pending_input()) connection->Readable(now_, scratch_);
      touched_.push_back(connection.get());
    });
  }
}

void HttpServer::Loop::Watch(HttpConnection& connection, bool read, bool write) {
  poller_.Watch(connection.fd(), &connection, read, write);
}

void HttpServer::Loop::Add(int fd) {
  const int one = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  try {
    Socket socket(fd);
    if (shared_->options.tls) socket.Secure(*shared_->options.tls);
    auto connection = std::make_shared<HttpConnection>(std::move(socket), *this, shared_->options, *shared_->handler);
    touched_.push_back(connection.get());  // of connections that are not there Sweep knows nothing
    HttpConnection& added = *connections_.emplace(connection.get(), connection).first->second;
    if (!poller_.Add(added.fd(), &added)) added.Broken();
    if (draining_) Attempt(kEnds, added, [&] { added.Drain(now_, scratch_); });
  } catch (const std::bad_alloc& error) {
    base::LogFailure(base::LogLevel::kWarning, kEnds, error);
    --shared_->connections;
  }
}

void HttpServer::Loop::AcceptAll() {
  for (int i = 0; i < 256; ++i) {
    bool stop = false;
    const int fd = AcceptNext(listener_, kWho, stop);
    if (stop) {
      StopAccepting();
      accept_again_ = now_ + std::chrono::milliseconds(100);
    }
    if (fd < 0) return;
    if (++shared_->connections > shared_->options.max_connections) {
      --shared_->connections;
      if (shared_->options.refused) shared_->options.refused();
      ::close(fd);
      continue;
    }
    Loop& loop = *loops_[next_loop_++ % loops_.size()];
    if (&loop == this || !loop.Adopt(fd)) Add(fd);
  }
}

void HttpServer::Loop::StopAccepting() {
  if (!listening_) return;
  poller_.Remove(listener_);
  listening_ = false;
}

void HttpServer::Loop::TakeMail() {
  std::vector<int> adopted;
  Letters finished;
  bool drain = false;
  {
    const std::lock_guard lock(mutex_);
    adopted.swap(adopted_);
    finished.swap(finished_);
    drain = drain_asked_ && !draining_;
  }
  for (const int fd : adopted) Add(fd);
  Deliver(finished);
  if (!drain) return;
  draining_ = true;
  if (listening_) AcceptAll();  // who has connected by now is served
  StopAccepting();
  if (listener_ >= 0) ::shutdown(listener_, SHUT_RD);  // refuses new clients
  for (const auto& [raw, connection] : connections_) {
    Attempt(kEnds, *raw, [&] { raw->Drain(now_, scratch_); });
    touched_.push_back(raw);
  }
}

/// Drops the connections that are done.
void HttpServer::Loop::Sweep() {
  for (HttpConnection* raw : touched_) {
    const auto it = connections_.find(raw);  // may be there twice
    if (it == connections_.end() || !raw->done()) continue;
    poller_.Remove(raw->fd());
    if (raw->busy()) continue;  // the worker's reply comes first
    connections_.erase(it);
    --shared_->connections;
  }
  touched_.clear();
}

void HttpServer::Loop::Run() {
  ::pthread_setname_np(::pthread_self(), "tenon-rest-io");
  const auto& o = shared_->options;
  const auto shortest = std::min({o.idle_timeout, o.read_timeout, o.write_timeout, std::chrono::milliseconds(4000)});
  const auto tick = std::max(shortest / 4, std::chrono::milliseconds(5));
  std::array<epoll_event, 128> events;
  Letters answered;
  thread_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  BatchRound round;
  for (;;) try {
      if (listener_ >= 0 && !listening_ && !draining_ && now_ >= accept_again_)
        listening_ = poller_.Add(listener_, &listener_);
      const auto wait = draining_ ? std::min(tick, std::chrono::milliseconds(20)) : tick;
      const int n = poller_.Wait(
          events, spinner_.MaySleep(working_ > 0) || connections_.empty() ? static_cast<int>(wait.count()) : 0);
      now_ = Clock::now();
      spinner_.Waited(now_, n > 0);
      for (int i = 0; i < n; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        if (poller_.Woken(event.data.ptr)) {
          TakeMail();
        } else if (event.data.ptr == &listener_) {
          if (listening_) AcceptAll();
        } else {
          auto& connection = *static_cast<HttpConnection*>(event.data.ptr);
          Attempt(kEnds, connection, [&] {
            if (event.events & EPOLLIN) connection.Readable(now_, scratch_);
            while (connection.pending_input()) connection.Readable(now_, scratch_);
            if (event.events & EPOLLOUT) {
              connection.Writable(now_);
              while (connection.pending_input()) connection.Readable(now_, scratch_);
            }
          });
          // A reset. A client that has only shut its side (an end of the input) may wait for its reply.
          if ((event.events & (EPOLLHUP | EPOLLERR)) && (connection.busy() || !(event.events & EPOLLIN)))
            connection.Broken();
          if (connection.done()) touched_.push_back(&connection);
        }
      }
      for (round.Run(); !answered_.empty(); round.Run()) {
        answered.swap(answered_);
        Deliver(answered);
      }
      if (now_ - last_tick_ >= wait) {
        last_tick_ = now_;
        for (const auto& [raw, connection] : connections_) {
          raw->Tick(now_);
          if (raw->done()) touched_.push_back(raw);
        }
      }
      Sweep();
      if (draining_ && (connections_.empty() || now_ >= drain_until_)) break;
    } catch (const std::exception& error) {  // no memory to note something: what is not done comes again
      base::LogFailure(base::LogLevel::kError, kWho, error);
    }
  thread_.store({}, std::memory_order_relaxed);  // the number may be another thread's soon
  shared_->connections -= connections_.size();
  connections_.clear();
  loops_.clear();
}

}  // namespace tenon::serve
