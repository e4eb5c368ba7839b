// The socket's side of a connection: bytes in, bytes out, its end. calls.cc has the calls.
#include "serve/grpc_http2/connection.h"

#include <cerrno>

#include "base/give_back.h"
#include "serve/grpc_http2/callbacks.h"
#include "serve/rest/peer.h"

namespace tenon::serve::http2 {
namespace {

constexpr auto kHandshake = std::chrono::seconds(20);
constexpr std::size_t kLeastRate = 1024;  // bytes a second of a request, once it has taken longer than a stall
constexpr auto kNotice = std::chrono::milliseconds(50), kLinger = std::chrono::milliseconds(200);

}  // namespace

Http2Connection::Http2Connection(Socket socket, ConnectionOwner& owner, Shared& shared)
    : socket_(std::move(socket)),
      owner_(owner),
      shared_(shared),
      peer_(PeerOf(socket_.fd())),
      answers_(shared.options.budget.get()) {
  session_ = Callbacks::MakeSession(this);
  if (session_ == nullptr || socket_.fd() < 0) {
    done_ = true;
    return;
  }
  constexpr std::uint32_t kWindow = 8 << 20;
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, shared.max_streams},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kWindow},
      {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, 1 << 20},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, kMaxHeaderBytes},
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
  };
  Check(::nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings) - 1));
  Check(::nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, 2 * kWindow));
}

Http2Connection::~Http2Connection() { Close(); }

void Http2Connection::Close() {
  done_ = true;
  ::nghttp2_session_del(session_);
  session_ = nullptr;
  if (std::exchange(counted_, false)) --shared_.connections;
  socket_.Close();
  for (const Stream* const stream : streams_)
    if (stream->gone) stream->gone->store(true, std::memory_order_relaxed);
  streams_.clear();
  free_.clear();
  storage_.clear();
  base::GiveBack(out_);
  out_at_ = answer_bytes_ = 0;
  answers_.Set(0);
}

void Http2Connection::Check(int result) {
  if (result < 0 && ::nghttp2_is_fatal(result)) done_ = true;
}

void Http2Connection::Want(bool read, bool write) {
  if (read == reading_ && write == writing_) return;
  reading_ = read;
  writing_ = write;
  owner_.Watch(*this, read, write);
}

void Http2Connection::Readable(Clock::time_point now, std::string& scratch) {
  now_ = now;
  if (done_) return;
  const ssize_t n = socket_.Read(scratch.data(), scratch.size());
  if (n < 0) {
    if (Socket::Failed()) done_ = true;
    if (socket_.wants_write()) Want(reading_, true);
    return;
  }
  if (n == 0) {  // a client that is gone reads no answer
    done_ = true;
    return;
  }
  if (lingering_) return;
  const ssize_t used = ::nghttp2_session_mem_recv(session_, reinterpret_cast<const std::uint8_t*>(scratch.data()),
                                                  static_cast<std::size_t>(n));
  if (used < 0) {  // no HTTP/2, or a flood
    Flush();
    done_ = true;
    return;
  }
  AfterProgress();
}

/// Sends, and asks for the events that can bring the connection further.
void Http2Connection::AfterProgress() {
  Flush();
  if (done_) return;
  answers_.Set(answer_bytes_);
  if (unsent() == 0 && !lingering_ &&
      (::nghttp2_session_want_read(session_) == 0 || (going_away_ && streams_.empty())) &&
      ::nghttp2_session_want_write(session_) == 0) {
    lingering_ = true;
    drained_ = now_;
    socket_.ShutDown();
  }
  Want(lingering_ || unsent() < kOutputLimit, unsent() > 0);
}

/// Frames that are to be sent, as far as the output has room.
void Http2Connection::Collect() {
  while (unsent() < kOutputLimit) {
    const std::uint8_t* bytes = nullptr;
    const ssize_t n = ::nghttp2_session_mem_send(session_, &bytes);
    if (n < 0) done_ = true;
    if (n <= 0) return;  // data went straight into out_: 0 means that nothing is left, or that there is no room
    out_.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(n));
  }
}

