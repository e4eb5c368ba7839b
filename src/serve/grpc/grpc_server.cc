#include "serve/grpc/grpc_server.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <mutex>

#include "base/status_macros.h"
#include "base/threads.h"
#include "serve/core/bearer_tokens.h"
#include "serve/core/task_pool.h"
#include "serve/grpc/content_offset.h"
#include "serve/grpc/health.h"
#include "serve/grpc/reflection.h"
#include "serve/grpc/transport.h"

namespace tenon::serve {
namespace {

constexpr const char* kLibrary = "libtenon_grpc.so";

/// The folder of the file that this code stands in.
std::string OwnFolder() {
  Dl_info info{};
  std::string path;
  if (::dladdr(reinterpret_cast<const void*>(&kLibrary), &info) != 0 && info.dli_fname != nullptr)
    path = info.dli_fname;
  if (path.empty() || path[0] != '/') {
    char buffer[4096];
    const ssize_t n = ::readlink("/proc/self/exe", buffer, sizeof buffer);
    path = n > 0 ? std::string(buffer, static_cast<std::size_t>(n)) : std::string("./x");
  }
  return path.substr(0, path.rfind('/'));
}

Result<MakeGrpcTransport*> LoadTransport() {
  const std::string folder = OwnFolder();
  std::vector<std::string> places;
  if (const char* named = std::getenv("TENON_GRPC_LIBRARY"); named != nullptr && *named != '\0') {
    places = {named};
  } else {
    for (const char* relative :
         {"/", "/../lib/", "/../lib/x86_64-linux-gnu/", "/../lib/aarch64-linux-gnu/", "/../lib64/"})
      places.push_back(folder + relative + kLibrary);
    places.emplace_back(kLibrary);
  }
  std::string why;
  for (const std::string& place : places) {
    if (place.find('/') != std::string::npos && ::access(place.c_str(), F_OK) != 0) continue;
    void* const library = ::dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);  // for the life of the process
    if (library != nullptr) {
      if (void* const entry = ::dlsym(library, kGrpcEntry)) return reinterpret_cast<MakeGrpcTransport*>(entry);
      why = place + ": it is no transport of this program";
      continue;
    }
    why = ::dlerror();
  }
  return Status(Code::kFailedPrecondition,
                fmt::format("gRPC: {} cannot be loaded ({}): install it beside the program, or serve without gRPC",
                            kLibrary, why.empty() ? "not found in " + folder : why));
}

class Service : public GrpcService {
 public:
  Service(const GrpcServerOptions& options, std::shared_ptr<const GrpcHandler> handler, int workers)
      : options_(options),
        tokens_(options.bearer_tokens),
        handler_(std::move(handler)),
        workers_(workers, "tenon-grpc") {}

