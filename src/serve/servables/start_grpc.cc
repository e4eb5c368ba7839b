#include "serve/servables/start_grpc.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>

#include "base/log.h"
#include "base/status_macros.h"
#include "serve/grpc_http2/http2_transport.h"
#include "serve/rest/guard.h"

namespace tenon::serve {
namespace {

/// "k=v,k=v".
Result<std::vector<std::pair<std::string, std::string>>> ParseArguments(const std::string& text) {
  std::vector<std::pair<std::string, std::string>> out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    const std::string item = text.substr(at, end - at);
    at = end + 1;
    if (item.empty()) continue;
    const std::size_t equal = item.find('=');
    if (equal == 0 || equal == std::string::npos)
      return Status(Code::kInvalidArgument,
                    fmt::format("ServerOptions: grpc_channel_arguments: got \"{}\", expected k=v,k=v", item));
    out.emplace_back(item.substr(0, equal), item.substr(equal + 1));
  }
  return out;
}

}  // namespace

Status CheckGrpcOptions(const ServerOptions& options) {
  if (options.grpc_port < kFreePort || options.grpc_port > 65535)
    return Status(
        Code::kInvalidArgument,
        fmt::format("ServerOptions: grpc_port: got {}, expected 0 (off), kFreePort or 1 to 65535", options.grpc_port));
  if (options.grpc_threads < 0)
    return Status(Code::kInvalidArgument,
                  fmt::format("ServerOptions: grpc_threads: got {}, expected 0 or more", options.grpc_threads));
  if (options.grpc_transport != "auto" && options.grpc_transport != "http2" && options.grpc_transport != "library")
    return Status(Code::kInvalidArgument,
                  fmt::format("ServerOptions: grpc_transport: got \"{}\", expected auto, http2 or library",
                              options.grpc_transport));
  return ParseArguments(options.grpc_channel_arguments).status();
}

Result<std::unique_ptr<GrpcServer>> StartGrpc(const ServerOptions& options, std::shared_ptr<const Manager> manager,
                                              std::shared_ptr<const Invoker> invoker,
                                              std::shared_ptr<ByteBudget> budget, std::shared_ptr<RateLimit> rate,
                                              ModelAdmin& admin) {
  if (options.grpc_port == 0 && options.grpc_socket_path.empty()) return std::unique_ptr<GrpcServer>();
  // They live as long as the handler's invoker.
  auto& reasons = invoker->metrics().refused;
  Counter &refused = reasons.At({"rate"}), &auth = reasons.At({"auth"}), &connections = reasons.At({"connections"});
  auto handler = std::make_shared<GrpcHandler>(GrpcHandlerOptions{.tensor_content = options.tensor_content_replies,
                                                                  .check_method = options.check_signature_method,
                                                                  .profiler = options.grpc_profiler,
                                                                  .budget = budget},
                                               std::move(manager), std::move(invoker), &admin);
  GrpcServerOptions grpc;
  grpc.address = options.address;
  grpc.port = options.grpc_port;
  grpc.socket_path = options.grpc_socket_path;
  grpc.tls = options.grpc_tls;
  grpc.worker_threads = options.grpc_threads;
  grpc.bearer_tokens = options.bearer_tokens;
  grpc.health = options.grpc_health;
  grpc.budget = std::move(budget);
  grpc.max_connections = static_cast<std::size_t>(std::max(1, options.max_connections));
  grpc.refused = [&auth, &connections](std::string_view reason) { (reason == "auth" ? auth : connections).Add(); };
  if (!options.access_log.empty()) {
    TENON_ASSIGN_OR_RETURN(const std::shared_ptr<AccessLog> log, AccessLog::Open(options.access_log));
    grpc.access = [log](const GrpcAccess& a) {
      try {
        log->WriteCall(a.peer, a.path, a.code, a.bytes_in, a.bytes_out, a.took);
      } catch (const std::bad_alloc&) {  // a line less
      }
    };
  }
  if (rate)
    grpc.allow = [rate = std::move(rate), &refused](std::string_view peer) {
      const bool allowed = rate->Allow(peer, RateLimit::Clock::now());
      if (!allowed) refused.Add();
      return allowed;
    };
  TENON_ASSIGN_OR_RETURN(grpc.channel_arguments, ParseArguments(options.grpc_channel_arguments));
  grpc.spin = SpinOptions::Of(options.spin_us);
  const bool known = std::ranges::all_of(grpc.channel_arguments, [](const auto& a) { return Http2Knows(a.first); });
  if (options.grpc_transport == "http2" || (options.grpc_transport == "auto" && known))
    grpc.transport = MakeHttp2Transport;
  else if (options.max_connections != ServerOptions().max_connections)
    base::Log(base::LogLevel::kWarning,
              fmt::format("--max_connections={} holds for REST alone: the gRPC library, which serves here ({}), cannot "
                          "limit its connections; --grpc_transport=http2 can",
                          options.max_connections,
                          known ? "--grpc_transport=library" : "for an argument of --grpc_channel_arguments"));
  auto server = std::make_unique<GrpcServer>(std::move(grpc), std::move(handler));
  TENON_RETURN_IF_ERROR(server->Start());
  if (options.grpc_port != 0)
    base::Log(base::LogLevel::kInfo,
              fmt::format("Running gRPC ModelServer at {}:{} ...",
                          options.address.empty() ? "0.0.0.0" : options.address, server->port()));
  if (!options.grpc_socket_path.empty())
    base::Log(base::LogLevel::kInfo,
              fmt::format("Running gRPC ModelServer at UNIX socket {} ...", options.grpc_socket_path));
  return server;
}

}  // namespace tenon::serve
