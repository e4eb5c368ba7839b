// HttpServer::Loop: one I/O thread with its connections.
#pragma once
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "serve/rest/http_connection.h"
#include "serve/rest/http_server.h"
#include "serve/rest/poller.h"

namespace tenon::serve {

/// Outlives the server while a task still works for one of its connections.
struct HttpServer::Shared {
  Shared(HttpServerOptions o, std::shared_ptr<HttpHandler> h)
      : options(std::move(o)), handler(std::move(h)), workers(options.worker_threads, "tenon-rest-work") {}
  const HttpServerOptions options;
  const std::shared_ptr<HttpHandler> handler;
  std::atomic<std::size_t> connections{0};
  std::atomic<bool> ending{false};  // clients are to go
  TaskPool workers;
};

class HttpServer::Loop : public ConnectionOwner, public std::enable_shared_from_this<HttpServer::Loop> {
 public:
  explicit Loop(std::shared_ptr<Shared> shared);
  ~Loop() override;

  Status Open();
  /// This loop accepts for all of `loops` (itself among them).
  void Accept(int listener, std::vector<std::shared_ptr<Loop>> loops);
  /// The thread's function; returns when everything is drained, or at the time given to Drain.
  void Run();
  /// Any thread. False, and the descriptor stays the caller's, once Drain was called (the loop may be at its end), and
  /// when there is no memory.
  bool Adopt(int fd);
  void Drain(std::chrono::steady_clock::time_point until);

  bool Offload(const std::shared_ptr<HttpConnection>& connection) override;
  void Join(const std::shared_ptr<HttpConnection>& connection) override;
  void Watch(HttpConnection& connection, bool read, bool write) override;
  bool ending() const override { return shared_->ending.load(std::memory_order_relaxed); }

 private:
  using Clock = std::chrono::steady_clock;
  using Letters = HttpConnection::Letters;
  void TakeMail();
  void Answered(const std::shared_ptr<HttpConnection>& connection, HttpConnection::Reply reply);
  void Deliver(Letters& letters);
  void AcceptAll();
  void StopAccepting();
  void Add(int fd);
  void Sweep();

  const std::shared_ptr<Shared> shared_;
  Poller poller_;
  int listener_ = -1;
  std::vector<std::shared_ptr<Loop>> loops_;
  std::size_t next_loop_ = 0;
  bool listening_ = false;  // the listener is watched (not while the process is out of files)
  std::unordered_map<HttpConnection*, std::shared_ptr<HttpConnection>> connections_;
  std::vector<HttpConnection*> touched_;  // in this round
  std::string scratch_;
  Clock::time_point now_ = Clock::now(), last_tick_ = now_, accept_again_ = now_;
  Spinner spinner_;
  std::size_t working_ = 0;              // requests that workers or the round have
  Letters answered_;                     // by the round
  std::atomic<std::thread::id> thread_;  // that runs the loop
  bool draining_ = false;

  std::mutex mutex_;  // guards the mail
  std::vector<int> adopted_;
  Letters finished_;
  bool drain_asked_ = false;
  Clock::time_point drain_until_ = Clock::time_point::max();
};

}  // namespace tenon::serve
