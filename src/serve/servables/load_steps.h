// What the server does around the making of a servable: measure, warm up, batch.
#pragma once
#include <memory>

#include "serve/core/batching.h"
#include "serve/core/loader.h"
#include "serve/core/server_metrics.h"
#include "serve/servables/memory_meter.h"
#include "tenon/serve.h"

namespace tenon::serve {

/// A creator that calls `creator`, measures the time and memory that it takes, runs the version's warm-up file and puts
/// a BatchingServable around the result, as the options say. With per_model_batching the file batching_params.pbtxt of
/// the version's folder replaces `batching`; a version without it is not batched unless `batching` is given. `pool` may
/// be null when nothing is batched.
ServableCreator WithLoadSteps(ServableCreator creator, const ServerOptions& options, std::shared_ptr<BatchPool> pool,
                              std::shared_ptr<ServerMetrics> metrics, std::shared_ptr<MemoryMeter> meter);

/// The pool for the options; null when they ask for no batching.
std::shared_ptr<BatchPool> MakeBatchPool(const ServerOptions& options);

}  // namespace tenon::serve
