// Stream: one call of an HTTP/2 connection.
#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/give_back.h"
#include "serve/grpc/transport.h"
#include "serve/grpc_http2/message.h"

namespace tenon::serve::http2 {

/// What a message that waits to be sent counts for: small ones take memory, and time, beyond their bytes.
inline std::size_t QueuedSize(const std::string& message) { return message.size() + 256; }

struct Stream {
  std::int32_t id = 0;
  std::size_t at = 0;  // among the open streams of the connection
  // The request's head.
  std::string path = {}, encoding = {}, authorization = {};
  std::size_t header_bytes = 0;
  bool post = false, grpc = false;  // :method, content-type
  Deadline deadline = kNoDeadline;
  GrpcService::Route route = {};
  // Its messages.
  MessageReader in = {};
  std::chrono::steady_clock::time_point begun_at = {};  // the head or the first byte of a message came
  std::chrono::steady_clock::time_point heard = {};     // the head or bytes of a message came
  std::size_t received = 0;                             // bytes since then
  bool has_message = false;                             // of a unary call: it is in `in`
  bool ended = false;                                   // the client has sent its last byte
  bool closed = false;                                  // its end is decided: what the client still sends is not read
  // The response.
  bool begun = false;    // its head is submitted
  bool waiting = false;  // nghttp2 was told to ask again when there is something
  std::vector<std::string> out = {};
  std::size_t out_at = 0;                            // bytes sent of the first message, with its head
  std::size_t queued = 0;                            // QueuedSize of the messages in `out`
  std::chrono::steady_clock::time_point moved = {};  // the client took bytes of `out`, or its first message came
  bool finished = false;                             // the trailers follow behind `out`
  Status status = {};
  std::shared_ptr<std::atomic<bool>> gone = {};  // of a call that others work for: set when the stream is closed
  std::string watched = {}, sent = {};           // of a Watch: the request with a byte in front, the last response

  /// The head is dealt with: what is not asked for again goes, lest a client fills the memory with heads.
  void ForgetHead() {
    constexpr std::size_t kUsual = 256;
    base::GiveBack(authorization);
    if (path.capacity() > kUsual) base::GiveBack(path);
    if (encoding.capacity() <= kUsual) return;
    base::GiveBack(encoding);  // no name that is known
    encoding = "?";
  }
  /// As new, with the memory that every call needs.
  void Reset() {
    Stream fresh;
    fresh.path.swap(path);
    fresh.path.clear();
    fresh.out.swap(out);
    fresh.out.clear();
    for (std::string* const text : {&encoding, &watched, &sent}) base::GiveBack(*text);
    *this = std::move(fresh);
  }
};

}  // namespace tenon::serve::http2
