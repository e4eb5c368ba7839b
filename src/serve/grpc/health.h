// grpc.health.v1: the states of services.
//
//   HealthCheckRequest   service 1
//   HealthCheckResponse  status 1: 0 UNKNOWN, 1 SERVING, 2 NOT_SERVING, 3 SERVICE_UNKNOWN (Watch only)
#pragma once
#include <string>
#include <string_view>

#include "tenon/status.h"

namespace tenon::serve::rpc {

/// The service that a request names. kInvalidArgument when it is malformed.
Result<std::string> ParseHealthRequest(std::string_view bytes);
/// "" (the whole server), ModelService and PredictionService.
bool HasHealth(std::string_view service);
/// The response of Check, or of Watch, where an unknown service is a state and not an error.
std::string HealthResponse(std::string_view service, bool serving);

}  // namespace tenon::serve::rpc
