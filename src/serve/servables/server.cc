// Server: ServerCore with the servables that modules become.
#include "serve/servables/module_servable.h"
#include "serve/servables/server_core.h"
#include "tenon/serve.h"

namespace tenon::serve {

struct Server::Impl {
  explicit Impl(ServerOptions options)
      : core(options,
             MakeModuleServableCreator(
                 {.threads = options.model_threads, .backend = options.backend, .tags = options.saved_model_tags})) {}
  ServerCore core;
};

Server::Server(ServerOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Server::~Server() = default;
Result<void> Server::start() { return impl_->core.Start(); }
void Server::wait() { impl_->core.Wait(); }
void Server::stop() { impl_->core.Stop(); }
int Server::rest_port() const { return impl_->core.rest_port(); }
int Server::grpc_port() const { return impl_->core.grpc_port(); }
Result<void> Server::reload(const std::vector<ModelConfig>& models) { return impl_->core.ReloadModels(models); }

}  // namespace tenon::serve
