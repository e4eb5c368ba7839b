// The border between the services (this folder) and the library that speaks gRPC (serve/grpc_transport), which is
// opened only when a server wants it: linking it would make every start of the command slow.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serve/core/byte_budget.h"
#include "serve/core/servable.h"
#include "serve/core/spinner.h"
#include "serve/grpc/later.h"
#include "tenon/serve.h"

namespace tenon::serve {

/// What the transport calls. Thread-safe; no member throws.
class GrpcService {
 public:
  enum class Kind { kUnknown, kUnary, kReflection, kHealthCheck, kHealthWatch };
  struct Route {
    Kind kind = Kind::kUnknown;
    int method = 0;  // of kUnary
  };
  virtual ~GrpcService() = default;
  virtual Route Find(std::string_view path) const = 0;
  /// Whether Admit must be asked.
  virtual bool guarded() const = 0;
  /// Whether the call may go on; else how it ends. `authorization`: its metadata of that name, empty when there is
  /// none. `peer` as in GrpcLater.
  virtual Status Admit(const Route& route, std::string_view authorization, std::string_view peer) const = 0;
  /// Whether Handle returns soon; else it is called on a worker (Submit).
  virtual bool IsCheap(int method, std::string_view request) const = 0;
  /// Makes the reply: at once, or (nullopt) it goes to what `later` makes, maybe before this returns. `owner` keeps
  /// `request` alive.
  virtual std::optional<Status> Handle(int method, std::string_view request, const std::shared_ptr<const void>& owner,
                                       Deadline deadline, std::string& reply, GrpcLater& later) const = 0;
  /// Where in a request's first bytes something begins that is best put at a multiple of 64 bytes in memory; 0:
  /// nowhere.
  virtual std::size_t AlignAt(int method, std::string_view begin) const = 0;
  /// One response of the reflection stream.
  virtual Result<std::string> Reflect(std::string_view request) const = 0;
  /// The response of Check or Watch.
  virtual Result<std::string> Health(std::string_view request, bool watch, bool serving) const = 0;
  /// False after the workers have stopped, and where there is no memory or no thread for the task.
  virtual bool Submit(std::function<void()> task) = 0;
};

struct GrpcTransportOptions {
  std::vector<std::string> addresses = {};  // "0.0.0.0:8500"; the first with port 0 takes a free one
  std::string socket_path = {};             // of a unix socket; empty: none
  std::optional<Tls> tls = {};              // of the addresses
  int io_threads = 1;
  std::int64_t max_message_bytes = -1;  // of a request; -1: 2 GiB
  std::vector<std::pair<std::string, std::string>> channel_arguments = {};
  SpinOptions spin = {};  // of the I/O threads; not the gRPC library's
  // A request that does not come on, or an answer that is not taken, for so long ends its call; not the gRPC library's.
  std::chrono::milliseconds stall{60'000};
  std::shared_ptr<ByteBudget> budget = {};  // of requests that are under way; the gRPC library takes its limit alone
  // At a time; more are closed at once, and `refused` (if any) is called, which must not throw. 0: no limit. The gRPC
  // library has none.
  std::size_t max_connections = 0;
  std::function<void()> refused = {};
};

class GrpcTransport {
 public:
  virtual ~GrpcTransport() = default;  // after Finish
  virtual Status Start() = 0;
  virtual int port() const = 0;
  virtual void SetServing(bool serving) = 0;
  /// Takes no more calls and waits for those in flight; cancels them at `until`.
  virtual void Drain(std::chrono::steady_clock::time_point until) = 0;
  /// Ends the I/O threads. No task given to Submit may run any more, and what GrpcLater made is gone.
  virtual void Finish() = 0;
};

/// The one function of libtenon_grpc.so. `service` must outlive the transport. `abi` must be kGrpcAbi, else nullptr.
inline constexpr int kGrpcAbi = 7;
inline constexpr const char* kGrpcEntry = "tenon_make_grpc_transport";
using MakeGrpcTransport = GrpcTransport*(int abi, const GrpcTransportOptions& options, GrpcService& service);

}  // namespace tenon::serve
