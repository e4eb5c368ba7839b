// The calls of a connection: from the head of a request to the end of its response.
#include <algorithm>
#include <array>
#include <utility>

#include "serve/core/guarded.h"
#include "serve/grpc_http2/callbacks.h"
#include "serve/grpc_http2/connection.h"

namespace tenon::serve::http2 {
namespace {

using Kind = GrpcService::Kind;

/// Both texts must live until the frame is sent, or be copied by nghttp2 (copied).
nghttp2_nv Field(std::string_view name, std::string_view value, bool copied = false) {
  const auto bytes = [](std::string_view text) {
    return const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(text.data()));
  };
  const int flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | (copied ? 0 : NGHTTP2_NV_FLAG_NO_COPY_VALUE);
  return {bytes(name), bytes(value), name.size(), value.size(), static_cast<std::uint8_t>(flags)};
}

constexpr std::size_t kLarge = 1 << 10;  // a frame with more may hold a tensor that is worth its place

constexpr std::string_view kCodes[] = {"0", "1",  "2",  "3",  "4",  "5",  "6",  "7", "8",
                                       "9", "10", "11", "12", "13", "14", "15", "16"};

std::string_view CodeText(const Status& status) {
  const auto code = static_cast<std::size_t>(status.code());
  return kCodes[code < std::size(kCodes) ? code : 2];
}

using Gone = std::shared_ptr<std::atomic<bool>>;

/// What tells others that the call's client has given up.
const Gone& GoneOf(Stream& stream) {
  if (!stream.gone) stream.gone = std::make_shared<std::atomic<bool>>(false);
  return stream.gone;
}

}  // namespace

struct Http2Connection::Inflated {
  explicit Inflated(ByteBudget* budget) : held(budget) {}
  std::string bytes;
  HeldBytes held;
};

/// An answer that comes later, by way of the loop.
class Http2Connection::Reply : public GrpcReply {
 public:
  Reply(std::shared_ptr<Http2Connection> connection, std::int32_t stream, Gone gone)
      : connection_(std::move(connection)), stream_(stream), gone_(std::move(gone)) {
    ++connection_->shared_.working;
  }
  ~Reply() override {
    if (connection_) --connection_->shared_.working;
  }
  Reply(const Reply&) = delete;
  Reply& operator=(const Reply&) = delete;
  void Send(const Status& status, std::string reply) override {
    if (!connection_) return;  // it was sent, and what came behind it threw
    connection_->owner_.Post(connection_, stream_, status, std::move(reply));
    connection_.reset();
  }
  bool gone() const override { return gone_->load(std::memory_order_relaxed); }

 private:
  std::shared_ptr<Http2Connection> connection_;  // null once sent
  const std::int32_t stream_;
  const Gone gone_;
};

class Http2Connection::Later : public GrpcLater {
 public:
  /// On a worker.
  Later(Http2Connection& connection, std::int32_t stream, Gone gone)
      : connection_(connection), id_(stream), gone_(std::move(gone)) {}
  /// On the loop's thread.
  Later(Http2Connection& connection, Stream& stream) : connection_(connection), id_(stream.id), stream_(&stream) {}
  std::shared_ptr<GrpcReply> Make() override {
    if (stream_ != nullptr) gone_ = GoneOf(*stream_);
    return std::make_shared<Reply>(connection_.shared_from_this(), id_, gone_);
  }
  std::string_view peer() const override { return connection_.peer_; }

 private:
  Http2Connection& connection_;
  const std::int32_t id_;
  Stream* const stream_ = nullptr;
  Gone gone_;
};

Stream* Http2Connection::Begin(std::int32_t id) {
  if (free_.empty()) {
    storage_.push_back(std::make_unique<Stream>());
    free_.push_back(storage_.back().get());
  }
  Stream* const stream = free_.back();
  free_.pop_back();
  stream->id = id;
  stream->begun_at = stream->heard = now_;
  stream->at = streams_.size();
  streams_.push_back(stream);
  return stream;
}

void Http2Connection::Closed(Stream* stream) {
  streams_.back()->at = stream->at;
  std::swap(streams_[stream->at], streams_.back());
  streams_.pop_back();
  if (stream->gone) stream->gone->store(true, std::memory_order_relaxed);
  answer_bytes_ -= stream->queued;
  stream->Reset();
  free_.push_back(stream);
}

void Http2Connection::HeadersDone(Stream& stream) {
  Route(stream);
  stream.ForgetHead();
}

/// Bytes of a message: health and reflection ask for names.
std::int64_t Http2Connection::LimitOf(GrpcService::Kind kind) const {
  constexpr std::int64_t kNames = 64 << 10;
  if (kind == Kind::kUnary) return shared_.max_message;
  return shared_.max_message < 0 ? kNames : std::min(kNames, shared_.max_message);
}

