// The transport of gRPC that is ours: HTTP/2 by nghttp2 on epoll threads, for servers that the gRPC library would cost
// more than their models.
#pragma once
#include <memory>
#include <string>

#include "serve/grpc/transport.h"

namespace tenon::serve {

/// Calls are dealt out to the I/O threads with their connections; a cheap call runs to its end on its I/O thread.
/// Differences from the gRPC library: messages that are compressed are read, replies are never compressed; of the
/// channel arguments it knows those that Http2Knows names. Start fails with kUnavailable when a port is in use and with
/// kInvalidArgument for keys or channel arguments that are wrong.
std::unique_ptr<GrpcTransport> MakeHttp2Transport(const GrpcTransportOptions& options, GrpcService& service);

/// Whether this transport heeds a channel argument.
bool Http2Knows(const std::string& channel_argument);

}  // namespace tenon::serve
