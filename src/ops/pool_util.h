// The samples of the pooling records.
#pragma once
#include "ir/op_def.h"

namespace tenon::ir::ops {

/// Windows of each attribute; the same for a pooling, its gradient and the gradient of that.
std::vector<Sample> MaxPoolSamples();
std::vector<Sample> MaxPoolGradSamples();
std::vector<Sample> MaxPoolGatherSamples();
std::vector<Sample> AvgPoolSamples();
std::vector<Sample> AvgPoolGradSamples();
std::vector<Sample> GlobalPoolSamples();

}  // namespace tenon::ir::ops
