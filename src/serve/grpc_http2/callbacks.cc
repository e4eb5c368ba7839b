#include "serve/grpc_http2/callbacks.h"

#include <algorithm>

#include "base/log_failure.h"

namespace tenon::serve::http2 {
namespace {

constexpr std::size_t kFrameHead = 9;

Http2Connection& Of(void* user) { return *static_cast<Http2Connection*>(user); }

std::string_view Text(const std::uint8_t* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

Stream* StreamOf(nghttp2_session* session, std::int32_t id) {
  return static_cast<Stream*>(::nghttp2_session_get_stream_user_data(session, id));
}

/// A callback that may throw, for a library in C: without memory the connection ends.
template <auto Callback>
struct Safe;
template <class R, class... Arguments, R (*Callback)(Arguments...)>
struct Safe<Callback> {
  static R Call(Arguments... arguments) {
    try {
      return Callback(arguments...);
    } catch (const std::exception& error) {
      base::LogFailure(base::LogLevel::kWarning, "gRPC: a connection ends", error);
      return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
  }
};

bool IsRequest(const nghttp2_frame* frame) {
  return frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST;
}

}  // namespace

nghttp2_session* Callbacks::MakeSession(Http2Connection* connection) {
  struct Made {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_option* option = nullptr;
    Made() {
      if (::nghttp2_session_callbacks_new(&callbacks) != 0 || ::nghttp2_option_new(&option) != 0) return;
      ::nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, Safe<BeginHeaders>::Call);
      ::nghttp2_session_callbacks_set_on_header_callback(callbacks, Safe<Header>::Call);
      ::nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, Safe<FrameReceived>::Call);
      ::nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Safe<Chunk>::Call);
      ::nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, Safe<FrameSent>::Call);
      ::nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Safe<StreamClosed>::Call);
      ::nghttp2_session_callbacks_set_data_source_read_length_callback(callbacks, ReadLength);
      ::nghttp2_session_callbacks_set_send_data_callback(callbacks, Safe<SendData>::Call);
      ::nghttp2_option_set_no_closed_streams(option, 1);
      // Calls whose deadline passed are reset: under load many are, and the default would end the connection.
      ::nghttp2_option_set_stream_reset_rate_limit(option, 10'000, 1'000);
    }
  };
  static const Made made;  // for the life of the process
  nghttp2_session* session = nullptr;
  if (made.option == nullptr || ::nghttp2_session_server_new2(&session, made.callbacks, connection, made.option) != 0)
    return nullptr;
  return session;
}

int Callbacks::BeginHeaders(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
  if (!IsRequest(frame)) return 0;
  Stream* const stream = Of(user).Begin(frame->hd.stream_id);
  return ::nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, stream) == 0
             ? 0
             : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

int Callbacks::Header(nghttp2_session* session, const nghttp2_frame* frame, const std::uint8_t* name_bytes,
                      std::size_t name_size, const std::uint8_t* value_bytes, std::size_t value_size, std::uint8_t,
                      void*) {
  if (!IsRequest(frame)) return 0;
  Stream* const stream = StreamOf(session, frame->hd.stream_id);
  if (stream == nullptr) return 0;
  const std::string_view name = Text(name_bytes, name_size), value = Text(value_bytes, value_size);
  stream->header_bytes += name_size + value_size + 32;
  if (stream->header_bytes > kMaxHeaderBytes) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;  // resets the stream
  if (name == ":path") {
    stream->path = value;
  } else if (name == ":method") {
    stream->post = value == "POST";
  } else if (name == "content-type") {
    constexpr std::string_view kType = "application/grpc";
    stream->grpc = value.starts_with(kType) &&
                   (value.size() == kType.size() || value[kType.size()] == '+' || value[kType.size()] == ';');
  } else if (name == "grpc-timeout") {
    if (const auto timeout = ParseTimeout(value)) {
      const auto now = std::chrono::steady_clock::now();
      stream->deadline = *timeout > kNoDeadline - now ? kNoDeadline : now + *timeout;
    }
  } else if (name == "grpc-encoding") {
    stream->encoding = value;
  } else if (name == "authorization") {
    stream->authorization = value;
  }
  return 0;
}

