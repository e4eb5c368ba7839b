// GrpcServer: the gRPC services on TCP and a unix socket.
#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "serve/grpc/handler.h"
#include "serve/grpc/transport.h"
#include "tenon/serve.h"

namespace tenon::serve {

/// A unary call that was answered.
struct GrpcAccess {
  std::string_view peer;  // as in GrpcLater
  std::string_view path;
  Code code = Code::kOk;
  std::size_t bytes_in = 0, bytes_out = 0;  // of the messages
  std::chrono::nanoseconds took{0};
};

struct GrpcServerOptions {
  std::string address = {};             // numeric; empty: every one
  int port = 0;                         // 0: no TCP; kFreePort: a free one
  std::string socket_path = {};         // of a unix socket; empty: none
  std::optional<Tls> tls = {};          // of the TCP port
  int io_threads = 0;                   // 0: one for each two CPUs, at most 8
  int worker_threads = 0;               // for requests that are not cheap; 0: 4 for each CPU
  std::int64_t max_message_bytes = -1;  // of a request; more answers RESOURCE_EXHAUSTED; -1: 2 GiB
  std::vector<std::pair<std::string, std::string>> channel_arguments = {};  // integers are set as such
  std::vector<std::string> bearer_tokens = {};  // calls must carry one; none: no check. Health needs none
  bool health = false;                          // grpc.health.v1
  SpinOptions spin = {};                        // of the I/O threads; not the gRPC library's
  std::shared_ptr<ByteBudget> budget = {};      // of requests that are under way; none: no limit
  /// Whether a client of that address may begin a call now, else RESOURCE_EXHAUSTED; empty: always. Health is not asked
  /// for, nor are clients of the unix socket. Any thread.
  std::function<bool(std::string_view peer)> allow = {};
  std::size_t max_connections = 0;  // at a time; more are closed at once; 0: no limit. Not the gRPC library's
  /// Called for each connection beyond the limit ("connections") and each call without a valid token ("auth"); may be
  /// empty. Any thread. Must not throw.
  std::function<void(std::string_view reason)> refused = {};
  /// Called after each unary call that a method has answered, on the thread that did; may be empty. Must not throw.
  std::function<void(const GrpcAccess&)> access = {};
  /// Makes the transport; empty: that of the gRPC library, in libtenon_grpc.so.
  std::function<std::unique_ptr<GrpcTransport>(const GrpcTransportOptions&, GrpcService&)> transport = {};
};

/// Calls are dealt out to the I/O threads. Cheap requests run to their end on the I/O thread, the others on a worker.
/// Beside the handler's methods there are grpc.reflection (v1 and v1alpha) and, if asked for, grpc.health.v1.
/// Thread-safe.
class GrpcServer {
 public:
  GrpcServer(GrpcServerOptions options, std::shared_ptr<const GrpcHandler> handler);
  ~GrpcServer();  // Stop at once
  GrpcServer(const GrpcServer&) = delete;
  GrpcServer& operator=(const GrpcServer&) = delete;

  /// Listens and serves. kUnavailable when a port is in use, kInvalidArgument for options or keys that are wrong.
  Status Start();
  /// The TCP port; 0 when there is none.
  int port() const;
  /// What health says of the services; before the first call NOT_SERVING.
  void SetServing(bool serving);
  /// Takes no more calls, finishes those in flight; what is not done at `until` is cancelled (a model that runs is
  /// waited for, and a batch that is queued: see BatchPool::RunAtOnce). Idempotent.
  void Stop(std::chrono::steady_clock::time_point until);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tenon::serve
