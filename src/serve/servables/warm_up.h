// Warm-up: a version's recorded requests, run before it is served.
#pragma once
#include <string>

#include "serve/core/servable.h"
#include "serve/core/server_metrics.h"

namespace tenon::serve {

/// The warm-up file below a version's folder.
inline constexpr std::string_view kWarmUpFile = "assets.extra/tf_serving_warmup_requests";
inline constexpr int kMaxWarmUpRecords = 1000;

/// Runs each record of the file (a TFRecord of PredictionLog) `iterations` times; without the file there is nothing to
/// do. The first record that cannot be read or whose run fails ends it with that error, and so the load. More than
/// kMaxWarmUpRecords are kInvalidArgument.
Status WarmUp(const std::string& version_path, Servable& servable, int iterations, ServerMetrics& metrics);

}  // namespace tenon::serve
