// Replies about models, in the JSON that protobuf makes of TensorFlow Serving's messages.
#pragma once
#include <span>
#include <string>

#include "serve/core/servable.h"
#include "serve/core/state_monitor.h"

namespace tenon::serve {

/// GetModelStatusResponse.
std::string ModelStatusJson(std::span<const VersionStatus> versions);
/// GetModelMetadataResponse with the signatures.
std::string ModelMetadataJson(const ServableId& id, std::span<const Signature> signatures);

}  // namespace tenon::serve
