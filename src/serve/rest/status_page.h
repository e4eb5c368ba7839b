// The server's own pages: / (HTML), /status.json (what it shows) and /openapi.json.
#pragma once
#include <string>
#include <string_view>

#include "serve/core/manager.h"
#include "serve/core/server_metrics.h"

namespace tenon::serve {

/// One HTML document with its style and script in it: models, versions and states, plots of throughput and latency,
/// memory, and a form that sends a request. It fetches /status.json once a second.
std::string_view StatusHtml();

/// {"uptime_seconds", "resident_bytes", "inflight", "models": [{"name", "requests", "errors", "bounds", "counts" (of
/// requests by latency in seconds, the last one above all bounds), "versions": [{"version", "state", "error"}],
/// "signatures": [{"name", "inputs": [{"name", "dtype", "shape"}], "outputs": …}], "example"}]}
std::string StatusJson(const Manager& manager, ServerMetrics& metrics);

/// OpenAPI 3.0 of the REST API: the paths of each model, and schemas of what its signatures take.
std::string OpenApiJson(const Manager& manager);

}  // namespace tenon::serve