void Http2Connection::Flush() {
  for (;;) {
    Collect();
    if (unsent() == 0) uptake_.Rest();
    if (done_ || unsent() == 0) break;
    const ssize_t n = socket_.Write(out_.data() + out_at_, unsent());
    if (n < 0) {
      if (errno == EINTR) continue;
      if (Socket::Failed()) done_ = true;
      return;
    }
    out_at_ += static_cast<std::size_t>(n);
    if (unsent() > 0) {
      out_.erase(0, out_at_);
      out_at_ = 0;
      return;
    }
    out_at_ = 0;
    out_.clear();
  }
  if (out_.empty() && out_.capacity() > (64 << 10)) base::GiveBack(out_);
}

void Http2Connection::Writable(Clock::time_point now) {
  now_ = now;
  if (!done_) AfterProgress();
}

void Http2Connection::Tick(Clock::time_point now) {
  now_ = now;
  if (done_) return;
  if (lingering_) {
    done_ = now - drained_ > kLinger;
  } else if (!settled_) {
    done_ = draining_ ? now - drained_ >= kNotice : now - begun_ > kHandshake;
  } else if (unsent() > 0) {
    done_ = !uptake_.GoesOn(socket_, now, shared_.options.stall, kLeastRate);
  } else if (draining_) {
    if (!going_away_ && now - drained_ >= kNotice) {
      going_away_ = true;
      Check(::nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, ::nghttp2_session_get_last_proc_stream_id(session_),
                                    NGHTTP2_NO_ERROR, nullptr, 0));
    }
    AfterProgress();
  }
  if (!done_ && !lingering_) GiveUpStalled();
}

/// Whether the rest of a request that is half here may be waited for.
bool Http2Connection::StillComes(const Stream& stream) const {
  if (now_ - stream.heard > shared_.options.stall) return false;
  const auto since = std::chrono::duration_cast<std::chrono::seconds>(now_ - stream.begun_at);
  return since <= shared_.options.stall || stream.received >= static_cast<std::size_t>(since.count()) * kLeastRate;
}

/// Whether the client asks for the answer, or has not had the time. One that is slow is not meant: its window opens.
bool Http2Connection::StillTaken(const Stream& stream) const {
  if (stream.out.empty() || unsent() > 0 || now_ - stream.moved <= shared_.options.stall) return true;
  return ::nghttp2_session_get_stream_remote_window_size(session_, stream.id) > 0 &&
         now_ - moved_ <= shared_.options.stall;
}

/// Ends the calls whose request does not come any more, and those whose answer is not taken: they hold memory.
void Http2Connection::GiveUpStalled() {
  bool some = false;
  for (Stream* const stream : streams_) {
    using Kind = GrpcService::Kind;
    if (!StillTaken(*stream)) {
      some = true;
      stream->moved = now_;  // told once; its memory goes when the frame is out
      Check(::nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_CANCEL));
      continue;
    }
    const bool lasts = (stream->route.kind == Kind::kReflection || stream->route.kind == Kind::kHealthWatch) &&
                       !stream->in.in_message();
    if (stream->ended || stream->closed || lasts) continue;
    if (stream->deadline > now_ && StillComes(*stream)) continue;
    some = true;
    Finish(*stream, stream->deadline <= now_
                        ? Status(Code::kDeadlineExceeded, "Deadline Exceeded")
                        : Status(Code::kDeadlineExceeded, "Request: the rest of it did not come for a minute"));
  }
  if (some) AfterProgress();
}

void Http2Connection::Drain(Clock::time_point now) {
  now_ = now;
  if (done_ || draining_) return;
  draining_ = true;
  drained_ = now;
  if (!settled_) return;
  Check(::nghttp2_submit_shutdown_notice(session_));
  for (Stream* const stream : streams_)
    if (stream->route.kind == GrpcService::Kind::kHealthWatch || stream->route.kind == GrpcService::Kind::kReflection)
      Finish(*stream, Status(Code::kUnavailable, "Request: the server is stopping"));
  AfterProgress();
}

void Http2Connection::Answered(std::int32_t id, const Status& status, std::string reply, Clock::time_point now) {
  now_ = now;
  if (done_) return;
  auto* const stream = static_cast<Stream*>(::nghttp2_session_get_stream_user_data(session_, id));
  if (stream == nullptr) return;  // the client has given up
  Answer(*stream, status, std::move(reply));
}

void Http2Connection::UpdateWatches(Clock::time_point now) {
  now_ = now;
  if (done_ || !settled_) return;  // there is no watch yet, and TLS may be in its handshake
  for (Stream* const stream : streams_) UpdateWatch(*stream);
  AfterProgress();
}

}  // namespace tenon::serve::http2