void Http2Connection::Route(Stream& stream) {
  if (!stream.post) return Refuse(stream, "405");
  if (!stream.grpc) return Refuse(stream, "415");
  GrpcService& service = shared_.service;
  stream.route = service.Find(stream.path);
  if (stream.route.kind == Kind::kUnknown) return Finish(stream, Status(Code::kUnimplemented, ""));
  stream.in.Begin(LimitOf(stream.route.kind), shared_.options.budget.get());
  if (!service.guarded()) return;
  if (const Status s = service.Admit(stream.route, stream.authorization, peer_); !s.ok()) Finish(stream, s);
}

void Http2Connection::Data(Stream& stream, std::string_view bytes) {
  const bool once = stream.route.kind == Kind::kUnary || stream.route.kind == Kind::kHealthCheck ||
                    stream.route.kind == Kind::kHealthWatch;
  if (!stream.in.in_message()) {
    stream.begun_at = now_;
    stream.received = 0;
  }
  stream.heard = now_;
  stream.received += bytes.size();
  while (!bytes.empty() && !stream.closed) {
    if (stream.has_message && once)
      return Finish(stream, Status(Code::kInternal, "Request: the call came with more than one message"));
    if (once && stream.in.fresh() && bytes.size() > kLarge)
      stream.in.AlignAt(shared_.service.AlignAt(stream.route.method, bytes.substr(kMessageHead)));
    const Result<bool> whole = stream.in.Take(bytes);
    if (!whole.ok()) return Finish(stream, whole.status());
    if (!*whole) return;
    stream.has_message = true;
    if (!once || stream.route.kind == Kind::kHealthWatch) Message(stream);
  }
}

/// The message behind a compressed one; `out` counts it while it grows. Any thread.
Status Http2Connection::Inflate(Kind kind, std::string_view bytes, std::string_view encoding, Inflated& out) const {
  Result<std::string> inflated = Decompress(bytes, encoding, LimitOf(kind), &out.held);
  if (!inflated.ok()) return inflated.status();
  out.bytes = *std::move(inflated);
  return {};
}

/// A message of a call that lasts.
void Http2Connection::Message(Stream& stream) {
  Inflated inflated(shared_.options.budget.get());
  std::string_view bytes = stream.in.bytes();
  if (stream.in.compressed()) {
    if (const Status s = Inflate(stream.route.kind, bytes, stream.encoding, inflated); !s.ok())
      return Finish(stream, s);
    bytes = inflated.bytes;
  }
  if (stream.route.kind == Kind::kReflection) {
    Result<std::string> reply = shared_.service.Reflect(bytes);
    if (!reply.ok()) return Finish(stream, reply.status());
    return Write(stream, *std::move(reply));
  }
  if (const Status s = shared_.service.Health(bytes, true, false).status(); !s.ok()) return Finish(stream, s);
  stream.watched = ' ' + std::string(bytes);
  UpdateWatch(stream);
}

void Http2Connection::UpdateWatch(Stream& stream) {
  if (stream.watched.empty() || stream.closed) return;
  Result<std::string> state =
      shared_.service.Health(std::string_view(stream.watched).substr(1), true, shared_.serving.load());
  if (!state.ok() || *state == stream.sent) return;
  stream.sent = *state;
  Write(stream, *std::move(state));
}

void Http2Connection::Ended(Stream& stream) {
  stream.ended = true;
  if (stream.closed) return;
  if (stream.in.in_message()) return Finish(stream, Status(Code::kInternal, "Request: its message is cut short"));
  if (stream.route.kind == Kind::kReflection) return Finish(stream, {});
  if (!stream.has_message) return Finish(stream, Status(Code::kInternal, "Request: the call came without a message"));
  if (stream.route.kind != Kind::kHealthWatch) Run(stream);
}

