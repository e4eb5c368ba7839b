// RawClient: an HTTP/2 client for tests, by nghttp2; it sends what it is told to.
#pragma once
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "serve/grpc_http2/message.h"

namespace tenon::serve::http2::testing {

class RawClient {
 public:
  struct Answer {
    std::map<std::string, std::string> head = {}, trailers = {};
    std::string data = {};  // of all DATA frames
    bool ended = false, closed = false;
    std::uint32_t error = 0;  // of its RST_STREAM
    std::string status() const {
      return trailers.contains("grpc-status") ? trailers.at("grpc-status") : Of("grpc-status");
    }
    std::string Of(const std::string& name) const { return head.contains(name) ? head.at(name) : ""; }
  };
  using Fields = std::vector<std::pair<std::string, std::string>>;

  /// Takes the descriptor. With `own_windows` the server may send what Window and Take allow, and 64 KB in all besides.
  explicit RawClient(int fd, bool own_windows = false) : fd_(fd) {
    nghttp2_session_callbacks* callbacks = nullptr;
    ::nghttp2_session_callbacks_new(&callbacks);
    ::nghttp2_session_callbacks_set_on_header_callback(
        callbacks, [](nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t n,
                      const std::uint8_t* value, std::size_t v, std::uint8_t, void* self) {
          Answer& answer = static_cast<RawClient*>(self)->answers[frame->hd.stream_id];
          auto& to = frame->headers.cat == NGHTTP2_HCAT_RESPONSE ? answer.head : answer.trailers;
          to[std::string(reinterpret_cast<const char*>(name), n)] =
              std::string(reinterpret_cast<const char*>(value), v);
          return 0;
        });
    ::nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
        callbacks,
        [](nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* data, std::size_t size, void* self) {
          static_cast<RawClient*>(self)->answers[id].data.append(reinterpret_cast<const char*>(data), size);
          return 0;
        });
    ::nghttp2_session_callbacks_set_on_frame_recv_callback(
        callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
          auto* const self = static_cast<RawClient*>(user);
          if (frame->hd.type == NGHTTP2_GOAWAY) self->goaways.push_back(frame->goaway.last_stream_id);
          if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) self->answers[frame->hd.stream_id].ended = true;
          return 0;
        });
    ::nghttp2_session_callbacks_set_on_stream_close_callback(
        callbacks, [](nghttp2_session*, std::int32_t id, std::uint32_t error, void* self) {
          Answer& answer = static_cast<RawClient*>(self)->answers[id];
          answer.closed = true;
          answer.error = error;
          return 0;
        });
    nghttp2_option* option = nullptr;
    ::nghttp2_option_new(&option);
    ::nghttp2_option_set_no_auto_window_update(option, own_windows ? 1 : 0);
    ::nghttp2_session_client_new2(&session_, callbacks, this, option);
    ::nghttp2_option_del(option);
    ::nghttp2_session_callbacks_del(callbacks);
    ::nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, nullptr, 0);
  }
  ~RawClient() {
    ::nghttp2_session_del(session_);
    ::close(fd_);
  }

  static Fields Head(const std::string& path) {
    return {{":method", "POST"}, {":scheme", "http"}, {":path", path},
            {":authority", "x"}, {"te", "trailers"},  {"content-type", "application/grpc"}};
  }
  static std::string Framed(std::string_view message, char flag = 0) {
    char head[kMessageHead];
    WriteMessageHead(message.size(), head);
    head[0] = flag;
    return std::string(head, kMessageHead) + std::string(message);
  }
  /// Begins a call whose DATA is `data`; with `end` the stream's end follows. Returns its id.
  std::int32_t Start(const Fields& head, std::string data, bool end = true) {
    std::vector<nghttp2_nv> fields;
    for (const auto& [name, value] : head)
      fields.push_back({reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
                        reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
                        0});
    auto& body = *(bodies_.emplace_back(std::make_unique<Body>(Body{.data = std::move(data), .end = end})));
    nghttp2_data_provider provider{.source = {.ptr = &body}, .read_callback = Read};
    const std::int32_t id =
        ::nghttp2_submit_request(session_, nullptr, fields.data(), fields.size(), &provider, nullptr);
    body.id = id;
    Flush();
    return id;
  }
  void Reset(std::int32_t id) {
    ::nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
    Flush();
  }
  /// Bytes that each answer may have from now on, before Take.
  void Window(std::uint32_t size) {
    const nghttp2_settings_entry setting{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, size};
    ::nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, &setting, 1);
    Flush();
  }
  /// So many bytes more of an answer; reads what comes.
  void Take(std::int32_t id, std::int32_t bytes) {
    for (const std::int32_t of : {0, id}) ::nghttp2_submit_window_update(session_, NGHTTP2_FLAG_NONE, of, bytes);
    Flush();
    Poll(std::chrono::milliseconds(0));
  }
  /// More DATA of a call that was started without its end.
  void More(std::int32_t id, std::string_view data) {
    for (const auto& body : bodies_)
      if (body->id == id) body->data += data;
    ::nghttp2_session_resume_data(session_, id);
    Flush();
  }
  /// Reads what comes within that time.
  void Poll(std::chrono::milliseconds time) {
    pollfd wait{.fd = fd_, .events = POLLIN, .revents = 0};
    if (::poll(&wait, 1, static_cast<int>(time.count())) != 1) return;
    bool read = false;
    Until([&] { return std::exchange(read, true); });
  }
  /// Bytes that nghttp2 does not make.
  void Raw(std::string_view bytes) {
    [[maybe_unused]] const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  void Flush() {
    const std::uint8_t* bytes = nullptr;
    for (ssize_t n; (n = ::nghttp2_session_mem_send(session_, &bytes)) > 0;)
      Raw({reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(n)});
  }
  /// Reads until `done` or the end of the connection, at most 10 s. False when it was not reached.
  template <class Done>
  bool Until(Done done) {
    while (!done()) {
      pollfd wait{.fd = fd_, .events = POLLIN, .revents = 0};
      if (::poll(&wait, 1, 10'000) != 1) return false;
      char buffer[65536];
      const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
      if (n <= 0) {
        gone = true;
        return done();
      }
      if (::nghttp2_session_mem_recv(session_, reinterpret_cast<std::uint8_t*>(buffer), static_cast<std::size_t>(n)) <
          0)
        return false;
      Flush();
    }
    return true;
  }
  Answer Call(const Fields& head, std::string data, bool end = true) {
    const std::int32_t id = Start(head, std::move(data), end);
    Until([&] { return answers[id].closed; });
    return answers[id];
  }
  bool WaitForEnd() {
    return Until([&] { return gone; });
  }

  std::map<std::int32_t, Answer> answers;
  std::vector<std::int32_t> goaways;
  bool gone = false;

 private:
  struct Body {
    std::string data = {};
    std::size_t at = 0;
    bool end = true;
    std::int32_t id = 0;
  };
  static ssize_t Read(nghttp2_session*, std::int32_t, std::uint8_t* to, std::size_t size, std::uint32_t* flags,
                      nghttp2_data_source* source, void*) {
    Body& body = *static_cast<Body*>(source->ptr);
    const std::size_t n = std::min(size, body.data.size() - body.at);
    body.data.copy(reinterpret_cast<char*>(to), n, body.at);
    body.at += n;
    if (body.at == body.data.size() && body.end) *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (n == 0 && !body.end) return NGHTTP2_ERR_DEFERRED;
    return static_cast<ssize_t>(n);
  }
  const int fd_;
  nghttp2_session* session_ = nullptr;
  std::vector<std::unique_ptr<Body>> bodies_;
};

}  // namespace tenon::serve::http2::testing
