// The gRPC part of a server, from its options.
#pragma once
#include <memory>

#include "serve/core/invoker.h"
#include "serve/core/manager.h"
#include "serve/core/model_admin.h"
#include "serve/grpc/grpc_server.h"
#include "serve/rest/guard.h"
#include "tenon/serve.h"

namespace tenon::serve {

/// kInvalidArgument names the field of the options that is wrong.
Status CheckGrpcOptions(const ServerOptions& options);

/// Listens and serves; null when the options ask for no gRPC. `budget` and `rate` may be null. `admin` must outlive the
/// server.
Result<std::unique_ptr<GrpcServer>> StartGrpc(const ServerOptions& options, std::shared_ptr<const Manager> manager,
                                              std::shared_ptr<const Invoker> invoker,
                                              std::shared_ptr<ByteBudget> budget, std::shared_ptr<RateLimit> rate,
                                              ModelAdmin& admin);

}  // namespace tenon::serve