/// A unary call that has come whole.
void Http2Connection::Run(Stream& stream) {
  std::shared_ptr<const void> owner = stream.in.owner();
  std::string_view bytes = stream.in.bytes();
  // What a few bytes inflate to may take a thread for seconds: not this one.
  const bool compressed = stream.in.compressed();
  const bool inflate_later = compressed && bytes.size() > kLarge && stream.route.kind == Kind::kUnary;
  if (compressed && !inflate_later) {
    auto inflated = std::make_shared<Inflated>(shared_.options.budget.get());
    if (const Status s = Inflate(stream.route.kind, bytes, stream.encoding, *inflated); !s.ok())
      return Finish(stream, s);
    bytes = inflated->bytes;
    owner = std::move(inflated);
  }
  stream.in.Clear();
  GrpcService& service = shared_.service;
  if (stream.route.kind == Kind::kHealthCheck) {
    Result<std::string> reply = service.Health(bytes, false, shared_.serving.load());
    return reply.ok() ? Answer(stream, {}, *std::move(reply)) : Finish(stream, reply.status());
  }
  const int method = stream.route.method;
  if (!inflate_later && service.IsCheap(method, bytes)) {
    std::string reply;
    Later later(*this, stream);
    const std::optional<Status> status = service.Handle(method, bytes, owner, stream.deadline, reply, later);
    return status ? Answer(stream, *status, std::move(reply)) : void();
  }
  std::function<void()> run = [self = shared_from_this(), id = stream.id, method, bytes, owner = std::move(owner),
                               deadline = stream.deadline, gone = GoneOf(stream), inflate_later,
                               encoding = stream.encoding]() mutable {
    if (gone->load(std::memory_order_relaxed)) {  // nobody reads the answer
      --self->shared_.working;
      return;
    }
    std::string reply;
    std::optional<Status> status;
    if (inflate_later) {
      auto inflated = std::make_shared<Inflated>(self->shared_.options.budget.get());
      const Status s = Guarded([&] { return self->Inflate(Kind::kUnary, bytes, encoding, *inflated); });
      if (!s.ok()) status = s;
      bytes = inflated->bytes;
      owner = std::move(inflated);
    }
    if (!status) {
      Later later(*self, id, gone);
      status = self->shared_.service.Handle(method, bytes, owner, deadline, reply, later);
    }
    if (status)
      self->owner_.Post(self, id, *status, std::move(reply));
    else
      --self->shared_.working;
  };
  ++shared_.working;
  if (service.Submit(std::move(run))) return;
  --shared_.working;
  Finish(stream, Status(Code::kUnavailable, "Request: the server is stopping or has no memory for it"));
}

void Http2Connection::Answer(Stream& stream, const Status& status, std::string reply) {
  if (!status.ok() || stream.closed) return Finish(stream, status);
  // A few bytes may ask for a large answer: a client that does not take them gets no more than there is room for.
  const std::size_t all = answer_bytes_ + QueuedSize(reply);
  if (ByteBudget* const budget = shared_.options.budget.get();
      budget != nullptr && answer_bytes_ > 0 && all > kFreeAnswers) {
    answers_.Set(answer_bytes_);
    if (!budget->Admits(all, QueuedSize(reply))) return Finish(stream, budget->Refuse());
  }
  Queue(stream, std::move(reply));
  Finish(stream, status);
}

void Http2Connection::Queue(Stream& stream, std::string message) {
  stream.queued += QueuedSize(message);
  answer_bytes_ += QueuedSize(message);
  if (stream.out.empty()) stream.moved = now_;
  stream.out.push_back(std::move(message));
}

void Http2Connection::Sent(Stream& stream) {
  stream.queued -= QueuedSize(stream.out.front());
  answer_bytes_ -= QueuedSize(stream.out.front());
  stream.out.erase(stream.out.begin());
  stream.out_at = 0;
}

void Http2Connection::Write(Stream& stream, std::string message) {
  if (stream.queued + QueuedSize(message) > kQueueLimit)
    return Finish(stream, Status(Code::kResourceExhausted, "Request: the client does not read the answers"));
  Queue(stream, std::move(message));
  Resume(stream);
}

/// Has what stands in the stream sent.
void Http2Connection::Resume(Stream& stream) {
  if (stream.waiting) {
    stream.waiting = false;
    Check(::nghttp2_session_resume_data(session_, stream.id));
  }
  if (stream.begun) return;
  stream.begun = true;
  const std::array head = {Field(":status", "200"), Field("content-type", "application/grpc")};
  const nghttp2_data_provider data = Callbacks::DataOf(stream);
  Check(::nghttp2_submit_response(session_, stream.id, head.data(), head.size(), &data));
}

void Http2Connection::Finish(Stream& stream, const Status& status) {
  if (stream.closed) return;
  stream.closed = stream.finished = true;
  stream.status = status;
  stream.in.Clear();  // of what is not read any more
  if (status.ok() || stream.begun) return Resume(stream);
  const std::string message = PercentEncoded(status.message());
  const std::array head = {Field(":status", "200"), Field("content-type", "application/grpc"),
                           Field("grpc-status", CodeText(status)), Field("grpc-message", message, true),
                           Field("grpc-accept-encoding", "identity,deflate,gzip")};
  Check(::nghttp2_submit_response(session_, stream.id, head.data(), head.size(), nullptr));
}

void Http2Connection::SubmitTrailers(Stream& stream) {
  const std::string message = PercentEncoded(stream.status.message());
  const std::array fields = {Field("grpc-status", CodeText(stream.status)), Field("grpc-message", message, true)};
  Check(::nghttp2_submit_trailer(session_, stream.id, fields.data(), message.empty() ? 1 : 2));
}

/// A request that is not gRPC: an HTTP status and no more.
void Http2Connection::Refuse(Stream& stream, const char* http_status) {
  stream.closed = true;
  const nghttp2_nv head = Field(":status", http_status);
  Check(::nghttp2_submit_response(session_, stream.id, &head, 1, nullptr));
}

}  // namespace tenon::serve::http2
