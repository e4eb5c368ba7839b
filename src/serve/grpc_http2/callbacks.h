// Callbacks: nghttp2's calls, turned into those of a connection.
#pragma once
#include <nghttp2/nghttp2.h>

#include "serve/grpc_http2/connection.h"

namespace tenon::serve::http2 {

struct Callbacks {
  /// A server's session; null when there is no memory.
  static nghttp2_session* MakeSession(Http2Connection* connection);
  /// The data of a stream's response: its messages, then (by SubmitTrailers) its end.
  static nghttp2_data_provider DataOf(Stream& stream);

 private:
  static int BeginHeaders(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static int Header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                    const std::uint8_t* value, std::size_t value_size, std::uint8_t flags, void* user);
  static int FrameReceived(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static int Chunk(nghttp2_session*, std::uint8_t flags, std::int32_t id, const std::uint8_t* data, std::size_t size,
                   void* user);
  static int FrameSent(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static int StreamClosed(nghttp2_session*, std::int32_t id, std::uint32_t error, void* user);
  static ssize_t ReadLength(nghttp2_session*, std::uint8_t type, std::int32_t id, std::int32_t connection_window,
                            std::int32_t stream_window, std::uint32_t max_frame, void* user);
  static ssize_t Read(nghttp2_session*, std::int32_t id, std::uint8_t*, std::size_t length, std::uint32_t* flags,
                      nghttp2_data_source* source, void* user);
  static int SendData(nghttp2_session*, nghttp2_frame* frame, const std::uint8_t* head, std::size_t length,
                      nghttp2_data_source* source, void* user);
};

}  // namespace tenon::serve::http2
