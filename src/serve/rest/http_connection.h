// HttpConnection: one client, seen by the I/O thread that owns it.
#pragma once
#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "base/unique_function.h"
#include "serve/rest/http_server.h"
#include "serve/rest/socket.h"

namespace tenon::serve {

/// The callbacks of a connection to its loop.
class ConnectionOwner {
 public:
  virtual ~ConnectionOwner() = default;
  /// Run the connection's current request on a worker; finish with HttpConnection::Finished on the loop's thread.
  /// False: there is no memory or no thread for it, and nothing has been done.
  virtual bool Offload(const std::shared_ptr<class HttpConnection>& connection) = 0;
  /// Run it here, within the loop's BatchRound: Joined before the call returns, or Finished later.
  virtual void Join(const std::shared_ptr<class HttpConnection>& connection) = 0;
  /// Events wanted from now on.
  virtual void Watch(HttpConnection& connection, bool read, bool write) = 0;
  /// Clients are to go: replies tell them that their connection closes. Any thread.
  virtual bool ending() const = 0;
};

/// Everything but Work is called on the loop's thread. While the request is elsewhere (busy()), nothing that it refers
/// to is touched.
class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  using Clock = std::chrono::steady_clock;
  HttpConnection(Socket socket, ConnectionOwner& owner, const HttpServerOptions& options, HttpHandler& handler);
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  int fd() const { return socket_.fd(); }
  /// Nothing is left to do: the owner drops it (once it is not busy).
  bool done() const { return done_; }
  bool busy() const { return busy_; }
  bool reading() const { return reading_; }
  bool writing() const { return writing_; }

  void Readable(Clock::time_point now, std::string& scratch);
  /// Bytes have been received that Readable has not seen yet and that no event will tell of.
  bool pending_input() const { return !done_ && !busy_ && reading_ && socket_.pending(); }
  void Writable(Clock::time_point now);
  /// The socket is broken.
  void Broken() {
    done_ = true;
    presence_->left.store(true, std::memory_order_relaxed);
  }
  /// Closes what waited too long.
  void Tick(Clock::time_point now);
  /// The connection is to end: a request that has come by now is answered, and says so; one that has not sent anything
  /// yet gets a moment.
  void Drain(Clock::time_point now, std::string& scratch);

  /// A reply as bytes; `last`: it says that the connection ends with it.
  struct Reply {
    std::string bytes = {};
    bool last = false;
  };
  /// Handles the current request; `done` gets the reply, now or later, on any thread. When the handler throws or drops
  /// what it is to call, the reply is 500. Where the client is gone the handler is not asked.
  void Work(base::UniqueFunction<void(Reply)> done);
  /// Back on the loop's thread with what Work returned, which was put into Letters.
  void Finished(Clock::time_point now);
  /// The same while Join is being called.
  void Joined(Reply reply);
  bool joining() const { return joining_; }

  /// Replies on their way to the loop's thread: a list through their connections, each of which has one at the most, so
  /// that none is lost for want of memory.
  class Letters {
   public:
    Letters() = default;
    ~Letters() {
      while (Take()) {
      }
    }
    Letters(const Letters&) = delete;
    Letters& operator=(const Letters&) = delete;
    bool empty() const { return first_ == nullptr; }
    /// The last; Finished takes it.
    void Add(const std::shared_ptr<HttpConnection>& connection, Reply reply);
    /// The first; null when there is none.
    std::shared_ptr<HttpConnection> Take();
    void swap(Letters& other) noexcept {
      first_.swap(other.first_);
      std::swap(last_, other.last_);
    }

   private:
    std::shared_ptr<HttpConnection> first_;
    HttpConnection* last_ = nullptr;
  };

 private:
  /// Handles the requests in `input`; returns how many of its bytes are done with. `stored`: it is in_ (from in_at_
  /// on).
  void Process(std::string_view input, bool stored);
  class Answering;
  /// The client, to those that work for it; may outlive the connection.
  struct Presence : Waiter {
    bool gone() const override { return left.load(std::memory_order_relaxed); }
    std::atomic<bool> left{false};
  };
  HttpResponse HandleSafely(const HttpRequest& request);
  void Answer(const HttpResponse& response, bool head_only, bool keep_alive);
  void Refuse(int status) { Answer(HttpErrorPage(status), false, false); }
  /// Answers what the parser does not take.
  void RefuseUnread();
  /// Answers 503, and gives up what came of the request.
  void RefuseForNow(std::string_view message);
  /// Whether `bytes` more of a request may be kept; else it is answered with 503.
  bool MayKeep(std::size_t bytes);
  /// Room for an input of `size` bytes, if they may be kept.
  bool MakeRoom(std::size_t size);
  /// Counts what the input holds.
  void CountInput() {
    const std::size_t bytes = in_.capacity() + parser_.held();
    counted_.Set(bytes > kUncounted ? bytes : 0);
  }
  void AfterProgress();
  void Flush();
  void Linger();
  void Want(bool read, bool write);
  bool output_full() const { return out_.size() - out_at_ > kOutputLimit; }

  static constexpr std::size_t kOutputLimit = 1 << 20;  // unsent bytes at which reading pauses
  static constexpr std::size_t kUncounted = 64;         // bytes that a string holds without memory of its own, and more

  Socket socket_;
  ConnectionOwner& owner_;
  const HttpServerOptions& options_;
  HttpHandler& handler_;
  const std::shared_ptr<Presence> presence_ = std::make_shared<Presence>();
  std::string peer_;
  HttpParser parser_;
  std::string in_;                        // bytes received and not yet done with
  HeldBytes counted_;                     // of in_
  std::size_t in_at_ = 0;                 // the current request begins here
  std::size_t held_ = 0;                  // bytes at in_at_ that the request which is elsewhere lies in
  Reply arrived_;                         // while it is among Letters, and until Finished
  std::shared_ptr<HttpConnection> next_;  // there
  std::string head_;                      // of a request that waits for its round
  std::string out_;
  std::size_t out_at_ = 0;
  Uptake uptake_;  // of out_
  Clock::time_point now_ = Clock::now();
  Clock::time_point progress_ = now_;  // last byte in or out
  Clock::time_point begun_ = now_;     // first byte of the current request
  std::size_t received_ = 0;           // bytes since then
  Deadline deadline_ = kNoDeadline;
  bool reading_ = true, writing_ = false;  // events asked for
  bool busy_ = false;                      // a worker or the round has the request
  bool joining_ = false;                   // the request is being given to the round
  bool stalled_ = false;                   // requests wait for room in the output
  bool eof_ = false;                       // the client has sent its last byte
  bool closing_ = false;                   // no further request; close when the output is out
  bool lingering_ = false;                 // the output is out and our side is shut: wait for the client's end
  bool draining_ = false;                  // close after the current request
  bool used_ = false;                      // something has come
  bool done_ = false;
};

}  // namespace tenon::serve
