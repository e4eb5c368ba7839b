// Http2Connection: one gRPC client over HTTP/2, seen by the I/O thread that owns it. Frames and header compression are
// nghttp2's.
#pragma once
#include <nghttp2/nghttp2.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "serve/grpc/transport.h"
#include "serve/grpc_http2/stream.h"
#include "serve/rest/socket.h"

namespace tenon::serve::http2 {

inline constexpr std::size_t kMaxHeaderBytes = 64 << 10;  // of a request's head
inline constexpr std::size_t kQueueLimit = 1 << 20;     // of a call that lasts: responses that its client does not take
inline constexpr std::size_t kFreeAnswers = 1 << 20;    // of a connection: answers that wait whatever the budget says
inline constexpr std::size_t kOutputLimit = 256 << 10;  // unsent bytes at which no more frames are made

/// What all connections of a server share.
struct Shared {
  Shared(GrpcTransportOptions o, GrpcService& s) : options(std::move(o)), service(s) {}
  const GrpcTransportOptions options;
  GrpcService& service;
  std::int64_t max_message = -1;
  std::uint32_t max_streams = 1000;  // of one connection at a time
  std::shared_ptr<TlsContext> tls = {};
  std::atomic<bool> serving{false};
  std::atomic<int> working{0};              // calls that other threads have
  std::atomic<std::size_t> connections{0};  // accepted and not closed
  /// One more connection is too many.
  bool Full() const { return options.max_connections > 0 && connections >= options.max_connections; }
};

/// The calls of a connection to its loop.
class ConnectionOwner {
 public:
  virtual ~ConnectionOwner() = default;
  /// Events wanted from now on.
  virtual void Watch(class Http2Connection& connection, bool read, bool write) = 0;
  /// Any thread: an answer that was made elsewhere, to be given to Http2Connection::Answered on the loop's thread.
  virtual void Post(std::shared_ptr<Http2Connection> connection, std::int32_t stream, Status status,
                    std::string reply) = 0;
};

/// Everything is called on the loop's thread. Cheap calls are answered before Readable returns, all that a read brought
/// in one write.
class Http2Connection : public std::enable_shared_from_this<Http2Connection> {
 public:
  using Clock = std::chrono::steady_clock;
  /// Once made it has a place among Shared::connections, which it gives back.
  Http2Connection(Socket socket, ConnectionOwner& owner, Shared& shared);
  ~Http2Connection();
  Http2Connection(const Http2Connection&) = delete;
  Http2Connection& operator=(const Http2Connection&) = delete;

  int fd() const { return socket_.fd(); }
  /// Nothing is left to do: the owner drops it.
  bool done() const { return done_; }

  /// `scratch` is a buffer of the loop.
  void Readable(Clock::time_point now, std::string& scratch);
  /// Bytes have been received that Readable has not seen yet and that no event will tell of.
  bool pending_input() const { return !done_ && reading_ && socket_.pending(); }
  void Writable(Clock::time_point now);
  /// The socket is broken.
  void Broken() { done_ = true; }
  /// Gives back all that a connection that is done holds; calls under way elsewhere may keep the shell.
  void Close();
  /// Closes what waited too long; goes on with the end of a connection that drains.
  void Tick(Clock::time_point now);
  /// Tells the client to begin no more calls here; calls that have begun end, watches are ended.
  void Drain(Clock::time_point now);
  /// An answer that was made elsewhere; Writable sends it. The stream may be gone.
  void Answered(std::int32_t stream, const Status& status, std::string reply, Clock::time_point now);
  /// The serving state has changed.
  void UpdateWatches(Clock::time_point now);

 private:
  friend struct Callbacks;
  class Reply;
  class Later;
  struct Inflated;
  void Received(std::string_view bytes);
  void AfterProgress();
  void Flush();
  void Collect();
  void Want(bool read, bool write);
  std::size_t unsent() const { return out_.size() - out_at_; }

  Stream* Begin(std::int32_t id);
  void Closed(Stream* stream);
  void HeadersDone(Stream& stream);
  void Route(Stream& stream);
  std::int64_t LimitOf(GrpcService::Kind kind) const;
  void Data(Stream& stream, std::string_view bytes);
  void Message(Stream& stream);
  void Ended(Stream& stream);
  void Run(Stream& stream);
  Status Inflate(GrpcService::Kind kind, std::string_view bytes, std::string_view encoding, Inflated& out) const;
  void GiveUpStalled();
  bool StillComes(const Stream& stream) const;
  bool StillTaken(const Stream& stream) const;
  void UpdateWatch(Stream& stream);

  /// One message of the response; more may follow. Ends the call when the client does not take what it asks for.
  void Write(Stream& stream, std::string message);
  void Queue(Stream& stream, std::string message);
  /// The first message of the response is out.
  void Sent(Stream& stream);
  /// The end of the response, behind what was written.
  void Finish(Stream& stream, const Status& status);
  void Answer(Stream& stream, const Status& status, std::string reply);
  void Resume(Stream& stream);
  void Refuse(Stream& stream, const char* http_status);
  void SubmitTrailers(Stream& stream);
  void Check(int result);

  Socket socket_;
  ConnectionOwner& owner_;
  Shared& shared_;
  const std::string peer_;
  nghttp2_session* session_ = nullptr;
  std::vector<Stream*> streams_;                  // open ones
  std::vector<std::unique_ptr<Stream>> storage_;  // all, open or to be used again
  std::vector<Stream*> free_;
  std::string out_;
  std::size_t out_at_ = 0;
  std::size_t answer_bytes_ = 0;  // Stream::queued of all streams
  HeldBytes answers_;             // the same, where some were not taken at once
  Clock::time_point now_ = Clock::now();
  Clock::time_point begun_ = now_;  // accepted
  Uptake uptake_;                   // of out_
  Clock::time_point moved_ = now_;  // last byte of an answer
  Clock::time_point drained_ = {};  // when the drain began, then when our side was shut
  bool counted_ = true;             // among Shared::connections
  bool reading_ = true, writing_ = false;
  bool settled_ = false;     // the client's settings have come
  bool draining_ = false;    // the client was told to begin no more calls
  bool going_away_ = false;  // calls that it begins all the same are not seen
  bool lingering_ = false;   // our side is shut: wait for the client's end
  bool done_ = false;
};

}  // namespace tenon::serve::http2