  Route Find(std::string_view path) const override {
    if (const auto method = GrpcHandler::MethodOf(path)) return {Kind::kUnary, static_cast<int>(*method)};
    if (path == "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo" ||
        path == "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
      return {Kind::kReflection, 0};
    if (options_.health && path == "/grpc.health.v1.Health/Check") return {Kind::kHealthCheck, 0};
    if (options_.health && path == "/grpc.health.v1.Health/Watch") return {Kind::kHealthWatch, 0};
    return {};
  }
  bool guarded() const override { return !tokens_.empty() || options_.allow; }
  Status Admit(const Route& route, std::string_view authorization, std::string_view peer) const override {
    if (route.kind == Kind::kHealthCheck || route.kind == Kind::kHealthWatch) return {};
    // First the rate, so that guesses at tokens are limited too.
    if (options_.allow && !peer.empty() && !options_.allow(peer))
      return Status(Code::kResourceExhausted, "Request: too many calls from this address; try again in a second");
    if (tokens_.Admit(authorization)) return {};
    if (options_.refused) options_.refused("auth");
    return Status(Code::kUnauthenticated, "Request: a valid bearer token is needed");
  }
  bool IsCheap(int method, std::string_view request) const override {
    return handler_->IsCheap(static_cast<GrpcHandler::Method>(method), request);
  }
  std::optional<Status> Handle(int method, std::string_view request, const std::shared_ptr<const void>& owner,
                               Deadline deadline, std::string& reply, GrpcLater& later) const override {
    Begun begun{.method = static_cast<GrpcHandler::Method>(method), .bytes = request.size()};
    if (options_.access) {
      begun.at = std::chrono::steady_clock::now();
      begun.peer = later.peer();
    }
    CountedLater counted(*this, begun, later);
    std::optional<Status> status = handler_->Handle(begun.method, request, owner, deadline, reply, counted);
    if (status) Answered(begun, *status, reply.size());
    return status;
  }
  std::size_t AlignAt(int method, std::string_view begin) const override {
    return static_cast<GrpcHandler::Method>(method) == GrpcHandler::Method::kPredict ? rpc::ContentOffset(begin) : 0;
  }
  Result<std::string> Reflect(std::string_view request) const override {
    return rpc::Reflection::Ours().Answer(request, options_.health);
  }
  Result<std::string> Health(std::string_view request, bool watch, bool serving) const override {
    TENON_ASSIGN_OR_RETURN(const std::string service, rpc::ParseHealthRequest(request));
    if (!watch && !rpc::HasHealth(service)) return Status(Code::kNotFound, "service name unknown");
    return rpc::HealthResponse(service, serving);
  }
  bool Submit(std::function<void()> task) override { return workers_.Submit(std::move(task)); }
  TaskPool& workers() { return workers_; }
  void StopWaiting() const { handler_->StopWaiting(); }
  /// Until no reply is to come any more.
  void WaitForReplies() const {
    std::unique_lock lock(mutex_);
    answered_.wait(lock, [&] { return promised_ == 0; });
  }

 private:
  /// A call, for the access log.
  struct Begun {
    GrpcHandler::Method method = {};
    std::size_t bytes = 0;
    std::chrono::steady_clock::time_point at = {};  // where the log asks for it, as for the peer
    std::string peer = {};
  };
  void Answered(const Begun& call, const Status& status, std::size_t bytes) const {
    if (options_.access)
      options_.access({.peer = call.peer,
                       .path = GrpcHandler::PathOf(call.method),
                       .code = status.code(),
                       .bytes_in = call.bytes,
                       .bytes_out = status.ok() ? bytes : 0,
                       .took = std::chrono::steady_clock::now() - call.at});
  }
  /// Replies that come later are counted until they are gone.
  class CountedReply : public GrpcReply {
   public:
    CountedReply(const Service& service, const Begun& call, std::shared_ptr<GrpcReply> to)
        : service_(service), call_(call), to_(std::move(to)) {
      const std::lock_guard lock(service_.mutex_);
      ++service_.promised_;
    }
    ~CountedReply() override {
      to_.reset();
      const std::lock_guard lock(service_.mutex_);
      if (--service_.promised_ == 0) service_.answered_.notify_all();
    }
    CountedReply(const CountedReply&) = delete;
    CountedReply& operator=(const CountedReply&) = delete;
    void Send(const Status& status, std::string reply) override {
      const std::size_t bytes = reply.size();
      to_->Send(status, std::move(reply));
      service_.Answered(call_, status, bytes);
    }
    bool gone() const override { return to_->gone(); }

   private:
    const Service& service_;
    const Begun call_;
    std::shared_ptr<GrpcReply> to_;
  };
  class CountedLater : public GrpcLater {
   public:
    CountedLater(const Service& service, const Begun& call, GrpcLater& later)
        : service_(service), call_(call), later_(later) {}
    std::shared_ptr<GrpcReply> Make() override {
      return std::make_shared<CountedReply>(service_, call_, later_.Make());
    }
    std::string_view peer() const override { return later_.peer(); }

   private:
    const Service& service_;
    const Begun& call_;
    GrpcLater& later_;
  };

  const GrpcServerOptions options_;
  const BearerTokens tokens_;
  const std::shared_ptr<const GrpcHandler> handler_;
  mutable std::mutex mutex_;
  mutable std::condition_variable answered_;
  mutable int promised_ = 0;  // replies that come later, guarded by mutex_
  TaskPool workers_;
};

}  // namespace

struct GrpcServer::Impl {
  GrpcServerOptions options;
  std::unique_ptr<Service> service;
  std::unique_ptr<GrpcTransport> transport;
  bool listening = false, stopped = false;
};

GrpcServer::GrpcServer(GrpcServerOptions options, std::shared_ptr<const GrpcHandler> handler)
    : impl_(std::make_unique<Impl>()) {
  const int cpus = base::DefaultThreads();
  if (options.io_threads <= 0) options.io_threads = std::clamp(cpus / 2, 1, 8);
  if (options.worker_threads <= 0) options.worker_threads = 4 * cpus;
  impl_->service = std::make_unique<Service>(options, std::move(handler), options.worker_threads);
  impl_->options = std::move(options);
}

GrpcServer::~GrpcServer() { Stop(std::chrono::steady_clock::now()); }

Status GrpcServer::Start() {
  const GrpcServerOptions& options = impl_->options;
  GrpcTransportOptions to;
  if (options.port != 0) {
    const int port = options.port == kFreePort ? 0 : options.port;
    const bool v6 = options.address.find(':') != std::string::npos;
    to.addresses.push_back(options.address.empty() ? fmt::format("0.0.0.0:{}", port)
                           : v6                    ? fmt::format("[{}]:{}", options.address, port)
                                                   : fmt::format("{}:{}", options.address, port));
  }
  if (options.socket_path.size() > 107)
    return Status(Code::kInvalidArgument,
                  fmt::format("gRPC: the socket path {} has {} bytes; the system takes at most 107",
                              options.socket_path, options.socket_path.size()));
  to.socket_path = options.socket_path;
  if (to.addresses.empty() && to.socket_path.empty())
    return Status(Code::kInvalidArgument, "gRPC: neither a port nor a socket path is given");
  to.tls = options.tls;
  to.io_threads = options.io_threads;
  to.max_message_bytes = options.max_message_bytes;
  to.channel_arguments = options.channel_arguments;
  to.spin = options.spin;
  to.budget = options.budget;
  to.max_connections = options.max_connections;
  if (options.refused) to.refused = [refused = options.refused] { refused("connections"); };
  if (options.transport) {
    impl_->transport = options.transport(to, *impl_->service);
  } else {
    TENON_ASSIGN_OR_RETURN(MakeGrpcTransport * make, LoadTransport());
    impl_->transport.reset(make(kGrpcAbi, to, *impl_->service));
  }
  if (impl_->transport == nullptr)
    return Status(Code::kFailedPrecondition, fmt::format("gRPC: {} is of another version of this program", kLibrary));
  TENON_RETURN_IF_ERROR(impl_->transport->Start());
  impl_->listening = true;
  return {};
}

int GrpcServer::port() const { return impl_->transport ? impl_->transport->port() : 0; }

void GrpcServer::SetServing(bool serving) {
  if (impl_->transport) impl_->transport->SetServing(serving);
}

void GrpcServer::Stop(std::chrono::steady_clock::time_point until) {
  if (impl_->stopped) return;
  impl_->stopped = true;
  if (impl_->transport) {
    impl_->transport->SetServing(false);
    impl_->service->StopWaiting();
    impl_->transport->Drain(until);
  }
  impl_->service->workers().Stop();
  impl_->service->WaitForReplies();
  if (impl_->transport) impl_->transport->Finish();
  if (impl_->listening && !impl_->options.socket_path.empty()) ::unlink(impl_->options.socket_path.c_str());
}

}  // namespace tenon::serve
