// The bodies of :classify and :regress replies.
#pragma once
#include <span>
#include <string>

#include "serve/core/inference.h"

namespace tenon::serve {

/// {"results": [[[label, score], …], …]}
std::string ClassifyResponseJson(const ClassifyResult& result);
/// {"results": [value, …]}
std::string RegressResponseJson(std::span<const float> values);

}  // namespace tenon::serve
