// Loop: one I/O thread with its connections.
#pragma once
#include <condition_variable>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "serve/grpc_http2/connection.h"
#include "serve/rest/poller.h"

namespace tenon::serve::http2 {

/// A socket that listens. The descriptor stays the opener's.
struct Listener {
  int fd = -1;
  bool secure = false;  // its connections speak TLS
  bool watched = false;
};

class Loop : public ConnectionOwner {
 public:
  explicit Loop(Shared& shared) : shared_(shared), scratch_(256 << 10, '\0') {}
  ~Loop() override;

  Status Open();
  /// This loop accepts for all of `loops` (itself among them).
  void Accept(std::vector<Listener> listeners, std::vector<Loop*> loops);
  /// The thread's function; returns after Finish.
  void Run();

  // Any thread:
  /// Takes a connection that is counted in Shared::connections. False, and the descriptor stays the caller's, once
  /// Drain was called (the loop may be at its end), and when there is no memory.
  bool Adopt(int fd, bool secure);
  /// The serving state has changed.
  void Notify();
  /// Accepts who has connected, then no more (the listeners are shut), and has the connections end when their calls
  /// have.
  void Drain();
  /// Whether all connections are gone, at the latest at `until`.
  bool WaitUntilEmpty(std::chrono::steady_clock::time_point until);
  /// Ends Run and cuts off what is left.
  void Finish();
  void Post(std::shared_ptr<Http2Connection> connection, std::int32_t stream, Status status,
            std::string reply) override;

  void Watch(Http2Connection& connection, bool read, bool write) override;

 private:
  using Clock = std::chrono::steady_clock;
  struct Answer {
    std::shared_ptr<Http2Connection> connection;
    std::int32_t stream;
    Status status;
    std::string reply;
  };
  struct Mail {
    std::vector<std::pair<int, bool>> adopted = {};
    std::vector<Answer> answers = {};
    bool notify = false, drain = false, finish = false;
  };
  int Wait(std::span<epoll_event> events);
  void Handle(void* from, std::uint32_t events);
  void TakeMail();
  void Deliver(std::vector<Answer>& answers);
  void AcceptAll(Listener& listener);
  void Watch(Listener& listener, bool on);
  void Add(int fd, bool secure);
  void Sweep();

  Shared& shared_;
  Poller poller_;
  std::vector<Listener> listeners_;
  std::vector<Loop*> loops_;
  std::size_t next_loop_ = 0;
  std::unordered_map<Http2Connection*, std::shared_ptr<Http2Connection>> connections_;
  std::vector<Http2Connection*> touched_;  // in this round
  std::string scratch_;
  Clock::time_point now_ = Clock::now(), last_tick_ = now_, accept_again_ = now_;
  Clock::time_point refused_ = {};  // when the log last said that a connection was refused
  Spinner spinner_{shared_.options.spin};
  bool draining_ = false, finished_ = false;
  std::vector<Answer> answered_;         // on this thread, by the round
  std::atomic<std::thread::id> thread_;  // that runs the loop

  std::mutex mutex_;  // guards what follows
  std::condition_variable emptied_;
  Mail mail_;
  bool empty_ = true, drain_asked_ = false;
};

}  // namespace tenon::serve::http2