int Callbacks::FrameReceived(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
  Http2Connection& connection = Of(user);
  if (frame->hd.type == NGHTTP2_SETTINGS) connection.settled_ = true;
  if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
  Stream* const stream = StreamOf(session, frame->hd.stream_id);
  if (stream == nullptr) return 0;
  if (IsRequest(frame)) connection.HeadersDone(*stream);
  if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) connection.Ended(*stream);
  return 0;
}

int Callbacks::Chunk(nghttp2_session* session, std::uint8_t, std::int32_t id, const std::uint8_t* data,
                     std::size_t size, void* user) {
  if (Stream* const stream = StreamOf(session, id)) Of(user).Data(*stream, Text(data, size));
  return 0;
}

int Callbacks::FrameSent(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
  if ((frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) ||
      (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
    return 0;
  // An answer that did not wait for the whole request: the client need not send the rest.
  if (const Stream* const stream = StreamOf(session, frame->hd.stream_id); stream != nullptr && !stream->ended)
    Of(user).Check(::nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR));
  return 0;
}

int Callbacks::StreamClosed(nghttp2_session* session, std::int32_t id, std::uint32_t, void* user) {
  if (Stream* const stream = StreamOf(session, id)) Of(user).Closed(stream);
  return 0;
}

nghttp2_data_provider Callbacks::DataOf(Stream& stream) {
  return {.source = {.ptr = &stream}, .read_callback = Safe<Read>::Call};
}

ssize_t Callbacks::ReadLength(nghttp2_session*, std::uint8_t, std::int32_t, std::int32_t connection_window,
                              std::int32_t stream_window, std::uint32_t max_frame, void*) {
  return std::min({connection_window, stream_window, static_cast<std::int32_t>(max_frame)});
}

ssize_t Callbacks::Read(nghttp2_session*, std::int32_t, std::uint8_t*, std::size_t length, std::uint32_t* flags,
                        nghttp2_data_source* source, void* user) {
  Stream& stream = *static_cast<Stream*>(source->ptr);
  if (stream.out.empty() && !stream.finished) {
    stream.waiting = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  std::size_t size = 0;
  if (!stream.out.empty()) size = std::min(length, kMessageHead + stream.out.front().size() - stream.out_at);
  if (stream.finished && stream.out.size() <= 1 &&
      (stream.out.empty() || stream.out_at + size == kMessageHead + stream.out.front().size())) {
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    Of(user).SubmitTrailers(stream);
  }
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  return static_cast<ssize_t>(size);
}

int Callbacks::SendData(nghttp2_session*, nghttp2_frame*, const std::uint8_t* head, std::size_t length,
                        nghttp2_data_source* source, void* user) {
  Http2Connection& connection = Of(user);
  if (connection.unsent() >= kOutputLimit) return NGHTTP2_ERR_WOULDBLOCK;
  Stream& stream = *static_cast<Stream*>(source->ptr);
  std::string& out = connection.out_;
  out.append(reinterpret_cast<const char*>(head), kFrameHead);
  stream.moved = connection.moved_ = connection.now_;
  if (length == 0) return 0;
  const std::string& message = stream.out.front();
  if (stream.out_at < kMessageHead) {
    char text[kMessageHead];
    WriteMessageHead(message.size(), text);
    const std::size_t n = std::min(length, kMessageHead - stream.out_at);
    out.append(text + stream.out_at, n);
    stream.out_at += n;
    length -= n;
  }
  out.append(message, stream.out_at - kMessageHead, length);
  stream.out_at += length;
  if (stream.out_at == kMessageHead + message.size()) connection.Sent(stream);
  return 0;
}

}  // namespace tenon::serve::http2
